//! Channel Access against real C IOCs.
//!
//! libca takes its addresses once per process: all tests share a client that knows a handful of port
//! blocks, and each test starts its IOCs on blocks of its own.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod load;
mod outages;
mod values;

use epics_ca::ioc::{Ioc, Ports, client_settings};
use epics_ca::{
    Channel, ChannelSettings, Context, Entry, EntryKind, Library, LibraryPlaces, Reading, Receiver, Sender,
    queue,
};
use sample::{Metadata, Timestamp};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

/// As many as there are tests.
const BLOCKS: usize = 12;

static PORTS: LazyLock<Vec<Ports>> = LazyLock::new(|| (0..BLOCKS).map(|_| Ports::free().unwrap()).collect());
static LIBRARY: LazyLock<Library> = LazyLock::new(|| {
    Library::open(&LibraryPlaces::of_this_process(None)).unwrap_or_else(|error| panic!("{error}"))
});

/// A block that no other test uses.
fn ports() -> Ports {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    PORTS[NEXT.fetch_add(1, Relaxed)]
}

/// The text with this block's mark in all record names (those of tests begin with `X:` or `T:`), as all
/// IOCs of this process are searched for every name.
fn own(ports: Ports, text: &str) -> String {
    text.replace("X:", &format!("X{}:", ports.server())).replace("T:", &format!("T{}:", ports.server()))
}

/// An IOC with these records under names of its own.
fn start(ports: Ports, database: &str) -> Ioc {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.db");
    std::fs::write(&file, own(ports, database)).unwrap();
    Ioc::start(ports, &file).unwrap_or_else(|error| panic!("{error}"))
}

fn context(sender: Sender) -> Context {
    /// Contexts are made one after the other, so that the first one's environment is set alone.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap();
    Context::create(&LIBRARY, &client_settings(&PORTS), sender).unwrap_or_else(|error| panic!("{error}"))
}

/// What happened, owned.
#[derive(Clone, PartialEq, Debug)]
enum Seen {
    Up { elements: u64, write: bool, host: String },
    Down { last_heard: Timestamp, noticed: Timestamp },
    Value(Reading),
    Metadata(Metadata),
    Access(bool),
    Refused { elements: u64, limit: u64 },
    Error(i32),
}

/// A client with its entries.
struct Client {
    ports: Ports,
    context: Context,
    receiver: Receiver,
    seen: Vec<(u64, Seen)>,
    channels: Vec<Channel>,
}

impl Client {
    fn new(ports: Ports) -> Client {
        let (sender, receiver) = queue(16 << 20);
        Client { ports, context: context(sender), receiver, seen: Vec::new(), channels: Vec::new() }
    }

    /// Monitors channels; tokens are their positions.
    fn monitor(&mut self, names: &[&str], settings: ChannelSettings) {
        for name in names {
            let token = self.channels.len() as u64;
            self.channels.push(self.context.channel(&own(self.ports, name), token, settings).unwrap());
        }
        self.context.flush();
    }

    /// Takes what is queued.
    fn take(&mut self) {
        let seen = &mut self.seen;
        self.receiver.drain(|entry| seen.push((entry.token, owned(&entry))));
    }

    /// Waits until `enough` is pleased with what was seen since the last call.
    fn until(&mut self, what: &str, enough: impl Fn(&[(u64, Seen)]) -> bool) -> Vec<(u64, Seen)> {
        let started = Instant::now();
        self.take();
        while !enough(&self.seen) {
            let hang = started.elapsed() > Duration::from_secs(90);
            assert!(!hang, "waited in vain for {what}; seen {:?}", self.seen);
            self.receiver.wait(Duration::from_millis(100));
            self.take();
        }
        std::mem::take(&mut self.seen)
    }

    /// Waits until `count` values of every channel came.
    fn values(&mut self, count: usize) -> Vec<(u64, Seen)> {
        let channels = self.channels.len() as u64;
        self.until("values", |seen| (0..channels).all(|token| readings(seen, token).len() >= count))
    }
}

fn owned(entry: &Entry<'_>) -> Seen {
    match &entry.kind {
        EntryKind::Up { elements, access, host, .. } => {
            assert!(access.read);
            Seen::Up { elements: *elements, write: access.write, host: (*host).to_owned() }
        }
        EntryKind::Down { last_heard } => Seen::Down { last_heard: *last_heard, noticed: entry.received },
        EntryKind::Value(raw) => Seen::Value(raw.decode().unwrap()),
        EntryKind::Metadata(raw) => Seen::Metadata(raw.decode().unwrap()),
        EntryKind::Access(access) => Seen::Access(access.read),
        EntryKind::Refused { elements, limit } => Seen::Refused { elements: *elements, limit: *limit },
        EntryKind::Error { status } => Seen::Error(*status),
    }
}

fn readings(seen: &[(u64, Seen)], token: u64) -> Vec<Reading> {
    let of_token = seen.iter().filter(|(t, _)| *t == token);
    of_token
        .filter_map(|(_, seen)| if let Seen::Value(reading) = seen { Some(reading.clone()) } else { None })
        .collect()
}

fn metadata(seen: &[(u64, Seen)], token: u64) -> Vec<Metadata> {
    let of_token = seen.iter().filter(|(t, _)| *t == token);
    of_token
        .filter_map(|(_, seen)| if let Seen::Metadata(found) = seen { Some(found.clone()) } else { None })
        .collect()
}

fn count(seen: &[(u64, Seen)], is: impl Fn(&Seen) -> bool) -> usize {
    seen.iter().filter(|(_, seen)| is(seen)).count()
}
