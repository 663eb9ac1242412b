//! How values, metadata and alarms are written.

use crate::ask::{ask, json, refused, text};
use crate::memory::{Channel, Memory};
use retrieval_server::{ServerState, columns};
use sample::{
    BytesColumn, Column, Event, EventKind, Metadata, Sample, Severity, Status, StatusDomain, Timestamp, Value,
};
use serde_json::json as literal;
use std::sync::Arc;

fn at(time: i64, value: Value) -> Sample {
    Sample::new(Timestamp(time), value)
}

fn states(names: &[&str]) -> Arc<Metadata> {
    let states = names.iter().map(|name| name.as_bytes().into()).collect();
    Arc::new(Metadata { states: Some(states), ..Metadata::default() })
}

fn state_of(samples: Vec<Sample>, metadata: Vec<(i64, Arc<Metadata>)>) -> ServerState {
    let metadata = metadata.into_iter().map(|(at, metadata)| (Timestamp(at), metadata)).collect();
    Memory::of([("X", Channel { samples, metadata, ..Channel::default() })]).state()
}

const RANGE: &str = "channel=X&from_ns=0&to_ns=100";

fn segments(state: &ServerState, query: &str) -> serde_json::Value {
    json(state, "/api/v1/samples", &format!("{RANGE}&{query}"))["channels"][0]["segments"].clone()
}

#[test]
fn numbers_are_written_as_asked() {
    let samples = vec![
        at(1, Value::Float64(f64::NAN)),
        at(2, Value::Float64(f64::NEG_INFINITY)),
        at(3, Value::Float64(0.1 + 0.2)),
        at(4, Value::Float64(-0.0)),
        at(5, Value::UInt64(u64::MAX)),
        at(6, Value::Int64(i64::MIN)),
    ];
    let state = state_of(samples, vec![]);
    let segment = segments(&state, "");
    assert_eq!(segment[0]["value"], literal!(["NaN", "-Infinity", 0.30000000000000004, -0.0]));
    assert_eq!(segment[1]["value"], literal!([u64::MAX]));
    let segment = segments(&state, "nonfinite=null&int64=string");
    assert_eq!(segment[0]["value"], literal!([null, null, 0.30000000000000004, -0.0]));
    assert_eq!(segment[0]["time_ns"], literal!(["1", "2", "3", "4"]));
    assert_eq!(segment[1]["value"], literal!(["18446744073709551615"]));
    assert_eq!(segment[2]["value"], literal!(["-9223372036854775808"]));
    let segment = segments(&state, "time=iso");
    assert_eq!(segment[2]["time"], literal!(["1970-01-01T00:00:00.000000006Z"]));
    assert!(segment[2].get("time_ns").is_none());
}

#[test]
fn csv_is_written_to_the_letter() {
    let mut strings = BytesColumn::default();
    [b"a b".as_slice(), b"", b"\"q\""].iter().for_each(|s| strings.push(s));
    let mut samples = vec![
        at(1, Value::text("")),
        at(2, Value::text("a,b \"c\"\r\nd")),
        at(3, Value::String(b"\xb0C".as_slice().into())),
        at(4, Value::Array(Box::new(Column::Float64(vec![1.0, f64::NAN, -0.5])))),
        at(5, Value::Array(Box::new(Column::Float64(vec![])))),
        at(6, Value::Array(Box::new(Column::String(strings)))),
        at(7, Value::Bool(true)),
        at(8, Value::Float64(f64::INFINITY)),
        at(9, Value::Enum(1)),
    ];
    samples[7].severity = Severity::Invalid;
    samples[7].status = Status::ca(17);
    samples[8].status = Status { domain: StatusDomain::Pva, code: 3 };
    let state = state_of(samples, vec![(0, states(&["off", "on, really"]))]);
    let lines = [
        "channel,time,value,severity,status",
        "X,1970-01-01T00:00:00.000000001Z,\"\",NO_ALARM,NO_ALARM",
        "X,1970-01-01T00:00:00.000000002Z,\"a,b \"\"c\"\"\r\nd\",NO_ALARM,NO_ALARM",
        "X,1970-01-01T00:00:00.000000003Z,°C,NO_ALARM,NO_ALARM",
        "X,1970-01-01T00:00:00.000000004Z,1.0 NaN -0.5,NO_ALARM,NO_ALARM",
        "X,1970-01-01T00:00:00.000000005Z,,NO_ALARM,NO_ALARM",
        "X,1970-01-01T00:00:00.000000006Z,\"[\"\"a b\"\",\"\"\"\",\"\"\\\"\"q\\\"\"\"\"]\",NO_ALARM,NO_ALARM",
        "X,1970-01-01T00:00:00.000000007Z,true,NO_ALARM,NO_ALARM",
        "X,1970-01-01T00:00:00.000000008Z,Infinity,INVALID,UDF",
        "X,1970-01-01T00:00:00.000000009Z,1,NO_ALARM,RECORD",
        "",
    ];
    let csv = |query: &str| text(&state, "/api/v1/samples", &format!("{RANGE}&format=csv{query}"));
    assert_eq!(csv(""), lines.join("\n"));
    assert!(csv("&enum=label").contains(",\"on, really\",NO_ALARM,RECORD"));
    assert!(csv("&nonfinite=null").contains("Z,,INVALID,UDF"));
    let edges = "channel=X&from_ns=2&to_ns=3&format=csv&edge=true&after=true";
    let edges = text(&state, "/api/v1/samples", &edges.replace("from_ns=2", "from_ns=8").replace("3&", "9&"));
    let expected = [
        "channel,time,value,severity,status,edge",
        "X,1970-01-01T00:00:00.000000008Z,Infinity,INVALID,UDF,false",
        "X,1970-01-01T00:00:00.000000009Z,1,NO_ALARM,RECORD,true",
        "",
    ];
    assert_eq!(edges, expected.join("\n"));
    let name = "channel=a,\"b";
    let state =
        Memory::of([("a,\"b", Channel { samples: vec![at(1, Value::Int8(-1))], ..Channel::default() })]);
    let csv = text(&state.state(), "/api/v1/samples", &format!("{name}&from_ns=0&to_ns=9&format=csv"));
    assert!(csv.ends_with("\n\"a,\"\"b\",1970-01-01T00:00:00.000000001Z,-1,NO_ALARM,NO_ALARM\n"), "{csv}");
}

#[test]
fn segments_end_where_type_or_metadata_change() {
    let array = |n: usize| Value::Array(Box::new(Column::Int16(vec![7; n])));
    let mut samples = vec![
        at(1, Value::Enum(0)),
        at(2, Value::Enum(1)),
        at(3, Value::Enum(1)),
        at(4, Value::Enum(9)),
        at(5, array(2)),
        at(6, array(3)),
        at(7, Value::text("12.5")),
        at(8, Value::Float64(2.5)),
    ];
    samples[0].metadata_known = false;
    let metadata = vec![(2, states(&["off", "on"])), (3, states(&["closed", "open"]))];
    let state = state_of(samples, metadata);
    let segment = segments(&state, "");
    let facts: Vec<_> =
        segment.as_array().unwrap().iter().map(|s| (s["type"].clone(), s["element_count"].clone())).collect();
    let one = literal!(1);
    let expected = [
        (literal!("enum"), one.clone()),
        (literal!("enum"), one.clone()),
        (literal!("enum"), one.clone()),
        (literal!("int16[]"), literal!(null)),
        (literal!("string"), one.clone()),
        (literal!("float64"), one),
    ];
    assert_eq!(facts, expected);
    assert_eq!(segment[0]["metadata"], literal!({}));
    assert_eq!(segment[1]["metadata"]["states"], literal!(["off", "on"]));
    assert_eq!(segment[2]["metadata"]["states"], literal!(["closed", "open"]));
    let labels = segments(&state, "enum=label");
    assert_eq!(labels[0]["value"], literal!(["0"]));
    assert_eq!(labels[1]["value"], literal!(["on"]));
    assert_eq!(labels[2]["value"], literal!(["open", "9"]));
    assert_eq!(labels[2]["type"], "string");
    let sliced = segments(&state, "elements=1:3");
    assert_eq!(sliced[3]["value"], literal!([[7], [7, 7]]));
    let wide = segments(&state, "as=float64");
    assert_eq!(wide.as_array().unwrap().len(), 3);
    assert_eq!(wide[0]["value"], literal!([0.0, 1.0, 1.0, 9.0]));
    assert_eq!(wide[0]["metadata"], literal!({}));
    assert_eq!(wide[1]["value"], literal!([[7.0, 7.0], [7.0, 7.0, 7.0]]));
    assert_eq!(wide[2]["value"], literal!([12.5, 2.5]));
    let texts = segments(&state, "as=string");
    assert_eq!(texts[0]["value"], literal!(["0", "on", "open", "9"]));
    assert_eq!(texts[2]["value"], literal!(["12.5", "2.5"]));
}

#[test]
fn widened_segments_tell_only_metadata_that_all_samples_share() {
    let metadata = |units: &str, low: f64| {
        let units = Some(units.as_bytes().into());
        Arc::new(Metadata { units, display_low: Some(low), ..Metadata::default() })
    };
    let samples = vec![at(1, Value::Int32(1)), at(2, Value::Float64(2.0))];
    let state = state_of(samples, vec![(0, metadata("mm", 0.0)), (2, metadata("mm", 1.0))]);
    let wide = segments(&state, "as=float64");
    assert_eq!(wide.as_array().unwrap().len(), 1);
    assert_eq!(wide[0]["metadata"], literal!({"units": "mm"}));
}

#[test]
fn optional_columns_come_where_they_are_stored() {
    let mut full = at(1, Value::Float64(1.0));
    full.user_tag = Some(-3);
    full.message = Some(b"hi".as_slice().into());
    full.received = Some(Timestamp(77));
    full.status = Status { domain: StatusDomain::Pva, code: 2 };
    let state = state_of(vec![full.clone(), at(2, Value::Float64(2.0))], vec![]);
    let segment = segments(&state, "");
    assert_eq!(segment[0]["user_tag"], literal!([-3]));
    assert_eq!(segment[0]["message"], literal!(["hi"]));
    assert_eq!(segment[0]["received_ns"], literal!([77]));
    assert_eq!(segment[0]["status_domain"], "pva");
    for key in ["user_tag", "message", "received_ns", "status_domain"] {
        assert!(segment[1].get(key).is_none());
    }
    let answer = ask(&state, "/api/v1/samples", &format!("{RANGE}&format=columns"));
    let (batches, _) = columns::decode(&answer.bytes).unwrap();
    // Without metadata the flag says so; what else was stored comes back whole.
    assert_eq!(batches[0].block.get(0), full);
}

#[test]
fn structures_travel_as_bytes() {
    let descriptor: Arc<[u8]> = Arc::from(b"struct".as_slice());
    let value = Value::Structure { descriptor, bytes: b"\x00\x01\x02".as_slice().into() };
    let sample = at(1, value);
    let state = state_of(vec![sample.clone()], vec![]);
    let segment = segments(&state, "");
    assert_eq!(segment[0]["value"], literal!(["AAEC"]));
    assert_eq!(segment[0]["descriptor"], "c3RydWN0");
    let answer = ask(&state, "/api/v1/samples", &format!("{RANGE}&format=columns"));
    let (batches, _) = columns::decode(&answer.bytes).unwrap();
    assert_eq!(batches[0].block.get(0), sample);
    let csv = text(&state, "/api/v1/samples", &format!("{RANGE}&format=csv"));
    assert!(csv.contains(",AAEC,"));
}

#[test]
fn large_answers_are_cut_into_bounded_segments() {
    let samples: Vec<Sample> = (0..70_000).map(|i| at(i, Value::Int8(1))).collect();
    let big = |time| at(time, Value::Array(Box::new(Column::UInt8(vec![9; 3 << 20]))));
    let huge = at(80_002, Value::Array(Box::new(Column::UInt8(vec![9; 5 << 20]))));
    let samples = samples.into_iter().chain([big(80_000), big(80_001), huge, big(80_003)]).collect();
    let state = state_of(samples, vec![]);
    let query = "channel=X&from_ns=0&to_ns=99999&format=columns";
    let (batches, end) = columns::decode(&ask(&state, "/api/v1/samples", query).bytes).unwrap();
    let counts: Vec<usize> = batches.iter().map(|b| b.block.len()).collect();
    // Blocks of 2050, of which a batch has as many as fit whole.
    let expected = [&[6150; 11][..], &[70_000 - 11 * 6150, 1, 1, 1, 1]].concat();
    assert_eq!(counts, expected);
    assert_eq!(end.samples, 70_004);
    let answer = json(&state, "/api/v1/samples", "channel=X&from_ns=0&to_ns=80000");
    let segments = answer["channels"][0]["segments"].as_array().unwrap();
    assert_eq!(segments.len(), 12);
}

#[test]
fn at_says_what_was_held() {
    let mut memory = Memory::of([]);
    let connected =
        Event { time: Timestamp(5), sequence: 2, kind: EventKind::Connected { host: "h:1".into() } };
    let started = Event { time: Timestamp(3), sequence: 1, kind: EventKind::Started };
    let lost = EventKind::Disconnected { last_heard: Timestamp(40) };
    let lost = Event { time: Timestamp(50), sequence: 9, kind: lost };
    let mut twins = vec![at(6, Value::Enum(0)), at(6, Value::Enum(1)), at(6, Value::Enum(0))];
    (0..).zip(&mut twins).for_each(|(rank, sample)| sample.rank = rank);
    let channel = Channel {
        samples: twins,
        metadata: vec![(Timestamp(5), states(&["off", "on"]))],
        events: vec![started, connected, lost],
        ..Channel::default()
    };
    memory.channels.insert("X".into(), channel);
    let state = memory.state();
    let held =
        |time: i64| json(&state, "/api/v1/at", &format!("channel=X&time_ns={time}"))["channels"][0].clone();
    let known = held(10);
    for (key, value) in [
        ("held", literal!(true)),
        ("state", literal!("held")),
        ("time_ns", literal!(6)),
        ("age_ns", literal!(4)),
        ("type", literal!("enum")),
        ("value", literal!(0)),
        ("severity", literal!(0)),
        ("status", literal!(0)),
        ("metadata", literal!({"states": ["off", "on"]})),
    ] {
        assert_eq!(known[key], value, "{key}");
    }
    assert_eq!(held(45)["state"], "unknown");
    assert_eq!((&held(60)["held"], &held(60)["value"]), (&literal!(false), &literal!(0)));
    assert_eq!(held(2)["state"], "not_archived");
    assert_eq!(held(2)["value"], literal!(null));
    let edge = json(&state, "/api/v1/samples", "channel=X&from_ns=6&to_ns=6");
    assert_eq!(edge["channels"][0]["edge"]["value"], 0);
    assert_eq!(edge["channels"][0]["edge"]["held"], true);
    assert_eq!(edge["channels"][0]["segments"], literal!([]));
    let answer = json(&state, "/api/v1/coverage", "channel=X&from_ns=0&to_ns=60");
    let channel = &answer["channels"][0];
    let states: Vec<&str> =
        channel["intervals"].as_array().unwrap().iter().map(|i| i["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["not_archived", "disconnected", "unknown", "held", "unknown", "disconnected"]);
    let total: i64 = channel["totals_ns"].as_object().unwrap().values().map(|v| v.as_i64().unwrap()).sum();
    assert_eq!(total, 60);
    assert_eq!(channel["totals_ns"].as_object().unwrap().len(), 8);
    let gaps = json(&state, "/api/v1/samples", "channel=X&from_ns=6&to_ns=60")["channels"][0]["gaps"].clone();
    let expected = literal!([
        {"from_ns": 40, "to_ns": 50, "state": "unknown"},
        {"from_ns": 50, "to_ns": 60, "state": "disconnected"},
    ]);
    assert_eq!(gaps, expected);
    let events =
        json(&state, "/api/v1/events", "channel=X&from_ns=4&to_ns=60")["channels"][0]["events"].clone();
    assert_eq!(events[0]["kind"], "connected");
    assert_eq!(events[0]["detail"], "h:1");
    assert_eq!(events[1]["last_heard_ns"], 40);
    assert_eq!(events.as_array().unwrap().len(), 2);
}

#[test]
fn one_channel_is_described_whole() {
    let state = state_of(vec![at(1, Value::Int32(1)), at(5, Value::Float64(2.0))], vec![(4, states(&["a"]))]);
    let detail = json(&state, "/api/v1/channel", "channel=X&time_ns=4");
    assert_eq!(
        detail["types"],
        literal!([{"from_ns": 1, "type": "int32"}, {"from_ns": 5, "type": "float64"}])
    );
    assert_eq!(detail["metadata"], literal!({"states": ["a"]}));
    assert_eq!(detail["received"], 0);
    let causes = literal!({"future": 0, "late": 0, "rate": 0, "memory": 0, "disk_full": 0});
    assert_eq!(detail["dropped"], causes);
    assert_eq!(json(&state, "/api/v1/channel", "channel=X&time_ns=3")["metadata"], literal!({}));
    assert_eq!(refused(&state, "/api/v1/channel", "").parameter.as_deref(), Some("channel"));
}

#[test]
fn the_answer_states_what_relative_times_meant() {
    let state = state_of(vec![], vec![]);
    let now = 1_795_248_060_000_000_000_i64;
    let range = |query: &str| {
        let answer = json(&state, "/api/v1/coverage", &format!("channel=X&{query}"));
        (answer["from_ns"].as_i64().unwrap() - now, answer["to_ns"].as_i64().unwrap() - now)
    };
    let minute = 60_000_000_000;
    assert_eq!(range(""), (-60 * minute, 0));
    assert_eq!(range("from=-2h&to=now-1h"), (-120 * minute, -60 * minute));
    assert_eq!(range("to=-1h"), (-120 * minute, -60 * minute));
    assert_eq!(range("to=%2B1h"), (0, 60 * minute));
    assert_eq!(range("from=now&to=+1h"), (0, 60 * minute));
    assert_eq!(range("from=now&to=now"), (0, 0));
    assert_eq!(range("tz=Europe/London&from=today&to=today+01:00"), (-481 * minute, -421 * minute));
    assert_eq!(range("from=2026-11-21T08:00:00+00:00"), (-minute, 0));
}
