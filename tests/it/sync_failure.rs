//! Syncs that fail: the log begins anew, or nothing more is promised.

use crate::crash::check;
use crate::crash::life::{Life, Stop};
use disk::sim::{Crash, Operation};
use engine::error::Error;
use engine::recovery::{Recovered, open};
use std::io::ErrorKind;

fn right<T>(result: Result<T, Stop>, what: &str) -> T {
    result.unwrap_or_else(|stop| panic!("{what}: {stop:?}"))
}

/// An archive with some history, the disk whole.
fn begin(seed: u64) -> (Life, Recovered) {
    let mut life = Life::new(seed);
    let mut recovered = right(life.recover(0), "creation");
    for _ in 0..20 {
        right(life.step(&mut recovered), "the first life");
    }
    life.faulty = true;
    (life, recovered)
}

fn receive(life: &mut Life, recovered: &mut Recovered, batches: u32) {
    for _ in 0..batches {
        right(life.batch(recovered), "a batch");
    }
}

/// Steps until the crash that was scheduled comes; recovers through another one.
fn crash_and_recover(mut life: Life, mut recovered: Recovered, what: &str) {
    let crash = life.schedule();
    for _ in 0..60 {
        match life.step(&mut recovered) {
            Ok(()) => {}
            Err(Stop::Crashed) => break,
            Err(wrong) => panic!("{what}: {wrong:?}"),
        }
    }
    life.note_durable(&recovered);
    drop(recovered);
    life.disk.cancel_crash();
    life.disk.power_cut(life.random.bits());
    life.crashed(crash);
    life.crashed(Crash::PowerCut);
    let mut recovered = right(life.recover(1), what);
    right(life.redeliver(&mut recovered), what);
}

#[test]
fn after_one_failed_sync_all_becomes_durable_in_a_new_log() {
    for seed in 0..400 {
        let what = format!("seed {seed}");
        let (mut life, mut recovered) = begin(seed);
        receive(&mut life, &mut recovered, 3);
        life.write(&recovered).unwrap();
        let failing = if seed % 4 == 0 { Operation::SyncDir } else { Operation::Sync };
        life.disk.fail(failing, 0, 1, ErrorKind::Other);
        // A directory is synced with a new segment only.
        while life.disk.counters().failed(failing) == 0 {
            receive(&mut life, &mut recovered, 1);
            life.write(&recovered).unwrap();
            recovered.keeper.sync_log().unwrap();
        }
        assert!(recovered.shared.health().log_restarted.is_some(), "{what}");
        assert!(recovered.shared.health().poisoned.is_none(), "{what}");
        assert_eq!(life.note_durable(&recovered), life.model.batches.len(), "{what}");
        assert_eq!(check::whole(&recovered, &life.model), Ok(life.model.batches.len()), "{what}");
        crash_and_recover(life, recovered, &what);
    }
}

#[test]
fn after_two_failed_syncs_nothing_more_is_acknowledged_and_all_else_goes_on() {
    for seed in 0..200 {
        let what = format!("seed {seed}");
        let (mut life, mut recovered) = begin(seed);
        receive(&mut life, &mut recovered, 2);
        life.write(&recovered).unwrap();
        life.disk.fail(Operation::Sync, 0, 2, ErrorKind::Other);
        let poisoned = recovered.keeper.sync_log();
        assert!(matches!(poisoned, Err(Error::Poisoned { .. })), "{what}: {poisoned:?}");
        let durable = recovered.shared.durable_until();
        for _ in 0..5 {
            receive(&mut life, &mut recovered, 1);
            let _ = life.write(&recovered);
            assert!(matches!(recovered.keeper.sync_log(), Err(Error::Poisoned { .. })), "{what}");
            life.freeze(&mut recovered);
            assert!(matches!(life.flush(&recovered), Err(Error::Poisoned { .. })), "{what}");
            assert_eq!(recovered.shared.durable_until(), durable, "{what}");
        }
        assert_eq!(check::whole(&recovered, &life.model), Ok(life.model.batches.len()), "{what}");
        crash_and_recover(life, recovered, &what);
    }
}

/// Operations whose failure a flush or a recovery can meet.
const KINDS: [Operation; 12] = [
    Operation::Create,
    Operation::Open,
    Operation::Read,
    Operation::Write,
    Operation::Allocate,
    Operation::Sync,
    Operation::Rename,
    Operation::Remove,
    Operation::CreateDir,
    Operation::List,
    Operation::Exists,
    Operation::SyncDir,
];

#[test]
fn a_flush_that_fails_anywhere_works_when_it_is_tried_again() {
    let mut failed = 0;
    for kind in KINDS {
        for (after, seed) in (0..12).flat_map(|after| (0..3).map(move |seed| (after, seed))) {
            let what = format!("{kind:?} {after}, seed {seed}");
            let (mut life, mut recovered) = begin(100 * after + seed);
            receive(&mut life, &mut recovered, 3);
            life.freeze(&mut recovered);
            life.disk.fail(kind, after, 1, ErrorKind::Other);
            if life.flush(&recovered).is_ok() {
                continue;
            }
            failed += 1;
            assert_eq!(check::whole(&recovered, &life.model), Ok(life.model.batches.len()), "{what}");
            life.disk.clear_faults();
            if after % 3 > 0 {
                life.freeze(&mut recovered);
                life.flush(&recovered).unwrap();
                assert_eq!(check::whole(&recovered, &life.model), Ok(life.model.batches.len()), "{what}");
            }
            crash_and_recover(life, recovered, &what);
        }
    }
    println!("{failed} flushes failed");
    assert!(failed > 60);
}

#[test]
fn a_recovery_that_fails_anywhere_loses_nothing() {
    let (mut refused, mut through) = (0, 0);
    for kind in KINDS {
        for (after, seed) in (0..20).flat_map(|after| (0..3).map(move |seed| (after, seed))) {
            let what = format!("{kind:?} {after}, seed {seed}");
            let (mut life, mut recovered) = begin(100 * after + seed);
            receive(&mut life, &mut recovered, 3);
            life.write(&recovered).unwrap();
            drop(recovered);
            life.disk.kill();
            life.disk.power_on();
            life.disk.fail(kind, after, 1, ErrorKind::Other);
            match open(life.opening()) {
                Err(_) => refused += 1,
                Ok(opened) => {
                    through += 1;
                    life.note_durable(&opened);
                }
            }
            life.disk.clear_faults();
            // What the kill left was synced, or repeated, or is still with the operating system.
            let recovered = right(life.recover(0), &what);
            assert_eq!(check::whole(&recovered, &life.model), Ok(life.model.batches.len()), "{what}");
            crash_and_recover(life, recovered, &what);
        }
    }
    println!("{refused} recoveries refused, {through} went through");
    assert!(refused > 50 && through > 100);
}
