//! The built program on real archives: what each verb prints, what it exits with.
#![expect(clippy::unwrap_used, reason = "tests may")]

use archengine::Running;
use archtool::generate::fill::fill;
use archtool::generate::{DataSet, Preset};
use assert_cmd::Command;
use disk::{Disk, RealDisk};
use engine::StorageSettings;
use engine::clock::{Clock, SystemClock};
use engine::config::Config;
use engine::source::{Arrival, SimulatedSource};
use sample::{ChannelName, Sample, Timestamp, Value};
use serde_json::Value as Json;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;

const DONE: i32 = 0;
const FAILED: i32 = 1;
const USAGE: i32 = 2;
const DAMAGE: i32 = 3;
const MISSING: i32 = 4;
const FIRST: &str = "SR01C-VA-GAUGE-000000:P";

/// What a run of the program gave.
struct Run {
    code: i32,
    out: String,
    err: String,
}

fn run_with(words: &[&str], input: &str, variable: Option<&str>) -> Run {
    let mut command = Command::cargo_bin("archtool").unwrap();
    command.args(words).write_stdin(input).env_remove("VARVE_URL");
    if let Some(url) = variable {
        command.env("VARVE_URL", url);
    }
    let output = command.output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn run(words: &[&str]) -> Run {
    run_with(words, "", None)
}

/// Five gauges at 0.1 Hz for one day, in a small memtable, so that there are several tables.
fn archive() -> (TempDir, String) {
    archive_flushed_at(1 << 18)
}

/// The same, flushed whenever memory holds so many bytes.
fn archive_flushed_at(memtable_bytes: usize) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("archive");
    let set = DataSet { channels: 5, days: 1, ..DataSet::of(Preset::Va) };
    let settings = StorageSettings { memtable_bytes, ..StorageSettings::default() };
    let filled = fill(&set, &directory, settings, &mut |_| {}).unwrap();
    assert_eq!((filled.samples, filled.stored), (43_200, 43_200));
    let text = directory.to_str().unwrap().to_owned();
    (folder, text)
}

const DAY: [&str; 4] = ["--from", "2024-01-01T00:00:00Z", "--to", "2024-01-02T00:00:00Z"];

#[test]
fn samples_come_back_exactly_and_in_order() {
    let (_folder, archive) = archive();
    let all = run(&[&["get", archive.as_str(), "SR0?C*"], &DAY[..]].concat());
    assert_eq!((all.code, all.err.as_str()), (DONE, ""));
    let set = DataSet { channels: 5, days: 1, ..DataSet::of(Preset::Va) };
    let mut lines = all.out.lines();
    assert_eq!(lines.next(), Some("channel,time,value,severity,status"));
    for channel in set.channels() {
        for reading in channel.readings {
            let line: Vec<&str> = lines.next().unwrap().split(',').collect();
            assert_eq!((line[0], line[3], line[4]), (channel.name.as_str(), "NO_ALARM", "NO_ALARM"));
            let time: jiff::Timestamp = line[1].parse().unwrap();
            assert_eq!(time.as_nanosecond(), i128::from(reading.time_ns));
            assert_eq!(line[2].parse::<f64>().unwrap().to_bits(), reading.value.to_bits());
        }
    }
    assert_eq!(lines.next(), None);
}

#[test]
fn ranges_limits_and_zones_work_as_written() {
    let (_folder, archive) = archive();
    let newest = run(&["get", &archive, FIRST, "-n", "3"]);
    let times: Vec<&str> = newest.out.lines().skip(1).map(|line| line.split(',').nth(1).unwrap()).collect();
    assert_eq!(times.len(), 3);
    assert!(times[0] > times[1] && times[0].starts_with("2024-01-01T23:59:5"), "{times:?}");
    // Nothing of the archive lies in the last hour; an empty answer is an answer.
    for words in [["--from", "-1h"], ["--last", "1h"]] {
        let recent = run(&[&["get", archive.as_str(), FIRST], &words[..]].concat());
        assert_eq!((recent.code, recent.out.lines().count()), (DONE, 1), "{}", recent.err);
    }
    let local = ["--from", "2024-01-01 01:00:00", "--to", "2024-01-01 01:00:20", "--tz", "Europe/Berlin"];
    let zoned = run(&[&["get", archive.as_str(), FIRST], &local[..]].concat());
    assert!(zoned.out.lines().nth(1).unwrap().contains("2024-01-01T00:00:00."), "{}", zoned.out);
    let table = run(&[&["get", archive.as_str(), FIRST, "--format", "table"], &local[..]].concat());
    assert!(table.out.lines().nth(1).unwrap().contains("2024-01-01 01:00:00."), "{}", table.out);
    assert_eq!(run(&["get", &archive, FIRST, "--from", "2024-01-01 00:00"]).code, USAGE);
    assert_eq!(run(&["get", &archive, FIRST, "--from", "5"]).code, USAGE);
    assert_eq!(run(&["get", &archive, FIRST, "--last", "5"]).code, USAGE);
}

#[test]
fn channels_come_from_names_globs_files_and_standard_input() {
    let (folder, archive) = archive();
    let list = folder.path().join("list.txt");
    let text =
        "\u{feff}# gauges\r\nSR02C-VA-GAUGE-000001:P scan 10s\r\n\r\nSR03C-VA-GAUGE-000002:P # slow\r\n";
    RealDisk.create(&list).unwrap().write_at(0, text.as_bytes()).unwrap();
    let from_file = format!("@{}", list.display());
    let at = ["--time", "2024-01-01T12:00:00Z"];
    for (words, input, expected) in [
        (vec![FIRST], "", 1),
        (vec!["*GAUGE*"], "", 5),
        (vec![&*from_file], "", 2),
        (vec!["@-"], text, 2),
        (vec![FIRST, "*00:P", FIRST], "", 1),
    ] {
        let words = [&["at", archive.as_str()], &words[..], &at[..]].concat();
        let run = run_with(&words, input, None);
        assert_eq!((run.code, run.out.lines().count()), (DONE, expected + 1), "{words:?}: {}", run.err);
    }
    // The variable stands in for the place; a place given beats it.
    for (words, variable) in
        [(vec!["at", FIRST], &*archive), (vec!["at", &*archive, FIRST], "http://127.0.0.1:9")]
    {
        assert_eq!(run_with(&[&words[..], &at[..]].concat(), "", Some(variable)).code, DONE);
    }
}

#[test]
fn what_is_not_there_is_said_and_exits_with_four() {
    let (_folder, archive) = archive();
    let alone = run(&["get", &archive, "SR01C-VA-GAUGE-000000:Q"]);
    assert_eq!((alone.code, alone.out.as_str()), (MISSING, ""));
    assert!(alone.err.contains(FIRST), "no near name in {}", alone.err);
    for format in [&["--format", "csv"][..], &["--json"], &["--format", "table"]] {
        let among = run(&[&["get", archive.as_str(), FIRST, "NOPE"], format, &DAY[..]].concat());
        assert_eq!(among.code, MISSING, "{format:?}");
        assert!(among.out.contains(FIRST) && among.err.contains("NOPE"), "{format:?}: {}", among.err);
    }
    for verb in ["at", "events", "coverage"] {
        let among = run(&[verb, &archive, FIRST, "NOPE"]);
        assert_eq!(among.code, MISSING, "{verb}");
        assert!(among.err.contains("NOPE"), "{verb}: {}", among.err);
    }
    assert_eq!(run(&["get", &archive, "NO*"]).code, MISSING);
    assert_eq!(run(&["list", &archive, "NO*"]).code, MISSING);
    assert_eq!(run(&["why", &archive, "NOPE"]).code, MISSING);
}

#[test]
fn wrong_usage_exits_with_two() {
    let (_folder, archive) = archive();
    for words in [
        &["frobnicate"][..],
        &["get"],
        &["get", &archive],
        &["get", "/nowhere/at/all", FIRST],
        &["get", "https://example.invalid", FIRST],
        &["list", &archive, "a", "b"],
        &["list", &archive, "--state", "sleepy"],
        &["get", &archive, FIRST, "--from", "now", "--last", "1h"],
        &["get", &archive, FIRST, "--from", "now", "--to", "-1h"],
        &["stat", "http://127.0.0.1:9"],
        &["--log", "loud", "list", &archive],
        &["man", "frobnicate"],
    ] {
        let run = run(words);
        assert_eq!((run.code, run.out.as_str()), (USAGE, ""), "{words:?}: {}", run.err);
        assert!(!run.err.is_empty(), "{words:?}");
    }
    let refused = run(&["list", "http://127.0.0.1:9"]);
    assert_eq!(refused.code, FAILED);
    assert!(refused.err.contains("http://127.0.0.1:9"), "{}", refused.err);
    // An empty directory is no archive.
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(run(&["list", empty.path().to_str().unwrap()]).code, FAILED);
}

#[test]
fn facts_are_json_when_asked_for() {
    let (_folder, archive) = archive();
    for words in [
        &["list", &*archive][..],
        &["at", &archive, FIRST],
        &["events", &archive, FIRST],
        &["coverage", &archive, FIRST],
        &["status", &archive],
        &["stat", &archive],
        &["verify", &archive],
        &["get", &archive, FIRST, "-n", "2"],
        &["why", &archive, FIRST],
    ] {
        let run = run(&[words, &["--json"]].concat());
        let parsed: Json =
            serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{words:?}: {error}"));
        assert!(parsed.is_object(), "{words:?}");
    }
    let list: Json = serde_json::from_str(&run(&["list", &archive, "--json"]).out).unwrap();
    assert_eq!(list["channels"].as_array().unwrap().len(), 5);
    assert_eq!(list["channels"][0]["samples"], 8640);
}

#[test]
fn coverage_fills_the_range() {
    let (_folder, archive) = archive();
    let run = run(&[&["coverage", archive.as_str(), FIRST], &DAY[..]].concat());
    let total: i64 =
        run.out.lines().skip(1).map(|line| line.split(',').nth(3).unwrap().parse::<i64>().unwrap()).sum();
    assert_eq!(total, 86_400_000_000_000, "{}", run.out);
}

#[test]
fn stat_counts_what_generate_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("a");
    let path = directory.to_str().unwrap();
    let made = run(&["generate", path, "--channels", "20", "--days", "1", "--seed", "7", "--json"]);
    assert_eq!(made.code, DONE, "{}", made.err);
    let made: Json = serde_json::from_str(&made.out).unwrap();
    let stat: Json = serde_json::from_str(&run(&["stat", path, "--json"]).out).unwrap();
    assert_eq!(made["samples"], stat["samples_in_tables"]);
    assert_eq!(made["table_bytes"], stat["table_bytes"]);
    assert!(made["samples"].as_u64().unwrap() > 500_000);
    assert_eq!(stat["partitions"][0]["name"], "weeks/2026-01-05.1");
    let again = run(&["generate", path]);
    assert_eq!(again.code, FAILED, "an archive must not be written over");
}

#[test]
fn verify_names_damage_and_dump_reads_every_file() {
    let (_folder, archive) = archive();
    index(&archive);
    let deep = run(&["verify", &archive, "--deep", "--json"]);
    assert_eq!(deep.code, DONE, "{}", deep.err);
    let report: Json = serde_json::from_str(&deep.out).unwrap();
    assert_eq!(report["samples"], 43_200);
    let week = Path::new(&archive).join("weeks/2024-01-01.1");
    let mut tables = RealDisk.list(&week).unwrap();
    tables.retain(|entry| entry.name.ends_with(".sst"));
    assert!(tables.len() > 1, "several tables were expected");
    let table = week.join(&tables[0].name);
    for file in [Path::new(&archive).join("ARCHIVE"), Path::new(&archive).join("MANIFEST"), table.clone()] {
        let dumped = run(&["dump", file.to_str().unwrap(), "--json"]);
        assert_eq!(dumped.code, DONE, "{}", dumped.err);
        assert!(
            dumped.out.lines().all(|line| serde_json::from_str::<Json>(line).unwrap()["kind"].is_string())
        );
    }
    let wal = Path::new(&archive).join("wal");
    for segment in RealDisk.list(&wal).unwrap() {
        assert_eq!(run(&["dump", wal.join(segment.name).to_str().unwrap()]).code, DONE);
    }
    assert_eq!(run(&["dump", "/etc/hostname"]).code, FAILED);

    // One bit in each index file: nothing is lost by it.
    let indexes = index_files(Path::new(&archive));
    assert_eq!(indexes.len(), 2);
    assert!(report["index_rows"].as_u64().unwrap() > 10);
    let stat: Json = serde_json::from_str(&run(&["stat", &archive, "--json"]).out).unwrap();
    assert_eq!(stat["index"]["files"], 2);
    for index in &indexes {
        let dumped = run(&["dump", index.to_str().unwrap(), "--json"]);
        assert_eq!(dumped.code, DONE, "{}", dumped.err);
        let kinds: Vec<Json> = dumped
            .out
            .lines()
            .map(|line| serde_json::from_str::<Json>(line).unwrap()["kind"].clone())
            .collect();
        assert!(
            kinds[0] == "partition_index" && kinds[1] == "entry"
                || kinds[0] == "master_segment" && kinds[1] == "name"
        );
        assert!(kinds.len() > 5, "{kinds:?}");
        flip(index, 20_000);
        assert_eq!(run(&["dump", index.to_str().unwrap()]).code, DAMAGE);
    }
    let damaged = run(&["verify", &archive, "--json"]);
    assert_eq!(damaged.code, DAMAGE, "{}", damaged.err);
    let report: Json = serde_json::from_str(&damaged.out).unwrap();
    assert_eq!(report["damage"].as_array().unwrap().len(), 2);
    let read = run(&[&["get", archive.as_str(), "*"], &DAY[..]].concat());
    assert_eq!((read.code, read.out.lines().count()), (DONE, 43_201), "{}", read.err);
    indexes.iter().for_each(|index| flip(index, 20_000));

    // One bit in the middle of a table.
    let at = RealDisk.open(&table).unwrap().len().unwrap() / 2;
    flip(&table, at);
    let damaged = run(&["verify", &archive, "--json"]);
    assert_eq!(damaged.code, DAMAGE, "{}", damaged.err);
    let report: Json = serde_json::from_str(&damaged.out).unwrap();
    let name = format!("weeks/2024-01-01.1/{}", tables[0].name);
    assert_eq!(report["damage"][0]["file"], name.as_str());
    let offset = report["damage"][0]["offset"].as_u64().unwrap();
    assert!(offset > 0 && offset <= at, "{offset} {at}");
    for format in ["csv", "table", "json"] {
        let read = run(&[&["get", archive.as_str(), "*", "--format", format], &DAY[..]].concat());
        assert_eq!(read.code, DAMAGE, "{format}");
        assert!(read.err.contains(&tables[0].name), "{format}: {}", read.err);
    }
    let around =
        run(&[&["get", archive.as_str(), "*", "--format", "json", "--skip-damaged"], &DAY[..]].concat());
    assert_eq!(around.code, DAMAGE);
    let around: Json = serde_json::from_str(&around.out).unwrap();
    let of = |channel: &Json| -> usize {
        channel["segments"].as_array().unwrap().iter().map(|s| s["time_ns"].as_array().unwrap().len()).sum()
    };
    let left: usize = around["channels"].as_array().unwrap().iter().map(of).sum();
    assert!(left > 30_000 && left < 43_200, "{left}");
}

/// Makes the index files of an archive whose weeks are long over.
fn index(archive: &str) {
    let opened = engine::recovery::open(engine::recovery::Opening {
        disk: std::sync::Arc::new(RealDisk),
        clock: std::sync::Arc::new(engine::clock::SystemClock),
        directory: archive.into(),
        create: false,
        pinned: None,
        fresh_id: None,
        settings: StorageSettings::default(),
    })
    .unwrap();
    while opened.keeper.index(&|| false).unwrap() {}
    opened.keeper.write_log().unwrap();
    opened.keeper.sync_log().unwrap();
}

/// Flips a bit.
fn flip(path: &Path, at: u64) {
    let file = RealDisk.open_write(path).unwrap();
    let mut byte = [0];
    assert_eq!(file.read_at(at, &mut byte).unwrap(), 1);
    file.write_at(at, &[byte[0] ^ 1]).unwrap();
}

fn index_files(archive: &Path) -> Vec<PathBuf> {
    let inside = |folder: PathBuf| -> Vec<PathBuf> {
        let names = RealDisk.list(&folder).unwrap().into_iter().map(|entry| entry.name);
        names.filter(|name| name.ends_with(".index")).map(|name| folder.join(name)).collect()
    };
    [inside(archive.join("weeks/2024-01-01.1")), inside(archive.join("index"))].concat()
}

#[test]
fn a_copy_without_its_manifest_is_rebuilt_and_damage_costs_what_it_says() {
    let (folder, archive) = archive();
    let copy = folder.path().join("copy").to_str().unwrap().to_owned();
    for linked in [true, false] {
        let made = run(&["snapshot", &archive, &copy, "--json"]);
        assert_eq!(made.code, DONE, "{}", made.err);
        let made: Json = serde_json::from_str(&made.out).unwrap();
        assert_eq!(made["linked"].as_u64().unwrap() > 0, linked, "{made}");
    }
    assert_eq!(run(&["snapshot", &archive, &archive]).code, FAILED);
    let asked = |archive: &str| run(&[&["get", archive, "*", "--format", "csv"], &DAY[..]].concat()).out;
    let whole = asked(&archive);
    assert_eq!(asked(&copy), whole);
    RealDisk.remove(&Path::new(&copy).join("MANIFEST")).unwrap();
    let verified = run(&["verify", &copy]);
    assert_eq!(verified.code, DAMAGE);
    assert!(
        verified.err.contains("MANIFEST") && verified.err.contains("archtool reindex"),
        "{}",
        verified.err
    );
    assert_eq!(run(&["reindex", &copy]).code, DONE);
    assert_eq!(run(&["verify", &copy, "--deep"]).code, DONE);
    assert_eq!(asked(&copy), whole);
    // The table is the archive's, too: it is one file under two names.
    let week = Path::new(&copy).join("weeks/2024-01-01.1");
    let table = RealDisk.list(&week).unwrap().remove(0).name;
    let file = RealDisk.open_write(&week.join(&table)).unwrap();
    let mut byte = [0];
    file.read_at(400, &mut byte).unwrap();
    file.write_at(400, &[byte[0] ^ 1]).unwrap();
    let mended = run(&["reindex", &copy, "--partition", "2024-01-01"]);
    assert_eq!(mended.code, DAMAGE, "{}", mended.err);
    assert!(
        mended.err.contains("lost: weeks/2024-01-01.1") && mended.err.contains(".damaged"),
        "{}",
        mended.err
    );
    assert_eq!(run(&["verify", &copy, "--deep"]).code, DONE);
    let left = asked(&copy).lines().count();
    assert!(left < whole.lines().count() && left > whole.lines().count() / 2, "{left}");
    assert_eq!(run(&["reindex", &copy, "--partition", "soon"]).code, USAGE);
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let (_folder, archive) = archive();
    let program = Command::cargo_bin("archtool").unwrap().get_program().to_owned();
    for words in
        [&["get", &*archive, "*", "--from", "2024-01-01T00:00:00Z"][..], &["man"], &["completions", "bash"]]
    {
        let mut child = std::process::Command::new(&program)
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut some = [0; 10];
        child.stdout.take().unwrap().read_exact(&mut some).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(DONE), "{words:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
    }
}

#[test]
fn completions_and_manual_name_every_verb() {
    let man = run(&["man"]).out;
    let bash = run(&["completions", "bash"]).out;
    for verb in [
        "demo", "list", "get", "at", "events", "coverage", "why", "status", "stat", "verify", "dump",
        "generate", "reindex", "snapshot", "export",
    ] {
        assert!(man.contains(verb) && bash.contains(verb), "{verb}");
        assert!(run(&["man", verb]).out.contains(verb), "{verb}");
    }
    assert_eq!(run(&["--help"]).code, DONE);
    assert_eq!(run(&["--version"]).code, DONE);
}

/// An engine whose channels have odd names, one of them never connected.
fn engine() -> (TempDir, Running, Vec<&'static str>) {
    let names = vec!["SR:C01{BPM:1}X-I", "A/B", "A+B", "A#1", "A;B", "é", "A,B", "A b"];
    let folder = tempfile::tempdir().unwrap();
    let all: Vec<String> = names.iter().map(|name| (*name).to_owned()).chain(["NEVER".to_owned()]).collect();
    let mut config = Config::without_file(&RealDisk, folder.path().join("archive"), &all, &[]).unwrap();
    config.http.listen.set_port(0);
    let (source, handle) = SimulatedSource::new();
    let running = Running::start(config, Box::new(source)).unwrap();
    let now = SystemClock.now();
    for (i, name) in names.iter().enumerate() {
        let name = ChannelName::parse(name).unwrap();
        let host = Box::from("10.0.0.1:5064");
        handle.send(&name, now, Arrival::Connected { host, readable: true, metadata_follows: false });
        let value = Value::String(format!("value {i}, \"quoted\"").into_bytes().into());
        handle.send(&name, now, Arrival::Sample(Sample::new(Timestamp(now.0 - 1_000_000_000), value)));
    }
    while handle.waiting() > 0 || running.engine().shared().heard_until() < now {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    (folder, running, names)
}

#[test]
fn what_an_engine_has_is_not_sealed_beside_it() {
    let (folder, _running, _) = engine();
    let archive = folder.path().join("archive");
    for verb in ["seal", "compact"] {
        let refused = run(&[verb, archive.to_str().unwrap()]);
        assert_eq!((refused.code, refused.out.as_str()), (USAGE, ""));
        assert!(refused.err.contains("running engine") && refused.err.contains("stop it"), "{}", refused.err);
    }
}

#[test]
fn a_server_and_its_directory_give_the_same_answers() {
    let (folder, running, names) = engine();
    let url = format!("http://{}/", running.address());
    let directory = folder.path().join("archive");
    let directory = directory.to_str().unwrap();
    for name in &names {
        let over_http = run(&["get", &url, name, "-n", "1"]);
        assert_eq!((over_http.code, over_http.out.lines().count()), (DONE, 2), "{name}: {}", over_http.err);
        let in_process = run(&["get", directory, name, "-n", "1"]);
        assert_eq!(over_http.out, in_process.out, "{name}");
    }
    // The directory is answered by its engine while that runs.
    let (list, beside) = (run(&["list", &url]), run(&["list", directory]));
    assert_eq!(list.out, beside.out);
    assert!(beside.out.contains(",connected,"), "{}", beside.out);
    let never = run(&["list", &url, "--state", "never_connected"]);
    assert_eq!(never.out.lines().count(), 2, "{}", never.out);
    assert!(never.out.contains("\nNEVER,"), "{}", never.out);
    assert_eq!(run(&["why", &url, "NEVER"]).code, MISSING);
    let why = run(&["why", &url, "A/B"]);
    assert_eq!(why.code, DONE, "{}{}", why.out, why.err);
    assert!(why.out.starts_with("A/B: archived\n"), "{}", why.out);
    assert_eq!(run_with(&["get", "NOPE"], "", Some(&url)).code, MISSING);
    assert_eq!(run(&["get", &url, "A/B", "--from", "yesterday"]).code, USAGE);
    let status = run(&["status", &url]);
    assert!(status.out.contains("connected 8") && status.out.contains("never connected 1"), "{}", status.out);
    running.stop();
    let after = run(&["list", directory]);
    assert_eq!(after.out.lines().count(), 10, "{}", after.out);
    assert!(!after.out.contains(",connected,"), "{}", after.out);
}

/// Data of years ago, and of now.
#[test]
fn retention_rules_are_applied_where_the_configuration_is_named() {
    let (folder, archive) = archive();
    let mut config = Config::without_file(&RealDisk, PathBuf::from(&archive), &["NOW".into()], &[]).unwrap();
    config.http.listen.set_port(0);
    let (source, handle) = SimulatedSource::new();
    let running = Running::start(config, Box::new(source)).unwrap();
    let (name, now) = (ChannelName::parse("NOW").unwrap(), SystemClock.now());
    handle.send(&name, now, Arrival::Sample(Sample::new(now, Value::Float64(1.0))));
    while running.engine().shared().heard_until() < now || handle.waiting() > 0 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    running.stop();
    let weeks = || -> Vec<Json> {
        let stat: Json = serde_json::from_str(&run(&["stat", &archive, "--json"]).out).unwrap();
        stat["partitions"].as_array().unwrap().iter().map(|week| week["name"].clone()).collect()
    };
    let configured = |verb: &str, of: &str, raw: &str| {
        let path = folder.path().join(format!("{verb}-{of}-{raw}-engine.toml"));
        let rule = "[[retention]]\nclass = \"default\"";
        let text =
            format!("[archive]\ndirectory = \"{of}\"\n{rule}\nraw = \"{raw}\"\ndecimated = \"{raw}\"\n");
        RealDisk.create(&path).unwrap().write_at(0, text.as_bytes()).unwrap();
        run(&[verb, &archive, "--config", path.to_str().unwrap(), "--json"])
    };
    let removed =
        |run: &Run| serde_json::from_str::<Json>(&run.out).unwrap()["tables_removed"].as_u64().unwrap();
    let sealed = run(&["seal", &archive, "--json"]);
    assert_eq!((sealed.code, removed(&sealed)), (DONE, 0), "{}", sealed.err);
    let before = weeks();
    assert_eq!(before.len(), 2, "{before:?}");
    let kept = configured("seal", "archive", "10000w");
    assert_eq!((kept.code, removed(&kept)), (DONE, 0), "{}", kept.err);
    for (of, raw) in [(".", "30d"), ("elsewhere", "30d"), ("archive", "x")] {
        let refused = configured("seal", of, raw);
        assert_eq!((refused.code, refused.out.as_str()), (USAGE, ""), "{}", refused.err);
        assert!(refused.err.contains("engine.toml"), "{}", refused.err);
    }
    assert_eq!(weeks(), before);
    let applied = configured("compact", "archive", "30d");
    assert_eq!((applied.code, removed(&applied) > 0), (DONE, true), "{}", applied.err);
    // What later weeks need of it stands in the first one that stays.
    let left = weeks();
    assert!(!left.contains(&before[0]) && left.last() == before.last(), "{left:?}");
    assert_eq!(removed(&configured("seal", "archive", "30d")), 0);
    assert_eq!(run(&["verify", &archive, "--deep"]).code, DONE);
}

/// An archive of a week that is long over, sealed and merged by hand.
#[test]
fn seal_and_compact_change_no_answer() {
    // As many tables as are merged at once, and some.
    let (_folder, archive) = archive_flushed_at(1 << 17);
    let all = || run(&[&["get", archive.as_str(), "*"], &DAY[..]].concat()).out;
    let coverage = || run(&[&["coverage", archive.as_str(), FIRST], &DAY[..]].concat()).out;
    let stat = || -> Json { serde_json::from_str(&run(&["stat", &archive, "--json"]).out).unwrap() };
    let (before, covered) = (all(), coverage());
    assert_eq!(stat()["weeks"], serde_json::json!({"open": 1, "sealed": 0, "backlog": 1}));
    let compacted = run(&["compact", &archive, "--json"]);
    assert_eq!((compacted.code, compacted.err.as_str()), (DONE, ""));
    let compacted: Json = serde_json::from_str(&compacted.out).unwrap();
    assert!(compacted["merges"].as_u64().unwrap() > 0, "{compacted}");
    assert_eq!(before, all());
    for wrong in ["2024-01-02", "monday"] {
        assert_eq!(run(&["seal", &archive, "--partition", wrong]).code, USAGE);
    }
    assert_eq!(run(&["seal", &archive, "--partition", "2024-01-08"]).code, MISSING);
    let sealed = run(&["seal", &archive, "--partition", "2024-01-01", "--json"]);
    assert_eq!((sealed.code, sealed.err.as_str()), (DONE, ""));
    let sealed: Json = serde_json::from_str(&sealed.out).unwrap();
    assert_eq!(sealed["sealed"][0]["samples"], 43_200);
    assert_eq!(stat()["weeks"], serde_json::json!({"open": 0, "sealed": 1, "backlog": 0}));
    assert_eq!(stat()["partitions"][0]["name"], "weeks/2024-01-01.2");
    assert_eq!(stat()["partitions"][0]["state"], "sealed");
    assert_eq!((before, covered), (all(), coverage()), "nobody ran, nobody stopped");
    let explained = |words: &[&str]| -> Json {
        let run = run(&[&["get", archive.as_str(), FIRST, "--explain"], words, &DAY[..]].concat());
        assert_eq!((run.code, run.err.as_str()), (DONE, ""));
        serde_json::from_str(&run.out).unwrap()
    };
    let of_samples = explained(&[]);
    assert_eq!(of_samples["request"], "/api/v1/samples");
    assert_eq!(of_samples["read"]["samples"], 8_640);
    assert_eq!(of_samples["read"]["files"], 1, "{of_samples}");
    let used = &of_samples["channels"][0]["used"][0];
    assert!(used["origin"].as_str().unwrap().starts_with("weeks/2024-01-01.2/"), "{of_samples}");
    assert!(used["bytes"].as_u64().unwrap() > 8_640 && used["pages"].as_u64().unwrap() > 1, "{used}");
    let of_bins = explained(&["--width", "6h"]);
    assert_eq!(of_bins["read"]["nodes"], serde_json::json!({"3600s": 24}), "{of_bins}");
    assert_eq!(of_bins["read"]["samples"], 0, "{of_bins}");
    // Nothing is left to do, and that is no failure.
    for words in [vec!["seal", &*archive], vec!["seal", &*archive, "--partition", "2024-01-01"]] {
        assert_eq!(run(&words).code, DONE);
    }
    assert_eq!(run(&["verify", &archive, "--deep"]).code, DONE);
}
