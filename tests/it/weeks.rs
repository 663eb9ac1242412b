//! Weeks and retention classes apart: each week answers for itself, whatever became of older ones.

use crate::rig::{DAY, HOUR, MINUTE, MONDAY, Rig, SECOND, WEEK, double, name, reader_of, samples_of};
use engine::LiveArchive;
use engine::config::ChannelSettings;
use engine::layout::Layout;
use engine::manifest::Manifest;
use engine::read::{Archive, ChannelView, Reader};
use engine::recovery::open_read_only;
use engine::source::Arrival;
use sample::{ChannelName, EventKind, Metadata, Sample, TimeRange, Timestamp, Week};
use std::sync::Arc;

pub(crate) const CHANNELS: [&str; 5] = ["busy", "quiet", "gone", "old", "short"];

/// Of five channels that differ in what they do, over three weeks.
pub(crate) fn three_weeks() -> Rig {
    let mut rig = Rig::new(1, MONDAY + 5 * DAY);
    for channel in CHANNELS {
        let retention = if channel == "short" { "month" } else { "default" };
        rig.configure(channel, ChannelSettings { retention: retention.into(), ..Default::default() });
    }
    rig.open();
    for channel in CHANNELS {
        let host: Box<str> = "ioc:5064".into();
        rig.arrive(channel, Arrival::Connected { host, readable: true, metadata_follows: true });
        let metadata = Metadata { units: Some(channel.as_bytes().into()), ..Metadata::default() };
        rig.arrive(channel, Arrival::Metadata(Box::new(metadata)));
        let stamp = if channel == "old" { MONDAY - 400 * DAY } else { rig.now() };
        rig.sample(channel, stamp, 1.0);
    }
    let mut step = 0;
    while rig.now() < MONDAY + 2 * WEEK + 3 * DAY {
        rig.advance(7 * HOUR + 11 * MINUTE);
        step += 1;
        let now = rig.now();
        rig.sample("busy", now, f64::from(step));
        if step % 4 == 0 {
            rig.sample("short", now - 2 * MINUTE, f64::from(step));
            rig.sample("busy", now - HOUR, -f64::from(step));
        }
        if step == 10 {
            rig.disconnect("gone", now - 10 * SECOND);
        }
        if step % 6 == 0 {
            rig.flush();
        }
        if step == 30 {
            rig.restart(HOUR);
            for channel in ["busy", "quiet", "short"] {
                rig.connect(channel, "ioc:5064");
            }
        }
    }
    rig.flush();
    rig
}

/// Everything that can be asked about the last week.
pub(crate) fn answers(rig: &Rig, disk: &disk::SimDisk) -> Vec<String> {
    let (shared, _) =
        open_read_only(Arc::new(disk.clone()), Arc::new(rig.clock.clone()), "/archive".into()).unwrap();
    let reader = reader_of(&shared);
    answers_about(&reader, &CHANNELS, MONDAY + 2 * WEEK)
}

/// Everything that can be asked about the week that begins then.
pub(crate) fn answers_about(reader: &Reader, channels: &[&str], begin: i64) -> Vec<String> {
    let mut answers = Vec::new();
    for channel in channels {
        for (from, to) in [(begin, begin + WEEK), (begin + DAY, begin + 2 * DAY), (begin, begin + 1)] {
            let range = TimeRange::new(Timestamp(from), Timestamp(to));
            let name: ChannelName = name(channel);
            let view = reader.view(&name, range).unwrap().unwrap();
            let edge: Option<Sample> = view.last_before(range.from, true).unwrap();
            answers.push(format!("{channel} {from} edge {edge:?}"));
            answers.push(format!("first {:?}", view.first_from(range.from).unwrap()));
            answers.push(format!("samples {:?}", crate::rig::samples_of(&view, range)));
            answers.push(format!("metadata {:?}", view.metadata_at(range.from)));
            answers.push(format!("events {:?}", view.events(range)));
            answers.push(format!("coverage {:?}", view.coverage(range)));
        }
    }
    answers
}

#[test]
fn older_weeks_may_go_without_changing_what_later_ones_say() {
    let mut rig = three_weeks();
    let id = rig.shared().identity.id;
    rig.close();
    let whole = answers(&rig, &rig.disk);
    let layout = Layout::new("/archive");
    for keep_from in [MONDAY + WEEK, MONDAY + 2 * WEEK] {
        let disk = rig.disk.copy();
        let mut manifest = Manifest::load(&disk, &layout, id).unwrap().unwrap();
        let before = manifest.tables.len();
        manifest.tables.retain(|table| table.week.start().0 >= keep_from);
        assert!(manifest.tables.len() < before);
        manifest.generation += 1;
        manifest.store(&disk, &layout).unwrap();
        for (with, without) in whole.iter().zip(answers(&rig, &disk)) {
            assert_eq!(*with, without);
        }
    }
}

#[test]
fn retention_classes_have_tables_of_their_own() {
    let rig = three_weeks();
    let view = rig.shared().view();
    let class_of = |text: &str| view.manifest.classes.iter().position(|class| class == text).unwrap() as u16;
    let (default, month) = (class_of("default"), class_of("month"));
    let directory = rig.shared().directory();
    let short = directory.names.get("short").unwrap().id;
    for (entry, table) in view.manifest.tables.iter().zip(&view.tables) {
        for row in table.dictionary() {
            let row = row.unwrap();
            let class = if row.channel == short { month } else { default };
            assert_eq!(entry.class, class, "{}", row.name);
            // The rows of a table are of its own week.
            if let Some((first, last)) = row.span
                && row.name.as_str() != "old"
            {
                assert!(first >= entry.week.start() && last < entry.week.end());
            }
        }
    }
    assert!(view.partitions.weeks().len() == 3);
}

#[test]
fn a_range_names_the_tables_up_to_its_end_and_finds_what_follows() {
    let rig = three_weeks();
    let archive = LiveArchive::new(rig.shared().clone());
    let (mut named, mut behind) = (0, 0);
    for channel in CHANNELS {
        let all = samples_of(&rig.view(channel, TimeRange::ALL), TimeRange::ALL);
        for begin in (MONDAY..rig.now() + 2 * DAY).step_by((5 * HOUR + 7 * MINUTE) as usize) {
            for len in [0, HOUR] {
                let range = TimeRange::new(Timestamp(begin), Timestamp(begin + len));
                let snapshot = archive.snapshot(&name(channel), range).unwrap().unwrap();
                let tables = snapshot.runs.iter().filter(|run| run.source() > 0);
                named += tables.inspect(|run| assert!(run.span().0 <= range.to, "{range:?}")).count();
                behind += snapshot.tables.iter().flat_map(|tables| tables.behind()).count();
                let view = rig.view(channel, range);
                for time in [range.from, range.to] {
                    let next = all.iter().find(|sample| sample.time >= time);
                    assert_eq!(view.first_from(time).unwrap().as_ref(), next, "{channel} {range:?}");
                }
                for inclusive in [false, true] {
                    let before = |s: &&Sample| s.time < range.to || inclusive && s.time == range.to;
                    let last = all.iter().rev().find(before);
                    assert_eq!(view.last_before(range.to, inclusive).unwrap().as_ref(), last, "{range:?}");
                }
            }
        }
    }
    assert!(named > 0 && behind > 0);
}

#[test]
fn a_held_view_tells_of_its_moment_whatever_came_since() {
    let mut rig = three_weeks();
    let range = TimeRange::new(Timestamp(MONDAY + 4 * DAY), Timestamp(MONDAY + 3 * WEEK));
    let said = |view: &ChannelView| {
        let next = view.first_from(range.from);
        format!("{:?} {next:?} {:?}", samples_of(view, range), view.coverage(range))
    };
    let reader = rig.reader();
    let views = CHANNELS.map(|channel| reader.view(&name(channel), range).unwrap().unwrap());
    let before = views.each_ref().map(said);
    let held = views.map(ChannelView::held);
    rig.sample("busy", rig.now() - 2 * DAY, 1e6);
    for channel in ["busy", "quiet", "short"] {
        rig.sample(channel, rig.now(), 2e6);
    }
    rig.flush();
    while rig.keeper().merge(&|| false).unwrap() {}
    let now = CHANNELS.map(|channel| said(&rig.view(channel, range)));
    assert!(now[0] != before[0] && now[1] != before[1]);
    assert_eq!(held.map(|view| said(&view.open())), before);
}

/// A stamp a few minutes ahead was flushed into the next week before that week began; a late sample behind it
/// was flushed, too. When the week opened, memory knew neither, and the carry-in named an older sample. No
/// script had flushed often enough around a Monday to meet it.
#[test]
fn a_late_sample_behind_one_from_the_next_week_is_what_that_week_begins_with() {
    let monday = MONDAY + WEEK;
    let mut rig = Rig::new(1, monday - 2 * HOUR);
    rig.configure("A", ChannelSettings::default());
    rig.open();
    rig.connect("A", "ioc:5064");
    rig.sample("A", rig.now(), 1.0);
    rig.advance(2 * HOUR - MINUTE);
    rig.sample("A", monday + 5 * MINUTE, 2.0);
    rig.sample("A", rig.now(), 3.0);
    rig.flush();
    rig.advance(10 * MINUTE);
    rig.sample("A", rig.now(), 4.0);
    rig.flush();
    let edge = rig.view("A", TimeRange::new(Timestamp(monday), Timestamp(monday + HOUR)));
    let edge = edge.last_before(Timestamp(monday), false).unwrap().unwrap();
    assert_eq!(edge.value.as_f64(), Some(3.0));
}

/// What is said of a range, as text.
fn said(rig: &Rig, channel: &str, range: TimeRange) -> String {
    let view = rig.view(channel, range);
    let times: Vec<i64> = samples_of(&view, range).iter().map(|sample| sample.time.0).collect();
    format!("{channel}: {times:?} {:?} {:?} {:?}", view.coverage(range), view.metadata(), view.events(range))
}

/// Lets events of one channel arrive, with a sample, if one comes, behind them.
fn tell(rig: &mut Rig, events: &[(i64, EventKind)], sample: Option<i64>) {
    let now = Timestamp(rig.now());
    let writer = &mut rig.ingest().writer;
    writer.at(now);
    let id = writer.register(&name("it"));
    for (time, kind) in events {
        writer.event(id, Timestamp(*time), kind.clone());
    }
    if let Some(time) = sample {
        writer.append(id, double(time, 1.0), !events.is_empty());
    }
    writer.commit();
}

#[test]
fn a_week_is_told_what_the_next_one_learnt_of_it() {
    let end = MONDAY + WEEK;
    let (before, behind) = (end - 2 * HOUR, end + 20 * SECOND);
    let connected = || EventKind::Connected { host: "ioc:5064".into() };
    let lost = EventKind::Disconnected { last_heard: Timestamp(end - MINUTE) };
    type Told = (Vec<(i64, EventKind)>, Option<i64>);
    let cases: [(&str, Told, Told); 4] = [
        // The connection turns out to have been lost.
        (
            "Unknown",
            (vec![(before, EventKind::Started), (before, connected())], Some(before)),
            (vec![(behind, lost)], None),
        ),
        // Found with an old value and its units.
        (
            "units: Some",
            (vec![(before, EventKind::Started)], None),
            (vec![(behind, connected())], Some(end - 30 * MINUTE)),
        ),
        // Imported, and archived only from then on.
        ("NotArchived", (vec![], Some(before)), (vec![(behind, EventKind::Started)], None)),
        // Its clock ran ahead: what was received afterwards takes effect later.
        (
            "Disconnected",
            (
                vec![
                    (before, EventKind::Started),
                    (end + MINUTE, connected()),
                    (end - HOUR, EventKind::Paused),
                ],
                None,
            ),
            (vec![], None),
        ),
    ];
    for (expected, first, second) in cases {
        let mut rig = Rig::new(1, before);
        rig.open();
        tell(&mut rig, &first.0, first.1);
        rig.flush();
        rig.clock.set(Timestamp(behind));
        if expected.starts_with("units") {
            let metadata = Metadata { units: Some(b"mA".as_slice().into()), ..Metadata::default() };
            let writer = &mut rig.ingest().writer;
            writer.at(Timestamp(behind));
            let id = writer.register(&name("it"));
            writer.metadata(id, Timestamp(behind), metadata);
        }
        tell(&mut rig, &second.0, second.1);
        let ranges = [(end - HOUR, end), (end - 90 * MINUTE, end - 1)];
        let ranges = ranges.map(|(from, to)| TimeRange::new(Timestamp(from), Timestamp(to)));
        let all = |rig: &Rig| ranges.map(|range| said(rig, "it", range));
        let in_memory = all(&rig);
        assert!(in_memory[0].contains(expected), "{in_memory:#?}");
        rig.flush();
        assert_eq!(all(&rig), in_memory);
        rig.restart(SECOND);
        rig.advance(3 * WEEK);
        for week in [MONDAY, end] {
            crate::sealing::seal(rig.keeper(), Week::containing(Timestamp(week)));
        }
        while rig.keeper().index(&|| false).unwrap() {}
        assert_eq!(all(&rig), in_memory);
    }
}
