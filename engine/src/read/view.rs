//! One channel at one moment over all archives that know it.

mod held;
mod version;

pub use held::HeldView;
pub use version::Version;

use super::edge::{earlier, last_before, last_type_before};
use super::{
    Enough, Kept, Part, Position, Problem, ProblemCode, ReadError, Reader, Scan, Snapshot, Step, Stretches,
    Union, with_parts,
};
use decimator::coverage::{self, Coverage};
use decimator::fold::Folding;
use sample::{ChannelName, Event, Metadata, Sample, SampleBlock, TimeRange, Timestamp, ValueType};
use std::sync::{Arc, Mutex, PoisonError};

/// How often an answer is planned anew because files that it needed have gone.
pub const REPLANS_MAX: usize = 5;

/// One channel at one moment: what every answer about it is made from.
pub struct ChannelView {
    name: ChannelName,
    /// In order of priority, the winner first; never empty.
    snapshots: Vec<Snapshot>,
    problems: Arc<Mutex<Vec<Problem>>>,
    /// Who is asked again where files have gone meanwhile, and for which range.
    reader: Reader,
    range: TimeRange,
}

/// A scan of a [`ChannelView`]; see [`Scan`].
pub struct Samples {
    union: Union,
    range: TimeRange,
    problems: Arc<Mutex<Vec<Problem>>>,
}

impl Iterator for Samples {
    type Item = Result<SampleBlock, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step(None).and_then(Step::samples)
    }
}

impl Samples {
    /// As [`super::Merge::within`].
    pub fn within(self, stretches: Option<Arc<[TimeRange]>>) -> Samples {
        Samples { union: self.union.within(stretches), ..self }
    }

    /// As [`super::Merge::step`].
    pub fn step(&mut self, enough: Option<&mut Enough<'_>>) -> Option<Result<Step, ReadError>> {
        let step = self.union.step(enough);
        let damage = self.union.take_damage();
        if !damage.is_empty() {
            let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
            for problem in damage.iter().map(|error| Problem::of(error, self.range)) {
                // What an earlier scan met is known already.
                if problems.iter().all(|p| p.range != problem.range || p.message != problem.message) {
                    problems.push(problem);
                }
            }
        }
        step
    }
}

impl ChannelView {
    /// From what the archives said; `None` when none knows the channel.
    pub(super) fn new(
        name: ChannelName,
        mut snapshots: Vec<Snapshot>,
        mut problems: Vec<Problem>,
        (reader, range): (&Reader, TimeRange),
    ) -> Option<ChannelView> {
        if snapshots.is_empty() {
            return None;
        }
        for snapshot in &mut snapshots {
            problems.append(&mut snapshot.problems);
        }
        let problems = Arc::new(Mutex::new(problems));
        Some(ChannelView { name, snapshots, problems, reader: reader.clone(), range })
    }

    /// What `ask` finds here, or, where files have gone that this moment needs, a moment later.
    fn lasting<T>(&self, ask: impl Fn(&ChannelView) -> Result<T, ReadError>) -> Result<T, ReadError> {
        let mut found = ask(self);
        for _ in 0..REPLANS_MAX {
            if !matches!(found, Err(ReadError::Vanished(_))) {
                break;
            }
            // What was looked at before is what has gone.
            let reader = self.reader.for_one_answer();
            let Some(later) = reader.view(&self.name, self.range)? else { break };
            found = ask(&later);
        }
        found
    }

    /// The stored name.
    pub fn name(&self) -> &ChannelName {
        &self.name
    }

    /// Samples as [`Scan`] says.
    pub fn samples(&self, scan: &Scan) -> Samples {
        let union = Union::new(self.snapshots.iter().map(|snapshot| snapshot.runs.as_slice()), *scan);
        let union = union.ahead(self.reader.spare());
        Samples { union, range: scan.range, problems: self.problems.clone() }
    }

    /// Plans the bins of `folding`: which are stored in parts, and of which samples have to be folded. Where several
    /// archives have samples, all samples have.
    ///
    /// # Errors
    /// When an archive cannot say where it has samples.
    pub fn stretches<'a>(&self, folding: &'a Folding) -> Result<Stretches<'a>, ReadError> {
        self.lasting(|view| view.planned(folding))
    }

    fn planned<'a>(&self, folding: &'a Folding) -> Result<Stretches<'a>, ReadError> {
        let range = folding.range;
        let has_some = |snapshot: &&Snapshot| {
            snapshot.runs.iter().map(|run| run.span()).any(|(first, last)| range.touches(first, last))
        };
        let with_samples: Vec<&Snapshot> = self.snapshots.iter().filter(has_some).collect();
        match with_samples.as_slice() {
            [only] => Stretches::new(folding, &only.runs, &only.rows),
            _ => Stretches::new(folding, &[], &[]),
        }
    }

    /// The last sample before `time`, or at or before it if `inclusive`.
    pub fn last_before(&self, time: Timestamp, inclusive: bool) -> Result<Option<Sample>, ReadError> {
        self.lasting(|view| view.found_before(time, inclusive))
    }

    fn found_before(&self, time: Timestamp, inclusive: bool) -> Result<Option<Sample>, ReadError> {
        let mut found: Option<Sample> = None;
        for snapshot in &self.snapshots {
            let mut best: Option<Sample> = None;
            let mut runs: Vec<_> = snapshot.runs.iter().collect();
            runs.sort_by_key(|run| std::cmp::Reverse(run.span().1.min(time)));
            for run in runs {
                if best.as_ref().is_some_and(|b| run.span().1 < b.time) {
                    continue;
                }
                let sample = last_before(&**run, time, inclusive)?;
                if let Some(sample) = sample
                    && best.as_ref().is_none_or(|b| (b.time, b.rank) < (sample.time, sample.rank))
                {
                    best = Some(sample);
                }
            }
            if let Some(best) = best
                && found.as_ref().is_none_or(|f| f.time < best.time)
            {
                found = Some(best);
            }
        }
        Ok(found)
    }

    /// The type of the last value before `time`. Samples are read only where values of several types may be the last.
    pub fn type_before(&self, time: Timestamp) -> Result<Option<ValueType>, ReadError> {
        self.lasting(|view| view.type_found_before(time))
    }

    fn type_found_before(&self, time: Timestamp) -> Result<Option<ValueType>, ReadError> {
        let mut last: Option<(Part, ValueType)> = None;
        let mut others: Vec<(Part, ValueType)> = Vec::new();
        for run in self.snapshots.iter().flat_map(|s| &s.runs) {
            let of_run = match &last {
                Some((part, _)) if run.span().1.0 < part.first.time => None,
                _ => last_type_before(&**run, time)?,
            };
            let Some(of_run) = of_run else { continue };
            let later = last.is_none_or(|(part, _)| part.last.time < of_run.0.last.time);
            others.extend(if later { last.replace(of_run) } else { Some(of_run) });
        }
        let Some((part, value_type)) = last else { return Ok(None) };
        if others.iter().any(|(other, of)| *of != value_type && other.last.time >= part.first.time) {
            return Ok(self.found_before(time, false)?.map(|sample| sample.run_type().value));
        }
        Ok(Some(value_type))
    }

    /// Types of the samples inside `range`, each once. Of chunks that lie wholly inside only the headers are read; of
    /// damage nothing is said, who reads the samples meets it.
    pub fn types_in(&self, range: TimeRange) -> Result<Vec<ValueType>, ReadError> {
        self.lasting(|view| view.types_found_in(range))
    }

    fn types_found_in(&self, range: TimeRange) -> Result<Vec<ValueType>, ReadError> {
        let mut types = Vec::new();
        for run in self.snapshots.iter().flat_map(|s| &s.runs) {
            let (first, last) = run.span();
            if !range.touches(first, last) {
                continue;
            }
            with_parts(&**run, range, |parts| {
                for part in parts {
                    let value_type = match run.type_of(part) {
                        Err(ReadError::Damaged { .. }) => continue,
                        other => other?,
                    };
                    if types.contains(&value_type) {
                        continue;
                    }
                    let any = |block: Result<SampleBlock, ReadError>| match block {
                        Err(ReadError::Damaged { .. }) => Ok(true),
                        other => other.map(|block| !block.is_empty()),
                    };
                    let inside = |position: Position| range.contains(Timestamp(position.time));
                    if inside(part.first) || inside(part.last) || any(run.load(part, range))? {
                        types.push(value_type);
                    }
                }
                Ok(())
            })?;
        }
        Ok(types)
    }

    /// The first sample at or after `time`.
    pub fn first_from(&self, time: Timestamp) -> Result<Option<Sample>, ReadError> {
        self.lasting(|view| view.found_from(time))
    }

    fn found_from(&self, time: Timestamp) -> Result<Option<Sample>, ReadError> {
        let mut found: Option<Sample> = None;
        for snapshot in &self.snapshots {
            let mut best: Option<Sample> = None;
            for run in &snapshot.runs {
                best = earlier(best, &**run, time)?;
            }
            for run in snapshot.tables.iter().flat_map(|tables| tables.behind()) {
                let run = run?;
                // So do all that come then.
                if best.as_ref().is_some_and(|best| best.time < run.span().0) {
                    break;
                }
                best = earlier(best, &*run, time)?;
            }
            if let Some(best) = best
                && found.as_ref().is_none_or(|f| best.time < f.time)
            {
                found = Some(best);
            }
        }
        Ok(found)
    }

    /// Metadata changes known to the best archive, by time, from the one in force at the range's start on.
    pub fn metadata(&self) -> &[(Timestamp, Arc<Metadata>)] {
        self.snapshots.iter().map(|s| s.metadata.as_slice()).find(|m| !m.is_empty()).unwrap_or(&[])
    }

    /// Metadata in force at `time`.
    pub fn metadata_at(&self, time: Timestamp) -> Option<&(Timestamp, Arc<Metadata>)> {
        let changes = self.metadata();
        changes[..changes.partition_point(|(from, _)| *from <= time)].last()
    }

    /// Events of the channel and of its engines inside `range`, by time.
    pub fn events(&self, range: TimeRange) -> Vec<Event> {
        let mut events: Vec<Event> = self
            .snapshots
            .iter()
            .flat_map(|s| &s.events)
            .filter(|event| range.contains(event.time))
            .cloned()
            .collect();
        events.sort_by_key(|event| (event.time, event.sequence));
        events.dedup();
        events
    }

    /// What was known when: intervals that partition `range` exactly.
    pub fn coverage(&self, range: TimeRange) -> Coverage {
        let each: Vec<Coverage> = self
            .snapshots
            .iter()
            .map(|snapshot| {
                let mut damaged: Vec<TimeRange> = Vec::new();
                damaged.extend(
                    self.problems().iter().filter(|p| p.code == ProblemCode::Damaged).map(|p| p.range),
                );
                coverage::fold(&coverage::Facts {
                    range,
                    events: &snapshot.events,
                    first_sample: snapshot.first_sample,
                    damaged: &damaged,
                    knowledge_ends: snapshot.knowledge_ends,
                    running: snapshot.running,
                })
            })
            .collect();
        coverage::best_of(range, &each)
    }

    /// About how many samples `range` holds: those of every chunk that touches it.
    pub fn estimate(&self, range: TimeRange) -> Result<u64, ReadError> {
        self.lasting(|view| view.snapshots.iter().flat_map(|s| &s.runs).map(|run| run.count(range)).sum())
    }

    /// What is known to be missing so far; grows while scans skip damage.
    pub fn problems(&self) -> Vec<Problem> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything received at or before this survives a crash, in every archive.
    pub fn durable_until(&self) -> Timestamp {
        self.snapshots.iter().map(|s| s.durable_until).min().unwrap_or(Timestamp::MIN)
    }
}
