//! An export on a disk that crashes at each operation, and on one that is full.

use super::part::Progress;
use super::rows::rows;
use super::*;
use crate::failure::Failure;
use crate::place::Place;
use archengine::Running;
use disk::sim::Crash;
use disk::{Disk, RealDisk, SimDisk};
use engine::clock::{Clock, SystemClock};
use engine::config::Config;
use engine::source::{Arrival, SimulatedSource};
use sample::{ChannelName, Sample, SampleBlock, Timestamp, Value};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FILE: &str = "/out/samples";
const GROUP_ROWS: u64 = 100;

const NAMES: [&str; 2] = ["NUMBER", "TEXT"];
const SAMPLES: usize = 360;

/// Two channels; three samples at a time, so that groups end between equal times.
pub(super) fn archive() -> (tempfile::TempDir, Place) {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("archive");
    let mut config =
        Config::without_file(&RealDisk, directory.clone(), &NAMES.map(str::to_owned), &[]).unwrap();
    config.http.listen.set_port(0);
    let (source, handle) = SimulatedSource::new();
    let running = Running::start(config, Box::new(source)).unwrap();
    let now = SystemClock.now();
    for name in NAMES {
        let channel = ChannelName::parse(name).unwrap();
        let host = Box::from("10.0.0.1:5064");
        handle.send(&channel, now, Arrival::Connected { host, readable: true, metadata_follows: false });
        for i in 0..SAMPLES as i64 / 2 {
            let value = if name == "TEXT" { Value::text(&format!("text {i}")) } else { Value::Int64(i) };
            let time = Timestamp(now.0 - 60_000_000_000 + i / 3);
            handle.send(&channel, now, Arrival::Sample(Sample::new(time, value)));
        }
    }
    while handle.waiting() > 0 || running.engine().shared().heard_until() < now {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    drop(running);
    let (place, _) = Place::take(vec![directory.to_str().unwrap().to_owned()]).unwrap();
    (folder, place)
}

fn question(place: &Place, format: Format) -> Question {
    let time = [("from", "2020-01-01T00:00:00Z"), ("to", "2100-01-01T00:00:00Z")];
    Question {
        place: place.name(),
        channels: NAMES.map(str::to_owned).to_vec(),
        time: time.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        format,
    }
}

pub(super) fn empty() -> SimDisk {
    let disk = SimDisk::new(1);
    disk::create_dir_durable(&disk, Path::new("/out")).unwrap();
    disk
}

/// An export of which everything is gathered.
pub(super) fn gathered(disk: &SimDisk, place: &Place, format: Format) -> Part {
    let plan = Plan::ask(place, question(place, format), false).unwrap();
    let mut part = Part::begin(Arc::new(disk.clone()), Path::new(FILE), plan).unwrap();
    gather(place, &mut part, GROUP_ROWS, false, &|_| {}).unwrap();
    part
}

/// An export to `file` of whose channels everything is gathered: stretches of batches, each of a channel.
pub(super) fn of_batches(
    disk: &SimDisk,
    file: &str,
    format: Format,
    channels: Vec<serde_json::Value>,
    stretches: &[Vec<(usize, SampleBlock)>],
) -> Part {
    let question = Question { place: "here".to_owned(), channels: Vec::new(), time: Vec::new(), format };
    let plan = Plan { question, from_ns: 0, to_ns: i64::MAX, samples: None, channels, refused: Vec::new() };
    let mut part = Part::begin(Arc::new(disk.clone()), Path::new(file), plan.clone()).unwrap();
    for (number, batches) in (1..).zip(stretches) {
        let mut rows = rows(&plan).unwrap();
        for (channel, block) in batches {
            rows.append(*channel, block.clone(), &serde_json::json!({"metadata": {}})).unwrap();
        }
        part.keep(number, &rows.finish().unwrap()).unwrap();
    }
    part.note(Progress { stretches: stretches.len() as u64, ..part.progress() }).unwrap();
    part
}

/// The file, or all files of the directory, that the export is to.
fn whole_files(disk: &SimDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let files = disk.files().into_iter().filter(|path| path.starts_with(FILE));
    files.map(|path| (path.clone(), disk.content(&path).unwrap())).collect()
}

/// As `--resume` does it.
fn attempt(disk: &SimDisk, place: &Place, format: Format) -> Result<(), Failure> {
    let (shared, file): (Arc<dyn Disk>, _) = (Arc::new(disk.clone()), Path::new(FILE));
    let question = question(place, format);
    let mut part = match Part::resume(shared.clone(), file, &question)? {
        Some(part) if part.is_published(file)? => return part.clear(file).map(|_| ()),
        Some(part) => part,
        None => {
            discard(&shared, file)?;
            // Whatever cleared up behind it was interrupted; a directory is not replaced.
            if format == Format::Pb && disk.exists(file).is_ok_and(|is| is) {
                return Ok(());
            }
            Part::begin(shared, file, Plan::ask(place, question, false)?)?
        }
    };
    gather(place, &mut part, GROUP_ROWS, false, &|_| {})?;
    join(part, file).map(|_| ())
}

#[test]
fn a_crash_at_any_operation_only_delays() {
    let (_folder, place) = archive();
    for format in [Format::Csv, Format::Arrow, Format::Parquet, Format::Mat, Format::Pb] {
        let whole = empty();
        attempt(&whole, &place, format).unwrap();
        let expected = whole_files(&whole);
        assert_eq!(whole.files().len(), expected.len(), "the part is left behind");
        for crash in [Crash::PowerCut, Crash::Kill] {
            let mut resumed = 0;
            for after in 0.. {
                let disk = empty();
                disk.crash_after(after, crash);
                if attempt(&disk, &place, format).is_ok() {
                    break;
                }
                disk.power_on();
                // Nobody sees a file that is not whole.
                let found = whole_files(&disk);
                assert!(found.is_empty() || found == expected, "{format:?} {crash:?} {after}");
                disk.crash_after(20, crash);
                if attempt(&disk, &place, format).is_err() {
                    resumed += 1;
                    disk.power_on();
                    attempt(&disk, &place, format).unwrap();
                }
                disk.cancel_crash();
                assert!(whole_files(&disk) == expected, "{format:?} {crash:?} {after}");
                assert_eq!(disk.files().len(), expected.len(), "{format:?} {crash:?} {after}");
                assert!(!disk.exists(Path::new("/out/samples.part")).unwrap());
            }
            assert!(resumed > 20, "{resumed}");
        }
    }
}

#[test]
fn a_full_disk_is_said_and_the_export_goes_on_when_there_is_room() {
    let (_folder, place) = archive();
    let disk = empty();
    let mut failures = Vec::new();
    for room in (500..).step_by(500) {
        disk.set_capacity(room);
        let Err(failure) = attempt(&disk, &place, Format::Csv) else { break };
        failures.push(failure.to_string());
        assert!(disk.content(Path::new(FILE)).is_err());
    }
    assert!(failures.iter().all(|failure| failure.contains("make room")), "{failures:?}");
    for place_of_it in ["plan.json", "0000000", "put /out/samples together"] {
        assert!(failures.iter().any(|failure| failure.contains(place_of_it)), "{place_of_it}: {failures:?}");
    }
    let text = String::from_utf8(disk.content(Path::new(FILE)).unwrap()).unwrap();
    assert_eq!(text.lines().count(), 1 + SAMPLES);
}

#[test]
fn another_question_is_told_from_this_one() {
    let (_folder, place) = archive();
    let one = question(&place, Format::Csv);
    assert_eq!(one.difference(&one), None);
    let others: [(Question, &str); 6] = [
        (Question { place: "elsewhere".to_owned(), ..one.clone() }, "elsewhere"),
        (Question { format: Format::Arrow, ..one.clone() }, "arrow"),
        (Question { time: Vec::new(), ..one.clone() }, "the last hour"),
        (Question { channels: one.channels[1..].to_vec(), ..one.clone() }, "without"),
        (
            Question { channels: [&one.channels[..], &["X".to_owned()]].concat(), ..one.clone() },
            "has the channel X",
        ),
        (Question { channels: one.channels.iter().rev().cloned().collect(), ..one.clone() }, "another order"),
    ];
    for (other, said) in others {
        let difference = one.difference(&other).unwrap();
        assert!(difference.contains(said), "{difference}");
    }
}
