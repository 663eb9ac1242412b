//! Segments of the log as today's code writes them, one a feature.

use super::{ARCHIVE, Made, blocks, records};
use disk::SimDisk;
use engine::wal::{BatchEncoder, Buffer, Entry, Placement, Settings, Writer, replay};
use sample::{ChannelId, Metadata, Sample, SampleBlock, Severity, Timestamp, Value};
use std::path::Path;
use std::sync::Arc;

/// Where the log lies.
pub(crate) const DIRECTORY: &str = "/wal";
/// The segment that is looked at.
pub(crate) const SEGMENT: &str = "/wal/0000000000000001.wal";
/// Least length of a segment here; the longer ones grow beyond it.
const SEGMENT_BYTES: u64 = 2048;

/// A log of one segment with a record for each batch, each synced before the next is written.
fn segment(batches: &[Vec<Entry>]) -> Vec<u8> {
    let disk = SimDisk::new(1);
    let directory = Path::new(DIRECTORY);
    let found = replay(&disk, directory, ARCHIVE, 1, &mut |_, _| {}).unwrap();
    let mut encoder = BatchEncoder::new();
    let payloads: Vec<Vec<u8>> = batches
        .iter()
        .map(|batch| {
            encoder.clear();
            batch.iter().for_each(|entry| encoder.entry(entry));
            encoder.bytes().to_vec()
        })
        .collect();
    let needed: usize = payloads.iter().map(|payload| payload.len() + 64).sum();
    let settings = Settings { segment_bytes: SEGMENT_BYTES.max(needed as u64 + 128) };
    let mut writer = Writer::resume(Arc::new(disk.clone()), directory, ARCHIVE, settings, &found, 1).unwrap();
    let buffer = Buffer::new(1 << 20, writer.first_sequence(), Timestamp(blocks::MONDAY));
    for (second, payload) in (1..).zip(&payloads) {
        buffer.append(payload, records::time(second)).unwrap();
        writer.write(&buffer).unwrap();
        let ticket = writer.begin_sync().unwrap();
        let ran = ticket.run();
        writer.finish_sync(ticket, ran).unwrap();
    }
    disk.content(Path::new(SEGMENT)).unwrap()
}

fn samples(channel: u64, block: &SampleBlock) -> Vec<Entry> {
    let entry = |i| placed(channel, Placement::InOrder, block.get(i));
    (0..block.len()).map(entry).collect()
}

fn placed(channel: u64, placement: Placement, sample: Sample) -> Entry {
    Entry::Sample { channel: ChannelId(channel), placement, sample }
}

fn of_blocks(blocks: &[SampleBlock]) -> Vec<Vec<Entry>> {
    vec![(1..).zip(blocks).flat_map(|(channel, block)| samples(channel, block)).collect()]
}

fn placements() -> Vec<Vec<Entry>> {
    let mut old = blocks::at(-1_000_000_000_000_000_000, Value::Float64(1.0));
    old.severity = Severity::Invalid;
    let late = blocks::late();
    let mut entries = vec![placed(3, Placement::CarryIn, old)];
    entries.extend((0..late.len()).map(|i| placed(2, Placement::Late, late.get(i))));
    entries.extend(samples(u64::MAX, &blocks::equal_stamps()[0]));
    vec![entries]
}

pub(super) fn made() -> Vec<Made> {
    let channel = ChannelId(5);
    let events = records::events().into_iter().map(|event| Entry::Event { channel, event });
    let metadata: Vec<(Timestamp, Metadata)> = records::metadata();
    let metadata = metadata.into_iter().map(|(time, metadata)| Entry::Metadata {
        channel,
        time,
        metadata: metadata.into(),
    });
    let names = records::channel_records().into_iter().map(|record| Entry::Channel { channel, record });
    let beats: Vec<Vec<Entry>> =
        (1..=4).map(|second| vec![Entry::Heartbeat { time: records::time(second) }]).collect();
    let content = [
        ("scalars", of_blocks(&blocks::scalars())),
        ("texts", of_blocks(&blocks::texts())),
        ("arrays", of_blocks(&blocks::arrays())),
        ("optional-parts", of_blocks(&blocks::optional_columns())),
        ("placements", placements()),
        ("events", vec![events.collect()]),
        ("metadata", vec![metadata.collect()]),
        ("channel-records", vec![names.collect()]),
        ("heartbeats", beats),
    ];
    content
        .into_iter()
        .map(|(feature, batches)| Made::new("wal", format!("{feature}.wal"), segment(&batches)))
        .collect()
}
