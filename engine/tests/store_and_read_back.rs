//! What is written comes back: through memtable, flush, week change and recovery, against a naive model.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use disk::sim::SimDisk;
use engine::clock::ManualClock;
use engine::identity::ArchiveId;
use engine::read::{Archive, Member, Reader, Scan};
use engine::recovery::{Opening, Recovered, open};
use engine::{LiveArchive, StorageSettings};
use sample::{ChannelName, Sample, TimeRange, Timestamp, Value};
use std::sync::Arc;

const MONDAY: i64 = 1_794_787_200_000_000_000; // 2026-11-16T00:00:00Z
const HOUR: i64 = 3_600_000_000_000;

fn opening(disk: &SimDisk, clock: &ManualClock) -> Opening {
    Opening {
        disk: Arc::new(disk.clone()),
        clock: Arc::new(clock.clone()),
        directory: "/archive".into(),
        create: true,
        pinned: None,
        fresh_id: Some(ArchiveId(7)),
        settings: StorageSettings {
            memtable_bytes: 1 << 20,
            log_buffer_bytes: 1 << 20,
            segment_bytes: 16 << 10,
            reserve_bytes: 4096,
            ..StorageSettings::default()
        },
    }
}

fn all(recovered: &Recovered, name: &ChannelName, range: TimeRange) -> Vec<Sample> {
    let archive: Arc<dyn Archive> = Arc::new(LiveArchive::new(recovered.shared.clone()));
    let reader = Reader::new(vec![Member { name: "a".into(), priority: 1, archive }]);
    let view = reader.view(name, range).unwrap().unwrap();
    let blocks: Vec<_> = view.samples(&Scan::ascending(range)).collect::<Result<_, _>>().unwrap();
    blocks.iter().flat_map(|block| (0..block.len()).map(|i| block.get(i))).collect()
}

#[test]
fn samples_survive_flush_week_change_and_restart() {
    let disk = SimDisk::new(1);
    let clock = ManualClock::new(Timestamp(MONDAY + 166 * HOUR));
    let name = ChannelName::stored("A").unwrap();
    let mut expected: Vec<(i64, u32, Value)> = Vec::new();
    let mut recovered = open(opening(&disk, &clock)).unwrap();
    for step in 0..40_i64 {
        clock.advance(HOUR / 4);
        use engine::clock::Clock;
        let now = clock.now();
        let id = recovered.writer.register(&name);
        recovered.writer.at(now);
        for k in 0..50 {
            let time = now.0 + k;
            let value = if step % 7 == 3 { Value::Int32(k as i32) } else { Value::Float64(k as f64 * 0.5) };
            recovered.writer.append(id, Sample::new(Timestamp(time), value.clone()), false);
            expected.push((time, 0, value));
        }
        let twin = Value::Float64(-1.0 - step as f64);
        recovered.writer.append(id, Sample::new(Timestamp(now.0 + 49), twin.clone()), false);
        expected.push((now.0 + 49, 1, twin));
        let late = Value::Float64(step as f64);
        recovered.writer.append(id, Sample::new(Timestamp(now.0 - 5), late.clone()), false);
        expected.push((now.0 - 5, 0, late));
        recovered.writer.commit();
        recovered.keeper.write_log().unwrap();
        recovered.keeper.sync_log().unwrap();
        if step % 5 == 4 {
            let frozen = recovered.writer.freeze().unwrap();
            recovered.keeper.flush(frozen).unwrap();
        }
        if step % 9 == 8 {
            drop(recovered);
            recovered = open(opening(&disk, &clock)).unwrap();
        }
    }
    expected.sort_by_key(|(time, rank, _)| (*time, *rank));
    let found = all(&recovered, &name, TimeRange::ALL);
    let found: Vec<_> = found.into_iter().map(|s| (s.time.0, s.value)).collect();
    let expected: Vec<_> = expected.into_iter().map(|(t, _, v)| (t, v)).collect();
    assert_eq!(found.len(), expected.len());
    assert_eq!(found, expected);
    assert!(recovered.shared.view().partitions.weeks().len() == 2);
}
