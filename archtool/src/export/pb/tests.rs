//! Bytes of lines, types, outages and names.

use super::*;
use crate::export::Format;
use crate::export::tests::{empty, of_batches};
use disk::SimDisk;
use sample::{BytesColumn, Column, Kind, Sample, SampleBlock, Severity, Status, Value, ValueType};
use serde_json::json;
use std::path::Path;

/// The first nanosecond of 2024.
const YEAR_NS: i64 = 1_704_067_200 * 1_000_000_000;

fn bytes(hexadecimal: &str) -> Vec<u8> {
    hexadecimal.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

fn beside(seconds: u32, nano: u32) -> Beside {
    Beside { seconds, nano, severity: 0, status: 0, fields: Vec::new() }
}

fn scalar(column: &Column) -> Vec<u8> {
    let payload = Payload::of(&[column.value_type()]).unwrap();
    payload.sample(column, 0, beside(1, 2)).unwrap()
}

fn array(elements: Column) -> Vec<u8> {
    let ends = vec![elements.len() as u32];
    scalar(&Column::Array { ends, elements: Box::new(elements) })
}

fn texts(all: &[&str]) -> Column {
    let mut column = BytesColumn::default();
    all.iter().for_each(|text| column.push(text.as_bytes()));
    Column::String(column)
}

// The appliance's own bytes: shared by its documentation and verified with another encoder.
#[test]
fn messages_have_the_bytes_of_the_appliance() {
    for (found, expected) in [
        (scalar(&Column::Int16(vec![-1])), "18 01"),
        (scalar(&Column::Int16(vec![300])), "18 d8 04"),
        (scalar(&Column::Enum(vec![5])), "18 0a"),
        (scalar(&Column::Int32(vec![-7])), "1d f9 ff ff ff"),
        (scalar(&Column::Float32(vec![1.5])), "1d 00 00 c0 3f"),
        (scalar(&texts(&["on"])), "1a 02 6f 6e"),
        (scalar(&Column::UInt8(vec![27])), "1a 01 1b"),
        (array(Column::Float64(vec![1.0, 2.0])), "1a 10 00 00 00 00 00 00 f0 3f 00 00 00 00 00 00 00 40"),
        (array(Column::Int16(vec![1, -1, 300])), "1a 04 02 01 d8 04"),
        (array(texts(&["a", "", "b"])), "1a 01 61 1a 00 1a 01 62"),
        (array(Column::Int8(vec![-1, 10])), "1a 02 ff 0a"),
        (array(Column::Float32(vec![1.5])), "1a 04 00 00 c0 3f"),
        (array(Column::Int32(vec![-7])), "1a 04 f9 ff ff ff"),
        // An empty packed vector is absent.
        (array(Column::Float64(vec![])), ""),
    ] {
        assert_eq!(found, [bytes("08 01 10 02"), bytes(expected)].concat(), "{expected}");
    }
    let mut lines = Vec::new();
    let info = PayloadInfo { payload_type: 6, pvname: "test:pv".to_owned(), year: 2024 };
    line(&mut lines, &info.encode_to_vec());
    let double = Payload::of(&[ValueType::scalar(Kind::Float64)]).unwrap();
    let value = |value: f64, beside| double.sample(&Column::Float64(vec![value]), 0, beside).unwrap();
    line(&mut lines, &value(1.5, beside(10, 500_000_000)));
    line(&mut lines, &value(-0.25, Beside { severity: 2, status: 3, ..beside(11, 13) }));
    let expected = "08 06 12 07 74 65 73 74 3a 70 76 18 e8 0f 0a \
                    08 1b 02 10 80 ca b5 ee 01 19 00 00 00 00 00 00 f8 3f 0a \
                    08 0b 10 1b 03 19 00 00 00 00 00 00 d0 bf 20 02 28 03 0a";
    assert_eq!(lines, bytes(expected));
    let gaps = json!([{"from_ns": 1, "to_ns": 1_704_070_800_500_000_000_i64, "state": "engine_down"}]);
    let fields = Outages::of(&gaps, 0).before(YEAR_NS);
    let expected = "08 90 1c 10 00 19 9a 99 99 99 99 99 b9 3f \
        3a 12 0a 0d 63 6e 78 6c 6f 73 74 65 70 73 65 63 73 12 01 30 \
        3a 1f 0a 11 63 6e 78 72 65 67 61 69 6e 65 64 65 70 73 65 63 73 12 0a 31 37 30 34 30 37 30 38 30 30 \
        3a 0f 0a 07 73 74 61 72 74 75 70 12 04 74 72 75 65 40 00";
    assert_eq!(value(0.1, Beside { fields, ..beside(3600, 0) }), bytes(expected));
}

#[test]
fn types_are_widened_where_nothing_is_lost() {
    let number = |kinds: &[Kind]| {
        let types: Vec<ValueType> = kinds.iter().map(|kind| ValueType::scalar(*kind)).collect();
        Payload::of(&types).map(Payload::number)
    };
    use Kind::*;
    for (kinds, expected) in [
        (&[String][..], Some(0)),
        (&[Int16], Some(1)),
        (&[Float32], Some(2)),
        (&[Enum], Some(3)),
        (&[UInt8], Some(4)),
        (&[Int8], Some(4)),
        (&[Bool], Some(4)),
        (&[UInt8, Int8], Some(1)),
        (&[UInt16], Some(5)),
        (&[Int32, Int16], Some(5)),
        (&[UInt32], Some(6)),
        (&[Int64], Some(6)),
        (&[Float32, UInt16], Some(2)),
        (&[Float32, Int32], Some(6)),
        (&[Float32, Float64], Some(6)),
        (&[Structure], None),
        (&[Enum, Int16], None),
        (&[Float64, String], None),
    ] {
        assert_eq!(number(kinds), expected, "{kinds:?}");
    }
    let waves = [ValueType::array(Int16), ValueType::array(Float64)];
    assert_eq!(Payload::of(&waves).map(Payload::number), Some(13));
    assert_eq!(Payload::of(&[ValueType::array(Int16), ValueType::scalar(Int16)]), None);
    let double = Payload::of(&[ValueType::scalar(Int64)]).unwrap();
    let exact = |value: i64| double.sample(&Column::Int64(vec![value]), 0, beside(0, 0));
    assert!(exact(-(1 << 53)).is_ok());
    assert_eq!(exact((1 << 53) + 1), Err(Unfit::Integer("9007199254740993".to_owned())));
    assert_eq!(double.sample(&texts(&["5"]), 0, beside(0, 0)), Err(Unfit::Type));
}

#[test]
fn what_was_lost_stands_beside_the_first_sample_afterwards() {
    let s = |seconds: i64| seconds * 1_000_000_000;
    let gap = |from: i64, to: i64, state| json!({"from_ns": s(from), "to_ns": s(to), "state": state});
    let gaps = json!([
        gap(0, 5, "disconnected"), // began before
        gap(10, 12, "unknown"),
        gap(12, 15, "disconnected"),
        gap(20, 21, "paused"),
        gap(21, 22, "disconnected"), // never connected
        gap(30, 31, "disconnected"),
        gap(40, 45, "unknown"),
        gap(45, 46, "engine_down"),
        gap(60, 90, "disconnected"), // to the end
    ]);
    let mut outages = Outages::of(&gaps, 0);
    let mut told = |second: i64| -> Vec<(String, String)> {
        outages.before(s(second)).into_iter().map(|field| (field.name, field.val)).collect()
    };
    let words = |all: &[(&str, &str)]| -> Vec<(String, String)> {
        all.iter().map(|(name, val)| ((*name).to_owned(), (*val).to_owned())).collect()
    };
    assert_eq!(told(6), []);
    assert_eq!(told(10), []);
    let expected = words(&[("cnxlostepsecs", "10"), ("cnxregainedepsecs", "15")]);
    assert_eq!(told(16), expected);
    assert_eq!(told(17), []);
    // Two without a sample between them: the last.
    let expected = words(&[("cnxlostepsecs", "0"), ("cnxregainedepsecs", "46"), ("startup", "true")]);
    assert_eq!(told(50), expected);
    assert_eq!(told(60), []);
}

fn block(samples: &[(i64, Value)]) -> SampleBlock {
    let sample = |(time, value): &(i64, Value)| {
        let mut sample = Sample::new(sample::Timestamp(*time), value.clone());
        (sample.severity, sample.status) = (Severity::Minor, Status::ca(7));
        sample
    };
    let mut block = SampleBlock::new(sample(&samples[0]).run_type());
    assert!(samples.iter().all(|one| block.push(&sample(one))));
    block
}

fn files(disk: &SimDisk) -> Vec<String> {
    let below = |path: &Path| Some(path.strip_prefix("/out/pb.part/whole").ok()?.display().to_string());
    disk.files().iter().filter_map(|path| below(path)).collect()
}

#[test]
fn each_year_of_a_channel_is_a_file() {
    let disk = empty();
    let channels = vec![
        json!({"name": "SR:PS-1:I", "types": ["float64"], "gaps": []}),
        json!({"name": "SR:PS-1", "types": ["int16", "int32"], "gaps": []}),
    ];
    let second = 1_000_000_000;
    let double = |time| (time, Value::Float64(1.0));
    let stretches = [
        vec![(0, block(&[double(YEAR_NS - 1), double(YEAR_NS)]))],
        vec![
            (
                0,
                block(&[
                    double(YEAR_NS + 366 * 86_400 * second - 1),
                    double(YEAR_NS + 366 * 86_400 * second),
                ]),
            ),
            (1, block(&[(YEAR_NS, Value::Int16(1))])),
            (1, block(&[(YEAR_NS + second, Value::Int32(100_000))])),
        ],
    ];
    let part = of_batches(&disk, "/out/pb", Format::Pb, channels, &stretches);
    join(&part).unwrap();
    let expected = ["SR/PS/1/I:2023.pb", "SR/PS/1/I:2024.pb", "SR/PS/1/I:2025.pb", "SR/PS/1:2024.pb"];
    assert_eq!(files(&disk), expected);
    let content = |name: &str| disk.content(&Path::new("/out/pb.part/whole").join(name)).unwrap();
    let leap = content("SR/PS/1/I:2024.pb");
    let expected = "08 06 12 09 53 52 3a 50 53 2d 31 3a 49 18 e8 0f 1b 02 \
        08 00 10 00 19 00 00 00 00 00 00 f0 3f 20 01 28 07 1b 02 \
        08 ff 89 8a 0f 10 ff 93 eb dc 03 19 00 00 00 00 00 00 f0 3f 20 01 28 07 1b 02"
        .replace("1b 02", "0a");
    assert_eq!(leap, bytes(&expected));
    let widened = content("SR/PS/1:2024.pb");
    let expected = "08 05 12 07 53 52 3a 50 53 2d 31 18 e8 0f 0a \
        08 00 10 00 1d 01 00 00 00 20 01 28 07 0a \
        08 01 10 00 1d a0 86 01 00 20 01 28 07 0a";
    assert_eq!(widened, bytes(expected));
}

#[test]
fn what_does_not_fit_is_refused_with_its_name() {
    let refused = |channels: &[(&str, &[&str])]| {
        let disk = empty();
        let about = |(name, types): &(&str, &[&str])| json!({"name": name, "types": types, "gaps": []});
        let channels = channels.iter().map(about).collect();
        let part = of_batches(&disk, "/out/pb", Format::Pb, channels, &[]);
        check(part.plan()).err().map(|failure| failure.to_string()).unwrap_or_default()
    };
    let one: &[&str] = &["float64"];
    assert_eq!(refused(&[("A:B", one), ("A:B:C", &[])]), "");
    for (channels, said) in [
        (&[("A:B", one), ("A-B", one)][..], "A:B and A-B would have the same name"),
        (&[("A:..:B", one)], "A:..:B makes no name"),
        (&[("..", one), ("A", &["structure"])], "A, which are structure;"),
        (&[("A", &["int16", "string"])], "A, which are int16 and string;"),
    ] {
        let found = refused(channels);
        assert!(found.contains(said) && (found.contains("csv") || said.contains("same name")), "{found}");
    }
    // The last part of a name has something behind it, so these lead nowhere else.
    assert_eq!(path("..").unwrap(), Path::new("..:"));
    assert_eq!(path("/A::B-").unwrap(), Path::new("A/B/:"));
    let disk = empty();
    let channels = vec![json!({"name": "A", "types": ["int64"], "gaps": []})];
    let stretch = vec![(0, block(&[(YEAR_NS, Value::Int64(i64::MAX))]))];
    let said = join(&of_batches(&disk, "/out/pb", Format::Pb, channels, &[stretch])).unwrap_err().to_string();
    for part_of_it in ["int64 of A", "9223372036854775807", "parquet"] {
        assert!(said.contains(part_of_it), "{said}");
    }
}
