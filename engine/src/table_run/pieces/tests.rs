//! Pieces are all of a chunk, say what holds, and load their own samples.

use crate::read::{Facts, Part, Piece, Run};
use crate::table_run::TableRun;
use disk::SimDisk;
use sample::{
    ChannelId, ChannelName, Column, Kind, RunType, SampleBlock, TimeRange, Timestamp, ValueType, Week,
};
use sstable::{BlockCache, DictionaryRow, Profile, Table, TableInfo, TableKind, TableWriter};
use std::path::Path;
use std::sync::Arc;

const COUNT: usize = 8192;

/// 0 to 2^16 - 1, without a pattern.
fn noise(i: usize) -> u64 {
    let mixed = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 48
}

/// Half of the stamps are those of the sample before. Values below 66 and a few hits, scattered: 1000 at one row in
/// `hits` each.
fn block(hits: &[usize]) -> SampleBlock {
    let mut block = SampleBlock::new(RunType::plain(ValueType::scalar(Kind::Float64)));
    let mut time = 1_767_571_200_000_000_000i64;
    let mut values = Vec::new();
    for i in 0..COUNT {
        let again = i > 0 && noise(i).is_multiple_of(2);
        let rank = if again { block.rank[i - 1] + 1 } else { 0 };
        time += if again { 0 } else { 1_000_000_000 + noise(i) as i64 };
        values.push(if hits.contains(&i) { 1000.0 } else { noise(i * 3) as f64 / 1000.0 });
        block.time.push(time);
        block.rank.push(rank);
        block.severity.push(0);
        block.status.push(0);
    }
    block.values = Column::Float64(values);
    block
}

fn run_of(block: &SampleBlock) -> TableRun {
    let (disk, path) = (SimDisk::new(1), Path::new("/t.sst"));
    let info = TableInfo {
        archive: 1,
        table: 1,
        week: Week(2900),
        class: 0,
        class_name: "default".into(),
        kind: TableKind::Raw,
        known_until: Timestamp(0),
        tier: 0,
    };
    let mut writer = TableWriter::create(&disk, path, &info).unwrap().for_profile(Profile::Cold);
    writer.add_samples(ChannelId(1), block, false).unwrap();
    let row = DictionaryRow::new(ChannelId(1), ChannelName::stored("C1").unwrap());
    writer.finish(vec![row]).unwrap();
    let table = Table::open(&disk, path, &BlockCache::new(1 << 20)).unwrap();
    TableRun::whole(Arc::new(table), ChannelId(1), false)
}

fn positions(block: &SampleBlock) -> Vec<(i64, u32)> {
    (0..block.len()).map(|i| block.position(i)).collect()
}

/// The rows of what is wanted for values above `threshold`, after all pieces were compared with `block`.
fn wanted(block: &SampleBlock, threshold: f64) -> Vec<(usize, usize)> {
    let run = run_of(block);
    let parts = run.parts(TimeRange::ALL).unwrap();
    let [part] = parts[..] else { panic!("{} chunks", parts.len()) };
    let mut enough = |_: &Part, facts: &Facts| {
        let (least, most) = facts.numbers.unwrap().bounds.unwrap();
        most <= threshold || least > threshold
    };
    let Column::Float64(values) = &block.values else { unreachable!() };
    let (mut begin, mut wanted) = (0, Vec::new());
    for piece in run.pieces(&part, &mut enough).unwrap() {
        let of = *piece.part();
        let rows = begin..begin + of.count as usize;
        begin = rows.end;
        assert_eq!(of.first.time, block.time[rows.start]);
        match piece {
            Piece::Known(_, facts) => {
                assert!(enough(&of, &facts));
                let (least, most) = facts.numbers.unwrap().bounds.unwrap();
                assert!(values[rows].iter().all(|value| (least..=most).contains(value)));
            }
            Piece::Wanted(_) => {
                let loaded = run.load(&of, TimeRange::ALL).unwrap();
                assert_eq!(positions(&loaded), positions(block)[rows.clone()]);
                let middle = Timestamp(block.time[rows.start + rows.len() / 3]);
                let before =
                    positions(block)[rows.clone()].iter().filter(|(time, _)| *time < middle.0).count();
                assert_eq!(run.load(&of, TimeRange::new(Timestamp::MIN, middle)).unwrap().len(), before);
                wanted.push((rows.start, rows.end));
            }
        }
    }
    assert!(begin == COUNT || begin == 0 && wanted.is_empty());
    wanted
}

#[test]
fn one_hit_wants_its_zone() {
    for hit in [0, 511, 512, 4095, 4096, 7000, 8191] {
        let zone = hit / 512 * 512;
        assert_eq!(wanted(&block(&[hit]), 100.0), [(zone, zone + 512)], "a hit at {hit}");
    }
    // Hits of two zones that touch, in one page and in two.
    assert_eq!(wanted(&block(&[100, 600]), 100.0), [(0, 1024)]);
    assert_eq!(wanted(&block(&[4000, 4100]), 100.0), [(3584, 4608)]);
}

#[test]
fn many_hits_want_whole_pages_or_the_whole_chunk() {
    // Zones far apart in one page: what lies between would be decoded for the later one.
    assert_eq!(wanted(&block(&[10, 4000]), 100.0), [(0, 4096)]);
    assert_eq!(wanted(&block(&[10, 4000, 5000, 8000]), 100.0), []);
    assert_eq!(wanted(&block(&[]), 30.0), []);
}
