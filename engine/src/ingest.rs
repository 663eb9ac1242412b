//! The ingest thread's body: source to rules to writer, never waiting for the disk.

use crate::config::{ChannelSettings, Config, Plan};
use crate::intake::Intake;
use crate::limits::{BATCH_ARRIVALS, HEARTBEAT_NS, INGEST_PAUSE, INGEST_WAIT, QUIET_DROPS_NS, RATES_LOOK_NS};
use crate::schedule;
use crate::slot::Archiving;
use crate::source::{Arrival, Sink, Source};
use crate::writer::{Frozen, Writer};
use sample::{ChannelId, ChannelName, EventKind, Timestamp};
use sstable::ChannelChange;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;

/// Something that another thread asks the ingest thread to do between two batches.
pub type Order = Box<dyn FnOnce(&mut Ingest) + Send>;

/// What the ingest thread tells the others.
#[derive(Debug, Default)]
pub struct IngestGauges {
    /// Servers connected.
    pub servers: AtomicU64,
    /// Greatest distance of a server's clock ahead of the engine's, ns.
    pub clock_offset_ns: AtomicU64,
    /// More than half of the servers look future: the engine's own clock is suspect.
    pub clock_suspect: AtomicBool,
    /// Bytes waiting in the source.
    pub queue_bytes: AtomicU64,
    /// Searches sent by the source.
    pub searches: AtomicU64,
}

/// Where a batch's arrivals go.
struct Desk<'a> {
    writer: &'a mut Writer,
    intake: &'a mut Intake,
    /// Channels that were announced last, in a ring: moving them costs more than asking for them.
    expected: [ChannelId; 4],
    /// How many were announced.
    announced: usize,
}

impl Sink for Desk<'_> {
    fn expect(&mut self, channel: ChannelId) {
        self.expected[self.announced % 4] = channel;
        self.announced += 1;
        self.intake.expect(channel);
        self.writer.expect(channel, self.expected[self.announced % 4]);
    }

    fn arrive(&mut self, channel: ChannelId, received: Timestamp, arrival: &mut Arrival) {
        let received = self.writer.at(received);
        self.intake.arrive(self.writer, channel, received, arrival);
    }
}

/// Everything that the ingest thread owns.
pub struct Ingest {
    /// The archive's writing end.
    pub writer: Writer,
    /// The rules.
    pub intake: Intake,
    /// Where samples come from.
    pub source: Box<dyn Source>,
    gauges: Arc<IngestGauges>,
    beat: Timestamp,
    looked: Timestamp,
    stopping: bool,
}

impl Ingest {
    /// Ready to run.
    pub fn new(writer: Writer, intake: Intake, source: Box<dyn Source>, gauges: Arc<IngestGauges>) -> Ingest {
        Ingest {
            writer,
            intake,
            source,
            gauges,
            beat: Timestamp::MIN,
            looked: Timestamp::MIN,
            stopping: false,
        }
    }

    /// Runs until an order calls [`Ingest::stop`] or nobody can give orders any more.
    pub fn run(mut self, orders: &mpsc::Receiver<Order>) {
        schedule::prompt_turns();
        while !self.stopping {
            loop {
                match orders.try_recv() {
                    Ok(order) => order(&mut self),
                    Err(mpsc::TryRecvError::Empty) => break,
                    Err(mpsc::TryRecvError::Disconnected) => self.stopping = true,
                }
                if self.stopping {
                    break;
                }
            }
            if (1..BATCH_ARRIVALS).contains(&self.turn()) {
                // Let arrivals gather: one batch of many costs less than many of one.
                std::thread::sleep(INGEST_PAUSE);
            }
        }
        self.last_turn();
    }

    /// One batch: everything that has arrived, then a commit. Returns how many arrivals.
    pub fn turn(&mut self) -> usize {
        // What arrives while this batch is made may wait inside the source until the next one.
        let before = self.writer.shared().clock.now();
        let (writer, intake) = (&mut self.writer, &mut self.intake);
        let mut desk = Desk { writer, intake, expected: [ChannelId::ARCHIVE; 4], announced: 0 };
        let arrived = self.source.receive(INGEST_WAIT, &mut desk);
        let clock = self.writer.shared().clock.now();
        self.writer.at(clock);
        self.intake.tick(&mut self.writer, clock);
        if clock.since(self.beat).saturating_abs() >= HEARTBEAT_NS {
            self.beat = clock;
            self.writer.heartbeat();
            self.writer.record_quiet_drops(QUIET_DROPS_NS);
            self.show();
            if clock.since(self.looked).saturating_abs() >= RATES_LOOK_NS {
                self.looked = clock;
                self.writer.look_at_rates();
            }
        }
        self.writer.commit_until(before);
        arrived
    }

    fn show(&self) {
        let (servers, offset) = self.intake.servers();
        self.gauges.servers.store(servers as u64, Ordering::Relaxed);
        self.gauges.clock_offset_ns.store(u64::try_from(offset).unwrap_or(0), Ordering::Relaxed);
        self.gauges.clock_suspect.store(self.intake.clock_suspect(), Ordering::Relaxed);
        self.gauges.queue_bytes.store(self.source.queue_bytes().0, Ordering::Relaxed);
        self.gauges.searches.store(self.source.searches(), Ordering::Relaxed);
    }

    /// The last batch: open runs of drops and a heartbeat.
    fn last_turn(&mut self) {
        self.turn();
        self.finish();
        self.writer.record_quiet_drops(0);
        self.writer.heartbeat();
        self.writer.commit();
    }

    /// Lets everything through that waits for metadata or for the end of its scan period.
    pub fn finish(&mut self) {
        let now = self.writer.shared().clock.now();
        self.writer.at(now);
        self.intake.finish(&mut self.writer);
        self.writer.commit();
    }

    /// Ends [`Ingest::run`] after this turn.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// Freezes the memtable for a flush. Open runs of drops go with it: their entries in the log do.
    pub fn freeze(&mut self) -> Option<Frozen> {
        self.writer.at(self.writer.shared().clock.now());
        self.writer.record_quiet_drops(0);
        // What arrived since the last batch may still wait in the source.
        self.writer.commit_until(Timestamp::MIN);
        self.writer.freeze()
    }

    /// Starts every channel of a configuration; channels of the archive that it lacks are retired.
    pub fn start_channels(&mut self, config: &Config) {
        let now = self.writer.shared().clock.now();
        self.writer.at(now);
        let mut wanted = std::collections::HashSet::new();
        for channel in &config.channels {
            let origin: Arc<str> = Arc::from(channel.origin.to_string());
            wanted.insert(self.start(&channel.name, &channel.settings, origin));
        }
        let slots: Vec<_> = self.writer.shared().directory().slots.iter().flatten().cloned().collect();
        for slot in slots {
            let archived = slot.lock().archiving.0;
            let archived = matches!(archived, Archiving::Started | Archiving::Paused);
            if archived && slot.id != ChannelId::ARCHIVE && !wanted.contains(&slot.id) {
                self.retire(slot.id);
            }
        }
        self.writer.commit();
    }

    /// Carries out a checked plan.
    pub fn carry_out(&mut self, plan: &Plan) {
        let now = self.writer.shared().clock.now();
        self.writer.at(now);
        for name in &plan.removed {
            let named = self.writer.shared().directory().names.get(name.as_str());
            if let Some(named) = named {
                self.retire(named.id);
            }
        }
        for channel in &plan.added {
            self.start(&channel.name, &channel.settings, Arc::from(channel.origin.to_string()));
        }
        for change in &plan.changed {
            let channel = &change.channel;
            let named = self.writer.shared().directory().names.get(channel.name.as_str());
            if let Some(named) = named {
                self.source.remove(named.id);
            }
            self.start(&channel.name, &channel.settings, Arc::from(channel.origin.to_string()));
        }
        for channel in &plan.moved {
            let named = self.writer.shared().directory().names.get(channel.name.as_str());
            if let Some(slot) = named.and_then(|named| self.writer.slot(named.id)) {
                slot.lock().origin = Arc::from(channel.origin.to_string());
            }
        }
        self.writer.commit();
    }

    fn start(&mut self, name: &ChannelName, settings: &Arc<ChannelSettings>, origin: Arc<str>) -> ChannelId {
        let id = self.writer.register(name);
        let Some(slot) = self.writer.slot(id) else { return id };
        let (archiving, retention) = {
            let mut state = slot.lock();
            state.origin = origin;
            (state.archiving.0, state.retention.clone())
        };
        if *retention != *settings.retention {
            self.writer.record(id, ChannelChange::Retention(Box::from(&*settings.retention)));
        }
        if archiving == Archiving::Paused {
            // By an operator: not the configuration's to end.
            self.intake.configure(id, settings.clone());
            return id;
        }
        if archiving != Archiving::Started {
            let now = self.writer.shared().clock.now();
            let now = self.writer.at(now);
            self.writer.event(id, now, EventKind::Started);
        }
        self.intake.configure(id, settings.clone());
        self.source.add(id, name, settings);
        id
    }

    fn retire(&mut self, id: ChannelId) {
        self.source.remove(id);
        self.intake.remove(&mut self.writer, id);
        let now = self.writer.shared().clock.now();
        let now = self.writer.at(now);
        let connected = self.writer.slot(id).is_some_and(|slot| slot.lock().connection.host.is_some());
        if connected {
            self.writer.event(id, now, EventKind::Disconnected { last_heard: now });
        }
        self.writer.event(id, now, EventKind::Retired);
    }
}
