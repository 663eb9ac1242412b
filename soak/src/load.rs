//! 10,000 records at 10 Hz beside their IOC: nothing missing, nothing double, and what it costs.

use crate::counters::{Faults, read_back};
use crate::engine::{Engine, Setup};
use crate::http::{Client, balanced};
use crate::process::{command, mib, peak_memory, processor_time};
use crate::records::{self, GROUP, GROUP_COUNTERS};
use crate::report::Report;
use crate::{Failure, Programs, Scale, now_ns};
use epics_ca::ioc::{self, Ioc, Ports};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The IOC with its counters and an engine that is configured for them.
pub(crate) struct Rig {
    /// Before the folder, so that it is gone first.
    pub(crate) engine: Engine,
    /// The IOC; `None` when it was ended.
    pub(crate) ioc: Option<Ioc>,
    /// Where it is.
    pub(crate) ports: Ports,
    /// Groups of counters.
    pub(crate) groups: u64,
    /// Names of all channels.
    pub(crate) names: Vec<String>,
    /// Scratch.
    pub(crate) folder: TempDir,
    /// When the IOC was started.
    pub(crate) began: i64,
}

/// How long scans may still go on after `iocPause`: two periods.
const SCANS_END: Duration = Duration::from_millis(200);

impl Rig {
    /// Starts the IOC, configures the engine; `archive` are further lines of `[archive]`.
    pub(crate) fn start(programs: &Programs, groups: u64, archive: &str) -> Result<Rig, Failure> {
        Rig::with_arrays(programs, groups, 0, archive)
    }

    /// The same with some arrays beside the counters.
    pub(crate) fn with_arrays(
        programs: &Programs,
        groups: u64,
        arrays: u64,
        archive: &str,
    ) -> Result<Rig, Failure> {
        let folder = tempfile::tempdir()?;
        let (mut text, mut names) = records::counters(groups);
        if arrays > 0 {
            let (more, named) = records::waveforms(arrays);
            text.push_str(&more);
            names.extend(named);
        }
        let database = folder.path().join("counters.db");
        std::fs::write(&database, text)?;
        let ports = Ports::free()?;
        let channels = names.join("\n");
        let setup = Setup { folder: folder.path(), ports, addresses: Vec::new(), channels, archive };
        let engine = Engine::configure(programs, setup)?;
        let began = now_ns();
        let mut ioc = Ioc::start(ports, &database)?;
        if arrays > 0 {
            ioc.command(&records::put_noise())?;
        }
        let ioc = Some(ioc);
        Ok(Rig { engine, ioc, ports, groups, names, folder, began })
    }

    /// Number of channels.
    pub(crate) fn channels(&self) -> u64 {
        self.names.len() as u64
    }

    /// Halts the IOC's records, and says how many values of each counter it replaced by newer ones in its own
    /// queue before it sent them, by `dbel`; zeros left out. Those never were on the wire.
    pub(crate) fn halted(&mut self) -> Result<BTreeMap<String, u64>, Failure> {
        let Some(ioc) = &mut self.ioc else { return Ok(BTreeMap::new()) };
        ioc.command("iocPause")?;
        std::thread::sleep(SCANS_END);
        let script = self.folder.path().join("dbel.iocsh");
        let questions = self.names.iter().filter(|name| records::counts(name));
        std::fs::write(&script, questions.map(|name| format!("dbel {name} 3\n")).collect::<String>())?;
        let mut replaced = BTreeMap::new();
        let mut name = String::new();
        for line in ioc.ask(&format!("< {}", script.display()))? {
            // The shell repeats each line of a script before it does what it says.
            if let Some((_, question)) = line.split_once("dbel ") {
                name = question.split(' ').next().unwrap_or_default().to_owned();
            } else if line.contains("LOG")
                && let Some(count @ 1..) = ioc::replaced(&line)
            {
                *replaced.entry(name.clone()).or_default() += count;
            }
        }
        Ok(replaced)
    }

    /// Ends the IOC, waits until nothing comes any more, reads everything back.
    pub(crate) fn end_and_read(&mut self) -> Result<(Faults, u64), Failure> {
        let replaced = self.halted()?;
        self.ioc = None;
        std::thread::sleep(Duration::from_secs(2));
        let client = self.engine.client();
        let (mut faults, mut unequal) = (Faults::default(), 0);
        read_back(&client, self.groups, self.began, |name, series| {
            faults.samples += series.times.len() as u64;
            if records::counts(name) {
                faults.look(name, series, replaced.get(name).copied().unwrap_or(0));
            } else if records::counts_in_text(name) {
                faults.look_at_text(series);
            }
            let ledger = client.ledger(name)?;
            unequal += u64::from(!balanced(ledger) || ledger[1] != series.times.len() as u64);
            Ok(())
        })?;
        Ok((faults, unequal))
    }
}

/// A monitor that only counts, with the engine's event mask; µs of CPU per update, and its own words.
fn bare_monitor(programs: &Programs, rig: &Rig, seconds: u64, list: &Path) -> Result<(f64, String), Failure> {
    let port = rig.ports.server().to_string();
    let output = command(&programs.path("examples/bare_monitor")?)
        .arg(seconds.to_string())
        .arg(list)
        .env("EPICS_CA_ADDR_LIST", format!("127.0.0.1:{port}"))
        .env("EPICS_CA_AUTO_ADDR_LIST", "NO")
        .env("EPICS_CA_SERVER_PORT", &port)
        .env("EPICS_CA_REPEATER_PORT", rig.ports.repeater().to_string())
        .env("EVENT_MASK", "6")
        .output()?;
    let text = String::from_utf8(output.stdout)?.trim().to_owned();
    let figure = text.split(" us of CPU").next().and_then(|before| before.rsplit(' ').next());
    let cost = figure.and_then(|figure| figure.parse().ok());
    let cost =
        cost.ok_or_else(|| format!("bare_monitor: {text}\n{}", String::from_utf8_lossy(&output.stderr)))?;
    Ok((cost, text))
}

/// What status reads saw.
struct Watched {
    reads: u64,
    unbalanced: u64,
    dropped: u64,
    received: u64,
    cost: Duration,
}

/// How often status and `channels` channels are read while time passes.
struct Reads {
    time: Duration,
    pause: Duration,
    channels: usize,
}

fn watch(rig: &Rig, how: &Reads) -> Result<Watched, Failure> {
    let client = rig.engine.client();
    let pid = rig.engine.pid();
    let (before, cost) = (client.totals()?, processor_time(pid));
    let mut seen = Watched { reads: 0, unbalanced: 0, dropped: 0, received: 0, cost };
    let began = Instant::now();
    let mut next = 0;
    while began.elapsed() < how.time {
        client.status()?;
        let mut ledgers = vec![client.totals()?];
        for _ in 0..how.channels {
            ledgers.push(client.ledger(&rig.names[next % rig.names.len()])?);
            next += 37;
        }
        for ledger in ledgers {
            seen.reads += 1;
            seen.unbalanced += u64::from(!balanced(ledger));
            seen.dropped += ledger[3];
        }
        std::thread::sleep(how.pause);
    }
    seen.received = client.totals()?[0] - before[0];
    seen.cost = processor_time(pid).saturating_sub(cost);
    Ok(seen)
}

pub(crate) fn run(programs: &Programs, scale: Scale) -> Result<Report, Failure> {
    let groups = scale.pick(500, 25);
    let how = format!(
        "{} records of 7 types at 10 Hz in one C IOC, the archiver beside it; the bare monitor (libca alone, mask \
         LOG | ALARM) runs alone before and after on the same IOC",
        groups * GROUP
    );
    let mut report = Report::begin("load", &how);
    let mut rig = Rig::start(programs, groups, "")?;
    let list = rig.folder.path().join("channels.txt");
    let bare_seconds = scale.pick(30, 3);
    let (bare_before, words) = bare_monitor(programs, &rig, bare_seconds, &list)?;
    report.figure("bare monitor before", words);
    let up = rig.engine.start()?;
    let connected = up + rig.engine.wait_connected(rig.channels(), Duration::from_secs(60))?;
    let judged = !scale.short;
    let text = format!("{:.2} s from the process's start", connected.as_secs_f64());
    report.bar("all connected", text, "<= 5 s", connected <= Duration::from_secs(5));
    std::thread::sleep(Duration::from_secs(2));
    let time = scale.time(120, 5);
    let seen = watch(&rig, &Reads { time, pause: Duration::from_secs(1), channels: 2 })?;
    let often = Reads {
        time: scale.time(20, 3).min(Duration::from_secs(20)),
        pause: Duration::from_millis(100),
        channels: 20,
    };
    let asked = watch(&rig, &often)?;
    let memory = peak_memory(rig.engine.pid());
    let rate = seen.received as f64 / time.as_secs_f64();
    report.bar_if(
        judged,
        "updates received",
        format!("{} in {} s ({rate:.0}/s)", seen.received, time.as_secs()),
        ">= 99,000/s",
        rate >= 99_000.0,
    );
    let text = format!(
        "{} of {} reads wrong, dropped {}",
        seen.unbalanced + asked.unbalanced,
        seen.reads + asked.reads,
        seen.dropped + asked.dropped
    );
    report.bar(
        "received = stored + redelivered + dropped at every read",
        text,
        "always, dropped 0",
        seen.unbalanced + asked.unbalanced == 0 && seen.dropped + asked.dropped == 0,
    );
    let cost = seen.cost.as_secs_f64() * 1e6 / seen.received.max(1) as f64;
    report.bar_if(
        judged,
        "CPU per update, all threads, one status and three ledgers read a second, flushes included",
        format!("{cost:.2} µs"),
        "<= 2.5 µs",
        cost <= 2.5,
    );
    report.bar_if(judged, "peak resident memory", mib(memory), "< 1 GiB", memory < 1 << 30);
    finish(programs, &mut report, &mut rig, (bare_before, cost), bare_seconds, judged)?;
    Ok(report)
}

fn finish(
    programs: &Programs,
    report: &mut Report,
    rig: &mut Rig,
    (bare_before, cost): (f64, f64),
    bare_seconds: u64,
    judged: bool,
) -> Result<(), Failure> {
    let client: Client = rig.engine.client();
    let totals = client.totals()?;
    let (faults, unequal) = rig.end_and_read()?;
    report.bar(
        "counters read back over HTTP",
        &faults,
        "0, 0, 0; all counters",
        faults.none() && faults.channels == rig.groups * GROUP_COUNTERS,
    );
    report.bar("channels whose ledger differs from what is stored", unequal, "0", unequal == 0);
    let text = format!(
        "received {}, stored {}, redelivered {}, dropped {}",
        totals[0], totals[1], totals[2], totals[3]
    );
    report.figure("ledger", text);
    let stopped = rig.engine.stop()?;
    report.bar(
        "stop on SIGTERM",
        format!("{:.2} s", stopped.as_secs_f64()),
        "<= 10 s",
        stopped <= Duration::from_secs(10),
    );
    rig.ioc = Some(Ioc::start(rig.ports, &rig.folder.path().join("counters.db"))?);
    let list = rig.folder.path().join("channels.txt");
    let (bare_after, words) = bare_monitor(programs, rig, bare_seconds, &list)?;
    report.figure("bare monitor after", words);
    let bare = (bare_before + bare_after) / 2.0;
    let text = format!("{:.1} times ({bare:.3} µs, mean of before and after)", cost / bare);
    report.bar_if(judged, "CPU per update against the bare monitor", text, "<= 3 times", cost <= 3.0 * bare);
    Ok(())
}
