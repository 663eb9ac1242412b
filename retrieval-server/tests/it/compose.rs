//! [a,b) + [b,c) = [a,c) in every format, over changes of type, length and states, against a naive model.

use crate::ask::{ask, json, text};
use crate::memory::{Channel, Memory};
use proptest::prelude::*;
use retrieval_server::columns;
use sample::{Column, Metadata, Sample, Severity, Status, StatusDomain, Timestamp, Value};
use serde_json::Value as Json;
use std::sync::Arc;

/// One random sample: distance from the one before, type, value, length, alarm.
type Draw = (i64, u8, u16, u8, u8);

fn value(kind: u8, x: u16, length: u8) -> Value {
    let floats = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 1e300, 0.1];
    let texts: [&[u8]; 5] = [b"", b"a,b", b"say \"no\"", b"two\nlines", b"\xb0C"];
    let pick = usize::from(x);
    match kind {
        0 => Value::Float64(floats[pick % floats.len()]),
        1 => Value::Int32(i32::from(x) - 500),
        2 => Value::Enum(x % 4),
        3 => Value::String(texts[pick % texts.len()].into()),
        4 => Value::Array(Box::new(Column::Int16((0..i16::from(length)).collect()))),
        5 => {
            let mut strings = sample::BytesColumn::default();
            (0..length).for_each(|i| strings.push(texts[(pick + usize::from(i)) % texts.len()]));
            Value::Array(Box::new(Column::String(strings)))
        }
        6 => Value::UInt64(u64::MAX - u64::from(x)),
        7 => Value::Bool(x.is_multiple_of(2)),
        8 => Value::Float32(f32::from(x) / 3.0),
        _ => Value::Array(Box::new(Column::Float64(vec![f64::from(x); length.into()]))),
    }
}

fn metadata(version: i64) -> Arc<Metadata> {
    let states = (0..=version).map(|i| format!("state {version}.{i}").into_bytes().into()).collect();
    let units = Some(format!("unit {version}").into_bytes().into());
    Arc::new(Metadata { units, states: Some(states), ..Metadata::default() })
}

fn channel(draws: &[Draw], changes: &[i64]) -> Channel {
    let mut samples = Vec::new();
    let (mut time, mut rank) = (0, 0);
    for (distance, kind, x, length, alarm) in draws {
        rank = if *distance == 0 && !samples.is_empty() { rank + 1 } else { 0 };
        time += distance;
        let mut sample = Sample::new(Timestamp(time), value(*kind, *x, *length));
        sample.rank = rank;
        sample.severity = Severity::from_code(u16::from(alarm % 4)).unwrap();
        let domain = if *alarm > 13 { StatusDomain::Pva } else { StatusDomain::Ca };
        sample.status = Status { domain, code: u16::from(alarm % 9) };
        sample.metadata_known = *alarm != 7;
        sample.user_tag = (*alarm == 5).then_some(i64::from(*x));
        sample.message = (*alarm == 6).then(|| b"m".as_slice().into());
        samples.push(sample);
    }
    let metadata = changes.iter().map(|at| (Timestamp(*at), metadata(*at))).collect();
    Channel { samples, metadata, ..Channel::default() }
}

/// One sample as any format tells it: time, value as JSON, severity, status, units, type.
type Row = (i64, Json, u8, u16, Option<String>, String);

/// Both archives' samples: at a time that the better one knows, of that alone.
fn joined(better: &Channel, worse: Option<&Channel>) -> Channel {
    let mut joined = better.clone();
    let known = |time| better.samples.iter().any(|sample| sample.time == time);
    let others = worse.iter().flat_map(|worse| &worse.samples).filter(|sample| !known(sample.time));
    joined.samples.extend(others.cloned());
    joined.samples.sort_by_key(|sample| (sample.time, sample.rank));
    joined
}

fn column_json(column: &Column, i: usize) -> Json {
    let float = |x: f64| {
        if x.is_finite() {
            serde_json::json!(x)
        } else {
            serde_json::json!(if x.is_nan() {
                "NaN"
            } else if x > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            })
        }
    };
    let text = |b: &[u8]| match std::str::from_utf8(b) {
        Ok(text) => serde_json::json!(text),
        Err(_) => serde_json::json!(b.iter().map(|b| char::from(*b)).collect::<String>()),
    };
    match column {
        Column::Bool(v) => serde_json::json!(v[i] != 0),
        Column::Enum(v) => v[i].into(),
        Column::Int16(v) => v[i].into(),
        Column::Int32(v) => v[i].into(),
        Column::UInt64(v) => v[i].into(),
        Column::Float32(v) => serde_json::from_str(&format!("{:?}", v[i])).unwrap(),
        Column::Float64(v) => float(v[i]),
        Column::String(v) => text(v.get(i)),
        Column::Array { ends, elements } => {
            let from = if i == 0 { 0 } else { ends[i - 1] as usize };
            (from..ends[i] as usize).map(|e| column_json(elements, e)).collect()
        }
        other => panic!("no such column is drawn: {other:?}"),
    }
}

fn units(channel: &Channel, sample: &Sample) -> Option<String> {
    let in_force = channel.metadata.iter().rev().find(|(from, _)| *from <= sample.time);
    let (_, metadata) = in_force.or(channel.metadata.first()).filter(|_| sample.metadata_known)?;
    Some(String::from_utf8(metadata.units.clone().unwrap().into()).unwrap())
}

fn model(channel: &Channel, from: i64, to: i64) -> Vec<Row> {
    let inside = |s: &&Sample| from <= s.time.0 && s.time.0 < to;
    let row = |s: &Sample| {
        let mut column = Column::new(s.value.value_type());
        column.push(&s.value);
        let value_type = s.value.value_type().name();
        let value = column_json(&column, 0);
        (s.time.0, value, s.severity as u8, s.status.code, units(channel, s), value_type)
    };
    channel.samples.iter().filter(inside).map(row).collect()
}

fn from_json(answer: &Json) -> Vec<Row> {
    let mut rows = Vec::new();
    for segment in answer["channels"][0]["segments"].as_array().unwrap() {
        let column = |name: &str| segment[name].as_array().unwrap().clone();
        let (times, values) = (column("time_ns"), column("value"));
        let (severities, statuses) = (column("severity"), column("status"));
        assert!(!times.is_empty());
        assert!([values.len(), severities.len(), statuses.len()].iter().all(|n| *n == times.len()));
        for i in 0..times.len() {
            rows.push((
                times[i].as_i64().unwrap(),
                values[i].clone(),
                severities[i].as_u64().unwrap() as u8,
                statuses[i].as_u64().unwrap() as u16,
                segment["metadata"]["units"].as_str().map(Into::into),
                segment["type"].as_str().unwrap().into(),
            ));
        }
    }
    rows
}

fn from_columns(bytes: &[u8]) -> Vec<Row> {
    let (batches, end) = columns::decode(bytes).unwrap();
    assert!(end.complete);
    let mut rows = Vec::new();
    for batch in &batches {
        let block = &batch.block;
        for i in 0..block.len() {
            let units = batch.json["metadata"]["units"].as_str().map(Into::into);
            let value = column_json(&block.values, i);
            let value_type = batch.json["type"].as_str().unwrap().to_string();
            assert_eq!(value_type, block.run.value.name());
            rows.push((block.time[i], value, block.severity[i], block.status[i], units, value_type));
        }
    }
    assert_eq!(rows.len() as u64, end.samples);
    rows
}

/// What CSV tells of a row of the model.
fn csv_fields(row: &Row, domain: StatusDomain) -> Vec<String> {
    let scalar = |value: &Json| match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    let value = match &row.1 {
        Json::Array(items) if row.5 == "string[]" => Json::Array(items.clone()).to_string(),
        Json::Array(items) => items.iter().map(scalar).collect::<Vec<_>>().join(" "),
        other => scalar(other),
    };
    let time = format!("1970-01-01T00:00:00.{:09}Z", row.0);
    let severity = Severity::from_code(row.2.into()).unwrap().name().to_string();
    let status = Status { domain, code: row.3 };
    let status = status.name().map_or_else(|| status.code.to_string(), Into::into);
    vec!["X".into(), time, value, severity, status]
}

fn draws() -> impl Strategy<Value = Vec<Draw>> {
    prop::collection::vec((0i64..4, 0u8..10, 0u16..1000, 0u8..4, 0u8..16), 0..24)
}

fn sorted(mut times: [i64; 3]) -> [i64; 3] {
    times.sort_unstable();
    times
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 10_000, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn parts_of_a_range_make_the_whole(
        draws in draws(),
        mut changes in prop::collection::vec(0i64..60, 0..4),
        times in [0i64..60, 0i64..60, 0i64..60],
        order in prop::bool::ANY,
    ) {
        changes.sort_unstable();
        changes.dedup();
        let channel = channel(&draws, &changes);
        let expected = |from, to| {
            let mut rows = model(&channel, from, to);
            if order {
                rows.reverse();
            }
            rows
        };
        let [a, b, c] = sorted(times);
        let state = Memory::of([("X", channel.clone())]).state();
        let order = if order { "desc" } else { "asc" };
        let query = |from: i64, to: i64, format: &str| {
            format!("channel=X&from_ns={from}&to_ns={to}&order={order}&format={format}")
        };
        for (from, to) in [(a, b), (b, c), (a, c)] {
            let rows = expected(from, to);
            let answer = json(&state, "/api/v1/samples", &query(from, to, "json"));
            prop_assert_eq!(from_json(&answer), &rows[..]);
            prop_assert_eq!(&answer["complete"], true);
            let answer = ask(&state, "/api/v1/samples", &query(from, to, "columns"));
            prop_assert_eq!(from_columns(&answer.bytes), &rows[..]);
            prop_assert_eq!(answer.head.samples, Some(rows.len() as u64));
        }
        // CSV as bytes: the header once, then the rows of both halves.
        let [first, second, whole] = [(a, b), (b, c), (a, c)]
            .map(|(from, to)| text(&state, "/api/v1/samples", &query(from, to, "csv")));
        let header = "channel,time,value,severity,status\n";
        let (early, late) = if order == "asc" { (&first, &second) } else { (&second, &first) };
        prop_assert_eq!(format!("{early}{}", late.strip_prefix(header).unwrap()), &whole[..]);
        let mut reader = csv::ReaderBuilder::new().from_reader(whole.as_bytes());
        let fields: Vec<Vec<String>> =
            reader.records().map(|r| r.unwrap().iter().map(Into::into).collect()).collect();
        let mut samples: Vec<&Sample> =
            channel.samples.iter().filter(|s| a <= s.time.0 && s.time.0 < c).collect();
        if order == "desc" {
            samples.reverse();
        }
        let expected: Vec<Vec<String>> =
            expected(a, c).iter().zip(&samples).map(|(row, s)| csv_fields(row, s.status.domain)).collect();
        prop_assert_eq!(fields, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn edge_and_after_are_the_neighbours(
        draws in draws(),
        times in [-3i64..60, -3i64..60],
    ) {
        let channel = channel(&draws, &[]);
        let (from, to) = (times[0].min(times[1]), times[0].max(times[1]));
        let state = Memory::of([("X", channel.clone())]).state();
        let query = format!("channel=X&from_ns={from}&to_ns={to}&after=true");
        let answer = json(&state, "/api/v1/samples", &query);
        let answer = &answer["channels"][0];
        let samples = &channel.samples;
        let edge = if from == to {
            samples.iter().rev().find(|s| s.time.0 <= from)
        } else if samples.iter().any(|s| s.time.0 == from) {
            None
        } else {
            samples.iter().rev().find(|s| s.time.0 < from)
        };
        let after = samples.iter().find(|s| s.time.0 >= to);
        for (name, expected) in [("edge", edge), ("after", after)] {
            let Some(expected) = expected else {
                prop_assert_eq!(&answer[name], &Json::Null);
                continue;
            };
            let mut column = Column::new(expected.value.value_type());
            column.push(&expected.value);
            prop_assert_eq!(answer[name]["time_ns"].as_i64(), Some(expected.time.0));
            prop_assert_eq!(&answer[name]["value"], &column_json(&column, 0));
            prop_assert_eq!(answer[name]["severity"].as_u64(), Some(expected.severity as u64));
        }
    }

    #[test]
    fn pages_make_the_whole(
        draws in draws(),
        times in [0i64..60, 0i64..60],
        limit in 1usize..9,
        order in prop::bool::ANY,
        worse in prop::option::of(draws()),
    ) {
        let better = channel(&draws, &[10, 20]);
        let (from, to) = (times[0].min(times[1]), times[0].max(times[1]));
        let worse = worse.map(|draws| channel(&draws, &[10, 20]));
        let mut expected = model(&joined(&better, worse.as_ref()), from, to);
        if order {
            expected.reverse();
        }
        let better = Memory::of([("X", better)]);
        let state = match worse {
            None => better.state(),
            Some(worse) => better.state_beside(Memory::of([("X", worse)])),
        };
        let order = if order { "desc" } else { "asc" };
        let mut query = format!("channel=X&from_ns={from}&to_ns={to}&order={order}&limit={limit}");
        let mut rows = Vec::new();
        loop {
            let csv = ask(&state, "/api/v1/samples", &format!("{query}&format=csv"));
            let columns = ask(&state, "/api/v1/samples", &format!("{query}&format=columns"));
            let answer = json(&state, "/api/v1/samples", &query);
            let page = from_json(&answer);
            prop_assert_eq!(&from_columns(&columns.bytes), &page);
            prop_assert_eq!(csv::Reader::from_reader(&csv.bytes[..]).into_records().count(), page.len());
            prop_assert!(page.len() <= limit);
            rows.extend(page);
            let next = &answer["channels"][0]["next"];
            let (_, end) = columns::decode(&columns.bytes).unwrap();
            prop_assert_eq!(&end.json["channels"][0]["next"], next);
            prop_assert_eq!(csv.head.next.first().map(|n| &n["next"]), (!next.is_null()).then_some(next));
            let Some(next) = next.as_str() else { break };
            query = format!("channel=X&cursor={next}&limit={limit}");
        }
        prop_assert_eq!(rows, expected);
    }
}
