//! Damage is found, named by file and offset, never answered as data.

use super::*;
use crate::page::Page;
use disk::sim::Operation;
use std::io::ErrorKind;

/// One of everything: several leaves, a long channel, records, a node, hash pages, the footer.
fn entries() -> Vec<Entry> {
    let mut entries = plain(60, 8);
    entries.extend((0..900).map(|i| chunk(61, i * 1000, 1200, i as u64)));
    entries.extend((1..=61).map(|channel| Entry { rate: 3, chunk: None, ..chunk(channel, 0, 0, channel) }));
    entries
}

/// Asks everything; the answers, or the first error.
fn ask(disk: &SimDisk) -> Result<Vec<Entry>, FormatError> {
    let index = PartitionIndex::open(disk, path(), &PageCache::new(1 << 20))?;
    let mut answers = Vec::new();
    for channel in [1, 30, 61] {
        let range = TimeRange::new(Timestamp(4000), Timestamp(7000));
        for entry in index.entries(0, ChannelId(channel), range)? {
            answers.push(entry?);
        }
        answers.extend(index.edge(0, ChannelId(channel), Timestamp(5_950))?);
        answers.extend(index.edge(3, ChannelId(channel), Timestamp(5_950))?);
    }
    for entry in index.entries_from(0, ChannelId(0), Timestamp::MIN)? {
        answers.push(entry?);
    }
    Ok(answers)
}

fn check_error(error: &FormatError, len: u64) {
    match error {
        FormatError::Corrupt { path: found, offset, what } => {
            assert_eq!(found, path());
            assert!(*offset <= len && !what.is_empty(), "{error}");
        }
        FormatError::WrongKind { .. } | FormatError::TooNew { .. } => {}
        other => panic!("not said to be damage: {other}"),
    }
}

#[test]
fn a_flipped_bit_anywhere_is_found_or_does_not_matter() {
    let disk = SimDisk::new(1);
    let len = write(&disk, path(), &entries()).bytes;
    let sound = ask(&disk).unwrap();
    let mut found = 0;
    for offset in (0..len).step_by(61) {
        disk.flip(path(), offset, 1 << (offset % 8)).unwrap();
        match ask(&disk) {
            Ok(answers) => assert!(answers == sound, "byte {offset} changes answers"),
            Err(error) => {
                check_error(&error, len);
                found += 1;
            }
        }
        let index = PartitionIndex::open(&disk, path(), &PageCache::new(0));
        let verified = index.and_then(|index| index.verify());
        check_error(&verified.expect_err("a full check finds every bit"), len);
        disk.flip(path(), offset, 1 << (offset % 8)).unwrap();
    }
    assert!(found > 100, "{found}");
    assert!(ask(&disk).unwrap() == sound);
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let disk = SimDisk::new(1);
    let len = write(&disk, path(), &entries()).bytes;
    let bytes = disk.content(path()).unwrap();
    for cut in (0..len).step_by(4097).chain((0..len).step_by(PAGE_BYTES)).chain([len - 1, 15, 16]) {
        disk.plant(path(), &bytes[..cut as usize]).unwrap();
        check_error(&ask(&disk).unwrap_err(), len);
    }
}

#[test]
fn pages_that_changed_places_are_found() {
    let disk = SimDisk::new(1);
    let len = write(&disk, path(), &entries()).bytes;
    let bytes = disk.content(path()).unwrap();
    let page = |number: usize| &bytes[number * PAGE_BYTES..(number + 1) * PAGE_BYTES];
    let mut swapped = bytes.clone();
    swapped[PAGE_BYTES..2 * PAGE_BYTES].copy_from_slice(page(2));
    disk.plant(path(), &swapped).unwrap();
    check_error(&ask(&disk).unwrap_err(), len);
    // A page of the same place of another generation's index.
    let other = Path::new("/other.idx");
    let info = PartitionInfo { generation: 10, ..INFO };
    let mut writer = PartitionWriter::create(&disk, other, info).unwrap();
    entries().iter().for_each(|entry| writer.add(entry).unwrap());
    writer.finish().unwrap();
    let others = disk.content(other).unwrap();
    swapped[PAGE_BYTES..2 * PAGE_BYTES].copy_from_slice(&others[PAGE_BYTES..2 * PAGE_BYTES]);
    disk.plant(path(), &swapped).unwrap();
    check_error(&ask(&disk).unwrap_err(), len);
}

/// Writes any bytes into any page and makes its checksum right: what a checksum cannot find.
#[test]
fn wrong_bytes_with_right_checksums_do_no_harm() {
    let disk = SimDisk::new(1);
    let len = write(&disk, path(), &entries()).bytes;
    let bytes = disk.content(path()).unwrap();
    let salt = crate::footer::salt(INFO.archive, INFO.owner());
    let mut random = disk::sim::Random::new(5);
    for round in 0..1000u64 {
        let number = 1 + random.below(len / PAGE_BYTES as u64 - 1);
        let mut page = Page::zeros();
        page.bytes.copy_from_slice(&bytes[number as usize * PAGE_BYTES..(number as usize + 1) * PAGE_BYTES]);
        for _ in 0..1 + random.below(4) {
            let at = if round % 2 == 0 { 4 + random.below(200) } else { 4 + random.below(16_380) };
            page.bytes[at as usize] = if random.one_in(3) { 0xff } else { random.bits() as u8 };
        }
        let is_footer = number == len / PAGE_BYTES as u64 - 1;
        page.reseal(if is_footer { 0 } else { salt });
        let mut wrong = bytes.clone();
        wrong[number as usize * PAGE_BYTES..(number as usize + 1) * PAGE_BYTES]
            .copy_from_slice(&page.bytes[..]);
        disk.plant(path(), &wrong).unwrap();
        if let Err(error) = ask(&disk) {
            check_error(&error, u64::MAX);
        }
        if let Ok(index) = PartitionIndex::open(&disk, path(), &PageCache::new(0)) {
            let _ = index.verify();
            index
                .channels(|entry| {
                    Err(FormatError::corrupt(std::path::Path::new(""), entry.locator.offset, "none"))
                })
                .into_iter()
                .flatten()
                .take(2000)
                .for_each(drop);
        }
    }
}

#[test]
fn an_error_of_the_disk_is_not_called_damage() {
    let disk = SimDisk::new(1);
    write(&disk, path(), &entries());
    let index = PartitionIndex::open(&disk, path(), &PageCache::new(1 << 20)).unwrap();
    disk.fail(Operation::Read, 0, 1, ErrorKind::TimedOut);
    let error = index.entries(0, ChannelId(1), TimeRange::ALL).unwrap_err();
    assert!(matches!(error, FormatError::Io(_)), "{error}");
    // The page was not kept: the next question is answered.
    assert_eq!(index.entries(0, ChannelId(1), TimeRange::ALL).unwrap().count(), 8);
}

#[test]
fn no_write_that_fails_leaves_a_file_that_opens() {
    for (operation, count) in [(Operation::Write, 1), (Operation::Sync, 1)] {
        let disk = SimDisk::new(3);
        disk.fail(operation, 0, count, ErrorKind::StorageFull);
        let mut writer = PartitionWriter::create(&disk, path(), INFO).unwrap();
        let added: Result<(), FormatError> = entries().iter().try_for_each(|entry| writer.add(entry));
        assert!(added.and_then(|()| writer.finish().map(drop)).is_err());
        disk.power_cut(1);
        disk.power_on();
        assert!(ask(&disk).is_err());
    }
}
