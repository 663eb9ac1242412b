//! `format=arrow`: what an independent reader finds.

use crate::ask::{ask, json};
use crate::memory::{Channel, Memory};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, TimestampNanosecondType, UInt8Type, UInt16Type};
use arrow_array::{Array, RecordBatch};
use arrow_ipc::reader::StreamReader;
use arrow_schema::DataType;
use sample::{Column, Metadata, Sample, Severity, Timestamp, Value};
use serde_json::Value as Json;
use std::sync::Arc;

fn at(time: i64, value: Value) -> Sample {
    Sample::new(Timestamp(time), value)
}

fn read(bytes: &[u8]) -> (arrow_schema::SchemaRef, Vec<RecordBatch>) {
    let reader = StreamReader::try_new(bytes, None).unwrap();
    let schema = reader.schema();
    (schema, reader.map(Result::unwrap).collect())
}

#[test]
fn one_type_is_one_column() {
    let mut first = at(1, Value::Float64(1.5));
    first.severity = Severity::Major;
    first.status.code = 3;
    let units = Metadata { units: Some(b"mm".as_slice().into()), ..Metadata::default() };
    let metadata = vec![(Timestamp(0), Arc::new(units))];
    let x = Channel { samples: vec![first, at(2, Value::Float64(f64::NAN))], metadata, ..Channel::default() };
    let y =
        Channel { samples: (0..9).map(|i| at(i, Value::Float64(i as f64))).collect(), ..Channel::default() };
    let state = Memory::of([("X", x), ("Y", y)]).state();
    let query = "channel=X&channel=NONE&channel=Y&from_ns=0&to_ns=7&format=arrow";
    let answer = ask(&state, "/api/v1/samples", query);
    assert_eq!(answer.head.media_type, "application/vnd.apache.arrow.stream");
    assert_eq!(answer.head.problems[0]["channel"], "NONE");
    let (schema, batches) = read(&answer.bytes);
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["channel", "time", "value", "severity", "status"]);
    assert_eq!(schema.field(1).data_type().to_string(), "Timestamp(ns, \"UTC\")");
    let told: Json = serde_json::from_str(&schema.metadata()["varve"]).unwrap();
    assert_eq!(told["channels"][0]["metadata"][0]["metadata"]["units"], "mm");
    assert!(told["channels"][0]["gaps"].is_array());
    let mut rows = Vec::new();
    for batch in &batches {
        let channels =
            batch.column(0).as_dictionary::<Int32Type>().downcast_dict::<arrow_array::StringArray>().unwrap();
        let times = batch.column(1).as_primitive::<TimestampNanosecondType>();
        let values = batch.column(2).as_primitive::<Float64Type>();
        let severities = batch.column(3).as_primitive::<UInt8Type>();
        let statuses = batch.column(4).as_primitive::<UInt16Type>();
        for i in 0..batch.num_rows() {
            let name = channels.values().value(channels.keys().value(i) as usize).to_string();
            rows.push((
                name,
                times.value(i),
                values.value(i).to_bits(),
                severities.value(i),
                statuses.value(i),
            ));
        }
    }
    let mut expected =
        vec![("X".to_string(), 1, 1.5f64.to_bits(), 2, 3), ("X".to_string(), 2, f64::NAN.to_bits(), 0, 0)];
    expected.extend((0..7).map(|i| ("Y".to_string(), i, (i as f64).to_bits(), 0, 0)));
    assert_eq!(rows, expected);
}

#[test]
fn several_types_are_several_columns() {
    let samples = vec![
        at(1, Value::Bool(true)),
        at(3, Value::text("a")),
        at(4, Value::String(b"\xb5m".as_slice().into())),
        at(5, Value::Array(Box::new(Column::Float64(vec![1.0, 2.0])))),
        at(6, Value::Array(Box::new(Column::Float64(Vec::new())))),
        at(7, Value::Enum(7)),
    ];
    let state = Memory::of([("X", Channel { samples, ..Channel::default() })]).state();
    let query = "channel=X&from_ns=2&to_ns=9&edge=true&format=arrow";
    let (schema, batches) = read(&ask(&state, "/api/v1/samples", query).bytes);
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let values = ["value_bool", "value_string", "value_float64[]", "value_enum"];
    assert_eq!(names, [["channel", "time"].as_slice(), &values, &["severity", "status", "edge"]].concat());
    assert!(matches!(schema.field(4).data_type(), DataType::List(_)));
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let texts: Vec<Option<String>> = batches
        .iter()
        .flat_map(|batch| {
            batch.column(3).as_string::<i32>().iter().map(|t| t.map(Into::into)).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(rows, 6);
    let text = |text: &str| Some(text.to_string());
    assert_eq!(texts, [None, text("a"), text("µm"), None, None, None]);
    let lists = batches.iter().find(|batch| !batch.column(4).is_null(0)).unwrap().column(4).as_list::<i32>();
    assert_eq!((lists.value_length(0), lists.value_length(1)), (2, 0));
    let one = format!("{query}&as=string");
    let (schema, _) = read(&ask(&state, "/api/v1/samples", &one).bytes);
    assert_eq!(schema.fields().len(), 7);
}

#[test]
fn an_empty_answer_is_a_stream_and_a_broken_one_is_none() {
    let samples: Vec<Sample> = (0..20_000).map(|i| at(i, Value::Int64(i))).collect();
    let state = Memory::of([("X", Channel { samples, damaged: Some(3500), ..Channel::default() })]).state();
    let (_, none) = read(&ask(&state, "/api/v1/samples", "channel=X&from_ns=-9&to_ns=-5&format=arrow").bytes);
    assert!(none.is_empty());
    let whole = json(&state, "/api/v1/samples", "channel=X&from_ns=0&to_ns=10");
    assert_eq!(whole["complete"], true);
    let (_, stopped) =
        crate::ask::stopped(&state, "/api/v1/samples", "channel=X&from_ns=0&to_ns=20000&format=arrow");
    assert!(matches!(stopped, Some(retrieval_server::Stopped::Broken(_))), "{stopped:?}");
}
