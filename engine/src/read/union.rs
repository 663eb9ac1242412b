//! Joins one channel's samples from several archives: union by time, the first archive wins at equal times.

use super::{Merge, Order, ReadError};
use sample::SampleBlock;

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
    failed: bool,
}

impl Union {
    /// Joins `merges`, all of one scan, the winner first.
    pub fn new(merges: Vec<Merge>, order: Order) -> Union {
        let streams = merges.into_iter().map(|merge| Stream { merge, rest: None, ended: false }).collect();
        Union { streams, ascending: order == Order::Ascending, last: None, failed: false }
    }

    /// Damage that was skipped so far.
    pub fn take_damage(&mut self) -> Vec<ReadError> {
        self.streams.iter_mut().flat_map(|stream| stream.merge.take_damage()).collect()
    }

    /// Fills every stream's block, dropping samples at a time that a better archive delivered.
    fn fill(&mut self) -> Result<(), ReadError> {
        for (i, stream) in self.streams.iter_mut().enumerate() {
            while stream.rest.is_none() && !stream.ended {
                let Some(block) = stream.merge.next().transpose()? else {
                    stream.ended = true;
                    break;
                };
                stream.rest = Some(block);
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
        Ok(())
    }

    fn next_block(&mut self) -> Result<Option<SampleBlock>, ReadError> {
        if let [only] = self.streams.as_mut_slice() {
            return only.merge.next().transpose();
        }
        loop {
            self.fill()?;
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
        Ok(Some(if out.len() == len { block } else { block.slice(out.start, out.end) }))
    }
}

impl Iterator for Union {
    type Item = Result<SampleBlock, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let block = self.next_block();
        self.failed = block.is_err();
        block.transpose()
    }
}
