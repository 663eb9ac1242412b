//! The golden files of the newest version use every form of integers that a stream can take.

use crate::format::{BlockCodec, CODEC_IN_PAGES, ColumnCodec, TABLE_FILE};
use crate::*;
use disk::{Cursor, Disk, RealDisk};
use std::collections::BTreeSet;
use std::path::Path;

/// Tags of the first block of each segment that begins with an integer stream, in the first page of a chunk. Those of
/// arrays do unless their elements are compressed, where the first byte is 0 or 1, a tag that is there anyway.
fn first_tags(bytes: &[u8]) -> Vec<u8> {
    let header = ChunkHeader::parse(bytes).unwrap();
    let mut page = Cursor::new(&bytes[header.header_len..]);
    let streams = [
        ColumnCodec::Integers,
        ColumnCodec::Single,
        ColumnCodec::Double,
        ColumnCodec::Steps,
        ColumnCodec::Array,
    ];
    let mut tags = Vec::new();
    for (_, codec) in header.column_tags().filter(|(_, codec)| codec & CODEC_IN_PAGES != 0) {
        let segment = page.counted_bytes().unwrap();
        if streams.iter().any(|stream| *stream as u8 == codec) {
            tags.extend(segment.first());
        }
    }
    tags
}

#[test]
fn golden_files_use_every_integer_stream() {
    let version = format!("../tests/golden/sstable-{}.{}", TABLE_FILE.major, TABLE_FILE.minor);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(version);
    let mut found = BTreeSet::new();
    for entry in RealDisk.list(&directory).unwrap().iter().filter(|entry| entry.name.ends_with(".sst")) {
        let table = Table::open(&RealDisk, &directory.join(&entry.name), &BlockCache::new(0)).unwrap();
        for entry in table.all_entries().map(Result::unwrap).filter(|entry| entry.chunk.is_some()) {
            found.extend(first_tags(&table.payload(&entry).unwrap()));
        }
    }
    let missing: Vec<_> = BlockCodec::ALL.iter().filter(|codec| !found.contains(&(**codec as u8))).collect();
    assert!(missing.is_empty(), "no golden file has {missing:?}");
}
