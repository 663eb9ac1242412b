//! A file system that is full again and again: what is lost is said, what was accepted stays.

use crate::rig::{MINUTE, MONDAY, Rig, SECOND};
use decimator::coverage::State;
use disk::Disk;
use disk::sim::Random;
use engine::config::ChannelSettings;
use sample::{DropCause, EventKind, TimeRange, Timestamp};
use std::path::Path;
use std::sync::atomic::Ordering;

const NOW: i64 = MONDAY + 30 * crate::rig::HOUR;
const CHANNELS: [&str; 3] = ["A", "B", "C"];
const FOREIGN: &str = "/foreign";

fn rig(seed: u64) -> Rig {
    let mut rig = Rig::new(seed, NOW);
    rig.settings.reserve_bytes = 1 << 20;
    rig.settings.segment_bytes = 256 << 10;
    rig.disk.set_capacity(64 << 20);
    for channel in CHANNELS {
        rig.configure(channel, ChannelSettings::default());
    }
    rig.open();
    for channel in CHANNELS {
        rig.connect(channel, "ioc:5064");
    }
    rig
}

/// Others' files take all room but `left` bytes.
fn fill(rig: &Rig, left: u64) {
    free(rig);
    let room = (64 << 20) - rig.disk.used();
    rig.disk
        .plant(Path::new(FOREIGN), &vec![7; usize::try_from(room.saturating_sub(left)).unwrap()])
        .unwrap();
}

/// Others' files go.
fn free(rig: &Rig) {
    if rig.disk.exists(Path::new(FOREIGN)).unwrap() {
        rig.disk.remove(Path::new(FOREIGN)).unwrap();
    }
}

/// What a channel was sent and what became of it.
#[derive(Default)]
struct Truth {
    stored: Vec<(i64, f64)>,
    dropped: Vec<i64>,
}

fn send(rig: &mut Rig, truth: &mut [Truth; 3]) {
    for (channel, truth) in CHANNELS.iter().zip(truth) {
        rig.advance(SECOND / 100);
        let (time, value) = (rig.now(), truth.stored.len() as f64);
        let before = rig.ledger(channel);
        rig.sample(channel, time, value);
        let after = rig.ledger(channel);
        assert_eq!(after.received, before.received + 1);
        if after.stored > before.stored {
            truth.stored.push((time, value));
        } else {
            assert_eq!(after.dropped_by(DropCause::DiskFull), before.dropped_by(DropCause::DiskFull) + 1);
            truth.dropped.push(time);
        }
    }
}

fn keep(rig: &Rig) {
    let _ = rig.keeper().write_log();
    let _ = rig.keeper().sync_log();
}

fn check(rig: &Rig, truth: &[Truth; 3]) {
    for (channel, truth) in CHANNELS.iter().zip(truth) {
        assert_eq!(rig.doubles(channel), truth.stored, "channel {channel}");
        let range = TimeRange::new(Timestamp(NOW), Timestamp(rig.now() + MINUTE));
        let view = rig.view(channel, range);
        let mut counted = 0;
        for event in view.events(range) {
            let EventKind::Dropped { to, count, cause, .. } = event.kind else { continue };
            assert_eq!(cause, DropCause::DiskFull);
            let inside = truth.dropped.iter().filter(|t| (event.time.0..=to.0).contains(t)).count();
            assert_eq!(inside as u64, count);
            counted += count;
        }
        assert_eq!(counted, truth.dropped.len() as u64);
        let coverage = view.coverage(range);
        for time in &truth.dropped {
            let at = coverage.intervals.iter().find(|i| i.range.contains(Timestamp(*time))).unwrap();
            assert_eq!(at.state, State::Dropped, "{channel} at {time}");
        }
    }
}

#[test]
fn a_file_system_filled_twenty_times_loses_nothing_unsaid() {
    let mut rig = rig(1);
    let mut random = Random::new(7);
    let mut truth: [Truth; 3] = Default::default();
    let mut filled = 0;
    while filled < 20 {
        for _ in 0..random.below(60) {
            send(&mut rig, &mut truth);
            if random.one_in(4) {
                keep(&rig);
            }
            if random.one_in(30) {
                let _ = rig.try_flush();
            }
        }
        fill(&rig, random.below(3 << 20));
        filled += 1;
        // Until the engine notices: its segment is full, or a flush finds no room.
        let mut rounds = 0;
        while !rig.shared().refusing.load(Ordering::Relaxed) {
            for _ in 0..200 {
                send(&mut rig, &mut truth);
            }
            keep(&rig);
            if random.one_in(5) {
                let _ = rig.try_flush();
            }
            if random.one_in(3) {
                fill(&rig, 0);
            }
            rounds += 1;
            assert!(rounds < 2000, "never full");
        }
        for _ in 0..random.below(40) {
            send(&mut rig, &mut truth);
        }
        if random.one_in(4) {
            fill(&rig, 0);
        }
        rig.keeper().check_space();
        check(&rig, &truth);
        if random.one_in(5) {
            // A restart while it is full: what was accepted was written before, or into the reserve.
            free(&rig);
            rig.keeper().check_space();
            rig.advance(6 * SECOND);
            rig.tick();
            rig.sync();
            rig.kill();
            rig.advance(SECOND);
            fill(&rig, 0);
            rig.open();
            for channel in CHANNELS {
                rig.connect(channel, "ioc:5064");
            }
            // Counts begin anew; reads go on.
            for (channel, truth) in CHANNELS.iter().zip(&truth) {
                assert_eq!(rig.doubles(channel), truth.stored);
            }
            keep(&rig);
        }
        free(&rig);
        let mut waited = 0;
        while rig.shared().refusing.load(Ordering::Relaxed) {
            rig.advance(SECOND);
            rig.keeper().check_space();
            waited += 1;
            assert!(waited <= 10, "recording does not resume");
        }
        assert!(rig.disk.exists(Path::new("/archive/RESERVE")).unwrap(), "the reserve is back");
        send(&mut rig, &mut truth);
        check(&rig, &truth);
    }
    assert!(truth.iter().all(|t| t.dropped.len() > 20 && t.stored.len() > 1000));
    rig.tick();
    rig.restart(SECOND);
    check(&rig, &truth);
    rig.flush();
    check(&rig, &truth);
}

#[test]
fn drops_are_recorded_before_what_follows_them() {
    let mut rig = rig(3);
    let mut truth: [Truth; 3] = Default::default();
    send(&mut rig, &mut truth);
    rig.sync();
    fill(&rig, 0);
    while !rig.shared().refusing.load(Ordering::Relaxed) {
        (0..100).for_each(|_| send(&mut rig, &mut truth));
        keep(&rig);
    }
    assert!(!rig.disk.exists(Path::new("/archive/RESERVE")).unwrap(), "the reserve was given up");
    let last_stored = truth[0].stored.last().unwrap().0;
    (0..10).for_each(|_| send(&mut rig, &mut truth));
    free(&rig);
    rig.keeper().check_space();
    assert!(!rig.shared().refusing.load(Ordering::Relaxed));
    send(&mut rig, &mut truth);
    rig.sync();
    rig.kill();
    rig.advance(SECOND);
    rig.open();
    let dropped: Vec<_> = rig
        .events("A")
        .into_iter()
        .filter_map(|e| {
            if let EventKind::Dropped { to, count, .. } = e.kind {
                Some((e.time.0, to.0, count))
            } else {
                None
            }
        })
        .collect();
    assert_eq!(dropped.len(), 1);
    let (from, to, count) = dropped[0];
    assert_eq!(count, 10);
    assert!(from > last_stored && to < truth[0].stored.last().unwrap().0);
}

#[test]
fn a_full_archive_opens_for_reading() {
    let mut rig = rig(5);
    let mut truth: [Truth; 3] = Default::default();
    (0..500).for_each(|_| send(&mut rig, &mut truth));
    rig.flush();
    (0..500).for_each(|_| send(&mut rig, &mut truth));
    rig.sync();
    rig.kill();
    rig.disk.set_capacity(rig.disk.used());
    rig.advance(SECOND);
    rig.open();
    for (channel, truth) in CHANNELS.iter().zip(&truth) {
        assert_eq!(rig.doubles(channel), truth.stored);
    }
    // It takes what fits into memory until it knows, then refuses and says so.
    for channel in CHANNELS {
        rig.connect(channel, "ioc:5064");
    }
    keep(&rig);
    rig.disk.set_capacity(rig.disk.used());
    keep(&rig);
    rig.disk.set_capacity(64 << 20);
    rig.keeper().check_space();
    let before = truth[0].stored.len();
    send(&mut rig, &mut truth);
    assert_eq!(truth[0].stored.len(), before + 1);
    check(&rig, &truth);
}
