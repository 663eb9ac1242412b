//! The bounded way from libca's callbacks to the one reader.
//!
//! Two buffers of equal size: callbacks append to the front one under a lock that nobody holds while
//! calling libca, the reader swaps it for its own empty one. The lock is held for one copy or one swap.

use crate::decode::RawValue;
use crate::entry::{Entry, EntryKind, Stored};
use crate::limits::{QUEUE_BYTES_MAX, QUEUE_RESERVE_SHARE};
use crate::metadata::RawMetadata;
use sample::Timestamp;
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Makes a queue of at most `bytes`, its entries' heads (about 64 bytes each) included.
///
/// The last sixteenth takes only connection states, access rights and metadata, so that a flood of
/// values never costs a state. While the reader works on what it took, as much again may gather:
/// memory is bounded by twice `bytes`, of which pages never used cost nothing.
/// `bytes` is held between 64 KiB and [`QUEUE_BYTES_MAX`].
pub fn queue(bytes: usize) -> (Sender, Receiver) {
    let limit = bytes.clamp(64 << 10, QUEUE_BYTES_MAX);
    let front = Front { batch: Batch::with_room(limit), ..Front::default() };
    let shared = Arc::new(Shared { limit, front: Mutex::new(front), arrived: Condvar::new() });
    (
        Sender { shared: shared.clone() },
        Receiver { back: Batch::with_room(limit), servers: Vec::new(), shared },
    )
}

/// The callbacks' end. Several contexts may share it.
#[derive(Clone, Debug)]
pub struct Sender {
    shared: Arc<Shared>,
}

/// The reader's end.
#[derive(Debug)]
pub struct Receiver {
    shared: Arc<Shared>,
    back: Batch,
    servers: Vec<Arc<str>>,
}

/// What takes entries out of the queue.
pub trait Reader {
    /// An entry with this token comes soon: with many channels taking turns, what is known of a channel is
    /// far away in memory, and asking for it early hides the wait.
    fn expect(&mut self, token: u64);
    /// Takes one entry.
    fn entry(&mut self, entry: Entry<'_>);
}

/// A reader that expects nothing.
struct Closure<'a, F>(&'a mut F);

impl<F: FnMut(Entry<'_>)> Reader for Closure<'_, F> {
    fn expect(&mut self, _token: u64) {}

    fn entry(&mut self, entry: Entry<'_>) {
        (self.0)(entry);
    }
}

/// How many entries earlier a token is told: some hundred nanoseconds of work, longer than memory takes.
const EXPECT_ENTRIES: usize = 6;

/// Ends a [`Receiver::wait`] from another thread.
#[derive(Clone, Debug)]
pub struct Waker {
    shared: Arc<Shared>,
}

/// How a queue fares.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QueueFigures {
    /// Its limit in bytes.
    pub limit_bytes: usize,
    /// Bytes waiting now.
    pub bytes: usize,
    /// Most bytes that ever waited.
    pub high_bytes: usize,
    /// Values that found no room, all channels; [`crate::Channel::losses`] tells whose.
    pub values_lost: u64,
    /// States, access rights, metadata that found no room even in the reserve. A channel that lost one
    /// (see [`crate::Channel::losses`]) is set right by dropping and creating it again.
    pub states_lost: u64,
}

#[derive(Debug)]
struct Shared {
    limit: usize,
    front: Mutex<Front>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Front {
    batch: Batch,
    waiting: bool,
    woken: bool,
    high_bytes: usize,
    values_lost: u64,
    states_lost: u64,
    numbers: HashMap<Arc<str>, u32>,
    servers: Vec<Server>,
}

/// A server, by what libca calls it. libca tells the numeric address until it has found the name: such a
/// server is asked for again now and then, and when a name comes both are the same from then on.
#[derive(Debug)]
struct Server {
    host: Arc<str>,
    last_heard: Timestamp,
    /// Its number, or that of the server it turned out to be.
    same_as: u32,
    /// When to ask for its name, and how long to wait after that; doubled each time.
    ask: Timestamp,
    pause_ns: i64,
}

impl Front {
    fn server(&mut self, number: u32) -> Option<&mut Server> {
        let number = self.servers.get(number as usize)?.same_as;
        self.servers.get_mut(number as usize)
    }

    fn ask(&mut self, number: u32, now: Timestamp) -> bool {
        let Some(server) = self.servers.get_mut(number as usize).filter(|server| now >= server.ask) else {
            return false;
        };
        server.ask = now.saturating_add(server.pause_ns);
        server.pause_ns = server.pause_ns.saturating_mul(2);
        true
    }

    fn number(&mut self, host: &str, now: Timestamp) -> u32 {
        if let Some(number) = self.numbers.get(host) {
            return *number;
        }
        let number = u32::try_from(self.servers.len()).unwrap_or(u32::MAX);
        let host: Arc<str> = host.into();
        let numeric = host.parse::<std::net::SocketAddr>().is_ok();
        let ask = if numeric { now.saturating_add(FIRST_PAUSE_NS) } else { Timestamp::MAX };
        let server =
            Server { host: host.clone(), last_heard: now, same_as: number, ask, pause_ns: FIRST_PAUSE_NS };
        self.servers.push(server);
        self.numbers.insert(host, number);
        number
    }
}

/// From a server's first connection to the first time its name is asked for again.
const FIRST_PAUSE_NS: i64 = 100_000_000;

#[derive(Debug, Default)]
struct Batch {
    entries: Vec<Slot>,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    token: u64,
    received: Timestamp,
    lost_total: u64,
    /// Where the entry's bytes end in the batch.
    end: usize,
    kind: Stored,
}

impl Batch {
    fn with_room(limit: usize) -> Batch {
        Batch { entries: Vec::with_capacity(limit / size_of::<Slot>()), bytes: Vec::with_capacity(limit) }
    }

    fn used(&self) -> usize {
        self.entries.len() * size_of::<Slot>() + self.bytes.len()
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.bytes.clear();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Front> {
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a callback knows about the entry it sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) token: u64,
    pub(crate) received: Timestamp,
    pub(crate) lost_total: u64,
    /// Number of the server that told it; `None` where it was not a server.
    pub(crate) server: Option<u32>,
}

/// What became of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pushed {
    /// Whether it found room.
    pub(crate) queued: bool,
    /// Whether it is time to ask libca again what the server is called.
    pub(crate) ask: bool,
}

impl Sender {
    /// The number of the server `host`, the same at every call.
    pub(crate) fn server(&self, host: &str, now: Timestamp) -> u32 {
        self.shared.lock().number(host, now)
    }

    /// Server `number`, known by its address, is called `host` now.
    pub(crate) fn server_is(&self, number: u32, host: &str, now: Timestamp) {
        let mut front = self.shared.lock();
        let known = front.number(host, now);
        let Some(server) = front.servers.get_mut(number as usize).filter(|_| known != number) else { return };
        server.same_as = known;
        server.ask = Timestamp::MAX;
        let heard = server.last_heard;
        if let Some(server) = front.server(known) {
            server.last_heard = server.last_heard.max(heard);
        }
    }

    /// Appends an entry, unless there is no room, which is then counted in the figures.
    pub(crate) fn push(&self, sent: Sent, kind: Stored, bytes: &[u8]) -> Pushed {
        let mut guard = self.shared.lock();
        let front = &mut *guard;
        let ask = sent.server.is_some_and(|number| front.ask(number, sent.received));
        let server = sent.server.and_then(|number| front.server(number));
        let kind = match kind {
            Stored::Down { .. } => {
                Stored::Down { last_heard: server.map_or(sent.received, |server| server.last_heard) }
            }
            kind => {
                if let Some(server) = server {
                    server.last_heard = server.last_heard.max(sent.received);
                }
                kind
            }
        };
        let value = matches!(kind, Stored::Value { .. });
        let limit = self.shared.limit - if value { self.shared.limit / QUEUE_RESERVE_SHARE } else { 0 };
        let used = front.batch.used().saturating_add(size_of::<Slot>()).saturating_add(bytes.len());
        if used > limit {
            let lost = if value { &mut front.values_lost } else { &mut front.states_lost };
            *lost = lost.saturating_add(1);
            return Pushed { queued: false, ask };
        }
        front.batch.bytes.extend_from_slice(bytes);
        let end = front.batch.bytes.len();
        let Sent { token, received, lost_total, .. } = sent;
        front.batch.entries.push(Slot { token, received, lost_total, end, kind });
        front.high_bytes = front.high_bytes.max(used);
        let asleep = std::mem::take(&mut front.waiting);
        drop(guard);
        if asleep {
            self.shared.arrived.notify_one();
        }
        Pushed { queued: true, ask }
    }
}

impl Receiver {
    /// Blocks until something is queued, a [`Waker`] is used or `timeout` passes.
    /// Returns whether something is queued.
    ///
    /// Callbacks pay for a wake-up only while the reader blocks here. Under load a reader does best to
    /// drain, sleep for a millisecond, drain again, coming here only when there was nothing.
    pub fn wait(&self, timeout: Duration) -> bool {
        let mut front = self.shared.lock();
        if front.batch.entries.is_empty() && !front.woken {
            front.waiting = true;
            let result = self.shared.arrived.wait_timeout_while(front, timeout, |front| front.waiting);
            front = result.unwrap_or_else(PoisonError::into_inner).0;
            front.waiting = false;
        }
        front.woken = false;
        !front.batch.entries.is_empty()
    }

    /// Hands every queued entry to `reader`, oldest first; returns how many. Callbacks go on meanwhile.
    pub fn drain(&mut self, mut reader: impl FnMut(Entry<'_>)) -> usize {
        self.drain_to(&mut Closure(&mut reader))
    }

    /// As [`Receiver::drain`], with each entry's token told a few entries earlier, see [`Reader::expect`].
    pub fn drain_to(&mut self, reader: &mut impl Reader) -> usize {
        self.back.clear();
        {
            let mut front = self.shared.lock();
            std::mem::swap(&mut front.batch, &mut self.back);
            let known = self.servers.len();
            self.servers.extend(front.servers[known..].iter().map(|server| server.host.clone()));
        }
        let mut from = 0;
        for (i, slot) in self.back.entries.iter().enumerate() {
            if let Some(ahead) = self.back.entries.get(i + EXPECT_ENTRIES) {
                reader.expect(ahead.token);
            }
            let bytes = &self.back.bytes[from..slot.end];
            from = slot.end;
            reader.entry(Entry {
                token: slot.token,
                received: slot.received,
                lost_total: slot.lost_total,
                kind: kind(slot.kind, bytes, &self.servers),
            });
        }
        self.back.entries.len()
    }

    /// How the queue fares.
    pub fn figures(&self) -> QueueFigures {
        let front = self.shared.lock();
        QueueFigures {
            limit_bytes: self.shared.limit,
            bytes: front.batch.used(),
            high_bytes: front.high_bytes,
            values_lost: front.values_lost,
            states_lost: front.states_lost,
        }
    }

    /// When any channel of the server last told anything; `None` for a server never met.
    pub fn last_heard(&self, host: &str) -> Option<Timestamp> {
        let mut front = self.shared.lock();
        let number = *front.numbers.get(host)?;
        front.server(number).map(|server| server.last_heard)
    }

    /// For another thread that has something to say to the reader.
    pub fn waker(&self) -> Waker {
        Waker { shared: self.shared.clone() }
    }
}

impl Waker {
    /// Ends the reader's present or next [`Receiver::wait`].
    pub fn wake(&self) {
        let mut front = self.shared.lock();
        front.woken = true;
        front.waiting = false;
        drop(front);
        self.shared.arrived.notify_one();
    }
}

fn kind<'a>(stored: Stored, bytes: &'a [u8], servers: &'a [Arc<str>]) -> EntryKind<'a> {
    match stored {
        Stored::Up { field, elements, access, server } => {
            let host = servers.get(server as usize).map_or("", |host| host);
            EntryKind::Up { field, elements, access, host }
        }
        Stored::Down { last_heard } => EntryKind::Down { last_heard },
        Stored::Value { dbr, count, scalar } => EntryKind::Value(RawValue { dbr, count, scalar, bytes }),
        Stored::Metadata { dbr } => EntryKind::Metadata(RawMetadata { dbr, bytes }),
        Stored::Access(access) => EntryKind::Access(access),
        Stored::Refused { elements, limit } => EntryKind::Refused { elements, limit },
        Stored::Error { status } => EntryKind::Error { status },
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
