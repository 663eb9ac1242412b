//! From receipt to an answer over HTTP that holds the sample.

use crate::http::Client;
use crate::load::Rig;
use crate::records::GROUP;
use crate::report::Report;
use crate::{Failure, Programs, Scale, now_ns, random};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Channels of one question: the more, the longer asker and server keep a processor from the engine.
const WATCHED: usize = 2;
/// Threads that ask.
const ASKERS: u64 = 1;
/// Pause between two questions.
const PAUSE: Duration = Duration::from_micros(300);
/// Rest behind an update: the next one comes 100 ms after it.
const REST: Duration = Duration::from_millis(60);

/// What the threads that asked saw; sorted.
#[derive(Default)]
pub(crate) struct Seen {
    /// ns from receipt to the moment when the answer had been read.
    pub(crate) delays: Vec<i64>,
    /// ns between two answers that looked for an update.
    gaps: Vec<i64>,
    /// Updates that came while nobody looked.
    unwatched: u64,
    /// ns by which the pauses between questions were longer than asked for: what this machine alone adds.
    overslept: Vec<i64>,
}

/// Asks the engine at `url` for channels of one of `groups` groups at a time until `until`, or until `ended`.
pub(crate) fn watch(
    url: &str,
    groups: u64,
    until: Instant,
    ended: &(dyn Fn() -> bool + Sync),
) -> Result<Seen, Failure> {
    let all = std::thread::scope(|scope| {
        let askers: Vec<_> =
            (0..ASKERS).map(|_| scope.spawn(|| ask(&Client::new(url), groups, until, ended))).collect();
        let answers =
            askers.into_iter().map(|asker| asker.join().map_err(|_| "a thread that asks panicked")?);
        answers.collect::<Result<Vec<Seen>, Failure>>()
    })?;
    let mut together = Seen::default();
    for seen in all {
        together.delays.extend(seen.delays);
        together.gaps.extend(seen.gaps);
        together.overslept.extend(seen.overslept);
        together.unwatched += seen.unwatched;
    }
    for numbers in [&mut together.delays, &mut together.gaps, &mut together.overslept] {
        numbers.sort_unstable();
    }
    Ok(together)
}

/// Asks for [`WATCHED`] channels of random groups until `until`.
fn ask(
    client: &Client,
    groups: u64,
    until: Instant,
    ended: &(dyn Fn() -> bool + Sync),
) -> Result<Seen, Failure> {
    let mut seen = Seen::default();
    // What is measured is the engine: the one who asks is not to wait behind the IOC.
    engine::schedule::prompt_turns();
    while Instant::now() < until && !ended() {
        let group = random(groups);
        let channels: Vec<String> = (0..WATCHED).map(|i| format!("channel=T:{group:04}:ai{i}")).collect();
        let query = format!("from=-400ms&edge=false&{}", channels.join("&"));
        let mut newest: BTreeMap<String, i64> = BTreeMap::new();
        // The updates seen first came before we looked; each of the five behind them is watched for.
        look(client, &query, &mut newest)?;
        for _ in 0..5 {
            std::thread::sleep(REST);
            let slept = Instant::now();
            let mut wanted = WATCHED;
            let mut before = None;
            while wanted > 0 && slept.elapsed() < Duration::from_secs(1) && Instant::now() < until {
                let (asked, fresh) = (now_ns(), look(client, &query, &mut newest)?);
                seen.gaps.extend(before.map(|before| now_ns() - before));
                wanted -= fresh.len().min(wanted);
                match before {
                    Some(_) => seen.delays.extend(fresh),
                    None => seen.unwatched += fresh.len() as u64,
                }
                before = Some(asked);
                let pausing = Instant::now();
                std::thread::sleep(PAUSE);
                let overslept = pausing.elapsed().saturating_sub(PAUSE).as_nanos();
                seen.overslept.push(i64::try_from(overslept).unwrap_or(i64::MAX));
            }
        }
    }
    Ok(seen)
}

/// Asks once; the delays of samples that no earlier answer held.
fn look(client: &Client, query: &str, newest: &mut BTreeMap<String, i64>) -> Result<Vec<i64>, Failure> {
    let batches = client.samples(query)?;
    let now = now_ns();
    let mut fresh = Vec::new();
    for batch in batches {
        let Some(&received) = batch.block.received.iter().max() else { continue };
        let known = newest.insert(batch.name, received);
        if known.is_some_and(|known| received > known) {
            fresh.push(now - received);
        }
    }
    Ok(fresh)
}

/// The value below which `share` of the sorted numbers lie, in ms.
pub(crate) fn quantile_ms(sorted: &[i64], share: f64) -> f64 {
    let at = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or(0) as f64 / 1e6
}

pub(crate) fn run(programs: &Programs, scale: Scale) -> Result<Report, Failure> {
    let groups = scale.pick(500, 25);
    let how = format!(
        "{} records at 10 Hz, receive_time = true. {ASKERS} thread(s) asking promptly (short turns) fetch the last 400 ms of {WATCHED} channels of a random \
         group over a kept connection, again 0.3 ms after each answer. Counted: this machine's clock when an answer \
         had been read and decoded, less the receive time of a sample that is in it and was not in the answer \
         before; nothing subtracted, so each figure holds one question, its answer and up to one pause",
        groups * GROUP
    );
    let mut report = Report::begin("latency", &how);
    let mut rig = Rig::start(programs, groups, "receive_time = true")?;
    rig.engine.start()?;
    rig.engine.wait_connected(rig.channels(), Duration::from_secs(60))?;
    std::thread::sleep(Duration::from_secs(2));
    let until = Instant::now() + scale.time(120, 5);
    let url = &rig.engine.url;
    let Seen { delays, gaps, unwatched, overslept } = watch(url, groups, until, &|| false)?;
    let ms = |share| quantile_ms(&delays, share);
    report.figure("updates watched", format!("{} ({unwatched} came unwatched, not counted)", delays.len()));
    let text = |sorted: &[i64]| {
        let [half, most, all] = [0.5, 0.99, 1.0].map(|share| quantile_ms(sorted, share));
        format!("p50 {half:.2} ms, p99 {most:.2} ms, max {all:.2} ms")
    };
    report.figure("between two answers", text(&gaps));
    report.figure("a thread that only sleeps wakes late by", text(&overslept));
    report.figure("received to queryable, p50", format!("{:.2} ms", ms(0.5)));
    report.bar_if(
        !scale.short,
        "received to queryable, p99",
        format!("{:.2} ms", ms(0.99)),
        "< 10 ms",
        ms(0.99) < 10.0,
    );
    report.figure("received to queryable, max", format!("{:.2} ms", ms(1.0)));
    let dropped = rig.engine.client().totals()?[3];
    report.bar("dropped", dropped, "0", dropped == 0);
    Ok(report)
}
