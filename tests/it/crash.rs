//! Random scripts on the simulated disk, cut anywhere: nothing durable is lost, nothing invented or doubled.

mod arrivals;
pub mod check;
pub mod chores;
pub mod happened;
pub mod life;
pub mod model;

use disk::sim::{Crash, NameSurvival, Operation};
use happened::{Chore, Happened};
use life::{DAY, Life, Stop};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const SEEDS: u64 = 10_000;
/// Seeds that fail before the others are left alone.
const FAILURES_MAX: usize = 8;
/// How often each kind of work is done, cut, and followed by a recovery that is cut as well, at least.
const LEAST_CUTS: u64 = 20;

/// Two lives of one archive: one that a crash ends, one that ends with a power cut after all that a script
/// must hold has happened; recovery is cut in between.
fn live(seed: u64) -> Result<Happened, String> {
    let mut life = Life::new(seed);
    if life.random.one_in(4) {
        life.disk.set_name_survival(NameSurvival::Subset);
    }
    match lives(&mut life) {
        Ok(()) => {
            life.happened.disk = life.disk.counters();
            Ok(life.happened)
        }
        Err(Stop::Wrong(what)) => Err(what),
        Err(Stop::Crashed) => Err("a crash came that nobody asked for".into()),
    }
}

fn lives(life: &mut Life) -> Result<(), Stop> {
    // The first life begins with the creation of the archive, which may be cut as well.
    let creation = u32::from(life.random.one_in(8));
    if life.random.one_in(2) {
        let weeks = 1 + life.random.below(3) as i64;
        life.begin_earlier(weeks);
    }
    let mut recovered = life.recover(creation)?;
    life.copies = life.random.one_in(4);
    life.retains = life.random.one_in(3);
    life.live_through_weeks(&mut recovered)?;
    let crash = life.schedule();
    let mut steps = 0;
    loop {
        match life.step(&mut recovered) {
            Ok(()) => steps += 1,
            Err(Stop::Crashed) => break,
            Err(wrong) => return Err(wrong),
        }
        if steps == 40 {
            life.near_monday();
        }
        if steps > 150 {
            // Not every kind of operation comes often enough.
            life.disk.cancel_crash();
            match crash {
                Crash::PowerCut => life.disk.power_cut(life.random.bits()),
                Crash::Kill => life.disk.kill(),
            }
            break;
        }
    }
    drop(recovered);
    life.crashed(crash);
    life.meanwhile()?;
    let cuts = 1 + life.random.below(2) as u32;
    let mut recovered = life.recover(cuts)?;
    life.redeliver(&mut recovered)?;
    let mut steps = 0;
    while steps < 12 || !life.happened.complete() {
        life.step(&mut recovered)?;
        steps += 1;
        if steps == 8 {
            life.near_monday();
        }
        if steps == 10 && life.past && life.random.one_in(3) {
            life.clock.advance(life.random.below(12 * DAY as u64) as i64);
        }
    }
    drop(recovered);
    life.disk.power_cut(life.random.bits());
    life.crashed(Crash::PowerCut);
    life.meanwhile()?;
    let mut recovered = life.recover(0)?;
    life.redeliver(&mut recovered)
}

/// [`live`], panics included.
pub fn outcome(seed: u64) -> Result<Happened, String> {
    catch_unwind(AssertUnwindSafe(|| live(seed))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(format!(
            "a panic: {}",
            text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).into())).unwrap_or_default()
        ))
    })
}

#[test]
fn nothing_durable_is_lost_invented_or_doubled() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let (first, seeds) = match number("VARVE_SEED") {
        Some(seed) => (seed, 1),
        None => (0, number("VARVE_SEEDS").unwrap_or(SEEDS)),
    };
    let begin = Instant::now();
    let next = AtomicU64::new(first);
    let sum = Mutex::new(Happened::default());
    let failed: Mutex<Vec<(u64, String)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut own = Happened::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds || failed.lock().unwrap().len() >= FAILURES_MAX {
                        break;
                    }
                    match outcome(seed) {
                        Ok(happened) => own.add(happened),
                        Err(what) => failed.lock().unwrap().push((seed, what)),
                    }
                }
                sum.lock().unwrap().add(own);
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    if let Some((seed, _)) = failed.first() {
        let each: Vec<String> = failed.iter().map(|(seed, what)| format!("seed {seed}: {what}")).collect();
        panic!("{}\n(again alone: VARVE_SEED={seed} cargo test -p tests crash)", each.join("\n"));
    }
    let sum = sum.into_inner().unwrap();
    println!("{seeds} seeds in {:.1} s: {sum}", begin.elapsed().as_secs_f64());
    if seeds >= SEEDS {
        for kind in Operation::ALL.into_iter().filter(|kind| sum.disk.executed(*kind) > 0) {
            assert!(sum.disk.crashed(kind) > 0, "{kind:?} was never cut");
        }
        for (chore, of) in Chore::ALL.iter().zip(&sum.chores) {
            let times = of.done.min(of.cut).min(of.recovery_cut);
            assert!(times >= LEAST_CUTS, "{chore:?}: {of:?}");
        }
        assert!(sum.joined >= LEAST_CUTS, "{sum}");
    }
}
