//! What the dictionaries of all tables say of channels, as slots.

use crate::error::Error;
use crate::merge;
use crate::read::FirstSample;
use crate::shared::Directory;
use crate::slot::{Archiving, Newest, Slot};
use disk::FormatError;
use sample::{ChannelId, ChannelName};
use sstable::{DictionaryRow, Table};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Channels that one thread reads at a time.
const PORTION_CHANNELS: u64 = 1 << 14;
/// Threads that read dictionaries at most.
const THREADS_MAX: usize = 8;

/// Enters the channels of `tables`, each with the name of its retention class, in the order in which they were
/// flushed: all of them, or `only` this one. With many channels several threads read.
///
/// # Errors
/// The disk's; damage of a dictionary; a channel that the manifest, which gives `next_channel`, does not know.
pub(crate) fn enter(
    directory: &mut Directory,
    tables: &[(&str, &Table)],
    next_channel: u64,
    only: Option<ChannelId>,
) -> Result<(), Error> {
    let tables: Vec<(Arc<str>, &Table)> =
        tables.iter().map(|(class, table)| (Arc::from(*class), *table)).collect();
    let reading = Reading { tables, next_channel };
    let slots = match only {
        Some(channel) => reading.portion(channel..=channel)?,
        None => reading.all()?,
    };
    for (slot, name) in slots {
        directory.enter(&slot, name);
    }
    Ok(())
}

/// Slots with the names of their channels.
type Slots = Vec<(Arc<Slot>, ChannelName)>;

struct Reading<'a> {
    tables: Vec<(Arc<str>, &'a Table)>,
    next_channel: u64,
}

impl Reading<'_> {
    /// All channels in the order of their ids.
    fn all(&self) -> Result<Slots, Error> {
        let portions = self.next_channel.div_ceil(PORTION_CHANNELS).max(1);
        let range = |portion: u64| {
            let from = portion * PORTION_CHANNELS;
            // The last one meets the channels that should not be.
            let to = if portion + 1 == portions { u64::MAX } else { from + PORTION_CHANNELS - 1 };
            ChannelId(from)..=ChannelId(to)
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        if portions == 1 || threads == 1 {
            let mut slots = Vec::new();
            for portion in 0..portions {
                slots.extend(self.portion(range(portion))?);
            }
            return Ok(slots);
        }
        let next = AtomicUsize::new(0);
        let found: Mutex<Vec<(u64, Result<Slots, Error>)>> = Mutex::default();
        let work = || {
            loop {
                let portion = next.fetch_add(1, Ordering::Relaxed) as u64;
                if portion >= portions {
                    return;
                }
                let slots = self.portion(range(portion));
                found.lock().unwrap_or_else(PoisonError::into_inner).push((portion, slots));
            }
        };
        std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.sort_by_key(|(portion, _)| *portion);
        let mut slots = Vec::new();
        for (_, portion) in found {
            slots.extend(portion?);
        }
        Ok(slots)
    }

    /// Some channels in the order of their ids.
    fn portion(&self, channels: RangeInclusive<ChannelId>) -> Result<Slots, Error> {
        let from = channels.start().0;
        let places = self
            .next_channel
            .saturating_sub(from)
            .min(channels.end().0.saturating_sub(from).saturating_add(1));
        let mut known: Vec<Known> = Vec::new();
        known.resize_with(usize::try_from(places).unwrap_or(usize::MAX), Known::default);
        for (class, table) in &self.tables {
            for row in table.dictionary_of(channels.clone()) {
                let row = row?;
                let known =
                    usize::try_from(row.channel.0.wrapping_sub(from)).ok().and_then(|at| known.get_mut(at));
                let Some(known) = known else { return Err(self.unknown(table, &row).into()) };
                // A merged table tells of some channels what later tables of another class have overtaken.
                let as_of = merge::as_of(table, &row);
                let is_newest = as_of >= known.as_of;
                known.as_of = as_of.max(known.as_of);
                let slot = known.slot.get_or_insert_with(|| {
                    (Arc::new(Slot::new(row.channel, row.name.clone())), row.name.clone())
                });
                learn(&slot.0, row, is_newest.then_some(class));
            }
        }
        Ok(known.into_iter().filter_map(|known| known.slot).collect())
    }

    fn unknown(&self, table: &Table, row: &DictionaryRow) -> FormatError {
        let what = format!(
            "channel {} stands in the dictionary, the manifest knows ids below {} only",
            row.channel.0, self.next_channel
        );
        FormatError::corrupt(table.path(), 0, what)
    }
}

/// A channel while the tables are read.
#[derive(Default)]
struct Known {
    slot: Option<(Arc<Slot>, ChannelName)>,
    /// Number of the newest table that told of it.
    as_of: u64,
}

/// Merges what a table knows of a channel into its slot. `class`: the table's retention class, unless an
/// earlier row told of a later time.
fn learn(slot: &Slot, row: DictionaryRow, class: Option<&Arc<str>>) {
    let mut state = slot.lock();
    if let Some(class) = class {
        state.retention = class.clone();
    }
    if let Some(newest) = &row.newest
        && state.newest.is_none_or(|n| (n.time, n.rank) <= (newest.time, newest.rank))
    {
        state.newest =
            Some(Newest { time: newest.time, rank: newest.rank, fingerprint: Some(newest.fingerprint) });
        if let Some(description) = row.types.last() {
            state.value_type = Some(description.value);
        }
    }
    state.late_next = state.late_next.max(row.next_late_rank);
    if let Some((time, sequence)) = row.first_sample {
        state.first_sample.get_or_insert(FirstSample { time, sequence: Some(sequence) });
    }
    if let Some((first, _)) = row.span {
        state.oldest = Some(state.oldest.map_or(first, |oldest| oldest.min(first)));
    }
    state.flushed_samples += row.samples;
    state.flushed_bytes += row.bytes;
    // A channel's row tells of it in every table since it was known first.
    if let Some((archiving, since)) = row.archiving
        && class.is_some()
    {
        state.archiving = (Archiving::of_record(archiving), Some(since));
        state.flushed_archiving = state.archiving;
    }
    if let Some((since, metadata)) = row.metadata
        && state.metadata.as_ref().is_none_or(|(known, _)| *known <= since)
    {
        state.metadata = Some((since, Arc::new(metadata)));
    }
}
