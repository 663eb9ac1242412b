//! Rows of several weeks change no bit of any bin, and go when one of their weeks changes.

use crate::decimating::{bins, check_sources, decimate, folding, folding_of_width};
use crate::reindexing::reindexed_at;
use crate::rig::{DAY, HOUR, MINUTE, MONDAY, Rig, SECOND, WEEK, double};
use disk::Disk;
use disk::sim::Random;
use engine::SealStep;
use engine::config::{ChannelSettings, Keep, RetentionClass};
use engine::layout::Layout;
use engine::manifest::TableEntry;
use engine::read::Stretch;
use engine::source::Arrival;
use sample::{Sample, Severity, TimeRange, Timestamp, Value};

const CHANNELS: [&str; 4] = ["STEADY", "NOW AND THEN", "STATE", "RARE"];
const WEEKS: i64 = 9;

fn opened(seed: u64) -> Rig {
    let mut rig = Rig::new(seed, MONDAY);
    rig.settings.rollup_weeks = [8, 4, 2];
    rig.settings.decimated_bin_samples = 2;
    rig.settings.late_limit_ns = 100 * WEEK;
    rig.settings.seal_table_bytes = if seed.is_multiple_of(2) { 1 << 30 } else { 1 };
    for channel in CHANNELS {
        rig.configure(channel, ChannelSettings::default());
    }
    rig.open();
    connected(&mut rig);
    rig
}

fn connected(rig: &mut Rig) {
    for channel in CHANNELS {
        rig.connect(channel, "ioc");
    }
}

/// A week of samples: of one channel in every second week few, so that no row of an hour is stored there.
fn week(rig: &mut Rig, random: &mut Random) {
    let number = (rig.now() - MONDAY) / WEEK;
    for _ in 0..7 {
        rig.advance(DAY);
        let begin = rig.now() - DAY;
        for hour in 0..24 {
            let mut arrivals: Vec<(&str, Arrival)> = Vec::new();
            for quarter in 0..4 {
                let time =
                    begin + hour * HOUR + quarter * 15 * MINUTE + random.below(60 * SECOND as u64) as i64;
                let mut sample = double(time, (random.below(1 << 50) as f64 - 1e14) / 3.0);
                if random.one_in(50) {
                    sample.severity = Severity::Invalid;
                }
                arrivals.push(("STEADY", Arrival::Sample(sample)));
                if number % 2 == 0 || (quarter == 0 && hour % 11 == 3) {
                    let value = random.below(2000) as f64 / 16.0;
                    arrivals.push(("NOW AND THEN", Arrival::Sample(double(time + 1, value))));
                }
                if number != 3 && random.one_in(2) {
                    let state = Value::Enum(random.below(4) as u16);
                    arrivals.push(("STATE", Arrival::Sample(Sample::new(Timestamp(time + 2), state))));
                }
            }
            if hour == 5 {
                arrivals
                    .push(("RARE", Arrival::Sample(double(begin + hour * HOUR + 7, random.below(9) as f64))));
            }
            rig.arrive_all(arrivals);
        }
    }
    rig.flush();
}

/// Seals every week that has ended and is not sealed; long before late samples would be too old.
fn seal(rig: &Rig) {
    let view = rig.shared().view();
    for week in view.partitions.weeks() {
        let is_sealed = view.manifest.tables.iter().any(|table| table.week == week && table.sealed);
        if !is_sealed && week.end().0 <= rig.now() {
            while matches!(rig.keeper().seal_week(week, &|| false).unwrap(), SealStep::Written(_)) {}
        }
    }
}

fn rollups(rig: &Rig) -> Vec<TableEntry> {
    rig.shared().view().manifest.tables.iter().filter(|table| table.is_rollup()).cloned().collect()
}

/// Weeks of each roll-up.
fn weeks_of(rig: &Rig) -> Vec<usize> {
    let view = rig.shared().view();
    let week = |source: &u64| view.manifest.tables.iter().find(|of| of.sources == [*source]).unwrap().week;
    let weeks = |rollup: &TableEntry| {
        let mut weeks: Vec<_> = rollup.sources.iter().map(week).collect();
        weeks.sort_unstable();
        weeks.dedup();
        weeks.len()
    };
    let mut found: Vec<usize> = rollups(rig).iter().map(weeks).collect();
    found.sort_unstable();
    found
}

/// Compares bins of random ranges and grids with those folded from all samples; says how many nodes were used.
fn compare(rig: &Rig, random: &mut Random, what: &str) -> usize {
    let mut stored = 0;
    for channel in CHANNELS {
        for turn in 0..4 {
            let (begin, end) = (MONDAY - DAY, rig.now() + HOUR);
            let from = begin + random.below((end - begin) as u64) as i64;
            let to = from + random.below((end - from) as u64) as i64;
            let (from, to) = if turn == 0 { (begin, end) } else { (from, to) };
            let range = TimeRange::new(Timestamp(from), Timestamp(to));
            let view = rig.view(channel, range);
            let folding = folding(&view, random, range);
            let (found, nodes) = bins(&view, &folding, true);
            assert_eq!(found, bins(&view, &folding, false).0, "{what} {channel} {folding:?}");
            stored += nodes;
        }
    }
    stored
}

/// How many pieces the days of all weeks are planned in.
fn pieces(rig: &Rig, channel: &str) -> usize {
    let range = TimeRange::new(Timestamp(MONDAY), Timestamp(MONDAY + 8 * WEEK));
    let view = rig.view(channel, range);
    let folding = folding_of_width(&view, range, DAY);
    view.stretches(&folding).unwrap().filter(|stretch| matches!(stretch, Stretch::Nodes(_))).count()
}

#[test]
fn rows_of_several_weeks_change_no_bit() {
    for seed in 0..6 {
        let mut random = Random::new(seed);
        let mut rig = opened(seed);
        let mut stored = 0;
        for number in 0..WEEKS {
            week(&mut rig, &mut random);
            seal(&rig);
            if random.one_in(2) {
                decimate(&rig);
                check_sources(&rig);
            }
            if random.one_in(3) {
                while rig.keeper().index(&|| false).unwrap() {}
            }
            if number > 1 && random.one_in(3) {
                stored += compare(&rig, &mut random, &format!("seed {seed} week {number}"));
            }
        }
        rig.advance(WEEK);
        seal(&rig);
        decimate(&rig);
        check_sources(&rig);
        let before = rollups(&rig);
        assert!(!before.is_empty(), "seed {seed}: {:?}", rig.shared().view().manifest.tables);
        stored += compare(&rig, &mut random, &format!("seed {seed} rolled up"));
        // What comes late for one of the weeks, and its next generation.
        let late = MONDAY + 2 * WEEK + random.below(WEEK as u64) as i64;
        rig.sample("STEADY", late, 3.0);
        rig.sample("RARE", late + 1, 4.0);
        compare(&rig, &mut random, &format!("seed {seed} late in memory"));
        rig.flush();
        stored += compare(&rig, &mut random, &format!("seed {seed} late beside"));
        assert_eq!(rollups(&rig), before);
        let changed = sample::Week::containing(Timestamp(late));
        while matches!(rig.keeper().seal_week(changed, &|| false).unwrap(), SealStep::Written(_)) {}
        check_sources(&rig);
        assert!(rollups(&rig).len() < before.len(), "seed {seed}: a source was replaced");
        compare(&rig, &mut random, &format!("seed {seed} sealed again"));
        decimate(&rig);
        let again = rollups(&rig);
        assert_eq!(again.len(), before.len(), "seed {seed}");
        stored += compare(&rig, &mut random, &format!("seed {seed} rolled up again"));
        rig.restart(MINUTE);
        connected(&mut rig);
        assert_eq!(rollups(&rig), again);
        rig.close();
        reindexed_at(&rig.disk, &rig.clock, "/archive").unwrap();
        rig.open();
        check_sources(&rig);
        assert_eq!(rollups(&rig).len(), again.len(), "seed {seed} reindexed");
        assert_eq!(decimate(&rig), 0, "seed {seed}: what was there is found again");
        stored += compare(&rig, &mut random, &format!("seed {seed} reindexed"));
        rig.close();
        rig.disk.remove(&Layout::new("/archive").manifest()).unwrap();
        reindexed_at(&rig.disk, &rig.clock, "/archive").unwrap();
        rig.open();
        check_sources(&rig);
        assert_eq!(rollups(&rig).len(), again.len(), "seed {seed} without manifest");
        stored += compare(&rig, &mut random, &format!("seed {seed} without manifest"));
        assert!(stored > 1000, "seed {seed}: {stored}");
    }
}

#[test]
fn many_weeks_are_one_read() {
    let mut random = Random::new(1);
    let mut rig = opened(0);
    for _ in 0..20 {
        week(&mut rig, &mut random);
    }
    seal(&rig);
    // All rows of weeks come first, then the greatest blocks, so that nothing is written to be dropped.
    decimate(&rig);
    let view = rig.shared().view();
    assert!(view.manifest.dropped.iter().all(|file| !file.file.starts_with("rollup/")), "{view:?}");
    let weeks = weeks_of(&rig);
    assert!(weeks.contains(&8) && weeks.iter().sum::<usize>() >= 17, "{weeks:?}");
    for channel in ["STEADY", "NOW AND THEN", "STATE"] {
        let pieces = pieces(&rig, channel);
        assert!((1..=4).contains(&pieces), "{channel} {pieces}");
    }
    // Blocks that are complete one week after the other end the same.
    let mut slowly = opened(0);
    for _ in 0..20 {
        week(&mut slowly, &mut random);
        seal(&slowly);
        decimate(&slowly);
    }
    slowly.advance(DAY);
    seal(&slowly);
    decimate(&slowly);
    assert_eq!(weeks_of(&slowly), weeks);
    assert!(!slowly.shared().view().manifest.dropped.is_empty());
    while slowly.keeper().remove_dropped().unwrap() > 0 {}
}

#[test]
fn a_roll_up_goes_with_the_rows_of_its_first_week() {
    let mut random = Random::new(2);
    let mut rig = opened(0);
    for _ in 0..WEEKS {
        week(&mut rig, &mut random);
    }
    rig.advance(WEEK);
    seal(&rig);
    decimate(&rig);
    let before = rollups(&rig);
    let keep = |time: i64| Keep::For(std::time::Duration::from_nanos(time as u64));
    let class = |raw, decimated| RetentionClass { class: "default".into(), raw, decimated };
    // The samples of the oldest weeks go, all rows stay.
    let age = rig.now() - MONDAY - 4 * WEEK;
    rig.shared().set_retention(&[class(keep(age), Keep::Forever)]);
    while rig.keeper().retain().unwrap() {}
    assert_eq!(rollups(&rig), before);
    assert_eq!(decimate(&rig), 0);
    let range = TimeRange::new(Timestamp(MONDAY), Timestamp(MONDAY + 3 * WEEK));
    assert!(rig.samples_in("STEADY", range).is_empty());
    assert!(pieces(&rig, "STEADY") > 0);
    for manifest in [true, false] {
        rig.close();
        if !manifest {
            rig.disk.remove(&Layout::new("/archive").manifest()).unwrap();
        }
        reindexed_at(&rig.disk, &rig.clock, "/archive").unwrap();
        rig.open();
        assert_eq!(rollups(&rig).len(), before.len());
    }
    // Rows go as well.
    rig.shared().set_retention(&[class(keep(age), keep(age))]);
    while rig.keeper().retain().unwrap() {}
    decimate(&rig);
    let view = rig.shared().view();
    let oldest = view.manifest.tables.iter().filter(|table| table.decimated).map(|table| table.week).min();
    let kept = sample::Week::containing(Timestamp(rig.now() - age));
    assert!(oldest.is_some_and(|oldest| oldest >= kept), "{oldest:?} {kept:?}");
    check_sources(&rig);
    assert!(!rollups(&rig).is_empty());
    compare_kept(&rig, &mut random, kept);
}

/// Compares bins from `kept` on.
fn compare_kept(rig: &Rig, random: &mut Random, kept: sample::Week) {
    let range = TimeRange::new(kept.start(), Timestamp(rig.now()));
    for channel in CHANNELS {
        let view = rig.view(channel, range);
        let folding = folding(&view, random, range);
        assert_eq!(bins(&view, &folding, true).0, bins(&view, &folding, false).0, "{channel}");
    }
}
