//! The new table that what is left goes into.

use super::Loss;
use crate::block::SharedBlock;
use crate::chunk::{ChunkHeader, TimeReference};
use crate::fingerprint::fingerprint;
use crate::footer::TableSummary;
use crate::format::BLOCK_HEADER_BYTES;
use crate::key::Key;
use crate::record::{Archiving, DictionaryRow, NewestReading, decode_events, decode_metadata};
use crate::scan::{ScannedBlock, ScannedContent};
use crate::table::{WholeChunk, read_exactly};
use crate::writer::TableWriter;
use disk::{File, FormatError};
use sample::{ChannelId, ChannelName, EventKind, SampleBlock, Timestamp};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// Rank of a channel's first late sample.
const LATE_RANK_FIRST: u32 = 1 << 31;

/// Pieces of damaged chunks whose turn has not come, by key and first rank.
type Waiting = BTreeMap<(Key, u32), (SampleBlock, bool)>;

/// Takes chunks and records in the order in which they lie in the damaged file.
pub(super) struct Output {
    writer: TableWriter,
    /// The damaged file.
    file: Arc<dyn File>,
    rows: BTreeMap<ChannelId, DictionaryRow>,
    /// Channels whose rows are lost, with what their data say.
    nameless: BTreeMap<ChannelId, Told>,
    waiting: Waiting,
    /// Chunks that others may refer to for their stamps.
    times: HashMap<TimeReference, Place>,
    lost: Vec<Loss>,
}

/// Where a chunk or record lies in the damaged file: itself, or the block whose entry it is.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) slot: Option<usize>,
}

/// What a row would have said.
#[derive(Default)]
struct Told {
    newest: Option<NewestReading>,
    next_late_rank: u32,
    metadata: Option<(Timestamp, sample::Metadata)>,
    archiving: Option<(Archiving, Timestamp)>,
}

impl Output {
    pub(super) fn new(
        writer: TableWriter,
        file: Arc<dyn File>,
        rows: BTreeMap<ChannelId, DictionaryRow>,
    ) -> Output {
        Output {
            writer,
            file,
            rows,
            nameless: BTreeMap::new(),
            waiting: BTreeMap::new(),
            times: HashMap::new(),
            lost: Vec::new(),
        }
    }

    /// Takes a block of data; others are made anew.
    pub(super) fn block(&mut self, block: ScannedBlock) -> Result<(), FormatError> {
        match block.content {
            ScannedContent::Chunk(header, bytes) => {
                let offset = block.offset + BLOCK_HEADER_BYTES as u64;
                let len = bytes.len() as u64;
                self.chunk(*header, bytes, Place { offset, len, slot: None })?;
            }
            ScannedContent::Shared(entries) => {
                for (slot, entry) in entries.into_iter().enumerate() {
                    let place = Place { offset: block.offset, len: block.len, slot: Some(slot) };
                    if entry.key.rate != Key::SAMPLES {
                        self.record(entry.key, entry.last, entry.payload, place)?;
                        continue;
                    }
                    match ChunkHeader::parse(&entry.payload) {
                        Ok(header) => drop(self.chunk(header, entry.payload, place)?),
                        Err(error) => {
                            let span = (Timestamp(entry.key.bin), entry.last);
                            self.lose(place, entry.key.channel, span, error.what);
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn lose(&mut self, at: Place, channel: ChannelId, span: (Timestamp, Timestamp), what: &str) {
        let loss = Loss {
            offset: at.offset,
            len: at.len,
            channels: Some((channel, channel)),
            span: Some(span),
            what: what.to_string(),
        };
        self.lost.push(loss);
    }

    fn record(
        &mut self,
        key: Key,
        last: Timestamp,
        payload: Vec<u8>,
        place: Place,
    ) -> Result<(), FormatError> {
        self.catch_up(Some((key, 0)))?;
        if !self.rows.contains_key(&key.channel) {
            self.nameless.entry(key.channel).or_default().hear(key.rate, &payload);
        }
        match self.writer.add_record(key, last, payload) {
            Err(FormatError::Corrupt { what, .. }) => {
                self.lose(place, key.channel, (Timestamp(key.bin), last), &what);
                Ok(())
            }
            other => other,
        }
    }

    /// Takes a chunk with a sound header; says whether anything of it was good.
    pub(super) fn chunk(
        &mut self,
        header: ChunkHeader,
        bytes: Vec<u8>,
        place: Place,
    ) -> Result<bool, FormatError> {
        let key = Key::new(Key::SAMPLES, header.channel, header.first.0);
        self.catch_up(Some((key, header.first_rank)))?;
        if header.time_reference().is_none() {
            self.times.insert(header.as_time_reference(), place);
        }
        let known = self.rows.contains_key(&header.channel);
        let sound = header.check_bytes(&bytes).is_ok();
        if sound && known && self.writer.takes(&header) {
            let (channel, span) = (header.channel, (header.first, header.last));
            return match self.writer.add_chunk(WholeChunk::checked(header, bytes)) {
                Err(FormatError::Corrupt { what, .. }) => {
                    self.lose(place, channel, span, &what);
                    Ok(false)
                }
                other => other.map(|()| true),
            };
        }
        if sound && let Ok(block) = self.decode(&header, &bytes, 0..header.pages().len())? {
            return self.samples(&header, block, place);
        }
        self.pages(&header, &bytes, place)
    }

    /// Samples of `pages`; the inner error is what is wrong with them.
    fn decode(
        &self,
        header: &ChunkHeader,
        bytes: &[u8],
        pages: Range<usize>,
    ) -> Result<Result<SampleBlock, &'static str>, FormatError> {
        let times = match self.borrowed_times(header, pages.clone())? {
            Ok(times) => times,
            Err(what) => return Ok(Err(what)),
        };
        Ok(body_of(header, bytes, &pages)
            .and_then(|body| header.decode_pages(pages, body, times.as_deref()).map_err(|error| error.what)))
    }

    /// The stamps of other chunks that one needs for `pages`; `None` where it needs none.
    fn borrowed_times(
        &self,
        header: &ChunkHeader,
        pages: Range<usize>,
    ) -> Result<Result<Option<Vec<i64>>, &'static str>, FormatError> {
        if header.time_depth() == 0 {
            return Ok(Ok(None));
        }
        let mut times = Vec::new();
        for (reference, samples) in header.borrowed_times(pages) {
            match self.lent_times(reference, header.time_depth(), samples)? {
                Ok(lent) => times.extend(lent),
                Err(what) => return Ok(Err(what)),
            }
        }
        Ok(Ok(Some(times)))
    }

    /// The stamps of samples of a chunk that another one refers to, which finds its own over `depth` chunks.
    fn lent_times(
        &self,
        reference: TimeReference,
        depth: u8,
        samples: Range<usize>,
    ) -> Result<Result<Vec<i64>, &'static str>, FormatError> {
        let Some(place) = self.times.get(&reference) else {
            return Ok(Err("its stamps stood in another chunk, which is damaged"));
        };
        let mut lender = read_exactly(&*self.file, place.offset, place.len)?;
        if let Some(slot) = place.slot {
            let block =
                SharedBlock::parse(&lender).map_err(|error| error.in_file(self.file.path(), place.offset))?;
            lender = block.entries.get(slot).map_or_else(Vec::new, |entry| block.payload(entry).to_vec());
        }
        let header = match ChunkHeader::parse(&lender) {
            Ok(header) if header.time_depth() < depth => header,
            Ok(_) => return Ok(Err("its stamps stand in a chunk that refers to others")),
            Err(error) => return Ok(Err(error.what)),
        };
        let pages = header.pages_of(samples.clone());
        let begin = header.samples_of(pages.clone()).start;
        let borrowed = match self.borrowed_times(&header, pages.clone())? {
            Ok(borrowed) => borrowed,
            Err(what) => return Ok(Err(what)),
        };
        let lent = body_of(&header, &lender, &pages).and_then(|body| {
            header.decode_times(pages, body, borrowed.as_deref()).map_err(|error| error.what)
        });
        Ok(lent.map(|lent| lent[samples.start - begin..samples.end - begin].to_vec()))
    }

    /// Takes the good pages of a chunk; the others are lost.
    fn pages(&mut self, header: &ChunkHeader, bytes: &[u8], place: Place) -> Result<bool, FormatError> {
        let count = header.pages().len();
        let mut faults = Vec::with_capacity(count);
        for page in 0..count {
            faults.push(self.decode(header, bytes, page..page + 1)?.err());
        }
        let (mut good, mut begin) = (false, 0);
        for run in faults.chunk_by(|a, b| a == b) {
            let pages = begin..begin + run.len();
            begin = pages.end;
            let Some(what) = run[0] else {
                if let Ok(block) = self.decode(header, bytes, pages)? {
                    good |= self.samples(header, block, place)?;
                }
                continue;
            };
            let first = header.pages()[pages.start].first;
            let last = header.pages().get(pages.end).map_or(header.last, |next| next.first);
            let extent = header.extent_of(pages);
            let lost = match place.slot {
                None => {
                    Place { offset: place.offset + extent.start, len: extent.end - extent.start, slot: None }
                }
                Some(_) => place,
            };
            self.lose(lost, header.channel, (first, last), what);
        }
        Ok(good)
    }

    /// Takes decoded samples of a chunk, which may have to wait for their turn.
    fn samples(
        &mut self,
        header: &ChunkHeader,
        block: SampleBlock,
        place: Place,
    ) -> Result<bool, FormatError> {
        let ordered = (1..block.len()).all(|i| block.position(i - 1) < block.position(i));
        if block.is_empty() || !ordered {
            self.lose(place, header.channel, (header.first, header.last), "samples are not in order");
            return Ok(false);
        }
        if !self.rows.contains_key(&header.channel) {
            self.nameless.entry(header.channel).or_default().see(&block, header.late);
        }
        let (time, rank) = block.position(0);
        self.waiting.insert((Key::new(Key::SAMPLES, header.channel, time), rank), (block, header.late));
        Ok(true)
    }

    /// Writes what comes before `until`.
    fn catch_up(&mut self, until: Option<(Key, u32)>) -> Result<(), FormatError> {
        while let Some(entry) = self.waiting.first_entry() {
            if until.is_some_and(|until| *entry.key() >= until) {
                break;
            }
            let ((key, _), (block, late)) = entry.remove_entry();
            match self.writer.add_samples(key.channel, &block, late) {
                Err(FormatError::Corrupt { what, .. }) => {
                    let nowhere = Place { offset: 0, len: 0, slot: None };
                    self.lose(nowhere, key.channel, (block.first(), block.last()), &what);
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// Ends the table.
    pub(super) fn finish(
        mut self,
        name_of: &dyn Fn(ChannelId) -> ChannelName,
    ) -> Result<(TableSummary, Vec<Loss>, Vec<ChannelId>), FormatError> {
        self.catch_up(None)?;
        let nameless: Vec<ChannelId> = self.nameless.keys().copied().collect();
        for (channel, told) in self.nameless {
            let row = DictionaryRow {
                newest: told.newest,
                next_late_rank: told.next_late_rank,
                metadata: told.metadata,
                archiving: told.archiving,
                ..DictionaryRow::new(channel, name_of(channel))
            };
            self.rows.insert(channel, row);
        }
        let summary = self.writer.finish(self.rows.into_values())?;
        Ok((summary, self.lost, nameless))
    }
}

/// The bytes that decoding `pages` needs.
fn body_of<'b>(
    header: &ChunkHeader,
    bytes: &'b [u8],
    pages: &Range<usize>,
) -> Result<&'b [u8], &'static str> {
    let extent = header.extent_of(pages.clone());
    bytes.get(extent.start as usize..extent.end as usize).ok_or("the bytes end inside a page")
}

impl Told {
    fn see(&mut self, block: &SampleBlock, late: bool) {
        if late {
            let next =
                block.rank.iter().map(|rank| rank.wrapping_sub(LATE_RANK_FIRST).saturating_add(1)).max();
            self.next_late_rank = self.next_late_rank.max(next.unwrap_or(0));
            return;
        }
        let sample = block.get(block.len() - 1);
        if self.newest.is_none_or(|known| (known.time, known.rank) < (sample.time, sample.rank)) {
            let (time, rank) = (sample.time, sample.rank);
            self.newest = Some(NewestReading { time, rank, fingerprint: fingerprint(&sample) });
        }
    }

    /// Events and metadata say what a row would repeat of them.
    fn hear(&mut self, rate: u64, payload: &[u8]) {
        match rate {
            Key::METADATA => {
                if let Some(last) = decode_metadata(payload).unwrap_or_default().pop() {
                    self.metadata = Some(last);
                }
            }
            Key::EVENTS => {
                for event in decode_events(payload).unwrap_or_default() {
                    let since = self.archiving.map_or(event.time, |(_, since)| since);
                    self.archiving = match event.kind {
                        EventKind::Started => Some((Archiving::Started, event.time)),
                        EventKind::Resumed => Some((Archiving::Started, since)),
                        EventKind::Paused => Some((Archiving::Paused, since)),
                        EventKind::Stopped | EventKind::Retired => Some((Archiving::Retired, since)),
                        _ => self.archiving,
                    };
                }
            }
            _ => {}
        }
    }
}
