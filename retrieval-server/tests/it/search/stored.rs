//! Conditions over stored samples: memory, tables that overlap, merged, sealed and indexed ones.

use super::{NAMES, Named, Node, Random, condition, encoded, intervals, truth, written};
use crate::ask::json;
use disk::RealDisk;
use engine::clock::ManualClock;
use engine::read::{Member, Reader};
use engine::recovery::{Opening, Recovered, open};
use engine::{LiveArchive, Outcome, SealStep, StorageSettings};
use retrieval_server::{HttpSettings, ServerState};
use sample::{
    ChannelId, ChannelName, EventKind, Metadata, Sample, Severity, Timestamp, Value, WEEK_NS, Week,
};
use std::path::Path;
use std::sync::Arc;

/// Monday 2025-01-06.
const START: i64 = 1_736_121_600_000_000_000;
const WEEKS: i64 = 3;
const END: i64 = START + WEEKS * WEEK_NS;
/// A sealed week has two pages of each channel, a fresh table several.
const STEPS: i64 = WEEKS * 8300;
const STATES: Named =
    [(START, ["Closed", "Open", "a\"b"]), (START + WEEK_NS / 2, ["Open", "Closed", "Closed"])];

/// What a channel does: for long it does the same.
struct Course {
    number: usize,
    level: i64,
    severity: Severity,
    kind: usize,
    restless: bool,
    /// Where the first channel is now and then for a few samples, and how many of them are to come.
    far: i64,
    away: usize,
}

impl Course {
    fn next(&mut self, random: &mut Random) -> (Value, Severity) {
        if random.below(600) == 0 {
            self.level = random.below(9) as i64 - 4;
            self.restless = random.below(4) == 0;
        }
        if random.below(2000) == 0 {
            self.severity = *random.of(&[Severity::NoAlarm, Severity::Minor, Severity::Invalid]);
        }
        if random.below(4000) == 0 {
            self.kind = random.below(4);
        }
        self.away = match self.away.checked_sub(1) {
            None if random.below(6000) == 0 => {
                self.far = *random.of(&[-12, -3, 4, 5, 6, 12]);
                random.below(60)
            }
            left => left.unwrap_or(0),
        };
        let noise = if self.restless { random.below(5) as i64 } else { 0 };
        let value = match (self.number, self.kind) {
            (2, 1) => Value::text(["Open", "Closed"][random.below(2)]),
            (0, _) | (2, 2) if random.below(2500) == 0 => {
                Value::Float64(*random.of(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0]))
            }
            // Hardly twice the same, most often near the middle: sealed chunks are large and have zones.
            (0, _) => {
                let level = if self.away > 0 { self.far } else { self.level.max(0) / 3 };
                let fine = (0..4).map(|_| random.below(225)).sum::<usize>() as i64;
                Value::Float64((10_000 * level + 1000 * noise + fine) as f64 / 10_000.0)
            }
            (2, 2) => Value::Float64(self.level as f64 + 0.1 * noise as f64),
            (1, _) => Value::Enum((self.level.unsigned_abs() as u16 + noise as u16) % 4),
            _ => Value::Int32(self.level as i32 + noise as i32),
        };
        let severity = if random.below(3000) == 0 { Severity::Major } else { self.severity };
        (value, severity)
    }
}

struct Filled {
    recovered: Recovered,
    clock: ManualClock,
    /// Samples of each channel in their order.
    timelines: Vec<Vec<Sample>>,
    /// All their times, each once.
    times: Vec<i64>,
}

fn filled(directory: &Path, random: &mut Random) -> Filled {
    let clock = ManualClock::new(Timestamp(START));
    let mut recovered = open(Opening {
        disk: Arc::new(RealDisk),
        clock: Arc::new(clock.clone()),
        directory: directory.to_path_buf(),
        create: true,
        pinned: None,
        fresh_id: None,
        settings: StorageSettings { merge_fan_in: 3, reserve_bytes: 0, ..StorageSettings::default() },
    })
    .unwrap();
    let writer = &mut recovered.writer;
    writer.at(Timestamp(START));
    let ids: Vec<ChannelId> = NAMES
        .iter()
        .map(|name| {
            let id = writer.register(&ChannelName::stored(name).unwrap());
            writer.event(id, Timestamp(START), EventKind::Started);
            writer.event(id, Timestamp(START), EventKind::Connected { host: "ioc".into() });
            for (from, states) in STATES {
                let states = Some(states.iter().map(|state| state.as_bytes().into()).collect());
                writer.metadata(id, Timestamp(from), Metadata { states, ..Metadata::default() });
            }
            id
        })
        .collect();
    let mut courses: Vec<Course> = (0..3)
        .map(|number| Course {
            number,
            level: 0,
            severity: Severity::NoAlarm,
            kind: 0,
            restless: false,
            far: 0,
            away: 0,
        })
        .collect();
    let mut arrived: Vec<Vec<(bool, Sample)>> = vec![Vec::new(); 3];
    let mut newest = [Timestamp::MIN; 3];
    let mut time = START;
    for step in 0..STEPS {
        time = (time + (END - START) / STEPS - random.below(2) as i64).min(END - 1);
        clock.set(Timestamp(time + 1));
        writer.at(Timestamp(time + 1));
        for (channel, course) in courses.iter_mut().enumerate() {
            for again in 0..=usize::from(random.below(300) == 0) {
                // What is late keeps chunks of its time from being looked into: some have none beside them.
                let disturbed = channel > 0 || step < STEPS / WEEKS;
                let late = again == 0 && step > 10 && random.below(1500) == 0 && disturbed;
                let stamp = if late { time - random.below(3_000_000) as i64 * 100_000_000 } else { time };
                let (value, severity) = course.next(random);
                let mut sample = Sample::new(Timestamp(stamp.max(START)), value);
                sample.severity = severity;
                let late = newest[channel] > sample.time;
                if writer.append(ids[channel], sample.clone(), step == 0) == Outcome::Stored {
                    newest[channel] = newest[channel].max(sample.time);
                    arrived[channel].push((late, sample));
                }
            }
        }
        writer.heartbeat();
        writer.commit();
        if step % 100 == 0 {
            recovered.keeper.write_log().unwrap();
        }
        if random.below(1200) == 0 {
            recovered.keeper.flush(writer.freeze().unwrap()).unwrap();
        }
    }
    let ordered = |mut samples: Vec<(bool, Sample)>| {
        samples.sort_by_key(|(late, sample)| (sample.time, *late));
        samples.into_iter().map(|(_, sample)| sample).collect()
    };
    let timelines: Vec<Vec<Sample>> = arrived.into_iter().map(ordered).collect();
    let mut times: Vec<i64> = timelines.iter().flatten().map(|sample| sample.time.0).collect();
    times.sort_unstable();
    times.dedup();
    Filled { recovered, clock, timelines, times }
}

/// When `node` holds between `from` and `to`, by the newest samples at every time that one has.
fn expected(node: &Node, filled: &Filled, (from, to): (i64, i64)) -> Vec<(i64, i64)> {
    let mut times = filled.times.iter().filter(|time| (from + 1..to).contains(*time));
    let mut next = [0; 3];
    let mut now = [None; 3];
    let mut found: Vec<(i64, i64)> = Vec::new();
    let mut at = Some(&from);
    while let Some(time) = at {
        for ((samples, next), now) in filled.timelines.iter().zip(&mut next).zip(&mut now) {
            while let Some(sample) = samples.get(*next).filter(|sample| sample.time.0 <= *time) {
                (*next, *now) = (*next + 1, Some(sample));
            }
        }
        at = times.next();
        let end = at.copied().unwrap_or(to);
        if truth(node, &now, &STATES) == Some(true) {
            match found.last_mut().filter(|(_, behind)| behind == time) {
                Some((_, behind)) => *behind = end,
                None => found.push((*time, end)),
            }
        }
    }
    found
}

fn check(filled: &Filled, random: &mut Random, conditions: usize, what: &str) {
    let archive = Arc::new(LiveArchive::new(filled.recovered.shared.clone()));
    let member = Member { name: "real".into(), priority: 1, archive };
    let state = ServerState::new(Reader::new(vec![member]), None, HttpSettings::default());
    let mut matched = 0;
    for _ in 0..conditions {
        let node = condition(random, 3);
        let text = written(&node);
        let mut ends =
            [0; 2].map(|_| START + WEEK_NS / 100 + random.below(1_000_000) as i64 * (WEEK_NS / 400_000));
        ends.sort_unstable();
        let [from, to] =
            if random.below(2) == 0 { ends } else { [START + WEEK_NS / 100, END - WEEK_NS / 100] };
        let query = format!("from_ns={from}&to_ns={to}&where={}", encoded(&text));
        let answer = json(&state, "/api/v1/search", &query);
        let all = json(&state, "/api/v1/search", &format!("{query}&statistics=ignore"));
        let wanted = expected(&node, filled, (from, to));
        assert!(intervals(&all) == wanted, "{what}, all read, {from} to {to}: {text}");
        assert!(intervals(&answer) == wanted, "{what}, {from} to {to}: {text}");
        assert_eq!(answer["complete"], true);
        matched += usize::from(!wanted.is_empty());
        if random.below(20) == 0 {
            confined(
                &state,
                &filled.timelines[0],
                &format!("channel=SR%3AA&edge=false&{query}"),
                &wanted,
                (from, to),
            );
        }
    }
    assert!(matched > conditions / 4 && matched < conditions, "{matched} of {conditions}");
}

/// Samples of the first channel where a condition held.
fn confined(
    state: &ServerState,
    samples: &[Sample],
    query: &str,
    held: &[(i64, i64)],
    (from, to): (i64, i64),
) {
    let inside = |time: i64| {
        (from..to).contains(&time) && held.iter().any(|(begin, end)| (*begin..*end).contains(&time))
    };
    let mut wanted: Vec<i64> = samples.iter().map(|s| s.time.0).filter(|time| inside(*time)).collect();
    for order in ["asc", "desc"] {
        let answer = json(state, "/api/v1/samples", &format!("{query}&order={order}"));
        let segments = answer["channels"][0]["segments"].as_array().unwrap();
        let times = segments.iter().flat_map(|segment| segment["time_ns"].as_array().unwrap());
        let times: Vec<i64> = times.map(|time| time.as_i64().unwrap()).collect();
        assert!(times == wanted, "{order} {query}");
        wanted.reverse();
    }
}

/// Whether the header of a chunk tells of parts of its pages.
fn has_zones(recovered: &Recovered) -> bool {
    let view = recovered.shared.view();
    let entries = view.tables.iter().flat_map(|table| table.all_entries().map(move |entry| (table, entry)));
    let mut chunks = entries.filter_map(|(table, entry)| {
        let entry = entry.unwrap();
        entry.chunk.is_some().then(|| table.chunk_header(&entry).unwrap())
    });
    chunks.any(|header| header.zones().unwrap().len() > header.pages().len())
}

/// So many conditions over an archive in each state that it goes through.
fn compared(conditions: usize, seed: u64) {
    let mut random = Random(seed);
    let directory = tempfile::tempdir().unwrap();
    let filled = filled(directory.path(), &mut random);
    check(&filled, &mut random, conditions, "as flushed");
    let keeper = &filled.recovered.keeper;
    while keeper.merge(&|| false).unwrap() {}
    check(&filled, &mut random, conditions, "merged");
    filled.clock.set(Timestamp(END + WEEK_NS));
    let mut week = Week::containing(Timestamp(START));
    for _ in 0..WEEKS - 1 {
        while !matches!(keeper.seal_week(week, &|| false).unwrap(), SealStep::Sealed(_)) {}
        week = week.next();
    }
    assert!(has_zones(&filled.recovered), "no sealed chunk has zones");
    check(&filled, &mut random, conditions, "sealed");
    while keeper.index(&|| false).unwrap() {}
    check(&filled, &mut random, conditions, "indexed");
}

#[test]
fn conditions_hold_where_a_scan_of_stored_samples_says() {
    compared(100, 2);
}

#[test]
#[ignore = "takes many minutes unless optimised: `cargo test --release -- --ignored stored`"]
fn ten_thousand_conditions_hold_where_a_scan_of_stored_samples_says() {
    for seed in 3..13 {
        compared(250, seed);
    }
}
