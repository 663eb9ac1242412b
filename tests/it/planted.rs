//! The crash scripts find every bug that is planted.

use crate::crash;
use engine::planted::{Bug, plant};

/// Seeds within which each bug has to be found.
const SEEDS_MAX: u64 = 3_000;

#[test]
fn every_planted_bug_is_found() {
    std::thread::scope(|scope| {
        for bug in Bug::ALL {
            // A bug is planted in one thread only.
            scope.spawn(move || {
                plant(Some(bug));
                let found = (0..SEEDS_MAX).find_map(|seed| Some((seed, crash::outcome(seed).err()?)));
                let (seed, what) = found.unwrap_or_else(|| panic!("{bug:?}: not found in {SEEDS_MAX} seeds"));
                let what: String = what.chars().take(150).collect();
                println!("{bug:?}: found by seed {seed}: {what}");
            });
        }
    });
}
