//! `/bins`: grids, statistics, formats, refusals.

use crate::ask::{ask, json, refused, text};
use crate::memory::{Channel, Memory};
use retrieval_server::columns::{self, Block, Decoder};
use retrieval_server::{Code, ServerState};
use sample::{Column, Event, EventKind, Metadata, Sample, Severity, Timestamp, Value};
use serde_json::json as literal;
use std::sync::Arc;

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3600 * SECOND;

fn at(time: i64, value: f64) -> Sample {
    Sample::new(Timestamp(time), Value::Float64(value))
}

fn with_severity(mut sample: Sample, severity: Severity) -> Sample {
    sample.severity = severity;
    sample
}

fn server(channel: Channel) -> ServerState {
    Memory::of([("X", channel)]).state()
}

fn of(samples: Vec<Sample>) -> ServerState {
    server(Channel { samples, ..Channel::default() })
}

/// The columns of the one channel.
fn bins(state: &ServerState, query: &str) -> serde_json::Value {
    let answer = json(state, "/api/v1/bins", &format!("channel=X&{query}"));
    assert_eq!(answer["complete"], true, "{answer}");
    answer["channels"][0]["columns"].clone()
}

#[test]
fn every_column_of_a_bin() {
    let state = of(vec![
        at(-5, 100.0),
        at(2, 4.0),
        with_severity(at(4, 1.0), Severity::Minor),
        at(6, 7.0),
        with_severity(at(8, f64::NAN), Severity::Invalid),
        at(12, 7.0),
    ]);
    let found = bins(&state, "from_ns=0&to_ns=15&width=10ns");
    let expected = literal!({
        "start_ns": [0, 10],
        "width_ns": [10, 10],
        "count": [4, 1],
        "mean": [4.0, 7.0],
        "min": [1.0, 7.0],
        "max": [7.0, 7.0],
        "std": [3.0, null],
        "first": [4.0, 7.0],
        "last": ["NaN", 7.0],
        "min_ns": [4, 12],
        "max_ns": [6, 12],
        "first_ns": [2, 12],
        "last_ns": [8, 12],
        // 2 ns of 100, 2 of 4, 2 of 1, 2 of 7, 2 of nothing finite; then 2 of nothing finite and 3 of 7.
        "twmean": [28.0, 7.0],
        "covered_ns": [10, 5],
        "severity": [3, 0],
        "nonfinite": [1, 0],
        "invalid": [1, 0],
    });
    assert_eq!(found, expected);
    let valid =
        bins(&state, "from_ns=0&to_ns=15&width=10ns&exclude=invalid&stats=count,covered_ns,mean,severity");
    let expected = literal!({
        "start_ns": [0, 10], "width_ns": [10, 10], "count": [3, 1], "mean": [4.0, 7.0], "covered_ns": [8, 3],
        "severity": [1, 0],
    });
    assert_eq!(valid, expected);
}

#[test]
fn bins_without_samples_are_there_when_asked_for() {
    let gone = Event {
        time: Timestamp(34),
        sequence: 9,
        kind: EventKind::Disconnected { last_heard: Timestamp(32) },
    };
    let connected =
        Event { time: Timestamp(0), sequence: 1, kind: EventKind::Connected { host: "ioc".into() } };
    let started = Event { time: Timestamp(0), sequence: 0, kind: EventKind::Started };
    let state = server(Channel {
        samples: vec![at(15, 2.0)],
        events: vec![started, connected, gone],
        ..Channel::default()
    });
    let range = "from_ns=0&to_ns=50&width=10ns&stats=count,twmean,covered_ns";
    assert_eq!(bins(&state, range)["start_ns"], literal!([10]));
    let held = bins(&state, &format!("{range}&fill=hold"));
    assert_eq!(held["start_ns"], literal!([10, 20, 30]));
    assert_eq!(held["covered_ns"], literal!([5, 10, 2]));
    assert_eq!(held["twmean"], literal!([2.0, 2.0, 2.0]));
    let all = bins(&state, &format!("{range}&empty=true"));
    assert_eq!(all["count"], literal!([0, 1, 0, 0, 0]));
    assert_eq!(all["twmean"], literal!([null, 2.0, 2.0, 2.0, null]));
    assert_eq!(bins(&state, "from_ns=20&to_ns=20&bins=5&empty=true")["start_ns"], literal!([]));
}

#[test]
fn one_bin_is_the_range() {
    let state = of((0..10).map(|i| at(i, i as f64)).collect());
    let found = bins(&state, "from_ns=3&to_ns=7&bins=1");
    assert_eq!((&found["start_ns"], &found["width_ns"]), (&literal!([3]), &literal!([4])));
    assert_eq!((&found["count"], &found["mean"]), (&literal!([4]), &literal!([4.5])));
    assert_eq!(bins(&state, "from_ns=0&to_ns=10&bins=4&stats=count")["count"], literal!([5, 5]));
}

#[test]
fn local_days_over_both_clock_changes() {
    let hours = |from: &str, count: i64| {
        let from: jiff::Timestamp = from.parse().unwrap();
        let from = i64::try_from(from.as_nanosecond()).unwrap();
        (0..count).map(move |i| at(from + i * HOUR, 1.0)).collect::<Vec<_>>()
    };
    let mut samples = hours("2026-03-27T00:00:00Z", 96);
    samples.extend(hours("2026-10-23T00:00:00Z", 96));
    let state = of(samples);
    let days = |from: &str, to: &str| {
        bins(&state, &format!("from={from}&to={to}&tz=Europe/London&width=1d&stats=count"))["count"].clone()
    };
    assert_eq!(days("2026-03-28", "2026-03-31"), literal!([24, 23, 24]));
    assert_eq!(days("2026-10-24", "2026-10-27"), literal!([24, 25, 24]));
    let week = bins(&state, "from=2026-03-27T12:00:00Z&to=2026-03-30T12:00:00Z&width=1w");
    let monday: jiff::Timestamp = "2026-03-23T00:00:00Z".parse().unwrap();
    assert_eq!(week["start_ns"][0], i64::try_from(monday.as_nanosecond()).unwrap());
    assert_eq!(week["count"], literal!([60, 12]));
}

#[test]
fn states_share_the_time() {
    let states = [b"Closed".as_slice(), b"Open"].iter().map(|name| (*name).into()).collect();
    let metadata = vec![(Timestamp(0), Arc::new(Metadata { states: Some(states), ..Metadata::default() }))];
    let samples = [(2, 1), (5, 0), (14, 7), (21, 1)]
        .map(|(time, index)| Sample::new(Timestamp(time), Value::Enum(index)))
        .to_vec();
    let state = server(Channel { samples, metadata, ..Channel::default() });
    let query = "channel=X&from_ns=0&to_ns=30&width=10ns&stats=count,states";
    let answer = json(&state, "/api/v1/bins", query);
    let expected = literal!({"Closed": [5, 4, 0], "Open": [3, 0, 9], "7": [0, 6, 1]});
    assert_eq!(answer["channels"][0]["columns"]["states"], expected);
    assert_eq!(answer["channels"][0]["type"], "enum");
    let csv = text(&state, "/api/v1/bins", &format!("{query}&format=csv"));
    assert_eq!(csv.lines().next(), Some("channel,start_ns,width_ns,count,states"));
    assert_eq!(csv.lines().nth(1), Some(r#"X,0,10,2,"{""Closed"":5,""Open"":3,""7"":0}""#));
    let bytes = ask(&state, "/api/v1/bins", &format!("{query}&format=columns")).bytes;
    let Some(Block::Bins(block)) = Decoder::new(bytes.as_slice()).block().unwrap() else { panic!() };
    assert_eq!(block.json["states"], literal!(["Closed", "Open", "7"]));
    assert_eq!(block.states_ns, [5, 3, 0, 4, 0, 6, 0, 9, 1]);
}

#[test]
fn texts_and_arrays_have_counts_and_times() {
    let array = Value::Array(Box::new(Column::Float64(vec![1.0])));
    let state = of(vec![
        Sample::new(Timestamp(1), Value::text("a")),
        Sample::new(Timestamp(3), array),
        Sample::new(Timestamp(4), Value::text("b")),
    ]);
    let found = bins(&state, "from_ns=0&to_ns=10&bins=1");
    assert_eq!(
        (&found["count"], &found["first_ns"], &found["last_ns"]),
        (&literal!([3]), &literal!([1]), &literal!([4]))
    );
    assert_eq!(found["covered_ns"], literal!([9]));
    for column in ["mean", "min", "max", "std", "first", "last", "min_ns", "twmean"] {
        assert_eq!(found[column], literal!([null]), "{column}");
    }
}

#[test]
fn all_formats_say_the_same() {
    let samples = (0..3000).map(|i| at(i * 7 * SECOND, ((i * 31) % 97) as f64 / 8.0)).collect();
    let state = of(samples);
    let query = "channel=X&from_ns=0&to_ns=21000000000000&width=61s&fill=hold";
    let answer = json(&state, "/api/v1/bins", query);
    let wanted = &answer["channels"][0]["columns"];
    let bytes = ask(&state, "/api/v1/bins", &format!("{query}&format=columns")).bytes;
    let mut decoder = Decoder::new(bytes.as_slice());
    let Some(Block::Bins(block)) = decoder.block().unwrap() else { panic!() };
    let rows = block.columns[0].1.len();
    let csv = text(&state, "/api/v1/bins", &format!("{query}&format=csv"));
    let mut lines = csv.lines();
    let titles: Vec<&str> = lines.next().unwrap().split(',').skip(1).collect();
    let cells: Vec<Vec<&str>> = lines.map(|line| line.split(',').skip(1).collect()).collect();
    assert_eq!(cells.len(), rows);
    let names: Vec<&str> = wanted.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(titles, names);
    for (k, (name, column)) in block.columns.iter().enumerate() {
        assert_eq!(names[k], if *name == "worst_severity" { "severity" } else { name });
        for (i, row) in cells.iter().enumerate() {
            let (value, cell) = (&wanted[names[k]][i], row[k]);
            let same = match column {
                Column::Float64(v) if v[i].is_nan() => value.is_null() && cell.is_empty(),
                // The JSON parser of this test rounds.
                Column::Float64(v) => {
                    cell.parse() == Ok(v[i]) && (value.as_f64().unwrap() - v[i]).abs() < 1e-12
                }
                Column::Int64(v) => cell.parse() == Ok(v[i]) && value.as_i64() == Some(v[i]),
                Column::UInt64(v) => cell.parse() == Ok(v[i]) && value.as_u64() == Some(v[i]),
                Column::UInt8(v) => cell == "NO_ALARM" && value.as_u64() == Some(v[i].into()),
                _ => false,
            };
            assert!(same, "{name} {i}: {cell} {value}");
        }
    }
    assert_eq!(block.columns.len(), names.len());
    let Some(Block::End(end)) = decoder.block().unwrap() else { panic!() };
    assert!(end.complete);
    assert_eq!((end.samples, &end.json["channels"][0]["bins"]), (rows as u64, &literal!(rows)));
    assert!(columns::decode(&bytes).unwrap().0.is_empty());
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let state = of(vec![at(0, 1.0)]);
    for (query, parameter, words) in [
        ("", "bins", "bins is missing"),
        ("bins=0", "bins", "1 or more"),
        ("bins=10&width=5s", "width", "both given"),
        ("width=5", "width", "is no width"),
        ("width=2mo", "width", "1mo or 1y"),
        ("bins=5&stats=median", "stats", "\"median\" is not one of count mean"),
        ("bins=5&stats=", "stats", "is empty"),
        ("bins=5&fill=linear", "fill", "none, hold"),
    ] {
        let error = refused(&state, "/api/v1/bins", &format!("channel=X&from_ns=0&to_ns=100&{query}"));
        assert_eq!(
            (error.code, error.parameter.as_deref()),
            (Code::BadParameter, Some(parameter)),
            "{query}"
        );
        assert!(error.message.contains(words), "{query}: {}", error.message);
    }
    let huge = "channel=X&from_ns=0&to_ns=1000000000000&width=1ns&empty=true";
    assert_eq!(refused(&state, "/api/v1/bins", huge).code, Code::TooLarge);
    assert_eq!(refused(&state, "/api/v1/bins", &format!("{huge}&format=csv")).code, Code::TooLarge);
    assert_eq!(refused(&state, "/api/v1/bins", "channel=Y&bins=5").code, Code::UnknownChannel);
}

#[test]
fn damage_is_told_and_read_around() {
    let samples: Vec<Sample> = (0..20).map(|i| at(i, 1.0)).collect();
    let state = server(Channel { samples, damaged: Some(1), ..Channel::default() });
    let query = "channel=X&from_ns=0&to_ns=20&width=2ns&stats=count";
    let stopped = json(&state, "/api/v1/bins", query);
    assert_eq!(stopped["complete"], false);
    assert_eq!(stopped["problems"][0]["code"], "damaged");
    // The bin that the damage reaches into is not told.
    assert_eq!(stopped["channels"][0]["columns"]["start_ns"], literal!([0, 2]));
    let around = json(&state, "/api/v1/bins", &format!("{query}&damaged=skip"));
    assert_eq!(around["channels"][0]["columns"]["count"], literal!([2, 2, 1, 2, 2, 2, 2, 2]));
    assert_eq!(around["problems"][0]["code"], "damaged");
}

#[test]
fn files_that_go_while_bins_are_read_are_planned_anew() {
    let samples: Vec<Sample> = (0..20).map(|i| at(i, i as f64)).collect();
    let state = server(Channel { samples: samples.clone(), vanish: 2, ..Channel::default() });
    let query = "from_ns=0&to_ns=20&width=3ns";
    assert_eq!(bins(&state, query), bins(&of(samples), query));
}

#[test]
fn unknown_names_stand_in_their_place() {
    let state = of(vec![at(0, 1.0)]);
    let answer = json(&state, "/api/v1/bins", "channel=NONE&channel=X&from_ns=0&to_ns=9&bins=1");
    assert_eq!(answer["channels"][0]["error"]["code"], "unknown_channel");
    assert_eq!(answer["channels"][1]["columns"]["count"], literal!([1]));
    let csv = ask(&state, "/api/v1/bins", "channel=NONE&channel=X&from_ns=0&to_ns=9&bins=1&format=csv");
    assert_eq!(csv.head.problems[0]["channel"], "NONE");
}
