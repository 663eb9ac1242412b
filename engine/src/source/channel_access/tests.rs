//! The source on a client without libca.

use super::client::Room;
use super::limits::{PATIENCE, SEARCH_PAUSE, SEARCHES_AT_ONCE};
use super::*;
use epics_ca::{Access, FieldType, Losses, RawMetadata, RawValue};
use sample::Value;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

#[derive(Default)]
struct Net {
    /// Everything ever created, in order: room, name, token.
    created: RefCell<Vec<(Room, String, u64)>>,
    /// Present monitors by name; two of one name at once would be a mistake.
    present: RefCell<HashMap<u64, Rc<Fake>>>,
    flushes: Cell<usize>,
}

#[derive(Default)]
struct Fake {
    connected: Cell<bool>,
    losses: Cell<Losses>,
}

struct FakeClient(Rc<Net>);

struct FakeChannel {
    token: u64,
    net: Rc<Net>,
    fake: Rc<Fake>,
}

impl Drop for FakeChannel {
    fn drop(&mut self) {
        self.net.present.borrow_mut().remove(&self.token);
    }
}

impl Client for FakeClient {
    type Channel = FakeChannel;

    fn create(
        &mut self,
        room: Room,
        name: &str,
        token: u64,
        _: epics_ca::ChannelSettings,
    ) -> Result<FakeChannel, Error> {
        if name == "refused" {
            return Err(Error::Name(name.into()));
        }
        self.0.created.borrow_mut().push((room, name.into(), token));
        let fake = Rc::new(Fake::default());
        assert!(self.0.present.borrow_mut().insert(token, fake.clone()).is_none());
        Ok(FakeChannel { token, net: self.0.clone(), fake })
    }

    fn flush(&mut self) {
        self.0.flushes.set(self.0.flushes.get() + 1);
    }

    fn connected(channel: &FakeChannel) -> bool {
        channel.fake.connected.get()
    }

    fn losses(channel: &FakeChannel) -> Losses {
        channel.fake.losses.get()
    }
}

struct Bench {
    net: Rc<Net>,
    desk: Desk<FakeClient>,
    now: Instant,
    arrivals: Vec<(u64, Arrival)>,
}

impl Bench {
    fn new() -> Bench {
        let net = Rc::new(Net::default());
        let now = Instant::now();
        let desk = Desk { monitors: Monitors::new(FakeClient(net.clone()), now), journal: Journal::new() };
        Bench { net, desk, now, arrivals: Vec::new() }
    }

    fn add(&mut self, id: u64, name: &str) {
        let name = ChannelName::stored(name).unwrap();
        self.desk.monitors.add(ChannelId(id), &name, epics_ca::ChannelSettings::default());
    }

    /// A bench on which one channel is searched; returns its token.
    fn with_one() -> (Bench, u64) {
        let mut bench = Bench::new();
        bench.add(7, "a");
        bench.desk.work(bench.now);
        let token = bench.net.created.borrow()[0].2;
        (bench, token)
    }

    fn pass(&mut self, times: Duration) {
        self.now += times;
        // Ending is limited by the machine's time: as often as it takes.
        for _ in 0..100 {
            self.desk.work(self.now);
        }
    }

    fn entry(&mut self, token: u64, lost_total: u64, kind: EntryKind<'_>) -> Vec<(u64, Arrival)> {
        let entry = Entry { token, received: Timestamp(5), lost_total, kind };
        let arrivals = &mut self.arrivals;
        self.desk.pass(&entry, self.now, &mut |channel: ChannelId, received, arrival| {
            assert_eq!(received, Timestamp(5));
            arrivals.push((channel.0, arrival));
        });
        std::mem::take(arrivals)
    }

    fn up(&mut self, token: u64) -> Vec<(u64, Arrival)> {
        let access = Access { read: true, write: false };
        self.entry(token, 0, EntryKind::Up { field: FieldType::Double, elements: 1, access, host: "h:1" })
    }

    fn settle(&mut self) -> Vec<(u64, Arrival)> {
        let arrivals = &mut self.arrivals;
        let heard = |host: &str| (host == "h:1").then_some(Timestamp(3));
        self.desk.settle(self.now, heard, &mut |channel: ChannelId, _, arrival| {
            arrivals.push((channel.0, arrival))
        });
        std::mem::take(arrivals)
    }
}

fn double(value: f64) -> Vec<u8> {
    let mut bytes = vec![0; 16];
    #[expect(clippy::host_endian_bytes, reason = "as libca hands values over")]
    bytes.extend_from_slice(&value.to_ne_bytes());
    bytes
}

#[test]
fn searches_are_paced_whatever_the_number_of_names() {
    let mut bench = Bench::new();
    for id in 0..50_000 {
        bench.add(id, &format!("N{id}"));
    }
    let mut before = 0;
    let mut batches = 0;
    while before < 50_000 {
        bench.desk.work(bench.now);
        // Too early for more.
        bench.desk.work(bench.now + SEARCH_PAUSE / 2);
        let created = bench.net.created.borrow().len();
        assert_eq!(created - before, SEARCHES_AT_ONCE);
        before = created;
        batches += 1;
        assert!(
            bench.desk.monitors.pause(bench.now, Duration::from_secs(1)) <= SEARCH_PAUSE || before == 50_000
        );
        bench.now += SEARCH_PAUSE;
    }
    assert_eq!(batches, bench.net.flushes.get());
    assert!(SEARCH_PAUSE * batches as u32 <= Duration::from_secs(2));
    assert_eq!(bench.desk.monitors.searches(), 50_000);
    bench.pass(Duration::from_secs(1));
    assert_eq!((bench.net.created.borrow().len(), bench.net.flushes.get()), (50_000, batches));
    assert_eq!(bench.desk.monitors.pause(bench.now, Duration::from_secs(1)), Duration::from_secs(1));
}

#[test]
fn only_names_that_stay_unanswered_for_a_minute_move_once() {
    let mut bench = Bench::new();
    for (id, name) in [(1, "told"), (2, "queued"), (3, "dead"), (4, "refused"), (5, "gone")] {
        bench.add(id, name);
    }
    bench.desk.work(bench.now);
    let tokens: HashMap<String, u64> =
        bench.net.created.borrow().iter().map(|(_, name, token)| (name.clone(), *token)).collect();
    assert_eq!(bench.up(tokens["told"]).len(), 1);
    bench.net.present.borrow()[&tokens["queued"]].connected.set(true);
    bench.desk.monitors.remove(ChannelId(5));
    bench.pass(PATIENCE - Duration::from_millis(1));
    assert_eq!(bench.net.created.borrow().len(), 4);
    bench.pass(Duration::from_millis(1));
    bench.pass(SEARCH_PAUSE);
    let created = bench.net.created.borrow().clone();
    assert_eq!(created.len(), 5);
    assert_eq!((created[4].0, created[4].1.as_str()), (Room::Unanswered, "dead"));
    assert_ne!(created[4].2, tokens["dead"]);
    assert_eq!(bench.net.present.borrow().len(), 3);
    // Its old token is void, the fresh one is good, and it never moves again.
    assert!(bench.up(tokens["dead"]).is_empty());
    bench.pass(PATIENCE * 3);
    assert!(matches!(bench.up(created[4].2)[..], [(3, Arrival::Connected { .. })]));
    assert_eq!((bench.net.created.borrow().len(), bench.desk.monitors.searches()), (5, 6));
}

#[test]
fn entries_of_ended_monitors_are_ignored() {
    let (mut bench, token) = Bench::with_one();
    assert_eq!(bench.up(token).len(), 1);
    bench.desk.monitors.remove(ChannelId(7));
    assert!(bench.entry(token, 9, EntryKind::Down { last_heard: Timestamp(1) }).is_empty());
    bench.add(8, "b");
    bench.add(8, "c");
    bench.pass(SEARCH_PAUSE);
    assert!(bench.up(token).is_empty());
    let created = bench.net.created.borrow().clone();
    assert_eq!(created.iter().map(|(_, name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    assert!(matches!(bench.up(created[1].2)[..], [(8, Arrival::Connected { .. })]));
    assert_eq!(bench.net.present.borrow().keys().copied().collect::<Vec<_>>(), [created[1].2]);
}

#[test]
fn every_kind_of_entry_becomes_what_it_means() {
    let (mut bench, token) = Bench::with_one();
    let none = Access::default();
    let read = Access { read: true, write: true };
    // Rights before the connection come with it.
    assert!(bench.entry(token, 0, EntryKind::Access(read)).is_empty());
    let up = bench.up(token);
    let [(7, Arrival::Connected { host, readable: true, metadata_follows: true })] = &up[..] else {
        panic!("{up:?}")
    };
    assert_eq!(&**host, "h:1");
    let metadata = RawMetadata { dbr: 28, bytes: &[0; 4] };
    let told = bench.entry(token, 0, EntryKind::Metadata(metadata));
    assert!(told.is_empty(), "malformed metadata: {told:?}");
    let bytes = double(2.5);
    let value = RawValue { dbr: 20, count: 1, scalar: true, bytes: &bytes };
    let told = bench.entry(token, 0, EntryKind::Value(value));
    let [(7, Arrival::Sample(sample))] = &told[..] else { panic!("{told:?}") };
    assert_eq!((&sample.value, sample.time), (&Value::Float64(2.5), Timestamp::from_epics(0, 0)));
    let short = RawValue { dbr: 20, count: 1, scalar: true, bytes: &bytes[1..] };
    let told = bench.entry(token, 0, EntryKind::Value(short));
    assert!(matches!(told[..], [(7, Arrival::Lost { count: 1 })]), "{told:?}");
    let told = bench.entry(token, 0, EntryKind::Access(none));
    assert!(matches!(told[..], [(7, Arrival::Access { readable: false })]), "{told:?}");
    let told = bench.entry(token, 0, EntryKind::Access(read));
    assert!(matches!(told[..], [(7, Arrival::Access { readable: true })]), "{told:?}");
    let told = bench.entry(token, 0, EntryKind::Error { status: NO_READ_ACCESS });
    assert!(matches!(told[..], [(7, Arrival::Access { readable: false })]), "{told:?}");
    assert!(bench.entry(token, 0, EntryKind::Error { status: 80 }).is_empty());
    let told = bench.entry(token, 0, EntryKind::Refused { elements: 9, limit: 8 });
    assert!(matches!(told[..], [(7, Arrival::Refused { elements: 9 })]), "{told:?}");
    let told = bench.entry(token, 0, EntryKind::Down { last_heard: Timestamp(4) });
    assert!(matches!(told[..], [(7, Arrival::Disconnected { last_heard: Timestamp(4) })]), "{told:?}");
    // Rights behind a disconnect mean nothing, nor does a second disconnect.
    assert!(bench.entry(token, 0, EntryKind::Access(none)).is_empty());
    assert!(bench.entry(token, 0, EntryKind::Down { last_heard: Timestamp(4) }).is_empty());
}

#[test]
fn every_lost_value_is_told_once() {
    let (mut bench, token) = Bench::with_one();
    bench.up(token);
    let bytes = double(1.0);
    let value = EntryKind::Value(RawValue { dbr: 20, count: 1, scalar: true, bytes: &bytes });
    let told = bench.entry(token, 3, value);
    assert!(matches!(told[..], [(7, Arrival::Lost { count: 3 }), (7, Arrival::Sample(_))]), "{told:?}");
    assert_eq!(bench.entry(token, 3, value).len(), 1);
    bench.net.present.borrow()[&token].losses.set(Losses { values: 8, states: 0 });
    let told = bench.settle();
    assert!(matches!(told[..], [(7, Arrival::Lost { count: 5 })]), "{told:?}");
    assert!(bench.settle().is_empty());
    // Entries queued before the settlement know less.
    assert_eq!(bench.entry(token, 6, value).len(), 1);
    let told = bench.entry(token, 9, value);
    assert!(matches!(told[0], (7, Arrival::Lost { count: 1 })), "{told:?}");
}

#[test]
fn a_monitor_that_lost_a_state_is_disconnected_and_begins_anew() {
    let (mut bench, token) = Bench::with_one();
    bench.up(token);
    bench.net.present.borrow()[&token].losses.set(Losses { values: 1, states: 2 });
    let told = bench.settle();
    let [(7, Arrival::Lost { count: 1 }), (7, Arrival::Disconnected { last_heard: Timestamp(3) })] = told[..]
    else {
        panic!("{told:?}")
    };
    assert!(bench.settle().is_empty());
    bench.pass(SEARCH_PAUSE);
    assert!(bench.up(token).is_empty());
    let fresh = bench.net.created.borrow()[1].clone();
    assert_eq!((fresh.0, fresh.1.as_str()), (Room::Lively, "a"));
    assert_eq!(bench.net.present.borrow().keys().copied().collect::<Vec<_>>(), [fresh.2]);
    assert!(bench.settle().is_empty());
    assert_eq!(bench.up(fresh.2).len(), 1);
}

#[test]
fn losses_are_asked_for_after_they_have_settled_and_again_when_more_came() {
    let start = Instant::now();
    let mut watch = LossWatch::default();
    assert!(!watch.due((0, 0), start + SETTLE_TIME * 5));
    let mut asked = Vec::new();
    for tenth in 0..40u32 {
        // Grows until 0.9 s, once more at 2.5 s.
        let lost = u64::from(tenth.min(9)) + u64::from(tenth >= 25);
        if watch.due((lost, 0), start + SETTLE_TIME / 10 * tenth) {
            asked.push(tenth);
        }
    }
    assert_eq!(asked, [11, 35]);
}

#[test]
fn a_second_server_is_told_of_the_channel_it_concerns() {
    let (mut bench, _) = Bench::with_one();
    let text = "Identical process variable names on multiple servers \
                (Channel: \"a\", Connecting to: h:1, Ignored: h:2)";
    let arrivals = &mut bench.arrivals;
    let mut sink = |channel: ChannelId, time: Timestamp, arrival| {
        assert_eq!(time, Timestamp(9));
        arrivals.push((channel.0, arrival));
    };
    bench.desk.message(text.into(), 1, Timestamp(9), bench.now, &mut sink);
    bench.desk.message("Virtual circuit disconnect".into(), 1, Timestamp(9), bench.now, &mut sink);
    let [(7, Arrival::TwoServers { what })] = &bench.arrivals[..] else { panic!("{:?}", bench.arrivals) };
    assert_eq!(&**what, "Connecting to: h:1, Ignored: h:2");
}
