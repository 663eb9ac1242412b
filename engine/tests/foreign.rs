//! A reader of a directory beside the engine that writes it: whatever happens between the engine's tail and
//! the files, an answer is what the engine's own reader could have given.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use disk::Disk as _;
use disk::sim::SimDisk;
use engine::clock::{Clock, ManualClock};
use engine::identity::{ArchiveId, Holder};
use engine::read::{
    Archive, ArchiveInfo, ChannelDetail, ChannelFilter, ChannelSummary, Member, Merge, ProblemCode,
    ReadError, Reader, Scan, Snapshot, Why,
};
use engine::recovery::{Opening, Recovered, open};
use engine::{Connector, ForeignArchive, LiveArchive, StorageSettings, Tail, TailSource};
use proptest::prelude::*;
use sample::{ChannelId, ChannelName, EventKind, Sample, TimeRange, Timestamp, Value};
use std::sync::{Arc, Mutex};

const MONDAY: i64 = 1_794_787_200_000_000_000; // 2026-11-16T00:00:00Z
const HOUR: i64 = 3_600_000_000_000;

fn opening(disk: &SimDisk, clock: &ManualClock) -> Opening {
    Opening {
        disk: Arc::new(disk.clone()),
        clock: Arc::new(clock.clone()),
        directory: "/archive".into(),
        create: true,
        pinned: None,
        fresh_id: Some(ArchiveId(7)),
        settings: StorageSettings {
            memtable_bytes: 1 << 20,
            log_buffer_bytes: 1 << 20,
            segment_bytes: 16 << 10,
            reserve_bytes: 4096,
            ..StorageSettings::default()
        },
    }
}

fn name() -> ChannelName {
    ChannelName::stored("A").unwrap()
}

/// What runs between the engine's answer and the reader's look at the files.
type Between = Box<dyn FnMut() + Send>;

/// The engine of a test, which goes on while its answers travel.
#[derive(Clone, Default)]
struct Travelling {
    live: Arc<Mutex<Option<LiveArchive>>>,
    between: Arc<Mutex<Option<Between>>>,
}

impl Travelling {
    fn live(&self) -> Result<LiveArchive, ReadError> {
        let silent = || ReadError::Unavailable("nobody answers".into());
        self.live.lock().unwrap().clone().ok_or_else(silent)
    }
}

impl Archive for Travelling {
    fn info(&self) -> ArchiveInfo {
        let nothing = ArchiveInfo {
            id: String::new(),
            path: "simulated".into(),
            created: Timestamp(0),
            format: String::new(),
        };
        self.live().map_or(nothing, |live| ArchiveInfo { path: "simulated".into(), ..live.info() })
    }

    fn resolve(&self, name: &str) -> Result<Option<ChannelName>, ReadError> {
        self.live()?.resolve(name)
    }

    fn near(&self, _name: &str, _most: usize) -> Vec<String> {
        Vec::new()
    }

    fn channels(&self, filter: &ChannelFilter<'_>) -> Result<Vec<ChannelSummary>, ReadError> {
        self.live()?.channels(filter)
    }

    fn channel(&self, name: &ChannelName, time: Timestamp) -> Result<Option<ChannelDetail>, ReadError> {
        self.live()?.channel(name, time)
    }

    fn why(&self, name: &str) -> Result<Why, ReadError> {
        self.live()?.why(name)
    }

    fn snapshot(&self, name: &ChannelName, range: TimeRange) -> Result<Option<Snapshot>, ReadError> {
        self.live()?.snapshot(name, range)
    }

    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
}

impl TailSource for Travelling {
    fn tail(&self, name: &ChannelName, range: TimeRange) -> Result<Option<Tail>, ReadError> {
        let tail = self.live()?.tail(name, range);
        if let Some(mut between) = self.between.lock().unwrap().take() {
            between();
        }
        tail
    }
}

fn foreign(disk: &SimDisk, clock: &ManualClock, travelling: &Travelling) -> Arc<ForeignArchive> {
    let travelling = travelling.clone();
    let connect: Connector = Box::new(move |_| Arc::new(travelling.clone()) as Arc<dyn TailSource>);
    Arc::new(ForeignArchive::new(
        Arc::new(disk.clone()),
        Arc::new(clock.clone()),
        "/archive".into(),
        None,
        connect,
    ))
}

/// Samples, then what the answer lacks.
fn read(archive: Arc<dyn Archive>) -> (Vec<Sample>, Vec<ProblemCode>) {
    let reader = Reader::new(vec![Member { name: "a".into(), priority: 1, archive }]);
    let Some(view) = reader.view(&name(), TimeRange::ALL).unwrap() else { return Default::default() };
    let blocks: Vec<_> = view.samples(&Scan::ascending(TimeRange::ALL)).collect::<Result<_, _>>().unwrap();
    let samples = blocks.iter().flat_map(|block| (0..block.len()).map(|i| block.get(i))).collect();
    (samples, view.problems().iter().map(|problem| problem.code).collect())
}

fn is_subsequence(part: &[Sample], whole: &[Sample]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|sample| whole.any(|other| other == sample))
}

/// What happens to the engine.
#[derive(Clone, Copy, Debug)]
enum Step {
    Append(u8),
    Late(u8),
    TypeChange,
    Flush,
    Disconnect,
    NextWeek,
}

struct Machine {
    recovered: Recovered,
    clock: ManualClock,
    ints: bool,
}

impl Machine {
    fn carry_out(&mut self, step: Step) {
        self.clock.advance(1_000_000);
        let now = self.clock.now();
        let writer = &mut self.recovered.writer;
        let id = writer.register(&name());
        writer.at(now);
        match step {
            Step::Append(count) => {
                for k in 0..i64::from(count) {
                    // Equal stamps now and then.
                    let time = Timestamp(now.0 + k / 2);
                    let value = if self.ints { Value::Int32(k as i32) } else { Value::Float64(k as f64) };
                    writer.append(id, Sample::new(time, value), false);
                }
            }
            Step::Late(back) => {
                let time = Timestamp(now.0 - i64::from(back) * 1_000_000);
                writer.append(id, Sample::new(time, Value::Float64(-1.0)), false);
            }
            Step::TypeChange => self.ints = !self.ints,
            Step::Flush => {
                writer.commit();
                self.recovered.keeper.write_log().unwrap();
                if let Some(frozen) = self.recovered.writer.freeze() {
                    self.recovered.keeper.flush(frozen).unwrap();
                }
                return;
            }
            Step::Disconnect => {
                writer.event(id, now, EventKind::Disconnected { last_heard: now });
                writer.event(ChannelId::ARCHIVE, now, EventKind::EngineDown { until: now });
            }
            Step::NextWeek => self.clock.advance(170 * HOUR),
        }
        writer.commit();
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..40u8).prop_map(Step::Append),
        2 => (0..20u8).prop_map(Step::Late),
        1 => Just(Step::TypeChange),
        4 => Just(Step::Flush),
        1 => Just(Step::Disconnect),
        1 => Just(Step::NextWeek),
    ]
}

fn started() -> (SimDisk, Machine, Travelling, Arc<ForeignArchive>) {
    let disk = SimDisk::new(1);
    let clock = ManualClock::new(Timestamp(MONDAY + HOUR));
    let recovered = open(opening(&disk, &clock)).unwrap();
    recovered.keeper.lock().write(&Holder::here("http://simulated").encode()).unwrap();
    let travelling = Travelling::default();
    *travelling.live.lock().unwrap() = Some(LiveArchive::new(recovered.shared.clone()));
    let archive = foreign(&disk, &clock, &travelling);
    (disk.clone(), Machine { recovered, clock, ints: false }, travelling, archive)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever the engine does while its tail travels: everything that was there before is in the answer, once,
    /// and nothing that is not there afterwards.
    #[test]
    fn flushes_between_tail_and_files_change_nothing(
        rounds in prop::collection::vec(
            (prop::collection::vec(step(), 0..8), prop::collection::vec(step(), 0..5)), 1..8,
        ),
    ) {
        let (_disk, machine, travelling, archive) = started();
        let live: Arc<dyn Archive> = Arc::new(LiveArchive::new(machine.recovered.shared.clone()));
        let machine = Arc::new(Mutex::new(machine));
        for (before, during) in rounds {
            for step in before {
                machine.lock().unwrap().carry_out(step);
            }
            let (known, _) = read(live.clone());
            let engine = machine.clone();
            *travelling.between.lock().unwrap() = Some(Box::new(move || {
                for step in &during {
                    engine.lock().unwrap().carry_out(*step);
                }
            }));
            let (found, problems) = read(archive.clone());
            let (after, _) = read(live.clone());
            prop_assert!(problems.is_empty());
            prop_assert!(is_subsequence(&known, &found), "{} known, {} found", known.len(), found.len());
            prop_assert!(is_subsequence(&found, &after), "{} found, {} after", found.len(), after.len());
            let quiet = read(archive.clone()).0;
            prop_assert_eq!(quiet, after);
        }
    }
}

fn coverage_and_events(archive: Arc<dyn Archive>) -> (Vec<u64>, usize, usize) {
    let reader = Reader::new(vec![Member { name: "a".into(), priority: 1, archive }]);
    let view = reader.view(&name(), TimeRange::ALL).unwrap().unwrap();
    let sequences = view.events(TimeRange::ALL).iter().map(|event| event.sequence).collect();
    let coverage = view.coverage(TimeRange::new(Timestamp(MONDAY), Timestamp(MONDAY + 10 * HOUR)));
    (sequences, coverage.intervals.len(), view.metadata().len())
}

#[test]
fn events_and_metadata_that_both_sides_hold_are_told_once() {
    let (_disk, machine, travelling, archive) = started();
    let live: Arc<dyn Archive> = Arc::new(LiveArchive::new(machine.recovered.shared.clone()));
    let machine = Arc::new(Mutex::new(machine));
    machine.lock().unwrap().carry_out(Step::Append(5));
    machine.lock().unwrap().carry_out(Step::Disconnect);
    {
        let machine = &mut *machine.lock().unwrap();
        let id = machine.recovered.writer.register(&name());
        let metadata = sample::Metadata { precision: Some(3), ..sample::Metadata::default() };
        machine.recovered.writer.metadata(id, Timestamp(MONDAY), metadata);
        machine.recovered.writer.commit();
    }
    let engine = machine.clone();
    *travelling.between.lock().unwrap() =
        Some(Box::new(move || engine.lock().unwrap().carry_out(Step::Flush)));
    assert_eq!(coverage_and_events(archive), coverage_and_events(live));
}

#[test]
fn without_an_answer_files_and_log_tell_and_say_that_they_may_lag() {
    let (disk, mut machine, travelling, archive) = started();
    machine.carry_out(Step::Append(10));
    machine.carry_out(Step::Flush);
    machine.carry_out(Step::Append(10));
    let live = travelling.live.lock().unwrap().take();
    let (found, problems) = read(archive.clone());
    // The log was not handed over since the flush.
    assert_eq!((found.len(), problems), (10, vec![ProblemCode::ArchiveUnavailable]));
    // Stopped: now files and log are final.
    machine.recovered.keeper.write_log().unwrap();
    let clock = machine.clock.clone();
    drop(live);
    drop(machine);
    let (found, problems) = read(archive.clone());
    assert_eq!((found.len(), problems), (20, Vec::new()));
    // Another engine takes over; it is found through the lock.
    let mut machine = Machine { recovered: open(opening(&disk, &clock)).unwrap(), clock, ints: false };
    machine.recovered.keeper.lock().write(&Holder::here("http://elsewhere").encode()).unwrap();
    *travelling.live.lock().unwrap() = Some(LiveArchive::new(machine.recovered.shared.clone()));
    machine.carry_out(Step::Append(10));
    let (found, problems) = read(archive);
    assert_eq!((found.len(), problems), (30, Vec::new()));
}

/// Reads the samples of a directory whose only table is damaged behind its beginning; with the engine's answers or not.
fn met_damage(answered: bool) {
    let (disk, mut machine, travelling, archive) = started();
    machine.carry_out(Step::Append(50));
    machine.carry_out(Step::Flush);
    if !answered {
        *travelling.live.lock().unwrap() = None;
    }
    assert_eq!(read(archive.clone()).0.len(), 50);
    assert_eq!(archive.damage(), None);
    let table = machine.recovered.shared.view().tables[0].path().to_path_buf();
    let file = disk.open_write(&table).unwrap();
    let bytes = file.read(0, file.len().unwrap() as usize).unwrap();
    let chunk = bytes.windows(4).position(|four| four == b"\xc3VCK").unwrap();
    file.write_at(chunk as u64 + 60, &[0x5a; 8]).unwrap();
    let archive = foreign(&disk, &machine.clock, &travelling);
    let snapshot = archive.snapshot(&name(), TimeRange::ALL).unwrap().unwrap();
    let scan = Scan { skip_damaged: true, ..Scan::ascending(TimeRange::ALL) };
    assert_eq!(Merge::new(&snapshot.runs, scan).map(|block| block.unwrap().len()).sum::<usize>(), 0);
    let met = archive.damage().unwrap();
    assert_eq!(met.places, 1);
    assert!(met.message.contains(&table.display().to_string()), "{}", met.message);
    // What was mended is not told any more.
    disk.remove(&table).unwrap();
    assert_eq!(archive.damage(), None);
}

#[test]
fn damage_that_readers_met_is_told_while_its_file_is_there() {
    met_damage(true);
    met_damage(false);
}

#[test]
fn a_missing_directory_is_found_when_it_comes() {
    let disk = SimDisk::new(1);
    let clock = ManualClock::new(Timestamp(MONDAY));
    let archive = foreign(&disk, &clock, &Travelling::default());
    assert!(matches!(archive.resolve("A"), Err(ReadError::Unavailable(_))));
    drop(open(opening(&disk, &clock)).unwrap());
    assert!(archive.resolve("A").unwrap().is_none());
}
