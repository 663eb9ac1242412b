//! `export` with the built program: files hold what `get` prints, whatever happened on the way.
#![expect(clippy::unwrap_used, reason = "tests may")]

mod every_type;
mod mat;
#[cfg(feature = "nexus")]
mod nexus;
mod pb;

use archengine::Running;
use archtool::generate::fill::fill;
use archtool::generate::{DataSet, Preset};
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_schema::SchemaRef;
use arrow_select::concat::concat;
use assert_cmd::Command;
use disk::RealDisk;
use engine::StorageSettings;
use engine::clock::{Clock, SystemClock};
use engine::config::Config;
use engine::source::{Arrival, SimulatedSource};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sample::{ChannelName, Column, Sample, Severity, Timestamp, Value};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use tempfile::TempDir;

const DONE: i32 = 0;
const FAILED: i32 = 1;
const USAGE: i32 = 2;
const DAMAGE: i32 = 3;
const MISSING: i32 = 4;
const FORMATS: [&str; 3] = ["csv", "arrow", "parquet"];
const DAY: [&str; 4] = ["--from", "2024-01-01T00:00:00Z", "--to", "2024-01-02T00:00:00Z"];

fn command(words: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("archtool"));
    command.args(words).env_remove("VARVE_URL").stdin(Stdio::null());
    command
}

/// Exit code, output, what was said on stderr.
fn run(words: &[&str]) -> (i32, Vec<u8>, String) {
    let output = Command::from(command(words)).output().unwrap();
    (output.status.code().unwrap(), output.stdout, String::from_utf8(output.stderr).unwrap())
}

fn done(words: &[&str]) -> Vec<u8> {
    let (code, out, err) = run(words);
    assert_eq!((code, err.as_str()), (DONE, ""), "{words:?}");
    out
}

/// An export's words behind its place and channels.
fn to<'a>(file: &'a str, format: &'a str) -> Vec<&'a str> {
    vec!["--to-file", file, "--format", format]
}

/// Five gauges at 0.1 Hz for one day.
fn gauges() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("archive");
    let set = DataSet { channels: 5, days: 1, ..DataSet::of(Preset::Va) };
    fill(&set, &directory, StorageSettings::default(), &mut |_| {}).unwrap();
    let text = directory.to_str().unwrap().to_owned();
    (folder, text)
}

/// A running engine whose channels have values of many types, one channel of two.
fn engine() -> (TempDir, Running) {
    let names = ["NUMBER", "A,B", "ENUM", "WAVE", "NAMES", "TWO", "EMPTY"].map(str::to_owned);
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::without_file(&RealDisk, folder.path().join("archive"), &names, &[]).unwrap();
    config.http.listen.set_port(0);
    let (source, handle) = SimulatedSource::new();
    let running = Running::start(config, Box::new(source)).unwrap();
    let now = SystemClock.now();
    let texts = |words: [&str; 2]| {
        let values = words.map(Value::text);
        let mut block = sample::SampleBlock::new(Sample::new(now, values[0].clone()).run_type());
        assert!(values.iter().all(|value| block.push(&Sample::new(now, value.clone()))));
        block.values
    };
    for name in &names {
        let channel = ChannelName::parse(name).unwrap();
        let host = Box::from("10.0.0.1:5064");
        handle.send(&channel, now, Arrival::Connected { host, readable: true, metadata_follows: false });
        for i in 0..20_i64 {
            let value = match (name.as_str(), i) {
                ("NUMBER", 7) => Value::Float64(f64::NAN),
                ("NUMBER", _) => Value::Float64(i as f64 / 3.0),
                ("A,B", 0) => Value::text(""),
                ("A,B", _) => Value::text(&format!("line {i}\n\"quoted\", µ")),
                ("ENUM", _) => Value::Enum((i % 3) as u16),
                ("WAVE", _) => Value::Array(Box::new(Column::Int32((0..i as i32).collect()))),
                ("NAMES", _) => Value::Array(Box::new(texts(["a b", ""]))),
                ("TWO", 0..10) => Value::UInt16(i as u16),
                ("TWO", _) => Value::text("now a text"),
                _ => continue,
            };
            // Pairs of one time.
            let time = Timestamp(now.0 - 60_000_000_000 + i / 2 * 1_000_000_000);
            let mut sample = Sample::new(time, value);
            sample.severity = if i % 5 == 0 { Severity::Major } else { Severity::NoAlarm };
            handle.send(&channel, now, Arrival::Sample(sample));
        }
    }
    while handle.waiting() > 0 || running.engine().shared().heard_until() < now {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    (folder, running)
}

/// One table: fields without the dictionary's keys, and whole columns.
fn table(schema: &SchemaRef, batches: &[RecordBatch]) -> (Vec<String>, Vec<ArrayRef>) {
    let fields = schema.fields().iter().map(|field| format!("{field:?}")).collect();
    let plain = |column: &ArrayRef| -> ArrayRef {
        match column.as_dictionary_opt::<Int32Type>() {
            Some(keyed) => {
                let keyed = keyed.downcast_dict::<StringArray>().unwrap();
                Arc::new(keyed.into_iter().collect::<StringArray>())
            }
            None => column.clone(),
        }
    };
    let columns = (0..schema.fields().len()).map(|k| {
        let pieces: Vec<ArrayRef> = batches.iter().map(|batch| plain(batch.column(k))).collect();
        let pieces: Vec<&dyn Array> = pieces.iter().map(|piece| &**piece).collect();
        if pieces.is_empty() { Arc::new(StringArray::new_null(0)) } else { concat(&pieces).unwrap() }
    });
    (fields, columns.collect())
}

fn of_stream(bytes: &[u8]) -> (Vec<String>, Vec<ArrayRef>) {
    let reader = arrow_ipc::reader::StreamReader::try_new(bytes, None).unwrap();
    table(&reader.schema(), &reader.map(Result::unwrap).collect::<Vec<_>>())
}

/// What a file of Arrow or Parquet holds; it describes its channels.
fn of_file(path: &Path, format: &str) -> (Vec<String>, Vec<ArrayRef>) {
    let file = fs::File::open(path).unwrap();
    let (schema, batches): (SchemaRef, Vec<RecordBatch>) = if format == "arrow" {
        let reader = arrow_ipc::reader::FileReader::try_new(file, None).unwrap();
        (reader.schema(), reader.map(Result::unwrap).collect())
    } else {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let pairs = builder.metadata().file_metadata().key_value_metadata().unwrap().clone();
        assert!(pairs.iter().any(|pair| pair.key == "varve" && pair.value.is_some()));
        (builder.schema().clone(), builder.build().unwrap().map(Result::unwrap).collect())
    };
    let told: serde_json::Value = serde_json::from_str(&schema.metadata()["varve"]).unwrap();
    assert!(told["channels"][0]["gaps"].is_array() && told["from_ns"].is_i64());
    table(&schema, &batches)
}

/// Exports in each format and compares with what `get` gives. `more` are the words of the range.
fn agrees(folder: &Path, asked: &[&str], more: &[&str], group_rows: &str) {
    for format in FORMATS {
        let file = folder.join(format!("out.{format}"));
        let words =
            [&["export"], asked, more, &to(file.to_str().unwrap(), format), &["--group-rows", group_rows]];
        done(&words.concat());
        let from = if format == "csv" { "csv" } else { "arrow" };
        let expected = done(&[&["get"], asked, more, &["--format", from]].concat());
        match format {
            "csv" => assert_eq!(fs::read(&file).unwrap(), expected),
            _ => assert_eq!(of_file(&file, format), of_stream(&expected), "{format} {asked:?}"),
        }
        assert!(!folder.join(format!("out.{format}.part")).exists());
        fs::remove_file(file).unwrap();
    }
}

#[test]
fn files_hold_what_get_prints_of_a_directory_and_of_an_engine() {
    let (folder, running) = engine();
    let url = format!("http://{}", running.address());
    let directory = folder.path().join("archive");
    let all = ["NUMBER", "A,B", "ENUM", "WAVE", "NAMES", "TWO", "EMPTY"];
    let range = ["--from", "2020-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z"];
    for (place, groups) in [(url.as_str(), ["1", "1000"]), (directory.to_str().unwrap(), ["7", "50"])] {
        for group_rows in groups {
            agrees(folder.path(), &[&[place], &all[..]].concat(), &range, group_rows);
        }
        agrees(folder.path(), &[place, "NUMBER"], &["--last", "1w"], "3");
    }
    let past = ["--from", "2001-01-01T00:00:00Z", "--to", "2001-01-02T00:00:00Z"];
    agrees(folder.path(), &[url.as_str(), "NUMBER", "EMPTY"], &past, "1000");
}

#[test]
fn a_larger_archive_comes_whole_in_several_groups() {
    let (folder, archive) = gauges();
    agrees(folder.path(), &[&archive, "SR0?C*"], &DAY, "10000");
    let file = folder.path().join("groups.parquet");
    let words = [&["export", &archive, "*"], &DAY[..], &to(file.to_str().unwrap(), "parquet")];
    done(&[&words.concat(), &["--group-rows", "10000"][..]].concat());
    let builder = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(file).unwrap()).unwrap();
    let rows: Vec<i64> = builder.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(rows, [10_000, 10_000, 10_000, 10_000, 3_200]);
}

#[test]
fn what_is_not_there_leaves_nothing_behind() {
    let (folder, archive) = gauges();
    let file = folder.path().join("out.csv");
    let out = file.to_str().unwrap();
    for channels in [&["NOPE"][..], &["NOPE", "NEITHER"]] {
        let words = [&["export", archive.as_str()], channels, &DAY, &to(out, "csv")].concat();
        let (code, printed, err) = run(&words);
        assert_eq!((code, printed.as_slice()), (MISSING, &b""[..]), "{err}");
        assert!(err.contains("NOPE"), "{err}");
    }
    let refused = [&["export", archive.as_str(), "*", "--from", "5"], &to(out, "csv")[..]].concat();
    assert_eq!(run(&refused).0, USAGE);
    let nowhere = folder.path().join("nowhere/out.csv");
    let words = [&["export", archive.as_str(), "*"], &to(nowhere.to_str().unwrap(), "csv")[..]].concat();
    assert_eq!(run(&words).0, USAGE);
    let names = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    assert_eq!(names(folder.path()), [PathBuf::from(&archive)]);
    // One of several that is unknown is told; the others are there.
    let first = "SR01C-VA-GAUGE-000000:P";
    let (code, _, err) = run(&[&["export", &archive, "NOPE", first], &DAY[..], &to(out, "csv")].concat());
    assert_eq!(code, MISSING);
    assert!(err.contains("NOPE"), "{err}");
    let expected = done(&[&["get", &archive, first], &DAY[..], &["--format", "csv"]].concat());
    assert_eq!(fs::read(&file).unwrap(), expected);
    // A file that is there stays.
    let again = [&["export", &archive, first], &DAY[..], &to(out, "csv")].concat();
    let (code, _, err) = run(&again);
    assert_eq!(code, USAGE);
    assert!(err.contains("--force"), "{err}");
    done(&[&again[..], &["--force"]].concat());
}

/// Starts an export in small groups and kills it behind the third; whether it was still at work then.
fn interrupted(words: &[&str], part: &Path) -> bool {
    let mut child = command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    loop {
        if part.join("00000003").exists() {
            child.kill().unwrap();
            return !child.wait().unwrap().success();
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

#[test]
fn a_killed_export_goes_on_and_ends_with_the_same_file() {
    let (folder, archive) = gauges();
    let nexus = cfg!(feature = "nexus").then_some("nexus");
    for format in ["csv", "arrow", "parquet", "mat", "pb"].into_iter().chain(nexus) {
        let (file, other) = (folder.path().join("out"), folder.path().join("whole"));
        let (out, part) = (file.to_str().unwrap(), folder.path().join("out.part"));
        let words =
            [&["export", &archive, "*"], &DAY[..], &to(out, format), &["--group-rows", "2000"]].concat();
        assert!(interrupted(&words, &part), "{format} was finished before it could be killed");
        assert!(part.exists() && !file.exists());
        // Not by accident, and not with another question.
        let (code, _, err) = run(&words);
        assert_eq!(code, USAGE);
        assert!(err.contains("--resume"), "{err}");
        for (place, word, said) in [(2, "SR01*", "SR02C"), (6, "2024-01-03T00:00:00Z", "2024-01-02")] {
            let mut changed = words.clone();
            changed[place] = word;
            changed.push("--resume");
            let (code, _, err) = run(&changed);
            assert_eq!(code, USAGE, "{err}");
            assert!(err.contains("another export") && err.contains(said), "{err}");
        }
        let resume = [&words[..], &["--resume"]].concat();
        // A stretch that is not what was written is found out.
        let mut bytes = fs::read(part.join("00000002")).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(part.join("00000002"), bytes).unwrap();
        let (code, _, err) = run(&resume);
        assert!(code == FAILED && err.contains("00000002, which is damaged"), "{err}");
        fs::remove_dir_all(&part).unwrap();
        assert!(interrupted(&words, &part), "{format} was finished before it could be killed");
        done(&resume);
        let mut whole = words.clone();
        whole[8] = other.to_str().unwrap();
        done(&whole);
        match format {
            "csv" | "nexus" => assert!(fs::read(&file).unwrap() == fs::read(&other).unwrap()),
            "mat" => assert!(mat::inflated(&file) == mat::inflated(&other)),
            "pb" => assert!(pb::files(&file) == pb::files(&other)),
            // Where pages and batches begin may differ.
            _ => assert_eq!(of_file(&file, format), of_file(&other, format)),
        }
        assert!(!part.exists());
        for path in [file, other] {
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
        }
    }
}

#[test]
fn damage_fails_unless_it_is_to_be_skipped() {
    let (folder, archive) = gauges();
    let mut tables = Vec::new();
    for week in fs::read_dir(Path::new(&archive).join("weeks")).unwrap() {
        let files = fs::read_dir(week.unwrap().path()).unwrap().map(|entry| entry.unwrap().path());
        tables.extend(files.filter(|path| path.extension().is_some_and(|extension| extension == "sst")));
    }
    let question = |file: &Path, format: &str| -> Vec<String> {
        let words = [&["export", &archive, "*"], &DAY[..], &to(file.to_str().unwrap(), format)].concat();
        [&words[..], &["--group-rows", "2000"]].concat().into_iter().map(str::to_owned).collect()
    };
    let files = FORMATS.map(|format| (format, folder.path().join(format!("out.{format}"))));
    for (format, file) in &files {
        let words = question(file, format);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert!(interrupted(&words, &folder.path().join(format!("out.{format}.part"))));
    }
    // In the middle of the table, behind what was exported by then.
    let mut bytes = fs::read(&tables[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&tables[0], bytes).unwrap();
    let begun_later = question(&folder.path().join("later.csv"), "csv");
    let (code, _, err) = run(&begun_later.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(code == DAMAGE && err.contains(".sst"), "{err}");
    for (format, file) in &files {
        let words = question(file, format);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (code, _, err) = run(&[&words[..], &["--resume"]].concat());
        assert_eq!(code, DAMAGE, "{err}");
        assert!(err.contains(".sst") && !file.exists(), "{err}");
        // What was finished before is gone on from.
        let (code, _, err) = run(&[&words[..], &["--resume", "--skip-damaged"]].concat());
        assert_eq!(code, DAMAGE, "{err}");
        let from = if *format == "csv" { "csv" } else { "arrow" };
        let get = [&["get", &archive, "*", "--skip-damaged"], &DAY[..], &["--format", from]].concat();
        let (code, expected, _) = run(&get);
        assert!(expected.len() > 100_000, "{code}");
        match *format {
            "csv" => assert!(fs::read(file).unwrap() == expected),
            _ => assert_eq!(of_file(file, format), of_stream(&expected)),
        }
    }
}

#[test]
fn bins_come_as_an_arrow_stream() {
    let (_folder, archive) = gauges();
    let bins = [&["get", archive.as_str(), "*", "--width", "1h"], &DAY[..]].concat();
    let (fields, columns) = of_stream(&done(&[&bins[..], &["--format", "arrow"]].concat()));
    let csv = done(&[&bins[..], &["--format", "csv"]].concat());
    let mut lines = csv::Reader::from_reader(csv.as_slice());
    assert_eq!(fields.len(), lines.headers().unwrap().len());
    assert_eq!(columns[0].len(), lines.records().count());
    assert_eq!(columns[0].len(), 5 * 24);
}
