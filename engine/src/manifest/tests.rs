//! A manifest comes back whole or is refused, through any crash.

use super::*;
use disk::sim::{Crash, SimDisk};
use disk::{checksum, put_u32};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

const ARCHIVE: ArchiveId = ArchiveId(77);

fn any_table() -> impl Strategy<Value = TableEntry> {
    let place = (any::<u64>(), any::<i32>(), any::<u32>(), 0u16..2);
    let flags = any::<(bool, bool, bool, bool, bool)>();
    let sizes = (any::<u64>(), any::<u32>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<u16>());
    let spans = (option::of(any::<(i64, i64)>()), any::<(u64, u64)>(), any::<(u64, u64)>());
    (place, flags, sizes, spans).prop_map(|(place, flags, sizes, spans)| TableEntry {
        id: place.0,
        week: Week(place.1),
        generation: place.2,
        class: place.3,
        decimated: flags.0,
        holds_carry_in: flags.1,
        late: flags.2,
        len: sizes.0,
        footer_crc: sizes.1,
        channels: sizes.2,
        samples: sizes.3,
        value_bytes: sizes.4,
        samples_span: spans.0.map(|(first, last)| (Timestamp(first), Timestamp(last))),
        channel_span: (ChannelId(spans.1.0), ChannelId(spans.1.1)),
        sequence_span: spans.2,
        tier: sizes.5,
        sealed: flags.3,
        beside: flags.4,
        sources: Vec::new(),
    })
}

fn any_numbers() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::btree_set(any::<u64>(), 0..4).prop_map(|numbers| numbers.into_iter().collect())
}

fn any_indexes() -> impl Strategy<Value = (Vec<PartitionIndexEntry>, Vec<MasterSegmentEntry>)> {
    let partition = (any::<[u64; 2]>(), any::<i32>(), any::<[u32; 2]>(), any_numbers());
    let partition = partition.prop_map(|([id, len], week, [generation, footer_crc], tables)| {
        PartitionIndexEntry { id, week: Week(week), generation, len, footer_crc, tables }
    });
    let segment = (any::<[u64; 4]>(), any::<u32>(), any_numbers());
    let segment = segment.prop_map(|([id, len, rows, names], footer_crc, indexes)| MasterSegmentEntry {
        id,
        len,
        footer_crc,
        rows,
        names,
        indexes,
    });
    (vec(partition, 0..4), vec(segment, 0..4))
}

fn any_manifest() -> impl Strategy<Value = Manifest> {
    let counts = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<i64>());
    let dropped = vec(("[a-z0-9]{1,9}[.][0-9]/[a-z]{1,9}", any::<i64>(), any::<u64>()), 0..4);
    let input = any::<(u64, u64, u64)>();
    let input = input.prop_map(|(table, samples, records)| SealingInput { table, samples, records });
    let sealing = (vec(input, 0..4), vec(any_table(), 1..3));
    let sealing = option::of(sealing.prop_map(|(inputs, outputs)| Sealing { inputs, outputs }));
    let lists = (vec(any_table(), 0..4), dropped, sealing);
    (counts, lists, any_indexes()).prop_map(|(counts, (tables, dropped, sealing), indexes)| Manifest {
        sealing,
        generation: counts.0,
        wal_from: counts.1,
        next_table: counts.2,
        next_channel: counts.3,
        next_sequence: counts.4,
        heartbeat: Timestamp(counts.5),
        tables,
        classes: vec!["default".into(), "é".into()],
        dropped: dropped
            .into_iter()
            .map(|(file, since, len)| DroppedFile {
                file: format!("weeks/{file}"),
                since: Timestamp(since),
                len,
            })
            .collect(),
        partition_indexes: indexes.0,
        master_segments: indexes.1,
        ..Manifest::new(ARCHIVE)
    })
}

/// One of each.
fn example() -> Manifest {
    let table = TableEntry {
        id: 5,
        week: Week(2900),
        generation: 1,
        class: 0,
        decimated: false,
        holds_carry_in: true,
        late: true,
        len: 100,
        footer_crc: 0xdead_beef,
        samples_span: Some((Timestamp(1), Timestamp(2))),
        channels: 3,
        samples: 4,
        value_bytes: 32,
        channel_span: (ChannelId(1), ChannelId(9)),
        sequence_span: (1, 40),
        tier: 2,
        sealed: true,
        beside: true,
        sources: Vec::new(),
    };
    let file = "weeks/2026-11-16.1/0000000000000001.sst".into();
    let dropped = DroppedFile { file, since: Timestamp(6), len: 99 };
    let index = PartitionIndexEntry {
        id: 6,
        week: Week(2899),
        generation: 2,
        len: 32_768,
        footer_crc: 0xfeed,
        tables: vec![3, 4],
    };
    let segment =
        MasterSegmentEntry { id: 7, len: 65_536, footer_crc: 0xbeef, rows: 10, names: 11, indexes: vec![6] };
    Manifest {
        generation: 3,
        wal_from: 41,
        sealing: Some(Sealing {
            inputs: vec![SealingInput { table: 5, samples: 3, records: 1 }],
            outputs: vec![TableEntry { id: 6, generation: 2, beside: false, ..table.clone() }],
        }),
        tables: vec![table],
        classes: vec!["default".into()],
        dropped: vec![dropped],
        partition_indexes: vec![index],
        master_segments: vec![segment],
        ..Manifest::new(ARCHIVE)
    }
}

fn decode(bytes: &[u8]) -> Result<Manifest, Error> {
    bytes::decode(bytes, Path::new("MANIFEST"))
}

/// With length and checksum made right.
fn resealed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() - 4);
    let len = bytes.len() as u64 + 4;
    bytes[16..24].copy_from_slice(&len.to_le_bytes());
    let crc = checksum(&bytes);
    put_u32(&mut bytes, crc);
    bytes
}

#[test]
fn fields_stand_where_the_tables_say() {
    let bytes = bytes::encode(&example());
    let at = |fields: &[(&str, usize, usize)], base: usize, name: &str| {
        let (_, offset, len) = fields.iter().find(|field| field.0 == name).unwrap();
        bytes[base + offset..base + offset + len].to_vec()
    };
    let fixed = |name| at(&MANIFEST_FIELDS, 0, name);
    assert_eq!(fixed("length"), (bytes.len() as u64).to_le_bytes());
    assert_eq!(fixed("archive id"), 77u128.to_le_bytes());
    assert_eq!(fixed("generation"), 3u64.to_le_bytes());
    assert_eq!(fixed("wal_from"), 41u64.to_le_bytes());
    assert_eq!(fixed("heartbeat"), i64::MIN.to_le_bytes());
    assert_eq!((fixed("classes"), fixed("dropped")), (vec![1, 0, 0, 0], vec![1, 0, 0, 0]));
    let base = MANIFEST_FIXED_BYTES + 1 + "default".len();
    let table = |name| at(&TABLE_FIELDS, base, name);
    assert_eq!(table("id"), 5u64.to_le_bytes());
    assert_eq!(table("week"), 2900i32.to_le_bytes());
    assert_eq!(table("flags"), 0b11_1110u16.to_le_bytes());
    assert_eq!(table("footer crc"), 0xdead_beef_u32.to_le_bytes());
    assert_eq!(table("len"), 100u64.to_le_bytes());
    assert_eq!(table("highest channel"), 9u64.to_le_bytes());
    assert_eq!(table("last sequence"), 40u64.to_le_bytes());
    assert_eq!(table("tier"), 2u16.to_le_bytes());
    assert_eq!((fixed("partition indexes"), fixed("master segments")), (vec![1, 0, 0, 0], vec![1, 0, 0, 0]));
    // From the end: the checksum, the segment with one index, before it the index with two tables.
    let base = bytes.len() - 4 - 8 - 40;
    let segment = |name| at(&MASTER_SEGMENT_FIELDS, base, name);
    assert_eq!(
        (segment("id"), segment("rows")),
        (vec![7, 0, 0, 0, 0, 0, 0, 0], vec![10, 0, 0, 0, 0, 0, 0, 0])
    );
    assert_eq!((segment("footer crc"), segment("indexes")), (vec![0xef, 0xbe, 0, 0], vec![1, 0, 0, 0]));
    let base = base - 16 - 32;
    let index = |name| at(&PARTITION_INDEX_FIELDS, base, name);
    assert_eq!((index("id"), index("len")), (vec![6, 0, 0, 0, 0, 0, 0, 0], vec![0, 128, 0, 0, 0, 0, 0, 0]));
    assert_eq!(index("week"), 2899i32.to_le_bytes());
    assert_eq!((index("generation"), index("tables")), (vec![2, 0, 0, 0], vec![2, 0, 0, 0]));
    let input = base - TABLE_BYTES - 24;
    assert_eq!(at(&SEALING_INPUT_FIELDS, input, "samples taken"), 3u64.to_le_bytes());
    assert_eq!(at(&TABLE_FIELDS, input + 24, "id"), 6u64.to_le_bytes());
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused_with_a_place() {
    let whole = bytes::encode(&example());
    let check = |bytes: &[u8], what: String| {
        let error = decode(bytes).expect_err(&what);
        assert!(error.is_damage(), "{what}: {error}");
        assert!(error.to_string().contains("MANIFEST"), "{what}: {error}");
    };
    for at in 0..whole.len() {
        check(&whole[..at], format!("cut at {at}"));
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            check(&bytes, format!("bit {bit} of byte {at}"));
        }
    }
}

#[test]
fn damage_tells_what_to_do() {
    let mut bytes = bytes::encode(&example());
    bytes[50] ^= 1;
    let text = decode(&bytes).unwrap_err().to_string();
    assert!(text.contains("byte") && text.contains("archtool reindex"), "{text}");
}

#[test]
fn a_dropped_file_outside_the_archive_is_never_believed() {
    for file in ["../x", "/etc/passwd", "a//b", "a/./b", "a\\b", "", "a/.."] {
        let mut manifest = example();
        manifest.dropped[0].file = file.into();
        let error = decode(&bytes::encode(&manifest)).unwrap_err();
        assert!(error.is_damage() && error.to_string().contains("out of the archive"), "{file}: {error}");
    }
}

#[test]
fn a_class_that_is_not_listed_is_refused() {
    let mut manifest = example();
    manifest.tables[0].class = 1;
    assert!(decode(&bytes::encode(&manifest)).unwrap_err().is_damage());
}

#[test]
fn numbers_of_files_are_in_order() {
    for tables in [vec![4, 3], vec![4, 4]] {
        let mut manifest = example();
        manifest.partition_indexes[0].tables = tables;
        assert!(decode(&bytes::encode(&manifest)).unwrap_err().is_damage());
    }
}

#[test]
fn counts_that_the_bytes_cannot_hold_are_refused_at_once() {
    for at in [88, 92, 96, 100, 104, 108, 112, 116, 120] {
        let mut bytes = bytes::encode(&example());
        bytes[at..at + 4].fill(0xff);
        assert!(decode(&resealed(bytes)).unwrap_err().is_damage());
    }
}

#[test]
fn a_newer_minor_version_is_read_and_never_written() {
    let (disk, layout) = (SimDisk::new(1), Layout::new("/"));
    let mut bytes = bytes::encode(&example());
    bytes[..16].copy_from_slice(&FileHeader { minor: 9, ..MANIFEST_HEADER }.encode());
    let crc_at = bytes.len() - 4;
    bytes.splice(crc_at..crc_at, *b"what is new");
    disk.plant(&layout.manifest(), &resealed(bytes)).unwrap();
    let manifest = Manifest::load(&disk, &layout, ARCHIVE).unwrap().unwrap();
    assert_eq!((manifest.tables.clone(), manifest.writable()), (example().tables, false));
    let before = disk.content(&layout.manifest()).unwrap();
    assert!(matches!(manifest.store(&disk, &layout), Err(Error::NewerMinor { found: (1, 9), .. })));
    assert_eq!(disk.content(&layout.manifest()).unwrap(), before);
}

#[test]
fn a_newer_major_version_and_another_archive_are_refused() {
    let (disk, layout) = (SimDisk::new(1), Layout::new("/"));
    example().store(&disk, &layout).unwrap();
    let other = Manifest::load(&disk, &layout, ArchiveId(1)).unwrap_err();
    assert!(matches!(other, Error::ForeignFile { found: ARCHIVE, .. }), "{other}");
    let mut bytes = disk.content(&layout.manifest()).unwrap();
    bytes[..16].copy_from_slice(&FileHeader { major: 2, ..MANIFEST_HEADER }.encode());
    assert!(matches!(decode(&resealed(bytes)), Err(Error::Format(FormatError::TooNew { .. }))));
    assert_eq!(Manifest::load(&disk, &Layout::new("/none"), ARCHIVE).unwrap(), None);
}

#[test]
fn a_crash_at_any_operation_leaves_the_former_manifest_or_the_next() {
    for seed in 0..20 {
        for after in 0.. {
            let (disk, layout) = (SimDisk::new(seed), Layout::new("/"));
            let mut manifest = example();
            manifest.store(&disk, &layout).unwrap();
            disk.crash_after(after, Crash::PowerCut);
            manifest.generation += 1;
            manifest.tables.clear();
            let stored = manifest.store(&disk, &layout).is_ok();
            disk.cancel_crash();
            disk.power_cut(seed);
            disk.power_on();
            let found = Manifest::load(&disk, &layout, ARCHIVE).unwrap().unwrap();
            assert!(found == manifest || (!stored && found == example()), "seed {seed}, operation {after}");
            if stored {
                assert!(after > 3);
                break;
            }
        }
    }
}

proptest! {
    #[test]
    fn any_manifest_comes_back(manifest in any_manifest()) {
        prop_assert_eq!(decode(&bytes::encode(&manifest)).unwrap(), manifest);
    }

    #[test]
    fn hostile_bytes_behind_a_right_checksum_never_panic(
        at in any::<proptest::sample::Index>(), mask in 1u8.., cut: bool,
    ) {
        let mut bytes = bytes::encode(&example());
        let at = 24 + at.index(bytes.len() - 28);
        if cut { bytes.drain(at..at + 4); } else { bytes[at] ^= mask }
        let _ = decode(&resealed(bytes));
    }
}
