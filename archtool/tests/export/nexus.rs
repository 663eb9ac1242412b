//! NeXus files, read back.

use crate::{DAY, FAILED, USAGE, done, every_type, gauges, run, to};
use rust_hdf5::{H5Dataset, H5File};

const RANGE: [&str; 4] = ["--from", "2020-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z"];

/// The columns of an answer as JSON, all segments one behind the other.
fn answer(place: &str, name: &str) -> Vec<serde_json::Value> {
    let json = done(&[&["get", place, name], &RANGE[..], &["--format", "json"]].concat());
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let segments = json["channels"][0]["segments"].as_array().unwrap().clone();
    segments.iter().flat_map(|segment| segment["value"].as_array().unwrap().clone()).collect()
}

fn number(value: &serde_json::Value) -> f64 {
    match value {
        serde_json::Value::Bool(is) => f64::from(u8::from(*is)),
        serde_json::Value::String(_) => f64::NAN,
        other => other.as_f64().unwrap(),
    }
}

/// Numbers of any type.
fn numbers(dataset: &H5Dataset) -> Vec<f64> {
    if let Ok(doubles) = dataset.read_numeric_as::<f64>() {
        return doubles;
    }
    match dataset.read_numeric_as::<i64>() {
        Ok(integers) => integers.into_iter().map(|integer| integer as f64).collect(),
        Err(_) => dataset.read_raw::<u64>().unwrap().into_iter().map(|integer| integer as f64).collect(),
    }
}

#[test]
fn files_hold_what_the_archive_has_of_every_type() {
    let (folder, running, start) = every_type::engine();
    let archive = folder.path().join("archive");
    let place = archive.to_str().unwrap();
    let out = folder.path().join("out.nxs");
    let unfit = ["structure", "string[]", "growing", "changes"];
    let names: Vec<String> =
        every_type::names().into_iter().filter(|name| !unfit.contains(&name.as_str())).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let words = [&["export", place], &names[..], &RANGE, &to(out.to_str().unwrap(), "nexus")].concat();
    done(&[&words[..], &["--group-rows", "7"]].concat());
    drop(running);
    let file = H5File::open(&out).unwrap();
    let entry = file.root_group().group("entry").unwrap();
    assert_eq!(entry.attr_string("NX_class").unwrap(), "NXentry");
    let times: Vec<i64> = (0..every_type::SAMPLES as i64).map(|i| start + i * 1_000_000_001).collect();
    let groups = entry.group_names().unwrap();
    assert_eq!(groups.len(), names.len());
    for group in groups {
        let log = entry.group(&group).unwrap();
        let name = log.attr_string("channel").unwrap();
        assert_eq!(log.attr_string("NX_class").unwrap(), "NXlog");
        let dataset = |name: &str| file.dataset(&format!("entry/{group}/{name}")).unwrap();
        let time = dataset("time");
        assert_eq!(time.attr("units").unwrap().read_string().unwrap(), "ns");
        assert_eq!(time.attr("start").unwrap().read_string().unwrap(), "1970-01-01T00:00:00Z");
        let value = dataset("value");
        if name == "nothing" {
            assert_eq!((time.shape(), value.shape()), (vec![0], vec![0]));
            continue;
        }
        assert_eq!(time.read_raw::<i64>().unwrap(), times, "{name}");
        let severity: Vec<u8> = (0..every_type::SAMPLES).map(|i| if i % 5 == 0 { 2 } else { 0 }).collect();
        assert_eq!(dataset("severity").read_raw::<u8>().unwrap(), severity);
        assert_eq!(dataset("status").read_raw::<u16>().unwrap()[..2], [3, 0]);
        assert_eq!(value.attr("units").unwrap().read_string().unwrap(), "µm");
        let expected = answer(place, &name);
        if name == "string" {
            let texts: Vec<&str> = expected.iter().map(|text| text.as_str().unwrap()).collect();
            assert_eq!(value.read_vlen_strings().unwrap(), texts);
            continue;
        }
        let rows: Vec<Vec<f64>> = expected
            .iter()
            .map(|value| match value {
                serde_json::Value::Array(elements) => elements.iter().map(number).collect(),
                scalar => vec![number(scalar)],
            })
            .collect();
        let is_array = expected[0].is_array();
        let shape = if is_array { vec![rows.len(), rows[0].len()] } else { vec![rows.len()] };
        assert_eq!(value.shape(), shape, "{name}");
        let found = numbers(&value);
        let same = |(found, expected): (&f64, &f64)| {
            (found - expected).abs() <= 1e-7 * expected.abs() || found.is_nan() && expected.is_nan()
        };
        let expected = rows.concat();
        assert_eq!(found.len(), expected.len(), "{name}");
        assert!(found.iter().zip(&expected).all(same), "{name}: {found:?} {expected:?}");
    }
    let states = file.dataset("entry/enum/value").unwrap();
    assert!(states.attr("states").is_ok());
}

#[test]
fn chunks_end_where_they_may() {
    let (folder, archive) = gauges();
    let out = folder.path().join("day.nxs");
    let words = [&["export", &archive, "*"], &DAY[..], &to(out.to_str().unwrap(), "nexus")].concat();
    done(&[&words[..], &["--group-rows", "3000"]].concat());
    let csv = done(&[&["get", &archive, "SR01C-VA-GAUGE-000000:P"], &DAY[..], &["--format", "csv"]].concat());
    let csv = String::from_utf8(csv).unwrap();
    let expected: Vec<f64> =
        csv.lines().skip(1).map(|line| line.split(',').nth(2).unwrap().parse().unwrap()).collect();
    let file = H5File::open(&out).unwrap();
    let value = file.dataset("entry/SR01C_VA_GAUGE_000000_P/value").unwrap();
    assert!(value.chunk_dims().unwrap()[0] < expected.len(), "more than one chunk");
    assert_eq!(value.read_raw::<f64>().unwrap(), expected);
}

#[test]
fn what_an_nxlog_does_not_hold_is_refused() {
    let (folder, running, _) = every_type::engine();
    let url = format!("http://{}", running.address());
    let out = folder.path().join("out.nxs");
    let cases = [("structure", USAGE), ("string[]", USAGE), ("changes", USAGE), ("growing", FAILED)];
    for (name, expected) in cases {
        let words = [&["export", &url, name], &RANGE[..], &to(out.to_str().unwrap(), "nexus"), &["--force"]];
        let (code, _, err) = run(&words.concat());
        assert_eq!(code, expected, "{err}");
        assert!(err.contains(name) && err.contains("parquet"), "{err}");
        assert!(!out.exists());
    }
}
