//! The rules between a source and the archive: scan, dead band, stamps, limits, metadata before values.

mod clocks;
mod rule;

use crate::config::{ChannelSettings, Mode};
use crate::prefetch;
use crate::source::Arrival;
use crate::writer::Writer;
use clocks::{Clocks, NO_SERVER};
use rule::{Passage, Rule};
use sample::{ChannelId, DropCause, EventKind, Timestamp};
use std::collections::HashMap;
use std::sync::Arc;

/// How long values wait for the metadata of their connection.
const METADATA_WAIT_NS: i64 = 1_000_000_000;

/// The rules of all channels.
#[derive(Debug)]
pub struct Intake {
    /// By channel id: ids are dense.
    rules: Vec<Option<Rule>>,
    /// Channels whose samples wait for metadata, since when by the clock that ticks.
    waiting: Vec<(ChannelId, Option<Timestamp>)>,
    /// Scanned channels by period in ns, with the period that was last closed.
    scans: HashMap<i64, (i64, Vec<ChannelId>)>,
    clocks: Clocks,
    receive_time: bool,
}

impl Intake {
    /// Rules for no channel yet.
    pub fn new(future_limit_ns: i64, receive_time: bool) -> Intake {
        Intake {
            rules: Vec::new(),
            waiting: Vec::new(),
            scans: HashMap::new(),
            clocks: Clocks::new(future_limit_ns),
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
                let at = usize::try_from(channel.0).unwrap_or(usize::MAX);
                if self.rules.len() <= at {
                    self.rules.resize_with(at + 1, || None);
                }
                self.rules[at] = Some(Rule::new(settings));
            }
        }
    }

    /// Lets what still waits of a channel through, then forgets the channel.
    pub fn remove(&mut self, writer: &mut Writer, channel: ChannelId) {
        self.release(writer, channel);
        self.unscan(channel);
        let rule = usize::try_from(channel.0).ok().and_then(|at| self.rules.get_mut(at)?.take());
        if let Some(rule) = rule {
            self.clocks.leave(rule.server);
        }
    }

    /// Lets everything through that waits for metadata or for the end of its scan period.
    pub fn finish(&mut self, writer: &mut Writer) {
        for id in 0..self.rules.len() as u64 {
            self.release(writer, ChannelId(id));
        }
    }

    fn release(&mut self, writer: &mut Writer, channel: ChannelId) {
        let Some((rule, mut passage)) = self.passage(writer, channel) else { return };
        rule.release_held_back(&mut passage);
        rule.take_scanned(&mut passage);
        rule.date_metadata(&mut passage, None);
    }

    /// A channel's rule, and the way that its samples take.
    #[inline]
    fn passage<'a>(
        &'a mut self,
        writer: &'a mut Writer,
        channel: ChannelId,
    ) -> Option<(&'a mut Rule, Passage<'a>)> {
        let Intake { rules, clocks, receive_time, .. } = self;
        let rule = rules.get_mut(usize::try_from(channel.0).ok()?)?.as_mut()?;
        Some((rule, Passage { writer, clocks, channel, receive_time: *receive_time }))
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

    /// Takes one arrival; what is left of it means nothing.
    pub fn arrive(
        &mut self,
        writer: &mut Writer,
        channel: ChannelId,
        received: Timestamp,
        arrival: &mut Arrival,
    ) {
        match arrival {
            Arrival::Connected { host, readable, metadata_follows } => {
                self.connected(writer, channel, received, host, *readable, *metadata_follows);
            }
            Arrival::Disconnected { last_heard } => {
                let Some((rule, mut passage)) = self.passage(writer, channel) else { return };
                rule.release_held_back(&mut passage);
                rule.date_metadata(&mut passage, None);
                let server = std::mem::replace(&mut rule.server, NO_SERVER);
                rule.passed = None;
                rule.take_scanned(&mut passage);
                self.clocks.leave(server);
                if let Some(slot) = writer.slot(channel) {
                    slot.lock().connection.two_servers = None;
                }
                writer.event(channel, received, EventKind::Disconnected { last_heard: *last_heard });
            }
            Arrival::Sample(sample) => {
                if let Some((rule, mut passage)) = self.passage(writer, channel) {
                    rule.arrive(&mut passage, received, sample);
                }
            }
            Arrival::Metadata(metadata) => {
                let Some((rule, mut passage)) = self.passage(writer, channel) else { return };
                rule.date_metadata(&mut passage, None);
                rule.metadata_known = true;
                rule.described = Some(Box::new((received, std::mem::take(&mut **metadata))));
                rule.release_held_back(&mut passage);
                self.waiting.push((channel, None));
            }
            Arrival::Access { readable } => {
                if let Some(slot) = writer.slot(channel) {
                    slot.lock().connection.no_read_access = !*readable;
                }
            }
            Arrival::Refused { elements } => {
                if let Some(slot) = writer.slot(channel) {
                    slot.lock().connection.refused_elements = Some(*elements);
                }
            }
            Arrival::TwoServers { what } => {
                if let Some(slot) = writer.slot(channel) {
                    slot.lock().connection.two_servers = Some((&**what).into());
                }
            }
            Arrival::Lost { count } => writer.append_lost(channel, DropCause::Memory, *count, received),
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
        let server = self.clocks.server(host);
        let Some(rule) = self.rule_mut(channel) else { return };
        let before = std::mem::replace(&mut rule.server, server);
        rule.first = true;
        rule.metadata_known = !metadata_follows;
        if metadata_follows {
            rule.held_back = Some(Box::default());
            self.waiting.push((channel, None));
        }
        self.clocks.leave(before);
        self.clocks.join(server);
        if let Some(slot) = writer.slot(channel) {
            let mut state = slot.lock();
            state.connection.no_read_access = !readable;
            state.connection.refused_elements = None;
        }
        writer.event(channel, received, EventKind::Connected { host: host.into() });
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
                let Some((rule, mut passage)) = self.passage(writer, channel) else { continue };
                rule.release_held_back(&mut passage);
                rule.date_metadata(&mut passage, None);
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
            if let Some((rule, mut passage)) = self.passage(writer, channel) {
                rule.take_scanned(&mut passage);
            }
        }
    }

    /// Whether more than half of the servers (at least three) look future: the engine's own clock is suspect.
    pub fn clock_suspect(&self) -> bool {
        self.clocks.suspect()
    }

    /// Connected servers, and the greatest known distance of a server's clock ahead of the engine's in ns.
    pub fn servers(&self) -> (usize, i64) {
        self.clocks.connected()
    }
}
