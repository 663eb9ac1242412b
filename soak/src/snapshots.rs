//! Copies of a running archive, made while 10,000 records at 10 Hz come in.

use crate::counters::{Faults, read_back};
use crate::engine::archserver;
use crate::http::Client;
use crate::load::Rig;
use crate::process::command;
use crate::records::{self, GROUP, GROUP_COUNTERS};
use crate::report::Report;
use crate::{Failure, Programs, Scale, now_ns};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How much older than its beginning the newest sample of a copy may be, in ns: the log is synced every second, and a
/// record is processed every 100 ms.
const AGE_MAX_NS: i64 = 3_000_000_000;

pub(crate) fn run(programs: &Programs, scale: Scale) -> Result<Report, Failure> {
    let groups = scale.pick(500, 25);
    let time = scale.time(60, 6);
    let how = format!(
        "{} records at 10 Hz, a flush every 5 s. `archtool snapshot` copies the archive again and again for {} s, into three \
         new directories, then over the first of them. Each copy is verified (`--deep`) and read through an \
         archserver: counters are consecutive from the first value and reach to within 3 s of the copy's beginning",
        groups * GROUP,
        time.as_secs()
    );
    let mut report = Report::begin("snapshots", &how);
    let mut rig = Rig::start(programs, groups, "")?;
    rig.engine.environment("VARVE_TEST_FLUSH_EVERY", "5s");
    // Before a record was processed once its text is no number.
    std::thread::sleep(Duration::from_secs(2));
    rig.engine.start()?;
    rig.engine.wait_connected(rig.channels(), Duration::from_secs(60))?;
    std::thread::sleep(Duration::from_secs(2));
    let archtool = programs.path("archtool")?;
    let (began, mut copies, mut longest) = (Instant::now(), Vec::new(), Duration::ZERO);
    let mut again = 0;
    while began.elapsed() < time {
        let fresh = copies.len() < 3;
        let number = if fresh { copies.len() } else { 0 };
        let directory = rig.folder.path().join(format!("copy-{number}"));
        let (asked, started) = (now_ns(), Instant::now());
        tool(&archtool, &["snapshot"], &[&rig.engine.archive, &directory])?;
        longest = longest.max(started.elapsed());
        if fresh {
            copies.push((directory, asked));
        } else {
            copies[0].1 = asked;
            again += 1;
        }
        // Copies that follow one another at once would hold nothing between them.
        std::thread::sleep(time / 20);
    }
    report.figure("copies", format!("{} new, {again} over the first, {longest:.1?} at most", copies.len()));
    let dropped = rig.engine.client().totals()?[3];
    report.bar("dropped meanwhile", dropped, "0", dropped == 0);
    let (faults, unequal) = rig.end_and_read()?;
    report.bar("the archive itself at the end", &faults, "0, 0, 0", faults.none() && unequal == 0);
    let replaced = faults.replaced;
    for (directory, asked) in &copies {
        tool(&archtool, &["verify", "--deep"], &[directory])?;
        let (faults, newest) = read(programs, &rig, directory)?;
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        report.bar(
            &format!("{name}, verified; counters"),
            &faults,
            "0, 0, 0; all counters",
            faults.missing <= replaced
                && faults.doubled + faults.disordered == 0
                && faults.channels == groups * GROUP_COUNTERS,
        );
        let age = asked - newest;
        let text = format!("{:.2} s before the copy began", age as f64 / 1e9);
        report.bar(&format!("{name}, the counter that ends first"), text, "<= 3 s", age <= AGE_MAX_NS);
    }
    Ok(report)
}

/// Runs `archtool`, which has to succeed.
fn tool(archtool: &Path, arguments: &[&str], paths: &[&PathBuf]) -> Result<(), Failure> {
    let output = command(archtool).args(arguments).args(paths).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("archtool {arguments:?} {paths:?}: {}: {said}", output.status).into())
}

/// What is wrong with the counters of the archive in `directory`, and the least of their last times.
fn read(programs: &Programs, rig: &Rig, directory: &Path) -> Result<(Faults, i64), Failure> {
    let (mut server, url) = archserver(programs, rig.folder.path(), directory)?;
    let (mut faults, mut newest) = (Faults::default(), i64::MAX);
    read_back(&Client::new(&url), rig.groups, rig.began, |name, series| {
        faults.samples += series.times.len() as u64;
        if records::counts(name) {
            // What the IOC replaced until it was halted is not known for the copy's time alone.
            faults.look(name, series, 0);
            newest = newest.min(series.times.last().copied().unwrap_or(i64::MIN));
        }
        Ok(())
    })?;
    server.kill();
    Ok((faults, newest))
}
