//! Damage, replaced files and other things met while an answer is made.

use crate::ask::{ask, json, refused, stopped};
use crate::memory::{Channel, Memory};
use retrieval_server::{Code, Stopped, columns};
use sample::{Sample, Timestamp, Value};

fn samples(count: i64) -> Vec<Sample> {
    (0..count).map(|i| Sample::new(Timestamp(i), Value::Int64(i))).collect()
}

fn damaged() -> Memory {
    let bad = Channel { samples: samples(20), damaged: Some(2), ..Channel::default() };
    let good = Channel { samples: samples(20), ..Channel::default() };
    Memory::of([("BAD", bad), ("GOOD", good)])
}

const QUERY: &str = "channel=BAD&channel=GOOD&from_ns=0&to_ns=20";

fn times(channel: &serde_json::Value) -> Vec<i64> {
    let segments = channel["segments"].as_array().unwrap();
    segments.iter().flat_map(|s| s["time_ns"].as_array().unwrap()).map(|t| t.as_i64().unwrap()).collect()
}

#[test]
fn damage_makes_an_answer_incomplete_and_is_named() {
    let state = damaged().state();
    let answer = json(&state, "/api/v1/samples", QUERY);
    assert_eq!(answer["complete"], false);
    let problem = &answer["problems"][0];
    assert_eq!(problem["code"], "damaged");
    assert_eq!(problem["channel"], "BAD");
    assert_eq!(problem["file"], "weeks/BAD");
    assert_eq!((&problem["from_ns"], &problem["to_ns"]), (&10.into(), &15.into()));
    assert!(problem["message"].as_str().unwrap().contains("byte 77"));
    // The reader may give up a block early; what comes before the damage is never wrong.
    let before = times(&answer["channels"][0]);
    assert_eq!(before, (0..10).take(before.len()).collect::<Vec<_>>());
    assert_eq!(times(&answer["channels"][1]), (0..20).collect::<Vec<_>>());
    let bytes = ask(&state, "/api/v1/samples", &format!("{QUERY}&format=columns")).bytes;
    let (_, end) = columns::decode(&bytes).unwrap();
    assert!(!end.complete);
    assert_eq!(end.json["problems"][0], *problem);
    assert_eq!(end.json["channels"][0]["samples"], before.len());
}

#[test]
fn status_and_metrics_tell_damage_that_was_met_where_no_engine_does() {
    let state = damaged().state();
    let status = json(&state, "/api/v1/status", "");
    let told =
        status["problems"].as_array().unwrap().iter().find(|problem| problem["code"] == "damaged").unwrap();
    assert_eq!(told["message"], "archive memory: a place");
    assert_eq!((&told["severity"], &told["what_to_do"]), (&"error".into(), &"mend it".into()));
    assert!(told["since_ns"].is_i64());
    let metrics = String::from_utf8(ask(&state, "/metrics", "").bytes).unwrap();
    assert!(metrics.contains("varve_damaged_total 1\n"), "{metrics}");
    let state = Memory::of([("GOOD", Channel::default())]).state();
    assert_eq!(json(&state, "/api/v1/status", "")["problems"], serde_json::json!([]));
    let metrics = String::from_utf8(ask(&state, "/metrics", "").bytes).unwrap();
    assert!(metrics.contains("varve_damaged_total 0\n"), "{metrics}");
}

#[test]
fn damage_can_be_skipped_and_coverage_shows_it() {
    let state = damaged().state();
    let answer = json(&state, "/api/v1/samples", &format!("{QUERY}&damaged=skip"));
    assert_eq!(answer["complete"], false);
    assert_eq!(times(&answer["channels"][0]), (0..10).chain(15..20).collect::<Vec<_>>());
    let gaps = serde_json::json!([{"from_ns": 10, "to_ns": 15, "state": "damaged"}]);
    assert_eq!(answer["channels"][0]["gaps"], gaps);
    assert_eq!(answer["channels"][1]["gaps"], serde_json::json!([]));
}

#[test]
fn csv_tells_damage_ahead_or_breaks_off() {
    let state = damaged().state();
    let early = ask(&state, "/api/v1/samples", &format!("{QUERY}&format=csv"));
    assert_eq!(early.head.problems[0]["code"], "damaged");
    // Enough rows before the damage for a first piece to have left.
    let late = Channel { samples: samples(20_000), damaged: Some(3_500), ..Channel::default() };
    let state = Memory::of([("BAD", late)]).state();
    let query = "channel=BAD&from_ns=0&to_ns=20000&format=csv";
    let (answer, stopped) = stopped(&state, "/api/v1/samples", query);
    let Some(Stopped::Broken(error)) = stopped else { panic!("{stopped:?}") };
    assert_eq!(error.code, Code::Damaged);
    assert!(!answer.bytes.is_empty() && answer.head.problems.is_empty());
}

#[test]
fn a_value_that_cannot_be_read_is_an_error_of_its_channel() {
    let state = damaged().state();
    let answer = json(&state, "/api/v1/at", "channel=BAD&channel=GOOD&time_ns=12");
    assert_eq!(answer["channels"][0]["error"]["code"], "damaged");
    assert_eq!(answer["channels"][1]["value"], 12);
    let alone = refused(&state, "/api/v1/at", "channel=BAD&time_ns=12");
    assert_eq!((alone.code, alone.status), (Code::Damaged, 500));
    assert_eq!(alone.channel.as_deref(), Some("BAD"));
}

#[test]
fn replaced_files_are_planned_again() {
    for order in ["asc", "desc"] {
        let channel = Channel { samples: samples(20), vanish: 3, ..Channel::default() };
        let state = Memory::of([("X", channel)]).state();
        let query = format!("channel=X&from_ns=0&to_ns=20&order={order}");
        let answer = json(&state, "/api/v1/samples", &query);
        let mut times = times(&answer["channels"][0]);
        times.sort_unstable();
        assert_eq!(times, (0..20).collect::<Vec<_>>());
        assert_eq!(answer["complete"], true);
    }
    let channel = Channel { samples: samples(20), vanish: 1000, ..Channel::default() };
    let state = Memory::of([("X", channel)]).state();
    let answer = json(&state, "/api/v1/samples", "channel=X&from_ns=0&to_ns=20");
    assert_eq!(answer["problems"][0]["code"], "archive_unavailable");
    assert_eq!(answer["complete"], false);
}

#[test]
fn edges_and_single_values_are_planned_again() {
    // The second block of five is the one whose file has gone.
    let of =
        |vanish| Memory::of([("X", Channel { samples: samples(20), vanish, ..Channel::default() })]).state();
    let at = "channel=X&time_ns=7";
    for (path, query) in [
        ("/api/v1/at", at),
        ("/api/v1/samples", "channel=X&from_ns=9&to_ns=12&edge=true"),
        ("/api/v1/samples", "channel=X&from_ns=10&to_ns=12&edge=true"),
        ("/api/v1/samples", "channel=X&from_ns=2&to_ns=5&after=true"),
        ("/api/v1/bins", "channel=X&from_ns=9&to_ns=12&bins=2&empty=true"),
        ("/api/v1/table", "channel=X&from_ns=9&to_ns=12&grid=1ns&fill=linear"),
    ] {
        assert_eq!(json(&of(3), path, query), json(&of(0), path, query), "{path} {query}");
    }
    let never = refused(&of(1000), "/api/v1/at", at);
    assert_eq!((never.code, never.status), (Code::Unavailable, 503));
}

#[test]
fn gaps_of_pages_fill_the_range_once() {
    let state = damaged().state();
    let query = "channel=BAD&from_ns=0&to_ns=20&damaged=skip&limit=4";
    let first = json(&state, "/api/v1/samples", query);
    let mut gaps = first["channels"][0]["gaps"].as_array().unwrap().clone();
    let mut next = first["channels"][0]["next"].as_str().map(String::from);
    while let Some(cursor) = next {
        let page = format!("channel=BAD&damaged=skip&limit=4&cursor={cursor}");
        let page = json(&state, "/api/v1/samples", &page);
        assert_eq!(page["channels"][0]["edge"], serde_json::Value::Null);
        gaps.extend(page["channels"][0]["gaps"].as_array().unwrap().clone());
        next = page["channels"][0]["next"].as_str().map(String::from);
    }
    let total = |g: &serde_json::Value| g["to_ns"].as_i64().unwrap() - g["from_ns"].as_i64().unwrap();
    assert_eq!(gaps.iter().map(total).sum::<i64>(), 5);
}
