//! Numbers through pco: integer streams whose every bit counts, columns that it writes smallest.

use disk::{BytesError, Cursor, put_bytes};
use pco::data_types::Number;
use pco::metadata::{DeltaEncoding, Mode};
use pco::standalone::{DecompressorItem, FileDecompressor, simple_compress};
use pco::{ChunkConfig, DecompressorScratch, DeltaSpec, ModeSpec, PagingSpec, wrapped};
use std::any::Any;
use std::cell::RefCell;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Level for streams.
const LEVEL: usize = 8;
/// Level for columns, which are tried now and then only.
const COLUMN_LEVEL: usize = 8;

/// Appends the values as counted bytes; `false` and nothing appended when pco refuses.
pub(crate) fn encode(values: &[i64], out: &mut Vec<u8>) -> bool {
    let config = ChunkConfig::default().with_compression_level(LEVEL).with_mode_spec(ModeSpec::Classic);
    match simple_compress(values, &config) {
        Ok(bytes) => {
            put_bytes(out, &bytes);
            true
        }
        Err(_) => false,
    }
}

/// Appends the `count` integers that [`encode`] wrote. The caller has checked `count` against a limit.
pub(crate) fn decode(cursor: &mut Cursor<'_>, count: usize, out: &mut Vec<i64>) -> Result<(), BytesError> {
    let bytes = cursor.counted_bytes()?;
    let start = out.len();
    out.resize(start + count, 0);
    let whole = read(bytes, &mut out[start..]).is_some_and(<[u8]>::is_empty);
    if whole {
        Ok(())
    } else {
        Err(cursor.error("bytes of pco that are damaged or hold another number of values"))
    }
}

/// Fills `values` from the one chunk of `bytes` and says what is left behind it; `None` when they are damaged
/// or hold another number.
fn read<'b>(bytes: &'b [u8], values: &mut [i64]) -> Option<&'b [u8]> {
    let (file, rest) = FileDecompressor::new(bytes).ok()?;
    let DecompressorItem::Chunk(mut chunk) = file.chunk_decompressor::<i64, _>(rest).ok()? else {
        return None;
    };
    if chunk.n() != values.len() || chunk.read(values).ok()?.n_processed != values.len() {
        return None;
    }
    match file.chunk_decompressor::<i64, _>(chunk.into_src()).ok()? {
        DecompressorItem::EndOfData(rest) => Some(rest),
        DecompressorItem::Chunk(_) => None,
    }
}

/// A column as a chunk of pco: what all pages have in common.
#[derive(Clone, Debug)]
pub(crate) struct PcoColumn {
    /// Header and chunk metadata of pco's wrapped format.
    meta: Vec<u8>,
    /// The same as the tables that decode, made for the first page; their type is that of the numbers.
    tables: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl PartialEq for PcoColumn {
    fn eq(&self, other: &PcoColumn) -> bool {
        self.meta == other.meta
    }
}

/// The low bits of the first byte of the metadata say which mode.
const MODE_BITS: u8 = 0b1111;
/// The mode that allocates as many values as it says, before it looks for them. It is never written.
const MODE_DICTIONARY: u8 = 4;
/// Values that a lookback may reach back; more than a chunk has.
const WINDOW_LOG_MAX: u32 = 15;

/// pco reads so many values at a time, except at the end of a page.
const READ_MULTIPLE: usize = 256;
/// What lies before the rows asked for is read into a buffer of so many, again and again.
const SKIPPED: usize = 4 * READ_MULTIPLE;

thread_local! {
    static SCRATCH: RefCell<DecompressorScratch> = RefCell::new(DecompressorScratch::default());
}

const DAMAGED: &str = "bytes of pco that are damaged or hold another number of values";

impl PcoColumn {
    /// The column, with the segments of `pages` (which follow one another) appended to `data` and their ends to
    /// `ends`, and whether each number is to be multiplied, which makes decoding slow; `None`, and nothing appended, when
    /// pco refuses. `delta` says which differences are known to suit, or is told which were found: looking for them takes
    /// three quarters of the time.
    pub(crate) fn encode<T: Number>(
        values: &[T],
        pages: &[Range<usize>],
        delta: &mut DeltaSpec,
        data: &mut Vec<u8>,
        ends: &mut Vec<usize>,
    ) -> Option<(PcoColumn, bool)> {
        let config = ChunkConfig::default()
            .with_compression_level(COLUMN_LEVEL)
            .with_enable_8_bit(true)
            .with_delta_spec(delta.clone())
            .with_paging_spec(PagingSpec::Exact(pages.iter().map(Range::len).collect()));
        let file = wrapped::FileCompressor::default();
        let mut chunk = file.chunk_compressor(values, &config).ok()?;
        let meta = chunk.write_meta(file.write_header(Vec::new()).ok()?).ok()?;
        let mut segments = Vec::new();
        let mut segment_ends = Vec::with_capacity(pages.len());
        for page in 0..pages.len() {
            segments = chunk.write_page(page, segments).ok()?;
            segment_ends.push(data.len() + segments.len());
        }
        data.append(&mut segments);
        ends.append(&mut segment_ends);
        *delta = match chunk.meta().delta_encoding {
            DeltaEncoding::NoOp => DeltaSpec::NoOp,
            DeltaEncoding::Consecutive { order, .. } => DeltaSpec::TryConsecutive(order),
            DeltaEncoding::Lookback { .. } => DeltaSpec::TryLookback,
            _ => DeltaSpec::Auto,
        };
        let multiplied = matches!(chunk.meta().mode, Mode::FloatMult(_) | Mode::IntMult(_));
        Some((PcoColumn { meta, tables: OnceLock::new() }, multiplied))
    }

    /// Appends the numbers `rows` of a page of `count`, which is all that is left of `cursor`. Those behind them are not
    /// decoded. The caller has checked `count` against a limit.
    pub(crate) fn decode<T: Number + Default>(
        &self,
        cursor: &mut Cursor<'_>,
        count: usize,
        rows: Range<usize>,
        out: &mut Vec<T>,
    ) -> Result<(), BytesError> {
        let bytes = cursor.bytes(cursor.remaining())?;
        if rows.is_empty() {
            return Ok(());
        }
        let tables = self.tables::<T>().ok_or_else(|| cursor.error(DAMAGED))?;
        let start = out.len();
        let (skipped, decoded) =
            (rows.start / SKIPPED * SKIPPED, rows.end.next_multiple_of(READ_MULTIPLE).min(count));
        out.resize(start + decoded - skipped, T::default());
        let whole = SCRATCH.with_borrow_mut(|scratch| {
            let mut page = tables.page_decompressor_with_scratch(bytes, count, scratch).ok()?;
            let mut before = [T::default(); SKIPPED];
            for _ in 0..skipped / SKIPPED {
                page.read(&mut before).ok().filter(|done| done.n_processed == SKIPPED)?;
            }
            let done = page.read(&mut out[start..]).ok()?;
            let over = decoded < count || page.into_src().is_empty();
            (done.n_processed == decoded - skipped && over).then_some(())
        });
        out.truncate(start + rows.end - skipped);
        out.drain(start..start + rows.start - skipped);
        whole.ok_or_else(|| cursor.error(DAMAGED))
    }

    fn tables<T: Number>(&self) -> Option<&wrapped::ChunkDecompressor<T>> {
        if self.tables.get().is_none() {
            let tables = read_tables::<T>(&self.meta)?;
            let _ = self.tables.set(Arc::new(tables));
        }
        self.tables.get()?.downcast_ref()
    }

    /// Appends the parameters of the column.
    pub(crate) fn put_parameters(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.meta);
    }

    /// Reads the parameters of the column. They are checked when the first page is decoded.
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<PcoColumn, BytesError> {
        let meta = cursor.bytes(cursor.remaining())?.to_vec();
        Ok(PcoColumn { meta, tables: OnceLock::new() })
    }
}

/// The tables that `meta` describes; `None` when it is damaged or would take memory that its bytes have not earned.
fn read_tables<T: Number>(meta: &[u8]) -> Option<wrapped::ChunkDecompressor<T>> {
    let (file, rest) = wrapped::FileDecompressor::new(meta).ok()?;
    if rest.first()? & MODE_BITS == MODE_DICTIONARY {
        return None;
    }
    let (chunk, rest) = file.chunk_decompressor::<T, _>(rest).ok()?;
    let far = match &chunk.meta().delta_encoding {
        DeltaEncoding::Lookback { config, .. } => config.window_n_log > WINDOW_LOG_MAX,
        _ => false,
    };
    (rest.is_empty() && !far).then_some(chunk)
}

#[cfg(test)]
mod tests;
