//! Manifest, identity and the texts beside them, as today's code writes them.

use super::{ARCHIVE, Made, records};
use disk::SimDisk;
use engine::identity::{Holder, Identity};
use engine::layout::Layout;
use engine::manifest::{
    DroppedFile, Manifest, MasterSegmentEntry, PartitionIndexEntry, Sealing, SealingInput, TableEntry,
};
use sample::{ChannelId, Week};
use std::path::Path;

/// Where the archive lies.
pub(crate) const DIRECTORY: &str = "/archive";
const WEEK: Week = Week(2922);

/// A manifest with every table flag, a seal under way, dropped files, index files.
fn full() -> Manifest {
    let mut manifest = Manifest::new(ARCHIVE);
    manifest.generation = 41;
    manifest.wal_from = 1001;
    manifest.next_table = 0x20;
    manifest.next_channel = 13;
    manifest.next_sequence = 123_456;
    manifest.heartbeat = records::time(-1);
    manifest.classes = vec!["default".to_string(), "short \u{3bc}".to_string()];
    let flushed = table(3);
    let sealed = TableEntry { generation: 2, sealed: true, holds_carry_in: true, tier: 3, ..table(4) };
    let beside = TableEntry { generation: 2, beside: true, late: true, class: 1, ..table(5) };
    let without_samples =
        TableEntry { samples_span: None, samples: 0, decimated: true, sources: vec![4], ..table(6) };
    let rollup = TableEntry { decimated: true, sources: vec![2, 4, 5], ..table(10) };
    manifest.tables = vec![flushed, sealed, beside, without_samples, rollup];
    manifest.dropped = vec![
        dropped("weeks/2026-01-05.1/0000000000000001.sst", 1),
        dropped("index/0000000000000002.index", 2),
    ];
    manifest.sealing = Some(Sealing {
        inputs: vec![SealingInput { table: 3, samples: 10, records: 2 }],
        outputs: vec![TableEntry { generation: 2, sealed: true, ..table(7) }],
    });
    manifest.partition_indexes = vec![PartitionIndexEntry {
        id: 8,
        week: Week(-4),
        generation: 2,
        len: 65536,
        footer_crc: 0xdead_beef,
        tables: vec![4, 5],
    }];
    manifest.master_segments = vec![MasterSegmentEntry {
        id: 9,
        len: 98304,
        footer_crc: 0xfeed_f00d,
        rows: 22,
        names: 13,
        indexes: vec![8],
    }];
    manifest
}

fn table(id: u64) -> TableEntry {
    TableEntry {
        id,
        week: WEEK,
        generation: 1,
        class: 0,
        decimated: false,
        holds_carry_in: false,
        late: false,
        len: 4096 + id,
        footer_crc: 0x0102_0304,
        samples_span: Some((records::time(-7), records::time(id as i64))),
        channels: 12,
        samples: 1000 + id,
        value_bytes: 8000,
        channel_span: (ChannelId(0), ChannelId(12)),
        sequence_span: (900, 1000),
        tier: 0,
        sealed: false,
        beside: false,
        sources: Vec::new(),
    }
}

fn dropped(file: &str, seconds: i64) -> DroppedFile {
    DroppedFile { file: file.to_string(), since: records::time(seconds), len: 512 }
}

fn stored(manifest: &Manifest) -> Vec<u8> {
    let (disk, layout) = (SimDisk::new(1), Layout::new("/"));
    manifest.store(&disk, &layout).unwrap();
    disk.content(&layout.manifest()).unwrap()
}

/// `ARCHIVE` of a new archive, and `SNAPSHOT` of a copy of it.
fn identity_with_mark() -> [Vec<u8>; 2] {
    let disk = SimDisk::new(1);
    let (layout, copy) = (Layout::new(DIRECTORY), Layout::new("/copy"));
    for directory in [layout.root(), &layout.weeks(), &layout.wal()] {
        disk::Disk::create_dir(&disk, directory).unwrap();
    }
    Identity::create(&disk, &layout, ARCHIVE, records::time(5)).unwrap();
    Manifest::new(ARCHIVE).store(&disk, &layout).unwrap();
    engine::copy_archive(&disk, Path::new(DIRECTORY), copy.root()).unwrap();
    [layout.identity(), copy.copy_mark()].map(|path| disk.content(&path).unwrap())
}

pub(super) fn made() -> Vec<Made> {
    let holder = Holder { host: "archiver.example".into(), pid: 4711, address: "127.0.0.1:8090".into() };
    let [identity, mark] = identity_with_mark();
    vec![
        Made::new("manifest", "full.manifest".into(), stored(&full())),
        Made::new("manifest", "empty.manifest".into(), stored(&Manifest::new(ARCHIVE))),
        Made::new("identity", "identity.archive".into(), identity),
        Made::new("lock", "engine.lock".into(), holder.encode()),
        Made::new("lock", "tool.lock".into(), Holder { address: String::new(), ..holder }.encode()),
        Made::new("snapshot", "mark.snapshot".into(), mark),
    ]
}
