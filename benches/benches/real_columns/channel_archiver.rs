//! Samples of data files of the EPICS Channel Archiver.

use crate::runs;
use sample::{Sample, SampleBlock, Severity, Status, Timestamp, Value, ValueType};
use std::collections::BTreeMap;
use std::path::Path;

/// Seconds of 1990-01-01 since the Unix epoch.
const EPICS_EPOCH_S: i64 = 631_152_000;
/// Bytes of a DataHeader.
const HEADER: usize = 152;

/// Channels of all data files below a directory, each buffer found by its `DATA` tag. The layout is that of the Channel
/// Archiver's `DataHeader` and of EPICS' `dbr_time_xxx` structures, big-endian.
pub fn channel_archiver(directory: &Path) -> Vec<(String, SampleBlock)> {
    let mut buffers: BTreeMap<String, Vec<Vec<Sample>>> = BTreeMap::new();
    let mut folders = vec![directory.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries.map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            let bytes = std::fs::read(&entry).expect("a file");
            if !bytes.starts_with(b"ADF1") {
                continue;
            }
            let mut at = 0;
            while let Some(found) = bytes[at..].windows(4).position(|tag| tag == b"DATA") {
                at += found + 4;
                if let Some((name, samples)) = buffer(&bytes[at..]) {
                    buffers.entry(name).or_default().push(samples);
                }
            }
        }
    }
    let mut found = Vec::new();
    for (name, mut buffers) in buffers {
        buffers.sort_by_key(|samples| samples[0].time);
        runs(&name, buffers.into_iter().flatten(), &mut found);
    }
    found
}

/// The buffer behind a `DATA` tag, if one is there: its channel and its samples.
fn buffer(bytes: &[u8]) -> Option<(String, Vec<Sample>)> {
    let end = bytes.iter().take(256).position(|byte| *byte == 0)?;
    let name = std::str::from_utf8(&bytes[..end]).ok().filter(|name| !name.is_empty())?;
    let bytes = &bytes[end + 1..];
    let u32_at = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let u16_at = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let (used, count) = (u32_at(12)? as usize, u32_at(16)? as usize);
    let (size, free) = (u32_at(24)? as usize, u32_at(28)? as usize);
    let (kind, elements) = (u16_at(32)?, u16_at(34)?);
    let (value_at, width) = match kind {
        15 | 17 => (14, 2),
        16 | 19 => (12, 4),
        18 => (15, 1),
        20 => (16, 8),
        _ => return None,
    };
    let sample_bytes = (value_at + width as usize).next_multiple_of(8);
    if elements != 1 || count == 0 || used != count * sample_bytes || size != HEADER + used + free {
        return None;
    }
    let rows = bytes.get(HEADER..HEADER + used)?.chunks_exact(sample_bytes);
    let sample = |row: &[u8]| -> Option<Sample> {
        let word = |at: usize| Some(u32::from_be_bytes(row.get(at..at + 4)?.try_into().ok()?));
        let half = |at: usize| Some(u16::from_be_bytes(row.get(at..at + 2)?.try_into().ok()?));
        let time = (i64::from(word(4)?) + EPICS_EPOCH_S) * 1_000_000_000 + i64::from(word(8)?);
        let value = match kind {
            15 => Value::Int16(half(14)?.cast_signed()),
            16 => Value::Float32(f32::from_bits(word(12)?)),
            17 => Value::Enum(half(14)?),
            18 => Value::UInt8(*row.get(15)?),
            19 => Value::Int32(word(12)?.cast_signed()),
            _ => Value::Float64(f64::from_be_bytes(row.get(16..24)?.try_into().ok()?)),
        };
        let mut sample = Sample::new(Timestamp(time), value);
        // Severities above 3 are the archiver's own events, with no value or a repeated one.
        sample.severity = match half(2)? {
            0 => Severity::NoAlarm,
            1 => Severity::Minor,
            2 => Severity::Major,
            3 => Severity::Invalid,
            _ => return None,
        };
        sample.status = Status::ca(half(0)?);
        Some(sample)
    };
    let mut samples: Vec<Sample> = rows.filter_map(sample).collect();
    // Equal stamps are told apart by their rank.
    for i in 1..samples.len() {
        if samples[i].time == samples[i - 1].time {
            samples[i].rank = samples[i - 1].rank + 1;
        }
    }
    (!samples.is_empty()
        && samples[0].run_type().value == ValueType::scalar(samples[0].value.value_type().kind))
    .then(|| (name.to_string(), samples))
}
