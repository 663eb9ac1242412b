//! `/search` and `where=`: equal to a scan of every instant.

mod stored;

use crate::ask::{json, refused};
use crate::memory::{Channel, Memory};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use retrieval_server::{Code, HttpSettings, ServerState};
use sample::{Event, EventKind, Metadata, Sample, Severity, Timestamp, Value};
use serde_json::{Value as Json, json as literal};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Numbers that look random and are the same in every run.
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    pub(crate) fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

const NAMES: [&str; 3] = ["SR:A", "B-1", "odd name"];
/// Names of states, and the time from which they are so.
type Named = [(i64, [&'static str; 3]); 2];
const STATES: Named = [(-100, ["Closed", "Open", "a\"b"]), (25, ["Open", "Closed", "Closed"])];
const END: i64 = 60;

fn value(random: &mut Random, channel: usize) -> Value {
    match (channel, random.below(12)) {
        (_, 0) => Value::Float64(f64::NAN),
        (_, 1) => Value::text("Open"),
        (0, _) => Value::Float64(random.below(9) as f64 - 4.0),
        (1, _) => Value::Enum(random.below(4) as u16),
        _ => Value::Int32(random.below(7) as i32 - 3),
    }
}

/// A value that most often is the one before.
fn steady(random: &mut Random, channel: usize, last: Option<&Sample>) -> Value {
    match last {
        Some(last) if random.below(4) > 0 => last.value.clone(),
        _ => value(random, channel),
    }
}

fn channel(random: &mut Random, number: usize) -> Channel {
    let mut samples: Vec<Sample> = Vec::new();
    let mut time = -(random.below(10) as i64);
    let calm = random.below(2) == 0;
    for _ in 0..random.below(60) {
        time += *random.of(&[0, 0, 1, 1, 2, 5]);
        let mut sample = Sample::new(Timestamp(time), steady(random, number, samples.last()));
        let severities = [Severity::NoAlarm, Severity::Minor, Severity::Major, Severity::Invalid];
        sample.severity = match samples.last() {
            Some(last) if calm && random.below(8) > 0 => last.severity,
            _ => *random.of(&severities),
        };
        if let Some(last) = samples.last()
            && last.time == sample.time
        {
            sample.rank = last.rank + 1;
        }
        samples.push(sample);
    }
    let mut late: Vec<Sample> = Vec::new();
    for rank in 0..*random.of(&[0, 0, 1, 5]) {
        let time = Timestamp(random.below(70) as i64 - 5);
        late.push(Sample {
            rank: (1 << 31) + rank,
            ..Sample::new(time, steady(random, number, late.last()))
        });
    }
    late.sort_by_key(|sample| (sample.time, sample.rank));
    // The first view is asked for coverage alone; what lies before the range is not asked for again.
    let inside = samples.first().is_some_and(|first| first.time.0 >= 0);
    let vanish = if inside { *random.of(&[0, 2, 3]) } else { 0 };
    let event = |time, sequence, kind| Event { time: Timestamp(time), sequence, kind };
    let mut events =
        vec![event(-30, 1, EventKind::Started), event(-29, 2, EventKind::Connected { host: "ioc".into() })];
    let mut time = 0;
    for i in 0..random.below(4) as u64 {
        time += random.below(20) as i64;
        events.push(event(time, 3 + 2 * i, EventKind::Paused));
        time += random.below(10) as i64;
        events.push(event(time, 4 + 2 * i, EventKind::Resumed));
    }
    let metadata = STATES.map(|(from, states)| {
        let states = states.iter().map(|state| state.as_bytes().into()).collect();
        (Timestamp(from), Arc::new(Metadata { states: Some(states), ..Metadata::default() }))
    });
    Channel { samples, late, events, metadata: metadata.into(), vanish, ..Channel::default() }
}

/// All samples of a channel in their order; at a time that the better archive knows, of that alone.
fn timeline(better: &Channel, worse: Option<&Channel>) -> Vec<Sample> {
    let ordered = |channel: &Channel| {
        let mut samples: Vec<Sample> = channel.samples.iter().chain(&channel.late).cloned().collect();
        samples.sort_by_key(|sample| (sample.time, sample.rank));
        samples
    };
    let mut samples = ordered(better);
    let unknown = |sample: &Sample| samples.iter().all(|known| known.time != sample.time);
    let more: Vec<Sample> = worse.iter().flat_map(|worse| ordered(worse)).filter(unknown).collect();
    samples.extend(more);
    // Stable: what came first at one time stays so.
    samples.sort_by_key(|sample| sample.time);
    samples
}

/// A condition as the model understands it.
enum Node {
    Term { channel: usize, aspect: &'static str, relation: &'static str, number: Option<f64>, text: String },
    Not(Box<Node>),
    Both(Box<Node>, Box<Node>),
    Either(Box<Node>, Box<Node>),
}

fn condition(random: &mut Random, depth: usize) -> Node {
    match random.below(if depth == 0 { 1 } else { 5 }) {
        2 => Node::Not(Box::new(condition(random, depth - 1))),
        3 => Node::Both(Box::new(condition(random, depth - 1)), Box::new(condition(random, depth - 1))),
        4 => Node::Either(Box::new(condition(random, depth - 1)), Box::new(condition(random, depth - 1))),
        _ => {
            let aspect = *random.of(&["", "", "", "abs", "severity"]);
            let relation = *random.of(&["==", "!=", "<", "<=", ">", ">="]);
            let is_text = aspect.is_empty()
                && relation.len() == 2
                && "=!".contains(&relation[..1])
                && random.below(2) == 0;
            let number = (!is_text)
                .then(|| random.below(9) as f64 / if random.below(2) == 0 { 1.0 } else { 2.0 } - 2.0);
            let text = random.of(&["Open", "Closed", "3", "a\"b"]).to_string();
            Node::Term { channel: random.below(3), aspect, relation, number, text }
        }
    }
}

fn written(node: &Node) -> String {
    match node {
        Node::Not(node) => format!("not ({})", written(node)),
        Node::Both(a, b) => format!("({}) and ({})", written(a), written(b)),
        Node::Either(a, b) => format!("({}) or ({})", written(a), written(b)),
        Node::Term { channel, aspect, relation, number, text } => {
            let name = ["SR:A", "`B-1`", "`odd name`"][*channel];
            let left = if aspect.is_empty() { name.to_string() } else { format!("{aspect}({name})") };
            let right = match number {
                Some(number) => number.to_string(),
                None => format!("\"{}\"", text.replace('"', "\\\"")),
            };
            format!("{left} {relation} {right}")
        }
    }
}

/// Whether it holds of the newest samples; enums are called by the newest of `named`.
fn truth(node: &Node, now: &[Option<&Sample>], named: &Named) -> Option<bool> {
    match node {
        Node::Not(node) => truth(node, now, named).map(|truth| !truth),
        Node::Both(a, b) => match (truth(a, now, named), truth(b, now, named)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (a, b) => a.and(b),
        },
        Node::Either(a, b) => match (truth(a, now, named), truth(b, now, named)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (None, _) | (_, None) => None,
            _ => Some(false),
        },
        Node::Term { channel, aspect, relation, number, text } => {
            let sample = now[*channel]?;
            let Some(number) = number else {
                let equal = match &sample.value {
                    Value::String(found) => **found == *text.as_bytes(),
                    Value::Enum(index) => {
                        let (_, states) = named.iter().rfind(|(from, _)| *from <= sample.time.0).unwrap();
                        states.get(usize::from(*index)).map_or(index.to_string(), |s| s.to_string()) == *text
                    }
                    _ => return None,
                };
                return Some(equal == (*relation == "=="));
            };
            let found = match (*aspect, &sample.value) {
                ("severity", _) => sample.severity as u8 as f64,
                (_, Value::Float64(v)) if v.is_nan() => return None,
                (_, Value::Float64(v)) => *v,
                (_, Value::Enum(v)) => f64::from(*v),
                (_, Value::Int32(v)) => f64::from(*v),
                _ => return None,
            };
            let found = if *aspect == "abs" { found.abs() } else { found };
            Some(match *relation {
                "==" => found == *number,
                "!=" => found != *number,
                "<" => found < *number,
                "<=" => found <= *number,
                ">" => found > *number,
                _ => found >= *number,
            })
        }
    }
}

pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Intervals of an answer.
pub(crate) fn intervals(answer: &Json) -> Vec<(i64, i64)> {
    let pair = |i: &Json| (i["from_ns"].as_i64().unwrap(), i["to_ns"].as_i64().unwrap());
    answer["intervals"].as_array().unwrap().iter().map(pair).collect()
}

/// Whether each channel is held at each instant of the range.
fn held(state: &ServerState) -> Vec<Vec<bool>> {
    let of = |name: &&str| {
        let query = format!("channel={}&from_ns=0&to_ns={END}", encoded(name));
        let answer = json(state, "/api/v1/coverage", &query);
        let coverage = answer["channels"][0]["intervals"].as_array().unwrap().clone();
        let at = |time: i64| {
            let inside =
                |i: &&Json| (i["from_ns"].as_i64().unwrap()..i["to_ns"].as_i64().unwrap()).contains(&time);
            coverage.iter().find(inside).unwrap()["state"] == "held"
        };
        (0..END).map(at).collect()
    };
    NAMES.iter().map(of).collect()
}

#[test]
fn ten_thousand_conditions_hold_where_a_scan_of_every_instant_says() {
    compared(500, 6, Duration::ZERO);
}

#[test]
fn conditions_hold_where_they_do_also_when_several_threads_look() {
    compared(30, 7, Duration::from_micros(100));
}

/// What makes every block take this long to load.
pub(crate) fn slowly(pace: Duration) -> Option<Arc<dyn Fn() + Send + Sync>> {
    Some(Arc::new(move || std::thread::sleep(pace)))
}

/// Twenty conditions on each of `archives` random archives, some of them two that answer as one; loading a block takes as
/// long as `pace`.
fn compared(archives: usize, seed: u64, pace: Duration) {
    let mut random = Random(seed);
    let (mut matched, mut empty) = (0, 0);
    let mut read = [0, 0];
    for _ in 0..archives {
        let channels: Vec<Channel> = (0..3).map(|number| channel(&mut random, number)).collect();
        let worse: Option<Vec<Channel>> = (random.below(4) == 0)
            .then(|| (0..3).map(|number| Channel { vanish: 0, ..channel(&mut random, number) }).collect());
        let timelines: Vec<Vec<Sample>> =
            (0..3).map(|i| timeline(&channels[i], worse.as_ref().map(|worse| &worse[i]))).collect();
        let mut memory = Memory::of(NAMES.into_iter().zip(channels));
        memory.before_load = slowly(pace);
        let loads = memory.loads.clone();
        let state = match worse {
            None => memory.state_with(HttpSettings { computing_max: 3, ..HttpSettings::default() }),
            Some(worse) => memory.state_beside(Memory::of(NAMES.into_iter().zip(worse))),
        };
        let held = held(&state);
        for _ in 0..20 {
            let node = condition(&mut random, 3);
            let text = written(&node);
            let query = format!("from_ns=0&to_ns={END}&where={}", encoded(&text));
            let before = loads.load(Ordering::SeqCst);
            let answer = json(&state, "/api/v1/search", &query);
            let between = loads.load(Ordering::SeqCst);
            let all = json(&state, "/api/v1/search", &format!("{query}&statistics=ignore"));
            assert_eq!(answer, all, "{text}");
            read[0] += between - before;
            read[1] += loads.load(Ordering::SeqCst) - between;
            let found = intervals(&answer);
            let now = |time: i64| -> Vec<Option<&Sample>> {
                let newest = |channel: usize| {
                    let last = timelines[channel].iter().rfind(|s| s.time.0 <= time);
                    last.filter(|_| held[channel][time as usize])
                };
                (0..3).map(newest).collect()
            };
            let holds = |time: i64| truth(&node, &now(time), &STATES) == Some(true);
            let inside = |time: i64| found.iter().any(|(from, to)| (*from..*to).contains(&time));
            for time in 0..END {
                assert_eq!(inside(time), holds(time), "{text} at {time}: {answer}");
            }
            assert!(found.windows(2).all(|pair| pair[0].1 < pair[1].0), "{text}: {found:?}");
            assert!(found.iter().all(|(from, to)| from < to && 0 <= *from && *to <= END));
            assert_eq!(answer["total_ns"], found.iter().map(|(from, to)| to - from).sum::<i64>());
            if found.is_empty() {
                empty += 1
            } else {
                matched += 1
            }
            if random.below(10) == 0 {
                confined(&state, &timelines[0], &held[0], &query, &inside);
            }
        }
    }
    assert!(matched > 4 * archives && empty > 2 * archives, "{matched} {empty}");
    assert!(read[0] > archives && 3 * read[0] < 2 * read[1], "{read:?}");
}

/// Width of the bins that are compared.
const HELD_BIN: i64 = 9;

/// A bin, instant by instant.
struct HeldBin {
    start: i64,
    count: usize,
    covered: i64,
    mean: Option<f64>,
}

/// Of all bins of the range: samples inside, and what was held inside, also by samples before.
fn held_inside(samples: &[Sample], held: &[bool], inside: &dyn Fn(i64) -> bool) -> Vec<HeldBin> {
    let bin = |start: i64| {
        let instants = start..(start + HELD_BIN).min(END);
        let counts = |sample: &&Sample| instants.contains(&sample.time.0) && inside(sample.time.0);
        let of = |time: i64| samples.iter().rfind(|sample| sample.time.0 <= time).map(|sample| &sample.value);
        let covered: Vec<&Value> =
            instants.clone().filter(|time| inside(*time) && held[*time as usize]).filter_map(of).collect();
        let number = |value: &&Value| match value {
            Value::Float64(number) => Some(*number).filter(|number| number.is_finite()),
            _ => None,
        };
        let numbers: Vec<f64> = covered.iter().filter_map(number).collect();
        let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
        HeldBin {
            start,
            count: samples.iter().filter(counts).count(),
            covered: covered.len() as i64,
            mean: (!numbers.is_empty()).then_some(mean),
        }
    };
    (0..END).step_by(HELD_BIN as usize).map(bin).collect()
}

/// The same condition on other requests.
fn confined(
    state: &ServerState,
    samples: &[Sample],
    held: &[bool],
    query: &str,
    inside: &dyn Fn(i64) -> bool,
) {
    let query = format!("channel=SR%3AA&{query}");
    let times = |answer: &Json| -> Vec<i64> {
        let segments = answer["channels"][0]["segments"].as_array().unwrap();
        segments.iter().flat_map(|s| s["time_ns"].as_array().unwrap()).map(|t| t.as_i64().unwrap()).collect()
    };
    let mut wanted: Vec<i64> =
        samples.iter().map(|s| s.time.0).filter(|t| (0..END).contains(t) && inside(*t)).collect();
    assert_eq!(times(&json(state, "/api/v1/samples", &query)), wanted, "{query}");
    let descending: Vec<i64> = wanted.iter().rev().copied().collect();
    assert_eq!(times(&json(state, "/api/v1/samples", &format!("{query}&order=desc"))), descending);
    let bins = json(state, "/api/v1/bins", &format!("{query}&width=7ns"));
    let counts = bins["channels"][0]["columns"]["count"].as_array().unwrap();
    assert_eq!(counts.iter().map(|c| c.as_u64().unwrap()).sum::<u64>(), wanted.len() as u64);
    let expected = held_inside(samples, held, inside);
    for (fill, empty) in [("none", false), ("hold", false), ("none", true)] {
        let query = format!("{query}&width={HELD_BIN}ns&fill={fill}&empty={empty}");
        let bins = json(state, "/api/v1/bins", &query);
        let columns = &bins["channels"][0]["columns"];
        let wanted = |bin: &&HeldBin| bin.count > 0 || fill == "hold" && bin.covered > 0 || empty;
        let of =
            |value: &dyn Fn(&HeldBin) -> Json| expected.iter().filter(wanted).map(value).collect::<Json>();
        assert_eq!(columns["start_ns"], of(&|bin| literal!(bin.start)), "{query}");
        assert_eq!(columns["count"], of(&|bin| literal!(bin.count)), "{query}");
        assert_eq!(columns["covered_ns"], of(&|bin| literal!(bin.covered)), "{query}");
        // Small integers, summed exactly in any order.
        assert_eq!(columns["twmean"], of(&|bin| literal!(bin.mean)), "{query}");
    }
    let quick = json(state, "/api/v1/bins", &format!("{query}&width={HELD_BIN}ns&stats=count,mean"));
    let slow = json(state, "/api/v1/bins", &format!("{query}&width={HELD_BIN}ns"));
    for name in ["start_ns", "count", "mean"] {
        assert_eq!(quick["channels"][0]["columns"][name], slow["channels"][0]["columns"][name], "{query}");
    }
    let table = json(state, "/api/v1/table", &format!("{query}&grid=1ns"));
    let rows: Vec<i64> = table["time_ns"].as_array().unwrap().iter().map(|t| t.as_i64().unwrap()).collect();
    assert_eq!(rows, (0..END).filter(|t| inside(*t)).collect::<Vec<_>>());
    wanted.dedup();
    let union = json(state, "/api/v1/table", &format!("{query}&grid=union&fill=none"));
    assert_eq!(union["time_ns"], literal!(wanted));
    let coverage = json(state, "/api/v1/coverage", &query);
    let totals = coverage["channels"][0]["totals_ns"].as_object().unwrap();
    assert_eq!(totals.values().map(|ns| ns.as_u64().unwrap()).sum::<u64>(), rows.len() as u64);
}

#[test]
fn a_limit_counts_what_is_inside() {
    let samples = (0..20).map(|i| Sample::new(Timestamp(i), Value::Int32((i % 2) as i32))).collect();
    let state = Memory::of([("X", Channel { samples, ..Channel::default() })]).state();
    let query = format!("channel=X&from_ns=0&to_ns=20&limit=3&where={}", encoded("X == 1"));
    let page = json(&state, "/api/v1/samples", &query);
    assert_eq!(page["channels"][0]["segments"][0]["time_ns"], literal!([1, 3, 5]));
    let next = page["channels"][0]["next"].as_str().unwrap();
    let more = json(&state, "/api/v1/samples", &format!("{query}&cursor={next}"));
    assert_eq!(more["channels"][0]["segments"][0]["time_ns"], literal!([7, 9, 11]));
    let csv = crate::ask::ask(&state, "/api/v1/samples", &format!("{query}&format=csv"));
    assert_eq!(csv.head.next[0]["next"], next);
}

#[test]
fn damage_ends_what_is_known() {
    // In the block that is damaged not all are alike: it has to be read.
    let value = |i: i64| Value::Int32(if [6, 8, 9].contains(&i) { 2 } else { 1 });
    let samples: Vec<Sample> = (0..20).map(|i| Sample::new(Timestamp(i), value(i))).collect();
    let state = Memory::of([("X", Channel { samples, damaged: Some(1), ..Channel::default() })]).state();
    let query = format!("from_ns=0&to_ns=20&where={}", encoded("X == 1"));
    let stopped = json(&state, "/api/v1/search", &query);
    assert_eq!((intervals(&stopped), &stopped["complete"]), (vec![(0, 5)], &literal!(false)));
    assert_eq!(stopped["problems"][0]["code"], "damaged");
    for path in ["samples", "table", "bins"] {
        let confined = format!("channel=X&grid=1ns&width=5ns&{query}&format=csv&damaged=skip");
        let ours: Vec<&str> = confined
            .split('&')
            .filter(|p| path == "table" || !p.starts_with("grid"))
            .filter(|p| path == "bins" || !p.starts_with("width"))
            .collect();
        let csv = crate::ask::ask(&state, &format!("/api/v1/{path}"), &ours.join("&"));
        assert_eq!(csv.head.problems[0]["code"], "damaged", "{path}");
    }
    let around = json(&state, "/api/v1/search", &format!("{query}&damaged=skip"));
    assert_eq!((intervals(&around), &around["complete"]), (vec![(0, 5), (10, 20)], &literal!(false)));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let state = Memory::of([("X", Channel::default())]).state();
    let error = refused(&state, "/api/v1/search", &format!("where={}", encoded("X > 3 and (Y")));
    assert_eq!((error.code, error.parameter.as_deref()), (Code::BadParameter, Some("where")));
    assert!(error.message.contains("where, column 13"), "{}", error.message);
    let unknown = refused(&state, "/api/v1/samples", &format!("channel=X&where={}", encoded("Y > 3")));
    assert_eq!((unknown.code, unknown.channel.as_deref()), (Code::UnknownChannel, Some("Y")));
}
