//! What one hour out of years reads: index pages, data, bytes and CPU.
//!
//! `cargo bench -p benches --bench hour [-- WEEKS]`: an archive of 1,000 channels over WEEKS (52) weeks, three of them at
//! 10, 1 and 0.1 Hz, the others with a sample an hour; in every other week all of them lose their connection and come back
//! with other metadata. Every week is sealed and indexed. It is opened anew for each question, which is the first about
//! its week: another week's was asked for before. Random hours of each of the three are asked for with their edge, and
//! hours that begin up to ten seconds after a week does, whose edge is the week's carry-in.
//! Index reads are pages of index files, footers apart; data reads are stretches of tables: reads that overlap or lie less
//! than a block of the disk apart are one, whichever came first, as two threads read. CPU is that of the whole answer, in
//! process, in `columns`; the mean over ASKED.

use benches::archive::{fresh, reopened, reopened_on};
use benches::cpu_s;
use benches::index_load::Random;
use disk::{CountingDisk, Disk, RealDisk, stretches};
use engine::clock::ManualClock;
use engine::read::{Archive, Member, Reader};
use engine::{LiveArchive, SealStep, StorageSettings};
use retrieval_server::{HttpSettings, Plain, ServerState, answer, from_query};
use sample::{ChannelName, EventKind, Metadata, Sample, Timestamp, Value, Week};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const SECOND_NS: i64 = 1_000_000_000;
const WEEK_S: i64 = 7 * 86_400;
const HOUR_S: i64 = 3_600;
/// Monday 2016-01-04.
const START: Timestamp = Timestamp(1_451_865_600 * SECOND_NS);
/// Name and time between two samples, ns.
const FAST: [(&str, i64); 3] = [("HZ10", SECOND_NS / 10), ("HZ1", SECOND_NS), ("HZ01", 10 * SECOND_NS)];
const CHANNELS: usize = 1_000;
const ASKED: usize = 50;

/// As in `archengine`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let weeks = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(52);
    let directory = tempfile::tempdir().expect("a temporary directory");
    fill(directory.path(), weeks);
    seal(directory.path(), weeks);
    println!(
        "{:<32} {:>12} {:>6} {:>6} {:>6} {:>10} {:>10} {:>12} {:>8}",
        "", "index reads", "most", "data", "most", "bytes", "most", "hour's own", "CPU ms"
    );
    for eventful in [false, true] {
        for (name, step) in FAST {
            measure(directory.path(), weeks, (name, step), false, eventful);
            measure(directory.path(), weeks, (name, step), true, eventful);
        }
    }
}

fn end(weeks: i64) -> Timestamp {
    Timestamp(START.0 + (weeks + 4) * WEEK_S * SECOND_NS)
}

/// Whether all channels lose their connection in a week.
fn is_eventful(week: i64) -> bool {
    week % 2 == 1
}

/// Random hours, or hours just behind a week's start, of weeks with events or of others.
fn measure(directory: &Path, weeks: i64, (name, step): (&str, i64), at_week: bool, eventful: bool) {
    let mut random = Random(7);
    let (mut index, mut data, mut bytes, mut cpu) = (Vec::new(), Vec::new(), Vec::new(), 0.0);
    let mut own = 0.0;
    for _ in 0..ASKED {
        let disk = CountingDisk::new(Arc::new(RealDisk));
        let opened = Arc::new(disk.clone());
        let recovered = reopened_on(opened, directory, end(weeks), StorageSettings::default());
        let archive: Arc<dyn Archive> = Arc::new(LiveArchive::new(recovered.shared.clone()));
        let reader = Reader::new(vec![Member { name: String::new(), priority: 1, archive }]);
        let state = ServerState::new(reader, None, HttpSettings::default());
        let week = 2 * random.below(weeks as u64 / 2 - 3) as i64 + if eventful { 1 } else { 2 };
        assert_eq!(is_eventful(week), eventful);
        let inside = if at_week { random.below(10) } else { random.below((WEEK_S - HOUR_S) as u64) } as i64;
        // What belongs to no week is open already.
        ask(&state, name, week + 4, inside);
        disk.take();
        let before = cpu_s();
        ask(&state, name, week, inside);
        cpu += cpu_s() - before;
        let (mut of_index, mut read_bytes) = (0, 0);
        let mut of_tables = Vec::new();
        for read in disk.take() {
            if read.path.extension().is_some_and(|ending| ending == "index") {
                let len = RealDisk.open(&read.path).and_then(|file| file.len()).expect("its length");
                if read.offset > 0 && read.offset + read.bytes < len {
                    of_index += 1;
                    read_bytes += read.bytes;
                }
                continue;
            }
            read_bytes += read.bytes;
            of_tables.push(read);
        }
        index.push(of_index);
        data.push(stretches(of_tables).len() as u64);
        bytes.push(read_bytes);
        // What an hour's samples take where they stand.
        let tables = &recovered.shared.view().manifest.tables;
        let sealed = tables.iter().filter(|table| !table.decimated);
        let (stored, samples) = sealed.fold((0, 0), |sum, table| (sum.0 + table.len, sum.1 + table.samples));
        own = stored as f64 / samples as f64 * (HOUR_S * SECOND_NS / step) as f64;
    }
    let mean = |counts: &[u64]| counts.iter().sum::<u64>() as f64 / counts.len() as f64;
    let most = |counts: &[u64]| counts.iter().max().copied().unwrap_or_default();
    let what = format!(
        "{name}{}{}",
        if at_week { ", week's start" } else { "" },
        if eventful { ", with events" } else { "" }
    );
    println!(
        "{what:<32} {:>12.2} {:>6} {:>6.2} {:>6} {:>10.0} {:>10} {own:>12.0} {:>8.3}",
        mean(&index),
        most(&index),
        mean(&data),
        most(&data),
        mean(&bytes),
        most(&bytes),
        1e3 * cpu / ASKED as f64
    );
}

/// One hour of a channel from a second of a week on.
fn ask(state: &ServerState, name: &str, week: i64, second: i64) {
    let from = START.0 + (week * WEEK_S + second) * SECOND_NS + 1;
    let to = from + HOUR_S * SECOND_NS;
    let query = format!("channel={name}&from_ns={from}&to_ns={to}&edge=true&format=columns");
    let pairs = from_query(&query).expect("a query");
    answer(state, "/api/v1/samples", &pairs, &mut Plain(&mut Vec::new())).expect("an answer");
}

fn fill(directory: &Path, weeks: i64) {
    let clock = ManualClock::new(START);
    let mut opened = fresh(directory, &clock, StorageSettings::default());
    let writer = &mut opened.writer;
    writer.at(START);
    let names = FAST
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .chain((FAST.len()..CHANNELS).map(|i| format!("SLOW:{i}")));
    let ids: Vec<_> = names
        .map(|name| {
            let id = writer.register(&ChannelName::parse(&name).expect("a name"));
            writer.event(id, START, EventKind::Started);
            writer.event(id, START, EventKind::Connected { host: "generated:0".into() });
            id
        })
        .collect();
    let mut random = Random(3);
    for minute in 0..weeks * WEEK_S / 60 {
        let from = START.0 + minute * 60 * SECOND_NS;
        let until = Timestamp(from + 60 * SECOND_NS);
        clock.set(until);
        writer.at(until);
        let first = minute == 0;
        let inside = minute % (WEEK_S / 60);
        if inside == 3 * 1440 && is_eventful(minute / (WEEK_S / 60)) {
            for (i, id) in ids.iter().enumerate() {
                let now = Timestamp(from + i as i64 * 1_000_000);
                let units = format!("mm of week {}", minute / (WEEK_S / 60)).into_bytes();
                let last_heard = Timestamp(from - SECOND_NS);
                writer.event(*id, now, EventKind::Disconnected { last_heard });
                writer.metadata(*id, now, Metadata { units: Some(units.into()), ..Metadata::default() });
                writer.event(*id, now, EventKind::Connected { host: format!("ioc{}:5064", i % 40).into() });
            }
        }
        for (id, (_, step)) in ids.iter().zip(FAST) {
            for time in (from..until.0).step_by(step as usize) {
                let wave = (time as f64 / 4e12 * std::f64::consts::TAU).sin();
                let noise = random.below(1 << 12) as f64 / 1e4;
                let value = ((wave * 5.0 + noise) * 1e3).round() / 1e3;
                writer.append(*id, Sample::new(Timestamp(time), Value::Float64(value)), first);
            }
        }
        for (i, id) in ids.iter().enumerate().skip(FAST.len()) {
            if minute % 60 == i as i64 % 60 {
                let time = Timestamp(from + i as i64 % 1000 * 50_000_000);
                writer.append(*id, Sample::new(time, Value::Float64(random.below(1000) as f64)), minute < 60);
            }
        }
        writer.heartbeat();
        writer.commit();
        opened.keeper.write_log().expect("the log takes it");
        let shared = opened.keeper.shared();
        if shared.memory.load(Ordering::Relaxed) >= shared.settings.memtable_bytes {
            let frozen = writer.freeze().expect("samples to flush");
            opened.keeper.flush(frozen).expect("a flush");
            // The log holds on to files that it has to sync.
            opened.keeper.sync_log().expect("a sync");
        }
    }
    let frozen = writer.freeze().expect("samples to flush");
    opened.keeper.flush(frozen).expect("a flush");
    opened.keeper.sync_log().expect("a sync");
}

fn seal(directory: &Path, weeks: i64) {
    let recovered = reopened(directory, end(weeks), StorageSettings::default());
    let mut week = Week::containing(START);
    for _ in 0..weeks {
        while !matches!(recovered.keeper.seal_week(week, &|| false).expect("a seal"), SealStep::Sealed(_)) {}
        week = week.next();
    }
    while recovered.keeper.index(&|| false).expect("an index") {}
}
