//! What merged tables hold is what their parts held.

use super::*;
use crate::manifest::TableEntry;
use crate::read::{Merge, Run, Scan};
use crate::table_run::TableRun;
use disk::{Disk, SimDisk};
use proptest::collection::vec;
use proptest::prelude::*;
use sample::{
    ChannelName, Event, EventKind, Kind, Metadata, RunType, Sample, SampleBlock, Severity, TimeRange,
    Timestamp, Value, ValueType, Week,
};
use sstable::{
    Archiving, BlockCache, CarriedSample, CarryIn, ChannelChange, ChannelRecord, Key, NewestReading,
    TableInfo, TableKind,
};
use std::path::PathBuf;
use std::sync::Arc;

fn path(number: u64) -> PathBuf {
    PathBuf::from(format!("/{number}.sst"))
}

fn writer(disk: &SimDisk, number: u64) -> TableWriter {
    let info = TableInfo {
        archive: 1,
        table: number,
        week: Week(2900),
        class: 0,
        class_name: "default".into(),
        kind: TableKind::Raw,
        known_until: Timestamp(number.cast_signed()),
        tier: 0,
    };
    TableWriter::create(disk, &path(number), &info).unwrap()
}

fn open(disk: &SimDisk, number: u64) -> Table {
    Table::open(disk, &path(number), &BlockCache::new(1 << 20)).unwrap()
}

fn row(channel: u64) -> DictionaryRow {
    DictionaryRow::new(ChannelId(channel), ChannelName::stored(&format!("C{channel}")).unwrap())
}

/// `count` samples from `start`, a step apart, of one of three kinds.
fn block(start: i64, step: i64, count: usize, rank: u32, kind: u8) -> SampleBlock {
    let value = |i: usize| match kind {
        0 => Value::Float64((i as f64 * 0.37).sin()),
        1 => Value::Int32(i as i32 * 7),
        _ => Value::text(&format!("text {}", i % 7)),
    };
    let mut block = SampleBlock::new(RunType::plain(value(0).value_type()));
    for i in 0..count {
        let jitter = (i as i64 * 7919) % 1009;
        let mut sample = Sample::new(Timestamp(start + i as i64 * step + jitter), value(i));
        (sample.rank, sample.severity) = (rank, [Severity::NoAlarm, Severity::Major][i % 2]);
        assert!(block.push(&sample));
    }
    block
}

/// Writes tables 1, 2 .. of the parts given: channel, samples, whether late.
fn write(disk: &SimDisk, tables: &[Vec<(u64, SampleBlock, bool)>]) -> Vec<Table> {
    (1..)
        .zip(tables)
        .map(|(number, parts)| {
            let mut parts: Vec<_> = parts.iter().collect();
            parts.sort_by_key(|(channel, block, _)| (*channel, block.position(0)));
            let mut writer = writer(disk, number);
            for (channel, block, late) in &parts {
                writer.add_samples(ChannelId(*channel), block, *late).unwrap();
            }
            parts.dedup_by_key(|(channel, ..)| *channel);
            writer.finish(parts.iter().map(|(channel, ..)| row(*channel))).unwrap();
            open(disk, number)
        })
        .collect()
}

fn merged(disk: &SimDisk, inputs: &[Table], number: u64) -> Table {
    join(inputs, writer(disk, number), &|| false).unwrap().unwrap();
    let found = sstable::verify(disk, &path(number), true).unwrap();
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    open(disk, number)
}

fn entry_of(table: &Table) -> TableEntry {
    let info = table.info();
    TableEntry {
        id: info.table,
        week: info.week,
        generation: 1,
        class: 0,
        decimated: false,
        holds_carry_in: false,
        late: table.summary().late_chunks > 0,
        len: table.summary().len,
        footer_crc: table.summary().footer_crc,
        samples_span: table.summary().span,
        channels: table.summary().channels,
        samples: table.summary().samples,
        value_bytes: 0,
        channel_span: (ChannelId(0), ChannelId(9)),
        sequence_span: (0, 0),
        tier: info.tier,
        sealed: false,
        beside: false,
        sources: Vec::new(),
    }
}

/// What readers see of a channel.
fn read(tables: Vec<Arc<Table>>, channel: u64) -> Vec<Sample> {
    let damage = Arc::default();
    let runs = tables.into_iter().flat_map(|table| {
        [false, true].map(|late| {
            Arc::new(TableRun::new(table.clone(), &entry_of(&table), ChannelId(channel), late, &damage))
                as Arc<dyn Run>
        })
    });
    let runs: Vec<_> = runs.collect();
    let blocks = Merge::new(&runs, Scan::ascending(TimeRange::ALL));
    blocks.map(Result::unwrap).flat_map(|b| (0..b.len()).map(|i| b.get(i)).collect::<Vec<_>>()).collect()
}

fn headers(table: &Table, channel: u64) -> Vec<sstable::ChunkHeader> {
    let entries = table.entries(Key::SAMPLES, ChannelId(channel), TimeRange::ALL);
    entries.map(|entry| table.chunk_header(&entry.unwrap()).unwrap()).collect()
}

#[test]
fn small_chunks_are_joined_to_full_ones_and_large_ones_copied_byte_for_byte() {
    let disk = SimDisk::new(1);
    let second = 1_000_000_000;
    let small = |table: i64| (1, block(table * 500 * second, second, 500, 0, 0), false);
    let large = |table: i64, channel| (channel, block(table * 5000 * second, second, 5000, 0, 0), false);
    let tables: Vec<_> = (0..20).map(|t| vec![small(t), large(t, 2), large(t, 3)]).collect();
    let inputs = write(&disk, &tables);
    let joined = merged(&disk, &inputs, 100);
    let counts =
        |channel| headers(&joined, channel).iter().map(sstable::ChunkHeader::count).collect::<Vec<_>>();
    assert_eq!(counts(1), [8192, 20 * 500 - 8192]);
    assert_eq!((counts(2), counts(3)), (vec![5000; 20], vec![5000; 20]));
    for channel in [2, 3] {
        let copies = joined.entries(Key::SAMPLES, ChannelId(channel), TimeRange::ALL);
        for (copy, input) in copies.zip(&inputs) {
            let original =
                input.entries(Key::SAMPLES, ChannelId(channel), TimeRange::ALL).next().unwrap().unwrap();
            assert_eq!(joined.payload(&copy.unwrap()).unwrap(), input.payload(&original).unwrap());
        }
    }
    // The stamps of channel 3 are those of channel 2, before and after.
    assert!(
        headers(&joined, 3).iter().all(|h| h.time_reference().is_some_and(|r| r.channel == ChannelId(2)))
    );
}

#[test]
fn stamps_of_a_chunk_that_was_not_copied_are_written_out() {
    let disk = SimDisk::new(1);
    let times = |kind| block(1000, 1_000_000, 4500, 0, kind);
    // A late run reaches into the chunk that holds the stamps: it is decoded and cut.
    let twin = block(1000 + 2000 * 1_000_000, 1_000_000, 10, 1 << 31, 0);
    let tables = [vec![(1, times(0), false), (2, times(1), false)], vec![(1, twin, false)]];
    let inputs = write(&disk, &tables);
    assert!(headers(&inputs[0], 2)[0].time_reference().is_some());
    let joined = merged(&disk, &inputs, 100);
    assert_eq!(headers(&joined, 2)[0].time_reference(), None);
    assert_eq!(read(vec![Arc::new(joined)], 2).len(), 4500);
}

#[test]
fn late_runs_stay_apart_and_arrays_are_cut_where_late_chunks_fit_between() {
    let disk = SimDisk::new(1);
    let array = |time: i64| {
        let values = sample::Column::UInt8((0..400_000).map(|i| (i * time) as u8).collect());
        Sample::new(Timestamp(time), Value::Array(Box::new(values)))
    };
    let arrays = |times: std::ops::Range<i64>, rank: u32| {
        let mut block = SampleBlock::new(RunType::plain(ValueType::array(Kind::UInt8)));
        times.step_by(10).for_each(|time| assert!(block.push(&Sample { rank, ..array(time) })));
        block
    };
    let tables = [
        vec![(1, arrays(0..40, 0), false)],
        vec![(1, arrays(40..80, 0), false), (1, arrays(5..35, 1 << 31), true)],
        vec![(1, arrays(3..30, 1 << 31 | 1), true)],
    ];
    let inputs = write(&disk, &tables);
    let joined = Arc::new(merged(&disk, &inputs, 100));
    let inputs: Vec<_> = inputs.into_iter().map(Arc::new).collect();
    assert_eq!(read(vec![joined.clone()], 1), read(inputs, 1));
    assert_eq!(joined.summary().late_chunks, 3);
}

#[test]
fn a_stop_is_heeded_and_leaves_no_footer() {
    let disk = SimDisk::new(1);
    let inputs = write(
        &disk,
        &[vec![(1, block(0, 2000, 9, 0, 0), false)], vec![(1, block(99_999, 2000, 9, 0, 0), false)]],
    );
    assert_eq!(join(&inputs, writer(&disk, 9), &|| true).unwrap(), None);
    assert!(Table::open(&disk, &path(9), &BlockCache::new(0)).is_err());
}

#[test]
fn damage_of_a_part_is_named_and_never_copied() {
    let second = 1_000_000_000;
    let tables = |count| {
        (0..2).map(|t| vec![(1, block(t * 9000 * second, second, count, 0, 0), false)]).collect::<Vec<_>>()
    };
    for count in [100, 6000] {
        let disk = SimDisk::new(1);
        let inputs = write(&disk, &tables(count));
        let entry = inputs[1].all_entries().next().unwrap().unwrap();
        let content = disk.content(&path(2)).unwrap();
        // Each byte of the first block, and some of each thereafter.
        let block = entry.locator.offset..entry.locator.offset + entry.locator.len;
        for at in block.clone().step_by(97).chain(block.start..block.start + 40) {
            let mut bytes = content.clone();
            bytes[at as usize] ^= 0x10;
            disk.plant(&path(2), &bytes).unwrap();
            let inputs = [open(&disk, 1), open(&disk, 2)];
            let error = join(&inputs, writer(&disk, 9), &|| false);
            disk.remove(&path(9)).unwrap();
            // A header of a chunk block is repeated in the index: nobody reads it, so nothing is lost by it.
            if count == 6000 && at < entry.locator.offset + 32 {
                continue;
            }
            match error {
                Err(FormatError::Corrupt { path: of, offset, .. }) => {
                    assert_eq!(of, path(2));
                    assert!(block.contains(&offset), "{offset} not in {block:?}");
                }
                other => panic!("byte {at}: {other:?}"),
            }
        }
        disk.plant(&path(2), &content).unwrap();
    }
}

#[test]
fn a_channel_that_the_dictionary_lacks_is_damage_not_loss() {
    let disk = SimDisk::new(1);
    let mut with_record = writer(&disk, 1);
    with_record.add_record(Key::new(Key::EVENTS, ChannelId(5), 0), Timestamp(0), Vec::new()).unwrap();
    with_record.add_record(Key::new(77, ChannelId(5), 0), Timestamp(0), Vec::new()).unwrap();
    with_record.add_record(Key::new(77, ChannelId(5), 0), Timestamp(0), Vec::new()).unwrap();
    with_record.finish([row(5)]).unwrap();
    let error = join(&[open(&disk, 1)], writer(&disk, 9), &|| false).unwrap_err();
    assert!(error.to_string().contains("rate 77"), "{error}");
}

#[test]
fn records_are_joined_in_order() {
    let disk = SimDisk::new(1);
    let event = |sequence: u64, time| Event { time: Timestamp(time), sequence, kind: EventKind::Started };
    let units = |text: &str| Metadata { units: Some(text.as_bytes().into()), ..Metadata::default() };
    let carried = |time, value: f64| {
        let sample = Sample::new(Timestamp(time), Value::Float64(value));
        Some(CarriedSample::Here(Box::new(sample)))
    };
    let base = CarryIn {
        sample: carried(1, 1.0),
        archiving: Some((Archiving::Started, Timestamp(3))),
        last_sequence: 9,
        ..CarryIn::default()
    };
    let carry_ins = [
        base.clone(),
        CarryIn { sample: carried(5, 5.0), ..CarryIn::default() },
        CarryIn { sample: carried(3, 3.0), ..CarryIn::default() },
    ];
    let named = |time, text: &str| ChannelRecord {
        time: Timestamp(time),
        change: ChannelChange::Retention(text.into()),
    };
    let mut inputs = Vec::new();
    for (number, carry_in) in (1u64..).zip(&carry_ins) {
        let at = number.cast_signed() * 10;
        let mut writer = writer(&disk, number);
        let events = [event(number * 2, at + 5), event(number * 2 + 1, at), event(100, 7)];
        let add = |writer: &mut TableWriter, rate, first, last, payload| {
            writer.add_record(Key::new(rate, ChannelId(1), first), Timestamp(last), payload).unwrap();
        };
        add(&mut writer, Key::EVENTS, 7, at + 5, sstable::encode_events(&events).unwrap());
        let metadata = [(Timestamp(at), units(&number.to_string()))];
        add(&mut writer, Key::METADATA, at, at, sstable::encode_metadata(&metadata));
        add(&mut writer, Key::CARRY_IN, 0, 0, sstable::encode_carry_in(ChannelId(1), carry_in).unwrap());
        add(&mut writer, Key::CHANNELS, at, at, sstable::encode_channel_records(&[named(at, "x")]));
        writer.finish([row(1)]).unwrap();
        inputs.push(open(&disk, number));
    }
    let joined = merged(&disk, &inputs, 100);
    let payload = |rate| {
        let mut found = joined.entries(rate, ChannelId(1), TimeRange::ALL);
        let payload = joined.payload(&found.next().unwrap().unwrap()).unwrap();
        assert!(found.next().is_none());
        payload
    };
    let events = sstable::decode_events(&payload(Key::EVENTS)).unwrap();
    assert_eq!(events.iter().map(|e| e.sequence).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7, 100]);
    let metadata = sstable::decode_metadata(&payload(Key::METADATA)).unwrap();
    assert_eq!(metadata.iter().map(|(time, _)| time.0).collect::<Vec<_>>(), [10, 20, 30]);
    let carry_in = sstable::decode_carry_in(&payload(Key::CARRY_IN)).unwrap();
    assert_eq!(carry_in, CarryIn { sample: carried(5, 5.0), ..base });
    assert_eq!(sstable::decode_channel_records(&payload(Key::CHANNELS)).unwrap().len(), 3);
}

#[test]
fn records_too_large_for_one_stay_several() {
    let disk = SimDisk::new(1);
    let events = |first: u64| -> Vec<Event> {
        let host: Box<str> = "h".repeat(1000).into();
        let at = |sequence| Event {
            time: Timestamp(sequence as i64),
            sequence,
            kind: EventKind::Connected { host: host.clone() },
        };
        (first..first + 700).map(at).collect()
    };
    let mut inputs = Vec::new();
    for number in 1..=3 {
        let mut writer = writer(&disk, number);
        let events = events(number * 1000);
        let key = Key::new(Key::EVENTS, ChannelId(1), events[0].time.0);
        writer.add_record(key, events[699].time, sstable::encode_events(&events).unwrap()).unwrap();
        writer.finish([row(1)]).unwrap();
        inputs.push(open(&disk, number));
    }
    let joined = merged(&disk, &inputs, 100);
    assert_eq!(joined.all_entries().count(), 3);
}

#[test]
fn rows_tell_what_the_newest_one_told() {
    let disk = SimDisk::new(1);
    let newest =
        |time, rank| Some(NewestReading { time: Timestamp(time), rank, fingerprint: u64::from(rank) });
    let units = |text: &str| Metadata { units: Some(text.as_bytes().into()), ..Metadata::default() };
    let rows = [
        DictionaryRow {
            newest: newest(5, 1),
            next_late_rank: 3,
            metadata: Some((Timestamp(4), units("A"))),
            first_sample: Some((Timestamp(1), 2)),
            ..row(1)
        },
        DictionaryRow { newest: newest(5, 0), archiving: Some((Archiving::Paused, Timestamp(2))), ..row(1) },
    ];
    let mut inputs = Vec::new();
    for (number, row) in (1..).zip(&rows) {
        let writer = writer(&disk, number);
        writer.finish([row.clone()]).unwrap();
        inputs.push(open(&disk, number));
    }
    let expected =
        DictionaryRow { archiving: Some((Archiving::Paused, Timestamp(2))), as_of: 2, ..rows[0].clone() };
    let joined = merged(&disk, &inputs, 100);
    assert_eq!(joined.dictionary().map(Result::unwrap).collect::<Vec<_>>(), std::slice::from_ref(&expected));
    // Merged again, in whatever order: what is told stays as old as it is.
    let again = merged(&disk, &[joined, open(&disk, 1)], 101);
    assert_eq!(again.dictionary().map(Result::unwrap).collect::<Vec<_>>(), [expected]);
}

/// Parts of tables: for each table and channel some blocks by start, step, count, kind.
fn any_parts() -> impl Strategy<Value = Vec<Vec<(u64, SampleBlock, bool)>>> {
    let blocks = vec((0u64..4, 0i64..3000, 1i64..40, 1usize..60, 0u8..3, 0u8..4), 1..6);
    let large = (0u64..2, 0i64..60_000, 10i64..12, 4000usize..6000, 0u8..2, Just(1u8));
    vec((blocks, proptest::option::weighted(0.3, large)), 2..5).prop_map(|tables| {
        let mut late_rank = 1 << 31;
        let mut ends = [0i64; 4];
        let each = tables.into_iter().map(|(blocks, large)| {
            let mut late_ends = [i64::MIN; 4];
            let mut parts: Vec<(u64, SampleBlock, bool)> = Vec::new();
            for (channel, start, step, count, kind, late) in blocks.into_iter().chain(large) {
                let at = &mut ends[channel as usize];
                let step = step * 2000;
                let is_late = late == 0 && start * 2000 > late_ends[channel as usize];
                if is_late {
                    late_rank += 1;
                    let block = block(start * 2000, step, count, late_rank, kind);
                    late_ends[channel as usize] = block.last().0;
                    parts.push((channel, block, true));
                } else {
                    let block = block(*at + start, step, count, 0, kind);
                    *at = block.last().0 + 1;
                    parts.push((channel, block, false));
                }
            }
            // Late samples of one table never reach into each other.
            parts.sort_by_key(|(channel, block, late)| (*channel, *late, block.position(0)));
            parts
        });
        each.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_read_stays_the_same(tables in any_parts(), twin in any::<proptest::sample::Index>()) {
        let disk = SimDisk::new(1);
        let mut tables = tables;
        // Some samples stand in two tables: they are the same samples.
        let twin = tables[twin.index(tables.len())].clone();
        tables.push(twin);
        let inputs = write(&disk, &tables);
        let joined = Arc::new(merged(&disk, &inputs, 100));
        let inputs: Vec<_> = inputs.into_iter().map(Arc::new).collect();
        for channel in 0..4 {
            prop_assert_eq!(read(inputs.clone(), channel), read(vec![joined.clone()], channel));
        }
    }

    #[test]
    fn any_cut_of_neighbours_gives_the_same(tables in any_parts()) {
        let disk = SimDisk::new(1);
        let inputs = write(&disk, &tables);
        let whole = merged(&disk, &inputs, 100);
        let first = merged(&disk, &inputs[..2], 101);
        let rest: Vec<Table> = std::iter::once(first).chain((3..=tables.len() as u64).map(|n| open(&disk, n))).collect();
        let twice = merged(&disk, &rest, 102);
        for channel in 0..4 {
            let of = |number| read(vec![Arc::new(open(&disk, number))], channel);
            prop_assert_eq!(of(100), of(102));
        }
        prop_assert_eq!(whole.summary().samples, twice.summary().samples);
    }
}
