//! What records say: values, alarms, stamps, metadata.

use super::*;
use epics_ca::EventMask;
use sample::{BytesColumn, Column, Severity, Status, Value};

const EVERY: ChannelSettings = ChannelSettings {
    events: EventMask { value: true, archive: true, alarm: true },
    max_elements: 4_000_000,
};
const UNSET: Timestamp = Timestamp(631_152_000 * 1_000_000_000);

fn array(column: Column) -> Value {
    Value::Array(Box::new(column))
}

fn doubles(values: &[f64]) -> Value {
    array(Column::Float64(values.to_vec()))
}

#[test]
#[ignore = "needs a C IOC: cargo xtask test"]
fn every_record_reads_as_epics_means_it() {
    let ioc = start(ports(), include_str!("records.db"));
    let mut strings = BytesColumn::default();
    [b"a".as_slice(), b"", b"ccc"].iter().for_each(|string| strings.push(string));
    let lsi = "a string longer than 40 bytes .............................";
    let mut long_string = lsi.as_bytes().to_vec();
    long_string.push(0);
    let expected: Vec<(&str, Value)> = vec![
        ("X:ai", Value::Float64(1.5)),
        ("X:long", Value::Int32(-7)),
        ("X:i64", Value::Float64(9_007_199_254_740_992.0)),
        ("X:bi", Value::Enum(1)),
        ("X:m", Value::Enum(1)),
        ("X:str39", Value::text("123456789012345678901234567890123456789")),
        ("X:lsi", Value::text(&lsi[..39])),
        ("X:lsi.VAL$", array(Column::UInt8(long_string))),
        ("X:wf:uchar", array(Column::UInt8(vec![1, 2, 255]))),
        ("X:wf:short", array(Column::Int16(vec![-1, 32_767]))),
        ("X:wf:float", array(Column::Float32(vec![1.5, -2.5]))),
        ("X:wf:double", doubles(&[1.5, -2.5])),
        ("X:wf:string", array(Column::String(strings))),
        ("X:wf:ushort", array(Column::Int32(vec![1, 65_535]))),
        ("X:wf:ulong", doubles(&[1.0, 4_294_967_295.0])),
        ("X:wf:empty", doubles(&[])),
        ("X:wf:one", doubles(&[4.0])),
        ("X:udf", Value::Float64(0.0)),
        ("X:ai.PREC", Value::Int16(3)),
        ("X:ai.DTYP", Value::Enum(0)),
    ];
    let mut client = Client::new(ioc.ports());
    client.monitor(&expected.iter().map(|(name, _)| *name).collect::<Vec<_>>(), EVERY);
    let seen = client.values(1);
    for (token, (name, value)) in expected.iter().enumerate() {
        let reading = readings(&seen, token as u64).remove(0);
        assert_eq!(reading.value, *value, "{name}");
        let never_processed = ["X:udf", "X:wf:empty"].contains(name);
        assert_eq!(reading.time == UNSET, never_processed, "{name} {:?}", reading.time);
        let alarm = match *name {
            "X:udf" | "X:wf:empty" => (Severity::Invalid, Status::ca(17)),
            "X:bi" => (Severity::Minor, Status::ca(7)),
            _ => (Severity::NoAlarm, Status::ca(0)),
        };
        assert_eq!((reading.severity, reading.status), alarm, "{name}");
    }
    let first: Vec<&Seen> = seen.iter().filter(|(token, _)| *token == 0).map(|(_, seen)| seen).collect();
    // libca tells the address until it has found the name.
    let port = format!(":{}", ioc.ports().server());
    let is_up =
        |seen: &&Seen| matches!(seen, Seen::Up { elements: 1, write: true, host } if host.ends_with(&port));
    let up = first.iter().position(is_up);
    let value = first.iter().position(|seen| matches!(seen, Seen::Value(_)));
    assert!(up.is_some() && up < value, "{first:?}");
    assert!(first.contains(&&Seen::Access(true)), "{first:?}");
}

#[test]
#[ignore = "needs a C IOC: cargo xtask test"]
fn metadata_comes_on_connect_and_at_each_change() {
    let mut ioc = start(ports(), include_str!("records.db"));
    let mut client = Client::new(ioc.ports());
    client.monitor(&["X:ai", "X:m", "X:long", "X:str39", "X:wf:double"], EVERY);
    let seen = client.until("metadata", |seen| (0..5).all(|token| metadata(seen, token).len() == 1));
    let ai = metadata(&seen, 0).remove(0);
    let expected = Metadata {
        units: Some(b"mA".as_slice().into()),
        precision: Some(3),
        display_low: Some(-100.0),
        display_high: Some(100.0),
        alarm_low: Some(-90.0),
        alarm_high: Some(90.0),
        warning_low: Some(-80.0),
        warning_high: Some(80.0),
        control_low: Some(-100.0),
        control_high: Some(100.0),
        ..Metadata::default()
    };
    assert_eq!(ai, expected);
    let states = |names: &[&str]| Some(names.iter().map(|name| name.as_bytes().into()).collect::<Vec<_>>());
    assert_eq!(metadata(&seen, 1)[0].states, states(&["zero", "one"]));
    assert_eq!(metadata(&seen, 2)[0].alarm_high, Some(0.0));
    assert_eq!(metadata(&seen, 3)[0], Metadata::default());
    assert_eq!((metadata(&seen, 4)[0].alarm_high, metadata(&seen, 4)[0].precision), (None, Some(0)));

    for (command, changed) in [
        (
            "dbpf X:ai.HOPR 55",
            Metadata { display_high: Some(55.0), control_high: Some(55.0), ..expected.clone() },
        ),
        ("dbpf X:ai.EGU kV", Metadata { units: Some(b"kV".as_slice().into()), ..expected.clone() }),
        ("dbpf X:ai.PREC 5", Metadata { precision: Some(5), ..expected.clone() }),
    ] {
        ioc.command(&own(ioc.ports(), command)).unwrap();
        let seen = client.until(command, |seen| !metadata(seen, 0).is_empty());
        let found = metadata(&seen, 0).remove(0);
        match command {
            "dbpf X:ai.HOPR 55" => assert_eq!(found, changed),
            "dbpf X:ai.EGU kV" => assert_eq!(found.units, changed.units),
            _ => assert_eq!(found.precision, changed.precision),
        }
    }
    ioc.command(&own(ioc.ports(), "dbpf X:m.ONST eins")).unwrap();
    let seen = client.until("a state's name", |seen| !metadata(seen, 1).is_empty());
    assert_eq!(metadata(&seen, 1)[0].states, states(&["zero", "eins"]));
}

#[test]
#[ignore = "needs a C IOC: cargo xtask test"]
fn arrays_change_length_alarms_walk_stamps_stand() {
    let ioc = start(ports(), include_str!("records.db"));
    let mut client = Client::new(ioc.ports());
    let names =
        ["X:grow", "X:alarm", "X:tsel", "X:tse-2", "X:inv", "X:Sec-1:Sub_2:Dev{3}-I:[a]<b>;x", "X:big"];
    client.monitor(&names, EVERY);
    let seen = client.until("thirty growths", |seen| {
        readings(seen, 0).len() >= 30
            && (1..4).all(|token| readings(seen, token).len() >= 30)
            && (4..7).all(|token| !readings(seen, token).is_empty())
    });
    let mut lengths = std::collections::BTreeSet::new();
    for reading in readings(&seen, 0) {
        let Value::Array(column) = reading.value else { panic!("{reading:?}") };
        let ramp: Vec<f64> = (0..column.len()).map(|i| i as f64).collect();
        assert_eq!(*column, Column::Float64(ramp));
        lengths.insert(column.len());
    }
    assert_eq!(lengths.first(), Some(&0));
    assert!(lengths.len() >= 7, "{lengths:?}");
    let severities: std::collections::BTreeSet<_> =
        readings(&seen, 1).iter().map(|r| (r.severity, r.status.code)).collect();
    // HIHI 3, HIGH 4, LOLO 5, LOW 6
    let expected = [
        (Severity::NoAlarm, 0),
        (Severity::Minor, 4),
        (Severity::Minor, 6),
        (Severity::Major, 3),
        (Severity::Major, 5),
    ];
    assert!(expected.iter().all(|alarm| severities.contains(alarm)), "{severities:?}");
    let stamps: Vec<Timestamp> = readings(&seen, 2).iter().map(|reading| reading.time).collect();
    assert!(stamps.windows(2).skip(1).all(|pair| pair[0] == pair[1]), "{stamps:?}");
    assert!(readings(&seen, 3).iter().all(|reading| reading.time == UNSET));
    let invalid = readings(&seen, 4).pop().unwrap();
    assert_eq!((invalid.severity, invalid.status), (Severity::Invalid, Status::ca(14)));
    put_big(&ioc);
    let seen = client
        .until("half a million", |seen| readings(seen, 6).iter().any(|r| r.value.byte_len() == 4_000_000));
    let Value::Array(big) = readings(&seen, 6).pop().unwrap().value else { panic!("no array") };
    let ramp: Vec<f64> = (0..500_000).map(f64::from).collect();
    assert_eq!(*big, Column::Float64(ramp));
}

/// Writes 500,000 elements into X:big through another client.
fn put_big(ioc: &Ioc) {
    let script = "import asyncio, aioca, numpy\n\
                  asyncio.run(aioca.caput('X:big', numpy.arange(500000.0), wait=True, timeout=60))";
    let port = ioc.ports().server().to_string();
    let status = std::process::Command::new(epics_ca::ioc::python().unwrap())
        .args(["-c", &own(ioc.ports(), script)])
        .env("EPICS_CA_ADDR_LIST", "127.0.0.1")
        .env("EPICS_CA_AUTO_ADDR_LIST", "NO")
        .env("EPICS_CA_SERVER_PORT", port)
        .env("EPICS_CA_REPEATER_PORT", ioc.ports().repeater().to_string())
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
#[ignore = "needs a C IOC: cargo xtask test"]
fn a_limit_refuses_long_arrays_and_a_mask_decides_what_comes() {
    let mut ioc = start(ports(), include_str!("records.db"));
    let mut client = Client::new(ioc.ports());
    client.monitor(&["X:wf:uchar"], ChannelSettings { max_elements: 299, ..EVERY });
    client.monitor(&["X:wf:uchar"], ChannelSettings { max_elements: 300, ..EVERY });
    let alarm_only = EventMask { value: false, archive: false, alarm: true };
    client.monitor(&["X:ai"], ChannelSettings { events: alarm_only, ..EVERY });
    client
        .monitor(&["X:ai"], ChannelSettings { events: EventMask { alarm: false, ..EVERY.events }, ..EVERY });
    let seen = client.until("first values", |seen| (1..4).all(|token| readings(seen, token).len() == 1));
    assert!(seen.contains(&(0, Seen::Refused { elements: 300, limit: 299 })), "{seen:?}");
    assert_eq!((readings(&seen, 0).len(), metadata(&seen, 0).len()), (0, 0));
    for value in ["2", "85", "3"] {
        ioc.command(&own(ioc.ports(), &format!("dbpf X:ai {value}"))).unwrap();
    }
    let seen = client.until("three values", |seen| readings(seen, 3).len() == 3);
    let of_alarms: Vec<Value> = readings(&seen, 2).into_iter().map(|reading| reading.value).collect();
    assert_eq!(of_alarms, [Value::Float64(85.0), Value::Float64(3.0)]);

    let long = "n".repeat(1024);
    let refused = client.context.channel(&long, 99, EVERY);
    assert!(matches!(&refused, Err(epics_ca::Error::Ca { .. })), "{refused:?}");
    assert!(
        client.context.channel("", 99, EVERY).is_err() && client.context.channel("a\0b", 99, EVERY).is_err()
    );
    assert!(client.context.channel(&"n".repeat(900), 99, EVERY).is_ok());
}
