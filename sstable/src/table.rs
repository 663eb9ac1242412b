//! One table, opened for reading.

use crate::Key;
use crate::block::{BlockHeader, SharedBlock, unpack_dictionary, unpack_index, unpack_lineage};
use crate::block_index::{ChunkFacts, IndexRow};
use crate::cache::{BlockCache, Cached};
use crate::chunk::{ChunkHeader, Statistics};
use crate::footer::{Footer, TableInfo, TableSummary, decode_prologue, has_timelines};
use crate::format::*;
use crate::reach::matters_from;
use crate::reader::OpenChunk;
use crate::record::{DictionaryRow, Lineage};
use disk::{Disk, File, FormatError, Mapping};
use sample::{ChannelId, TimeRange, Timestamp};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// An open table. Opening reads the first and last bytes with the block index; the rest is read when asked
/// for. All reads are positioned, so a table serves any number of threads.
#[derive(Debug)]
pub struct Table {
    pub(crate) file: Arc<dyn File>,
    pub(crate) info: TableInfo,
    /// Whether timelines in carry-ins are those of this table.
    pub(crate) has_timelines: bool,
    pub(crate) footer: Footer,
    pub(crate) rows: Vec<IndexRow>,
    /// Where the dictionary's blocks are.
    pub(crate) dictionary_rows: Vec<IndexRow>,
    cache: Arc<BlockCache>,
    cache_key: u64,
    /// The file in the address space, once somebody passes stretches of it on; `None` where that cannot be had.
    pub(crate) mapping: OnceLock<Option<Arc<Mapping>>>,
}

/// One entry of a table: a chunk of samples or a record.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// Its key.
    pub key: Key,
    /// Time of the last sample or item.
    pub last: Timestamp,
    /// About the chunk; `None` for records.
    pub chunk: Option<ChunkSummary>,
    /// Where it lies.
    pub locator: Locator,
}

/// What is known of a chunk without decoding it.
#[derive(Clone, PartialEq, Debug)]
pub struct ChunkSummary {
    /// Rank of the first sample.
    pub first_rank: u32,
    /// Whether it is a late run.
    pub late: bool,
    /// Facts about the samples.
    pub statistics: Statistics,
    /// Length of the chunk header in bytes.
    pub header_len: usize,
}

/// Where an entry lies in its table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Locator {
    /// Offset of the block in the file.
    pub offset: u64,
    /// Length of the block.
    pub len: u64,
    /// Number of the entry in a shared block; `None` where the block is one chunk.
    pub slot: Option<u32>,
}

/// A chunk as it lies in its table. Every checksum is right.
#[derive(Clone, PartialEq, Debug)]
pub struct WholeChunk {
    header: ChunkHeader,
    bytes: Vec<u8>,
}

impl WholeChunk {
    /// Its header.
    pub fn header(&self) -> &ChunkHeader {
        &self.header
    }

    /// Of bytes whose checksums were compared.
    pub(crate) fn checked(header: ChunkHeader, bytes: Vec<u8>) -> WholeChunk {
        WholeChunk { header, bytes }
    }

    pub(crate) fn into_parts(self) -> (ChunkHeader, Vec<u8>) {
        (self.header, self.bytes)
    }
}

impl Table {
    /// Opens the table at `path`.
    ///
    /// # Errors
    /// When the disk refuses, the file is no finished table, is damaged or of a newer format.
    pub fn open(disk: &dyn Disk, path: &Path, cache: &Arc<BlockCache>) -> Result<Table, FormatError> {
        let file = disk.open(path)?;
        let file_len = file.len()?;
        let prologue = read_some(&*file, 0, PROLOGUE_BYTES)?;
        let (info, prologue_crc) = decode_prologue(&prologue, path)?;
        let has_timelines = has_timelines(&prologue, path)?;
        let footer_offset = file_len.saturating_sub(FOOTER_BYTES as u64);
        let footer = Footer::decode(&read_some(&*file, footer_offset, FOOTER_BYTES)?, path, file_len)?;
        if footer.prologue_crc != prologue_crc {
            let what = "the footer belongs to another table than the first bytes of the file";
            return Err(FormatError::corrupt(path, footer_offset, what));
        }
        let mut rows = Vec::new();
        each_block(&*file, footer.index_offset, footer_offset, |block, offset| {
            rows.extend(unpack_index(block).map_err(|error| error.in_file(path, offset))?);
            Ok(())
        })?;
        check_rows(&rows, &footer).map_err(|what| FormatError::corrupt(path, footer.index_offset, what))?;
        let dictionary_rows = rows.split_off(footer.summary.blocks as usize);
        let cache_key = cache.register();
        let (cache, mapping) = (cache.clone(), OnceLock::new());
        Ok(Table { file, info, has_timelines, footer, rows, dictionary_rows, cache, cache_key, mapping })
    }

    /// Whose data it holds.
    pub fn info(&self) -> &TableInfo {
        &self.info
    }

    /// What it holds, in numbers.
    pub fn summary(&self) -> &TableSummary {
        &self.footer.summary
    }

    /// From when on its events may matter to an answer: at its week's begin or before it.
    pub fn events_matter_from(&self) -> Timestamp {
        matters_from(self.info.week, self.footer.summary.events_reach_s)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Where it came from; `None` where it does not say.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn lineage(&self) -> Result<Option<Lineage>, FormatError> {
        let start = PROLOGUE_BYTES as u64;
        let end = self.rows.first().map_or(self.footer.dictionary_offset, |row| row.offset);
        if start == end {
            return Ok(None);
        }
        let block = read_exactly(&*self.file, start, end - start)?;
        unpack_lineage(&block).map(Some).map_err(|error| error.in_file(self.path(), start))
    }

    /// The rows of the channel dictionary in the order of ids, read block by block.
    pub fn dictionary(&self) -> impl Iterator<Item = Result<DictionaryRow, FormatError>> + '_ {
        self.dictionary_of(ChannelId(0)..=ChannelId(u64::MAX))
    }

    /// As [`Table::dictionary`], of some channels only; up to the first block that cannot be read.
    pub fn dictionary_of(
        &self,
        channels: RangeInclusive<ChannelId>,
    ) -> impl Iterator<Item = Result<DictionaryRow, FormatError>> + '_ {
        let from = self.dictionary_rows.partition_point(|row| row.last_key.channel < *channels.start());
        let mut failed = false;
        let (start, end) = channels.into_inner();
        let blocks = self.dictionary_rows[from..].iter().take_while(move |row| row.first_key.channel <= end);
        let blocks = blocks.map_while(move |row| {
            if failed {
                return None;
            }
            let rows = self.dictionary_block(row);
            failed = rows.is_err();
            Some(rows)
        });
        blocks.flat_map(move |rows| match rows {
            Ok(mut rows) => {
                rows.retain(|row| (start..=end).contains(&row.channel));
                rows.into_iter().map(Ok).collect::<Vec<_>>()
            }
            Err(error) => vec![Err(error)],
        })
    }

    fn dictionary_block(&self, row: &IndexRow) -> Result<Vec<DictionaryRow>, FormatError> {
        let block = read_exactly(&*self.file, row.offset, row.len)?;
        unpack_dictionary(&block).map_err(|error| error.in_file(self.path(), row.offset))
    }

    /// The row of one channel, if there is one; reads one block.
    ///
    /// # Errors
    /// When the block cannot be read or is damaged.
    pub fn dictionary_row(&self, channel: ChannelId) -> Result<Option<DictionaryRow>, FormatError> {
        let at = self.dictionary_rows.partition_point(|row| row.last_key.channel < channel);
        let Some(row) = self.dictionary_rows.get(at).filter(|row| row.first_key.channel <= channel) else {
            return Ok(None);
        };
        Ok(self.dictionary_block(row)?.into_iter().find(|row| row.channel == channel))
    }

    /// The entries of one channel at one rate whose times touch `range`, in the order of their keys.
    pub fn entries(
        &self,
        rate: u64,
        channel: ChannelId,
        range: TimeRange,
    ) -> impl Iterator<Item = Result<Entry, FormatError>> + '_ {
        let rows = self.rows_between(Key::least(rate, channel), Key::new(rate, channel, range.to.0));
        let wanted = wanted(rate, channel, range);
        let rows = rows.iter().filter(move |row| row.last >= range.from);
        rows.flat_map(move |row| self.row_entries(row, wanted))
    }

    /// All that [`Table::entries`] finds.
    ///
    /// # Errors
    /// When a shared block cannot be read or is damaged.
    pub fn found_entries(
        &self,
        rate: u64,
        channel: ChannelId,
        range: TimeRange,
    ) -> Result<Vec<Entry>, FormatError> {
        let wanted = wanted(rate, channel, range);
        let rows = self.rows_between(Key::least(rate, channel), Key::new(rate, channel, range.to.0));
        let rows = rows.iter().filter(|row| row.last >= range.from);
        // Entries stay with whoever reads, so there is no room for more.
        let mut found = Vec::with_capacity(rows.clone().count());
        for row in rows {
            match &row.chunk {
                // Most are chunks of their own, and an entry is large: it is made where it stays.
                Some(facts) if wanted(row.first_key, row.last) => found.push(chunk_entry(row, facts)),
                Some(_) => {}
                None => {
                    for entry in self.row_entries(row, wanted) {
                        found.push(entry?);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Whether [`Table::entries`] reads at most blocks that hold something of the channel: the block index names each
    /// large chunk, shared blocks that may hold something are in the cache or begin with the channel.
    pub fn knows_entries(&self, rate: u64, channel: ChannelId, range: TimeRange) -> bool {
        let rows = self.rows_between(Key::least(rate, channel), Key::new(rate, channel, range.to.0));
        rows.iter().all(|row| {
            row.chunk.is_some()
                || row.last < range.from
                || (row.first_key.rate, row.first_key.channel) == (rate, channel)
                || self.cache.holds(self.cache_key, row.offset)
        })
    }

    /// Of the rows of blocks that may hold keys from `least` on, those that begin before `end`.
    fn rows_between(&self, least: Key, end: Key) -> &[IndexRow] {
        let rows = self.rows_from(least);
        &rows[..rows.partition_point(|row| row.first_key < end)]
    }

    /// The rows of blocks that may hold keys from `least` on.
    fn rows_from(&self, least: Key) -> &[IndexRow] {
        &self.rows[self.rows.partition_point(|row| row.last_key < least)..]
    }

    /// All entries in the order of their keys.
    pub fn all_entries(&self) -> impl Iterator<Item = Result<Entry, FormatError>> + '_ {
        self.rows.iter().flat_map(|row| self.row_entries(row, |_, _| true))
    }

    /// Entries from key `least` on, in the order of their keys.
    pub fn entries_from(&self, least: Key) -> impl Iterator<Item = Result<Entry, FormatError>> + '_ {
        self.rows_from(least).iter().flat_map(move |row| self.row_entries(row, move |key, _| key >= least))
    }

    /// The chunk of an entry, undecoded, all its checksums compared: what [`crate::TableWriter::add_chunk`]
    /// copies.
    ///
    /// # Errors
    /// When the entry is no chunk, cannot be read or is damaged.
    pub fn whole_chunk(&self, entry: &Entry) -> Result<WholeChunk, FormatError> {
        let OpenChunk { header, offset, bytes } = self.open_chunk(entry, true)?;
        let bytes = match bytes {
            Some(bytes) => bytes,
            None => self.payload(entry)?,
        };
        header.check_bytes(&bytes).map_err(|error| error.in_file(self.path(), offset))?;
        Ok(WholeChunk { header, bytes })
    }

    /// The entry at `locator`, which an index outside kept.
    ///
    /// # Errors
    /// When it cannot be read or nothing lies there.
    pub fn entry_at(&self, locator: Locator) -> Result<Entry, FormatError> {
        let nothing =
            || FormatError::corrupt(self.path(), locator.offset, "an index names an entry that is not there");
        let at = self.rows.binary_search_by_key(&locator.offset, |row| row.offset).map_err(|_| nothing())?;
        let row = &self.rows[at];
        let Some(slot) = locator.slot else {
            let found = self.row_entries(row, |_, _| true).into_iter().next();
            return found
                .filter(|found| found.as_ref().map_or(true, |of| of.locator == locator))
                .ok_or_else(nothing)?;
        };
        if row.chunk.is_some() || row.len != locator.len {
            return Err(nothing());
        }
        let block = self.shared_block(row.offset, row.len)?;
        self.shared_entry(&block, slot, locator).ok_or_else(nothing)?
    }

    fn row_entries(
        &self,
        row: &IndexRow,
        wanted: impl Fn(Key, Timestamp) -> bool,
    ) -> Vec<Result<Entry, FormatError>> {
        let locator = Locator { offset: row.offset, len: row.len, slot: None };
        if let Some(facts) = &row.chunk {
            return if wanted(row.first_key, row.last) {
                vec![Ok(chunk_entry(row, facts))]
            } else {
                Vec::new()
            };
        }
        let block = match self.shared_block(row.offset, row.len) {
            Ok(block) => block,
            Err(error) => return vec![Err(error)],
        };
        let entries = block.entries.iter().enumerate().filter(|(_, entry)| wanted(entry.key, entry.last));
        entries.filter_map(|(slot, _)| self.shared_entry(&block, slot as u32, locator)).collect()
    }

    /// Entry `slot` of a shared block, if there are so many.
    fn shared_entry(
        &self,
        block: &SharedBlock,
        slot: u32,
        locator: Locator,
    ) -> Option<Result<Entry, FormatError>> {
        let entry = block.entries.get(slot as usize)?;
        let mut chunk = None;
        if entry.key.rate == Key::SAMPLES {
            let header = match ChunkHeader::parse(block.payload(entry)) {
                Ok(header) => header,
                Err(error) => return Some(Err(error.in_file(self.path(), locator.offset))),
            };
            chunk = Some(ChunkSummary {
                first_rank: header.first_rank,
                late: header.late,
                statistics: header.statistics,
                header_len: header.header_len,
            });
        }
        let locator = Locator { slot: Some(slot), ..locator };
        Some(Ok(Entry { key: entry.key, last: entry.last, chunk, locator }))
    }

    /// A shared block, from the cache if it is there.
    pub(crate) fn shared_block(&self, offset: u64, len: u64) -> Result<Arc<SharedBlock>, FormatError> {
        if let Some(Cached::Block(block)) = self.cached(offset) {
            return Ok(block);
        }
        let bytes = read_exactly(&*self.file, offset, len)?;
        let block = SharedBlock::parse(&bytes).map_err(|error| error.in_file(self.path(), offset))?;
        let block = Arc::new(block);
        self.keep(offset, Cached::Block(block.clone()));
        Ok(block)
    }

    /// What the cache has of the block at `offset`.
    pub(crate) fn cached(&self, offset: u64) -> Option<Cached> {
        self.cache.get(self.cache_key, offset)
    }

    /// Whether the cache would take something of so many bytes.
    pub(crate) fn keeps(&self, bytes: usize) -> bool {
        self.cache.takes(bytes)
    }

    /// Hands something of the block at `offset` to the cache.
    pub(crate) fn keep(&self, offset: u64, what: Cached) {
        self.cache.insert(self.cache_key, offset, what);
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.cache.forget(self.cache_key);
    }
}

/// Blocks of data, then of the dictionary lie one behind the other up to the index, in the order of their keys.
/// Where they begin behind the prologue a lineage lies.
fn check_rows(rows: &[IndexRow], footer: &Footer) -> Result<(), &'static str> {
    let mut offset = rows.first().map_or(footer.dictionary_offset, |row| row.offset);
    let mut before = None;
    if offset < PROLOGUE_BYTES as u64 {
        return Err("rows of the index begin before the data");
    }
    let data = rows.iter().take_while(|row| !row.is_of_dictionary()).count();
    for (at, row) in rows.iter().enumerate() {
        if row.offset != offset || before.is_some_and(|before| before > row.first_key) {
            return Err("rows of the index are not in order or leave a hole");
        }
        if at == data && offset != footer.dictionary_offset {
            return Err("the dictionary does not begin where the footer says");
        }
        offset = row.offset.saturating_add(row.len);
        before = Some(row.last_key);
    }
    let no_dictionary = data == rows.len() && footer.dictionary_offset != footer.index_offset;
    if offset != footer.index_offset || no_dictionary || data as u64 != footer.summary.blocks {
        return Err("rows of the index do not cover data and dictionary");
    }
    Ok(())
}

/// At most `len` bytes at `offset`; fewer at the end of the file.
pub(crate) fn read_some(file: &dyn File, offset: u64, len: usize) -> Result<Vec<u8>, FormatError> {
    Ok(file.read(offset, len)?)
}

/// Room for so many bytes is made without asking whether the file has them.
const UNASKED_BYTES_MAX: u64 = 1 << 20;

/// `len` bytes at `offset`; if they are many the length is checked against the file before room is made for them.
pub(crate) fn read_exactly(file: &dyn File, offset: u64, len: u64) -> Result<Vec<u8>, FormatError> {
    let cut = || {
        FormatError::corrupt(
            file.path(),
            offset,
            format!("{len} bytes were expected here, the file is shorter"),
        )
    };
    if len > UNASKED_BYTES_MAX {
        let file_len = file.len()?;
        if offset.checked_add(len).is_none_or(|end| end > file_len) {
            return Err(cut());
        }
    }
    let bytes = read_some(file, offset, usize::try_from(len).map_err(|_| cut())?)?;
    if bytes.len() as u64 == len { Ok(bytes) } else { Err(cut()) }
}

/// Whether a key and the time of what it has last are those of `channel` at `rate` in `range`.
fn wanted(rate: u64, channel: ChannelId, range: TimeRange) -> impl Fn(Key, Timestamp) -> bool + Copy {
    move |key, last| key.rate == rate && key.channel == channel && range.touches(Timestamp(key.bin), last)
}

/// The entry of a chunk that has a block of its own.
fn chunk_entry(row: &IndexRow, facts: &ChunkFacts) -> Entry {
    let chunk = ChunkSummary {
        first_rank: facts.first_rank,
        late: facts.late,
        statistics: facts.statistics.clone(),
        header_len: facts.header_len as usize,
    };
    let locator = Locator { offset: row.offset, len: row.len, slot: None };
    Entry { key: row.first_key, last: row.last, chunk: Some(chunk), locator }
}

/// The whole block at `offset`, which must end at or before `end`.
pub(crate) fn read_block(file: &dyn File, offset: u64, end: u64) -> Result<Vec<u8>, FormatError> {
    let header = read_some(file, offset, BLOCK_HEADER_BYTES)?;
    let header = BlockHeader::decode(&header).map_err(|error| error.in_file(file.path(), offset))?;
    let len =
        header.block_len().filter(|len| offset.checked_add(*len).is_some_and(|block_end| block_end <= end));
    let len = len
        .ok_or_else(|| FormatError::corrupt(file.path(), offset, "a block passes the end of its section"))?;
    read_exactly(file, offset, len)
}

/// Hands every block of `offset..end` to `take`.
fn each_block(
    file: &dyn File,
    mut offset: u64,
    end: u64,
    mut take: impl FnMut(&[u8], u64) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    while offset < end {
        let block = read_block(file, offset, end)?;
        take(&block, offset)?;
        offset += block.len() as u64;
    }
    Ok(())
}

#[cfg(test)]
mod sibling_tests;
#[cfg(test)]
pub(crate) mod tests;
