//! Joins one channel's samples from several archives: union by time, the first archive wins at equal times.

use super::{Enough, Facts, Merge, Order, Part, Passed, ReadError, Run, Scan, Spare, Step};
use sample::{SampleBlock, TimeRange, Timestamp};
use std::sync::Arc;

/// One archive's stream with what of its present block was not delivered.
struct Stream {
    merge: Merge,
    rest: Option<SampleBlock>,
    ended: bool,
}

/// The joined stream; archives in order of priority.
pub struct Union {
    streams: Vec<Stream>,
    ascending: bool,
    /// Time delivered last and the archive that delivered it.
    last: Option<(i64, usize)>,
    /// Time delivered last in an earlier scan that this one goes on with; taken when its archive is known.
    resumed: Option<i64>,
    failed: bool,
}

impl Union {
    /// Joins what `scan` finds in the runs of each archive, the winner first.
    pub fn new<'a>(archives: impl Iterator<Item = &'a [Arc<dyn Run>]>, scan: Scan) -> Union {
        let stream = |runs| Stream { merge: Merge::new(runs, scan), rest: None, ended: false };
        Union {
            streams: archives.map(stream).collect(),
            ascending: scan.order == Order::Ascending,
            last: None,
            resumed: scan.beyond.map(|position| position.time),
            failed: false,
        }
    }

    /// Damage that was skipped so far.
    pub fn take_damage(&mut self) -> Vec<ReadError> {
        self.streams.iter_mut().flat_map(|stream| stream.merge.take_damage()).collect()
    }

    /// As [`Merge::ahead`], each of them.
    pub fn ahead(mut self, spare: Option<&Arc<dyn Spare>>) -> Union {
        let ahead = |stream: Stream| Stream { merge: stream.merge.ahead(spare.cloned()), ..stream };
        self.streams = self.streams.into_iter().map(ahead).collect();
        self
    }

    /// As [`Merge::within`], of all of them.
    pub fn within(mut self, stretches: Option<Arc<[TimeRange]>>) -> Union {
        let confined = |stream: Stream| Stream { merge: stream.merge.within(stretches.clone()), ..stream };
        self.streams = self.streams.into_iter().map(confined).collect();
        self
    }

    /// As [`Merge::step`]: parts that another archive overlaps are loaded.
    pub fn step(&mut self, enough: Option<&mut Enough<'_>>) -> Option<Result<Step, ReadError>> {
        if self.failed {
            return None;
        }
        let step = match self.streams.as_mut_slice() {
            [only] => only.merge.step(enough).transpose(),
            _ => self.joined(enough),
        };
        self.failed = step.is_err();
        step.transpose()
    }

    /// Time before which no other stream than `at` has anything that was not delivered.
    fn others_begin(&self, at: usize) -> i64 {
        let others = self.streams.iter().enumerate().filter(|(i, stream)| *i != at && !stream.ended);
        let begin = |stream: &Stream| match &stream.rest {
            Some(block) => Some(block.time[0]),
            None => stream.merge.bound().map(|position| position.time),
        };
        others.filter_map(|(_, stream)| begin(stream)).min().unwrap_or(i64::MAX)
    }

    /// Fills every stream's block, dropping samples at a time that a better archive delivered; ends early with a part
    /// that was passed.
    fn fill(&mut self, mut enough: Option<&mut Enough<'_>>) -> Result<Option<Passed>, ReadError> {
        for i in 0..self.streams.len() {
            let end = if enough.is_some() { self.others_begin(i) } else { i64::MIN };
            // At a time that another archive delivered its samples are dropped one by one.
            let begin = self.last.filter(|(_, owner)| *owner != i).map_or(i64::MIN, |(time, _)| time);
            let stream = &mut self.streams[i];
            while stream.rest.is_none() && !stream.ended {
                let step = match enough.as_deref_mut() {
                    None => stream.merge.step(None),
                    Some(enough) => {
                        let alone = &mut |part: &Part, facts: &Facts| {
                            begin < part.first.time && part.last.time < end && enough(part, facts)
                        };
                        stream.merge.step(Some(alone))
                    }
                };
                match step.transpose()? {
                    Some(Step::Samples(block)) => stream.rest = Some(block),
                    Some(Step::Passed(passed)) => return Ok(Some(passed)),
                    None => stream.ended = true,
                }
            }
            let (Some(block), Some((time, owner))) = (&stream.rest, self.last) else { continue };
            if owner == i {
                continue;
            }
            let keep = if self.ascending {
                block.time.partition_point(|t| *t <= time)..block.len()
            } else {
                0..block.time.partition_point(|t| *t < time)
            };
            if keep.len() < block.len() {
                stream.rest = (!keep.is_empty()).then(|| block.slice(keep.start, keep.end));
            }
        }
        Ok(None)
    }

    /// Finds out which archive delivered the samples at the time where an earlier scan ended: the best that has any.
    fn resume(&mut self) -> Result<(), ReadError> {
        let Some(time) = self.resumed else { return Ok(()) };
        for (owner, stream) in self.streams.iter_mut().enumerate() {
            if stream.merge.has_samples_at(Timestamp(time))? {
                self.last = Some((time, owner));
                break;
            }
        }
        self.resumed = None;
        Ok(())
    }

    fn joined(&mut self, mut enough: Option<&mut Enough<'_>>) -> Result<Option<Step>, ReadError> {
        self.resume()?;
        loop {
            if let Some(passed) = self.fill(enough.as_deref_mut())? {
                return Ok(Some(Step::Passed(passed)));
            }
            if self.streams.iter().all(|s| s.rest.is_some() || s.ended) {
                break;
            }
        }
        let ascending = self.ascending;
        let head = |b: &SampleBlock| if ascending { b.time[0] } else { b.time[b.len() - 1] };
        let heads: Vec<(usize, i64)> = self
            .streams
            .iter()
            .enumerate()
            .filter_map(|(i, s)| s.rest.as_ref().map(|b| (i, head(b))))
            .collect();
        let earliest = |(_, t): &&(usize, i64)| if ascending { *t } else { t.saturating_neg() };
        let Some(&(owner, start)) = heads.iter().min_by_key(earliest) else { return Ok(None) };
        let bound = heads
            .iter()
            .filter(|(i, _)| *i != owner)
            .map(|(_, t)| *t)
            .reduce(|a, b| if ascending { a.min(b) } else { a.max(b) });
        let Some(block) = self.streams[owner].rest.take() else { return Ok(None) };
        let len = block.len();
        // Up to the next archive's head, and always all samples of the owner's first time in this block.
        let cut = match bound {
            None => {
                if ascending {
                    len
                } else {
                    0
                }
            }
            Some(bound) if ascending => block.time.partition_point(|t| *t < bound || *t == start),
            Some(bound) => block.time.partition_point(|t| *t <= bound && *t != start),
        };
        let (out, rest) = if ascending { (0..cut, cut..len) } else { (cut..len, 0..cut) };
        self.last = Some((if ascending { block.time[out.end - 1] } else { block.time[out.start] }, owner));
        if !rest.is_empty() {
            self.streams[owner].rest = Some(block.slice(rest.start, rest.end));
        }
        let out = if out.len() == len { block } else { block.slice(out.start, out.end) };
        Ok(Some(Step::Samples(out)))
    }
}

impl Iterator for Union {
    type Item = Result<SampleBlock, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step(None).and_then(Step::samples)
    }
}
