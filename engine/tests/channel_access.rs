//! The Channel Access source against real C IOCs.
//!
//! libca takes its addresses once per process and prints for all contexts at once: the tests share a
//! handful of port blocks and run one after the other.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use engine::config::{ChannelAccessSettings, ChannelSettings, EventMask, HostEntry, Origin};
use engine::source::{Arrival, ChannelAccessSource, Source};
use epics_ca::ioc::{self, Ioc, Ports};
use sample::{ChannelId, ChannelName, Kind, Metadata, Sample, Severity, Timestamp, Value, ValueType};
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{LazyLock, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// As many as the tests use.
const BLOCKS: usize = 8;

static PORTS: LazyLock<Vec<Ports>> = LazyLock::new(|| (0..BLOCKS).map(|_| Ports::free().unwrap()).collect());

/// The log of the test that runs.
static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct KeepLog;

struct Text<'a>(&'a mut String);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl<S: tracing::Subscriber> Layer<S> for KeepLog {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut text = event.metadata().level().to_string();
        event.record(&mut Text(&mut text));
        LOG.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }
}

/// A test's turn, with an empty log.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    static SUBSCRIBE: Once = Once::new();
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    SUBSCRIBE.call_once(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(KeepLog)).unwrap();
    });
    log();
    turn
}

/// Takes the lines logged since the last call.
fn log() -> Vec<String> {
    std::mem::take(&mut LOG.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A block that no other test uses.
fn ports() -> Ports {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    PORTS[NEXT.fetch_add(1, Relaxed)]
}

/// An IOC with these records.
fn start(ports: Ports, database: &str) -> Ioc {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.db");
    std::fs::write(&file, database).unwrap();
    Ioc::start(ports, &file).unwrap_or_else(|error| panic!("{error}"))
}

/// The source with everything that it told, by channel.
struct Reader {
    source: ChannelAccessSource,
    ids: HashMap<String, ChannelId>,
    told: Vec<Vec<(Timestamp, Arrival)>>,
}

impl Reader {
    fn new() -> Reader {
        let host = |ports: &Ports| HostEntry {
            host: format!("127.0.0.1:{}", ports.server()),
            origin: Origin::place("test"),
        };
        let settings = ChannelAccessSettings {
            address_list: Some(PORTS.iter().map(host).collect()),
            auto_address_list: Some(false),
            name_servers: Some(Vec::new()),
            server_port: Some(PORTS[0].server()),
            repeater_port: Some(PORTS[0].repeater()),
            library: None,
        };
        let source = ChannelAccessSource::open(&settings).unwrap_or_else(|error| panic!("{error}"));
        Reader { source, ids: HashMap::new(), told: vec![Vec::new()] }
    }

    fn add(&mut self, name: &str, settings: &ChannelSettings) {
        let id = ChannelId(self.told.len() as u64);
        self.told.push(Vec::new());
        self.ids.insert(name.into(), id);
        self.source.add(id, &ChannelName::stored(name).unwrap(), settings);
    }

    fn of(&self, name: &str) -> &[(Timestamp, Arrival)] {
        &self.told[usize::try_from(self.ids[name].0).unwrap()]
    }

    fn samples(&self, name: &str) -> impl Iterator<Item = &Sample> {
        self.of(name).iter().filter_map(|(_, arrival)| match arrival {
            Arrival::Sample(sample) => Some(sample),
            _ => None,
        })
    }

    fn metadata(&self, name: &str) -> Option<&Metadata> {
        self.of(name).iter().rev().find_map(|(_, arrival)| match arrival {
            Arrival::Metadata(metadata) => Some(&**metadata),
            _ => None,
        })
    }

    fn receive(&mut self) {
        let told = &mut self.told;
        self.source.receive(Duration::from_millis(50), &mut |channel: ChannelId, received, arrival| {
            told[usize::try_from(channel.0).unwrap()].push((received, arrival));
        });
    }

    /// Receives until `enough`, at least once.
    fn until(&mut self, what: &str, enough: impl Fn(&Reader) -> bool) {
        let started = Instant::now();
        loop {
            self.receive();
            if enough(self) {
                return;
            }
            let hang = started.elapsed() > Duration::from_secs(120);
            assert!(!hang, "waited in vain for {what}; log {:#?}", log());
        }
    }

    fn forget(&mut self) {
        self.told.iter_mut().for_each(Vec::clear);
    }

    fn all(&self, is: impl Fn(&[(Timestamp, Arrival)]) -> bool) -> bool {
        self.told.iter().skip(1).all(|told| is(told))
    }
}

fn connected(told: &[(Timestamp, Arrival)]) -> bool {
    told.iter().any(|(_, arrival)| matches!(arrival, Arrival::Connected { .. }))
}

fn disconnected(told: &[(Timestamp, Arrival)]) -> bool {
    told.iter().any(|(_, arrival)| matches!(arrival, Arrival::Disconnected { .. }))
}

fn sampled(told: &[(Timestamp, Arrival)]) -> bool {
    told.iter().any(|(_, arrival)| matches!(arrival, Arrival::Sample(_)))
}

fn scalar(kind: Kind) -> ValueType {
    ValueType::scalar(kind)
}

const TYPES: &str = r#"
record(ai,"A:double"){field(VAL,"1.5") field(PINI,"YES") field(EGU,"mA") field(PREC,"3") field(HIHI,"1") field(HHSV,"MAJOR")}
record(longin,"A:long"){field(VAL,"-7") field(PINI,"YES")}
record(bi,"A:enum"){field(VAL,"1") field(PINI,"YES") field(ZNAM,"Off") field(ONAM,"On")}
record(stringin,"A:string"){field(VAL,"text") field(PINI,"YES")}
record(waveform,"A:short"){field(FTVL,"SHORT") field(NELM,"1") field(INP,[-3]) field(PINI,"YES")}
record(waveform,"A:float"){field(FTVL,"FLOAT") field(NELM,"1") field(INP,[0.5]) field(PINI,"YES")}
record(waveform,"A:char"){field(FTVL,"UCHAR") field(NELM,"1") field(INP,[200]) field(PINI,"YES")}
record(waveform,"A:array"){field(FTVL,"DOUBLE") field(NELM,"10") field(INP,[1,2,3]) field(PINI,"YES")}
record(waveform,"A:long array"){field(FTVL,"DOUBLE") field(NELM,"11") field(INP,[1,2,3]) field(PINI,"YES")}
"#;

#[test]
#[ignore = "needs a C IOC: cargo xtask test"]
fn every_type_arrives_with_its_metadata_before_its_first_value() {
    let _turn = turn();
    let mut ioc = start(ports(), &TYPES.replace("A:long array", "A:refused"));
    let mut reader = Reader::new();
    let kinds = [
        ("A:double", scalar(Kind::Float64)),
        ("A:long", scalar(Kind::Int32)),
        ("A:enum", scalar(Kind::Enum)),
        ("A:string", scalar(Kind::String)),
        ("A:short", scalar(Kind::Int16)),
        ("A:float", scalar(Kind::Float32)),
        ("A:char", scalar(Kind::UInt8)),
        ("A:array", ValueType::array(Kind::Float64)),
    ];
    let events = EventMask { archive: true, alarm: true, value: true };
    let settings = ChannelSettings { events, max_elements: 10, ..ChannelSettings::default() };
    for (name, _) in kinds {
        reader.add(name, &settings);
    }
    reader.add("A:refused", &settings);
    reader.until("values", |reader| {
        kinds.iter().all(|(name, _)| sampled(reader.of(name))) && reader.of("A:refused").len() > 1
    });
    for (name, value_type) in kinds {
        let told = reader.of(name);
        let order = told.iter().map(|(_, arrival)| match arrival {
            Arrival::Connected { readable: true, metadata_follows: true, .. } => 'C',
            Arrival::Metadata(_) => 'M',
            Arrival::Sample(_) => 'S',
            _ => '?',
        });
        assert!(order.collect::<String>().starts_with("CMS"), "{name}: {told:?}");
        assert!(told.is_sorted_by_key(|(received, _)| *received), "{name}: {told:?}");
        assert_eq!(reader.samples(name).next().unwrap().value.value_type(), value_type, "{name}");
    }
    let double = reader.samples("A:double").next().unwrap();
    assert_eq!((&double.value, double.severity), (&Value::Float64(1.5), Severity::Major));
    assert_eq!(reader.metadata("A:double").unwrap().units.as_deref(), Some(&b"mA"[..]));
    assert_eq!(reader.metadata("A:enum").unwrap().states.as_ref().unwrap().len(), 2);
    let refused = &reader.of("A:refused")[1].1;
    assert!(matches!(refused, Arrival::Refused { elements: 11 }), "{refused:?}");

    reader.forget();
    ioc.command("dbpf A:double.EGU kV").unwrap();
    reader.until("other units", |reader| reader.metadata("A:double").is_some());
    assert_eq!(reader.metadata("A:double").unwrap().units.as_deref(), Some(&b"kV"[..]));
    assert_eq!(reader.source.searches(), 9);
}

#[test]
#[ignore = "needs a C IOC: cargo xtask test"]
fn a_crash_is_told_and_the_record_may_come_back_as_another_type() {
    let _turn = turn();
    let ports = ports();
    let ioc = start(ports, "record(calc,\"B:a\"){field(SCAN,\".1 second\") field(CALC,\"VAL+1\")}");
    let mut reader = Reader::new();
    reader.add("B:a", &ChannelSettings::default());
    reader.until("values", |reader| reader.samples("B:a").count() > 3);
    reader.forget();
    ioc.kill();
    reader.until("a disconnect", |reader| disconnected(reader.of("B:a")));
    let told = reader.of("B:a");
    let Some((received, Arrival::Disconnected { last_heard })) = told.last() else { panic!("{told:?}") };
    assert!((0..10_000_000_000).contains(&received.since(*last_heard)), "{told:?}");
    reader.forget();
    let _ioc = start(ports, "record(stringin,\"B:a\"){field(VAL,\"text\") field(PINI,\"YES\")}");
    reader.until("another type", |reader| sampled(reader.of("B:a")));
    let told = reader.of("B:a");
    assert!(matches!(told[0].1, Arrival::Connected { readable: true, .. }), "{told:?}");
    assert_eq!(reader.samples("B:a").next().unwrap().value, Value::text("text"));
    assert_eq!(reader.source.searches(), 1);
}

#[test]
#[ignore = "needs a C IOC: cargo xtask test"]
fn a_removed_channel_is_silent_and_comes_back_under_other_settings() {
    let _turn = turn();
    let counter =
        |name: &str| format!("record(calc,\"{name}\"){{field(SCAN,\".1 second\") field(CALC,\"VAL+1\")}}\n");
    let _ioc = start(ports(), &(counter("C:a") + &counter("C:b")));
    let mut reader = Reader::new();
    reader.add("C:a", &ChannelSettings::default());
    reader.add("C:b", &ChannelSettings::default());
    reader.until("values", |reader| reader.all(sampled));
    let id = reader.ids["C:a"];
    reader.source.remove(id);
    reader.forget();
    reader.until("more values", |reader| reader.samples("C:b").count() > 5);
    assert!(reader.of("C:a").is_empty());
    let none = ChannelSettings { max_elements: 1, ..ChannelSettings::default() };
    reader.source.add(id, &ChannelName::stored("C:a").unwrap(), &none);
    reader.until("it again", |reader| reader.samples("C:a").count() > 5);
    assert!(matches!(reader.of("C:a")[0].1, Arrival::Connected { .. }));
}

#[test]
#[ignore = "needs a C IOC: cargo xtask test"]
fn a_second_server_of_a_name_is_told() {
    let _turn = turn();
    let record = "record(calc,\"D:a\"){field(SCAN,\".1 second\") field(CALC,\"VAL+1\")}";
    let iocs = [start(ports(), record), start(ports(), record)];
    let mut reader = Reader::new();
    reader.add("D:a", &ChannelSettings::default());
    let two = |(_, arrival): &(Timestamp, Arrival)| match arrival {
        Arrival::TwoServers { what } => Some(what.clone()),
        _ => None,
    };
    reader.until("a second server", |reader| reader.of("D:a").iter().any(|told| two(told).is_some()));
    let what = reader.of("D:a").iter().find_map(two).unwrap();
    assert!(iocs.iter().all(|ioc| what.contains(&ioc.ports().server().to_string())), "{what}");
}

/// How many values of a channel the IOC replaced by newer ones in its own queue before it sent them.
fn replaced(ioc: &mut Ioc, name: &str) -> u64 {
    let lines = ioc.ask(&format!("dbel {name} 3")).unwrap();
    lines.iter().filter_map(|line| ioc::replaced(line)).sum()
}

#[test]
#[ignore = "needs a C IOC: cargo xtask test"]
fn ten_thousand_channels_count_without_a_gap_and_restart_in_a_few_lines() {
    const CHANNELS: usize = 10_000;
    let _turn = turn();
    let ports = ports();
    let database: String = (0..CHANNELS)
        .map(|i| format!("record(calc,\"E:{i:05}\"){{field(SCAN,\"1 second\") field(CALC,\"VAL+1\")}}\n"))
        .collect();
    let mut ioc = start(ports, &database);
    let mut reader = Reader::new();
    let began = Instant::now();
    for i in 0..CHANNELS {
        reader.add(&format!("E:{i:05}"), &ChannelSettings::default());
    }
    reader.until("all connected", |reader| reader.all(connected));
    println!("{CHANNELS} channels connected after {:?}", began.elapsed());
    reader.until("five values of each", |reader| {
        reader
            .all(|told| told.iter().filter(|(_, arrival)| matches!(arrival, Arrival::Sample(_))).count() >= 5)
    });
    for name in reader.ids.keys() {
        let values: Vec<f64> = reader.samples(name).filter_map(|sample| sample.value.as_f64()).collect();
        assert!(values.is_sorted_by(|value, next| value < next), "{name}: {values:?}");
        let missing = values[values.len() - 1] - values[0] + 1.0 - values.len() as f64;
        // What the IOC sends later than it comes by, on a busy machine while monitors are set up, it replaces itself.
        assert!(missing == 0.0 || replaced(&mut ioc, name) as f64 >= missing, "{name}: {values:?}");
    }
    reader.forget();
    log();
    ioc.kill();
    reader.until("all disconnected", |reader| reader.all(disconnected));
    reader.forget();
    let _ioc = start(ports, &database);
    reader.until("all back", |reader| reader.all(|told| connected(told) && sampled(told)));
    // What is still to be logged comes within the pause between two lines of one kind.
    let until = Instant::now() + Duration::from_secs(11);
    reader.until("the log", |_| Instant::now() > until);
    let lines = log();
    assert!(lines.len() < 50, "{lines:#?}");
    for (words, expected) in [("connection lost", CHANNELS), ("channels connected", CHANNELS)] {
        let of_kind = lines.iter().filter(|line| line.contains(words));
        let counts = of_kind
            .filter_map(|line| line.split_once("channels=")?.1.split(' ').next()?.parse::<usize>().ok());
        assert_eq!(counts.sum::<usize>(), expected, "{lines:#?}");
    }
    assert_eq!(reader.source.searches(), CHANNELS as u64);
}

#[test]
#[ignore = "needs a C IOC: cargo xtask test"]
fn a_name_that_nobody_answered_for_a_minute_is_still_found() {
    let _turn = turn();
    let mut reader = Reader::new();
    reader.add("F:late", &ChannelSettings::default());
    reader.until("a second search", |reader| reader.source.searches() == 2);
    let _ioc = start(ports(), "record(calc,\"F:late\"){field(SCAN,\".1 second\") field(CALC,\"VAL+1\")}");
    reader.until("values", |reader| reader.samples("F:late").count() > 3);
    assert!(matches!(reader.of("F:late")[0].1, Arrival::Connected { readable: true, .. }));
    let lines = log();
    assert!(!lines.iter().any(|line| line.contains("no context of their own")), "{lines:#?}");
}
