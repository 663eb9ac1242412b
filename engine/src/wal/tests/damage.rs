//! Cuts and flipped bits: detected, named by file and offset, never delivered.

use super::entries::{encoded, every_entry};
use super::model::{ARCHIVE, DIR};
use super::*;
use crate::layout::segment_name;
use disk::{Disk, SimDisk};
use sample::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A log of small segments in which every kind of entry stands, wholly synced, its notes up to the last
/// but one record.
struct Log {
    disk: SimDisk,
    /// One entry a record.
    entries: Vec<Entry>,
}

impl Log {
    fn new(segment_bytes: u64) -> Log {
        let disk = SimDisk::new(1);
        disk.create_dir(Path::new(DIR)).unwrap();
        let entries = every_entry();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let empty = replay(&disk, Path::new(DIR), ARCHIVE, 1, &mut |_, _| ()).unwrap();
        let mut writer =
            Writer::resume(shared, Path::new(DIR), ARCHIVE, Settings { segment_bytes }, &empty, 1).unwrap();
        let buffer = Buffer::new(1 << 20, 1, Timestamp(0));
        for (at, entry) in entries.iter().enumerate() {
            buffer.append(&encoded(std::slice::from_ref(entry)), Timestamp(at as i64)).unwrap();
            writer.write(&buffer).unwrap();
            let ticket = writer.begin_sync().unwrap();
            let result = ticket.run();
            writer.finish_sync(ticket, result).unwrap();
        }
        Log { disk, entries }
    }

    fn segments(&self) -> Vec<PathBuf> {
        self.disk.files()
    }

    /// What the log delivers: sequence and entry.
    fn read(&self, disk: &SimDisk) -> (Vec<(u64, Entry)>, Replay) {
        let mut found = Vec::new();
        let replay = replay(disk, Path::new(DIR), ARCHIVE, 1, &mut |record, entry| {
            found.push((record.sequence, entry));
        });
        (found, replay.unwrap())
    }

    /// Every delivered entry is the one that was written under its number, in order.
    fn check_truth(&self, found: &[(u64, Entry)], what: &str) {
        for pair in found.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{what}: order");
        }
        for (sequence, entry) in found {
            assert_eq!(entry, &self.entries[*sequence as usize - 1], "{what}: record {sequence}");
        }
    }
}

#[test]
fn an_undamaged_log_is_read_whole() {
    let log = Log::new(512);
    assert!(log.segments().len() > 5);
    let (found, replay) = log.read(&log.disk);
    assert_eq!(found.len(), log.entries.len());
    log.check_truth(&found, "whole");
    assert_eq!(replay.cut_bytes, []);
    assert_eq!((replay.last_sequence, replay.durable_note), (found.len() as u64, found.len() as u64 - 1));
    assert_eq!(replay.last_received, Timestamp(found.len() as i64 - 1));
    assert_eq!(replay.records, found.len() as u64);
}

#[test]
fn every_flipped_bit_is_reported_and_nothing_wrong_is_delivered() {
    let log = Log::new(1024);
    for file in log.segments() {
        let len = log.disk.content(&file).unwrap().len();
        for at in 0..len {
            for bit in 0..8 {
                log.disk.flip(&file, at as u64, 1 << bit).unwrap();
                let what = format!("bit {bit} of byte {at} of {}", file.display());
                let (found, replay) = log.read(&log.disk);
                log.check_truth(&found, &what);
                assert!(
                    found.len() + 1 >= log.entries.len(),
                    "{what}: {} records are lost",
                    log.entries.len() - found.len()
                );
                let near = |cut: &CutReport| cut.file == file && cut.offset <= at as u64 + 64;
                assert!(replay.cut_bytes.iter().any(near), "{what}: {:?}", replay.cut_bytes);
                log.disk.flip(&file, at as u64, 1 << bit).unwrap();
            }
        }
    }
}

#[test]
fn a_last_segment_cut_at_any_byte_delivers_what_is_whole() {
    let log = Log::new(4096);
    let file = log.segments().pop().unwrap();
    let whole = log.disk.content(&file).unwrap();
    let total = log.entries.len();
    let mut least = total;
    for len in (0..whole.len()).rev() {
        log.disk.plant(&file, &whole[..len]).unwrap();
        let (found, replay) = log.read(&log.disk);
        log.check_truth(&found, "cut");
        assert!(found.iter().map(|(sequence, _)| *sequence).eq(1..=found.len() as u64), "a prefix");
        assert!(found.len() <= least && least - found.len() <= 1, "one record goes at a time");
        least = found.len();
        let corrupt = replay.bytes(Verdict::Corrupt);
        assert_eq!(corrupt, 0, "the notes behind the cut are gone, too");
        // What is left of a torn record is reported; a clean cut leaves nothing to report.
        let left = whole[..len].iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
        let torn: u64 = replay.cut_bytes.iter().map(|cut| cut.bytes).sum();
        let content = content_end(&replay, &file, left);
        assert!(content + torn >= left, "cut at {len}: {:?}", replay.cut_bytes);
    }
    assert!(least < total);
}

/// Where in `file` what was delivered ends: the first cut, or `end`.
fn content_end(replay: &Replay, file: &Path, end: u64) -> u64 {
    replay.cut_bytes.iter().filter(|cut| cut.file == file).map(|cut| cut.offset).min().unwrap_or(end)
}

#[test]
fn damage_below_the_last_note_is_corruption_and_reading_goes_on_behind_it() {
    let log = Log::new(512);
    let file = log.segments()[2].clone();
    let whole = log.disk.content(&file).unwrap();
    for (from, to) in [(64, 200), (0, whole.len()), (100, 101)] {
        let mut bytes = whole.clone();
        bytes[from..to].fill(0xee);
        log.disk.plant(&file, &bytes).unwrap();
        let (found, replay) = log.read(&log.disk);
        log.check_truth(&found, "hole");
        assert_eq!(found.last().unwrap().0, log.entries.len() as u64);
        let cut = &replay.cut_bytes[0];
        assert_eq!((cut.verdict, &cut.file), (Verdict::Corrupt, &file));
        let (first, last) = cut.missing.unwrap();
        assert_eq!(log.entries.len() - found.len(), (last - first + 1) as usize);
        assert_eq!(replay.bytes(Verdict::TornTail), 0);
    }
}

#[test]
fn a_segment_that_has_gone_is_corruption() {
    let log = Log::new(512);
    for gone in [0, 3] {
        let disk = log.disk.copy();
        disk.remove(&log.segments()[gone]).unwrap();
        let (found, replay) = log.read(&disk);
        log.check_truth(&found, "gone");
        assert_eq!(found.last().unwrap().0, log.entries.len() as u64);
        assert_eq!(replay.cut_bytes.len(), 1);
        let cut = &replay.cut_bytes[0];
        assert_eq!((cut.verdict, cut.bytes), (Verdict::Corrupt, 0));
        let (first, last) = cut.missing.unwrap();
        assert_eq!(log.entries.len() - found.len(), (last - first + 1) as usize);
    }
}

#[test]
fn damage_in_what_tables_hold_already_is_of_no_interest() {
    let log = Log::new(512);
    let disk = log.disk.copy();
    let file = &log.segments()[0];
    disk.flip(file, 100, 0xff).unwrap();
    let replay = replay(&disk, Path::new(DIR), ARCHIVE, 20, &mut |record, _| assert!(record.sequence >= 20));
    let replay = replay.unwrap();
    assert_eq!(replay.cut_bytes, []);
    assert_eq!(replay.records, log.entries.len() as u64 - 19);
}

#[test]
fn records_that_are_repeated_out_of_order_are_not_delivered_again() {
    let log = Log::new(512);
    let disk = log.disk.copy();
    // The third segment's content, made to look like one behind the last.
    let segments = log.segments();
    let mut bytes = log.disk.content(&segments[2]).unwrap();
    let number = segments.len() as u64 + 1;
    reseal(&mut bytes, 3, number);
    disk.plant(&Path::new(DIR).join(segment_name(number)), &bytes).unwrap();
    let (found, replay) = log.read(&disk);
    assert_eq!(found.len(), log.entries.len());
    log.check_truth(&found, "repeated");
    assert!(replay.bytes(Verdict::Corrupt) > 0);
}

/// Makes records of segment `from` valid in segment `to`.
fn reseal(bytes: &mut [u8], from: u64, to: u64) {
    let (before, after) = (segment::salt(ARCHIVE, from), segment::salt(ARCHIVE, to));
    let mut at = format::SEGMENT_HEADER_BYTES;
    bytes[..at].fill(0);
    while let Some(head) = bytes.get(at..).and_then(|rest| frame::read_head(rest, &before)) {
        let end = at + head.record_bytes();
        frame::seal(&mut bytes[at..end], &after, head.record.durable);
        at = end;
    }
}

#[test]
fn records_of_another_segment_or_archive_are_not_believed() {
    let log = Log::new(512);
    let disk = log.disk.copy();
    let segments = log.segments();
    let foreign = log.disk.content(&segments[1]).unwrap();
    let last = Path::new(DIR).join(segment_name(segments.len() as u64 + 1));
    disk.plant(&last, &foreign).unwrap();
    let (found, replay) = log.read(&disk);
    assert_eq!(found.len(), log.entries.len());
    assert_eq!(replay.cut_bytes[0].file, last);
    let other = crate::identity::ArchiveId(1);
    let refused = super::replay(&log.disk, Path::new(DIR), other, 1, &mut |_, _| ());
    assert!(matches!(refused, Err(crate::error::Error::ForeignFile { .. })), "{refused:?}");
}

#[test]
fn a_newer_major_is_refused_and_a_newer_minor_is_read_but_not_written() {
    let log = Log::new(512);
    let file = &log.segments()[0];
    let whole = log.disk.content(file).unwrap();
    let versioned = |major: u16, minor: u16| {
        let mut bytes = whole.clone();
        let header = disk::FileHeader { major, minor, ..format::SEGMENT_HEADER };
        bytes[..16].copy_from_slice(&header.encode());
        let crc = disk::checksum(&bytes[..56]);
        bytes[56..60].copy_from_slice(&crc.to_le_bytes());
        bytes
    };
    log.disk.plant(file, &versioned(2, 0)).unwrap();
    let refused = replay(&log.disk, Path::new(DIR), ARCHIVE, 1, &mut |_, _| ());
    assert!(
        matches!(refused, Err(crate::error::Error::Format(disk::FormatError::TooNew { .. }))),
        "{refused:?}"
    );
    log.disk.plant(file, &versioned(1, 1)).unwrap();
    let (found, replay) = log.read(&log.disk);
    assert_eq!(found.len(), log.entries.len());
    let shared: Arc<dyn Disk> = Arc::new(log.disk.clone());
    let refused = Writer::resume(shared, Path::new(DIR), ARCHIVE, Settings::default(), &replay, 1);
    assert!(matches!(refused, Err(crate::error::Error::NewerMinor { .. })), "{refused:?}");
}
