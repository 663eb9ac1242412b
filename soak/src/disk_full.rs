//! A real, small file system that is filled and freed under a running engine.

use crate::engine::Engine;
use crate::http::{Client, balanced};
use crate::load::Rig;
use crate::records::GROUP;
use crate::report::Report;
use crate::{Failure, Programs, Scale, now_ns, random};
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Size of the file system: a log segment alone is 64 MiB.
const MIB: u64 = 2048;

/// An update comes every 100 ms; a drop shows from the first one that was dropped to the first that was not.
const STRAY_NS: i64 = 250_000_000;
/// Arrays of 2048 doubles at 10 Hz, so that a segment is full within seconds.
const ARRAYS: u64 = 20;

/// The shell command that mounts [`MIB`] at `folder`, of the best kind that this machine permits.
fn mount(scratch: &Path, folder: &Path) -> Result<Option<(String, &'static str)>, Failure> {
    let image = scratch.join("image");
    File::create(&image)?.set_len(MIB << 20)?;
    let made = Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image).status();
    let loop_mount = format!("mount -o loop '{}' '{}'", image.display(), folder.display());
    let memory_mount = format!("mount -t tmpfs -o size={MIB}m soak '{}'", folder.display());
    let permitted = |shell: &str| {
        let tried = Command::new("unshare")
            .args(["--mount", "sh", "-c", shell])
            .stderr(std::process::Stdio::null())
            .status();
        tried.is_ok_and(|status| status.success())
    };
    if made.is_ok_and(|status| status.success()) && permitted(&loop_mount) {
        return Ok(Some((loop_mount, "ext4 on a loop device")));
    }
    Ok(permitted(&memory_mount).then_some((memory_mount, "tmpfs")))
}

/// The archive's file system as the engine's own mounts show it.
fn inside(engine: &Engine, folder: &Path) -> PathBuf {
    PathBuf::from(format!("/proc/{}/root{}", engine.pid(), folder.display()))
}

/// Writes until nothing fits any more.
fn fill(path: &Path) -> Result<u64, Failure> {
    let mut file = match File::create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::StorageFull => return Ok(0),
        created => created?,
    };
    let space = statvfs(path)?;
    let mut written = space.f_bavail * space.f_frsize;
    // The most at once without writing it; where that fails, and for the rest, by writing.
    if fallocate(&file, FallocateFlags::empty(), 0, written.saturating_sub(1 << 20)).is_err() {
        written = 0;
    }
    file.seek(SeekFrom::End(0))?;
    let mut piece = vec![0x55_u8; 1 << 20];
    loop {
        match file.write(&piece) {
            Ok(count) if count > 0 => written += count as u64,
            _ if piece.len() > 512 => piece.truncate(piece.len() / 2),
            _ => return Ok(written),
        }
    }
}

/// When one filling began and what it did.
struct Span {
    full: i64,
    freed: i64,
    resumed: Option<Duration>,
}

pub(crate) fn run(programs: &Programs, scale: Scale) -> Result<Report, Failure> {
    let (groups, rounds) = (scale.pick(100, 5), scale.pick(10, 2));
    let archive = "reserve_bytes = \"16MiB\"\nmemtable_bytes = \"8MiB\"\nmin_free = \"2%\"";
    let mut rig = Rig::with_arrays(programs, groups, ARRAYS, archive)?;
    let folder = rig.folder.path().join("mounted");
    fs::create_dir_all(&folder)?;
    let kind = mount(rig.folder.path(), &folder)?;
    let name = kind.as_ref().map_or("no file system", |(_, kind)| *kind);
    let how = format!(
        "{} counters and {ARRAYS} arrays of 2048 doubles at 10 Hz into a file system of {MIB} MiB ({name}) that is filled and freed {rounds} times at random moments",
        groups * GROUP
    );
    let mut report = Report::begin("disk-full", &how);
    let Some((shell, _)) = kind else {
        report.figure("SKIPPED", "this machine does not permit mounting");
        return Ok(report);
    };
    rig.engine.move_archive(&folder.join("archive"))?;
    rig.engine.mount(shell);
    rig.engine.start()?;
    rig.engine.wait_connected(rig.channels(), Duration::from_secs(60))?;
    let client = rig.engine.client();
    let mut spans = Vec::new();
    let mut faults = Reads::default();
    for _ in 0..rounds {
        std::thread::sleep(Duration::from_millis(1000 + random(4000)));
        let path = inside(&rig.engine, &folder).join("filler");
        spans.push(round(&client, &path, &mut faults)?);
    }
    judge(&mut report, &rig, &spans, &faults)?;
    Ok(report)
}

/// Questions asked while the disk was full.
#[derive(Default)]
struct Reads {
    asked: u64,
    failed: u64,
    unbalanced: u64,
}

fn round(client: &Client, filler: &Path, reads: &mut Reads) -> Result<Span, Failure> {
    let dropped = client.totals()?[3];
    let began = Instant::now();
    // What the engine frees meanwhile is taken too, until it notices.
    let mut number = 0;
    while client.totals()?[3] == dropped {
        fill(&filler.with_extension(number.to_string()))?;
        number += 1;
        if began.elapsed() > Duration::from_secs(90) {
            return Err("nothing was dropped 90 s after the file system was filled".into());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let full = now_ns();
    let stay = Duration::from_millis(3000 + random(3000));
    let began = Instant::now();
    while began.elapsed() < stay {
        reads.asked += 1;
        let read = client.samples("channel=T:0000:ai0&from=-1m");
        reads.failed += u64::from(!read.is_ok_and(|batches| !batches.is_empty()));
        reads.unbalanced += u64::from(!balanced(client.totals()?) || !balanced(client.ledger("T:0000:ai0")?));
        // A flush may give log segments back: then the engine records on until that is full, too.
        fill(&filler.with_extension(number.to_string()))?;
        number += 1;
        std::thread::sleep(Duration::from_millis(100));
    }
    for number in 0..number {
        // Of the last ones perhaps not even the name found room.
        let _ = fs::remove_file(filler.with_extension(number.to_string()));
    }
    let (freed, space) = (now_ns(), Instant::now());
    let resumed = loop {
        let batches = client.samples(&format!("channel=T:0000:ai0&edge=false&from_ns={freed}"))?;
        if batches.iter().any(|batch| !batch.block.is_empty()) {
            break Some(space.elapsed());
        }
        if space.elapsed() > Duration::from_secs(30) {
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    Ok(Span { full, freed, resumed })
}

fn judge(report: &mut Report, rig: &Rig, spans: &[Span], reads: &Reads) -> Result<(), Failure> {
    let client = rig.engine.client();
    let text = format!("{} of {} failed", reads.failed, reads.asked);
    report.bar("reads while full", text, "0 failed", reads.failed == 0);
    report.bar(
        "ledger exact at every read while full",
        format!("{} wrong", reads.unbalanced),
        "0",
        reads.unbalanced == 0,
    );
    let slowest = spans
        .iter()
        .map(|span| span.resumed)
        .max_by_key(|resumed| resumed.unwrap_or(Duration::MAX))
        .flatten();
    let all = spans.iter().all(|span| span.resumed.is_some_and(|took| took <= Duration::from_secs(10)));
    report.bar("recording resumed after space, slowest", format!("{slowest:?}"), "<= 10 s", all);
    let from = spans.first().map_or(0, |span| span.full - 60_000_000_000);
    let answer = client.json(&format!("/api/v1/coverage?channel=T:0000:ai0&from_ns={from}"))?;
    let intervals = answer["channels"][0]["intervals"].as_array().cloned().unwrap_or_default();
    let dropped: Vec<(i64, i64)> = intervals
        .iter()
        .filter(|interval| interval["state"] == "dropped")
        .filter_map(|interval| Some((interval["from_ns"].as_i64()?, interval["to_ns"].as_i64()?)))
        .collect();
    let mut untold = Vec::new();
    for span in spans {
        let (from, to) = (span.full, span.freed);
        let batches = client.samples(&format!("channel=T:0000:ai0&edge=false&from_ns={from}&to_ns={to}"))?;
        let stamps: Vec<i64> = batches.iter().flat_map(|batch| batch.block.time.clone()).collect();
        untold.extend(contradiction(span, &stamps, &dropped));
    }
    let text = format!("{} of {} spans {}", spans.len() - untold.len(), spans.len(), untold.join("; "));
    report.bar(
        "coverage from full to freed says dropped where nothing is stored",
        text,
        "all",
        untold.is_empty(),
    );
    let mut unbalanced = 0;
    for name in &rig.names {
        unbalanced += u64::from(!balanced(client.ledger(name)?));
    }
    report.bar("channels whose ledger is not exact at the end", unbalanced, "0", unbalanced == 0);
    let totals = client.totals()?;
    report.figure(
        "ledger",
        format!(
            "received {}, stored {}, redelivered {}, dropped {}",
            totals[0], totals[1], totals[2], totals[3]
        ),
    );
    Ok(())
}

/// Where coverage and the stored samples of a span tell different things.
fn contradiction(span: &Span, stamps: &[i64], dropped: &[(i64, i64)]) -> Option<String> {
    let inside = |from: i64, to: i64| dropped.iter().any(|(begin, end)| *begin <= from && to <= *end);
    let held_in = stamps.iter().find(|stamp| inside(**stamp - STRAY_NS, **stamp + STRAY_NS));
    if let Some(stamp) = held_in {
        return Some(format!("a sample at {stamp} where {dropped:?} say dropped"));
    }
    let ends = || [span.full].into_iter().chain(stamps.iter().copied());
    let gaps = ends().zip(stamps.iter().copied().chain([span.freed]));
    let mut wide = gaps.filter(|(from, to)| to - from > 3 * STRAY_NS).peekable();
    if wide.peek().is_none() {
        return Some(format!("from {} to {} everything is stored", span.full, span.freed));
    }
    wide.find(|(from, to)| !inside(from + STRAY_NS, to - STRAY_NS))
        .map(|(from, to)| format!("nothing stored from {from} to {to}, dropped are {dropped:?}"))
}
