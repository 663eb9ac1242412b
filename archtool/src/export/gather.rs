//! Samples of all channels into stretches, each durable before the next begins.

use super::channel;
use super::part::{Part, Progress};
use super::plan::Plan;
use super::rows::{Rows, rows};
use crate::command_line::Outcome;
use crate::failure::Failure;
use crate::place::Place;
use retrieval_server::columns::Batch;

/// Bytes of a stretch in memory at which it ends.
const STRETCH_BYTES: usize = 64 << 20;

/// Gathers what `part` still lacks, in stretches of `group_rows` samples; `tell` learns how many there are.
pub(crate) fn gather(
    place: &Place,
    part: &mut Part,
    group_rows: u64,
    skip_damaged: bool,
    tell: &dyn Fn(u64),
) -> Result<(), Failure> {
    let plan = part.plan().clone();
    let names = plan.names();
    let progress = part.progress();
    let mut filling = Filling {
        rows: rows(&plan)?,
        plan: &plan,
        part,
        group_rows,
        count: 0,
        last: None,
        samples: progress.samples,
        damaged: progress.damaged,
        tell,
    };
    let mut from_ns = progress.from_ns;
    for (index, name) in names.iter().enumerate().skip(progress.channel) {
        let mut take = |batch: &Batch| filling.take(index, batch);
        let outcome = channel::read(place, &plan, name, from_ns, skip_damaged, &mut take)?;
        filling.damaged |= outcome == Outcome::Damage;
        filling.last = None;
        from_ns = plan.from_ns;
    }
    filling.close(names.len(), plan.from_ns)
}

/// The stretch that is being filled.
struct Filling<'a> {
    plan: &'a Plan,
    part: &'a mut Part,
    group_rows: u64,
    rows: Box<dyn Rows>,
    /// Samples in it.
    count: u64,
    /// Time of the present channel's last sample.
    last: Option<i64>,
    /// Samples in all.
    samples: u64,
    damaged: bool,
    tell: &'a dyn Fn(u64),
}

impl Filling<'_> {
    /// Takes samples of the channel at `channel`. A stretch ends only where the time moves on, so that the time
    /// alone says where to go on.
    fn take(&mut self, channel: usize, batch: &Batch) -> Result<(), Failure> {
        let block = &batch.block;
        let mut at = 0;
        while at < block.len() {
            let left = self.group_rows.saturating_sub(self.count);
            let end = if left == 0 || self.rows.bytes() >= STRETCH_BYTES {
                let same = block.time[at..].iter().take_while(|time| Some(**time) == self.last).count();
                if same == 0 {
                    self.close(channel, block.time[at])?;
                    continue;
                }
                at + same
            } else {
                block.len().min(at.saturating_add(usize::try_from(left).unwrap_or(usize::MAX)))
            };
            self.rows.append(channel, block.slice(at, end), &batch.json)?;
            self.count += (end - at) as u64;
            self.samples = self.samples.saturating_add((end - at) as u64);
            self.last = Some(block.time[end - 1]);
            at = end;
        }
        (self.tell)(self.samples);
        Ok(())
    }

    /// Makes what is there durable; samples of the channel at `channel` from `from_ns` on come next.
    fn close(&mut self, channel: usize, from_ns: i64) -> Result<(), Failure> {
        let full = std::mem::replace(&mut self.rows, rows(self.plan)?);
        let progress = Progress {
            stretches: self.part.progress().stretches.saturating_add(u64::from(self.count > 0)),
            channel,
            from_ns,
            samples: self.samples,
            damaged: self.damaged,
            whole: None,
        };
        if self.count > 0 {
            let bytes = full.finish()?;
            self.part.keep(progress.stretches, &bytes)?;
        }
        self.count = 0;
        self.part.note(progress)
    }
}
