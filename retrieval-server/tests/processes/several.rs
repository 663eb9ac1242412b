//! Several archives as one, some of them not there.

use crate::machine::{Machine, counter, name, now};
use disk::{Disk, RealDisk};
use engine::clock::{Clock, SystemClock};
use engine::config::server::{Location, ServedArchive, ServerConfig};
use engine::read::{ProblemCode, ReadError, Reader, Scan};
use retrieval_server::archives;
use sample::{Sample, TimeRange, Timestamp, Value};
use std::path::Path;
use std::sync::Arc;

fn served(config: &str) -> Reader {
    let config = ServerConfig::parse(config, Path::new("/nowhere/archserver.toml")).unwrap();
    let (disk, clock): (Arc<dyn Disk>, Arc<dyn Clock>) = (Arc::new(RealDisk), Arc::new(SystemClock));
    archives::reader(&disk, &clock, &config.archives)
}

fn values(reader: &Reader, channel: &str) -> (Vec<(i64, Value)>, Vec<ProblemCode>) {
    let view = reader.view(&name(channel), TimeRange::ALL).unwrap().unwrap();
    let blocks: Vec<_> = view.samples(&Scan::ascending(TimeRange::ALL)).collect::<Result<_, _>>().unwrap();
    let samples = blocks.iter().flat_map(|block| (0..block.len()).map(|i| block.get(i)));
    let values = samples.map(|sample| (sample.time.0, sample.value)).collect();
    (values, view.problems().iter().map(|problem| problem.code).collect())
}

#[test]
fn a_channel_of_two_archives_is_their_union_and_the_better_one_wins() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let base = now().0 - 60_000_000_000;
    let [one, two] = [&first, &second].map(|d| Machine::start(d.path(), &["A"], None));
    let sample = |i: i64, value: f64| Sample::new(Timestamp(base + i * 1_000_000), Value::Float64(value));
    one.send("A", (0..100).map(|i| sample(i, 1.0)));
    two.send("A", (50..200).map(|i| sample(i, 2.0)));
    one.until_stored("A", 100);
    two.until_stored("A", 150);
    let expected = |winner: f64, other: f64, inside: std::ops::Range<i64>| -> Vec<(i64, Value)> {
        let value = |i| if inside.contains(&i) { winner } else { other };
        (0..200).map(|i| (base + i * 1_000_000, Value::Float64(value(i)))).collect()
    };
    let config = |priority: i32| {
        format!(
            "[[archives]]\nname = \"one\"\ndirectory = {:?}\npriority = {priority}\n\
             [[archives]]\nname = \"two\"\nurl = {:?}\npriority = 5\n",
            first.path(),
            two.url()
        )
    };
    assert_eq!(values(&served(&config(1)), "A"), (expected(1.0, 2.0, 0..100), vec![]));
    let reader = served(&config(9));
    assert_eq!(values(&reader, "A"), (expected(2.0, 1.0, 50..200), vec![]));
    // The better one leaves: the other answers, and the answer says what it lacks.
    drop(two);
    let (left, problems) = values(&reader, "A");
    assert_eq!((left.len(), problems), (100, vec![ProblemCode::ArchiveUnavailable]));
}

#[test]
fn an_archive_that_is_missing_at_first_joins_when_it_comes() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let machine = Machine::start(here.path(), &["A"], None);
    machine.send("A", counter(Timestamp(now().0 - 10_000_000_000), 0, 10));
    machine.until_stored("A", 10);
    let late = there.path().join("late");
    let reader = served(&format!(
        "[[archives]]\nname = \"here\"\ndirectory = {:?}\n[[archives]]\nname = \"late\"\ndirectory = {late:?}\n",
        here.path()
    ));
    let (found, problems) = values(&reader, "A");
    assert_eq!((found.len(), problems), (10, vec![ProblemCode::ArchiveUnavailable]));
    let machine = Machine::start(&late, &["B"], None);
    machine.send("B", counter(Timestamp(now().0 - 10_000_000_000), 0, 5));
    machine.until_stored("B", 5);
    assert_eq!(values(&reader, "B").0.len(), 5);
    assert!(values(&reader, "A").1.is_empty());
}

#[test]
fn a_configuration_becomes_members_by_priority() {
    let reader = served(
        "[[archives]]\nname = \"b\"\ndirectory = \"x\"\npriority = 2\n\
         [[archives]]\nname = \"a\"\nurl = \"http://127.0.0.1:1\"\npriority = 1\n",
    );
    let names: Vec<&str> = reader.members().iter().map(|member| member.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(matches!(reader.resolve("A"), Err(ReadError::Unavailable(_))));
    let served = ServedArchive {
        name: "b".into(),
        location: Location::Directory("/nowhere/x".into()),
        live: None,
        priority: 2,
        origin: engine::config::Origin::place("test"),
    };
    let (disk, clock): (Arc<dyn Disk>, Arc<dyn Clock>) = (Arc::new(RealDisk), Arc::new(SystemClock));
    assert_eq!(archives::reader(&disk, &clock, &[served]).members()[0].archive.info().path, "/nowhere/x");
}
