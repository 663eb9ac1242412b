//! received = stored + redelivered + dropped, per channel, whenever anyone looks.

use crate::rig::{SECOND, double, name, reader_of};
use disk::SimDisk;
use disk::sim::Random;
use engine::clock::{Clock, SystemClock};
use engine::config::{ChannelSettings, Config, ConfiguredChannel, Origin};
use engine::read::ChannelFilter;
use engine::source::{Arrival, SimulatedHandle, SimulatedSource};
use engine::status::StatusSource;
use engine::{Engine, EngineParts};
use sample::{ChannelName, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A running engine on a simulated disk.
pub(crate) fn engine(
    disk: &SimDisk,
    names: &[ChannelName],
    change: impl FnOnce(&mut Config),
) -> (Engine, SimulatedHandle) {
    let mut config = Config::new("/archive".into());
    config.archive.memtable_bytes = 1 << 20;
    config.archive.reserve_bytes = 1 << 20;
    config.archive.sync_interval = Duration::from_millis(20);
    for (line, name) in names.iter().enumerate() {
        let settings = Arc::new(ChannelSettings::default());
        let origin = Origin::place("test.toml").at(u32::try_from(line + 1).unwrap());
        config.channels.push(ConfiguredChannel { name: name.clone(), settings, origin });
    }
    change(&mut config);
    let (source, handle) = SimulatedSource::new();
    let parts = EngineParts {
        config,
        disk: Arc::new(disk.clone()),
        clock: Arc::new(SystemClock),
        source: Box::new(source),
        address: "127.0.0.1:1".into(),
        flush_every: Some(Duration::from_millis(100)),
    };
    (Engine::start(parts).unwrap(), handle)
}

/// Waits for something that must come.
pub(crate) fn until(mut done: impl FnMut() -> bool) {
    for _ in 0..60_000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("it did not come within a minute");
}

#[test]
fn everything_that_arrives_is_accounted_for_at_every_moment() {
    const SENT: u64 = 40_000;
    let disk = SimDisk::new(3);
    let names: Vec<_> = (0..8).map(|k| name(&format!("N{k}"))).collect();
    let (engine, handle) = engine(&disk, &names, |_| {});
    let done = AtomicBool::new(false);
    let looks = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let reader = reader_of(engine.shared());
                while !done.load(Ordering::Relaxed) {
                    for name in &names {
                        let detail = reader.channel(name, Timestamp::MAX).unwrap().unwrap();
                        let ledger = detail.live.unwrap().ledger;
                        let sum = ledger.stored + ledger.redelivered + ledger.dropped_total();
                        assert_eq!(ledger.received, sum);
                        assert_eq!(detail.summary.samples, ledger.stored, "what is stored is to be read");
                    }
                    let all = engine.metrics().ledger;
                    assert_eq!(all.received, all.stored + all.redelivered + all.dropped_total());
                    let filter = ChannelFilter { matches: &|_| true, state: None, after: None, limit: 0 };
                    assert_eq!(reader.channels(&filter).unwrap().len(), names.len());
                    looks.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut random = Random::new(9);
        for k in 0..SENT {
            let name = &names[usize::try_from(random.below(8)).unwrap()];
            let now = SystemClock.now();
            let stamp = match random.below(10) {
                0 => 0,
                1 => now.0 + 3600 * SECOND,
                2 => now.0 - 10 * 86_400 * SECOND,
                3 => now.0 / SECOND * SECOND,
                _ => now.0,
            };
            handle.send(name, now, Arrival::Sample(double(stamp, (k % 3) as f64)));
            if k % 5000 == 0 {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let received = || names.iter().map(|n| live(&engine, n).received).sum::<u64>();
        until(|| received() == SENT);
        done.store(true, Ordering::Relaxed);
    });
    assert!(looks.load(Ordering::Relaxed) > 0);
    let all = engine.metrics().ledger;
    assert_eq!(all.received, SENT);
    assert!(all.dropped_total() > 0 && all.redelivered > 0 && all.stored > 0);
}

pub(crate) fn live(engine: &Engine, name: &ChannelName) -> engine::read::Ledger {
    let shared = engine.shared();
    let directory = shared.directory();
    let id = directory.names.get(name.as_str()).unwrap().id;
    directory.slot(id).unwrap().lock().ledger
}

#[test]
fn a_stalled_disk_neither_stops_nor_drops_anything() {
    let disk = SimDisk::new(4);
    let names = [name("A")];
    let (engine, handle) = engine(&disk, &names, |_| {});
    let stall = Arc::new(AtomicBool::new(true));
    let stalled = Arc::new(AtomicU64::new(0));
    let (hook_stall, hook_stalled) = (stall.clone(), stalled.clone());
    disk.on_sync(move |_| {
        hook_stalled.fetch_add(1, Ordering::SeqCst);
        while hook_stall.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    handle.send(&names[0], SystemClock.now(), Arrival::Sample(double(SystemClock.now().0, -1.0)));
    until(|| stalled.load(Ordering::SeqCst) > 0);
    let durable = engine.shared().durable_until();
    for k in 0..2000 {
        let now = SystemClock.now();
        handle.send(&names[0], now, Arrival::Sample(double(now.0 + k, k as f64)));
    }
    // All of it is taken and can be read while not one sync returns.
    until(|| live(&engine, &names[0]).received == 2001);
    assert!(stall.load(Ordering::SeqCst));
    assert_eq!(live(&engine, &names[0]).dropped_total(), 0);
    let reader = reader_of(engine.shared());
    let range = sample::TimeRange::ALL;
    assert_eq!(crate::rig::samples_of(&reader.view(&names[0], range).unwrap().unwrap(), range).len(), 2001);
    assert_eq!(engine.shared().durable_until(), durable, "nothing is promised meanwhile");
    let last = engine.shared().heard_until();
    stall.store(false, Ordering::SeqCst);
    until(|| engine.shared().durable_until() >= last);
}

#[test]
fn an_engine_that_ends_abruptly_is_down_from_its_last_sign_of_life() {
    let disk = SimDisk::new(5);
    let names = [name("A")];
    let (first, handle) = engine(&disk, &names, |_| {});
    let host: Box<str> = "ioc:5064".into();
    let connected = Arrival::Connected { host, readable: true, metadata_follows: false };
    handle.send(&names[0], SystemClock.now(), connected);
    handle.send(&names[0], SystemClock.now(), Arrival::Sample(double(SystemClock.now().0, 1.0)));
    until(|| live(&first, &names[0]).stored == 1);
    std::thread::sleep(Duration::from_millis(700));
    let killed = SystemClock.now();
    disk.kill();
    first.stop();
    drop(first);
    disk.power_on();
    let (second, _) = engine(&disk, &names, |_| {});
    let range = sample::TimeRange::ALL;
    let view = reader_of(second.shared()).view(&names[0], range).unwrap().unwrap();
    let down: Vec<_> = view
        .events(range)
        .into_iter()
        .filter(|e| matches!(e.kind, sample::EventKind::EngineDown { .. }))
        .collect();
    assert_eq!(down.len(), 1);
    assert!(down[0].time <= killed.saturating_add(SECOND), "{}", down[0].time.since(killed));
    assert!(killed.since(down[0].time) <= SECOND, "{} ns before the end", killed.since(down[0].time));
    assert_eq!(crate::rig::samples_of(&view, range).len(), 1);
}
