//! Names as control systems have them are archived and found under exactly those names.

use crate::ledger::{engine, live, until};
use crate::rig::{double, reader_of, samples_of};
use disk::SimDisk;
use engine::clock::{Clock, SystemClock};
use engine::read::ChannelFilter;
use engine::source::Arrival;
use sample::{ChannelName, TimeRange};

#[test]
fn odd_names_are_archived_and_found() {
    let long = "x".repeat(1024);
    let texts = ["SR:C01{BPM:1}X-I", "A/B", "A+B", "A#1", "A;B", "é", long.as_str()];
    let names: Vec<_> = texts.iter().map(|text| ChannelName::parse(text).unwrap()).collect();
    let disk = SimDisk::new(1);
    for round in 1..=2_u64 {
        // The second time they come from files.
        let (engine, handle) = engine(&disk, &names, |_| {});
        for (k, name) in names.iter().enumerate() {
            let now = SystemClock.now();
            handle.send(name, now, Arrival::Sample(double(now.0, k as f64 + round as f64 / 10.0)));
        }
        until(|| names.iter().all(|name| live(&engine, name).stored == 1));
        engine.flush().unwrap();
        let reader = reader_of(engine.shared());
        let filter = ChannelFilter { matches: &|_| true, state: None, after: None, limit: 0 };
        let mut listed: Vec<_> =
            reader.channels(&filter).unwrap().into_iter().map(|c| c.name.to_string()).collect();
        let mut expected: Vec<_> = texts.iter().map(ToString::to_string).collect();
        listed.sort();
        expected.sort();
        assert_eq!(listed, expected);
        for (k, name) in names.iter().enumerate() {
            assert_eq!(reader.resolve(name.as_str()).unwrap().as_ref(), Some(name));
            let view = reader.view(name, TimeRange::ALL).unwrap().unwrap();
            let samples = samples_of(&view, TimeRange::ALL);
            assert_eq!(samples.len() as u64, round);
            assert_eq!(samples[0].value.as_f64(), Some(k as f64 + 0.1));
        }
        assert_eq!(reader.resolve("a/b").unwrap(), None, "bytewise");
    }
}
