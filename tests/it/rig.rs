//! An archive on a simulated disk with a clock set by hand, driven one batch at a time.

use disk::SimDisk;
use engine::clock::{Clock, ManualClock};
use engine::config::{ChannelSettings, Config, ConfiguredChannel, Origin};
use engine::identity::ArchiveId;
use engine::read::{Archive, ChannelView, Ledger, Member, Reader, Scan};
use engine::recovery::{self, Opening, Recovered, Report};
use engine::source::{Arrival, SimulatedHandle, SimulatedSource};
use engine::{Ingest, IngestGauges, Intake, Keeper, LiveArchive, Shared, SlotState, StorageSettings};
use sample::{ChannelName, Event, Sample, TimeRange, Timestamp, Value};
use std::sync::Arc;

/// 2026-11-16T00:00:00Z, a Monday.
pub(crate) const MONDAY: i64 = 1_794_787_200_000_000_000;
pub(crate) const SECOND: i64 = 1_000_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;
pub(crate) const WEEK: i64 = 7 * DAY;

/// Small limits, so that little data meets them.
pub(crate) fn small() -> StorageSettings {
    StorageSettings {
        memtable_bytes: 4 << 20,
        log_buffer_bytes: 4 << 20,
        segment_bytes: 64 << 10,
        reserve_bytes: 64 << 10,
        ..StorageSettings::default()
    }
}

pub(crate) fn name(text: &str) -> ChannelName {
    ChannelName::stored(text).unwrap()
}

pub(crate) fn double(time: i64, value: f64) -> Sample {
    Sample::new(Timestamp(time), Value::Float64(value))
}

/// The archive's core between two crashes.
struct Open {
    ingest: Ingest,
    keeper: Keeper,
    shared: Arc<Shared>,
    feed: SimulatedHandle,
    report: Report,
}

/// An archive that a test drives.
pub(crate) struct Rig {
    pub(crate) disk: SimDisk,
    pub(crate) clock: ManualClock,
    pub(crate) settings: StorageSettings,
    pub(crate) config: Config,
    open: Option<Open>,
}

impl Rig {
    /// Not open yet; the clock shows `now`.
    pub(crate) fn new(seed: u64, now: i64) -> Rig {
        Rig {
            disk: SimDisk::new(seed),
            clock: ManualClock::new(Timestamp(now)),
            settings: small(),
            config: Config::new("/archive".into()),
            open: None,
        }
    }

    /// Open with channels of default settings.
    pub(crate) fn with(now: i64, names: &[&str]) -> Rig {
        let mut rig = Rig::new(1, now);
        for text in names {
            rig.configure(text, ChannelSettings::default());
        }
        rig.open();
        rig
    }

    /// Puts a channel into the configuration that the next opening starts.
    pub(crate) fn configure(&mut self, text: &str, settings: ChannelSettings) {
        let line = u32::try_from(self.config.channels.len() + 1).unwrap();
        let origin = Origin::place("test.toml").at(line);
        let channel = ConfiguredChannel { name: name(text), settings: Arc::new(settings), origin };
        self.config.channels.push(channel);
    }

    pub(crate) fn opening(&self) -> Opening {
        Opening {
            disk: Arc::new(self.disk.clone()),
            clock: Arc::new(self.clock.clone()),
            directory: self.config.archive.directory.clone(),
            create: self.config.archive.create,
            pinned: self.config.archive.id.clone(),
            fresh_id: Some(ArchiveId(7)),
            settings: self.settings.clone(),
        }
    }

    pub(crate) fn try_open(&mut self) -> Result<(), engine::error::Error> {
        let Recovered { shared, writer, keeper, report } = recovery::open(self.opening())?;
        let limit = i64::try_from(self.config.archive.future_limit.as_nanos()).unwrap();
        let intake = Intake::new(limit, self.config.archive.receive_time);
        let (source, feed) = SimulatedSource::new();
        let mut ingest = Ingest::new(writer, intake, Box::new(source), Arc::new(IngestGauges::default()));
        ingest.start_channels(&self.config);
        self.open = Some(Open { ingest, keeper, shared, feed, report });
        Ok(())
    }

    pub(crate) fn open(&mut self) {
        self.try_open().unwrap();
    }

    fn now_open(&self) -> &Open {
        self.open.as_ref().unwrap()
    }

    fn now_open_mut(&mut self) -> &mut Open {
        self.open.as_mut().unwrap()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.now_open().shared
    }

    pub(crate) fn keeper(&self) -> &Keeper {
        &self.now_open().keeper
    }

    pub(crate) fn ingest(&mut self) -> &mut Ingest {
        &mut self.now_open_mut().ingest
    }

    pub(crate) fn report(&self) -> &Report {
        &self.now_open().report
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now().0
    }

    pub(crate) fn advance(&self, ns: i64) {
        self.clock.advance(ns);
    }

    /// Lets something arrive now, in a batch of its own.
    pub(crate) fn arrive(&mut self, channel: &str, arrival: Arrival) {
        self.arrive_all([(channel, arrival)]);
    }

    /// Lets several things arrive now, in one batch.
    pub(crate) fn arrive_all<'a>(&mut self, arrivals: impl IntoIterator<Item = (&'a str, Arrival)>) {
        let now = self.clock.now();
        let open = self.now_open_mut();
        open.feed.send_all(arrivals.into_iter().map(|(text, arrival)| (name(text), now, arrival)));
        assert!(open.ingest.turn() > 0, "nothing arrived");
    }

    pub(crate) fn connect(&mut self, channel: &str, host: &str) {
        let host = host.into();
        self.arrive(channel, Arrival::Connected { host, readable: true, metadata_follows: false });
    }

    pub(crate) fn disconnect(&mut self, channel: &str, last_heard: i64) {
        self.arrive(channel, Arrival::Disconnected { last_heard: Timestamp(last_heard) });
    }

    pub(crate) fn sample(&mut self, channel: &str, time: i64, value: f64) {
        self.arrive(channel, Arrival::Sample(double(time, value)));
    }

    /// A batch without arrivals: time passes.
    pub(crate) fn tick(&mut self) {
        let now = self.clock.now();
        let ingest = &mut self.now_open_mut().ingest;
        ingest.writer.at(now);
        ingest.intake.tick(&mut ingest.writer, now);
        ingest.writer.heartbeat();
        ingest.writer.record_quiet_drops(engine::limits::QUIET_DROPS_NS);
        ingest.writer.commit();
    }

    /// Hands the log to the medium.
    pub(crate) fn sync(&mut self) {
        self.keeper().write_log().unwrap();
        self.keeper().sync_log().unwrap();
    }

    pub(crate) fn flush(&mut self) {
        self.try_flush().unwrap();
    }

    pub(crate) fn try_flush(&mut self) -> Result<(), engine::error::Error> {
        let Some(frozen) = self.ingest().freeze() else { return Ok(()) };
        self.keeper().write_log()?;
        self.keeper().flush(frozen)
    }

    /// Ends in order, everything on the medium.
    pub(crate) fn close(&mut self) {
        self.sync();
        self.open = None;
    }

    /// Ends like a process that is killed: what the operating system has survives, nothing else.
    pub(crate) fn kill(&mut self) {
        self.disk.kill();
        self.open = None;
        self.disk.power_on();
    }

    /// Ends in order, stays down for `ns`, opens again.
    pub(crate) fn restart(&mut self, ns: i64) {
        self.close();
        self.advance(ns);
        self.open();
    }

    pub(crate) fn reader(&self) -> Reader {
        reader_of(self.shared())
    }

    /// A view that waited for its turn.
    pub(crate) fn view(&self, channel: &str, range: TimeRange) -> ChannelView {
        self.reader().view(&name(channel), range).unwrap().unwrap().held().open()
    }

    /// All samples of a range.
    pub(crate) fn samples_in(&self, channel: &str, range: TimeRange) -> Vec<Sample> {
        samples_of(&self.view(channel, range), range)
    }

    pub(crate) fn samples(&self, channel: &str) -> Vec<Sample> {
        self.samples_in(channel, TimeRange::ALL)
    }

    /// Times and values of all samples.
    pub(crate) fn doubles(&self, channel: &str) -> Vec<(i64, f64)> {
        self.samples(channel).iter().map(|s| (s.time.0, s.value.as_f64().unwrap())).collect()
    }

    /// The sample in force at a time.
    pub(crate) fn at(&self, channel: &str, time: i64) -> Option<Sample> {
        let view = self.view(channel, TimeRange::new(Timestamp(time), Timestamp(time + 1)));
        view.last_before(Timestamp(time), true).unwrap()
    }

    pub(crate) fn events(&self, channel: &str) -> Vec<Event> {
        self.view(channel, TimeRange::ALL).events(TimeRange::ALL)
    }

    pub(crate) fn state<T>(&self, channel: &str, look: impl FnOnce(&SlotState) -> T) -> T {
        let shared = self.shared();
        let directory = shared.directory();
        let named = directory.names.get(channel).unwrap();
        let slot = directory.slot(named.id).unwrap();
        let state = slot.lock();
        look(&state)
    }

    /// The ledger, which must balance.
    pub(crate) fn ledger(&self, channel: &str) -> Ledger {
        let ledger = self.state(channel, |state| state.ledger);
        let sum = ledger.stored + ledger.redelivered + ledger.dropped_total();
        assert_eq!(ledger.received, sum, "{ledger:?}");
        ledger
    }
}

pub(crate) fn reader_of(shared: &Arc<Shared>) -> Reader {
    let archive: Arc<dyn Archive> = Arc::new(LiveArchive::new(shared.clone()));
    Reader::new(vec![Member { name: "a".into(), priority: 1, archive }])
}

pub(crate) fn samples_of(view: &ChannelView, range: TimeRange) -> Vec<Sample> {
    let blocks = view.samples(&Scan::ascending(range)).collect::<Result<Vec<_>, _>>().unwrap();
    blocks.iter().flat_map(|block| (0..block.len()).map(|i| block.get(i))).collect()
}
