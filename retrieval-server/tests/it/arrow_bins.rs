//! Bins as an Arrow stream: what the JSON answer to the same request says.

use crate::ask::{ask, json, stopped};
use crate::memory::{Channel, Memory};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, UInt8Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_ipc::reader::StreamReader;
use arrow_schema::{DataType, SchemaRef};
use retrieval_server::ServerState;
use sample::{Metadata, Sample, Severity, Timestamp, Value};
use serde_json::{Map, Value as Json, json as literal};
use std::sync::Arc;

fn at(time: i64, value: Value) -> Sample {
    Sample::new(Timestamp(time), value)
}

fn state() -> ServerState {
    let mut numbers = vec![
        at(-5, Value::Float64(100.0)),
        at(2, Value::Float64(4.0)),
        at(4, Value::Float64(f64::NAN)),
        at(25, Value::Float64(f64::INFINITY)),
    ];
    numbers[1].severity = Severity::Major;
    let units = Metadata { units: Some(b"mm".as_slice().into()), ..Metadata::default() };
    let metadata = vec![(Timestamp(-9), Arc::new(units))];
    let x = Channel { samples: numbers, metadata, ..Channel::default() };
    let names = [b"Closed".as_slice(), b"Open"].iter().map(|name| (*name).into()).collect();
    let states = Metadata { states: Some(names), ..Metadata::default() };
    let y = Channel {
        samples: [(0, 0), (5, 1), (8, 0), (12, 7), (29, 1)]
            .map(|(time, index)| at(time, Value::Enum(index)))
            .to_vec(),
        metadata: vec![(Timestamp(0), Arc::new(states))],
        ..Channel::default()
    };
    let text = Channel { samples: vec![at(3, Value::text("a"))], ..Channel::default() };
    Memory::of([("X", x), ("Y", y), ("T", text)]).state()
}

fn read(bytes: &[u8]) -> (SchemaRef, Vec<RecordBatch>) {
    let reader = StreamReader::try_new(bytes, None).unwrap();
    let schema = reader.schema();
    (schema, reader.map(Result::unwrap).collect())
}

/// Cell `i` as JSON answers have it.
fn cell(column: &ArrayRef, i: usize) -> Json {
    if column.is_null(i) {
        return Json::Null;
    }
    match column.data_type() {
        DataType::Int64 => literal!(column.as_primitive::<Int64Type>().value(i)),
        DataType::UInt64 => literal!(column.as_primitive::<UInt64Type>().value(i)),
        DataType::UInt8 => literal!(column.as_primitive::<UInt8Type>().value(i)),
        DataType::Float64 => match column.as_primitive::<Float64Type>().value(i) {
            number if number.is_nan() => literal!("NaN"),
            number if number.is_infinite() => literal!(if number > 0.0 { "Infinity" } else { "-Infinity" }),
            number => literal!(number),
        },
        DataType::Map(..) => {
            let map = column.as_map().value(i);
            let (keys, values) = (map.column(0).as_string::<i32>(), map.column(1));
            let of = |k: usize| (keys.value(k).to_owned(), cell(values, k));
            Json::Object((0..keys.len()).map(of).collect())
        }
        other => panic!("{other} is not expected in bins"),
    }
}

/// `{channel: {column: [..]}}` of a stream.
fn found(schema: &SchemaRef, batches: &[RecordBatch]) -> Map<String, Json> {
    let mut channels = Map::new();
    for batch in batches {
        let names = batch.column(0).as_dictionary::<Int32Type>().downcast_dict::<StringArray>().unwrap();
        for i in 0..batch.num_rows() {
            let name = names.values().value(names.keys().value(i) as usize);
            let columns = channels.entry(name).or_insert_with(|| literal!({})).as_object_mut().unwrap();
            for (field, column) in schema.fields().iter().zip(batch.columns()).skip(1) {
                let cells = columns.entry(field.name()).or_insert_with(|| literal!([]));
                cells.as_array_mut().unwrap().push(cell(column, i));
            }
        }
    }
    channels
}

fn agree(query: &str) {
    let state = state();
    let answer = ask(&state, "/api/v1/bins", &format!("{query}&format=arrow"));
    assert_eq!(answer.head.media_type, "application/vnd.apache.arrow.stream");
    let (schema, batches) = read(&answer.bytes);
    let found = found(&schema, &batches);
    let expected = json(&state, "/api/v1/bins", query);
    let told: Json = serde_json::from_str(&schema.metadata()["varve"]).unwrap();
    assert_eq!((&told["from_ns"], &told["to_ns"]), (&expected["from_ns"], &expected["to_ns"]));
    for (k, channel) in expected["channels"].as_array().unwrap().iter().enumerate() {
        let said = &told["channels"][k];
        assert_eq!(said["name"], channel["name"]);
        if channel["error"].is_object() {
            assert_eq!(said["error"], channel["error"]);
            assert_eq!(answer.head.problems[0]["channel"], channel["name"]);
            continue;
        }
        assert_eq!((&said["type"], &said["metadata"]), (&channel["type"], &channel["metadata"]));
        let name = channel["name"].as_str().unwrap();
        let mut columns = channel["columns"].clone();
        let columns = columns.as_object_mut().unwrap();
        let names: Vec<&str> = columns.keys().map(String::as_str).collect();
        let titles: Vec<&str> = schema.fields().iter().skip(1).map(|field| field.name().as_str()).collect();
        assert_eq!(titles, names, "{query}");
        if let Some(states) = columns.get_mut("states") {
            // JSON has a list for each state, Arrow a map in each bin.
            let states_of = states.take();
            let bins = found.get(name).map_or(0, |found| found["start_ns"].as_array().unwrap().len());
            let map = |i: usize| -> Json {
                let of = states_of.as_object().unwrap().iter();
                Json::Object(of.map(|(label, ns)| (label.clone(), ns[i].clone())).collect())
            };
            *states = (0..bins).map(map).collect();
        }
        match found.get(name) {
            Some(found) => assert_eq!(found, &Json::Object(columns.clone()), "{query} {name}"),
            None => assert_eq!(columns["start_ns"], literal!([]), "{query} {name}"),
        }
    }
}

#[test]
fn a_stream_of_bins_says_what_json_says() {
    agree("channel=X&channel=Y&channel=T&from_ns=0&to_ns=30&width=10ns");
    agree("channel=X&channel=NONE&channel=Y&from_ns=0&to_ns=30&width=10ns&empty=true");
    agree("channel=Y&channel=X&from_ns=0&to_ns=30&width=10ns&stats=count,states");
    agree("channel=X&from_ns=100&to_ns=130&width=10ns&stats=max,min,severity");
    agree("channel=X&from_ns=0&to_ns=30&bins=1&exclude=invalid");
}

#[test]
fn a_stream_of_bins_breaks_where_samples_are_damaged() {
    let samples: Vec<Sample> = (0..200_000).map(|i| at(i, Value::Int64(i))).collect();
    let state = Memory::of([("X", Channel { samples, damaged: Some(30_000), ..Channel::default() })]).state();
    let query = "channel=X&from_ns=0&to_ns=200000&width=1ns&format=arrow";
    let (_, broken) = stopped(&state, "/api/v1/bins", query);
    assert!(matches!(broken, Some(retrieval_server::Stopped::Broken(_))), "{broken:?}");
}
