//! The built program on real archives: what each verb prints, what it exits with.
#![expect(clippy::unwrap_used, reason = "tests may")]

mod maintenance;
mod reading;

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
