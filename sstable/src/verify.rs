//! Whether a table is what it was when it was written.

use crate::block_index::{ChunkFacts, IndexRow};
use crate::cache::BlockCache;
use crate::chunk::{self, ChunkHeader, Statistics};
use crate::format::PROLOGUE_BYTES;
use crate::reach::reach_s;
use crate::record::{
    DictionaryRow, decode_bins, decode_carry_in, decode_channel_records, decode_events, decode_metadata,
};
use crate::scan::{Scan, ScannedBlock, ScannedContent, ScannedEntry};
use crate::table::Table;
use crate::{ChunkSummary, Entry, Key, Locator};
use disk::{BytesError, Disk, FormatError};
use sample::{ChannelId, Metadata, SampleBlock, Severity, TimeRange, Timestamp};
use std::collections::HashMap;
use std::path::Path;

/// Problems listed; more are counted.
const PROBLEMS_MAX: usize = 1000;
/// Shared blocks kept while stamps of other chunks are looked up.
const CACHE_BYTES: usize = 1 << 20;

/// What was found.
#[derive(Debug, Default)]
pub struct Verification {
    /// Blocks that could be read.
    pub blocks: u64,
    /// Chunks whose checksums are right.
    pub chunks: u64,
    /// Records that could be read.
    pub records: u64,
    /// Samples of those chunks.
    pub samples: u64,
    /// What is wrong, each with file and offset; at most 1000 are listed.
    pub problems: Vec<FormatError>,
    /// How many problems there are.
    pub problem_count: u64,
}

/// What the data say about a channel, to be compared with its row.
#[derive(Default, PartialEq, Debug)]
struct Tally {
    samples: u64,
    bytes: u64,
    span: Option<(Timestamp, Timestamp)>,
}

struct Verifier<'a> {
    path: &'a Path,
    deep: bool,
    table: Option<Table>,
    found: Verification,
    next_row: usize,
    events_reach_s: u32,
    channels: HashMap<ChannelId, Tally>,
    dictionary: Vec<(ChannelId, Tally)>,
}

/// Checks every checksum of the table at `path`. `deep` also decodes everything and compares statistics,
/// index, dictionary and footer with the data.
///
/// # Errors
/// When the disk refuses, or the file is of another kind or of a newer format. Damage is not an error here
/// but a problem in the answer.
pub fn verify(disk: &dyn Disk, path: &Path, deep: bool) -> Result<Verification, FormatError> {
    let scan = Scan::open(disk, path)?;
    let mut verifier = Verifier {
        path,
        deep,
        table: None,
        found: Verification::default(),
        next_row: 0,
        events_reach_s: 0,
        channels: HashMap::new(),
        dictionary: Vec::new(),
    };
    match Table::open(disk, path, &BlockCache::new(CACHE_BYTES)) {
        Ok(table) => verifier.table = Some(table),
        Err(error) if error.is_damage() => verifier.problem(error),
        Err(error) => return Err(error),
    }
    for block in scan {
        match block {
            Ok(block) => verifier.block(block)?,
            Err(error @ FormatError::Io(_)) => return Err(error),
            Err(error) => verifier.problem(error),
        }
    }
    verifier.totals();
    Ok(verifier.found)
}

impl Verifier<'_> {
    fn problem(&mut self, error: FormatError) {
        self.found.problem_count += 1;
        if self.found.problems.len() < PROBLEMS_MAX {
            self.found.problems.push(error);
        }
    }

    fn wrong(&mut self, offset: u64, what: &'static str) {
        self.problem(FormatError::corrupt(self.path, offset, what));
    }

    fn block(&mut self, block: ScannedBlock) -> Result<(), FormatError> {
        self.found.blocks += 1;
        match &block.content {
            ScannedContent::Chunk(header, bytes) => {
                let facts = Some(ChunkFacts::of(header));
                let key = Key::new(Key::SAMPLES, header.channel, header.first.0);
                self.compare_row(&block, [key, key], header.last, facts, 1);
                let locator = Locator { offset: block.offset, len: block.len, slot: None };
                self.chunk(header, bytes, locator)
            }
            ScannedContent::Shared(entries) => {
                let last = entries.iter().map(|entry| entry.last).max().unwrap_or(Timestamp::MIN);
                if let (Some(least), Some(greatest)) = (entries.first(), entries.last()) {
                    self.compare_row(&block, [least.key, greatest.key], last, None, entries.len());
                }
                for (slot, entry) in entries.iter().enumerate() {
                    let locator = Locator { offset: block.offset, len: block.len, slot: Some(slot as u32) };
                    self.entry(entry, locator)?;
                }
                Ok(())
            }
            ScannedContent::Dictionary(rows) => {
                if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
                    let channels = [first.channel, last.channel];
                    let row = IndexRow::of_dictionary(block.offset, block.len, rows.len() as u32, channels);
                    self.compare_dictionary_row(&row);
                }
                self.dictionary.extend(rows.iter().map(|row: &DictionaryRow| {
                    (row.channel, Tally { samples: row.samples, bytes: row.bytes, span: row.span })
                }));
                Ok(())
            }
            ScannedContent::Lineage(_) => {
                if block.offset != PROLOGUE_BYTES as u64 {
                    self.wrong(block.offset, "a lineage was expected to be the first block only");
                }
                Ok(())
            }
            ScannedContent::Index { .. } => Ok(()),
        }
    }

    /// The index says of this block what the block says.
    fn compare_row(
        &mut self,
        block: &ScannedBlock,
        [first_key, last_key]: [Key; 2],
        last: Timestamp,
        chunk: Option<ChunkFacts>,
        entries: usize,
    ) {
        let Some(table) = &self.table else { return };
        let row = IndexRow {
            offset: block.offset,
            len: block.len,
            entries: entries as u32,
            first_key,
            last_key,
            last,
            chunk,
        };
        while table.rows.get(self.next_row).is_some_and(|known| known.offset < block.offset) {
            self.next_row += 1;
        }
        if table.rows.get(self.next_row) != Some(&row) {
            self.wrong(block.offset, "the index does not say of this block what the block says");
        }
    }

    /// The index says of this block of the dictionary what the block says.
    fn compare_dictionary_row(&mut self, row: &IndexRow) {
        let Some(table) = &self.table else { return };
        if !table.dictionary_rows.contains(row) {
            self.wrong(row.offset, "the index does not say of this block what the block says");
        }
    }

    fn entry(&mut self, entry: &ScannedEntry, locator: Locator) -> Result<(), FormatError> {
        if entry.key.rate == Key::SAMPLES {
            match ChunkHeader::parse(&entry.payload) {
                Ok(header) => {
                    if (header.channel, header.first.0, header.last)
                        != (entry.key.channel, entry.key.bin, entry.last)
                    {
                        self.wrong(locator.offset, "a shared block names another chunk than it holds");
                    }
                    return self.chunk(&header, &entry.payload, locator);
                }
                Err(error) => self.problem(error.in_file(self.path, locator.offset)),
            }
            return Ok(());
        }
        if let Some(table) = self.table.as_ref().filter(|_| self.deep) {
            self.events_reach_s =
                self.events_reach_s.max(reach_s(table.info().week, entry.key, &entry.payload));
        }
        let decoded: Result<(), BytesError> = match entry.key.rate {
            _ if !self.deep => Ok(()),
            Key::EVENTS => decode_events(&entry.payload).map(drop),
            Key::METADATA => decode_metadata(&entry.payload).map(drop),
            Key::CARRY_IN => self.check_carry_in(entry),
            Key::CHANNELS => decode_channel_records(&entry.payload).map(drop),
            Key::DECIMATED.. => decode_bins(&entry.payload).map(drop),
            _ => Ok(()),
        };
        match decoded {
            Ok(()) => self.found.records += 1,
            Err(error) => self.problem(FormatError::corrupt(self.path, locator.offset, error.what)),
        }
        Ok(())
    }

    /// A carry-in decodes and tells of events and metadata what their records do.
    fn check_carry_in(&self, entry: &ScannedEntry) -> Result<(), BytesError> {
        decode_carry_in(&entry.payload)?;
        let Some(table) = &self.table else { return Ok(()) };
        let Some(told) = table.timeline(&entry.payload)? else { return Ok(()) };
        // That a record cannot be read is found where it stands.
        let (Some(events), Some(metadata)) = (
            records_of(table, Key::EVENTS, entry.key.channel, decode_events),
            records_of(table, Key::METADATA, entry.key.channel, decode_metadata),
        ) else {
            return Ok(());
        };
        let same =
            |(a, b): (&(Timestamp, Metadata), &(Timestamp, Metadata))| a.0 == b.0 && a.1.same_bits(&b.1);
        let is_same = told.events == events
            && told.metadata.len() == metadata.len()
            && told.metadata.iter().zip(&metadata).all(same);
        let what = "a carry-in tells of other events or metadata than the table has";
        if is_same { Ok(()) } else { Err(BytesError { position: 0, what }) }
    }

    fn chunk(&mut self, header: &ChunkHeader, bytes: &[u8], locator: Locator) -> Result<(), FormatError> {
        let body = if locator.slot.is_none() { crate::format::BLOCK_HEADER_BYTES as u64 } else { 0 };
        let offset = locator.offset + body;
        if let Err(error) = header.check_bytes(bytes) {
            self.problem(error.in_file(self.path, offset));
            return Ok(());
        }
        let tally = self.channels.entry(header.channel).or_default();
        tally.samples += header.count() as u64;
        tally.bytes += bytes.len() as u64;
        let span = tally.span.get_or_insert((header.first, header.last));
        *span = (span.0.min(header.first), span.1.max(header.last));
        self.found.chunks += 1;
        self.found.samples += header.count() as u64;
        if !self.deep {
            return Ok(());
        }
        match self.decode(header, bytes, locator) {
            Some(Ok(block)) => {
                if let Err(what) = check_samples(header, &block) {
                    self.wrong(offset, what);
                }
            }
            Some(Err(error @ FormatError::Io(_))) => return Err(error),
            Some(Err(error)) => self.problem(error),
            // Stamps of another chunk cannot be had without the index; that it is lost was reported.
            None => {}
        }
        Ok(())
    }

    fn decode(
        &self,
        header: &ChunkHeader,
        bytes: &[u8],
        locator: Locator,
    ) -> Option<Result<SampleBlock, FormatError>> {
        if header.time_depth() == 0 {
            return Some(chunk::decode(bytes).map_err(|error| error.in_file(self.path, locator.offset)));
        }
        let table = self.table.as_ref()?;
        let summary = ChunkSummary {
            first_rank: header.first_rank,
            late: header.late,
            statistics: header.statistics.clone(),
            header_len: header.header_len,
        };
        let key = Key::new(Key::SAMPLES, header.channel, header.first.0);
        Some(table.all_samples(&Entry { key, last: header.last, chunk: Some(summary), locator }))
    }

    /// Dictionary and footer say what the data say; not compared where data are damaged.
    fn totals(&mut self) {
        let Some(table) = &self.table else { return };
        if self.found.problem_count > 0 {
            return;
        }
        let (summary, footer_offset) = (table.summary().clone(), table.footer.index_offset);
        if (summary.samples, summary.chunks, summary.records)
            != (self.found.samples, self.found.chunks, self.found.records)
        {
            self.wrong(footer_offset, "the footer counts other chunks, samples or records than there are");
        }
        if self.deep && summary.events_reach_s != self.events_reach_s {
            self.wrong(footer_offset, "the footer says that events reach back to another time than they do");
        }
        let dictionary = std::mem::take(&mut self.dictionary);
        if dictionary.len() as u64 != summary.channels {
            self.wrong(footer_offset, "the footer counts other channels than the dictionary has");
        }
        let mut channels = std::mem::take(&mut self.channels);
        for (channel, row) in dictionary {
            if channels.remove(&channel).unwrap_or_default() != row {
                self.wrong(footer_offset, "the dictionary says of a channel what its data do not");
            }
        }
        if !channels.is_empty() {
            self.wrong(footer_offset, "a channel with samples has no row in the dictionary");
        }
    }
}

/// The items of all records of a channel at a rate, if they can be read.
fn records_of<T>(
    table: &Table,
    rate: u64,
    channel: ChannelId,
    decode: impl Fn(&[u8]) -> Result<Vec<T>, BytesError>,
) -> Option<Vec<T>> {
    let mut items = Vec::new();
    for entry in table.entries(rate, channel, TimeRange::ALL) {
        items.extend(decode(&table.payload(&entry.ok()?).ok()?).ok()?);
    }
    Some(items)
}

/// The samples are what the header says.
fn check_samples(header: &ChunkHeader, block: &SampleBlock) -> Result<(), &'static str> {
    let last = block.len().wrapping_sub(1);
    let ends = block.time.first().zip(block.time.get(last)).map(|(first, last)| (*first, *last));
    if ends != Some((header.first.0, header.last.0))
        || (block.rank.first(), block.rank.get(last)) != (Some(&header.first_rank), Some(&header.last_rank))
    {
        return Err("the first or last sample of a chunk is not the one that its header names");
    }
    if !(1..block.len()).all(|i| block.position(i - 1) < block.position(i)) {
        return Err("samples of a chunk are not in the order of time and rank");
    }
    if chunk::time_hash(&block.time) as u64 != header.time_hash {
        return Err("the stamps of a chunk do not have the hash that its header names");
    }
    if Statistics::of(block) != header.statistics {
        return Err("the statistics of a chunk are not those of its samples");
    }
    check_pages(header, block)?;
    check_zones(header, block)
}

/// What the header says of parts of pages holds of the samples.
fn check_zones(header: &ChunkHeader, block: &SampleBlock) -> Result<(), &'static str> {
    let zones = header.zones().map_err(|error| error.what)?;
    for (at, zone) in zones.iter().enumerate() {
        let samples = header.samples_of_zones(at..at + 1);
        if block.time.get(samples.start) != Some(&zone.first.0) {
            return Err("a zone does not begin at the time that the header names");
        }
        let Some((least, most)) = zone.bounds else { continue };
        let mut values = samples.filter_map(|i| block.get(i).value.as_f64());
        if !values.all(|value| !value.is_finite() || (least <= value && value <= most)) {
            return Err("a value of a zone lies outside the bounds that the header names");
        }
    }
    Ok(())
}

/// What the header says of each page, and the receive delays, hold of the samples.
fn check_pages(header: &ChunkHeader, block: &SampleBlock) -> Result<(), &'static str> {
    let mut delays: Option<(i64, i64)> = None;
    for (at, page) in header.pages().iter().enumerate() {
        let mut worst = Severity::NoAlarm;
        let samples = header.samples_of(at..at + 1);
        if block.time.get(samples.start) != Some(&page.first.0) {
            return Err("a page does not begin at the time that its header names");
        }
        for sample in samples.map(|i| block.get(i)) {
            worst = worst.max(sample.severity);
            let value = sample.value.as_f64().filter(|value| value.is_finite());
            if let (Some((least, most)), Some(value)) = (page.bounds, value)
                && !(least <= value && value <= most)
            {
                return Err("a value of a page lies outside the bounds that its header names");
            }
            if let Some(received) = sample.received {
                let delay = received.0.wrapping_sub(sample.time.0);
                delays = Some(delays.map_or((delay, delay), |(a, b)| (a.min(delay), b.max(delay))));
            }
        }
        if worst != page.worst {
            return Err("the worst severity of a page is not that of its samples");
        }
    }
    if delays != header.received_delay {
        return Err("the receive delays of a chunk are not those of its samples");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{encode_carry_in, encode_events, with_timeline};
    use crate::table::tests::{info, path, row};
    use crate::{TableWriter, corpus};
    use disk::{FileHeader, SimDisk};

    #[test]
    fn a_timeline_that_is_not_the_tables_is_a_problem() {
        let (disk, channel) = (SimDisk::new(1), ChannelId(1));
        let mut writer = TableWriter::create(&disk, &path(), &info()).unwrap();
        let events = corpus::events();
        let record = encode_events(&events).unwrap();
        writer.add_record(Key::new(Key::EVENTS, channel, 5), Timestamp(6), record.clone()).unwrap();
        let carry_in = encode_carry_in(channel, &corpus::carry_ins()[0]).unwrap();
        let key = Key::new(Key::CARRY_IN, channel, 5);
        writer.add_record(key, Timestamp(5), carry_in.clone()).unwrap();
        writer.finish([row(1)]).unwrap();
        let found = verify(&disk, &path(), true).unwrap();
        assert_eq!((found.problem_count, found.records), (0, 2));

        let table = Table::open(&disk, &path(), &BlockCache::new(0)).unwrap();
        let entry = table.entries(Key::CARRY_IN, channel, TimeRange::ALL).next().unwrap().unwrap();
        let told = table.timeline(&table.payload(&entry).unwrap()).unwrap().unwrap();
        assert_eq!(told.events, events, "a written carry-in tells of the events");
        let mut verifier = Verifier {
            path: &path(),
            deep: true,
            table: Some(table),
            found: Verification::default(),
            next_row: 0,
            events_reach_s: 0,
            channels: HashMap::new(),
            dictionary: Vec::new(),
        };
        let fewer = encode_events(&events[1..]).unwrap();
        for (records, is_right) in [([&record[..], &[]], true), ([&fewer, &[]], false), ([&[], &[]], false)] {
            let payload = with_timeline(carry_in.clone(), Some(records));
            let entry = ScannedEntry { key, last: Timestamp(5), payload };
            assert_eq!(verifier.check_carry_in(&entry).is_ok(), is_right);
        }
        // What an older program copied is not believed.
        if let Some(table) = &mut verifier.table {
            table.has_timelines = false;
        }
        let payload = with_timeline(carry_in, Some([&[], &[]]));
        assert!(verifier.check_carry_in(&ScannedEntry { key, last: Timestamp(5), payload }).is_ok());
        let header = |minor| FileHeader { minor, ..crate::format::TABLE_FILE }.encode();
        let believed =
            [0, 1, 2, 3].map(|minor| crate::footer::has_timelines(&header(minor), &path()).unwrap());
        assert_eq!(believed, [false, false, true, true]);
    }
}
