//! What one cold hour of a sealed, indexed archive of a thousand channels reads.

use crate::rig::{DAY, HOUR, MINUTE, MONDAY, Rig, SECOND, WEEK, name, reader_of, samples_of};
use disk::{CountedRead, CountingDisk, stretches};
use engine::recovery::{Opening, open};
use engine::{SealStep, StorageSettings};
use sample::{Event, EventKind, Metadata, Sample, TimeRange, Timestamp, Value, Week};
use std::sync::Arc;

const CHANNELS: usize = 1_000;
/// Channels of which an hour is asked for: place among all, name, time between two samples.
const ASKED: [(usize, &str, i64); 4] = [
    (0, "EVERY8S", 8 * SECOND),
    (500, "EVERY20S", 20 * SECOND),
    (501, "EVERY10M", 10 * MINUTE),
    (999, "EVERY60S", MINUTE),
];
const WEEKS: i64 = 4;
/// This one begins with a restart, then all channels lose their connection and come back with other metadata.
const EVENTFUL: i64 = 1;
/// Where the hours begin, inside a week.
const INSIDE: [i64; 6] =
    [4 * SECOND, 7 * HOUR, 2 * DAY + 5 * MINUTE, 3 * DAY - HOUR / 2, 5 * DAY, 7 * DAY - 2 * HOUR];
const PAGE_BYTES: u64 = 16 << 10;

/// Name and time between two samples of each channel.
fn channels() -> Vec<(String, i64)> {
    let slow = |at| (format!("SLOW:{at}"), 6 * HOUR);
    let asked = |at| ASKED.iter().find(|asked| asked.0 == at);
    let of = |at| asked(at).map_or_else(|| slow(at), |(_, name, step)| ((*name).to_string(), *step));
    (0..CHANNELS).map(of).collect()
}

/// Weeks of samples, all of them sealed and indexed.
fn filled() -> Rig {
    let (mut rig, channels) = (Rig::new(1, MONDAY), channels());
    rig.settings = StorageSettings { memtable_bytes: 256 << 20, log_buffer_bytes: 256 << 20, ..rig.settings };
    rig.open();
    for week in 0..WEEKS {
        if week == EVENTFUL {
            rig.restart(MINUTE);
        }
        let begin = MONDAY + week * WEEK;
        // The last minute goes to the restart.
        let end = if week + 1 == EVENTFUL { WEEK - MINUTE } else { WEEK };
        for inside in (0..end).step_by(MINUTE as usize) {
            rig.clock.set(Timestamp(begin + inside + MINUTE));
            arrive(&mut rig, &channels, week, inside);
        }
        rig.flush();
    }
    rig.advance(2 * WEEK);
    for week in 0..WEEKS {
        let week = Week(Week::containing(Timestamp(MONDAY)).0 + week as i32);
        while !matches!(rig.keeper().seal_week(week, &|| false).unwrap(), SealStep::Sealed(_)) {}
    }
    while rig.keeper().index(&|| false).unwrap() {}
    rig.close();
    rig
}

/// What a minute brings that begins `inside` a week; the first behind a start finds all channels.
fn arrive(rig: &mut Rig, channels: &[(String, i64)], week: i64, inside: i64) {
    let (from, opening) = (MONDAY + week * WEEK + inside, week <= EVENTFUL && inside == 0);
    let writer = &mut rig.ingest().writer;
    writer.at(Timestamp(from + MINUTE));
    for (text, step) in channels {
        let first = from + (-from).rem_euclid(*step);
        let breaks = week == EVENTFUL && inside == 3 * DAY;
        if !(first < from + MINUTE || opening || breaks) {
            continue;
        }
        let id = writer.register(&name(text));
        let now = Timestamp(from);
        if opening {
            writer.event(id, now, EventKind::Started);
            writer.metadata(id, now, metadata(week));
            writer.event(id, now, EventKind::Connected { host: "ioc:5064".into() });
        }
        if breaks {
            writer.event(id, now, EventKind::Disconnected { last_heard: Timestamp(from - SECOND) });
            writer.metadata(id, now, metadata(WEEKS));
            writer.event(id, now, EventKind::Connected { host: "ioc:5064".into() });
        }
        for time in (first..from + MINUTE).step_by(*step as usize) {
            writer.append(id, Sample::new(Timestamp(time), Value::Float64(value(time))), opening);
        }
    }
    writer.heartbeat();
    writer.commit();
}

/// Noise that takes about two bytes.
fn value(time: i64) -> f64 {
    let mixed = ((time / SECOND) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    f64::from((mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) as u32 >> 16) / 1e3
}

fn metadata(number: i64) -> Metadata {
    Metadata { units: Some(format!("unit {number}").into_bytes().into()), ..Metadata::default() }
}

/// What was read for an answer.
#[derive(Debug)]
struct Cost {
    index_pages: usize,
    stretches: usize,
    bytes: u64,
}

/// Reads of index pages, footers apart, and stretches of tables.
fn cost(rig: &Rig, reads: Vec<CountedRead>) -> Cost {
    let mut cost = Cost { index_pages: 0, stretches: 0, bytes: 0 };
    let mut of_tables = Vec::new();
    for read in reads {
        if read.path.extension().is_some_and(|ending| ending == "index") {
            let len = rig.disk.content(&read.path).unwrap().len() as u64;
            let opens = read.offset == 0 || read.offset + PAGE_BYTES == len;
            cost.index_pages += usize::from(!opens);
            cost.bytes += if opens { 0 } else { read.bytes };
            continue;
        }
        cost.bytes += read.bytes;
        of_tables.push(read);
    }
    cost.stretches = stretches(of_tables).len();
    cost
}

/// Asks for an hour as the first of its week, after one of another week.
fn ask(rig: &Rig, channel: &str, from: i64) -> (Cost, Vec<Sample>, Option<Sample>, Vec<Event>) {
    let disk = CountingDisk::new(Arc::new(rig.disk.copy()));
    let recovered = open(Opening { disk: Arc::new(disk.clone()), ..rig.opening() }).unwrap();
    let reader = reader_of(&recovered.shared);
    let answer = |from: i64| {
        let range = TimeRange::new(Timestamp(from), Timestamp(from + HOUR));
        let view = reader.view(&name(channel), range).unwrap().unwrap();
        let edge = view.last_before(range.from, false).unwrap();
        let samples = samples_of(&view, range);
        assert!(view.problems().is_empty());
        assert!(view.metadata_at(range.from).is_some() && !view.coverage(range).intervals.is_empty());
        (samples, edge, view.events(range))
    };
    answer(MONDAY + 3 * WEEK + 5 * DAY);
    disk.take();
    let (samples, edge, events) = answer(from);
    (cost(rig, disk.take()), samples, edge, events)
}

#[test]
fn a_cold_hour_reads_few_index_pages_and_stretches() {
    let rig = filled();
    let (stored, samples) = {
        let recovered = open(rig.opening()).unwrap();
        let view = recovered.shared.view();
        let tables = || view.manifest.tables.iter().filter(|table| !table.decimated);
        assert!(tables().all(|table| table.sealed) && view.manifest.partition_indexes.len() as i64 >= WEEKS);
        (tables().map(|t| t.len).sum::<u64>(), tables().map(|t| t.samples).sum::<u64>())
    };
    for (_, channel, step) in ASKED {
        let own = (stored as f64 / samples as f64 * (HOUR / step) as f64) as u64;
        for (week, inside) in (0..WEEKS - 1).flat_map(|week| INSIDE.map(|inside| (week, inside))) {
            let from = MONDAY + week * WEEK + inside + 1;
            let (cost, samples, edge, events) = ask(&rig, channel, from);
            let case = format!("{channel}, week {week}, minute {}: {cost:?}", inside / MINUTE);
            let times: Vec<i64> = samples.iter().map(|sample| sample.time.0).collect();
            let first = from + (-from).rem_euclid(step);
            let expected: Vec<i64> = (first..from + HOUR).step_by(step as usize).collect();
            assert_eq!(times, expected, "{case}");
            // Behind the restart nothing came in the last minute of the week.
            let is_known = week == EVENTFUL && inside < HOUR;
            assert!(is_known || edge.is_some_and(|edge| edge.time.0 == first - step), "{case}");
            let breaks = week == EVENTFUL && inside == 3 * DAY - HOUR / 2;
            assert_eq!(events.len(), if breaks { 2 } else { 0 }, "{case}: {events:?}");
            // A carry-in, which tells of events and metadata, and the samples.
            assert!(cost.stretches <= 2, "{case}");
            let large = step < 10 * MINUTE;
            assert!(cost.index_pages <= if large { 0 } else { 2 }, "{case}");
            assert!(cost.bytes <= 2 * own + (64 << 10), "{case}");
        }
    }
}
