//! What a table is made of, one section of one channel at a time.

use crate::error::Error;
use crate::limits::{CHUNK_SAMPLES_MAX, CHUNK_VALUE_BYTES_MAX};
use crate::memtable::sorted_blocks;
use crate::read::FirstSample;
use crate::slot::Archiving;
use sample::{ChannelId, ChannelName, Event, Metadata, Sample, SampleBlock, Timestamp, Week};
use sstable::{CarryIn, ChannelRecord, DictionaryRow};
use std::sync::Arc;

/// One channel's part of one table.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChannelPart {
    /// In-order (carried ones included) and late samples, by (time, rank); chunks never span a gap in order.
    pub(crate) blocks: Blocks,
    /// Events by sequence.
    pub(crate) events: Vec<Event>,
    /// Metadata changes by time.
    pub(crate) metadata: Vec<(Timestamp, Arc<Metadata>)>,
    /// Names, class, settings.
    pub(crate) records: Vec<ChannelRecord>,
    /// What held when the week began, where the table opens it or overrides what did.
    /// It is large, and most parts have none.
    pub(crate) carry_in: Option<Box<CarryIn>>,
}

/// Blocks of samples, each with whether it is late.
pub(crate) type Blocks = Vec<(Arc<SampleBlock>, bool)>;

/// What a channel's dictionary row says beside its contents.
#[derive(Debug, Clone)]
pub(crate) struct ChannelFacts {
    pub(crate) name: ChannelName,
    pub(crate) archiving: (Archiving, Option<Timestamp>),
    pub(crate) metadata: Option<(Timestamp, Arc<Metadata>)>,
    pub(crate) first_sample: Option<FirstSample>,
    /// What tables said that a retention rule removes.
    pub(crate) known: Option<Box<DictionaryRow>>,
}

/// What a channel may have in a table; a table holds one section behind the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Section {
    Samples = 1,
    Events = 2,
    Metadata = 4,
    CarryIn = 8,
    Records = 16,
}

/// A channel of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub(crate) channel: ChannelId,
    /// The sections that it has something in, a bit each.
    sections: u8,
}

impl Share {
    pub(crate) fn new(channel: ChannelId, sections: impl IntoIterator<Item = Section>) -> Share {
        Share { channel, sections: sections.into_iter().fold(0, |bits, section| bits | section as u8) }
    }

    pub(crate) fn add(&mut self, section: Section) {
        self.sections |= section as u8;
    }

    /// Takes the sections of `other`, which is of the same channel.
    pub(crate) fn join(&mut self, other: Share) {
        self.sections |= other.sections;
    }

    pub(crate) fn has(&self, section: Section) -> bool {
        self.sections & section as u8 != 0
    }
}

/// Contents of a table, channel by channel.
pub(crate) trait Contents {
    /// Its channels, ascending.
    fn shares(&self) -> &[Share];
    /// Bytes of all values before encoding.
    fn value_bytes(&self) -> u64;
    /// Lowest and highest number of an event, 0 without any.
    fn sequences(&self) -> (u64, u64);
    /// One section of a channel's part; the rest of it is empty.
    fn part(&self, channel: ChannelId, section: Section) -> Result<ChannelPart, Error>;
    /// About a channel; `None` leaves it out of the dictionary.
    fn facts(&self, channel: ChannelId) -> Option<ChannelFacts>;
}

/// A channel's chunks in the order of their keys: neighbours of one type joined up to the largest size,
/// late samples apart.
pub(crate) fn chunks(part: &ChannelPart) -> Vec<(Arc<SampleBlock>, bool)> {
    let mut out: Vec<(Arc<SampleBlock>, bool)> = Vec::with_capacity(part.blocks.len());
    for late in [false, true] {
        let begin = out.len();
        let blocks = part.blocks.iter().filter(|(_, of)| *of == late).map(|(block, _)| block.clone());
        for block in ordered(blocks.collect()) {
            match out[begin..].last_mut() {
                Some((open, _)) if continues(open, &block) => {
                    Arc::make_mut(open).append(&block, 0, block.len());
                }
                _ => out.push((block, late)),
            }
        }
    }
    // Where the writer would cut, so that late chunks come between the pieces.
    let mut pieces = Vec::with_capacity(out.len());
    for (block, late) in out {
        let ranges = sstable::split(&block);
        if ranges.len() == 1 {
            pieces.push((block, late));
        } else {
            pieces.extend(ranges.into_iter().map(|r| (Arc::new(block.slice(r.start, r.end)), late)));
        }
    }
    pieces.sort_by_key(|(block, _)| block.position(0));
    pieces
}

/// Blocks by (time, rank), none reaching into another: late samples of several epochs lie among each other.
fn ordered(mut blocks: Vec<Arc<SampleBlock>>) -> Vec<Arc<SampleBlock>> {
    blocks.sort_by_key(|block| block.position(0));
    let apart = |pair: &[Arc<SampleBlock>]| pair[0].position(pair[0].len() - 1) < pair[1].position(0);
    if blocks.windows(2).all(apart) {
        return blocks;
    }
    let mut samples: Vec<Sample> =
        blocks.iter().flat_map(|block| (0..block.len()).map(|i| block.get(i))).collect();
    samples.sort_by_key(|sample| (sample.time, sample.rank));
    samples.dedup_by_key(|sample| (sample.time, sample.rank));
    sorted_blocks(&samples)
}

/// Whether `next` may stand in one chunk with `open`.
fn continues(open: &SampleBlock, next: &SampleBlock) -> bool {
    open.run == next.run
        && open.position(open.len() - 1) < next.position(0)
        && Week::containing(open.first()) == Week::containing(next.first())
        && open.len() + next.len() <= CHUNK_SAMPLES_MAX
        && open.values.byte_len() + next.values.byte_len() <= CHUNK_VALUE_BYTES_MAX
}
