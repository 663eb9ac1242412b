//! Decodes chunks that come without their table, one behind the other.

use super::header::ChunkHeader;
use super::{TimeReference, time_hash};
use disk::BytesError;
use sample::SampleBlock;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Chunks whose stamps [`ChunksApart`] keeps for those that refer to them; the oldest goes first.
pub const LENDERS_KEPT_MAX: usize = 2048;

/// Decodes chunks in the order in which they come. Those whose stamps others need come before these and are
/// handed to [`ChunksApart::lend`].
#[derive(Debug, Default)]
pub struct ChunksApart {
    stamps: HashMap<TimeReference, (u8, Arc<[i64]>)>,
    /// The keys of `stamps`, the oldest first.
    order: VecDeque<TimeReference>,
}

impl ChunksApart {
    /// Nothing was lent yet.
    pub fn new() -> ChunksApart {
        ChunksApart::default()
    }

    /// Keeps the stamps of `chunk` for chunks that refer to them. At most 8192 stamps of each of
    /// [`LENDERS_KEPT_MAX`] chunks are held.
    ///
    /// # Errors
    /// When the bytes are damaged or are not exactly one chunk whose stamps are known.
    pub fn lend(&mut self, chunk: &[u8]) -> Result<(), BytesError> {
        let (header, borrowed) = self.opened(chunk)?;
        let body = &chunk[header.header_len..];
        let stamps = header.decode_times(0..header.pages().len(), body, borrowed.as_deref())?;
        let damaged = |what| BytesError { position: 0, what };
        if stamps.len() != header.count() || time_hash(&stamps) as u64 != header.time_hash {
            return Err(damaged("the stamps of a chunk are not those that its header tells"));
        }
        let key = header.as_time_reference();
        if self.stamps.insert(key, (header.time_depth(), stamps.into())).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > LENDERS_KEPT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.stamps.remove(&oldest);
        }
        Ok(())
    }

    /// The samples of `chunk`.
    ///
    /// # Errors
    /// When the bytes are damaged or are not exactly one chunk, or it refers to stamps that were not lent.
    pub fn decode(&self, chunk: &[u8]) -> Result<SampleBlock, BytesError> {
        let (header, borrowed) = self.opened(chunk)?;
        header.decode_pages(0..header.pages().len(), &chunk[header.header_len..], borrowed.as_deref())
    }

    /// Its header, and the stamps of other chunks that it needs, if it does.
    fn opened(&self, chunk: &[u8]) -> Result<(ChunkHeader, Option<Vec<i64>>), BytesError> {
        let header = ChunkHeader::parse(chunk)?;
        if header.chunk_len != chunk.len() as u64 {
            return Err(BytesError { position: 8, what: "a chunk is not as long as it says" });
        }
        let depth = header.time_depth();
        if depth == 0 {
            return Ok((header, None));
        }
        // At most 16 chunks of 8192 samples.
        let mut borrowed = Vec::new();
        for (reference, samples) in header.borrowed_times(0..header.pages().len()) {
            let lent = self.stamps.get(&reference).filter(|(of, _)| *of < depth);
            let stamps = lent.and_then(|(_, stamps)| stamps.get(samples));
            let what = "a chunk refers to the stamps of one that did not come before it";
            borrowed.extend_from_slice(stamps.ok_or(BytesError { position: 0, what })?);
        }
        Ok((header, Some(borrowed)))
    }
}
