//! An archive at an address is the archive itself.

use crate::machine::{Machine, Server, counter, foreign, name, now, reader, samples};
use disk::RealDisk;
use engine::clock::SystemClock;
use engine::read::{Archive, ChannelFilter, Order, Reader, Scan};
use retrieval_server::tail::{self, RemoteArchive};
use sample::{Column, Sample, TimeRange, Timestamp, Value};
use std::sync::Arc;
use std::time::Instant;

fn remote(url: &str) -> Arc<dyn Archive> {
    Arc::new(RemoteArchive::new(url, Arc::new(SystemClock)))
}

/// Types in turn, equal stamps, late ones, text, arrays; some in tables, some in memory.
fn mixed(machine: &Machine, base: Timestamp) -> usize {
    let mut sent = 0;
    for round in 0..6_i64 {
        let begin = base.0 + round * 1_000_000_000;
        let mut samples: Vec<Sample> = (0..3_000)
            .map(|i| Sample::new(Timestamp(begin + i * 100_000), Value::Float64((i * round) as f64)))
            .collect();
        let at = |k: i64| Timestamp(begin + 400_000_000 + k);
        samples.push(Sample::new(at(0), Value::Int32(1)));
        samples.push(Sample::new(at(0), Value::Int32(2)));
        samples.push(Sample::new(at(1), Value::String(b"x\xff".as_slice().into())));
        // Together more than comes along with a tail.
        let length = if round < 4 { 100 } else { 300_000 };
        let array = Column::Float64((0..length).map(f64::from).collect());
        samples.push(Sample::new(at(2), Value::Array(Box::new(array))));
        samples.push(Sample::new(Timestamp(begin + 5), Value::Float64(-1.0)));
        sent += samples.len();
        machine.send("A", samples);
        machine.until_stored("A", sent);
        if round < 4 {
            machine.engine.flush().unwrap();
        }
    }
    sent
}

fn scans(archive: &Arc<dyn Archive>, scan: &Scan) -> Vec<Sample> {
    let view = reader(archive).view(&name("A"), scan.range).unwrap().unwrap();
    let blocks: Vec<_> = view.samples(scan).collect::<Result<_, _>>().unwrap();
    blocks.iter().flat_map(|block| (0..block.len()).map(|i| block.get(i))).collect()
}

fn same(truth: &Arc<dyn Archive>, other: &Arc<dyn Archive>, base: Timestamp) {
    let at = |ms: i64| Timestamp(base.0 + ms * 1_000_000);
    let ranges = [
        TimeRange::ALL,
        TimeRange::new(at(0), at(150)),
        TimeRange::new(at(1_100), at(5_400)),
        TimeRange::new(at(9), at(9)),
        // The next sample stands in a table of which nothing else matters.
        TimeRange::new(at(700), at(800)),
    ];
    for range in ranges {
        for order in [Order::Ascending, Order::Descending] {
            let scan = Scan { order, ..Scan::ascending(range) };
            assert_eq!(scans(other, &scan), scans(truth, &scan), "{range:?} {order:?}");
        }
        let (truth, other) = (reader(truth), reader(other));
        let view = |reader: &Reader| reader.view(&name("A"), range).unwrap().unwrap();
        let (truth, other) = (view(&truth), view(&other));
        for inclusive in [false, true] {
            let edge = |view: &engine::read::ChannelView| view.last_before(range.from, inclusive).unwrap();
            assert_eq!(edge(&other), edge(&truth));
        }
        let next = |view: &engine::read::ChannelView| view.first_from(range.to).unwrap();
        assert_eq!(next(&other), next(&truth));
        assert_eq!(other.metadata(), truth.metadata());
        assert_eq!(other.events(TimeRange::ALL), truth.events(TimeRange::ALL));
        assert!(other.problems().is_empty());
    }
}

#[test]
fn everything_comes_over_the_wire() {
    let directory = tempfile::tempdir().unwrap();
    let machine = Machine::start(directory.path(), &["A", "B"], None);
    let base = Timestamp(now().0 - 60_000_000_000);
    mixed(&machine, base);
    let truth: Arc<dyn Archive> = Arc::new(machine.engine.archive());
    let remote = remote(&machine.url());
    same(&truth, &remote, base);
    // The directory read beside the engine: a tail with more in it than comes along at once.
    same(&truth, &foreign(directory.path()), base);
    // A server of servers.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server::start(listener, tail::served(reader(&remote)));
    let twice: Arc<dyn Archive> = Arc::new(RemoteArchive::new(&server.url, Arc::new(SystemClock)));
    same(&truth, &twice, base);

    assert_eq!(remote.info().id, truth.info().id);
    assert_eq!(remote.resolve("A").unwrap(), Some(name("A")));
    assert_eq!(remote.resolve("nobody").unwrap(), None);
    assert_eq!(remote.near("AA", 3), truth.near("AA", 3));
    let filter = |after| ChannelFilter { matches: &|name| name != "B", state: None, after, limit: 0 };
    let rows = |archive: &Arc<dyn Archive>| format!("{:?}", archive.channels(&filter(None)).unwrap());
    assert_eq!(rows(&remote), rows(&truth));
    assert!(remote.channels(&filter(Some("A"))).unwrap().is_empty());
    let detail = |archive: &Arc<dyn Archive>| archive.channel(&name("A"), now()).unwrap().unwrap();
    assert_eq!(detail(&remote).types, detail(&truth).types);
    assert!(detail(&remote).live.unwrap().connected);
    assert_eq!(remote.why("A").unwrap().verdict, truth.why("A").unwrap().verdict);
}

#[test]
fn nobody_there_is_said_and_forgotten_when_somebody_comes() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let archive = remote(&format!("http://{address}"));
    let error = archive.resolve("A").unwrap_err().to_string();
    assert!(error.contains(&address.to_string()) && error.contains("does not answer"), "{error}");
    let directory = tempfile::tempdir().unwrap();
    let machine = Machine::start(directory.path(), &["A"], None);
    let archive = remote(&machine.url());
    assert_eq!(archive.resolve("A").unwrap(), Some(name("A")));
}

#[test]
fn another_program_at_the_address_is_no_archive() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server::start(listener, axum::Router::new());
    let error = remote(&server.url).resolve("A").unwrap_err().to_string();
    assert!(error.contains("404"), "{error}");
}

/// Not a bar of its own: prints how many tails a second one reader gets.
#[test]
fn tails_are_cheap() {
    let directory = tempfile::tempdir().unwrap();
    let machine = Machine::start(directory.path(), &["A"], None);
    machine.send("A", counter(Timestamp(now().0 - 10_000_000_000), 0, 100));
    machine.until_stored("A", 100);
    let archive = retrieval_server::archives::directory(
        Arc::new(RealDisk),
        Arc::new(SystemClock),
        directory.path().into(),
        None,
    );
    let archive: Arc<dyn Archive> = Arc::new(archive);
    assert_eq!(samples(&archive, "A").len(), 100);
    let started = Instant::now();
    for _ in 0..1000 {
        assert!(archive.snapshot(&name("A"), TimeRange::ALL).unwrap().is_some());
    }
    println!("{:.0} snapshots/s", 1000.0 / started.elapsed().as_secs_f64());
}
