//! Integers through pco, for those whose every bit counts.

use disk::{BytesError, Cursor, put_bytes};
use pco::standalone::{DecompressorItem, FileDecompressor, simple_compress};
use pco::{ChunkConfig, ModeSpec};

/// Level at which more effort gains nothing.
const LEVEL: usize = 8;

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
