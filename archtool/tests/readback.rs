//! What `generate` writes is what a reader gets, to the bit.

#![expect(clippy::unwrap_used, reason = "tests may")]

use archtool::generate::fill::fill;
use archtool::generate::standard_mix::{HASH, Hash, Mix, SAMPLES};
use archtool::generate::{DataSet, Preset, Reading};
use disk::RealDisk;
use engine::clock::SystemClock;
use engine::read::{Member, Order, Reader, Scan};
use engine::recovery::open_read_only;
use engine::{LiveArchive, StorageSettings};
use sample::{ChannelName, Severity, TimeRange, Value};
use std::path::Path;
use std::sync::Arc;

fn reader(directory: &Path) -> Reader {
    let (shared, _) =
        open_read_only(Arc::new(RealDisk), Arc::new(SystemClock), directory.to_path_buf()).unwrap();
    let archive = Arc::new(LiveArchive::new(shared));
    Reader::new(vec![Member { name: "archive".to_owned(), priority: 1, archive }])
}

/// Every stored sample of a channel, in order.
fn stored(reader: &Reader, name: &str, mut take: impl FnMut(Reading)) {
    let name = ChannelName::parse(name).unwrap();
    let view = reader.view(&name, TimeRange::ALL).unwrap().unwrap();
    let scan = Scan { range: TimeRange::ALL, order: Order::Ascending, beyond: None, skip_damaged: false };
    for block in view.samples(&scan) {
        let block = block.unwrap();
        for i in 0..block.len() {
            let sample = block.get(i);
            assert_eq!(sample.rank, 0);
            let Value::Float64(value) = sample.value else { panic!("{name}: {:?}", sample.value) };
            let severity = Severity::from_code(u16::from(block.severity[i])).unwrap();
            take(Reading { time_ns: block.time[i], value, severity, status: block.status[i] });
        }
    }
}

#[test]
fn a_small_mix_comes_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("a");
    // The beam positions begin on the third day.
    let set = DataSet { channels: 20, days: 3, ..DataSet::of(Preset::StandardMix) };
    let settings = StorageSettings { memtable_bytes: 4 << 20, ..StorageSettings::default() };
    let filled = fill(&set, &directory, settings, &mut |_| {}).unwrap();
    assert_eq!(filled.samples, filled.stored);
    let reader = reader(&directory);
    for channel in set.channels() {
        let mut expected = channel.readings;
        stored(&reader, &channel.name, |reading| {
            assert_eq!(Some(reading), expected.next(), "{}", channel.name)
        });
        assert_eq!(expected.next(), None, "{}", channel.name);
    }
}

#[test]
#[ignore = "writes and reads 96,726,352 samples, minutes unoptimised: cargo xtask soak"]
fn the_standard_mix_comes_back_with_its_hash() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("a");
    let set = DataSet::of(Preset::StandardMix);
    let filled = fill(&set, &directory, StorageSettings::default(), &mut |_| {}).unwrap();
    assert_eq!((filled.samples, filled.stored), (SAMPLES, SAMPLES));
    let reader = reader(&directory);
    let mut whole = Hash::default();
    for channel in Mix::STANDARD.channels() {
        let mut hash = Hash::default();
        stored(&reader, &channel.name(), |reading| hash.reading(&reading));
        whole.word(hash.finish());
    }
    assert_eq!(whole.finish(), HASH);
}
