//! One entry of an SSTable as the partition index keeps it.

use crate::format::{BLOCK_FIELDS, ENTRY_FIELDS, STATISTICS_ELSEWHERE, STATISTICS_LATE, STATISTICS_RANKS};
use crate::leaf::build::Row;
use crate::leaf::{Key, Leaf};
use crate::statistics::{Statistics, is_elsewhere};
use disk::{BytesError, Cursor, put_u8, put_varint};
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

/// Fields of a row behind the key.
const OWN: usize = ENTRY_FIELDS.len() - 3;
const SPAN: usize = 3;
const SLOT: usize = 4;
const COUNT: usize = 5;
const HEADER_LEN: usize = 6;

/// An entry as a row of a leaf.
pub(crate) struct EntryRow {
    key: Key,
    last: i64,
    fields: [u64; OWN],
    shared: [u64; BLOCK_FIELDS.len()],
}

impl EntryRow {
    /// Of an entry; the bytes are put into `bytes`. Says what is wrong with an entry that cannot be written.
    pub(crate) fn new(entry: &Entry, bytes: &mut Vec<u8>) -> Result<EntryRow, &'static str> {
        if entry.last < entry.first {
            return Err("an entry ends before it begins");
        }
        bytes.clear();
        let mut about_chunk = (0, 0);
        if let Some(chunk) = &entry.chunk {
            if chunk.count == 0 || chunk.statistics.as_ref().is_some_and(|of| of.count != chunk.count) {
                return Err("a chunk without samples, or with statistics of others");
            }
            let ranks = chunk.first_rank != 0 || chunk.last_rank != 0;
            let flags = if chunk.late { STATISTICS_LATE } else { 0 };
            let flags = flags | if ranks { STATISTICS_RANKS } else { 0 };
            match &chunk.statistics {
                Some(statistics) => statistics.put(entry.first, entry.last, flags, bytes),
                None => put_u8(bytes, flags | STATISTICS_ELSEWHERE),
            }
            if ranks {
                put_varint(bytes, u64::from(chunk.first_rank));
                put_varint(bytes, u64::from(chunk.last_rank));
            }
            about_chunk = (chunk.count, u64::from(chunk.header_len));
        }
        Ok(EntryRow {
            key: Key(entry.rate, entry.channel.0, entry.first.0),
            last: entry.last.0,
            fields: [
                entry.last.0.wrapping_sub(entry.first.0) as u64,
                entry.locator.slot.map_or(0, |slot| u64::from(slot) + 1),
                about_chunk.0,
                about_chunk.1,
            ],
            shared: [entry.locator.table, entry.locator.offset, entry.locator.len],
        })
    }

    pub(crate) fn row<'r>(&'r self, bytes: &'r [u8]) -> Row<'r> {
        Row { key: self.key, last: self.last, fields: &self.fields, shared: &self.shared, bytes }
    }

    pub(crate) fn key(&self) -> Key {
        self.key
    }
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
#[inline]
pub(crate) fn read_entry(leaf: &Leaf, row: usize) -> Result<Entry, BytesError> {
    let key = leaf.key(row);
    let (first, last) = (Timestamp(key.2), Timestamp(last_time(leaf, row, key.2)));
    let wrong = |what| BytesError { position: 0, what };
    if last < first {
        return Err(wrong("an entry ends before it begins"));
    }
    let shared = leaf.shared_row(row).ok_or_else(|| wrong("an entry names a block that is not there"))?;
    let slot = leaf.field(row, SLOT).checked_sub(1);
    let slot = slot.map(u32::try_from).transpose().map_err(|_| wrong("a number passes 32 bits"))?;
    let locator = Locator {
        table: leaf.shared_field(shared, 0),
        offset: leaf.shared_field(shared, 1),
        len: leaf.shared_field(shared, 2),
        slot,
    };
    let chunk = match leaf.field(row, COUNT) {
        0 => None,
        count => Some(read_chunk(leaf, row, first, last, count)?),
    };
    Ok(Entry { rate: key.0, channel: ChannelId(key.1), first, last, locator, chunk })
}

#[inline]
fn read_chunk(
    leaf: &Leaf,
    row: usize,
    first: Timestamp,
    last: Timestamp,
    count: u64,
) -> Result<ChunkSummary, BytesError> {
    let mut cursor = Cursor::new(leaf.bytes(row));
    let elsewhere = leaf.bytes(row).first().filter(|flags| is_elsewhere(**flags));
    let (statistics, flags) = match elsewhere {
        Some(flags) => (None, cursor.u8().map(|_| *flags)?),
        None => {
            let (statistics, flags) = Statistics::read(&mut cursor, first, last, count)?;
            (Some(statistics), flags)
        }
    };
    let small = |number: u64| {
        u32::try_from(number).map_err(|_| BytesError { position: 0, what: "a number passes 32 bits" })
    };
    let (mut first_rank, mut last_rank) = (0, 0);
    if flags & STATISTICS_RANKS != 0 {
        (first_rank, last_rank) = (small(cursor.varint()?)?, small(cursor.varint()?)?);
    }
    let header_len = small(leaf.field(row, HEADER_LEN))?;
    let late = flags & STATISTICS_LATE != 0;
    Ok(ChunkSummary { first_rank, last_rank, late, header_len, count, statistics })
}
