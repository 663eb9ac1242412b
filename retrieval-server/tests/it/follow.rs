//! `/follow`: no sample is lost or sent twice, whenever clients come, leave and come again.

use crate::ask::{refused, stopped};
use crate::http::{Server, until};
use crate::memory::{Channel, Growing, Memory};
use retrieval_server::columns::{Block, Decoder};
use retrieval_server::{Code, Head, HttpSettings, Output, ServerState, answer, from_query};
use sample::{Column, Event, EventKind, Metadata, Sample, Timestamp, Value};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

const LATE: u32 = 1 << 31;

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Channels that go on receiving samples, each with its number as its value.
struct World {
    archive: Growing,
    random: Random,
    next: i64,
    late: BTreeMap<&'static str, u32>,
    /// Samples of each channel in order of arrival: number, time, rank.
    arrived: BTreeMap<&'static str, Vec<(i64, i64, u32)>>,
    /// How many more are to come.
    left: u64,
}

const NAMES: [&str; 3] = ["A", "B", "C:late"];

impl World {
    fn new(seed: u64) -> World {
        let mut memory = Memory::of(NAMES.map(|name| (name, Channel::default())));
        memory.now = Timestamp(1_000_000);
        World {
            archive: Growing::of(memory),
            random: Random(seed),
            next: 0,
            late: BTreeMap::new(),
            arrived: BTreeMap::new(),
            left: 0,
        }
    }

    fn grow(&mut self) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        let name = NAMES[self.random.below(3) as usize];
        let number = self.next;
        self.next += 1;
        let mut memory = self.archive.0.lock().unwrap();
        let channel = memory.channels.get_mut(name).unwrap();
        let newest = channel.samples.last().map_or(Timestamp(100), |s| s.time);
        let mut sample = Sample::new(newest, Value::Int64(number));
        let arrived = self.arrived.entry(name).or_default();
        if name == "C:late" && self.random.chance(40) && !channel.samples.is_empty() {
            let count = self.late.entry(name).or_default();
            sample.rank = LATE + *count;
            *count += 1;
            // Late is what is older than the newest: it follows every sample of its time.
            sample.time = Timestamp(newest.0 - 1 - self.random.below(60) as i64);
            let at = channel.late.partition_point(|s| (s.time, s.rank) < (sample.time, sample.rank));
            arrived.push((number, sample.time.0, sample.rank));
            channel.late.insert(at, sample);
            return;
        }
        let ahead = self.random.below(4) as i64 * self.random.below(10) as i64;
        sample.time = Timestamp(newest.0 + ahead);
        drop(memory);
        self.archive.push(name, sample);
        let memory = self.archive.0.lock().unwrap();
        let sample = memory.channels[name].samples.last().unwrap();
        arrived.push((number, sample.time.0, sample.rank));
    }
}

/// One connection: the world goes on while it lasts, and it breaks somewhere.
struct Connection<'a> {
    world: &'a mut World,
    bytes: Vec<u8>,
    /// Bytes after which it breaks; none for one that lasts until nothing comes any more.
    breaks: Option<usize>,
}

impl Output for Connection<'_> {
    fn head(&mut self, _head: &Head) -> io::Result<()> {
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        match self.breaks {
            Some(breaks) if self.bytes.len() > breaks => {
                self.bytes.truncate(breaks);
                Err(io::ErrorKind::BrokenPipe.into())
            }
            _ => Ok(()),
        }
    }

    fn listens(&mut self, _pending: usize) -> bool {
        if self.world.random.chance(30) {
            self.world.grow();
        }
        true
    }

    fn pause(&mut self, duration: Duration) -> io::Result<bool> {
        for _ in 0..self.world.random.below(4) {
            self.world.grow();
        }
        let ends = self.world.left == 0 && !duration.is_zero();
        // A server is told to stop at any time, too.
        Ok(!(ends || self.breaks.is_some() && self.world.random.chance(5)))
    }
}

/// A sample as a client got it.
#[derive(Debug)]
struct Got {
    name: String,
    time: i64,
    number: i64,
    late: bool,
}

/// What came whole, and where to go on.
fn understood(bytes: &[u8], columns: bool) -> (Vec<Got>, Option<String>) {
    let (mut got, mut cursor) = (Vec::new(), None);
    if columns {
        let mut decoder = Decoder::new(bytes);
        loop {
            match decoder.block() {
                Ok(Some(Block::Batch(batch))) => {
                    let Column::Int64(numbers) = &batch.block.values else { panic!() };
                    for (number, time) in numbers.iter().zip(&batch.block.time) {
                        let late = batch.json["late"] == true;
                        got.push(Got { name: batch.name.clone(), time: *time, number: *number, late });
                    }
                    cursor = Some(batch.json["cursor"].as_str().unwrap().to_string());
                }
                Ok(Some(Block::Notice(notice))) => {
                    cursor = Some(notice.json["cursor"].as_str().unwrap().to_string());
                }
                Ok(Some(Block::End(end))) => cursor = Some(end.json["cursor"].as_str().unwrap().to_string()),
                Ok(Some(Block::Bins(_) | Block::Table(_))) => panic!("not of a stream"),
                Ok(None) | Err(_) => return (got, cursor),
            }
        }
    }
    let text = std::str::from_utf8(bytes).unwrap();
    let whole = text.rfind("\n\n").map_or("", |end| &text[..end]);
    for event in whole.split("\n\n").skip(1) {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let data: Json = serde_json::from_str(field("data: ")).unwrap();
        if field("event: ") == "sample" {
            got.push(Got {
                name: data["name"].as_str().unwrap().into(),
                time: data["time_ns"].as_i64().unwrap(),
                number: data["value"].as_i64().unwrap(),
                late: data["late"] == true,
            });
        }
        cursor = Some(field("id: ").into());
    }
    (got, cursor)
}

/// One client that comes, leaves and comes again until it has all; how often it came.
fn follow_one(seed: u64) -> usize {
    let mut world = World::new(seed);
    world.left = 40;
    for _ in 0..world.random.below(60) {
        world.grow();
    }
    world.left = 60;
    let state = world.archive.state(HttpSettings::default());
    let columns = world.random.chance(30);
    let format = if columns { "columns" } else { "sse" };
    let from = 90 + world.random.below(80) as i64;
    let (mut got, mut cursor) = (Vec::new(), None::<String>);
    let mut joins = 0;
    loop {
        let breaks = (world.left > 0 && joins < 30).then(|| world.random.below(6000) as usize);
        if breaks.is_none() {
            world.left = 0;
        }
        let mut query = format!("channel=A&channel=B&channel=C:late&from_ns={from}&format={format}");
        if let Some(cursor) = &cursor {
            query.push_str(&format!("&cursor={cursor}"));
        }
        let mut connection = Connection { world: &mut world, bytes: Vec::new(), breaks };
        let pairs = from_query(&query).unwrap();
        let ended = answer(&state, "/api/v1/follow", &pairs, &mut connection);
        assert!(ended.is_ok() || breaks.is_some(), "{ended:?}");
        let (more, next) = understood(&connection.bytes, columns);
        got.extend(more);
        cursor = next.or(cursor);
        joins += 1;
        if breaks.is_none() {
            break;
        }
    }
    for name in NAMES {
        let arrived = world.arrived.get(name).cloned().unwrap_or_default();
        let mine: Vec<&Got> = got.iter().filter(|g| g.name == name).collect();
        let mut wanted: Vec<(i64, i64, u32)> =
            arrived.into_iter().filter(|(_, time, _)| *time >= from).collect();
        let mut numbers: Vec<i64> = mine.iter().map(|g| g.number).collect();
        numbers.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(numbers, wanted.iter().map(|w| w.0).collect::<Vec<_>>(), "seed {seed}, {name}");
        let place = |got: &Got| {
            let (_, time, rank) = wanted.iter().find(|w| w.0 == got.number).unwrap();
            assert_eq!(got.time, *time);
            (*time, *rank)
        };
        let order: Vec<(i64, u32)> = mine.iter().filter(|g| !g.late).map(|g| place(g)).collect();
        assert!(order.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed}, {name}: {order:?}");
        let late: Vec<i64> = mine.iter().filter(|g| g.late).map(|g| g.number).collect();
        // Between two samples that were sent in order, late ones come as they arrived.
        let mut newest = i64::MIN;
        for got in &mine {
            if got.late {
                assert!(place(got).1 >= LATE && got.time <= newest, "seed {seed}: {got:?}");
            } else {
                newest = got.time;
            }
        }
        assert!(late.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed}: {late:?}");
    }
    joins
}

#[test]
fn a_hundred_thousand_joins_of_history_and_live_give_every_sample_once_and_in_order() {
    let mut joins = 0;
    for seed in 0.. {
        joins += follow_one(seed);
        if joins >= 100_000 {
            break;
        }
    }
}

fn at(time: i64, number: i64) -> Sample {
    Sample::new(Timestamp(time), Value::Int64(number))
}

fn events(text: &str) -> Vec<(String, Json)> {
    let event = |event: &str| {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
        Some((field("event: ")?.to_string(), serde_json::from_str(field("data: ")?).unwrap()))
    };
    text.split("\n\n").filter_map(event).collect()
}

/// All of a stream whose range has an end.
fn bounded(state: &ServerState, query: &str) -> Vec<(String, Json)> {
    let (answer, stopped) = stopped(state, "/api/v1/follow", query);
    assert!(stopped.is_none(), "{stopped:?}");
    events(std::str::from_utf8(&answer.bytes).unwrap())
}

#[test]
fn samples_events_and_metadata_come_in_their_order() {
    let metadata = |units: &[u8]| Arc::new(Metadata { units: Some(units.into()), ..Metadata::default() });
    let event = |time, sequence, kind| Event { time: Timestamp(time), sequence, kind };
    let channel = Channel {
        samples: vec![at(10, 1), at(20, 2), at(20, 3), at(40, 4)],
        metadata: vec![(Timestamp(0), metadata(b"mm")), (Timestamp(30), metadata(b"m"))],
        events: vec![
            event(5, 3, EventKind::Connected { host: "old:1".into() }),
            event(20, 8, EventKind::Connected { host: "ioc:1".into() }),
            event(60, 9, EventKind::Stopped),
        ],
        ..Channel::default()
    };
    let state = Memory::of([("X", channel)]).state();
    let found = bounded(&state, "channel=NONE&channel=X&from_ns=10&to_ns=50");
    assert_eq!(found[0].0, "heartbeat");
    assert_eq!(found[0].1["channels"][0]["error"]["code"], "unknown_channel");
    assert_eq!((&found[0].1["live"], &found[0].1["from_ns"]), (&json!(false), &json!(10)));
    let sample = |time, value, units: Option<&str>| {
        let mut object = json!({"name": "X", "time_ns": time, "type": "int64", "value": value, "severity": 0, "status": 0});
        if let Some(units) = units {
            object["metadata"] = json!({"units": units});
        }
        ("sample".to_string(), object)
    };
    assert_eq!(found[1], sample(10, 1, Some("mm")));
    assert_eq!((found[2].0.as_str(), &found[2].1["kind"]), ("event", &json!("connected")));
    assert_eq!((&found[2].1["name"], &found[2].1["detail"]), (&json!("X"), &json!("ioc:1")));
    assert_eq!(found[3..6], [sample(20, 2, None), sample(20, 3, None), sample(40, 4, Some("m"))]);
    assert_eq!((found[6].0.as_str(), &found[6].1["live"]), ("heartbeat", &json!(true)));
    assert_eq!(found.len(), 7);
}

#[test]
fn what_cannot_be_read_is_told_as_a_gap() {
    let samples: Vec<Sample> = (0..20).map(|i| at(i, i)).collect();
    let state = Memory::of([("X", Channel { samples, damaged: Some(1), ..Channel::default() })]).state();
    let found = bounded(&state, "channel=X&from_ns=0&to_ns=100");
    let samples = found.iter().filter(|(kind, _)| kind == "sample").count();
    let gaps: Vec<&Json> = found.iter().filter(|(kind, _)| kind == "gap").map(|(_, gap)| gap).collect();
    assert_eq!(samples, 15);
    assert_eq!(gaps, [&json!({"name": "X", "from_ns": 5, "to_ns": 10, "count": null, "cause": "damaged"})]);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let state = Memory::of([("X", Channel::default())]).state();
    let path = "/api/v1/follow";
    let error = refused(&state, path, "channel=X&cursor=AAAA");
    assert_eq!((error.code, error.parameter.as_deref()), (Code::BadParameter, Some("cursor")));
    assert_eq!(refused(&state, path, "channel=X&from_ns=9&to_ns=8").code, Code::BadTime);
    assert_eq!(refused(&state, path, "channel=Y").code, Code::UnknownChannel);
    assert_eq!(refused(&state, path, "channel=X&format=json").code, Code::BadParameter);
    let mut many = Memory::default();
    many.channels = (0..257).map(|i| (format!("N{i}"), Channel::default())).collect();
    let state = many.state();
    assert_eq!(refused(&state, path, "match=*").code, Code::TooLarge);
}

/// A stream over HTTP, read as it comes.
struct Reading {
    input: Box<dyn Read + Send>,
    text: String,
}

impl Reading {
    fn of(response: ureq::http::Response<ureq::Body>) -> Reading {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Reading { input: Box::new(response.into_body().into_reader()), text: String::new() }
    }

    /// Reads until an event of `kind` came; all events so far.
    fn until(&mut self, kind: &str, count: usize) -> Vec<(String, Json)> {
        let mut buffer = [0; 65536];
        loop {
            let whole = self.text.rfind("\n\n").map_or("", |end| &self.text[..end]);
            let found = events(whole);
            if found.iter().filter(|(k, _)| k == kind).count() >= count {
                return found;
            }
            let read = self.input.read(&mut buffer).unwrap();
            assert!(read > 0, "the stream ended: {found:?}");
            self.text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
    }

    fn last_id(&self) -> String {
        let id = self.text.rfind("\nid: ").unwrap();
        self.text[id + 5..].lines().next().unwrap().into()
    }
}

fn growing() -> Growing {
    Growing::of(Memory::of([("X", Channel { samples: vec![at(1, 1)], ..Channel::default() })]))
}

#[test]
fn a_new_sample_is_there_within_a_second_and_a_browser_goes_on_where_it_was() {
    let archive = growing();
    let server = Server::over(archive.state(HttpSettings::default()));
    let path = "/api/v1/follow?channel=X&from_ns=0";
    let mut reading = Reading::of(server.get(path, &[("accept", "text/event-stream")]));
    reading.until("heartbeat", 2);
    let began = Instant::now();
    archive.push("X", at(5, 2));
    let found = reading.until("sample", 2);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(found.last().unwrap().1["value"], 2);
    let id = reading.last_id();
    drop(reading);
    archive.push("X", at(5, 3));
    let mut again = Reading::of(server.get(path, &[("last-event-id", &id)]));
    let found = again.until("sample", 1);
    let values: Vec<&Json> =
        found.iter().filter(|(kind, _)| kind == "sample").map(|(_, s)| &s["value"]).collect();
    assert_eq!(values, [3]);
}

#[test]
fn followers_have_places_of_their_own() {
    let settings = HttpSettings { requests_max: 1, followers_max: 4, ..HttpSettings::default() };
    let server = Server::over(growing().state(settings));
    let path = "/api/v1/follow?channel=X";
    let first = Reading::of(server.get(path, &[]));
    let _second = Reading::of(server.get(path, &[]));
    let third = server.get(path, &[]);
    assert_eq!(third.status(), 429);
    assert!(third.headers().contains_key("retry-after"));
    assert_eq!(server.get("/api/v1/samples?channel=X", &[]).status(), 200);
    drop(first);
    until(|| server.get("/api/v1/follow?channel=X&to_ns=5&from_ns=0", &[]).status() == 200);
}

#[test]
fn a_server_that_stops_ends_its_streams() {
    let server = Server::over(growing().state(HttpSettings::default()));
    let mut sse = Reading::of(server.get("/api/v1/follow?channel=X&from_ns=0", &[]));
    sse.until("heartbeat", 2);
    let mut columns =
        server.get("/api/v1/follow?channel=X&from_ns=0&format=columns", &[]).into_body().into_reader();
    let began = Instant::now();
    drop(server);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(io::copy(&mut sse.input, &mut io::sink()).ok(), Some(0));
    let mut bytes = Vec::new();
    columns.read_to_end(&mut bytes).unwrap();
    let (batches, end) = retrieval_server::columns::decode(&bytes).unwrap();
    assert_eq!((batches.len(), end.samples, end.complete), (1, 1, true));
}

#[test]
fn a_slow_client_is_told_what_it_missed() {
    let archive = growing();
    let settings = HttpSettings { follow_behind_max: 1000, ..HttpSettings::default() };
    let server = Server::over(archive.state(settings));
    let mut reading = Reading::of(server.get("/api/v1/follow?channel=X&from_ns=0", &[]));
    reading.until("heartbeat", 2);
    // It takes nothing while this comes, which is more than all buffers between hold.
    let mut time = 10;
    for _ in 0..60 {
        let mut memory = archive.0.lock().unwrap();
        let samples = &mut memory.channels.get_mut("X").unwrap().samples;
        for _ in 0..2000 {
            time += 1;
            samples.push(at(time, time));
        }
        drop(memory);
        std::thread::sleep(Duration::from_millis(20));
    }
    archive.push("X", at(time + 1, -1));
    let mut buffer = [0; 65536];
    while !reading.text.contains("\"value\":-1,") {
        let read = reading.input.read(&mut buffer).unwrap();
        reading.text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    let (mut next, mut missed) = (11, 0);
    for (kind, data) in events(&reading.text) {
        if kind == "gap" {
            assert_eq!((&data["cause"], &data["from_ns"]), (&json!("slow_reader"), &json!(next)));
            assert_eq!(data["count"], data["to_ns"].as_i64().unwrap() - next);
            missed += data["count"].as_i64().unwrap();
            next = data["to_ns"].as_i64().unwrap();
        } else if kind == "sample" && data["value"] != 1 {
            assert_eq!(data["time_ns"], next);
            next += 1;
        }
    }
    assert_eq!(next, time + 2);
    assert!(missed > 0);
}
