//! Whatever is undamaged comes back, whatever is lost is named.

use super::*;
use crate::cache::BlockCache;
use crate::table::Table;
use crate::{TableKind, corpus, encode_events, verify};
use disk::SimDisk;
use proptest::prelude::*;
use sample::{Kind, RunType, Sample, SampleBlock, Value, ValueType, Week};
use std::path::PathBuf;

fn path(name: &str) -> PathBuf {
    PathBuf::from(format!("/{name}.sst"))
}

fn info() -> TableInfo {
    TableInfo {
        archive: 1,
        table: 2,
        week: Week(2900),
        class: 1,
        class_name: "default".to_string(),
        kind: TableKind::Raw,
        known_until: Timestamp(5),
        tier: 1,
    }
}

fn lineage() -> Lineage {
    Lineage {
        through: 9,
        next_channel: 40,
        next_sequence: 7,
        value_bytes: 1,
        group: vec![2, 5],
        ..Lineage::default()
    }
}

fn name(channel: ChannelId) -> ChannelName {
    ChannelName::stored(&format!("C{}", channel.0)).unwrap()
}

/// Numbers that no codec makes small, all channels with equal stamps.
fn noise(channel: u64, begin: i64, count: i64) -> SampleBlock {
    let mut block = SampleBlock::new(RunType::plain(ValueType::scalar(Kind::Float64)));
    for i in 0..count {
        let bits = ((begin + i) as u64 + channel * 7919 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let time = Timestamp((begin + i) * 1000 + (i * i) % 999);
        assert!(block.push(&Sample::new(time, Value::Float64(f64::from_bits(bits >> 2)))));
    }
    block
}

/// Samples of every kind, large chunks with shared stamps, late ones, records.
fn write(disk: &SimDisk, path: &Path) {
    let mut writer = TableWriter::create(disk, path, &info()).unwrap();
    writer.descend(&lineage()).unwrap();
    let mut channels = 0;
    for (at, block) in corpus::blocks().iter().enumerate() {
        writer.add_samples(ChannelId(at as u64), block, at == 3).unwrap();
        channels = at as u64 + 1;
    }
    for channel in channels..channels + 3 {
        for piece in 0..3 {
            writer.add_samples(ChannelId(channel), &noise(channel, piece * 4000, 4000), piece == 1).unwrap();
        }
    }
    channels += 3;
    for channel in 0..channels {
        let key = Key::new(Key::EVENTS, ChannelId(channel), 5);
        writer.add_record(key, Timestamp(9), encode_events(&corpus::events()).unwrap()).unwrap();
    }
    writer.finish((0..channels).map(|id| DictionaryRow::new(ChannelId(id), name(ChannelId(id))))).unwrap();
}

/// Channels of one scan, whose stamps are differences from those of the first.
fn write_siblings(disk: &SimDisk, path: &Path) {
    let mut writer = TableWriter::create(disk, path, &info()).unwrap().for_profile(crate::Profile::Cold);
    let bits = |seed: u64| disk::sim::Random::new(seed).bits();
    for channel in 0..3u64 {
        let mut block = SampleBlock::new(RunType::plain(ValueType::scalar(Kind::Float64)));
        for k in (0..6_000u64).filter(|k| k / 300 != 7 * (channel + 1)) {
            let tick = k * 1_000_000_000 + (bits(k) >> 44);
            let time = Timestamp((tick + channel * 7000 + (bits(k * 4 + channel) >> 52)) as i64);
            assert!(block.push(&Sample::new(time, Value::Float64((k / 50) as f64))));
        }
        writer.add_samples(ChannelId(channel), &block, false).unwrap();
    }
    writer.finish((0..3).map(|id| DictionaryRow::new(ChannelId(id), name(ChannelId(id))))).unwrap();
}

/// Every sample and record, in the order of the table.
fn contents(disk: &SimDisk, path: &Path) -> Vec<(ChannelId, Timestamp, String)> {
    let table = Table::open(disk, path, &BlockCache::new(1 << 20)).unwrap();
    let mut found = Vec::new();
    for entry in table.all_entries() {
        let entry = entry.unwrap();
        if entry.chunk.is_none() {
            let payload = table.payload(&entry).unwrap();
            found.push((entry.key.channel, Timestamp(entry.key.bin), format!("{:?}", payload)));
            continue;
        }
        let late = table.chunk_header(&entry).unwrap().late;
        let block = table.all_samples(&entry).unwrap();
        for i in 0..block.len() {
            let sample = block.get(i);
            found.push((entry.key.channel, sample.time, format!("{late} {sample:?}")));
        }
    }
    found
}

fn salvage(disk: &SimDisk) -> Salvaged {
    let remains = Remains::read(disk, &path("old")).unwrap();
    let known = remains.info.clone().unwrap_or_else(info);
    let lineage = remains.lineage.clone().unwrap_or_default();
    let salvaged = remains.write(disk, &path("new"), &known, &lineage, &name).unwrap();
    let verified = verify(disk, &path("new"), true).unwrap();
    assert!(verified.problems.is_empty(), "{:?}", verified.problems);
    salvaged
}

#[test]
fn an_undamaged_table_comes_back_whole() {
    let disk = SimDisk::new(1);
    write(&disk, &path("old"));
    let salvaged = salvage(&disk);
    assert!(salvaged.lost.is_empty() && salvaged.nameless.is_empty(), "{salvaged:?}");
    assert_eq!(contents(&disk, &path("new")), contents(&disk, &path("old")));
    let table = Table::open(&disk, &path("new"), &BlockCache::new(0)).unwrap();
    assert_eq!(table.lineage().unwrap(), Some(lineage()));
}

/// What is missing in `after` lies in what `lost` names.
fn named(before: &[(ChannelId, Timestamp, String)], after: &[(ChannelId, Timestamp, String)], lost: &[Loss]) {
    let there: std::collections::HashSet<_> = after.iter().collect();
    assert!(after.iter().all(|one| before.contains(one)), "something was invented");
    for missing in before.iter().filter(|one| !there.contains(one)) {
        let names = |loss: &Loss| {
            let span = loss.span.is_none_or(|(first, last)| first <= missing.1 && missing.1 <= last);
            loss.channels.is_some_and(|(least, most)| least <= missing.0 && missing.0 <= most) && span
        };
        assert!(lost.iter().any(names), "{missing:?} is not in {lost:?}");
    }
}

#[test]
fn without_index_dictionary_and_footer_all_data_are_there() {
    let disk = SimDisk::new(1);
    write(&disk, &path("old"));
    let before = contents(&disk, &path("old"));
    let end = Table::open(&disk, &path("old"), &BlockCache::new(0)).unwrap().footer.dictionary_offset;
    disk.truncate(&path("old"), end).unwrap();
    let salvaged = salvage(&disk);
    assert!(salvaged.lost.is_empty(), "{:?}", salvaged.lost);
    assert!(!salvaged.nameless.is_empty());
    let mut after = contents(&disk, &path("new"));
    let mut expected = before;
    after.sort();
    expected.sort();
    assert_eq!(after, expected);
}

#[test]
fn a_chunk_outlives_the_header_of_its_block_and_a_page_its_neighbour() {
    let disk = SimDisk::new(1);
    write(&disk, &path("old"));
    let before = contents(&disk, &path("old"));
    let table = Table::open(&disk, &path("old"), &BlockCache::new(0)).unwrap();
    let large: Vec<_> = table
        .all_entries()
        .map(Result::unwrap)
        .filter(|e| e.chunk.is_some() && e.locator.slot.is_none())
        .collect();
    assert!(large.len() > 3);
    disk.flip(&path("old"), large[1].locator.offset + 3, 0x10).unwrap();
    let salvaged = salvage(&disk);
    assert!(salvaged.lost.is_empty(), "{:?}", salvaged.lost);
    assert_eq!(contents(&disk, &path("new")).len(), before.len());
    disk.flip(&path("old"), large[2].locator.offset + large[2].locator.len - 2, 0x10).unwrap();
    disk::Disk::remove(&disk, &path("new")).unwrap();
    let salvaged = self::salvage(&disk);
    // Two more channels have their stamps there.
    assert_eq!(salvaged.lost.len(), 3, "{:?}", salvaged.lost);
    assert!(salvaged.lost.iter().all(|loss| loss.span == salvaged.lost[0].span));
    let after = contents(&disk, &path("new"));
    assert!(after.len() > before.len() - 3 * 1024, "{} of {}", after.len(), before.len());
    named(&before, &after, &salvaged.lost);
}

#[test]
fn stamps_that_are_differences_from_damaged_ones_are_lost_with_them() {
    let disk = SimDisk::new(1);
    write_siblings(&disk, &path("old"));
    let before = contents(&disk, &path("old"));
    let salvaged = salvage(&disk);
    assert!(salvaged.lost.is_empty(), "{:?}", salvaged.lost);
    assert_eq!(contents(&disk, &path("new")), before);
    let table = Table::open(&disk, &path("old"), &BlockCache::new(0)).unwrap();
    let first = table.all_entries().next().unwrap().unwrap();
    // In the second page of the first chunk.
    disk.flip(&path("old"), first.locator.offset + first.locator.len - 9, 0x10).unwrap();
    disk::Disk::remove(&disk, &path("new")).unwrap();
    let salvaged = self::salvage(&disk);
    let lost: Vec<_> =
        salvaged.lost.iter().filter_map(|loss| loss.channels).map(|(least, _)| least.0).collect();
    assert!([0, 1, 2].iter().all(|channel| lost.contains(channel)), "{:?}", salvaged.lost);
    let after = contents(&disk, &path("new"));
    // The second page of each.
    assert!((2..=3).contains(&((before.len() - after.len()) / 1800)), "{} of {}", after.len(), before.len());
    named(&before, &after, &salvaged.lost);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_is_missing_is_named(places in proptest::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..6), cut: Option<prop::sample::Index>) {
        let disk = SimDisk::new(1);
        write(&disk, &path("old"));
        let before = contents(&disk, &path("old"));
        let len = disk.content(&path("old")).unwrap().len();
        for (place, mask) in places {
            disk.flip(&path("old"), place.index(len) as u64, mask).unwrap();
        }
        if let Some(cut) = cut {
            disk.truncate(&path("old"), cut.index(len) as u64).unwrap();
        }
        let salvaged = salvage(&disk);
        let after = contents(&disk, &path("new"));
        let mut lost = salvaged.lost.clone();
        if cut.is_some() {
            // What lay behind a cut left no trace.
            lost.push(Loss { offset: 0, len: 0, channels: Some((ChannelId(0), ChannelId(u64::MAX))), span: None, what: String::new() });
        }
        named(&before, &after, &lost);
    }
}
