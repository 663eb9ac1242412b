//! What a flush plans is what it then writes.

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::recovery::{Opening, open};
use crate::shared::StorageSettings;
use crate::table_contents::chunks;
use crate::writer::Outcome;
use disk::SimDisk;
use proptest::collection::vec;
use proptest::prelude::*;
use sample::{ChannelName, Value};
use sstable::ChannelChange;

/// Monday 2026-11-16.
const MONDAY: i64 = 1_794_787_200_000_000_000;
const HOUR: i64 = 3_600_000_000_000;

/// What happens to a channel.
#[derive(Clone, Debug)]
enum Act {
    /// A sample so many hours after the Monday, of one of three kinds; perhaps the first since a connect.
    Sample(i64, u8, bool),
    Event,
    Class(u8),
}

fn act() -> impl Strategy<Value = (usize, Act)> {
    let sample = (-100i64..260, 0u8..3, any::<bool>());
    let act = prop_oneof![
        12 => sample.prop_map(|(hour, kind, first)| Act::Sample(hour, kind, first)),
        2 => Just(Act::Event),
        1 => (0u8..2).prop_map(Act::Class),
    ];
    (0usize..4, act)
}

fn value(kind: u8, at: usize) -> Value {
    match kind {
        0 => Value::Float64(at as f64),
        1 => Value::Int16(at as i16),
        _ => Value::text(&"text".repeat(at % 5)),
    }
}

fn sections(contents: &impl Contents, share: Share) -> ChannelPart {
    let part = |section| contents.part(share.channel, section).unwrap();
    for section in [Section::Samples, Section::Events, Section::Metadata, Section::CarryIn, Section::Records]
    {
        let there = share.has(section) || section == Section::CarryIn;
        assert!(there || is_empty(&part(section)), "a section that was not planned");
        assert!(!share.has(section) || !is_empty(&part(section)), "a section that is planned and empty");
    }
    ChannelPart {
        events: part(Section::Events).events,
        records: part(Section::Records).records,
        ..part(Section::Samples)
    }
}

fn is_empty(part: &ChannelPart) -> bool {
    part.blocks.is_empty()
        && part.events.is_empty()
        && part.metadata.is_empty()
        && part.records.is_empty()
        && part.carry_in.is_none()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_table_gets_what_was_planned_for_it(acts in vec(act(), 1..300), freezes in vec(0usize..300, 0..2)) {
        let clock = ManualClock::new(Timestamp(MONDAY + 200 * HOUR));
        let opening = Opening {
            disk: Arc::new(SimDisk::new(1)),
            clock: Arc::new(clock.clone()),
            directory: "/archive".into(),
            create: true,
            pinned: None,
            fresh_id: None,
            settings: StorageSettings { late_limit_ns: i64::MAX, ..StorageSettings::default() },
        };
        let recovered = open(opening).unwrap();
        let (shared, mut writer) = (recovered.shared, recovered.writer);
        writer.at(clock.now());
        let names = ["A", "B", "C", "D"].map(|name| ChannelName::stored(name).unwrap());
        let ids = names.map(|name| writer.register(&name));
        let (mut samples, mut values, mut events) = (0u64, 0u64, 0usize);
        for (at, (channel, act)) in acts.into_iter().enumerate() {
            match act {
                Act::Sample(hour, kind, first) => {
                    let value = value(kind, at);
                    let bytes = value.byte_len() as u64;
                    let sample = Sample::new(Timestamp(MONDAY + hour * HOUR), value);
                    if writer.append(ids[channel], sample, first) == Outcome::Stored {
                        (samples, values) = (samples + 1, values + bytes);
                    }
                }
                Act::Event => {
                    writer.event(ids[channel], Timestamp(MONDAY + at as i64 * HOUR), EventKind::Started);
                    events += 1;
                }
                Act::Class(class) => {
                    writer.record(ids[channel], ChannelChange::Retention(format!("c{class}").into()));
                }
            }
            if freezes.contains(&at) {
                writer.commit();
                writer.freeze().unwrap();
                writer.at(clock.now());
            }
        }
        writer.commit();
        let frozen = writer.freeze().unwrap();
        let memory = shared.memory.load(std::sync::atomic::Ordering::Relaxed);
        let gathered = gather(&shared, frozen);
        prop_assert_eq!(gathered.memory, memory);
        let (mut planned_samples, mut planned_values, mut planned_events) = (0u64, 0u64, 0usize);
        for ((week, _), planned) in &gathered.tables {
            let contents = gathered.contents(&shared, *week, planned);
            prop_assert!(contents.shares().is_sorted_by(|a, b| a.channel < b.channel));
            let mut sequences = Vec::new();
            let mut bytes = 0;
            for share in contents.shares() {
                let part = sections(&contents, *share);
                bytes += part.blocks.iter().map(|(block, _)| block.values.byte_len() as u64).sum::<u64>();
                for (block, _) in chunks(&part) {
                    planned_samples += block.len() as u64;
                    let now = Week::containing(frozen.at) == *week;
                    prop_assert!(now || Week::containing(block.first()) == *week);
                    prop_assert!(now || Week::containing(block.last()) == *week);
                }
                sequences.extend(part.events.iter().map(|event| event.sequence));
            }
            planned_events += sequences.len();
            planned_values += bytes;
            prop_assert_eq!(contents.value_bytes(), bytes);
            let span = sequences.iter().min().copied().zip(sequences.iter().max().copied());
            prop_assert_eq!(contents.sequences(), span.unwrap_or((0, 0)));
        }
        prop_assert_eq!((planned_samples, planned_values), (samples, values));
        prop_assert!(planned_events >= events);
    }

    #[test]
    fn weeks_cut_a_block_without_a_rest(hours in vec(0i64..2000, 1..60)) {
        let mut hours = hours;
        hours.sort_unstable();
        let mut block = SampleBlock::new(sample::RunType::plain(value(0, 0).value_type()));
        for (rank, hour) in (0..).zip(&hours) {
            let mut sample = Sample::new(Timestamp(MONDAY + hour * HOUR), value(0, 1));
            sample.rank = rank;
            prop_assert!(block.push(&sample));
        }
        let pieces = by_week(&Arc::new(block.clone()));
        let mut joined = SampleBlock::new(block.run.clone());
        for (week, piece) in &pieces {
            prop_assert_eq!((Week::containing(piece.first()), Week::containing(piece.last())), (*week, *week));
            joined.append(piece, 0, piece.len());
        }
        prop_assert!(pieces.is_sorted_by(|a, b| a.0 < b.0));
        prop_assert_eq!(joined, block);
    }
}
