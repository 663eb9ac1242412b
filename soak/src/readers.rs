//! Readers in other processes while the engine flushes every 5 s.

use crate::engine::archserver;
use crate::load::Rig;
use crate::process::{Guarded, command, mib, peak_memory};
use crate::records::GROUP;
use crate::report::Report;
use crate::{Failure, Programs, Scale};
use serde_json::{Value, json};
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Reader processes.
const READERS: u64 = 8;

pub(crate) fn run(programs: &Programs, scale: Scale) -> Result<Report, Failure> {
    let groups = scale.pick(10, 3);
    let time = scale.time(1800, 20);
    let how = format!(
        "{} records at 10 Hz, a flush every 5 s, {} s. {READERS} reader processes ask in turn the engine, an \
         archserver over the directory and `archtool get DIR` for whole counters from the beginning; each answer must \
         be the beginning of the count: consecutive from the first value, equal to every earlier answer as far as \
         both reach, not shorter than the same place's answer before",
        groups * GROUP,
        time.as_secs()
    );
    let mut report = Report::begin("readers", &how);
    let mut rig = Rig::start(programs, groups, "")?;
    rig.engine.environment("VARVE_TEST_FLUSH_EVERY", "5s");
    rig.engine.start()?;
    rig.engine.wait_connected(rig.channels(), Duration::from_secs(60))?;
    std::thread::sleep(Duration::from_secs(2));
    let (mut server, server_url) = archserver(programs, rig.folder.path(), &rig.engine.archive)?;
    let archtool = programs.path("archtool")?;
    let task = json!({
        "engine": rig.engine.url, "server": server_url, "archtool": archtool, "directory": rig.engine.archive,
        "from_ns": rig.began, "groups": groups, "seconds": time.as_secs(),
    });
    let mut readers = Vec::new();
    for seed in 0..READERS {
        let mut task = task.clone();
        task["seed"] = json!(seed);
        let file = rig.folder.path().join(format!("reader-{seed}.json"));
        let mut command = command(&std::env::current_exe()?);
        command
            .arg("--reader")
            .arg(task.to_string())
            .stdout(fs::File::create(&file)?)
            .stderr(Stdio::inherit());
        readers.push((Guarded::start(&mut command)?, file));
    }
    let until = Instant::now() + time + Duration::from_secs(120);
    for (reader, _) in &mut readers {
        while reader.ended().is_none() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(200));
        }
    }
    let (mut sums, mut first) = ([0_u64; 6], Vec::new());
    for (_, file) in &readers {
        let told: Value = serde_json::from_slice(&fs::read(file)?).unwrap_or_default();
        for (sum, key) in sums.iter_mut().zip(["engine", "server", "directory", "samples", "wrong", "errors"])
        {
            *sum += told[key].as_u64().ok_or_else(|| format!("a reader told {told}"))?;
        }
        first.extend(told["first"].as_str().map(str::to_owned));
    }
    let [engine, over, directory, samples, wrong, errors] = sums;
    report.figure(
        "answers checked",
        format!("{engine} of the engine, {over} of archserver, {directory} of archtool; {samples} samples"),
    );
    let tables = fs::read_dir(rig.engine.archive.join("weeks"))?
        .flatten()
        .map(|week| fs::read_dir(week.path()).into_iter().flatten().count())
        .sum::<usize>();
    report.figure("files in the weeks at the end", tables);
    report.bar(
        "answers that are no prefix of the truth",
        format!("{wrong} {}", first.join("; ")),
        "0",
        wrong == 0 && engine > 0 && over > 0 && directory > 0,
    );
    report.bar("errors", errors, "0", errors == 0);
    report.figure(
        "peak resident memory",
        format!(
            "engine {}, archserver {}",
            mib(peak_memory(rig.engine.pid())),
            mib(peak_memory(server.pid()))
        ),
    );
    let stopped = server.terminate(Duration::from_secs(20));
    report.bar(
        "archserver stops",
        format!("{stopped:?}"),
        "<= 10 s",
        stopped.is_some_and(|took| took <= Duration::from_secs(10)),
    );
    let (faults, unequal) = rig.end_and_read()?;
    report.bar("everything at the end", &faults, "0, 0, 0", faults.none() && unequal == 0);
    Ok(report)
}
