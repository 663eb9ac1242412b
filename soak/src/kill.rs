//! kill -9 at random moments: what was called durable is there, once, in order, bit-equal.

use crate::counters::{Series, read_back};
use crate::http::Client;
use crate::load::Rig;
use crate::records::{GROUP, GROUP_COUNTERS, counts};
use crate::report::Report;
use crate::{Failure, Programs, Scale, now_ns, random};
use sample::Sample;
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// Shortest and longest time from a start to the kill.
const LIFE_MS: (u64, u64) = (300, 9000);
/// How far the time between two updates of a record at 10 Hz may stray before a loss is called one.
const STRAY_NS: i64 = 50_000_000;
const PERIOD_NS: i64 = 100_000_000;
/// The channels whose samples are seen before a kill: those of ten groups.
const WITNESSED: &str = "match=T:000?:*";

/// One life of the engine.
struct Life {
    started: i64,
    killed: i64,
    durable: i64,
    /// Newest receipt among the witnessed samples, and when they were last asked for.
    heard: i64,
    asked: i64,
    /// Values of each counter that the IOC replaced by newer ones before it sent them.
    replaced: BTreeMap<String, u64>,
}

/// Samples seen in answers, by channel and time.
type Witnessed = HashMap<(String, i64), Sample>;

/// Asks for `durable_until_ns` and recent samples until the engine is gone.
fn watch(url: &str, stop: &AtomicBool, durable: &AtomicI64, asked: &AtomicI64, seen: &Mutex<Witnessed>) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let client = Client::new(url);
            while !stop.load(Ordering::Relaxed) {
                if let Ok(status) = client.status()
                    && let Some(until) = status["durable_until_ns"].as_i64()
                {
                    durable.fetch_max(until, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let client = Client::new(url);
        while !stop.load(Ordering::Relaxed) {
            let now = now_ns();
            if let Ok(batches) = client.samples(&format!("{WITNESSED}&from=-600ms&edge=false")) {
                asked.store(now, Ordering::Relaxed);
                let mut seen = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                for batch in batches {
                    for i in 0..batch.block.len() {
                        let sample = batch.block.get(i);
                        seen.insert((batch.name.clone(), sample.time.0), sample);
                    }
                }
            }
            std::thread::sleep(Duration::from_millis(150));
        }
    });
}

/// What became of the witnessed samples that were durable.
#[derive(Default)]
struct Kept {
    durable: u64,
    missing: u64,
    changed: u64,
}

/// Compares what was seen before the kill with what is there.
fn compare(client: &Client, seen: &Witnessed, life: &Life, kept: &mut Kept) -> Result<(), Failure> {
    let Some(first) = seen.keys().map(|(_, time)| *time).min() else { return Ok(()) };
    let mut found: HashMap<(String, i64), Vec<Sample>> = HashMap::new();
    for batch in client.samples(&format!("{WITNESSED}&edge=false&from_ns={first}"))? {
        for i in 0..batch.block.len() {
            let sample = batch.block.get(i);
            found.entry((batch.name.clone(), sample.time.0)).or_default().push(sample);
        }
    }
    for (place, sample) in
        seen.iter().filter(|(_, sample)| sample.received.is_some_and(|at| at.0 <= life.durable))
    {
        kept.durable += 1;
        match found.get(place).map(Vec::as_slice) {
            None | Some([]) => kept.missing += 1,
            Some([there]) if there == sample => {}
            Some(_) => kept.changed += 1,
        }
    }
    Ok(())
}

/// What is wrong with the counters over all lives.
#[derive(Default)]
struct Verdict {
    channels: u64,
    samples: u64,
    disordered: u64,
    /// Values that are not there although neither a kill nor the IOC explains it.
    holes: u64,
    /// Values that the IOC replaced by newer ones before it sent them.
    replaced: u64,
    /// Single values between the first one of a connection and the next: an IOC posts the first before it enables the
    /// monitor (`event_add_action` of camessage.c), and sends nothing of what it processes in between.
    unwatched: u64,
    lost: u64,
    gaps: u64,
    /// Gaps in lives whose last second brought nothing for anybody: IOC or engine had no processor.
    quiet: u64,
    /// Least ns from `durable_until` to when the first lost sample must have been received.
    margin: Option<i64>,
    first: Option<String>,
    first_disorder: Option<String>,
}

impl Verdict {
    fn look(&mut self, name: &str, series: &Series, lives: &[Life]) {
        self.channels += 1;
        self.samples += series.values.len() as u64;
        let mut absent = vec![0; lives.len()];
        for i in 1..series.values.len() {
            let step = series.values[i] - series.values[i - 1];
            let rises = series.times[i] > series.times[i - 1] && series.received[i] >= series.received[i - 1];
            if step <= 0 || !rises {
                self.disordered += 1;
                let at = |i: usize| (series.values[i], series.times[i], series.received[i]);
                let lives: Vec<_> = lives.iter().map(|life| (life.started, life.killed)).collect();
                let text = format!(
                    "{name}: {:?} after {:?} (value, time, received), lives {lives:?}",
                    at(i),
                    at(i - 1)
                );
                self.first_disorder.get_or_insert(text);
            } else if step > 1 {
                let (before, after) = (series.received[i - 1], series.received[i]);
                match lives.iter().position(|life| life.killed > before) {
                    Some(life) if lives[life].killed < after => self.gap(name, before, &lives[life]),
                    life => {
                        let life = life.unwrap_or(lives.len() - 1);
                        let first = i < 2 || series.received[i - 2] < lives[life].started;
                        if first && step == 2 {
                            self.unwatched += 1;
                            continue;
                        }
                        absent[life] += step as u64 - 1;
                        self.note(|| {
                            let values = (series.values[i - 1], series.values[i]);
                            format!("{name}: {values:?} received {before} and {after}, without a kill")
                        });
                    }
                }
            }
        }
        for (absent, life) in absent.into_iter().zip(lives) {
            let replaced = life.replaced.get(name).copied().unwrap_or(0).min(absent);
            self.replaced += replaced;
            self.holes += absent - replaced;
        }
    }

    /// Values are missing between `before`, when the newest one was received, and the next life.
    fn gap(&mut self, name: &str, before: i64, life: &Life) {
        self.gaps += 1;
        if before < life.started {
            self.holes += 1;
            self.note(|| format!("{name}: nothing of the life from {} to {}", life.started, life.killed));
            return;
        }
        if life.durable == i64::MIN {
            // Killed before it could promise anything.
            return;
        }
        let margin = before + PERIOD_NS - life.durable;
        let nothing_came = life.heard <= before + STRAY_NS && life.asked >= before + PERIOD_NS + STRAY_NS;
        if margin < -STRAY_NS && nothing_came {
            self.quiet += 1;
            return;
        }
        self.margin = Some(self.margin.map_or(margin, |least| least.min(margin)));
        if margin < -STRAY_NS {
            self.lost += 1;
            self.note(|| format!("{name}: newest received {before}, durable until {}", life.durable));
        }
    }

    fn note(&mut self, text: impl Fn() -> String) {
        self.first.get_or_insert_with(text);
    }
}

pub(crate) fn run(programs: &Programs, scale: Scale) -> Result<Report, Failure> {
    let (groups, kills) = (scale.pick(500, 25), scale.kills(50, 3));
    let how = format!(
        "{} records at 10 Hz, receive_time = true; {kills} times kill -9 {} to {} ms after the start, the IOC stays; \
         the engine stands still (SIGSTOP) while the IOC says what it replaced in its queues. \
         Until each kill one thread asks for durable_until_ns every 2 ms, one for the last 600 ms of 200 channels; \
         what was seen and received up to the last durable_until_ns is compared after the restart. At the end every \
         counter is read: it may jump only over a kill and behind the durable_until_ns of that life, or where the IOC \
         says that it replaced a value by a newer one before it sent it (dbel)",
        groups * GROUP,
        LIFE_MS.0,
        LIFE_MS.1
    );
    let mut report = Report::begin("kill", &how);
    let mut rig = Rig::start(programs, groups, "receive_time = true")?;
    let (mut lives, mut kept) = (Vec::new(), Kept::default());
    let mut slowest = Duration::ZERO;
    for _ in 0..kills {
        let started = now_ns();
        slowest = slowest.max(rig.engine.start()?);
        if let Some((seen, life)) = lives.pop() {
            compare(&rig.engine.client(), &seen, &life, &mut kept)?;
            lives.push((Witnessed::new(), life));
        }
        lives.push(live(&mut rig, started)?);
    }
    let pause = scale.time(60, 3);
    std::thread::sleep(pause);
    let started = now_ns();
    slowest = slowest.max(rig.engine.start()?);
    rig.engine.wait_connected(rig.channels(), Duration::from_secs(60))?;
    std::thread::sleep(Duration::from_secs(2));
    if let Some((seen, life)) = lives.last() {
        compare(&rig.engine.client(), seen, life, &mut kept)?;
    }
    let mut lives: Vec<Life> = lives.into_iter().map(|(_, life)| life).collect();
    let killed = lives.last().map_or(0, |life| life.killed);
    let replaced = rig.halted()?;
    rig.ioc = None;
    std::thread::sleep(Duration::from_secs(1));
    let nothing = i64::MIN;
    lives.push(Life {
        started,
        killed: i64::MAX,
        durable: nothing,
        heard: nothing,
        asked: nothing,
        replaced,
    });
    judge(&mut report, &rig, &lives, &kept)?;
    report.figure("slowest start, recovery included", format!("{:.2} s", slowest.as_secs_f64()));
    down(&mut report, &rig, killed, pause)?;
    Ok(report)
}

/// From a start to the kill.
fn live(rig: &mut Rig, started: i64) -> Result<(Witnessed, Life), Failure> {
    let (stop, durable, seen) =
        (AtomicBool::new(false), AtomicI64::new(i64::MIN), Mutex::new(Witnessed::new()));
    let url = rig.engine.url.clone();
    let asked = AtomicI64::new(i64::MIN);
    let life = Duration::from_millis(LIFE_MS.0 + random(LIFE_MS.1 - LIFE_MS.0));
    let (killed, replaced) = std::thread::scope(|scope| {
        scope.spawn(|| watch(&url, &stop, &durable, &asked, &seen));
        let began = Instant::now();
        std::thread::sleep(life.saturating_sub(began.elapsed()));
        rig.engine.halt();
        // Not before: what it received until it stood still may have reached the file.
        let killed = now_ns();
        // The IOC forgets what it replaced when the engine is gone.
        let replaced = rig.halted();
        rig.engine.kill();
        stop.store(true, Ordering::Relaxed);
        (killed, replaced)
    });
    let replaced = replaced?;
    if let Some(ioc) = &mut rig.ioc {
        ioc.command("iocRun")?;
    }
    let seen = seen.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let heard = seen.values().filter_map(|sample| sample.received).map(|received| received.0).max();
    let life = Life {
        started,
        killed,
        durable: durable.into_inner(),
        heard: heard.unwrap_or(i64::MIN),
        asked: asked.into_inner(),
        replaced,
    };
    Ok((seen, life))
}

fn judge(report: &mut Report, rig: &Rig, lives: &[Life], kept: &Kept) -> Result<(), Failure> {
    let text = format!(
        "{} missing, {} changed or double of {} seen before a kill and durable",
        kept.missing, kept.changed, kept.durable
    );
    report.bar(
        "witnessed samples after each kill",
        text,
        "0, 0",
        kept.missing == 0 && kept.changed == 0 && kept.durable > 0,
    );
    let mut verdict = Verdict::default();
    read_back(&rig.engine.client(), rig.groups, rig.began, |name, series| {
        if counts(name) {
            verdict.look(name, series, lives);
        }
        Ok(())
    })?;
    let first = verdict.first_disorder.iter().chain(&verdict.first).cloned().collect::<Vec<_>>().join("; ");
    let Verdict {
        channels, samples, disordered, holes, replaced, unwatched, lost, gaps, quiet, margin, ..
    } = verdict;
    let text = format!(
        "{disordered} double or out of order, {holes} holes, {lost} durable lost; {replaced} values replaced by the \
         IOC before it sent them, {unwatched} processed by it while it set up a monitor; {channels} counters, \
         {samples} samples, {gaps} gaps at kills, {quiet} of them in lives that ended in silence {first}"
    );
    report.bar(
        "counters over all lives",
        text,
        "0, 0, 0; all counters",
        disordered + holes + lost == 0 && channels == rig.groups * GROUP_COUNTERS,
    );
    if let Some(margin) = margin {
        report.figure(
            "first lost sample due after durable_until_ns, least",
            format!("{:.0} ms (updates stray by some tens of ms)", margin as f64 / 1e6),
        );
    }
    let lag: Vec<i64> =
        lives.iter().filter(|life| life.durable > i64::MIN).map(|life| life.killed - life.durable).collect();
    let text = format!(
        "{:.0} ms over {} kills that had a durable_until_ns",
        lag.iter().max().copied().unwrap_or(0) as f64 / 1e6,
        lag.len()
    );
    report.figure("killed less the last reported durable_until_ns, most", text);
    Ok(())
}

/// Where *engine down* begins for the last, long stop.
fn down(report: &mut Report, rig: &Rig, killed: i64, pause: Duration) -> Result<(), Failure> {
    let name = &rig.names[0];
    let from = killed - 5_000_000_000;
    let answer = rig.engine.client().json(&format!("/api/v1/events?channel={name}&from_ns={from}"))?;
    let events = answer["channels"][0]["events"].as_array().cloned().unwrap_or_default();
    let down = events.iter().rev().find(|event| event["kind"] == "engine_down");
    let Some(down) = down else {
        report.bar("engine_down after the last kill", format!("none in {events:?}"), "one", false);
        return Ok(());
    };
    let early = killed - down["time_ns"].as_i64().unwrap_or(0);
    let text = format!("{:.0} ms before the kill; down for {} s", early as f64 / 1e6, pause.as_secs());
    report.bar("engine_down begins", text, "0 to 1 s before the kill", (0..=1_000_000_000).contains(&early));
    Ok(())
}
