//! The rules between a source and the archive: scan, dead band, stamps, limits, metadata before values.

use crate::config::{ChannelSettings, Mode, StampRule};
use crate::limits::HELD_BACK_SAMPLES_MAX;
use crate::prefetch;
use crate::source::Arrival;
use crate::writer::{Outcome, Writer};
use sample::{ChannelId, DropCause, EventKind, Metadata, Sample, Timestamp, Value, Week};
use std::collections::HashMap;
use std::sync::Arc;

/// Stamps before 1991-01-01T00:00:00Z are unset: the record was never processed.
const UNSET_BEFORE: Timestamp = Timestamp(662_688_000 * 1_000_000_000);
/// How long values wait for the metadata of their connection.
const METADATA_WAIT_NS: i64 = 1_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;
/// Servers that must look future before the engine's own clock is suspected.
const SUSPECT_SERVERS_MIN: usize = 3;

/// Rules and running state of one channel.
///
/// One cache line, with everything rare behind a pointer: every sample of every channel passes its rule.
#[derive(Debug)]
#[repr(align(64))]
struct Rule {
    settings: Arc<ChannelSettings>,
    /// The next sample is the first since a connect.
    first: bool,
    /// Values held back until the metadata of the connection is there; `None` when it is.
    #[expect(clippy::box_collection, reason = "a rule is one cache line")]
    held_back: Option<Box<Vec<(Timestamp, Sample)>>>,
    metadata_known: bool,
    /// Metadata with their receipt, not recorded yet: the next sample may carry an older stamp and be the
    /// first that they describe.
    described: Option<Box<(Timestamp, Metadata)>>,
    /// Last value that was stored, with its alarm, where there is a dead band.
    passed: Option<Box<Passed>>,
    /// Newest sample of the current scan period.
    scanned: Option<Box<(Timestamp, Sample)>>,
    /// Reading of the last sample whose unset stamp was replaced.
    replaced: Option<Box<u64>>,
    /// The current second of receipt (its low bits) with the value bytes in it.
    second: (u32, u32),
    server: u32,
}

const _: () = assert!(size_of::<Option<Rule>>() == 64);

type Passed = (f64, sample::Severity, sample::Status);

impl Rule {
    /// Whether a sample lies so near to the last stored one that it is left out.
    fn within_dead_band(&self, band: f64, reading: Passed) -> bool {
        let near = |last: f64| (last - reading.0).abs() < band || last.to_bits() == reading.0.to_bits();
        !self.first
            && self
                .passed
                .as_ref()
                .is_some_and(|last| (last.1, last.2) == (reading.1, reading.2) && near(last.0))
    }
}

/// What is known of one server's clock.
#[derive(Debug)]
struct Server {
    channels: usize,
    future: bool,
    offset_ns: i64,
}

/// The rules of all channels.
#[derive(Debug)]
pub struct Intake {
    /// By channel id: ids are dense.
    rules: Vec<Option<Rule>>,
    /// Channels whose samples wait for metadata, since when by the clock that ticks.
    waiting: Vec<(ChannelId, Option<Timestamp>)>,
    /// Scanned channels by period in ns, with the period that was last closed.
    scans: HashMap<i64, (i64, Vec<ChannelId>)>,
    servers: Vec<Server>,
    server_of: HashMap<Box<str>, u32>,
    future_limit_ns: i64,
    receive_time: bool,
}

/// The server of a channel that was never connected.
const NO_SERVER: u32 = u32::MAX;

impl Intake {
    /// Rules for no channel yet.
    pub fn new(future_limit_ns: i64, receive_time: bool) -> Intake {
        Intake {
            rules: Vec::new(),
            waiting: Vec::new(),
            scans: HashMap::new(),
            servers: Vec::new(),
            server_of: HashMap::new(),
            future_limit_ns,
            receive_time,
        }
    }

    /// Sets a channel's rules.
    pub fn configure(&mut self, channel: ChannelId, settings: Arc<ChannelSettings>) {
        self.unscan(channel);
        if let Mode::Scan { period } = settings.mode {
            let period = i64::try_from(period.as_nanos()).unwrap_or(i64::MAX);
            self.scans.entry(period).or_default().1.push(channel);
        }
        match self.rule_mut(channel) {
            Some(rule) => {
                rule.settings = settings;
                rule.passed = None;
            }
            None => {
                let rule = Rule {
                    settings,
                    first: true,
                    held_back: None,
                    described: None,
                    metadata_known: false,
                    passed: None,
                    scanned: None,
                    replaced: None,
                    second: (0, 0),
                    server: NO_SERVER,
                };
                let at = usize::try_from(channel.0).unwrap_or(usize::MAX);
                if self.rules.len() <= at {
                    self.rules.resize_with(at + 1, || None);
                }
                self.rules[at] = Some(rule);
            }
        }
    }

    /// Lets what still waits of a channel through, then forgets the channel.
    pub fn remove(&mut self, writer: &mut Writer, channel: ChannelId) {
        self.release(writer, channel);
        self.unscan(channel);
        let rule = usize::try_from(channel.0).ok().and_then(|at| self.rules.get_mut(at)?.take());
        if let Some(rule) = rule {
            self.leave_server(rule.server);
        }
    }

    /// Lets everything through that waits for metadata or for the end of its scan period.
    pub fn finish(&mut self, writer: &mut Writer) {
        for id in 0..self.rules.len() as u64 {
            self.release(writer, ChannelId(id));
        }
    }

    fn release(&mut self, writer: &mut Writer, channel: ChannelId) {
        self.release_held_back(writer, channel);
        self.take_scanned(writer, channel);
        self.date_metadata(writer, channel, None);
    }

    fn rule(&self, channel: ChannelId) -> Option<&Rule> {
        self.rules.get(usize::try_from(channel.0).ok()?)?.as_ref()
    }

    fn rule_mut(&mut self, channel: ChannelId) -> Option<&mut Rule> {
        self.rules.get_mut(usize::try_from(channel.0).ok()?)?.as_mut()
    }

    /// Something of `channel` comes soon: asks for its rule.
    pub fn expect(&self, channel: ChannelId) {
        let rule = usize::try_from(channel.0).ok().and_then(|at| self.rules.get(at));
        prefetch::line(rule.map_or(0, |rule| std::ptr::from_ref(rule).addr()));
    }

    fn unscan(&mut self, channel: ChannelId) {
        self.scans.retain(|_, (_, channels)| {
            channels.retain(|c| *c != channel);
            !channels.is_empty()
        });
    }

    fn leave_server(&mut self, server: u32) {
        if let Some(server) = self.servers.get_mut(server as usize) {
            server.channels = server.channels.saturating_sub(1);
            if server.channels == 0 {
                server.future = false;
                server.offset_ns = 0;
            }
        }
    }

    /// Takes one arrival.
    pub fn arrive(&mut self, writer: &mut Writer, channel: ChannelId, received: Timestamp, arrival: Arrival) {
        match arrival {
            Arrival::Connected { host, readable, metadata_follows } => {
                self.connected(writer, channel, received, &host, readable, metadata_follows);
            }
            Arrival::Disconnected { last_heard } => {
                self.release_held_back(writer, channel);
                self.date_metadata(writer, channel, None);
                let Some(rule) = self.rule_mut(channel) else { return };
                let server = std::mem::replace(&mut rule.server, NO_SERVER);
                rule.passed = None;
                self.take_scanned(writer, channel);
                self.leave_server(server);
                if let Some(slot) = writer.slot(channel) {
                    slot.lock().connection.two_servers = None;
                }
                writer.event(channel, received, EventKind::Disconnected { last_heard });
            }
            Arrival::Sample(mut sample) => {
                let Some(rule) = self.rule_mut(channel) else { return };
                if let Some(held) = &mut rule.held_back
                    && held.len() < HELD_BACK_SAMPLES_MAX
                {
                    held.push((received, sample));
                    return;
                }
                self.release_held_back(writer, channel);
                self.sample(writer, channel, received, &mut sample);
            }
            Arrival::Metadata(metadata) => {
                self.date_metadata(writer, channel, None);
                let Some(rule) = self.rule_mut(channel) else { return };
                rule.metadata_known = true;
                rule.described = Some(Box::new((received, *metadata)));
                self.waiting.push((channel, None));
                self.release_held_back(writer, channel);
            }
            Arrival::Access { readable } => {
                if let Some(slot) = writer.slot(channel) {
                    slot.lock().connection.no_read_access = !readable;
                }
            }
            Arrival::Refused { elements } => {
                if let Some(slot) = writer.slot(channel) {
                    slot.lock().connection.refused_elements = Some(elements);
                }
            }
            Arrival::TwoServers { what } => {
                if let Some(slot) = writer.slot(channel) {
                    slot.lock().connection.two_servers = Some(what.into());
                }
            }
            Arrival::Lost { count } => writer.append_lost(channel, DropCause::Memory, count, received),
        }
    }

    fn connected(
        &mut self,
        writer: &mut Writer,
        channel: ChannelId,
        received: Timestamp,
        host: &str,
        readable: bool,
        metadata_follows: bool,
    ) {
        let server = *self.server_of.entry(host.into()).or_insert_with(|| {
            self.servers.push(Server { channels: 0, future: false, offset_ns: 0 });
            u32::try_from(self.servers.len() - 1).unwrap_or(NO_SERVER)
        });
        let Some(rule) = self.rule_mut(channel) else { return };
        let before = std::mem::replace(&mut rule.server, server);
        rule.first = true;
        rule.metadata_known = !metadata_follows;
        if metadata_follows {
            rule.held_back = Some(Box::default());
            self.waiting.push((channel, None));
        }
        self.leave_server(before);
        if let Some(server) = self.servers.get_mut(server as usize) {
            server.channels += 1;
        }
        if let Some(slot) = writer.slot(channel) {
            let mut state = slot.lock();
            state.connection.no_read_access = !readable;
            state.connection.refused_elements = None;
        }
        writer.event(channel, received, EventKind::Connected { host: host.into() });
    }

    /// Lets samples through that waited for metadata.
    fn release_held_back(&mut self, writer: &mut Writer, channel: ChannelId) {
        let Some(held) = self.rule_mut(channel).and_then(|rule| rule.held_back.take()) else { return };
        for (received, mut sample) in *held {
            self.sample(writer, channel, received, &mut sample);
        }
    }

    /// Records metadata that wait for a sample: they hold from `sample` on, if that is a new one stamped
    /// before their receipt, and never for a sample that was stored before. They begin in the present week at
    /// the earliest, as does all that is carried into it.
    fn date_metadata(&mut self, writer: &mut Writer, channel: ChannelId, sample: Option<Timestamp>) {
        let Some(described) = self.rule_mut(channel).and_then(|rule| rule.described.take()) else { return };
        let (received, metadata) = *described;
        let newest = writer.slot(channel).and_then(|slot| slot.lock().newest).map(|newest| newest.time);
        let first = sample.filter(|time| newest.is_none_or(|newest| *time > newest));
        let from = first.map_or(received, |first| first.min(received));
        let earliest = newest.map_or(Timestamp::MIN, |newest| newest.saturating_add(1));
        writer.metadata(channel, from.max(earliest).max(Week::containing(received).start()), metadata);
    }

    /// Gives up waiting for metadata that does not come, closes scan periods. `now` is what the clock shows:
    /// waits end also while it has fallen behind the times of receipt.
    pub fn tick(&mut self, writer: &mut Writer, now: Timestamp) {
        let waiting = std::mem::take(&mut self.waiting);
        for (channel, since) in waiting {
            if self.rule(channel).is_none_or(|rule| rule.held_back.is_none() && rule.described.is_none()) {
                continue;
            }
            let since = since.unwrap_or(now);
            if now.since(since).saturating_abs() < METADATA_WAIT_NS {
                self.waiting.push((channel, Some(since)));
            } else {
                self.release_held_back(writer, channel);
                self.date_metadata(writer, channel, None);
            }
        }
        let mut due: Vec<ChannelId> = Vec::new();
        for (period, (closed, channels)) in &mut self.scans {
            let current = now.0.div_euclid(*period);
            if current != *closed {
                *closed = current;
                due.extend_from_slice(channels);
            }
        }
        for channel in due {
            self.take_scanned(writer, channel);
        }
    }

    fn take_scanned(&mut self, writer: &mut Writer, channel: ChannelId) {
        let scanned = self.rule_mut(channel).and_then(|rule| rule.scanned.take());
        if let Some((received, mut sample)) = scanned.map(|scanned| *scanned) {
            self.pass(writer, channel, received, &mut sample);
        }
    }

    /// Samples go from hand to hand by reference: a copy at each step costs more than what the step does. What is
    /// left in `sample` means nothing.
    fn sample(&mut self, writer: &mut Writer, channel: ChannelId, received: Timestamp, sample: &mut Sample) {
        let Some(rule) = self.rule_mut(channel) else { return };
        if matches!(rule.settings.mode, Mode::Scan { .. }) && !rule.first {
            // Taken, not copied: arrays may be long.
            let nothing = Sample::new(sample.time, Value::Bool(false));
            let scanned = (received, std::mem::replace(sample, nothing));
            match &mut rule.scanned {
                Some(kept) => **kept = scanned,
                None => rule.scanned = Some(Box::new(scanned)),
            }
            return;
        }
        self.pass(writer, channel, received, sample);
    }

    /// Behind `scan`: dead band, then everything that counts as received.
    fn pass(&mut self, writer: &mut Writer, channel: ChannelId, received: Timestamp, sample: &mut Sample) {
        let receive_time = self.receive_time;
        let Some(rule) = self.rule_mut(channel) else { return };
        let reading = rule
            .settings
            .deadband
            .and_then(|band| Some((band, (sample.value.as_f64()?, sample.severity, sample.status))));
        if reading.is_some_and(|(band, reading)| rule.within_dead_band(band, reading)) {
            return;
        }
        sample.metadata_known = rule.metadata_known;
        sample.received = receive_time.then_some(received);
        let first = std::mem::replace(&mut rule.first, false);
        let outcome = self.stamp(writer, channel, received, sample, first);
        if !matches!(outcome, Outcome::Dropped(_))
            && let Some(rule) = self.rule_mut(channel)
        {
            rule.passed = reading.map(|(_, reading)| Box::new(reading));
        }
    }

    /// Gives a received sample the time that the channel's rule asks for, and hands it to the writer.
    fn stamp(
        &mut self,
        writer: &mut Writer,
        channel: ChannelId,
        received: Timestamp,
        sample: &mut Sample,
        first: bool,
    ) -> Outcome {
        let original = sample.time;
        let unset = original < UNSET_BEFORE;
        let future = self.judge_clock(channel, original, received, unset);
        let Some(rule) = self.rule_mut(channel) else { return Outcome::Dropped(DropCause::Memory) };
        let always = rule.settings.timestamps == StampRule::Receive;
        let wrong = match rule.settings.timestamps {
            StampRule::Ioc => unset,
            StampRule::IocElseReceive => unset || future,
            StampRule::Receive => false,
        };
        if wrong {
            let reading = sstable::fingerprint(sample);
            let again = rule.replaced.replace(Box::new(reading)).is_some_and(|before| *before == reading);
            // What a server sends on connecting was stored under the time of an earlier receipt.
            if again || (first && writer.is_newest_reading(channel, sample)) {
                writer.append_redelivered(channel);
                return Outcome::Redelivered;
            }
        }
        if wrong || always {
            sample.time = received;
        } else if future {
            writer.append_dropped(channel, DropCause::Future, sample);
            return Outcome::Dropped(DropCause::Future);
        }
        #[expect(clippy::cast_possible_truncation, reason = "low bits tell one second from the next")]
        let second = received.0.div_euclid(SECOND_NS).cast_unsigned() as u32;
        if rule.second.0 != second {
            rule.second = (second, 0);
        }
        let bytes = u32::try_from(sample.value.byte_len()).unwrap_or(u32::MAX);
        rule.second.1 = rule.second.1.saturating_add(bytes);
        if u64::from(rule.second.1) > rule.settings.max_bytes_per_second {
            writer.append_dropped(channel, DropCause::Rate, sample);
            return Outcome::Dropped(DropCause::Rate);
        }
        if rule.described.is_some() {
            self.date_metadata(writer, channel, Some(sample.time));
        }
        let outcome = writer.append_in_place(channel, sample, first);
        if wrong && outcome == Outcome::Stored {
            writer.event(channel, received, EventKind::TimeReplaced { original });
        }
        outcome
    }

    /// Whether a stamp is too far ahead, and what it says about its server's clock.
    fn judge_clock(&mut self, channel: ChannelId, time: Timestamp, received: Timestamp, unset: bool) -> bool {
        if unset {
            return false;
        }
        let ahead = time.since(received);
        let future = ahead > self.future_limit_ns;
        let server = self.rule(channel).map_or(NO_SERVER, |rule| rule.server);
        if let Some(server) = self.servers.get_mut(server as usize) {
            server.future = future;
            if ahead > 0 {
                server.offset_ns = ahead;
            }
        }
        future && !self.clock_suspect()
    }

    /// Whether more than half of the servers (at least three) look future: the engine's own clock is suspect.
    pub fn clock_suspect(&self) -> bool {
        let connected = self.servers.iter().filter(|server| server.channels > 0).count();
        let future = self.servers.iter().filter(|server| server.future).count();
        future >= SUSPECT_SERVERS_MIN && future * 2 > connected
    }

    /// Connected servers, and the greatest known distance of a server's clock ahead of the engine's in ns.
    pub fn servers(&self) -> (usize, i64) {
        let connected = self.servers.iter().filter(|server| server.channels > 0);
        connected.fold((0, 0), |(n, offset), server| (n + 1, offset.max(server.offset_ns)))
    }
}
