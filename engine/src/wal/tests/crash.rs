//! Power cuts and kills at every operation, inside recovery, too.

use super::model::Model;
use crate::error::Error;
use disk::sim::{Crash, NameSurvival, Random};

/// A life of a log in which everything happens that may be cut.
fn script(model: &mut Model) -> Result<(), Error> {
    for round in 0..4 {
        for _ in 0..3 {
            model.receive();
        }
        model.write()?;
        model.receive();
        model.sync()?;
        model.write()?;
        if round == 1 {
            model.flush()?;
        }
        model.receive();
        model.write()?;
    }
    model.sync()
}

fn crashed(seed: u64, after: u64, crash: Crash, survival: NameSurvival) -> (Model, bool) {
    let mut model = Model::new(seed, 512);
    model.disk.set_name_survival(survival);
    model.disk.crash_after(after, crash);
    let result = script(&mut model);
    let came = model.disk.is_off();
    assert_eq!(result.is_err(), came);
    (model, came)
}

#[test]
fn a_crash_at_any_operation_loses_nothing_acknowledged_and_invents_nothing() {
    let mut rolls = 0;
    for seed in 0..8 {
        for (crash, survival) in [
            (Crash::PowerCut, NameSurvival::Forgotten),
            (Crash::PowerCut, NameSurvival::Subset),
            (Crash::Kill, NameSurvival::Forgotten),
        ] {
            for after in 0.. {
                let (mut model, came) = crashed(seed, after, crash, survival);
                rolls += model.rolls;
                if !came {
                    assert!(after > 30, "the script has {after} operations");
                    break;
                }
                model.recover_through_crashes();
                script(&mut model).unwrap();
                model.disk.power_cut(seed);
                model.recover_through_crashes();
            }
        }
    }
    assert!(rolls > 1000, "{rolls} new segments");
}

#[test]
fn a_second_crash_at_any_operation_of_recovery_is_harmless() {
    for seed in 0..6 {
        let first = [Crash::PowerCut, Crash::Kill][seed as usize % 2];
        for after in (seed % 3..60).step_by(3) {
            for second in 0.. {
                let (mut model, came) = crashed(seed, after, first, NameSurvival::Forgotten);
                if !came {
                    break;
                }
                model.disk.power_on();
                model.disk.crash_after(second, Crash::PowerCut);
                let recovered = model.recover().is_ok() && script(&mut model).is_ok();
                model.recover_through_crashes();
                if recovered {
                    model.disk.cancel_crash();
                    break;
                }
                script(&mut model).unwrap();
                model.disk.power_cut(second);
                model.recover_through_crashes();
            }
        }
    }
}

/// A step drawn by chance; errors that are no crash leave the log going.
fn step(model: &mut Model, random: &mut Random) -> Result<(), Error> {
    let result = match random.below(12) {
        0..=4 => {
            model.receive();
            Ok(())
        }
        5..=7 => model.write(),
        8 | 9 => model.sync(),
        10 => model.flush(),
        _ => {
            model.disk.set_capacity(if random.below(2) == 0 { model.disk.used() } else { 1 << 20 });
            Ok(())
        }
    };
    match result {
        Err(error) if !model.disk.is_off() && (error.is_full() || model.writer.needs_restart()) => {
            model.disk.set_capacity(1 << 20);
            model.disk.clear_faults();
            if model.writer.needs_restart() { model.restart() } else { model.write() }
        }
        other => other,
    }
}

#[test]
fn random_lives_with_full_disks_failed_syncs_and_crashes_keep_their_promises() {
    let mut restarts = 0;
    for seed in 0..400 {
        let mut random = Random::new(seed);
        let mut model = Model::new(seed, [256, 512, 2048][seed as usize % 3]);
        for _ in 0..3 {
            if random.below(3) == 0 {
                let kind = std::io::ErrorKind::Other;
                model.disk.fail(disk::sim::Operation::Sync, random.below(8), 1 + random.below(2), kind);
            }
            let crash = [Crash::PowerCut, Crash::Kill][random.below(2) as usize];
            model.disk.crash_after(random.below(120), crash);
            while !model.disk.is_off() {
                if let Err(error) = step(&mut model, &mut random) {
                    assert!(model.disk.is_off(), "seed {seed}: {error}");
                }
            }
            model.disk.clear_faults();
            model.disk.set_capacity(1 << 20);
            model.disk.power_on();
            model.disk.crash_after(random.below(40), Crash::PowerCut);
            let _ = model.recover();
            model.disk.cancel_crash();
            model.recover_through_crashes();
        }
        restarts += model.restarts;
    }
    assert!(restarts > 100, "{restarts} restarts");
}
