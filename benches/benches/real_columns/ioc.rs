//! Samples of records that an IOC's scan threads process.

use crate::runs;
use engine::config::{ChannelAccessSettings, ChannelSettings, HostEntry, Origin};
use engine::source::{Arrival, ChannelAccessSource, Source};
use epics_ca::ioc::{Ioc, Ports};
use sample::{ChannelId, ChannelName, Sample, SampleBlock, Timestamp};
use std::fmt::Write;
use std::time::{Duration, Instant};

/// Scan rates as the field SCAN names them, with the devices that each has.
const SCANS: [(&str, usize); 4] = [(".1 second", 10), (".2 second", 4), (".5 second", 3), ("1 second", 3)];

/// Records of one device, `P` and `S` being its prefix and scan rate. The first ones drive the others, which are of ten
/// kinds.
const DEVICE: &str = r#"
record(calc,"P:noise"){field(SCAN,"S") field(PHAS,"0") field(CALC,"RNDM")}
record(calc,"P:walk"){field(SCAN,"S") field(PHAS,"1") field(INPA,"P:noise") field(CALC,"VAL+A-0.5")}
record(calc,"P:count"){field(SCAN,"S") field(PHAS,"0") field(CALC,"VAL+1")}
record(calc,"P:sine"){field(SCAN,"S") field(PHAS,"1") field(INPA,"P:count") field(INPB,"P:noise") field(CALC,"10*SIN(A/50)+B/100") field(HIGH,"8") field(HSV,"MINOR") field(HIHI,"9") field(HHSV,"MAJOR") field(HYST,"0.1")}
record(ai,"P:adc"){field(SCAN,"S") field(PHAS,"2") field(INP,"P:noise") field(PREC,"3") field(EGU,"mA")}
record(ai,"P:smooth"){field(SCAN,"S") field(PHAS,"2") field(INP,"P:walk") field(SMOO,"0.9")}
record(longin,"P:steps"){field(SCAN,"S") field(PHAS,"2") field(INP,"P:walk")}
record(calc,"P:digitised"){field(SCAN,"S") field(PHAS,"2") field(INPA,"P:walk") field(CALC,"FLOOR(A*4096/10)*10/4096")}
record(calc,"P:rare"){field(SCAN,"S") field(PHAS,"1") field(INPA,"P:noise") field(CALC,"A>0.97?VAL+1:VAL")}
record(calc,"P:bit"){field(SCAN,"S") field(PHAS,"2") field(INPA,"P:walk") field(CALC,"A>0")}
record(bi,"P:state"){field(SCAN,"S") field(PHAS,"3") field(INP,"P:bit") field(ZNAM,"Off") field(ONAM,"On")}
record(calc,"P:phase"){field(SCAN,"S") field(PHAS,"2") field(INPA,"P:count") field(CALC,"FLOOR(A/7)%4")}
record(mbbi,"P:mode"){field(SCAN,"S") field(PHAS,"3") field(INP,"P:phase") field(ZRVL,"0") field(ONVL,"1") field(TWVL,"2") field(THVL,"3") field(ZRST,"a") field(ONST,"b") field(TWST,"c") field(THST,"d")}
record(stringin,"P:text"){field(SCAN,"S") field(PHAS,"2") field(INP,"P:count")}
"#;

/// Runs of all records from `duration` of listening.
pub fn listen(duration: Duration) -> Vec<(String, SampleBlock)> {
    let (database, names) = records();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("columns.db");
    std::fs::write(&file, database).expect("a file in it");
    let ports = Ports::free().unwrap_or_else(|error| panic!("{error}"));
    // libca takes its settings from the environment: before any thread is started.
    let mut source = ChannelAccessSource::open(&settings(ports)).unwrap_or_else(|error| panic!("{error}"));
    let _ioc = Ioc::start(ports, &file).unwrap_or_else(|error| panic!("{error}"));
    let mut heard: Vec<Vec<Sample>> = vec![Vec::new(); names.len()];
    for (id, name) in (0..).map(ChannelId).zip(&names) {
        source.add(id, &ChannelName::stored(name).expect("a name"), &ChannelSettings::default());
    }
    let start = Instant::now();
    while start.elapsed() < duration {
        source.receive(
            Duration::from_millis(50),
            &mut |channel: ChannelId, _received: Timestamp, arrival| {
                if let Arrival::Sample(sample) = arrival {
                    heard[channel.0 as usize].push(sample);
                }
            },
        );
    }
    let mut found = Vec::new();
    for (name, samples) in names.iter().zip(heard) {
        runs(name, in_order(samples).into_iter(), &mut found);
    }
    println!("an IOC: {} records, heard for {} s", names.len(), duration.as_secs());
    found
}

/// Without what an archive would have stored as late; the first value after a connect may be much older than the next.
fn in_order(mut samples: Vec<Sample>) -> Vec<Sample> {
    samples.sort_by_key(|sample| sample.time);
    for i in 1..samples.len() {
        if samples[i].time == samples[i - 1].time {
            samples[i].rank = samples[i - 1].rank + 1;
        }
    }
    samples
}

/// The database, and the names of its records.
fn records() -> (String, Vec<String>) {
    let (mut text, mut names) = (String::new(), Vec::new());
    for (scan, devices) in SCANS {
        for device in 0..devices {
            let prefix = format!("X{}{device}", scan.replace([' ', '.'], "").replace("second", "s"));
            let records =
                DEVICE.replace("\"S\"", &format!("\"{scan}\"")).replace("\"P:", &format!("\"{prefix}:"));
            let _ = writeln!(text, "{records}");
            let heads = records.lines().filter(|line| line.starts_with("record("));
            names.extend(heads.filter_map(|line| line.split('"').nth(1)).map(str::to_owned));
        }
    }
    (text, names)
}

/// Every setting of Channel Access, so that the environment has none: only this machine is searched.
fn settings(ports: Ports) -> ChannelAccessSettings {
    let host = HostEntry { host: format!("127.0.0.1:{}", ports.server()), origin: Origin::place("bench") };
    ChannelAccessSettings {
        address_list: Some(vec![host]),
        auto_address_list: Some(false),
        name_servers: Some(Vec::new()),
        server_port: Some(ports.server()),
        repeater_port: Some(ports.repeater()),
        library: None,
    }
}
