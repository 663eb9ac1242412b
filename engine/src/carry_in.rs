//! What held when a week began: the first records of its partition.

use crate::error::Error;
use crate::gather::{Gathered, TableKey, archiving_after};
use crate::read::{ReadError, Snapshot};
use crate::shared::Shared;
use crate::slot::{BeforeWeek, Slot, SlotState};
use crate::snapshot;
use crate::table_contents::Section;
use crate::tail::Tail;
use crate::view::View;
use sample::{ChannelId, Event, EventKind, Sample, TimeRange, Timestamp, Week};
use sstable::{CarriedSample, CarryIn, ChannelChange, ChannelRecord, Connection};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A week that opens with a flush.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    pub(crate) week: Week,
    /// Whether it has tables already: stamps from the near future are flushed before their week opens.
    begun: bool,
}

/// Plans carry-in for the weeks that open with this flush, and overrides where late samples change what later
/// weeks hold at their begin. The latest week opens, never one of the past or the future, whose begin is not
/// known.
pub(crate) fn open_weeks(view: &View, gathered: &mut Gathered) {
    override_opened(view, gathered);
    let present = Week::containing(gathered.frozen().at);
    let newest_open = view.manifest.tables.iter().filter(|t| t.holds_carry_in).map(|t| t.week).max();
    let opening: BTreeSet<Week> = gathered
        .tables
        .keys()
        .map(|(week, _)| *week)
        .filter(|week| *week <= present && newest_open.is_none_or(|open| *week > open))
        .collect();
    // The first week of an archive has nothing before it, and an older one may still come.
    let Some(week) = opening.last().copied() else { return };
    let mut of_class: BTreeMap<Arc<str>, Vec<ChannelId>> = BTreeMap::new();
    for slot in gathered.slots().filter(|slot| slot.id != ChannelId::ARCHIVE) {
        of_class.entry(slot.lock().retention.clone()).or_default().push(slot.id);
    }
    for (class, channels) in of_class {
        gathered.tables.entry((week, class)).or_default().add_carry_in(channels);
    }
    let begun = view.manifest.tables.iter().any(|table| table.week == week);
    gathered.opening = Some(Opening { week, begun });
}

/// What held for a channel when `opening` began.
pub(crate) fn at_opening(
    shared: &Shared,
    gathered: &Gathered,
    slot: &Slot,
    opening: &Opening,
) -> Result<CarryIn, Error> {
    let Opening { week, begun } = *opening;
    let ((mut carry_in, in_files), late, overtaken) = {
        let state = slot.lock();
        let known = known(&state, week, gathered.frozen().epoch);
        (known, state.late_next > 0, is_overtaken(&state, week))
    };
    if overtaken {
        look_up_state(shared, slot, week, &mut carry_in)?;
    }
    if carry_in.sample.is_none() && in_files {
        carry_in.sample = look_up(shared, slot, week)?;
    } else if begun && late {
        // Samples that came late behind stamps of this week may be the last ones before it, and memory does not
        // know them any more.
        let found = look_up(shared, slot, week)?;
        if found.as_ref().map(position) > carry_in.sample.as_ref().map(position) {
            carry_in.sample = found;
        }
    }
    if carry_in.connection.is_none() {
        carry_in.connection = look_up_connection(shared, slot, week)?;
    }
    // A sample that is flushed together with the week's opening may be the last one before it: a late one, or
    // one that memory does not know as such any more.
    if let Some(newest) = gathered.last_before(slot.id, week)
        && carry_in.sample.as_ref().is_none_or(|known| position(known) < (newest.time, newest.rank))
    {
        carry_in.sample = Some(CarriedSample::of(&newest, Week::containing(newest.time), false));
    }
    Ok(carry_in)
}

/// What memory knows of a channel's state at the begin of `week`, and whether the last sample before it has
/// to be looked up in files. What came after `epoch` was frozen may be lost in a crash and counts nothing:
/// events and metadata that did are of later weeks, samples may be older.
fn known(state: &SlotState, week: Week, epoch: u64) -> (CarryIn, bool) {
    let start = week.start();
    let (sample, look_up) = match (&state.newest, &state.sample_before_week) {
        (None, _) => (None, false),
        (Some(newest), _) if newest.time < start => match state.last_in_memory() {
            Some(sample) => (Some(CarriedSample::of(&sample, Week::containing(sample.time), false)), false),
            None => (None, true),
        },
        (Some(_), Some((of, sample))) if *of == week => (sample.clone(), sample.is_none()),
        (Some(_), _) => {
            // Its first sample may be gone, what held since then is carried.
            let first = state.first_sample.map(|first| first.time);
            (None, state.oldest.into_iter().chain(first).any(|time| time < start))
        }
    };
    let unfrozen =
        state.epochs().filter(|data| data.epoch > epoch).filter_map(|data| data.first_in_order()).min();
    let (sample, look_up) = match (sample, unfrozen) {
        (Some(sample), Some((time, rank))) if (Timestamp(time), rank) <= position(&sample) => (None, true),
        found => (found.0, look_up),
    };
    let before = match &state.state_before_week {
        Some((of, before)) if *of == week => (**before).clone(),
        _ => BeforeWeek::of(state),
    };
    let connection = before.connection.since.map(|since| Connection {
        host: before.connection.host.as_deref().map(Box::from),
        since,
        last_heard: before.connection.last_heard,
    });
    let carry_in = CarryIn {
        sample,
        original: false,
        connection: connection.filter(|c| c.since < start),
        archiving: before.archiving.0.as_record().zip(before.archiving.1).filter(|(_, since)| *since < start),
        metadata: before.metadata.filter(|(since, _)| *since < start).map(|(since, m)| (since, (*m).clone())),
        names: names(state, start),
        last_sequence: 0,
    };
    (carry_in, look_up)
}

/// Whether memory knows of the channel's state only what came since a later week than `week` began: a flush may
/// come so late.
fn is_overtaken(state: &SlotState, week: Week) -> bool {
    let since = state.metadata.as_ref().map(|(since, _)| *since).into_iter().chain(state.archiving.1);
    state.state_before_week.as_ref().is_none_or(|(of, _)| *of != week) && since.max() >= Some(week.start())
}

/// Metadata and archiving state before `week` from files and memory.
fn look_up_state(shared: &Shared, slot: &Slot, week: Week, carry_in: &mut CarryIn) -> Result<(), Error> {
    let start = week.start();
    let snapshot = snapshot::of(shared, slot, TimeRange::new(start, start)).map_err(Error::Read)?;
    let metadata = snapshot.metadata.iter().rfind(|(since, _)| *since < start);
    let archiving =
        snapshot.events.iter().filter(|event| event.time < start).fold(Default::default(), archiving_after);
    carry_in.metadata = metadata.map(|(since, metadata)| (*since, (**metadata).clone()));
    carry_in.archiving = archiving.0.as_record().zip(archiving.1);
    Ok(())
}

/// The last sample before `week` from the files.
fn look_up(shared: &Shared, slot: &Slot, week: Week) -> Result<Option<CarriedSample>, Error> {
    let start = week.start();
    let (view, mut tail) = Tail::of(shared, slot);
    tail.runs.clear();
    let snapshot = snapshot::join(&view, tail, TimeRange::new(start, start)).map_err(Error::Read)?;
    last_sample(&snapshot, start)
}

fn last_sample(snapshot: &Snapshot, start: Timestamp) -> Result<Option<CarriedSample>, Error> {
    let mut best: Option<Sample> = None;
    for run in &snapshot.runs {
        let sample = crate::read::last_before(&**run, start, false).map_err(Error::Read)?;
        if let Some(sample) = sample
            && best.as_ref().is_none_or(|b| (b.time, b.rank) < (sample.time, sample.rank))
        {
            best = Some(sample);
        }
    }
    Ok(best.map(|sample| CarriedSample::of(&sample, Week::containing(sample.time), false)))
}

/// What held for a channel at the begin of a past week, as the files of `view` tell it.
pub(crate) fn from_files(
    shared: &Shared,
    view: &Arc<View>,
    slot: &Slot,
    week: Week,
) -> Result<CarryIn, Error> {
    let start = week.start();
    let (_, mut tail) = Tail::of(shared, slot);
    (tail.runs, tail.events, tail.archive_events, tail.metadata) = Default::default();
    let snapshot = snapshot::join(view, tail, TimeRange::new(start, start)).map_err(Error::Read)?;
    // The tables that say so may go afterwards: nothing is made up for what cannot be read.
    if let Some(ReadError::Damaged { file, offset, what, .. }) = view.damage.met_before(slot.id, start) {
        return Err(Error::corrupt(&file, offset, what));
    }
    let before = || snapshot.events.iter().filter(|event| event.time < start);
    let archiving = before().fold(Default::default(), archiving_after);
    let metadata = snapshot.metadata.iter().rfind(|(since, _)| *since < start);
    Ok(CarryIn {
        sample: last_sample(&snapshot, start)?,
        original: false,
        connection: connection_after(before()),
        archiving: archiving.0.as_record().zip(archiving.1),
        metadata: metadata.map(|(since, metadata)| (*since, (**metadata).clone())),
        names: names(&slot.lock(), start),
        last_sequence: 0,
    })
}

/// Name and class at the begin of a week.
fn names(state: &SlotState, start: Timestamp) -> Vec<ChannelRecord> {
    vec![
        ChannelRecord { time: start, change: ChannelChange::Named(state.name.clone()) },
        ChannelRecord { time: start, change: ChannelChange::Retention(Box::from(&*state.retention)) },
    ]
}

/// The connection before `week` from the files: a restart forgets it, because nothing is connected then.
fn look_up_connection(shared: &Shared, slot: &Slot, week: Week) -> Result<Option<Connection>, Error> {
    let start = week.start();
    let snapshot = snapshot::of(shared, slot, TimeRange::new(start, start)).map_err(Error::Read)?;
    Ok(connection_after(snapshot.events.iter().filter(|event| event.time < start)))
}

/// The connection that events leave behind.
fn connection_after<'a>(events: impl Iterator<Item = &'a Event>) -> Option<Connection> {
    let mut found: Option<Connection> = None;
    for event in events {
        let since = event.time;
        match &event.kind {
            EventKind::Connected { host } => {
                found = Some(Connection { host: Some(host.clone()), since, last_heard: None });
            }
            EventKind::Disconnected { last_heard } => {
                found = Some(Connection { host: None, since, last_heard: Some(*last_heard) });
            }
            EventKind::EngineDown { .. } | EventKind::Stopped | EventKind::Retired => {
                if let Some(connection) = &mut found {
                    connection.host = None;
                }
            }
            _ => {}
        }
    }
    found
}

pub(crate) fn position(carried: &CarriedSample) -> (Timestamp, u32) {
    match carried {
        CarriedSample::Here(sample) => (sample.time, sample.rank),
        CarriedSample::There { time, rank, .. } => (*time, *rank),
    }
}

/// Late samples of a closed week may change what later, opened weeks hold at their begin: each such week
/// gets the newest of them as an override; readers take the newer of the two.
fn override_opened(view: &View, gathered: &mut Gathered) {
    let opened: BTreeSet<Week> =
        view.manifest.tables.iter().filter(|t| t.holds_carry_in).map(|t| t.week).collect();
    let mut overrides: BTreeMap<(TableKey, ChannelId), Sample> = BTreeMap::new();
    for ((week, class), planned) in &gathered.tables {
        if opened.range(week.next()..).next().is_none() {
            continue;
        }
        for share in planned.shares().iter().filter(|share| share.has(Section::Samples)) {
            let blocks = gathered.blocks(share.channel, *week);
            let newest = blocks.iter().max_by_key(|(block, _)| block.position(block.len() - 1));
            let Some((block, _)) = newest else { continue };
            let sample = block.get(block.len() - 1);
            for later in opened.range(week.next()..) {
                let key = ((*later, class.clone()), share.channel);
                let known = overrides.get(&key);
                if known.is_none_or(|k| (k.time, k.rank) < (sample.time, sample.rank)) {
                    overrides.insert(key, sample.clone());
                }
            }
        }
    }
    for ((table, channel), sample) in overrides {
        gathered.overrides.insert((table.0, channel), sample);
        gathered.tables.entry(table).or_default().add_carry_in([channel]);
    }
}
