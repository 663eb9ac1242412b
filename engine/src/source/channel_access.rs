//! Channel Access: every channel monitored through libca.

mod client;
mod digest;
mod journal;
mod limits;
mod monitors;
mod table;
#[cfg(test)]
mod tests;
mod two_servers;

use super::{Arrival, Sink, Source};
use crate::clock::{Clock, SystemClock};
use crate::config::{ChannelAccessSettings, ChannelSettings};
use client::{Client, Libca};
use epics_ca::{
    ContextSettings, Entry, EntryKind, Error, EventMask, Library, LibraryPlaces, Reader, Receiver, queue,
    take_messages,
};
use journal::{Journal, Trouble};
use limits::{LOOK_PAUSE, QUEUE_BYTES, SETTLE_TIME};
use monitors::Monitors;
use sample::{ChannelId, ChannelName, Timestamp};
use std::time::{Duration, Instant};

/// `ECA_NORDACCESS`: the server does not let the channel be read.
const NO_READ_ACCESS: i32 = 368;

/// A source of the channels of a Channel Access network.
///
/// Names are handed to libca in paced batches while updates flow. A name that has not connected for a
/// minute goes on being searched in a second context, because libca slows down every search of a context
/// that holds unanswered names.
pub struct ChannelAccessSource {
    receiver: Receiver,
    desk: Desk<Libca>,
    /// When libca's messages and the queue's figures are due.
    look: Instant,
    losses: LossWatch,
}

/// What turns entries into arrivals.
struct Desk<C: Client> {
    monitors: Monitors<C>,
    journal: Journal,
}

/// Notices losses that no entry tells.
#[derive(Default)]
struct LossWatch {
    /// Values and states lost when last looked at.
    seen: (u64, u64),
    /// When every monitor is asked.
    due: Option<Instant>,
}

impl LossWatch {
    /// Whether the monitors are to be asked now. A count may lag behind the queue's figures for a moment:
    /// growth seen now is asked for later, and growth behind that asks again.
    fn due(&mut self, lost: (u64, u64), now: Instant) -> bool {
        if lost != self.seen {
            self.seen = lost;
            self.due.get_or_insert(now + SETTLE_TIME);
        }
        self.due.take_if(|due| *due <= now).is_some()
    }
}

impl ChannelAccessSource {
    /// Opens libca and begins a first context, which writes the settings into the process's environment
    /// (`EPICS_CA_*`), from where libca reads them: open it early in `main`. What the settings leave open
    /// is as the environment has it.
    ///
    /// # Errors
    /// [`Error::NoLibrary`] with every place that was looked at; whatever libca refuses.
    pub fn open(settings: &ChannelAccessSettings) -> Result<ChannelAccessSource, Error> {
        let library = Library::open(&LibraryPlaces::of_this_process(settings.library.clone()))?;
        let (sender, receiver) = queue(QUEUE_BYTES);
        tracing::info!(library = %library.path().display(), version = library.version(), "Channel Access");
        let client = Libca::new(library, context_settings(settings), sender)?;
        let now = Instant::now();
        let desk = Desk { monitors: Monitors::new(client, now), journal: Journal::new() };
        Ok(ChannelAccessSource { receiver, desk, look: now, losses: LossWatch::default() })
    }

    fn take(&mut self, now: Instant, sink: &mut dyn Sink) -> usize {
        self.receiver.drain_to(&mut Passing { desk: &mut self.desk, now, sink })
    }

    /// Everything that is not done for every entry.
    fn look(&mut self, now: Instant, sink: &mut dyn Sink) {
        if now < self.look {
            return;
        }
        self.look = now + LOOK_PAUSE;
        let figures = self.receiver.figures();
        if self.losses.due((figures.values_lost, figures.states_lost), now) {
            self.desk.settle(now, |host| self.receiver.last_heard(host), sink);
        }
        let messages = take_messages();
        for message in messages.list {
            self.desk.message(message.text, message.count, message.last, now, sink);
        }
        if messages.suppressed > 0 {
            self.desk.journal.message("(further messages)".into(), messages.suppressed, now);
        }
        let client = self.desk.monitors.client();
        self.desk.journal.write(now, |status| client.status_text(status));
    }
}

/// Entries on their way from the queue to a sink.
struct Passing<'a> {
    desk: &'a mut Desk<Libca>,
    now: Instant,
    sink: &'a mut dyn Sink,
}

impl Reader for Passing<'_> {
    fn expect(&mut self, token: u64) {
        if let Some(line) = self.desk.monitors.line(token) {
            self.sink.expect(line.channel);
        }
    }

    fn entry(&mut self, entry: Entry<'_>) {
        self.desk.pass(&entry, self.now, self.sink);
    }
}

impl Source for ChannelAccessSource {
    fn add(&mut self, channel: ChannelId, name: &ChannelName, settings: &ChannelSettings) {
        self.desk.monitors.add(channel, name, monitor_settings(settings));
    }

    /// Values of the channel that found no room in the queue since the last look stay untold.
    fn remove(&mut self, channel: ChannelId) {
        self.desk.monitors.remove(channel);
    }

    fn receive(&mut self, timeout: Duration, sink: &mut dyn Sink) -> usize {
        let now = Instant::now();
        self.desk.work(now);
        self.look(now, sink);
        let taken = self.take(now, sink);
        if taken > 0 || !self.receiver.wait(self.desk.monitors.pause(now, timeout)) {
            return taken;
        }
        self.take(Instant::now(), sink)
    }

    fn queue_bytes(&self) -> (u64, u64) {
        let figures = self.receiver.figures();
        (figures.bytes as u64, figures.limit_bytes as u64)
    }

    /// Names handed to libca for searching so far, a name that begins anew counted again. How often libca
    /// then asks the network is its own affair: less and less often, at last every five minutes.
    fn searches(&self) -> u64 {
        self.desk.monitors.searches()
    }
}

impl<C: Client> Desk<C> {
    fn work(&mut self, now: Instant) {
        let Desk { monitors, journal } = self;
        monitors.work(now, |name, error| {
            journal.trouble(Trouble::Refused, 1, Some(name.clone()), error.to_string(), now);
        });
    }

    /// Hands one entry over, unless its monitor has ended.
    fn pass(&mut self, entry: &Entry<'_>, now: Instant, sink: &mut dyn Sink) {
        let Desk { monitors, journal } = self;
        let Some(line) = monitors.line(entry.token) else { return };
        let channel = line.channel;
        let lost = entry.lost_total.saturating_sub(line.lost);
        if lost > 0 {
            line.lost = entry.lost_total;
            sink.arrive(channel, entry.received, &mut Arrival::Lost { count: lost });
        }
        let mut pass = |mut arrival| sink.arrive(channel, entry.received, &mut arrival);
        let mut trouble = None;
        match &entry.kind {
            EntryKind::Value(raw) => match raw.decode() {
                Ok(reading) => pass(Arrival::Sample(reading.into_sample())),
                Err(error) => {
                    trouble = Some((Trouble::Value, error.to_string()));
                    pass(Arrival::Lost { count: 1 });
                }
            },
            EntryKind::Up { access, host, .. } => {
                line.found = true;
                line.host = Some(journal.connected(host, now));
                pass(Arrival::Connected {
                    host: (*host).into(),
                    readable: access.read,
                    metadata_follows: true,
                });
            }
            EntryKind::Down { last_heard } => {
                if let Some(host) = line.host.take() {
                    journal.disconnected(host, now);
                    pass(Arrival::Disconnected { last_heard: *last_heard });
                }
            }
            EntryKind::Metadata(raw) => match raw.decode() {
                Ok(metadata) => pass(Arrival::Metadata(Box::new(metadata))),
                Err(error) => trouble = Some((Trouble::Metadata, error.to_string())),
            },
            // The rights that come before a connection come with it, too; those behind it mean nothing.
            EntryKind::Access(access) => {
                if line.host.is_some() {
                    pass(Arrival::Access { readable: access.read });
                }
            }
            EntryKind::Refused { elements, limit } => {
                trouble = Some((Trouble::TooLong, format!("{elements} elements, at most {limit}")));
                pass(Arrival::Refused { elements: *elements });
            }
            EntryKind::Error { status } if *status == NO_READ_ACCESS => {
                pass(Arrival::Access { readable: false });
            }
            EntryKind::Error { status } => trouble = Some((Trouble::Status(*status), String::new())),
        }
        if lost > 0 {
            let name = monitors.name(entry.token);
            journal.trouble(Trouble::ValuesLost, lost, name, String::new(), now);
        }
        if let Some((trouble, detail)) = trouble {
            journal.trouble(trouble, 1, monitors.name(entry.token), detail, now);
        }
    }

    fn settle(&mut self, now: Instant, last_heard: impl Fn(&str) -> Option<Timestamp>, sink: &mut dyn Sink) {
        let (values, states) = self.monitors.settle_losses(SystemClock.now(), last_heard, sink);
        for (trouble, count) in [(Trouble::ValuesLost, values), (Trouble::StatesLost, states)] {
            if count > 0 {
                self.journal.trouble(trouble, count, None, String::new(), now);
            }
        }
    }

    /// Something that libca prints, `count` times.
    fn message(&mut self, text: String, count: u64, time: Timestamp, now: Instant, sink: &mut dyn Sink) {
        let Some(found) = two_servers::parse(&text) else {
            self.journal.message(text, count, now);
            return;
        };
        if let Some((channel, name)) = found.channel(self.monitors.names()) {
            let name = name.clone();
            sink.arrive(channel, time, &mut Arrival::TwoServers { what: found.servers.into() });
            self.journal.trouble(Trouble::TwoServers, count, Some(name), found.servers.into(), now);
        }
    }
}

fn context_settings(settings: &ChannelAccessSettings) -> ContextSettings {
    let hosts = |entries: &Option<Vec<crate::config::HostEntry>>| {
        entries.as_ref().map(|entries| entries.iter().map(|entry| entry.host.clone()).collect())
    };
    ContextSettings {
        address_list: hosts(&settings.address_list),
        auto_address_list: settings.auto_address_list,
        name_servers: hosts(&settings.name_servers),
        server_port: settings.server_port,
        repeater_port: settings.repeater_port,
    }
}

fn monitor_settings(settings: &ChannelSettings) -> epics_ca::ChannelSettings {
    let events = settings.events;
    epics_ca::ChannelSettings {
        events: EventMask { value: events.value, archive: events.archive, alarm: events.alarm },
        max_elements: settings.max_elements.into(),
    }
}
