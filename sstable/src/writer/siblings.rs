//! Stamps written lately, from which those of other channels may differ little.

use crate::chunk::{Sibling, TimeReference};
use crate::codec::sibling::spread;
use crate::format::SIBLING_CHUNKS_MAX;
use sample::ChannelId;
use std::collections::VecDeque;

/// Channels whose stamps are kept: those that were chosen or written last.
const CHANNELS_MAX: usize = 16;
/// Bytes of stamps that are kept.
const BYTES_MAX: usize = 64 << 20;
/// A channel that was chosen before stays chosen until another is nearer by more than one part in so many.
const NEARER: u64 = 4;
/// Chunks of a channel for which the one chosen is taken while it stays as near, before all are looked at again.
const USES_MAX: u32 = 16;

/// Time columns of a table that hold their stamps themselves.
#[derive(Debug, Default)]
pub(super) struct Siblings {
    /// The channel used last is the last.
    channels: VecDeque<(ChannelId, VecDeque<Column>)>,
    bytes: usize,
    /// The channel asked for last and the one chosen for it.
    paired: Option<(ChannelId, ChannelId)>,
    /// How near the chosen one was when all were looked at, and how often it was taken since without that.
    spread: u64,
    uses: u32,
}

#[derive(Debug)]
struct Column {
    reference: TimeReference,
    times: Box<[i64]>,
}

impl Column {
    fn bytes(&self) -> usize {
        size_of_val(&*self.times)
    }
}

/// Those columns that have stamps between `first` and `last`.
fn between(columns: &VecDeque<Column>, (first, last): (i64, i64)) -> impl Iterator<Item = &Column> {
    let from = columns.partition_point(|column| column.times.last().is_none_or(|own| *own < first));
    let to = columns.partition_point(|column| column.times.first().is_none_or(|own| *own <= last));
    columns.range(from.min(to)..to)
}

/// How near the stamps of a channel are, of those between `ends`.
fn spread_to(columns: &VecDeque<Column>, times: &[i64], ends: (i64, i64)) -> Option<u64> {
    spread(times, &between(columns, ends).map(|column| &*column.times).collect::<Vec<_>>())
}

impl Siblings {
    /// Keeps a column for those that come later.
    pub(super) fn keep(&mut self, reference: TimeReference, times: &[i64]) {
        let column = Column { reference, times: times.into() };
        self.bytes += column.bytes();
        let known = self.channels.iter().position(|(channel, _)| *channel == reference.channel);
        let known = known.and_then(|at| self.channels.remove(at));
        let (channel, mut columns) = known.unwrap_or((reference.channel, VecDeque::new()));
        columns.push_back(column);
        self.channels.push_back((channel, columns));
        if self.channels.len() > CHANNELS_MAX
            && let Some((_, columns)) = self.channels.pop_front()
        {
            self.bytes -= columns.iter().map(Column::bytes).sum::<usize>();
        }
        while self.bytes > BYTES_MAX
            && let Some((_, columns)) = self.channels.front_mut()
        {
            self.bytes -= columns.pop_front().map_or(0, |column| column.bytes());
            if columns.is_empty() {
                self.channels.pop_front();
            }
        }
    }

    /// The nearest stamps for those of a chunk of `channel`, if any are about of its time.
    pub(super) fn find(&mut self, channel: ChannelId, times: &[i64]) -> Option<Sibling> {
        let ends = times.first().copied().zip(times.last().copied())?;
        // The nearest stamp may lie a little before the first or behind the last.
        let margin = ends.1.saturating_sub(ends.0) / times.len() as i64;
        let ends = (ends.0.saturating_sub(margin), ends.1.saturating_add(margin));
        let last = self.channels.back().filter(|(owner, _)| self.paired == Some((channel, *owner)));
        let again = last.and_then(|(_, columns)| spread_to(columns, times, ends)).filter(|spread| {
            self.uses < USES_MAX && *spread <= self.spread.saturating_add(self.spread / NEARER)
        });
        let (at, spread) = match again {
            Some(_) => (self.channels.len() - 1, self.spread),
            None => self.nearest(channel, times, ends)?,
        };
        self.uses = if again.is_some() { self.uses + 1 } else { 0 };
        self.spread = spread;
        let chosen = self.channels.remove(at)?;
        self.paired = Some((channel, chosen.0));
        let pieces = || between(&chosen.1, ends);
        let sibling = (pieces().count() <= SIBLING_CHUNKS_MAX).then(|| Sibling {
            chunks: pieces().map(|column| column.reference).collect(),
            times: pieces().flat_map(|column| column.times.iter().copied()).collect(),
        });
        self.channels.push_back(chosen);
        sibling
    }

    /// Where the channel with the nearest stamps is, and how near they are.
    fn nearest(&self, channel: ChannelId, times: &[i64], ends: (i64, i64)) -> Option<(usize, u64)> {
        let mut nearest: Option<(usize, u64)> = None;
        for (at, (owner, columns)) in self.channels.iter().enumerate().rev() {
            let Some(spread) = spread_to(columns, times, ends).filter(|_| *owner != channel) else {
                continue;
            };
            if nearest.is_none_or(|(_, least)| spread < least - least / NEARER) {
                nearest = Some((at, spread));
            }
        }
        nearest
    }
}
