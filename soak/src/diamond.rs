//! Diamond's load at a hundred times its rate, on every one of its channels, in this process.

use crate::process::{mib, peak_memory, processor_time, write_calls};
use crate::report::Report;
use crate::{Failure, Scale};
use engine::clock::SystemClock;
use engine::config::{ChannelSettings, Config, ConfiguredChannel, Origin};
use engine::read::{ChannelFilter, Member, Reader};
use engine::source::{Arrival, Sink, Source};
use engine::status::StatusSource;
use engine::{Engine, EngineParts};
use sample::{ChannelId, ChannelName, Sample, Timestamp, Value};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Channels that Diamond archived with the Channel Archiver.
const CHANNELS: u64 = 148_819;
/// 3 GB a day at 24 bytes a sample, a hundred times as fast: samples a second of all channels.
const RATE: f64 = 3e9 / 24.0 / 86_400.0 * 100.0;
/// How far a channel's rate is from the others': the standard deviation of its natural logarithm.
const SPREAD: f64 = 2.0;
/// Longest time between two samples of a channel: a scan of 10 s at a hundredth of it would be slower.
const PERIOD_MAX_NS: f64 = 600e9;

/// Samples that are delivered at once: a source that is late has a bounded queue.
const BATCH_MAX: u64 = 4096;

/// What was sent, by the place of the channel in the configuration.
#[derive(Default)]
struct Sent {
    counts: Mutex<Vec<u64>>,
    all: AtomicU64,
    /// Greatest time between a sample's instant and its delivery, ns.
    lag: AtomicI64,
}

/// Channels that send whenever their time has come.
struct Replay {
    sent: Arc<Sent>,
    ids: Vec<ChannelId>,
    periods: Vec<i64>,
    due: BinaryHeap<Reverse<(i64, u32)>>,
    fresh: Vec<u32>,
    random: u64,
    rate: f64,
}

impl Replay {
    /// In (0, 1].
    fn uniform(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let (a, b) = (self.uniform(), self.uniform());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    /// The periods of all channels, scaled so that together they have the rate.
    fn spread(&mut self) {
        let rates: Vec<f64> = (0..self.ids.len()).map(|_| (SPREAD * self.normal()).exp()).collect();
        let scale = self.rate / rates.iter().sum::<f64>();
        let period = |rate: &f64| (1e9 / (rate * scale)).clamp(1e7, PERIOD_MAX_NS) as i64;
        self.periods = rates.iter().map(period).collect();
    }

    fn value(&mut self, channel: u32, count: u64) -> Value {
        match channel % 20 {
            0..=2 => Value::Enum((count % 4) as u16),
            3..=5 => Value::Int32(count as i32),
            6..=7 => Value::Float64(self.normal()),
            _ => Value::Float64((self.normal() * 50.0).round() / 1000.0 + f64::from(channel % 100)),
        }
    }
}

impl Source for Replay {
    fn add(&mut self, channel: ChannelId, _name: &ChannelName, _settings: &ChannelSettings) {
        self.fresh.push(self.ids.len() as u32);
        self.ids.push(channel);
        self.sent.counts.lock().unwrap_or_else(PoisonError::into_inner).push(0);
    }

    fn remove(&mut self, _channel: ChannelId) {}

    fn receive(&mut self, timeout: Duration, sink: &mut dyn Sink) -> usize {
        let now = crate::now_ns();
        if !self.fresh.is_empty() {
            self.spread();
            let fresh = std::mem::take(&mut self.fresh);
            for at in &fresh {
                let host = "127.0.0.1:5064".into();
                let mut connected = Arrival::Connected { host, readable: true, metadata_follows: false };
                sink.arrive(self.ids[*at as usize], Timestamp(now), &mut connected);
                let first = now + (self.uniform() * self.periods[*at as usize] as f64) as i64;
                self.due.push(Reverse((first, *at)));
            }
            return fresh.len();
        }
        let Some(Reverse((next, _))) = self.due.peek() else {
            std::thread::sleep(timeout);
            return 0;
        };
        if let Ok(wait) = u64::try_from(next - now)
            && wait > 0
        {
            std::thread::sleep(timeout.min(Duration::from_nanos(wait)));
        }
        let now = crate::now_ns();
        self.sent.lag.fetch_max(now - self.due.peek().map_or(now, |due| due.0.0), Relaxed);
        let sent = self.sent.clone();
        let mut counts = sent.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut delivered = 0;
        let due = |due: &Reverse<(i64, u32)>| due.0.0 <= now;
        while delivered < BATCH_MAX
            && let Some(Reverse((at, channel))) = self.due.peek().copied().filter(due)
        {
            self.due.pop();
            let count = &mut counts[channel as usize];
            let value = self.value(channel, *count);
            *count += 1;
            sink.arrive(
                self.ids[channel as usize],
                Timestamp(now),
                &mut Arrival::Sample(Sample::new(Timestamp(at), value)),
            );
            self.due.push(Reverse((at + self.periods[channel as usize], channel)));
            delivered += 1;
        }
        self.sent.all.fetch_add(delivered, Relaxed);
        delivered as usize
    }

    fn queue_bytes(&self) -> (u64, u64) {
        (0, 1 << 20)
    }

    fn searches(&self) -> u64 {
        0
    }
}

fn name(at: u64) -> String {
    format!("SR{:02}C-DI-{:05}:SIGNAL{:03}", at % 24, at / 24, at % 24)
}

fn configuration(directory: &std::path::Path, channels: u64) -> Result<Config, Failure> {
    let mut config = Config::new(directory.into());
    let settings = Arc::new(ChannelSettings::default());
    for at in 0..channels {
        let name = ChannelName::stored(&name(at)).map_err(|error| error.to_string())?;
        let origin = Origin::place("diamond.txt").at(at as u32 + 1);
        config.channels.push(ConfiguredChannel { name, settings: settings.clone(), origin });
    }
    Ok(config)
}

pub(crate) fn run(scale: Scale) -> Result<Report, Failure> {
    let channels = scale.pick(CHANNELS, CHANNELS / 50);
    let rate = RATE * channels as f64 / CHANNELS as f64;
    let how = format!(
        "{channels} channels of one engine in this process, {rate:.0} samples/s together, rates log-normal (sigma \
         {SPREAD}); the samples are of now, the source sends each when its time has come and never waits for the \
         engine longer than that takes"
    );
    let mut report = Report::begin("diamond", &how);
    let folder = tempfile::tempdir()?;
    let sent = Arc::new(Sent::default());
    let source = Replay {
        sent: sent.clone(),
        ids: Vec::new(),
        periods: Vec::new(),
        due: BinaryHeap::new(),
        fresh: Vec::new(),
        random: 0x9e37_79b9_7f4a_7c15,
        rate,
    };
    let parts = EngineParts {
        config: configuration(&folder.path().join("archive"), channels)?,
        disk: Arc::new(disk::RealDisk),
        clock: Arc::new(SystemClock),
        source: Box::new(source),
        address: "http://127.0.0.1:1".into(),
        flush_every: None,
    };
    let engine = Engine::start(parts).map_err(|error| error.to_string())?;
    while sent.all.load(Relaxed) == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let pid = std::process::id();
    let before = (sent.all.load(Relaxed), write_calls(pid), processor_time(pid));
    let time = scale.time(30 * 60, 5);
    let (began, mut unbalanced, mut dropped) = (Instant::now(), 0, 0);
    while began.elapsed() < time {
        std::thread::sleep(Duration::from_secs(1).min(time));
        let status = engine.status();
        dropped = status.ingest.dropped.iter().sum();
        let ledger = engine.metrics().ledger;
        let known = ledger.stored + ledger.redelivered + ledger.dropped_total();
        unbalanced += u64::from(ledger.received != known);
    }
    let spent = began.elapsed().as_secs_f64();
    let samples = sent.all.load(Relaxed) - before.0;
    let calls = write_calls(pid) - before.1;
    let cost = processor_time(pid).saturating_sub(before.2).as_secs_f64();
    report.figure("samples", format!("{samples} ({:.0}/s)", samples as f64 / spent));
    let text = format!("{:.2} ({calls} calls)", calls as f64 * 1000.0 / samples as f64);
    let met = calls as f64 <= samples as f64 / 1000.0;
    report.bar_if(!scale.short, "write calls per 1,000 samples", text, "<= 1", met);
    report.bar("dropped", dropped, "0", dropped == 0);
    report.bar("ledger wrong", unbalanced, "0", unbalanced == 0);
    report.figure("CPU of engine and source", format!("{:.2} µs a sample", cost * 1e6 / samples as f64));
    report.figure("peak resident memory", mib(peak_memory(pid)));
    report.figure("delivered late by at most", format!("{:.0} ms", sent.lag.load(Relaxed) as f64 / 1e6));
    engine.stop();
    let archive = Arc::new(engine.archive());
    let reader = Reader::new(vec![Member { name: String::new(), priority: 1, archive }]);
    let all = ChannelFilter { matches: &|_| true, state: None, after: None, limit: 0 };
    let stored = reader.channels(&all).map_err(|error| error.to_string())?;
    let by_name: std::collections::HashMap<String, u64> =
        stored.into_iter().map(|row| (row.name.to_string(), row.samples)).collect();
    let counts = sent.counts.lock().unwrap_or_else(PoisonError::into_inner);
    let wrong =
        (0..channels).zip(&*counts).filter(|(at, count)| by_name.get(&name(*at)) != Some(*count)).count();
    report.bar("channels that hold another number than was sent", wrong, "0", wrong == 0);
    Ok(report)
}
