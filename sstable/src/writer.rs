//! Writing a table in the order of its keys.

mod siblings;
mod timelines;

use crate::Key;
use crate::block::{BlockHeader, dictionary_block, encode_block, plain_block, rows_body, shared_body};
use crate::block_index::{ChunkFacts, IndexRow};
use crate::chunk::{self, ChunkHeader, ColumnChoices, Learnt, Stamps, TimeReference, split};
use crate::codec::Profile;
use crate::footer::{Footer, TableInfo, TableSummary, encode_prologue};
use crate::format::*;
use crate::known_models::KnownModels;
use crate::reach::reach_s;
use crate::record::{DictionaryRow, Lineage, encode_lineage};
use crate::table::WholeChunk;
use crate::tally::ChannelTally;
use disk::{Disk, File, FormatError};
use sample::{ChannelId, SampleBlock, Timestamp, Week};
use siblings::Siblings;
use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use timelines::Timelines;

/// Bytes gathered before they are written.
const WRITE_BYTES: usize = 1 << 20;
/// Bytes of rows in an index block.
const ROWS_BYTES: usize = 64 << 10;
/// Bytes of texts in the rows of a dictionary block.
const DICTIONARY_BYTES: usize = 256 << 10;
/// Time columns that may still be referred to; when there are more, all are forgotten.
const SHARED_TIMES_MAX: usize = 1 << 16;
/// Entries of so many bytes on average are packed values for the most part: compressing them again gains little, and
/// costs as much as making them did. Not in the cold profile, which is to be dense.
const PACKED_ENTRY_BYTES_MIN: usize = 1 << 10;
/// Time columns of fewer bytes are written again.
const SHARED_TIME_BYTES_MIN: usize = 64;
/// Chunks of fewer samples hold their stamps themselves and lend them to no sibling.
const SIBLING_SAMPLES_MIN: usize = 512;
/// Time columns that take less than a byte for so many samples are lent to no sibling and are not made smaller.
const SIBLING_BYTE_SAMPLES: usize = 8;

/// Writes one table. Entries come in the order of their keys; at equal keys by first rank.
///
/// A table that is dropped before [`TableWriter::finish`] is an unfinished file without a footer, which the
/// caller removes.
#[derive(Debug)]
pub struct TableWriter {
    file: Arc<dyn File>,
    week: Week,
    profile: Profile,
    choices: ColumnChoices,
    offset: u64,
    buffer: Vec<u8>,
    prologue_crc: u32,
    last_key: Option<(Key, u32)>,
    shared: Vec<(Key, Timestamp, Vec<u8>)>,
    shared_bytes: usize,
    rows: Vec<IndexRow>,
    summary: TableSummary,
    /// Channels with samples, ascending as their keys do.
    channels: VecDeque<(ChannelId, ChannelTally)>,
    times: HashMap<u128, ChannelId>,
    models: Option<KnownModels>,
    siblings: Siblings,
    /// Copied chunks that others may refer to for their stamps.
    copied: HashSet<TimeReference>,
    timelines: Timelines,
}

impl TableWriter {
    /// Creates the file; one that exists is an error.
    ///
    /// # Errors
    /// When the disk refuses, or the class name is longer than 64 bytes.
    pub fn create(disk: &dyn Disk, path: &Path, info: &TableInfo) -> Result<TableWriter, FormatError> {
        let prologue = encode_prologue(info)?;
        let mut crc = [0; 4];
        crc.copy_from_slice(&prologue[PROLOGUE_BYTES - 4..]);
        Ok(TableWriter {
            file: disk.create(path)?,
            week: info.week,
            profile: Profile::Hot,
            choices: ColumnChoices::default(),
            offset: 0,
            buffer: prologue,
            prologue_crc: u32::from_le_bytes(crc),
            last_key: None,
            shared: Vec::new(),
            shared_bytes: 0,
            rows: Vec::new(),
            summary: TableSummary {
                len: 0,
                footer_crc: 0,
                blocks: 0,
                chunks: 0,
                late_chunks: 0,
                records: 0,
                samples: 0,
                span: None,
                channel_range: None,
                channels: 0,
                events_reach_s: 0,
            },
            channels: VecDeque::new(),
            times: HashMap::new(),
            models: None,
            siblings: Siblings::default(),
            copied: HashSet::new(),
            timelines: Timelines::default(),
        })
    }

    /// Writes samples added from now on for `profile`; [`Profile::Hot`] unless this says otherwise.
    pub fn for_profile(mut self, profile: Profile) -> TableWriter {
        self.profile = profile;
        self
    }

    /// Writes columns as `models` know them from earlier tables where that suits, and tells what it learns.
    pub fn knowing(mut self, models: &KnownModels) -> TableWriter {
        self.models = Some(models.clone());
        self
    }

    /// Says where the table comes from; before anything is added.
    ///
    /// # Errors
    /// When something was added before, or the disk refuses.
    pub fn descend(&mut self, lineage: &Lineage) -> Result<(), FormatError> {
        if self.position() != PROLOGUE_BYTES as u64 {
            return Err(self.out_of_order());
        }
        self.write(&encode_block(BlockKind::Lineage, 1, &encode_lineage(lineage)))
    }

    /// Adds samples, cut into chunks by [`split`]; stamps equal to those of an earlier chunk of another
    /// channel are referred to, in the cold profile also stamps near those. Nothing happens when the block is empty.
    ///
    /// # Errors
    /// When the disk refuses, a sample is too large or the key is less than the one before.
    pub fn add_samples(
        &mut self,
        channel: ChannelId,
        block: &SampleBlock,
        late: bool,
    ) -> Result<(), FormatError> {
        for range in split(block) {
            if range.len() == block.len() {
                return self.add_one_chunk(channel, block, late);
            }
            self.add_one_chunk(channel, &block.slice(range.start, range.end), late)?;
        }
        Ok(())
    }

    fn add_one_chunk(
        &mut self,
        channel: ChannelId,
        block: &SampleBlock,
        late: bool,
    ) -> Result<(), FormatError> {
        let hash = chunk::time_hash(&block.time);
        let times_of = self.times.get(&hash).copied().filter(|owner| *owner != channel);
        let lends = self.profile == Profile::Cold && !late && block.len() >= SIBLING_SAMPLES_MIN;
        let sibling = match times_of {
            None if lends => self.siblings.find(channel, &block.time),
            _ => None,
        };
        let stamps = match (times_of, &sibling) {
            (Some(owner), _) => Stamps::Equal(owner),
            (None, Some(sibling)) => Stamps::Near(sibling),
            (None, None) => Stamps::Here,
        };
        let models = self.models.as_ref().filter(|_| !late);
        let mut known = models.map(|models| models.of(channel)).unwrap_or_default();
        let learnt = Learnt { known: &mut known, choices: &mut self.choices };
        let encoded = chunk::encode_with(channel, block, late, stamps, self.profile, hash, learnt)?;
        if let Some(models) = models {
            models.keep(channel, known);
        }
        let header = ChunkHeader::parse(&encoded.bytes)
            .map_err(|error| error.in_file(self.file.path(), self.position()))?;
        self.put_chunk(&header, encoded.bytes)?;
        if lends && header.time_depth() == 0 && encoded.time_bytes * SIBLING_BYTE_SAMPLES > block.len() {
            self.siblings.keep(header.as_time_reference(), &block.time);
        }
        if encoded.time_bytes >= SHARED_TIME_BYTES_MIN {
            if self.times.len() >= SHARED_TIMES_MAX {
                self.times.clear();
            }
            self.times.entry(hash).or_insert(channel);
        }
        Ok(())
    }

    /// Whether [`TableWriter::add_chunk`] takes a chunk: its stamps are its own, or every chunk that they are found
    /// by was copied into this table before.
    pub fn takes(&self, header: &ChunkHeader) -> bool {
        header.time_references().iter().all(|reference| self.copied.contains(reference))
    }

    /// Adds a chunk of another table as it is, if [`TableWriter::takes`] says so; else decode it and use
    /// [`TableWriter::add_samples`].
    ///
    /// # Errors
    /// When the disk refuses, the chunk's stamps are not in this table or the key is less than the one before.
    pub fn add_chunk(&mut self, chunk: WholeChunk) -> Result<(), FormatError> {
        if !self.takes(chunk.header()) {
            let what = "a chunk to be copied refers to the stamps of one that is not in this table";
            return Err(FormatError::corrupt(self.file.path(), self.position(), what));
        }
        let (header, bytes) = chunk.into_parts();
        self.put_chunk(&header, bytes)?;
        if header.time_reference().is_none() {
            if self.copied.len() >= SHARED_TIMES_MAX {
                self.copied.clear();
            }
            self.copied.insert(header.as_time_reference());
        }
        Ok(())
    }

    fn put_chunk(&mut self, header: &ChunkHeader, bytes: Vec<u8>) -> Result<(), FormatError> {
        let key = Key::new(Key::SAMPLES, header.channel, header.first.0);
        self.check_order(key, header.first_rank)?;
        self.count_chunk(header, bytes.len() as u64);
        if bytes.len() < SHARED_ENTRY_BYTES_MAX {
            return self.share(key, header.last, bytes);
        }
        self.close_shared()?;
        let block = BlockHeader {
            kind: BlockKind::Chunk,
            compression: Compression::Plain,
            entries: 1,
            body_len: bytes.len() as u64,
            body_crc: 0,
        };
        self.rows.push(IndexRow {
            offset: self.position(),
            len: (BLOCK_HEADER_BYTES + bytes.len()) as u64,
            entries: 1,
            first_key: key,
            last_key: key,
            last: header.last,
            chunk: Some(ChunkFacts::of(header)),
        });
        self.write(&block.encode())?;
        self.write(&bytes)
    }

    /// Adds a record (events, metadata, carry-in, channel records, decimated rows). `last` is the time of
    /// its last item. A carry-in gets the timeline that this table has of its channel.
    ///
    /// # Errors
    /// When the disk refuses, the record is above 64 MiB or the key is less than the one before.
    pub fn add_record(&mut self, key: Key, last: Timestamp, mut payload: Vec<u8>) -> Result<(), FormatError> {
        if key.rate == Key::CARRY_IN {
            payload = self.timelines.completed(key.channel, payload);
        }
        if payload.len() > RECORD_BYTES_MAX {
            let (max, found) = (RECORD_BYTES_MAX as u64, payload.len() as u64);
            return Err(FormatError::Limit { what: "bytes of a record", max, found });
        }
        self.check_order(key, 0)?;
        self.summary.records += 1;
        self.timelines.hear(key, &payload);
        let reach_s = reach_s(self.week, key, &payload);
        self.summary.events_reach_s = self.summary.events_reach_s.max(reach_s);
        if payload.len() < SHARED_ENTRY_BYTES_MAX {
            return self.share(key, last, payload);
        }
        self.close_shared()?;
        self.share(key, last, payload)?;
        self.close_shared()
    }

    /// The channels that have samples so far, with the number of these and the bytes of their chunks.
    pub fn channels(&self) -> impl Iterator<Item = (ChannelId, u64, u64)> + '_ {
        self.channels.iter().map(|(channel, tally)| (*channel, tally.samples, tally.bytes))
    }

    /// Ends the table with its dictionary and makes the file's content durable; the directory is the
    /// caller's to sync. What rows say about samples in this table is filled in here;
    /// where there are none, the types stay that a row comes with.
    ///
    /// # Errors
    /// When the disk refuses (after a failed sync the file is not to be trusted), the rows are not in the
    /// order of their ids or a channel with samples has none.
    pub fn finish(
        mut self,
        dictionary: impl IntoIterator<Item = DictionaryRow>,
    ) -> Result<TableSummary, FormatError> {
        self.close_shared()?;
        let dictionary_offset = self.position();
        self.summary.blocks = self.rows.len() as u64;
        self.write_dictionary(dictionary)?;
        let index_offset = self.position();
        let rows: Vec<Vec<u8>> = std::mem::take(&mut self.rows).iter().map(IndexRow::encode).collect();
        let mut pending = Rows::default();
        for row in rows {
            pending.push(row);
            self.write_index_rows(&mut pending, ROWS_BYTES)?;
        }
        self.write_index_rows(&mut pending, 0)?;
        self.summary.len = self.position() + FOOTER_BYTES as u64;
        let footer = Footer {
            prologue_crc: self.prologue_crc,
            dictionary_offset,
            index_offset,
            index_len: self.position() - index_offset,
            summary: self.summary.clone(),
        };
        let (bytes, crc) = footer.encode();
        self.write(&bytes)?;
        self.flush()?;
        self.file.sync()?;
        self.summary.footer_crc = crc;
        Ok(self.summary)
    }

    fn write_dictionary(&mut self, rows: impl IntoIterator<Item = DictionaryRow>) -> Result<(), FormatError> {
        let (mut pending, mut bytes, mut repeated) = (Vec::new(), 0, 0);
        let mut before = None;
        for mut row in rows {
            if before.is_some_and(|before| before >= row.channel) {
                return Err(self.out_of_order());
            }
            before = Some(row.channel);
            (row.span, row.samples, row.bytes) = (None, 0, 0);
            if let Some((_, tally)) = self.channels.pop_front_if(|(channel, _)| *channel == row.channel) {
                (row.span, row.samples, row.bytes, row.types) =
                    (Some(tally.span), tally.samples, tally.bytes, tally.types.into_list());
            }
            self.summary.channels += 1;
            let more = row.repeated();
            if more > DICTIONARY_REPEATED_MAX {
                let (max, found) = (DICTIONARY_REPEATED_MAX as u64, more as u64);
                return Err(FormatError::Limit { what: "aliases or types of a channel", max, found });
            }
            if pending.len() == DICTIONARY_ROWS_MAX
                || bytes >= DICTIONARY_BYTES
                || repeated + more > DICTIONARY_REPEATED_MAX
            {
                self.write_dictionary_block(&mut pending)?;
                (bytes, repeated) = (0, 0);
            }
            bytes += row.text_bytes();
            repeated += more;
            pending.push(row);
        }
        if !self.channels.is_empty() {
            let what = "a channel has samples in the table but no row in its dictionary";
            return Err(FormatError::corrupt(self.file.path(), self.position(), what));
        }
        self.write_dictionary_block(&mut pending)
    }

    /// Writes rows of the dictionary as a block, which gets a row in the index.
    fn write_dictionary_block(&mut self, rows: &mut Vec<DictionaryRow>) -> Result<(), FormatError> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(()) };
        let channels = [first.channel, last.channel];
        let (offset, entries) = (self.position(), rows.len() as u32);
        let block = dictionary_block(rows, self.profile);
        rows.clear();
        self.rows.push(IndexRow::of_dictionary(offset, block.len() as u64, entries, channels));
        self.write(&block)
    }

    /// Writes the rows as a block when they are at least `bytes_min`.
    fn write_index_rows(&mut self, rows: &mut Rows, bytes_min: usize) -> Result<(), FormatError> {
        if rows.rows.is_empty() || rows.bytes < bytes_min {
            return Ok(());
        }
        let block = encode_block(BlockKind::Index, rows.rows.len() as u32, &rows_body(&rows.rows));
        *rows = Rows::default();
        self.write(&block)
    }

    fn check_order(&mut self, key: Key, first_rank: u32) -> Result<(), FormatError> {
        if self.last_key.is_some_and(|before| before > (key, first_rank)) {
            return Err(self.out_of_order());
        }
        self.last_key = Some((key, first_rank));
        let range = self.summary.channel_range.get_or_insert((key.channel, key.channel));
        *range = (range.0.min(key.channel), range.1.max(key.channel));
        Ok(())
    }

    fn out_of_order(&self) -> FormatError {
        FormatError::corrupt(
            self.file.path(),
            self.position(),
            "entries were added out of the order of their keys",
        )
    }

    fn count_chunk(&mut self, header: &ChunkHeader, bytes: u64) {
        self.summary.chunks += 1;
        self.summary.late_chunks += u64::from(header.late);
        self.summary.samples += header.count() as u64;
        let span = self.summary.span.get_or_insert((header.first, header.last));
        *span = (span.0.min(header.first), span.1.max(header.last));
        if self.channels.back().is_none_or(|(channel, _)| *channel != header.channel) {
            self.channels.push_back((header.channel, ChannelTally::new(header)));
        }
        if let Some((_, tally)) = self.channels.back_mut() {
            tally.add(header, bytes);
        }
    }

    fn share(&mut self, key: Key, last: Timestamp, payload: Vec<u8>) -> Result<(), FormatError> {
        let begins_records = key.rate != Key::SAMPLES
            && self.shared.last().is_some_and(|(before, ..)| before.rate == Key::SAMPLES);
        if begins_records && self.shared_bytes >= CHUNKS_APART_BYTES_MIN {
            self.close_shared()?;
        }
        self.shared_bytes += payload.len();
        self.shared.push((key, last, payload));
        let bytes_max =
            if (1..Key::DECIMATED).contains(&key.rate) { RECORD_BLOCK_BYTES } else { SHARED_BLOCK_BYTES };
        if self.shared_bytes >= bytes_max { self.close_shared() } else { Ok(()) }
    }

    fn close_shared(&mut self) -> Result<(), FormatError> {
        let entries = std::mem::take(&mut self.shared);
        self.shared_bytes = 0;
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(()) };
        let (count, body) = (entries.len() as u32, shared_body(&entries));
        let block = if self.profile == Profile::Hot && body.len() / entries.len() >= PACKED_ENTRY_BYTES_MIN {
            plain_block(BlockKind::Shared, count, &body)
        } else {
            encode_block(BlockKind::Shared, count, &body)
        };
        self.rows.push(IndexRow {
            offset: self.position(),
            len: block.len() as u64,
            entries: entries.len() as u32,
            first_key: first.0,
            last_key: last.0,
            last: entries.iter().map(|entry| entry.1).max().unwrap_or(Timestamp::MIN),
            chunk: None,
        });
        self.write(&block)
    }

    /// Makes durable what was added so far, so that [`TableWriter::finish`] has little left to wait for.
    ///
    /// # Errors
    /// When the disk refuses; after a failed sync the file is not to be trusted.
    pub fn sync(&mut self) -> Result<(), FormatError> {
        self.flush()?;
        Ok(self.file.sync()?)
    }

    /// Length of the file so far in bytes: where the next one will lie.
    pub fn position(&self) -> u64 {
        self.offset + self.buffer.len() as u64
    }

    /// Leaves a hole up to `offset`, before the first block.
    #[cfg(test)]
    pub(crate) fn skip_to(&mut self, offset: u64) {
        self.flush().unwrap();
        self.offset = offset;
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), FormatError> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), FormatError> {
        self.file.write_at(self.offset, &self.buffer)?;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// Rows of a block that is not yet full.
#[derive(Default)]
struct Rows {
    rows: Vec<Vec<u8>>,
    bytes: usize,
}

impl Rows {
    fn push(&mut self, row: Vec<u8>) {
        self.bytes += row.len();
        self.rows.push(row);
    }
}
