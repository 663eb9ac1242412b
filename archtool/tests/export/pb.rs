//! The Archiver Appliance's files, read by a decoder that shares nothing with the program.

use crate::{DAY, DONE, USAGE, done, every_type, gauges, run, to};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const RANGE: [&str; 4] = ["--from", "2020-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z"];

/// All files in a directory, by their paths below it.
pub(crate) fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            files.insert(path.strip_prefix(directory).unwrap().to_owned(), fs::read(&path).unwrap());
        }
    }
    files
}

/// What a field of a protobuf message holds.
#[derive(Clone, PartialEq, Debug)]
enum Field {
    Integer(u64),
    Bytes(Vec<u8>),
}

impl Field {
    fn integer(&self) -> u64 {
        if let Field::Integer(value) = self { *value } else { panic!("{self:?}") }
    }

    fn text(&self) -> String {
        if let Field::Bytes(value) = self {
            String::from_utf8(value.clone()).unwrap()
        } else {
            panic!("{self:?}")
        }
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (first, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            break;
        }
    }
    value
}

/// The lines of a file without their escapes, as (number, field).
fn messages(file: &[u8]) -> Vec<Vec<(u64, Field)>> {
    assert_eq!(file.last(), Some(&b'\n'));
    let lines = file[..file.len() - 1].split(|byte| *byte == b'\n');
    let message = |line: &[u8]| {
        let mut bytes = Vec::new();
        let mut rest = line.iter();
        while let Some(byte) = rest.next() {
            assert_ne!(*byte, b'\r');
            bytes.push(match byte {
                0x1b => [0x1b, b'\n', b'\r'][usize::from(*rest.next().unwrap()) - 1],
                other => *other,
            });
        }
        let mut bytes = bytes.as_slice();
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let tag = varint(&mut bytes);
            let length = match tag & 7 {
                0 => {
                    fields.push((tag >> 3, Field::Integer(varint(&mut bytes))));
                    continue;
                }
                1 => 8,
                2 => varint(&mut bytes) as usize,
                5 => 4,
                other => panic!("{other}"),
            };
            let (own, rest) = bytes.split_at(length);
            fields.push((tag >> 3, Field::Bytes(own.to_vec())));
            bytes = rest;
        }
        fields
    };
    lines.map(message).collect()
}

fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// The values of a sample as numbers or texts, as CSV shows them; shorts by their zigzag.
fn values(payload: u64, message: &[(u64, Field)]) -> Vec<String> {
    let mut values = Vec::new();
    for field in message.iter().filter(|(number, _)| *number == 3).map(|(_, field)| field) {
        match (payload % 7, field) {
            (0, text) => values.push(text.text()),
            (1 | 3, Field::Integer(value)) => values.push(zigzag(*value).to_string()),
            (1 | 3, Field::Bytes(packed)) => {
                let mut packed = packed.as_slice();
                while !packed.is_empty() {
                    values.push(zigzag(varint(&mut packed)).to_string());
                }
            }
            (4, Field::Bytes(bytes)) => values.extend(bytes.iter().map(u8::to_string)),
            (2, Field::Bytes(bytes)) => {
                let (floats, _) = bytes.as_chunks::<4>();
                values.extend(floats.iter().map(|v| f32::from_le_bytes(*v).to_string()));
            }
            (5, Field::Bytes(bytes)) => {
                let (integers, _) = bytes.as_chunks::<4>();
                values.extend(integers.iter().map(|v| i32::from_le_bytes(*v).to_string()));
            }
            (6, Field::Bytes(bytes)) => {
                let (doubles, _) = bytes.as_chunks::<8>();
                values.extend(doubles.iter().map(|v| f64::from_le_bytes(*v).to_string()));
            }
            other => panic!("{other:?}"),
        }
    }
    values
}

/// Numbers by their value, whatever their type: what is signed where CSV's is not is made to agree.
fn same(found: &str, expected: &str, is_byte: bool) -> bool {
    let expected = match expected {
        "true" => "1",
        "false" => "0",
        other => other,
    };
    match (found.parse::<f64>(), expected.parse::<f64>()) {
        (Ok(found), Ok(expected)) if is_byte => found == expected.rem_euclid(256.0),
        (Ok(found), Ok(expected)) => found == expected || found.is_nan() && expected.is_nan(),
        _ => found == expected,
    }
}

#[test]
fn files_hold_what_the_archive_has_of_every_type() {
    let (folder, running, start) = every_type::engine();
    let archive = folder.path().join("archive");
    let place = archive.to_str().unwrap();
    let out = folder.path().join("out");
    let to_out = to(out.to_str().unwrap(), "pb");
    let fit: Vec<String> = every_type::names().into_iter().filter(|name| name != "structure").collect();
    let names: Vec<&str> = fit.iter().map(String::as_str).collect();
    let words = [&["export", place], &names[..], &RANGE, &to_out].concat();
    done(&[&words[..], &["--group-rows", "7"]].concat());
    drop(running);
    let found = files(&out);
    let year_of = |name: &str| -> Vec<&Vec<u8>> {
        let key = format!("{}:", name.replace([':', '-'], "/"));
        found
            .iter()
            .filter(|(path, _)| path.to_str().unwrap().starts_with(&key))
            .map(|(_, file)| file)
            .collect()
    };
    assert!(year_of("nothing").is_empty());
    for name in names.iter().filter(|name| **name != "nothing") {
        let mut samples = Vec::new();
        for file in year_of(name) {
            let mut lines = messages(file).into_iter();
            let head = lines.next().unwrap();
            let [(1, payload), (2, pv), (3, year)] = &head[..] else { panic!("{head:?}") };
            assert_eq!(&pv.text(), name);
            let new_year = format!("{}-01-01T00:00:00Z", year.integer());
            let new_year = new_year.parse::<jiff::Timestamp>().unwrap().as_second();
            samples.extend(lines.map(|message| {
                let field = |number| message.iter().find(|(own, _)| *own == number).map(|(_, field)| field);
                let integer = |number| field(number).map(Field::integer).unwrap_or_default();
                let time = (new_year + integer(1) as i64) * 1_000_000_000 + integer(2) as i64;
                (time, integer(4), integer(5), payload.integer(), values(payload.integer(), &message))
            }));
        }
        let json = done(&[&["get", place, name], &RANGE[..], &["--format", "json"]].concat());
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let expected = expected(&json);
        assert_eq!(samples.len(), every_type::SAMPLES, "{name}");
        assert_eq!(expected.len(), samples.len(), "{name}");
        for (i, (sample, expected)) in samples.iter().zip(&expected).enumerate() {
            let (time, severity, status, payload, values) = sample;
            assert_eq!(*time, start + i as i64 * 1_000_000_001);
            assert_eq!((*severity, *status), if i % 5 == 0 { (2, 3) } else { (0, 0) }, "{name}");
            assert_eq!(values.len(), expected.len(), "{name} {i}");
            for (found, expected) in values.iter().zip(expected) {
                assert!(same(found, expected, payload % 7 == 4), "{name} {i}: {found} {expected}");
            }
        }
    }
}

/// The values of one channel's answer, each with its elements.
fn expected(json: &serde_json::Value) -> Vec<Vec<String>> {
    let plain = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let segments = json["channels"][0]["segments"].as_array().unwrap();
    let values = segments.iter().flat_map(|segment| segment["value"].as_array().unwrap());
    let each = |value: &serde_json::Value| match value {
        serde_json::Value::Array(elements) => elements.iter().map(plain).collect(),
        scalar => vec![plain(scalar)],
    };
    values.map(each).collect()
}

#[test]
fn what_has_no_type_is_refused_before_anything_is_written() {
    let (folder, running, _) = every_type::engine();
    let url = format!("http://{}", running.address());
    let out = folder.path().join("out");
    let words =
        [&["export", &url, "int16", "structure"], &RANGE[..], &to(out.to_str().unwrap(), "pb")].concat();
    let (code, _, err) = run(&words);
    assert_eq!(code, USAGE);
    assert!(err.contains("structure") && err.contains("parquet"), "{err}");
    assert!(!out.exists() && !folder.path().join("out.part").exists());
}

#[test]
fn a_directory_that_is_there_stays() {
    let (folder, archive) = gauges();
    let out = folder.path().join("out");
    let words = [&["export", &archive, "SR01*"], &DAY[..], &to(out.to_str().unwrap(), "pb")].concat();
    let (code, said, err) = run(&words);
    assert_eq!(code, DONE, "{err}");
    let before = files(&out);
    let bytes: usize = before.values().map(Vec::len).sum();
    assert!(String::from_utf8(said).unwrap().contains(&bytes.to_string()), "{bytes}");
    for more in [&[][..], &["--force"], &["--resume"]] {
        let (code, _, err) = run(&[&words[..], more].concat());
        assert_eq!(code, USAGE);
        assert!(err.contains("remove it first"), "{err}");
    }
    assert_eq!(files(&out), before);
}
