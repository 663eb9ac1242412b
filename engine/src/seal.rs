//! Weeks of the past become dense: their tables are rewritten, compared with what they were made from, and give
//! way to the new ones.

mod choice;
mod output;
mod verification;

pub(crate) use choice::{backlog, due, sealable};

use crate::error::Error;
use crate::manifest::{FIRST_GENERATION, Manifest, Sealing, SealingInput, TableEntry};
use crate::merge::{self, Replaced, Taken};
use crate::retention;
use crate::shared::Shared;
use crate::view::View;
use output::Output;
use sample::{ChannelId, Week};
use sstable::BlockCache;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

/// How far a seal came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SealStep {
    /// There was nothing to do, or no room to do it.
    Idle,
    /// It was asked to stop; what was finished before stays finished.
    Stopped,
    /// One more table, of so many bytes, is finished.
    Written(u64),
    /// The last table, of so many bytes, is finished; the week is sealed.
    Sealed(u64),
}

/// A week on its way.
struct Work {
    week: Week,
    generation: u32,
    inputs: Vec<TableEntry>,
    /// What finished tables took from each input.
    taken: Vec<Taken>,
    outputs: Vec<TableEntry>,
}

impl Work {
    /// Goes on where the manifest says, or begins with all tables of the week.
    fn of(manifest: &Manifest, week: Week) -> Work {
        let raw = || manifest.tables.iter().filter(|table| table.week == week && !table.decimated);
        if let Some(sealing) = manifest.sealing.as_ref().filter(|sealing| week_of(sealing) == Some(week)) {
            let input = |of: &SealingInput| raw().find(|table| table.id == of.table).cloned();
            let taken = sealing.inputs.iter().map(|i| Taken { samples: i.samples, records: i.records });
            return Work {
                week,
                generation: sealing.outputs.first().map_or(FIRST_GENERATION, |output| output.generation),
                inputs: sealing.inputs.iter().filter_map(input).collect(),
                taken: taken.collect(),
                outputs: sealing.outputs.clone(),
            };
        }
        let inputs: Vec<TableEntry> = raw().cloned().collect();
        Work {
            week,
            generation: raw().map(|table| table.generation).max().unwrap_or(0) + 1,
            taken: vec![Taken::default(); inputs.len()],
            inputs,
            outputs: Vec::new(),
        }
    }

    /// Bytes that are still to be read, and are written at most.
    fn bytes_left(&self) -> u64 {
        let bytes = |tables: &[TableEntry]| tables.iter().map(|table| table.len).sum::<u64>();
        bytes(&self.inputs).saturating_sub(bytes(&self.outputs))
    }

    /// The class that the next table is of and the first channel in it; `None` when all are finished.
    fn next(&self) -> Option<(u16, ChannelId)> {
        let highest = |class| self.of_class(class).map(|(_, input)| input.channel_span.1).max();
        let following = |from: u16| {
            let class = self.inputs.iter().map(|input| input.class).filter(|class| *class >= from).min();
            class.map(|class| (class, ChannelId(0)))
        };
        let Some(last) = self.outputs.last() else { return following(0) };
        match highest(last.class) {
            Some(highest) if last.channel_span.1 < highest => {
                Some((last.class, ChannelId(last.channel_span.1.0 + 1)))
            }
            _ => following(last.class.checked_add(1)?),
        }
    }

    /// Inputs of a class with their places.
    fn of_class(&self, class: u16) -> impl Iterator<Item = (usize, &TableEntry)> {
        self.inputs.iter().enumerate().filter(move |(_, input)| input.class == class)
    }

    fn add(&mut self, output: Output) {
        for (at, taken) in output.taken {
            self.taken[at].samples += taken.samples;
            self.taken[at].records += taken.records;
        }
        self.outputs.push(output.entry);
    }
}

fn week_of(sealing: &Sealing) -> Option<Week> {
    sealing.outputs.first().map(|output| output.week)
}

/// The week that is being sealed.
pub(crate) fn begun(manifest: &Manifest) -> Option<Week> {
    manifest.sealing.as_ref().and_then(week_of)
}

/// Bytes that sealing a week will read, as far as it is not done.
pub(crate) fn bytes_left(manifest: &Manifest, week: Week) -> u64 {
    Work::of(manifest, week).bytes_left()
}

/// Writes the next table of a week, verifies it, and notes that it is finished; with the last one the week is
/// sealed. After an error or a stop only what was noted is left.
pub(crate) fn step(
    shared: &Shared,
    week: Week,
    publishing: &Mutex<()>,
    stop: &dyn Fn() -> bool,
) -> Result<SealStep, Error> {
    if begun(&shared.view().manifest).is_none() {
        // The sealed week answers for itself.
        retention::open_past_week(shared, publishing, week)?;
    }
    let mut work = Work::of(&shared.view().manifest, week);
    let Some((class, from)) = work.next() else { return Ok(SealStep::Idle) };
    let Some(output) = output::write(shared, &work, class, from, stop)? else {
        return Ok(SealStep::Stopped);
    };
    let (id, len, path) = (output.entry.id, output.entry.len, output.entry.path(&shared.layout));
    work.add(output);
    let noted = match work.next() {
        Some(_) => note(shared, &work, publishing).map(|()| SealStep::Written(len)),
        None => finish(shared, &work, publishing).map(|()| SealStep::Sealed(len)),
    };
    if noted.is_err() && !merge::may_be_live(shared, id) {
        merge::remove(shared, &path);
    }
    noted
}

/// Durably notes what is finished.
fn note(shared: &Shared, work: &Work, publishing: &Mutex<()>) -> Result<(), Error> {
    let inputs = work.inputs.iter().zip(&work.taken).map(|(input, taken)| SealingInput {
        table: input.id,
        samples: taken.samples,
        records: taken.records,
    });
    store(shared, Some(Sealing { inputs: inputs.collect(), outputs: work.outputs.clone() }), publishing)
}

fn store(shared: &Shared, sealing: Option<Sealing>, publishing: &Mutex<()>) -> Result<(), Error> {
    let _still = publishing.lock().unwrap_or_else(PoisonError::into_inner);
    shared.check_not_poisoned()?;
    let view = shared.view();
    let mut manifest = view.manifest.clone();
    manifest.sealing = sealing;
    manifest.next_table = shared.next_table.load(Ordering::Relaxed);
    manifest.generation = shared.next_generation();
    manifest.store(&*shared.disk, &shared.layout)?;
    shared.publish(View::new(manifest, view.tables.clone(), view.flushed_epoch));
    Ok(())
}

/// The finished tables become the week.
fn finish(shared: &Shared, work: &Work, publishing: &Mutex<()>) -> Result<(), Error> {
    let cache = BlockCache::new(crate::limits::MERGE_CACHE_BYTES);
    let open = |tables: &[TableEntry]| {
        tables.iter().map(|entry| merge::open(shared, entry, &cache)).collect::<Result<Vec<_>, _>>()
    };
    let inputs = open(&work.inputs)?;
    for (table, taken) in inputs.iter().zip(&work.taken) {
        merge::check_whole(table, *taken)?;
    }
    let replaced = Replaced { inputs: work.inputs.clone(), outputs: work.outputs.clone() };
    replaced.publish(shared, publishing)?;
    merge::recount(shared, &inputs, &open(&work.outputs)?)?;
    tracing::info!(week = %crate::layout::week_name(work.week), tables = work.outputs.len(), "week sealed");
    Ok(())
}

/// Gives up what was finished of a seal.
pub(crate) fn discard(shared: &Shared, publishing: &Mutex<()>) -> Result<(), Error> {
    let Some(sealing) = shared.view().manifest.sealing.clone() else { return Ok(()) };
    store(shared, None, publishing)?;
    for output in &sealing.outputs {
        merge::remove(shared, &output.path(&shared.layout));
    }
    Ok(())
}
