//! Rows of the tables of a week that goes on are joined: bins do not meet where tables do.

use crate::decimating::{bins, check_sources, decimate, folding_of_width};
use crate::reindexing::reindexed_at;
use crate::rig::{DAY, HOUR, MINUTE, MONDAY, Rig, SECOND, WEEK, double};
use decimator::fold::Folding;
use disk::Disk;
use engine::SealStep;
use engine::config::{ChannelSettings, Keep, RetentionClass};
use engine::layout::Layout;
use engine::manifest::TableEntry;
use engine::read::Stretch;
use engine::source::Arrival;
use sample::{TimeRange, Timestamp};

const CHANNELS: [&str; 2] = ["FAST", "SLOW"];

fn opened() -> Rig {
    let mut rig = Rig::new(3, MONDAY);
    // Nothing is merged: eight tables are more than a quarter of a week until it has many.
    rig.settings.merge_small_bytes = 1;
    for channel in CHANNELS {
        rig.configure(channel, ChannelSettings::default());
    }
    rig.open();
    connected(&mut rig);
    // Tables do not end where bins do.
    rig.advance(3 * MINUTE);
    rig
}

fn connected(rig: &mut Rig) {
    for channel in CHANNELS {
        rig.connect(channel, "ioc");
    }
}

/// Some tables, each of 100 minutes: of one channel at 1 Hz, and of one whose samples are few.
fn tables(rig: &mut Rig, count: usize) {
    for _ in 0..count {
        for _ in 0..10 {
            rig.advance(10 * MINUTE);
            let begin = rig.now() - 10 * MINUTE;
            let mut arrivals: Vec<(&str, Arrival)> = Vec::new();
            for i in 0..600 {
                let time = begin + i * SECOND + 7;
                arrivals.push(("FAST", Arrival::Sample(double(time, (i % 37) as f64 / 8.0))));
            }
            arrivals.push(("SLOW", Arrival::Sample(double(begin + 11, 4.0))));
            rig.arrive_all(arrivals);
        }
        rig.flush();
    }
}

fn remove_dropped(rig: &mut Rig) {
    rig.advance(HOUR);
    assert!(rig.keeper().remove_dropped().unwrap() > 0);
}

/// Makes the manifest anew, from the one that is there or without.
fn reindexed(rig: &mut Rig, manifest: bool) {
    rig.close();
    if !manifest {
        rig.disk.remove(&Layout::new("/archive").manifest()).unwrap();
    }
    reindexed_at(&rig.disk, &rig.clock, "/archive").unwrap();
    rig.open();
}

fn rows(rig: &Rig) -> Vec<TableEntry> {
    rig.shared().view().manifest.tables.iter().filter(|table| table.decimated).cloned().collect()
}

/// Sources of each table of rows, in the order of time.
fn sizes(rig: &Rig) -> Vec<usize> {
    let mut rows = rows(rig);
    rows.sort_by_key(|rows| rows.samples_span);
    rows.iter().map(|rows| rows.sources.len()).collect()
}

fn folding(rig: &Rig, channel: &str, width: i64) -> (engine::read::ChannelView, Folding) {
    let range = TimeRange::new(Timestamp(MONDAY), Timestamp(rig.now()));
    let view = rig.view(channel, range);
    let folding = folding_of_width(&view, range, width);
    (view, folding)
}

fn compare(rig: &Rig, what: &str) {
    for channel in CHANNELS {
        for width in [10 * MINUTE, 20 * MINUTE, HOUR, DAY, 7 * MINUTE] {
            let (view, folding) = folding(rig, channel, width);
            assert_eq!(
                bins(&view, &folding, true).0,
                bins(&view, &folding, false).0,
                "{what} {channel} {width}"
            );
        }
    }
}

/// How long the ranges are, together, whose samples are folded for bins of 20 minutes, ns.
fn folded(rig: &Rig) -> i64 {
    let (view, folding) = folding(rig, "FAST", 20 * MINUTE);
    let length = |stretch| match stretch {
        Stretch::Nodes(_) => 0,
        Stretch::Samples(range) => range.to.0 - range.from.0,
    };
    view.stretches(&folding).unwrap().map(length).sum()
}

#[test]
fn joined_rows_take_the_place_of_each_tables_own() {
    let mut rig = opened();
    tables(&mut rig, 3);
    assert_eq!(decimate(&rig), 3);
    assert_eq!(sizes(&rig), [1, 1, 1]);
    let apart = folded(&rig);
    assert!(apart > 20 * MINUTE, "{apart}");
    tables(&mut rig, 1);
    // The fourth, and one of all.
    assert_eq!(decimate(&rig), 2);
    assert_eq!(sizes(&rig), [4]);
    check_sources(&rig);
    compare(&rig, "joined");
    let (rest, whole) = (folded(&rig), rig.now() - MONDAY);
    assert!(rest < apart && rest < whole / 20, "{rest} {apart}");
    // The rows of each table are files still, for whoever reads them.
    reindexed(&mut rig, true);
    connected(&mut rig);
    assert_eq!((sizes(&rig), decimate(&rig)), (vec![4], 0));
    // One after the other as many at a time as all at once: no rows stand twice.
    tables(&mut rig, 13);
    assert_eq!(decimate(&rig), 14);
    assert_eq!(sizes(&rig), [4, 13]);
    tables(&mut rig, 4);
    assert_eq!(decimate(&rig), 5);
    assert_eq!(sizes(&rig), [4, 13, 4]);
    tables(&mut rig, 4);
    assert_eq!(decimate(&rig), 6);
    assert_eq!(sizes(&rig), [25]);
    compare(&rig, "joined again");
    remove_dropped(&mut rig);
    compare(&rig, "others removed");
    rig.restart(MINUTE);
    connected(&mut rig);
    assert_eq!(sizes(&rig), [25]);
    for manifest in [true, false] {
        reindexed(&mut rig, manifest);
        assert_eq!((sizes(&rig), decimate(&rig)), (vec![25], 0), "manifest {manifest}: it is found again");
        check_sources(&rig);
        compare(&rig, "reindexed");
    }
    // When a table gives way its rows go, and what was joined with them.
    rig.advance(2 * WEEK);
    while rig.keeper().seal(&|| false).unwrap() != SealStep::Idle {}
    assert_eq!(sizes(&rig), [0; 0]);
    assert!(decimate(&rig) > 0);
    check_sources(&rig);
    compare(&rig, "sealed");
}

#[test]
fn what_no_table_has_rows_of_is_not_folded_for_them_together() {
    let mut rig = opened();
    // Together they span days enough for rows of a day of the slow channel, too; each alone does not.
    rig.settings.decimated_bin_samples = 12;
    rig.settings.merge_fan_in = 64;
    rig.restart(MINUTE);
    connected(&mut rig);
    tables(&mut rig, 32);
    let made = decimate(&rig);
    assert_eq!((made, sizes(&rig)), (33, vec![32]));
    let joined = rows(&rig);
    assert_eq!((joined.len(), joined[0].sources.len(), joined[0].channels), (1, 32, 1));
    compare(&rig, "of one channel");
}

#[test]
fn what_is_late_keeps_joined_rows_from_being_used_there_only() {
    let mut rig = opened();
    tables(&mut rig, 4);
    decimate(&rig);
    let before = folded(&rig);
    rig.sample("FAST", MONDAY + 3 * HOUR + 5, 3.0);
    compare(&rig, "late in memory");
    rig.flush();
    compare(&rig, "late in a table");
    let late = folded(&rig) - before;
    assert!((10 * MINUTE..=20 * MINUTE).contains(&late), "{late}");
    assert_eq!(sizes(&rig), [4]);
    tables(&mut rig, 4);
    decimate(&rig);
    assert_eq!(sizes(&rig).iter().sum::<usize>(), 8);
    compare(&rig, "late and joined");
}

#[test]
fn joined_rows_outlive_their_samples_where_a_rule_says_so() {
    let mut rig = opened();
    tables(&mut rig, 4);
    decimate(&rig);
    rig.advance(2 * WEEK);
    connected(&mut rig);
    rig.sample("FAST", rig.now() - HOUR, 1.0);
    rig.flush();
    let keep = |time: i64| Keep::For(std::time::Duration::from_nanos(time as u64));
    let class = |raw, decimated| RetentionClass { class: "default".into(), raw, decimated };
    rig.shared().set_retention(&[class(keep(DAY), Keep::Forever)]);
    while rig.keeper().retain().unwrap() {}
    remove_dropped(&mut rig);
    let old = |rig: &Rig| {
        let week = sample::Week::containing(Timestamp(MONDAY));
        rig.shared().view().manifest.tables.iter().filter(|t| t.week == week && !t.decimated).count()
    };
    assert_eq!((old(&rig), sizes(&rig)), (0, vec![4]));
    let (view, hours) = folding(&rig, "FAST", HOUR);
    let stored = bins(&view, &hours, true);
    assert!(stored.1 > 0, "{stored:?}");
    for manifest in [true, false] {
        reindexed(&mut rig, manifest);
        assert_eq!((sizes(&rig), decimate(&rig)), (vec![4], 0), "manifest {manifest}");
    }
    let (view, hours) = folding(&rig, "FAST", HOUR);
    assert!(bins(&view, &hours, true).1 > 0);
    rig.shared().set_retention(&[class(keep(DAY), keep(DAY))]);
    while rig.keeper().retain().unwrap() {}
    assert!(rows(&rig).is_empty());
}
