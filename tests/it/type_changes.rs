//! Type, length and enum states change at any time: every sample comes back bit-equal.

use crate::readings::{any_type, reading};
use disk::sim::{Random, SimDisk};
use engine::clock::ManualClock;
use engine::identity::ArchiveId;
use engine::read::{Archive, Merge, Scan};
use engine::recovery::{Opening, Recovered, open};
use engine::{LiveArchive, Outcome, StorageSettings};
use sample::{ChannelName, Metadata, Sample, TimeRange, Timestamp, ValueType};
use std::sync::Arc;
use std::time::Instant;

const SEQUENCES: usize = 10_000;
/// Sequences of one archive: each is a channel.
const CHANNELS: usize = 100;
const MONDAY: i64 = 1_794_787_200_000_000_000;

/// What one channel was given.
#[derive(Default)]
struct Truth {
    samples: Vec<Sample>,
    metadata: Vec<(Timestamp, Metadata)>,
    value_type: Option<ValueType>,
}

fn opening(disk: &SimDisk, clock: &ManualClock) -> Opening {
    Opening {
        disk: Arc::new(disk.clone()),
        clock: Arc::new(clock.clone()),
        directory: "/archive".into(),
        create: true,
        pinned: None,
        fresh_id: Some(ArchiveId(1)),
        settings: StorageSettings { segment_bytes: 1 << 16, reserve_bytes: 0, ..StorageSettings::default() },
    }
}

fn name(channel: usize) -> ChannelName {
    ChannelName::stored(&format!("C{channel}")).unwrap()
}

/// Gives each channel some samples, a change of type or of enum states now and then.
fn receive(recovered: &mut Recovered, truths: &mut [Truth], random: &mut Random, now: Timestamp) {
    let now = recovered.writer.at(now);
    for (channel, truth) in truths.iter_mut().enumerate() {
        let id = recovered.writer.register(&name(channel));
        if random.one_in(3) {
            let states = (0..random.below(4)).map(|i| format!("{channel} {i}").into_bytes().into()).collect();
            let metadata = Metadata { states: Some(states), ..Metadata::default() };
            recovered.writer.metadata(id, now, metadata.clone());
            if truth.metadata.last().is_none_or(|(_, known)| *known != metadata) {
                truth.metadata.push((now, metadata));
            }
        }
        for at in 0..random.below(5) as i64 {
            if truth.value_type.is_none() || random.one_in(2) {
                truth.value_type = Some(any_type(random));
            }
            let Some(value_type) = truth.value_type else { continue };
            let sample = reading(random, value_type, Timestamp(now.0 + at));
            assert_eq!(recovered.writer.append(id, sample.clone(), false), Outcome::Stored);
            truth.samples.push(sample);
        }
    }
    recovered.writer.commit();
}

fn check(recovered: &Recovered, truths: &[Truth], seed: u64) {
    let archive = LiveArchive::new(recovered.shared.clone());
    for (channel, truth) in truths.iter().enumerate() {
        let snapshot = archive.snapshot(&name(channel), TimeRange::ALL).unwrap().unwrap();
        let mut found: Vec<Sample> = Vec::new();
        for block in Merge::new(&snapshot.runs, Scan::ascending(TimeRange::ALL)) {
            let block = block.unwrap();
            for at in 0..block.len() {
                let sample = block.get(at);
                assert_eq!(sample.run_type(), block.run, "a segment of one type, seed {seed}");
                found.push(sample);
            }
        }
        assert_eq!(found, truth.samples, "seed {seed}, channel {channel}");
        let metadata: Vec<(Timestamp, Metadata)> =
            snapshot.metadata.iter().map(|(time, metadata)| (*time, (**metadata).clone())).collect();
        assert_eq!(metadata, truth.metadata, "seed {seed}, channel {channel}");
    }
}

/// An archive whose channels change at random, through memtable, log, flush and restart.
fn sequences(seed: u64) -> usize {
    let mut random = Random::new(seed);
    let disk = SimDisk::new(seed);
    let mut now = MONDAY - 3_600_000_000_000;
    let clock = ManualClock::new(Timestamp(now));
    let mut truths: Vec<Truth> = (0..CHANNELS).map(|_| Truth::default()).collect();
    let mut recovered = open(opening(&disk, &clock)).unwrap();
    for _ in 0..8 {
        now += 1_000_000_000 + random.below(3_600_000_000_000) as i64;
        clock.set(Timestamp(now));
        receive(&mut recovered, &mut truths, &mut random, Timestamp(now));
        recovered.keeper.write_log().unwrap();
        if random.one_in(3) {
            let frozen = recovered.writer.freeze().unwrap();
            recovered.keeper.flush(frozen).unwrap();
        }
        if random.one_in(4) {
            recovered.keeper.sync_log().unwrap();
            drop(recovered);
            recovered = open(opening(&disk, &clock)).unwrap();
        }
    }
    check(&recovered, &truths, seed);
    truths.iter().map(|truth| truth.samples.len()).sum()
}

#[test]
fn every_sample_of_changing_channels_comes_back_bit_equal() {
    let begin = Instant::now();
    let samples: usize = (0..(SEQUENCES / CHANNELS) as u64).map(sequences).sum();
    println!("{SEQUENCES} sequences, {samples} samples in {:.1} s", begin.elapsed().as_secs_f64());
}
