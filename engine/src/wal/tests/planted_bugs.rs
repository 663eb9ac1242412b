//! The crash tests find the bugs that are planted.

use super::model::Model;
use crate::error::Error;
use crate::planted::{Bug, plant};
use disk::sim::{Crash, Random};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn life(model: &mut Model, random: &mut Random) -> Result<(), Error> {
    for _ in 0..30 {
        match random.below(8) {
            0..=3 => model.receive(),
            4 | 5 => model.write()?,
            _ => model.sync()?,
        }
    }
    Ok(())
}

/// Whether any of many random lives with crashes fails a check.
fn found() -> bool {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let found = (0..400).any(|seed| {
        catch_unwind(AssertUnwindSafe(|| {
            let mut random = Random::new(seed);
            let mut model = Model::new(seed, [512, 1 << 14][seed as usize % 2]);
            for round in 0..4 {
                let crash = if round % 2 == 0 { Crash::Kill } else { Crash::PowerCut };
                model.disk.crash_after(random.below(60), crash);
                let _ = life(&mut model, &mut random);
                model.disk.power_cut(random.bits());
                model.recover_through_crashes();
                model.disk.power_cut(random.bits());
                model.recover_through_crashes();
            }
        }))
        .is_err()
    });
    std::panic::set_hook(hook);
    found
}

#[test]
fn each_planted_bug_of_the_log_is_found_and_nothing_is_without() {
    assert!(!found(), "no bug is planted");
    for bug in [
        Bug::NoDirectorySync,
        Bug::NoChecksum,
        Bug::AcknowledgeBeforeSync,
        Bug::TornTailNotCut,
        Bug::ReplayedCalledDurable,
    ] {
        plant(Some(bug));
        let found = found();
        plant(None);
        assert!(found, "{bug:?}");
    }
}
