//! One entry of an SSTable as the partition index keeps it.

use crate::format::{STATISTICS_ELSEWHERE, STATISTICS_LATE, STATISTICS_RANKS};
use crate::leaf::build::Row;
use crate::leaf::{Key, Leaf, ordered};
use crate::statistics::{Statistics, is_elsewhere};
use disk::{BytesError, Cursor};
use sample::{ChannelId, Timestamp};

/// A chunk of samples or a record: what it is, when it is, where it lies.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// 0 for samples, 1 .. 4 for records, from 1000 on a decimation width in ns.
    pub rate: u64,
    /// The channel.
    pub channel: ChannelId,
    /// Time of the first sample or item; begin of the bin.
    pub first: Timestamp,
    /// Time of the last sample or item.
    pub last: Timestamp,
    /// Where it lies.
    pub locator: Locator,
    /// About the chunk; `None` for records.
    pub chunk: Option<ChunkSummary>,
}

/// Where an entry lies.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Locator {
    /// Id of the SSTable.
    pub table: u64,
    /// Offset of the block in its file.
    pub offset: u64,
    /// Length of the block.
    pub len: u64,
    /// Number of the entry in a shared block; `None` where the block is one chunk.
    pub slot: Option<u32>,
}

/// What is known of a chunk without decoding it.
#[derive(Clone, PartialEq, Debug)]
pub struct ChunkSummary {
    /// Rank of the first sample.
    pub first_rank: u32,
    /// Rank of the last sample.
    pub last_rank: u32,
    /// Whether it is a late run.
    pub late: bool,
    /// Length of the chunk header in bytes.
    pub header_len: u32,
    /// Number of samples.
    pub count: u64,
    /// Facts about the samples; `None` where the chunk is so small that whoever wants them looks at it.
    pub statistics: Option<Statistics>,
}

const SPAN: usize = 3;
const TABLE: usize = 4;
const OFFSET: usize = 5;
const LENGTH: usize = 6;
const SLOT: usize = 7;
const COUNT: usize = 8;
const HEADER_LEN: usize = 9;
const FLAGS: usize = 10;

/// Makes `row` that of an entry. Says what is wrong with an entry that cannot be written.
pub(crate) fn encode(entry: &Entry, row: &mut Row<'_>) -> Result<(), &'static str> {
    let bytes = &mut *row.bytes;
    if entry.last < entry.first {
        return Err("an entry ends before it begins");
    }
    let (mut count, mut header_len, mut flags) = (0, 0, 0);
    if let Some(chunk) = &entry.chunk {
        if chunk.count == 0 || chunk.statistics.as_ref().is_some_and(|of| of.count != chunk.count) {
            return Err("a chunk without samples, or with statistics of others");
        }
        flags = if chunk.late { STATISTICS_LATE } else { 0 };
        match &chunk.statistics {
            Some(statistics) => {
                flags |= statistics.flags();
                statistics.put(entry.first, entry.last, bytes);
            }
            None => flags |= STATISTICS_ELSEWHERE,
        }
        if chunk.first_rank != 0 || chunk.last_rank != 0 {
            flags |= STATISTICS_RANKS;
            bytes.put_varint(u64::from(chunk.first_rank));
            bytes.put_varint(u64::from(chunk.last_rank));
        }
        (count, header_len) = (chunk.count, u64::from(chunk.header_len));
    }
    let Locator { table, offset, len, slot } = entry.locator;
    let span = entry.last.0.wrapping_sub(entry.first.0) as u64;
    let slot = slot.map_or(0, |slot| u64::from(slot) + 1);
    let first = ordered(entry.first.0);
    let (rate, channel, flags) = (entry.rate, entry.channel.0, u64::from(flags));
    *row.numbers = [rate, channel, first, span, table, offset, len, slot, count, header_len, flags, 0];
    *row.last = entry.last.0;
    Ok(())
}

/// The last time of the entry in row `row`, whose first is `first`.
#[inline]
pub(crate) fn last_time(leaf: &Leaf, row: usize, first: i64) -> i64 {
    first.wrapping_add(leaf.field(row, SPAN) as i64)
}

/// The rank of the last sample of the entry in row `row`; 0 for records.
pub(crate) fn last_rank(leaf: &Leaf, row: usize) -> Result<u32, BytesError> {
    Ok(read_entry(leaf, row)?.chunk.map_or(0, |chunk| chunk.last_rank))
}

/// The entry in row `row`.
pub(crate) fn read_entry(leaf: &Leaf, row: usize) -> Result<Entry, BytesError> {
    let Key(rate, channel, first) = leaf.key(row);
    let (first, last) = (Timestamp(first), Timestamp(last_time(leaf, row, first)));
    if last < first {
        return Err(BytesError { position: 0, what: "an entry ends before it begins" });
    }
    let (locator, chunk) = (read_locator(leaf, row)?, read_chunk(leaf, row, first, last)?);
    Ok(Entry { rate, channel: ChannelId(channel), first, last, locator, chunk })
}

/// Where the entry in row `row` lies.
#[inline]
pub(crate) fn read_locator(leaf: &Leaf, row: usize) -> Result<Locator, BytesError> {
    let slot = match leaf.field(row, SLOT) {
        0 => None,
        slot => Some(small(slot - 1)?),
    };
    let (table, offset) = (leaf.field(row, TABLE), leaf.field(row, OFFSET));
    Ok(Locator { table, offset, len: leaf.field(row, LENGTH), slot })
}

/// What is known of the chunk in row `row`; `None` for records.
pub(crate) fn read_chunk(
    leaf: &Leaf,
    row: usize,
    first: Timestamp,
    last: Timestamp,
) -> Result<Option<ChunkSummary>, BytesError> {
    let count = leaf.field(row, COUNT);
    if count == 0 {
        return Ok(None);
    }
    let flags = flags(leaf, row, FLAGS)?;
    let mut cursor = Cursor::new(leaf.bytes(row));
    let statistics = match is_elsewhere(flags) {
        true => None,
        false => Some(Statistics::read(&mut cursor, flags, first, last, count)?),
    };
    let (mut first_rank, mut last_rank) = (0, 0);
    if flags & STATISTICS_RANKS != 0 {
        (first_rank, last_rank) = (small(cursor.varint()?)?, small(cursor.varint()?)?);
    }
    let header_len = small(leaf.field(row, HEADER_LEN))?;
    let late = flags & STATISTICS_LATE != 0;
    Ok(Some(ChunkSummary { first_rank, last_rank, late, header_len, count, statistics }))
}

fn small(number: u64) -> Result<u32, BytesError> {
    u32::try_from(number).map_err(|_| BytesError { position: 0, what: "a number passes 32 bits" })
}

/// The flags in field `field` of row `row`.
pub(crate) fn flags(leaf: &Leaf, row: usize, field: usize) -> Result<u8, BytesError> {
    let flags = u8::try_from(leaf.field(row, field));
    flags.map_err(|_| BytesError { position: 0, what: "flags pass 8 bits" })
}
