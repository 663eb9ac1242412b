//! 50,000 names, some misspelt: who connects, how much is searched, what is logged.

use crate::engine::{Engine, Setup};
use crate::process::{command, mib, peak_memory};
use crate::report::Report;
use crate::{Failure, Programs, Scale, records};
use epics_ca::ioc::{Ioc, Ports};
use std::collections::BTreeSet;
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Counts what is sent to an address that never answers: every search goes there too.
struct Ear {
    address: String,
    heard: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Ear {
    fn open() -> Result<Ear, Failure> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        let address = socket.local_addr()?.to_string();
        let (heard, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let ear = Ear { address, heard: heard.clone(), stop: stop.clone() };
        std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while !stop.load(Ordering::Relaxed) {
                if socket.recv(&mut buffer).is_ok() {
                    heard.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Ok(ear)
    }

    fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Datagrams of each second from now on, until `time` has passed.
fn per_second(ear: &Ear, time: Duration) -> Vec<u64> {
    let (began, mut before, mut all) = (Instant::now(), ear.heard(), Vec::new());
    while began.elapsed() < time {
        std::thread::sleep(Duration::from_secs(1));
        let heard = ear.heard();
        all.push(heard - before);
        before = heard;
    }
    all
}

pub(crate) fn run(programs: &Programs, scale: Scale) -> Result<Report, Failure> {
    let (good, bad, repeated) = scale.pick((47_000, 3_000, 500), (1_880, 120, 20));
    let how = format!(
        "{good} records that never change in one C IOC; a list of {} names with CRLF line ends, {bad} misspelt, \
         {repeated} lines repeated. A second address that never answers counts the search datagrams",
        good + bad
    );
    let mut report = Report::begin("names", &how);
    let folder = tempfile::tempdir()?;
    let (text, names) = records::constants(good);
    let database = folder.path().join("constants.db");
    fs::write(&database, text)?;
    let misspelt: BTreeSet<String> = (0..bad).map(|i| format!("N:{:05}x", i * good / bad)).collect();
    let mut lines = names.clone();
    lines.extend(misspelt.iter().cloned());
    lines.extend(names.iter().take(repeated).cloned());
    let channels = lines.join("\r\n") + "\r\n";
    let (ports, ear) = (Ports::free()?, Ear::open()?);
    let addresses = vec![ear.address.clone()];
    let setup = Setup { folder: folder.path(), ports, addresses, channels, archive: "" };
    let mut engine = Engine::configure(programs, setup)?;
    let ioc = Ioc::start(ports, &database)?;
    let began = Instant::now();
    engine.start()?;
    let (seconds, connected) = std::thread::scope(|scope| {
        let counting = scope.spawn(|| per_second(&ear, scale.time(600, 10)));
        let connected = engine.wait_connected(good, Duration::from_secs(180)).map(|_| began.elapsed());
        (counting.join().unwrap_or_default(), connected)
    });
    let connected = connected?;
    let text = format!("{:.1} s from the process's start", connected.as_secs_f64());
    report.bar(&format!("{good} connected"), text, "<= 60 s", connected <= Duration::from_secs(60));
    searches(&mut report, scale, &seconds);
    let lines = engine.log_lines();
    report.bar("log lines", lines, "< 200", lines < 200);
    report.figure("peak resident memory", mib(peak_memory(engine.pid())));
    never_connected(&mut report, programs, &engine, &misspelt)?;
    outages(&mut report, &engine, (ioc, ports, &database), &names)?;
    Ok(report)
}

fn searches(report: &mut Report, scale: Scale, seconds: &[u64]) {
    let peak = seconds.iter().max().copied().unwrap_or(0);
    let last = &seconds[seconds.len().saturating_sub(scale.pick(60, 5))..];
    let now = last.iter().sum::<u64>() as f64 / last.len().max(1) as f64;
    let text = format!("{now:.2}/s in the last {} s of {}, peak {peak}/s", last.len(), seconds.len());
    report.bar_if(
        !scale.short,
        "search datagrams at one address",
        text,
        "<= a tenth of the peak",
        now * 10.0 <= peak as f64,
    );
}

fn never_connected(
    report: &mut Report,
    programs: &Programs,
    engine: &Engine,
    misspelt: &BTreeSet<String>,
) -> Result<(), Failure> {
    let archtool = programs.path("archtool")?;
    let output = command(&archtool).args(["list", &engine.url, "--state", "never_connected"]).output()?;
    let text = String::from_utf8(output.stdout)?;
    let listed: Vec<&str> = text.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    let same = listed.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>() == *misspelt;
    let met = same && listed.len() == misspelt.len() && output.status.success();
    let text = format!(
        "{} names, {}",
        listed.len(),
        if same { "the misspelt ones" } else { "NOT the misspelt ones" }
    );
    report.bar("archtool list --state never_connected", text, "exactly the misspelt", met);
    Ok(())
}

/// Kills and restarts the IOC three times.
fn outages(
    report: &mut Report,
    engine: &Engine,
    (ioc, ports, database): (Ioc, Ports, &Path),
    names: &[String],
) -> Result<(), Failure> {
    let client = engine.client();
    let good = names.len() as u64;
    let (mut ioc, mut most, mut slowest) = (Some(ioc), 0, Duration::ZERO);
    let dropped = client.totals()?[3];
    for _ in 0..3 {
        let lines = engine.log_lines();
        drop(ioc.take());
        let gone = Instant::now();
        while client.status()?["channels"]["connected"].as_u64() != Some(0) {
            if gone.elapsed() > Duration::from_secs(60) {
                return Err("channels are still connected 60 s after the IOC was killed".into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        std::thread::sleep(Duration::from_secs(2));
        ioc = Some(Ioc::start(ports, database)?);
        slowest = slowest.max(engine.wait_connected(good, Duration::from_secs(300))?);
        std::thread::sleep(Duration::from_secs(12));
        most = most.max(engine.log_lines() - lines);
    }
    drop(ioc);
    report.figure("all connected again after a restart, slowest", format!("{:.1} s", slowest.as_secs_f64()));
    report.bar("log lines of one outage, most", most, "< 50", most < 50);
    let (mut wrong_events, mut wrong_samples, mut samples) = (0_u64, 0_u64, 0);
    let mut first = String::new();
    for part in names.chunks(500) {
        let query: Vec<String> = part.iter().map(|name| format!("channel={name}")).collect();
        let query = query.join("&");
        let answer = client.json(&format!("/api/v1/events?from=-2h&{query}"))?;
        for channel in answer["channels"].as_array().into_iter().flatten() {
            let events = channel["events"].as_array().cloned().unwrap_or_default();
            let lost = events.iter().filter(|event| event["kind"] == "disconnected").count();
            let found = events.iter().filter(|event| event["kind"] == "connected").count();
            // The last kill's end is not waited for: a fourth outage may have begun.
            if !(3..=4).contains(&lost) || found != 4 {
                wrong_events += 1;
                first = format!("; for example {}: {lost} disconnected, {found} connected", channel["name"]);
            }
        }
        let mut stored: std::collections::BTreeMap<String, u64> = std::collections::BTreeMap::new();
        for batch in client.samples(&format!("from=-2h&{query}"))? {
            let expected = batch.name.trim_start_matches("N:").parse::<f64>().unwrap_or(-1.0);
            let right =
                matches!(&batch.block.values, sample::Column::Float64(v) if v.iter().all(|v| *v == expected));
            *stored.entry(batch.name).or_default() += batch.block.len() as u64 + if right { 0 } else { 1000 };
        }
        for name in part {
            let count = stored.get(name).copied().unwrap_or(0);
            samples += count;
            // The record is processed once in each of the IOC's four lives.
            wrong_samples += u64::from(count != 4);
        }
    }
    let text = format!("{wrong_events} of {good} wrong{first}");
    report.bar("channels with each outage as an event", text, "3 outages each, 0 wrong", wrong_events == 0);
    let text = format!("{wrong_samples} channels wrong, {samples} samples in all");
    report.bar("samples: one a life of the IOC", text, "0 wrong", wrong_samples == 0);
    let dropped = client.totals()?[3] - dropped;
    report.bar("dropped during the outages", dropped, "0", dropped == 0);
    Ok(())
}
