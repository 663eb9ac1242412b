//! The same requests over a real engine on a real disk.

use crate::ask::{ask, json};
use engine::clock::{Clock, SystemClock};
use engine::config::{ChannelSettings, Config, ConfiguredChannel, Origin};
use engine::read::{Member, Reader};
use engine::source::{Arrival, SimulatedHandle, SimulatedSource};
use engine::{Engine, EngineParts};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use retrieval_server::{Head, HttpSettings, Output, ServerState, columns};
use sample::{ChannelName, Metadata, Sample, Timestamp, Value};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn names() -> Vec<String> {
    let odd = ["SR:C01{BPM:1}X-I", "A/B", "A+B", "A#1", "A;B", "é"];
    odd.into_iter().map(String::from).chain(["n".repeat(1024)]).collect()
}

fn start(directory: &Path) -> (Arc<Engine>, SimulatedHandle, ServerState) {
    let mut config = Config::new(directory.into());
    for (line, name) in (1..).zip(names()) {
        let origin = Origin::place("test.toml").at(line);
        let name = ChannelName::stored(&name).unwrap();
        config.channels.push(ConfiguredChannel {
            name,
            settings: Arc::new(ChannelSettings::default()),
            origin,
        });
    }
    config.archive.reserve_bytes = 64 << 10;
    let (source, feed) = SimulatedSource::new();
    let parts = EngineParts {
        config,
        disk: Arc::new(disk::RealDisk),
        clock: Arc::new(SystemClock),
        source: Box::new(source),
        address: "http://127.0.0.1:1".into(),
        flush_every: None,
    };
    let engine = Arc::new(Engine::start(parts).unwrap());
    let member = Member { name: "real".into(), priority: 1, archive: Arc::new(engine.archive()) };
    let state = ServerState::new(Reader::new(vec![member]), Some(engine.clone()), HttpSettings::default());
    (engine, feed, state)
}

fn encoded(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

/// Waits for `condition`; gives up after a time far beyond any that it can take.
fn until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(60), "never {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until the newest value of every channel is `value`.
fn until_newest(state: &ServerState, value: i64) {
    until("stored", || {
        let answer = json(state, "/api/v1/at", "match=*");
        let channels = answer["channels"].as_array().unwrap();
        channels.len() == names().len() && channels.iter().all(|c| c["value"] == value)
    });
}

const COUNT: i64 = 300;

/// Sample `i`: ten milliseconds behind the one before, its number as its value.
fn time(start: i64, i: i64) -> Timestamp {
    Timestamp(start + i * 10_000_000)
}

fn send(feed: &SimulatedHandle, start: i64, numbers: std::ops::Range<i64>) {
    let now = SystemClock.now();
    for name in names() {
        let name = ChannelName::stored(&name).unwrap();
        let sample =
            |i| Arrival::Sample(Sample::new(time(start, i), Value::Int32(i32::try_from(i).unwrap())));
        feed.send_all(numbers.clone().map(|i| (name.clone(), now, sample(i))));
    }
}

fn connect(feed: &SimulatedHandle) {
    let now = SystemClock.now();
    for name in names() {
        let name = ChannelName::stored(&name).unwrap();
        let host = "ioc:5064".into();
        let connected = Arrival::Connected { host, readable: true, metadata_follows: true };
        feed.send(&name, now, connected);
        let units = Some(b"mm".as_slice().into());
        feed.send(&name, now, Arrival::Metadata(Box::new(Metadata { units, ..Metadata::default() })));
    }
}

fn check(state: &ServerState, start: i64) {
    let [a, b, c] = [0, COUNT / 3, COUNT].map(|i| time(start, i).0);
    for name in names() {
        let values = |from: i64, to: i64| {
            let query = format!("channel={}&from_ns={from}&to_ns={to}", encoded(&name));
            let answer = json(state, "/api/v1/samples", &query);
            assert_eq!(answer["complete"], true);
            let channel = &answer["channels"][0];
            assert_eq!(channel["name"], name.as_str());
            let segments = channel["segments"].as_array().unwrap();
            assert!(segments.iter().all(|s| s["type"] == "int32" && s["metadata"]["units"] == "mm"));
            let values = segments.iter().flat_map(|s| s["value"].as_array().unwrap().clone());
            let values: Vec<i64> = values.map(|v| v.as_i64().unwrap()).collect();
            let columns = ask(state, "/api/v1/samples", &format!("{query}&format=columns"));
            assert_eq!(columns::decode(&columns.bytes).unwrap().1.samples, values.len() as u64);
            values
        };
        let mut both = values(a, b);
        both.extend(values(b, c));
        assert_eq!(both, values(a, c));
        assert_eq!(both, (0..COUNT).collect::<Vec<_>>());
        let coverage =
            json(state, "/api/v1/coverage", &format!("channel={}&from_ns={a}&to_ns={c}", encoded(&name)));
        let totals = coverage["channels"][0]["totals_ns"].as_object().unwrap();
        assert_eq!(totals.values().map(|v| v.as_i64().unwrap()).sum::<i64>(), c - a);
        let list = json(state, "/api/v1/channels", &format!("match={}", encoded(&name)));
        assert_eq!(list["channels"][0]["samples"], COUNT);
        let why = json(state, "/api/v1/why", &format!("channel={}", encoded(&name)));
        assert_eq!(
            why["channels"][0]["evidence"]["origin"].as_str().map(|o| o.starts_with("test")),
            Some(true)
        );
    }
}

/// A follower's events so far.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<(Vec<u8>, bool)>>);

impl Output for Heard {
    fn head(&mut self, _head: &Head) -> io::Result<()> {
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap().0.extend_from_slice(bytes);
        Ok(())
    }

    fn listens(&mut self, _pending: usize) -> bool {
        true
    }

    fn pause(&mut self, _duration: Duration) -> io::Result<bool> {
        std::thread::sleep(Duration::from_millis(5));
        Ok(!self.0.lock().unwrap().1)
    }
}

impl Heard {
    /// Values in order; late ones negative.
    fn values(&self) -> Vec<i64> {
        let text = String::from_utf8(self.0.lock().unwrap().0.clone()).unwrap();
        let samples = text.split("\n\n").filter(|event| event.starts_with("event: sample"));
        let value = |event: &str| {
            let data: serde_json::Value =
                serde_json::from_str(event.split("data: ").nth(1).unwrap()).unwrap();
            data["value"].as_i64().unwrap() * if data["late"] == true { -1 } else { 1 }
        };
        samples.map(value).collect()
    }
}

#[test]
fn a_follower_of_an_engine_gets_each_sample_once_across_flushes_and_late_ones() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, feed, state) = start(&directory.path().join("archive"));
    connect(&feed);
    let began = SystemClock.now().0 - COUNT * 10_000_000;
    send(&feed, began, 0..50);
    until_newest(&state, 49);
    let heard = Heard::default();
    let follower = {
        let (state, mut heard) = (state.clone(), heard.clone());
        std::thread::spawn(move || {
            let pairs = retrieval_server::from_query(&format!("channel=A%2FB&from_ns={began}")).unwrap();
            retrieval_server::answer(&state, "/api/v1/follow", &pairs, &mut heard).unwrap();
        })
    };
    until("joined", || heard.values().len() == 50);
    for part in 1..5 {
        send(&feed, began, part * 50..part * 50 + 50);
        until("sent", || heard.values().len() as i64 == part * 51 + 49);
        let name = ChannelName::stored("A/B").unwrap();
        // Older than the newest by half a second less one nanosecond.
        let stamp = Timestamp(time(began, part * 50 + 49).0 - 499_999_999);
        let late = Sample::new(stamp, Value::Int32(i32::try_from(1000 + part).unwrap()));
        feed.send(&name, SystemClock.now(), Arrival::Sample(late));
        engine.flush().unwrap();
        until("sent late", || heard.values().contains(&-(1000 + part)));
    }
    // Long enough to look several times.
    std::thread::sleep(Duration::from_millis(100));
    heard.0.lock().unwrap().1 = true;
    follower.join().unwrap();
    let mut expected: Vec<i64> = (0..250).collect();
    for part in (1..5).rev() {
        let at = usize::try_from(part * 50 + 50).unwrap();
        expected.insert(at, -(1000 + part));
    }
    assert_eq!(heard.values(), expected);
    engine.stop();
}

#[test]
fn an_engine_answers_from_memory_from_disk_and_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().join("archive");
    let (engine, feed, state) = start(&directory);
    connect(&feed);
    let began = SystemClock.now().0 - COUNT * 10_000_000;
    send(&feed, began, 0..COUNT / 2);
    until_newest(&state, COUNT / 2 - 1);
    engine.flush().unwrap();
    send(&feed, began, COUNT / 2..COUNT);
    until_newest(&state, COUNT - 1);
    check(&state, began);
    // What is known of this moment is known a heartbeat later.
    let moment = SystemClock.now().0;
    until("held", || {
        let at = json(&state, "/api/v1/at", &format!("channel=A%2BB&time_ns={moment}"));
        at["channels"][0]["state"] == "held" && at["channels"][0]["held"] == true
    });
    let status = json(&state, "/api/v1/status", "");
    assert_eq!(status["channels"]["connected"], names().len());
    let metrics = crate::ask::text(&state, "/metrics", "");
    let stored = format!("varve_samples_stored_total {}", COUNT * names().len() as i64);
    assert!(metrics.contains(&stored), "{metrics}");
    drop((engine, state));
    let (engine, _feed, state) = start(&directory);
    check(&state, began);
    engine.stop();
}
