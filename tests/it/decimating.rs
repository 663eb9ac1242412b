//! Stored nodes change no bit of any bin: whatever stands in memory, in few or many tables, sealed, late, rebuilt.

use crate::reindexing::reindexed_at;
use crate::rig::{DAY, HOUR, MINUTE, MONDAY, Rig, SECOND, WEEK, double};
use decimator::bins::{Bin, Empty};
use decimator::fold::{Fold, Folding, Samples};
use decimator::grid::Grid;
use decimator::holds::Holds;
use decimator::node::Held;
use disk::Disk;
use disk::sim::Random;
use engine::SealStep;
use engine::config::{ChannelSettings, Keep, RetentionClass};
use engine::layout::Layout;
use engine::read::{ChannelView, Scan, Stretch};
use engine::source::Arrival;
use sample::{Sample, Severity, TimeRange, Timestamp, Value};

const SEEDS: u64 = 16;
const CHANNELS: [&str; 3] = ["FAST", "SLOW", "STATE"];

/// What bins are asked for.
pub(crate) fn folding(view: &ChannelView, random: &mut Random, range: TimeRange) -> Folding {
    let widths = [MINUTE, 10 * MINUTE, HOUR, DAY, 7 * MINUTE + 3, 20 * MINUTE, 6 * HOUR, WEEK];
    let grid = match random.below(12) {
        0 => Grid::single(range),
        1 => Grid::for_count(range, 1 + random.below(1000)),
        2 => Grid::of_width(30 * SECOND + random.below(2 * HOUR as u64) as i64),
        _ => Grid::of_width(widths[random.below(widths.len() as u64) as usize]),
    };
    let edge = view.last_before(range.from, false).unwrap();
    let exclude_invalid = random.one_in(4);
    let counts = |s: &Sample| !(exclude_invalid && s.severity == Severity::Invalid);
    Folding {
        range,
        grid,
        holds: Holds::of(&view.coverage(range)),
        exclude_invalid,
        empty: [Empty::Skip, Empty::Held, Empty::All][random.below(3) as usize],
        held: edge.filter(counts).map_or(Held::Nothing, |s| Held::Number(s.value.as_f64().unwrap())),
    }
}

/// Bins of one width, of which those with samples are asked for.
pub(crate) fn folding_of_width(view: &ChannelView, range: TimeRange, width: i64) -> Folding {
    Folding {
        range,
        grid: Grid::of_width(width),
        holds: Holds::of(&view.coverage(range)),
        exclude_invalid: false,
        empty: Empty::Skip,
        held: Held::Nothing,
    }
}

fn fold_samples(view: &ChannelView, range: TimeRange, fold: &mut Fold<'_>, sink: &mut dyn FnMut(&Bin)) {
    let mut numbers = Vec::new();
    for block in view.samples(&Scan::ascending(range)) {
        let block = block.unwrap();
        let are_numbers = block.values.numbers(&mut numbers);
        let numbers = are_numbers.then_some(numbers.as_slice());
        fold.samples(Samples { times: &block.time, numbers, severities: &block.severity }, sink);
    }
}

/// Every bit of the bins that a view gives, and how many stored nodes they were made of.
pub(crate) fn bins(view: &ChannelView, folding: &Folding, planned: bool) -> (Vec<String>, usize) {
    let (mut out, mut stored) = (Vec::new(), 0);
    let mut sink = |bin: &Bin| {
        let moments =
            bin.moments().map(|m| [m.mean.to_bits(), m.m2.to_bits(), m.min.to_bits(), m.max.to_bits()]);
        out.push(format!("{moments:?} {} {bin:?}", bin.integral().sum.to_bits()));
    };
    let mut fold = Fold::new(folding);
    if planned {
        for stretch in view.stretches(folding).unwrap() {
            match stretch {
                Stretch::Nodes(of) => {
                    stored += of.nodes().len();
                    fold.nodes(of.level, of.nodes(), &mut sink);
                }
                Stretch::Samples(range) => fold_samples(view, range, &mut fold, &mut sink),
            }
        }
    } else {
        fold_samples(view, folding.range, &mut fold, &mut sink);
    }
    fold.finish(&mut sink);
    (out, stored)
}

/// Compares bins of a range, by stored nodes and from samples.
pub(crate) fn same_bins(view: &ChannelView, range: TimeRange) -> Result<(), String> {
    for width in [MINUTE, HOUR] {
        let folding = Folding {
            range,
            grid: Grid::of_width(width),
            holds: Holds::of(&view.coverage(range)),
            exclude_invalid: width == HOUR,
            empty: Empty::Held,
            held: Held::Nothing,
        };
        let (found, expected) = (bins(view, &folding, true).0, bins(view, &folding, false).0);
        if found != expected {
            return Err(format!("bins of {width} ns: {found:?}, expected {expected:?}"));
        }
    }
    Ok(())
}

/// Compares bins of random ranges and grids with those folded from all samples; says how many nodes were used.
fn compare(rig: &Rig, random: &mut Random, what: &str) -> usize {
    let mut stored = 0;
    for channel in CHANNELS {
        for _ in 0..3 {
            let end = rig.now() + HOUR;
            let from = MONDAY - DAY + random.below((end - MONDAY + DAY) as u64) as i64;
            let whole = random.one_in(3);
            let (from, to) =
                if whole { (MONDAY - DAY, end) } else { (from, from + random.below(2 * DAY as u64) as i64) };
            let range = TimeRange::new(Timestamp(from), Timestamp(to.min(end)));
            let view = rig.view(channel, range);
            let folding = folding(&view, random, range);
            let (found, nodes) = bins(&view, &folding, true);
            let (expected, _) = bins(&view, &folding, false);
            assert_eq!(found, expected, "{what} {channel} {folding:?}");
            stored += nodes;
        }
    }
    stored
}

/// An hour or so of samples of every channel, in batches.
fn live(rig: &mut Rig, random: &mut Random) {
    for _ in 0..1 + random.below(3) {
        rig.advance(15 * MINUTE);
        let now = rig.now();
        let mut arrivals: Vec<(&str, Arrival)> = Vec::new();
        for i in 0..900 {
            let time = now - 15 * MINUTE + i * SECOND + random.below(SECOND as u64) as i64;
            let mut sample = double(time, (random.below(2000) as f64 - 1000.0) / 16.0);
            if random.one_in(40) {
                sample.value = Value::Float64(f64::NAN);
            }
            if random.one_in(300) {
                sample.severity = Severity::Invalid;
            }
            arrivals.push(("FAST", Arrival::Sample(sample)));
            if i % 10 == 0 {
                arrivals.push(("SLOW", Arrival::Sample(double(time, random.below(1 << 50) as f64 / 3.0))));
            }
            if random.one_in(3) {
                let state = Value::Enum(random.below(4) as u16);
                arrivals.push(("STATE", Arrival::Sample(Sample::new(Timestamp(time), state))));
            }
        }
        rig.arrive_all(arrivals);
    }
    if random.one_in(4) {
        // Older than the newest of each.
        let time = rig.now() - random.below(10 * HOUR as u64) as i64 - MINUTE;
        rig.sample("FAST", time, 5.0);
        rig.sample("SLOW", time + 1, 7.0);
    }
    if random.one_in(5) {
        let last_heard = rig.now() - 2 * SECOND;
        rig.disconnect("FAST", last_heard);
        rig.advance(random.below(20 * MINUTE as u64) as i64);
        rig.connect("FAST", "ioc");
    }
}

fn connected(rig: &mut Rig) {
    for channel in CHANNELS {
        rig.connect(channel, "ioc");
    }
}

pub(crate) fn decimate(rig: &Rig) -> usize {
    let mut made = 0;
    while rig.keeper().decimate(&|| false).unwrap() {
        made += 1;
        assert!(made < 1000, "it never ends");
    }
    made
}

fn rig(seed: u64) -> Rig {
    let mut rig = Rig::new(seed, MONDAY - 20 * HOUR);
    rig.settings.merge_fan_in = 3;
    if !seed.is_multiple_of(2) {
        rig.settings.merge_small_bytes = 1;
        rig.settings.rollup_tables = 2;
    }
    rig.settings.seal_table_bytes = 1 + 40_000 * (seed % 3);
    for channel in CHANNELS {
        rig.configure(channel, ChannelSettings::default());
    }
    rig.open();
    connected(&mut rig);
    rig
}

/// Every source of every decimated table is live.
pub(crate) fn check_sources(rig: &Rig) {
    let view = rig.shared().view();
    for table in view.manifest.tables.iter().filter(|table| table.decimated) {
        assert!(!table.sources.is_empty(), "{table:?}");
        for source in &table.sources {
            let source = view.manifest.tables.iter().find(|of| of.id == *source);
            assert!(source.is_some_and(|source| !source.decimated), "{table:?}");
        }
    }
}

#[test]
fn stored_nodes_change_no_bit() {
    let (mut stored, mut sealed, mut rebuilt, mut joined) = (0, 0, 0, 0);
    for seed in 0..SEEDS {
        let mut random = Random::new(seed);
        let mut rig = rig(seed);
        for step in 0..60 {
            match random.below(10) {
                0..=3 => live(&mut rig, &mut random),
                4..=5 => rig.flush(),
                6 => while rig.keeper().merge(&|| false).unwrap() {},
                7 => {
                    decimate(&rig);
                    let tables = &rig.shared().view().manifest.tables;
                    joined += tables.iter().filter(|table| table.is_rollup()).count();
                }
                8 if random.one_in(3) => {
                    rig.restart(MINUTE);
                    connected(&mut rig);
                }
                _ => stored += compare(&rig, &mut random, &format!("seed {seed} step {step}")),
            }
            check_sources(&rig);
        }
        rig.flush();
        while rig.keeper().merge(&|| false).unwrap() {}
        decimate(&rig);
        stored += compare(&rig, &mut random, &format!("seed {seed} merged"));
        rig.advance(2 * WEEK);
        while rig.keeper().seal(&|| false).unwrap() != SealStep::Idle {}
        check_sources(&rig);
        assert!(decimate(&rig) > 0);
        let nodes = compare(&rig, &mut random, &format!("seed {seed} sealed"));
        sealed += nodes;
        while rig.keeper().index(&|| false).unwrap() {}
        compare(&rig, &mut random, &format!("seed {seed} indexed"));
        // What comes late for the sealed week, and the next generation of it.
        rig.sample("FAST", MONDAY - HOUR + 5, 3.0);
        compare(&rig, &mut random, &format!("seed {seed} late in memory"));
        rig.flush();
        compare(&rig, &mut random, &format!("seed {seed} late beside"));
        let week = sample::Week::containing(Timestamp(MONDAY - 1));
        while matches!(rig.keeper().seal_week(week, &|| false).unwrap(), SealStep::Written(_)) {}
        check_sources(&rig);
        decimate(&rig);
        compare(&rig, &mut random, &format!("seed {seed} sealed again"));
        rig.close();
        reindexed_at(&rig.disk, &rig.clock, "/archive").unwrap();
        rig.open();
        check_sources(&rig);
        assert_eq!(decimate(&rig), 0, "seed {seed}: what was there is found again");
        rebuilt += compare(&rig, &mut random, &format!("seed {seed} reindexed"));
        rig.close();
        rig.disk.remove(&Layout::new("/archive").manifest()).unwrap();
        reindexed_at(&rig.disk, &rig.clock, "/archive").unwrap();
        rig.open();
        check_sources(&rig);
        rebuilt += compare(&rig, &mut random, &format!("seed {seed} without manifest"));
    }
    assert!(stored > 300 && sealed > 300 && rebuilt > 300, "{stored} {sealed} {rebuilt}");
    assert!(joined > 10, "{joined}");
}

#[test]
fn decimated_rows_outlive_their_samples_where_a_rule_says_so() {
    let mut rig = rig(0);
    let mut random = Random::new(5);
    for _ in 0..12 {
        live(&mut rig, &mut random);
        rig.flush();
    }
    rig.advance(2 * WEEK);
    connected(&mut rig);
    rig.sample("FAST", MONDAY + 2 * WEEK - HOUR, 1.0);
    rig.flush();
    while rig.keeper().seal(&|| false).unwrap() != SealStep::Idle {}
    assert!(decimate(&rig) > 0);
    let rows = |rig: &Rig| rig.shared().view().manifest.tables.iter().filter(|table| table.decimated).count();
    let kept = rows(&rig);
    let keep = |time: i64| Keep::For(std::time::Duration::from_nanos(time as u64));
    let class = |raw, decimated| RetentionClass { class: "default".into(), raw, decimated };
    rig.shared().set_retention(&[class(keep(DAY), Keep::Forever)]);
    while rig.keeper().retain().unwrap() {}
    assert!(rig.shared().view().manifest.tables.iter().all(|table| table.decimated || !table.sealed));
    assert_eq!(rows(&rig), kept);
    rig.close();
    reindexed_at(&rig.disk, &rig.clock, "/archive").unwrap();
    rig.open();
    assert_eq!(rows(&rig), kept);
    rig.shared().set_retention(&[class(keep(DAY), keep(DAY))]);
    while rig.keeper().retain().unwrap() {}
    assert_eq!(rows(&rig), 0);
}
