//! One channel at one moment, put together from live tables and memory.

use crate::channel_tables::ChannelTables;
use crate::read::{ReadError, Run, Snapshot, Tables as _};
use crate::shared::Shared;
use crate::slot::Slot;
use crate::table_run::{TableRun, read_error};
use crate::tail::Tail;
use crate::view::View;
use sample::{ChannelId, Event, EventKind, Metadata, TimeRange, Timestamp, ValueType, Week};
use sstable::Key;
use sstable::{CarriedSample, CarryIn};
use std::sync::Arc;

/// The channel of `slot` for `range`.
pub(crate) fn of(shared: &Shared, slot: &Slot, range: TimeRange) -> Result<Snapshot, ReadError> {
    let (view, tail) = Tail::of(shared, slot);
    join(&view, tail, range)
}

/// A channel from its tail with the live files that lack it, or with later ones.
pub(crate) fn join(view: &Arc<View>, tail: Tail, range: TimeRange) -> Result<Snapshot, ReadError> {
    let base = view.base_week(Week::containing(range.from));
    let of_archive: Vec<Event> =
        archive_events(view)?.into_iter().filter(|event| matters_from(base, event)).collect();
    let elsewhere = of_archive.iter().chain(&tail.events).chain(&tail.archive_events);
    let timeline = Timeline::read(view, tail.channel, range, newest_before(range, elsewhere))?;
    let tables = ChannelTables::new(view, tail.channel, range);
    let mut runs: Vec<Arc<dyn Run>> = timeline.carried.into_iter().chain(tail.runs).collect();
    let kept_runs = runs.len();
    runs.extend(tables.runs());
    let rows = tables.rows();
    let mut events = timeline.events;
    events.extend(of_archive);
    let recorded = events.len();
    events.extend(tail.events);
    events.extend(tail.archive_events.into_iter().filter(|event| matters_from(base, event)));
    let events = each_once(events, recorded);
    let mut metadata = timeline.metadata;
    metadata.extend(tail.metadata);
    metadata.sort_by_key(|(time, _)| *time);
    metadata.dedup_by(|(later, a), (earlier, b)| later == earlier && a.same_bits(b));
    Ok(Snapshot {
        name: tail.name,
        runs,
        kept_runs,
        tables: Some(Arc::new(tables)),
        rows,
        events,
        metadata,
        first_sample: tail.first_sample,
        knowledge_ends: tail.knowledge_ends,
        running: tail.running,
        durable_until: tail.durable_until,
        problems: view.damage.problems(tail.channel, range),
    })
}

/// Whether the carry-in of `base` does not know yet what an engine-wide event did.
fn matters_from(base: Option<Week>, event: &Event) -> bool {
    match (base, &event.kind) {
        (Some(base), EventKind::EngineDown { until }) => *until > base.start(),
        _ => true,
    }
}

/// The highest place in the order of receipt of events that may matter before the end of `range`.
fn newest_before<'e>(range: TimeRange, events: impl Iterator<Item = &'e Event>) -> u64 {
    let matters = |event: &&Event| event.begins() < range.to && event.sequence < u64::MAX;
    events.filter(matters).map(|event| event.sequence).max().unwrap_or(0)
}

/// Events by sequence, each once. The first `recorded` are from tables: a run of drops that memory still
/// calls open may stand among them already.
fn each_once(mut events: Vec<Event>, recorded: usize) -> Vec<Event> {
    let drop_of = |event: &Event| match &event.kind {
        EventKind::Dropped { cause, .. } => Some((event.time, *cause)),
        _ => None,
    };
    let closed: Vec<_> = events[..recorded].iter().filter_map(drop_of).collect();
    events
        .retain(|event| event.sequence < u64::MAX || drop_of(event).is_none_or(|run| !closed.contains(&run)));
    events.sort_by_key(|event| event.sequence);
    events.dedup_by(|a, b| a.sequence == b.sequence && a.sequence > 0 && a.sequence < u64::MAX);
    events
}

/// What the tables say of a channel beside its samples.
#[derive(Default)]
struct Timeline {
    events: Vec<Event>,
    metadata: Vec<(Timestamp, Arc<Metadata>)>,
    carried: Vec<Arc<dyn Run>>,
}

impl Timeline {
    /// From the carry-in of the latest partition at or before the range on. `newest` is the highest place in the order
    /// of receipt of what stands elsewhere and may matter before the end of the range.
    fn read(view: &View, channel: ChannelId, range: TimeRange, newest: u64) -> Result<Timeline, ReadError> {
        let mut timeline = Timeline::default();
        let base = view.base_week(Week::containing(range.from));
        // An event stands in the week of its time; what it says may reach back across one week's begin.
        let last = Week::containing(range.to).next();
        let mut following: Option<(Week, bool)> = None;
        for span in view.partitions.all() {
            if view.manifest.tables[span.table].decimated {
                continue;
            }
            let outside = base.is_some_and(|base| span.week < base) || span.week > last;
            if outside || channel < span.channels.0 || span.channels.1 < channel {
                continue;
            }
            // Tables come week by week.
            if span.week.start() >= range.to {
                if following.is_none_or(|(week, _)| week != span.week) {
                    following = Some((span.week, timeline.needs(view, span.week, channel, range, newest)));
                }
                if following == Some((span.week, false)) {
                    continue;
                }
            }
            let records = Records { view, table: span.table, channel };
            if view.manifest.tables[span.table].holds_carry_in && Some(span.week) == base {
                let table = view.indexed(span.table);
                let read = |bytes: &[u8]| table.table().carry_in(bytes);
                let mut told = None;
                for (carry_in, of_table) in records.read(Key::CARRY_IN, read)? {
                    timeline.carry_in(view, channel, carry_in)?;
                    told = told.or(of_table);
                }
                if let Some(told) = told {
                    timeline.events.extend(told.events);
                    timeline.metadata.extend(told.metadata.into_iter().map(|(time, m)| (time, Arc::new(m))));
                    continue;
                }
            }
            timeline.events.extend(records.read(Key::EVENTS, sstable::decode_events)?.into_iter().flatten());
            let changes = records.read(Key::METADATA, sstable::decode_metadata)?;
            timeline.metadata.extend(changes.into_iter().flatten().map(|(time, m)| (time, Arc::new(m))));
        }
        Ok(timeline)
    }

    /// Whether `week`, which begins behind `range`, may tell more about it than what was found up to its end: events
    /// that reach back or were received earlier, whether a source served the channel, metadata of samples that stand
    /// in that week.
    fn needs(&self, view: &View, week: Week, channel: ChannelId, range: TimeRange, newest: u64) -> bool {
        let is_own =
            |event: &Event| !matches!(event.kind, EventKind::EngineDown { .. } | EventKind::Dropped { .. });
        let newest = newest.max(newest_before(range, self.events.iter()));
        let described = self.metadata.iter().any(|(from, _)| *from < range.to);
        !self.events.iter().any(is_own)
            || view.partitions.of_week(week, channel).any(|span| {
                let entry = &view.manifest.tables[span.table];
                let received_earlier = entry.sequence_span.1 > 0 && entry.sequence_span.0 < newest;
                let holds_earlier = span.samples.is_some_and(|(first, _)| first < range.to);
                view.tables[span.table].events_matter_from() < range.to
                    || received_earlier
                    || (!described && holds_earlier)
            })
    }

    /// A carry-in as the events and the sample that it stands for.
    fn carry_in(&mut self, view: &View, channel: ChannelId, carry_in: CarryIn) -> Result<(), ReadError> {
        let mut event = |time, kind| self.events.push(Event { time, sequence: 0, kind });
        if let Some((archiving, since)) = carry_in.archiving {
            event(since, EventKind::Started);
            match archiving {
                sstable::Archiving::Started => {}
                sstable::Archiving::Paused => event(since, EventKind::Paused),
                sstable::Archiving::Stopped => event(since, EventKind::Stopped),
                sstable::Archiving::Retired => event(since, EventKind::Retired),
            }
        }
        if let Some(connection) = carry_in.connection {
            match connection.host {
                Some(host) => event(connection.since, EventKind::Connected { host }),
                None => {
                    let last_heard = connection.last_heard.unwrap_or(connection.since);
                    event(connection.since, EventKind::Disconnected { last_heard });
                }
            }
        }
        if let Some((since, metadata)) = carry_in.metadata {
            self.metadata.push((since, Arc::new(metadata)));
        }
        match carry_in.sample {
            Some(CarriedSample::Here(sample)) => {
                let mut block = sample::SampleBlock::new(sample.run_type());
                block.push(&sample);
                let run = crate::memtable::BlockRun::new(vec![Arc::new(block)]);
                self.carried.extend(run.map(|run| Arc::new(run) as Arc<dyn Run>));
            }
            // In its week, or where a retention rule has carried it to.
            Some(CarriedSample::There { time, .. }) => {
                for span in view.partitions.touching(channel, TimeRange::new(time, time.saturating_add(1))) {
                    let entry = &view.manifest.tables[span.table];
                    for late in [false, true] {
                        let table = view.indexed(span.table);
                        self.carried.push(Arc::new(TableRun::new(table, entry, channel, late, &view.damage)));
                    }
                }
            }
            None => {}
        }
        Ok(())
    }
}

/// What one table says of a channel beside its samples.
struct Records<'a> {
    view: &'a View,
    /// Its place in the manifest.
    table: usize,
    channel: ChannelId,
}

impl Records<'_> {
    /// The records at one rate. Damage is noted, with the week as what cannot be told; the rest is read.
    fn read<T>(
        &self,
        rate: u64,
        decode: impl Fn(&[u8]) -> Result<T, disk::BytesError>,
    ) -> Result<Vec<T>, ReadError> {
        let table = self.view.indexed(self.table);
        let mut records = Vec::new();
        let entries = match table.entries(rate, self.channel, TimeRange::ALL) {
            Ok(entries) => entries,
            Err(error) => return self.passed_over(error).map(|()| records),
        };
        for entry in entries {
            let record = table.table().payload(&entry).and_then(|payload| {
                decode(&payload).map_err(|error| error.in_file(table.table().path(), entry.locator.offset))
            });
            match record {
                Ok(record) => records.push(record),
                Err(error) => self.passed_over(error)?,
            }
        }
        Ok(records)
    }

    fn passed_over(&self, error: disk::FormatError) -> Result<(), ReadError> {
        let week = self.view.manifest.tables[self.table].week;
        let error = read_error(error, Some((week.start(), week.end().saturating_add(-1))));
        if !matches!(error, ReadError::Damaged { .. }) {
            return Err(error);
        }
        self.view.damage.note(self.channel, &error);
        Ok(())
    }
}

/// Engine-wide events of all weeks: a few per restart.
fn archive_events(view: &View) -> Result<Vec<Event>, ReadError> {
    let mut events = Vec::new();
    for span in view.partitions.all().iter().filter(|span| span.channels.0 == ChannelId::ARCHIVE) {
        let records = Records { view, table: span.table, channel: ChannelId::ARCHIVE };
        events.extend(records.read(Key::EVENTS, sstable::decode_events)?.into_iter().flatten());
    }
    Ok(events)
}

/// Types of a channel over time: each with the time of its first sample, where neighbours differ.
pub(crate) fn types(shared: &Shared, slot: &Slot) -> Result<Vec<(Timestamp, ValueType)>, ReadError> {
    let snapshot = of(shared, slot, TimeRange::ALL)?;
    let mut found: Vec<(Timestamp, ValueType)> = Vec::new();
    for run in &snapshot.runs {
        found.extend(run.types()?);
    }
    found.sort_by_key(|(time, _)| *time);
    found.dedup_by_key(|(_, value_type)| *value_type);
    Ok(found)
}

/// Metadata of a channel in force at `time`.
pub(crate) fn metadata_at(
    shared: &Shared,
    slot: &Slot,
    time: Timestamp,
) -> Result<Option<(Timestamp, Arc<Metadata>)>, ReadError> {
    let range = TimeRange::new(time, time.saturating_add(1));
    let snapshot = of(shared, slot, range)?;
    Ok(snapshot.metadata.into_iter().rfind(|(from, _)| *from <= time))
}
