//! What plots of the current week cost while samples come in.
//!
//! `cargo bench -p benches --bench ingesting [-- SECONDS]`: 300 channels of the preset DI have six days of the week, flushed,
//! merged and decimated; their seventh day comes in while bins of the whole week are asked for, and an hour of one
//! channel: first nothing, then at their own rate, then beside 100,000 samples/s of 1,000 other channels, committed every
//! 50 ms, written to the log, flushed and merged in threads of their own as in an engine. Each state lasts SECONDS (15). CPU is
//! that of the thread that answers, in process, in `columns`; the answer goes nowhere.

use archtool::generate::{DataSet, Preset, fill::fill};
use benches::archive::{reopened, reopened_by};
use engine::clock::{Clock, ManualClock};
use engine::read::{Archive, Member, Reader};
use engine::recovery::Recovered;
use engine::{Frozen, Keeper, LiveArchive, StorageSettings, Writer};
use retrieval_server::{HttpSettings, Plain, ServerState, answer, from_query};
use rustix::time::{ClockId, clock_gettime};
use sample::{ChannelId, ChannelName, EventKind, Sample, Timestamp, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

const SECOND_NS: i64 = 1_000_000_000;
const DAY_NS: i64 = 86_400 * SECOND_NS;
const DAYS: u32 = 6;
const OTHERS: usize = 1_000;
const MEMTABLE_BYTES: usize = 32 << 20;
/// Between two commits.
const TICK_NS: i64 = SECOND_NS / 20;

/// As in `archengine`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let seconds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(15);
    let set = DataSet { days: DAYS, ..DataSet::of(Preset::Di) };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let settings =
        || StorageSettings { memtable_bytes: MEMTABLE_BYTES, grace_ns: 0, ..StorageSettings::default() };
    let filled = fill(&set, directory.path(), settings(), &mut |_| {}).expect("a fresh archive");
    println!("{} samples of {} channels", filled.stored, filled.channels);
    let start = set.start().0;
    let end = start + i64::from(DAYS) * DAY_NS;
    let recovered = reopened(directory.path(), Timestamp(end), settings());
    while recovered.keeper.merge(&|| false).expect("a merge") {
        recovered.keeper.remove_dropped().expect("removed");
    }
    while recovered.keeper.decimate(&|| false).expect("rows") {}
    drop(recovered);
    let clock = ManualClock::new(Timestamp(end));
    let Recovered { shared, mut writer, keeper, .. } = reopened_by(&clock, directory.path(), settings());
    let archive: Arc<dyn Archive> = Arc::new(LiveArchive::new(shared.clone()));
    let reader = Reader::new(vec![Member { name: String::new(), priority: 1, archive }]);
    let state = ServerState::new(reader, None, HttpSettings::default());
    let own: Vec<ChannelId> = set
        .channels()
        .iter()
        .filter_map(|of| shared.directory().names.get(&of.name).map(|named| named.id))
        .collect();
    assert_eq!(own.len(), filled.channels as usize);
    writer.at(Timestamp(end));
    let others: Vec<ChannelId> = (0..OTHERS).map(|i| opened(&mut writer, i, end)).collect();
    writer.commit();
    let first = set.channels()[0].name.clone();
    let week = format!("match={}*&from_ns={start}&to_ns={}", prefix(&set), start + 7 * DAY_NS);
    for (what, rate) in [("nothing comes in", None), ("300/s", Some(0)), ("100,300/s", Some(100_000))] {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let coming = rate.map(|rate| {
                let (writer, keeper, clock, stop) = (&mut writer, &keeper, &clock, &stop);
                let (own, others) = (own.as_slice(), others.as_slice());
                let (frozen, flushed) = sync_channel(1);
                scope.spawn(move || upkeep(keeper, &flushed, stop));
                scope.spawn(move || ingest(writer, keeper, clock, (own, others), rate, &frozen, stop))
            });
            println!("{what}");
            let half = Duration::from_secs(seconds) / 2;
            tell(
                &state,
                "300 channels, the week, 1000 bins",
                &format!("{week}&bins=1000"),
                "/api/v1/bins",
                half,
            );
            let now = clock.now().0;
            let hour = format!("channel={first}&from_ns={}&to_ns={now}&edge=true", now - 3600 * SECOND_NS);
            tell(&state, "one channel, the last hour", &hour, "/api/v1/samples", half);
            stop.store(true, Ordering::Relaxed);
            let samples = coming.map_or(0, |coming| coming.join().expect("samples came in"));
            println!("  {samples} samples came in");
        });
    }
}

/// What the names of all channels begin with.
fn prefix(set: &DataSet) -> String {
    let names: Vec<String> = set.channels().into_iter().map(|of| of.name).collect();
    let common = |of: &str| names[0].bytes().zip(of.bytes()).take_while(|(a, b)| a == b).count();
    let len = names.iter().map(|name| common(name)).min().unwrap_or(0);
    names[0][..len].to_owned()
}

fn opened(writer: &mut Writer, number: usize, now: i64) -> ChannelId {
    let id = writer.register(&ChannelName::parse(&format!("OTHER:{number}")).expect("a name"));
    writer.event(id, Timestamp(now), EventKind::Started);
    writer.event(id, Timestamp(now), EventKind::Connected { host: "generated:0".into() });
    id
}

/// Commits what is due until told to stop; says how many samples that were.
fn ingest(
    writer: &mut Writer,
    keeper: &Keeper,
    clock: &ManualClock,
    (own, others): (&[ChannelId], &[ChannelId]),
    rate: i64,
    frozen: &SyncSender<Frozen>,
    stop: &AtomicBool,
) -> u64 {
    let (begun, start) = (Instant::now(), clock.now().0);
    let (mut samples, mut tick) = (0u64, 0i64);
    while !stop.load(Ordering::Relaxed) {
        tick += 1;
        let now = start + tick * TICK_NS;
        clock.set(Timestamp(now));
        writer.at(Timestamp(now));
        let mut put = |id: ChannelId, time: i64| {
            let value = Value::Float64((time / 1_000_003 % 65_536) as f64 / 16.0);
            writer.append(id, Sample::new(Timestamp(time), value), false);
            samples += 1;
        };
        // A twentieth of them, each once a second.
        let of_tick = (tick % 20) as usize;
        own.iter().skip(of_tick).step_by(20).for_each(|id| put(*id, now));
        let each = rate * TICK_NS / SECOND_NS / others.len() as i64;
        for i in 0..each {
            others.iter().for_each(|id| put(*id, now - TICK_NS + (i + 1) * TICK_NS / each));
        }
        writer.commit();
        keeper.write_log().expect("the log is written");
        if writer.shared().memory.load(Ordering::Relaxed) >= MEMTABLE_BYTES
            && let Some(of_now) = writer.freeze()
        {
            frozen.send(of_now).expect("somebody flushes");
        }
        let due = begun + Duration::from_nanos((tick * TICK_NS) as u64);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    samples
}

/// Flushes, merges and makes decimated rows until nothing more comes.
fn upkeep(keeper: &Keeper, frozen: &Receiver<Frozen>, stop: &AtomicBool) {
    let stopping = || stop.load(Ordering::Relaxed);
    loop {
        match frozen.try_recv() {
            Ok(of_now) => keeper.flush(of_now).expect("a flush"),
            Err(TryRecvError::Disconnected) => return,
            Err(TryRecvError::Empty) => {}
        }
        let busy = keeper.merge(&stopping).expect("a merge") || keeper.decimate(&stopping).expect("rows");
        keeper.remove_dropped().expect("removed");
        if !busy {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// CPU time of this thread so far, s.
fn thread_cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Asks the same for a while; least, middle and greatest of what it took.
fn tell(state: &ServerState, what: &str, query: &str, path: &str, time: Duration) {
    let pairs = from_query(&format!("{query}&format=columns")).expect("a query");
    let begun = Instant::now();
    let mut took: Vec<(f64, f64)> = Vec::new();
    let mut bytes = 0;
    while begun.elapsed() < time {
        let (cpu, wall) = (thread_cpu_s(), Instant::now());
        let mut sent = Vec::new();
        answer(state, path, &pairs, &mut Plain(&mut sent)).expect("an answer");
        took.push((thread_cpu_s() - cpu, wall.elapsed().as_secs_f64()));
        bytes = sent.len();
    }
    let mut of = |key: fn(&(f64, f64)) -> f64| {
        took.sort_by(|a, b| key(a).total_cmp(&key(b)));
        [0, took.len() / 2, took.len() - 1].map(|at| format!("{:.2}", key(&took[at]) * 1e3)).join(" / ")
    };
    let (cpu, wall) = (of(|took| took.0), of(|took| took.1));
    println!("  {what}: {cpu} ms of CPU, {wall} ms wall (least / middle / greatest), {bytes} bytes");
}
