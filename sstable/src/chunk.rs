//! One channel's samples of one type as self-describing bytes.

mod apart;
mod borrowed;
mod choice;
mod columns;
mod decode;
mod encode;
mod header;
mod known;
mod large;
mod split;
mod statistics;
#[cfg(test)]
mod tests;
mod zones;
#[cfg(test)]
pub(crate) use tests::any_block;

pub use apart::{ChunksApart, LENDERS_KEPT_MAX};
pub use borrowed::TimeReference;
pub use choice::ColumnChoices;
pub use decode::{decode, decode_range};
pub(crate) use encode::{Learnt, Sibling, Stamps, encode_with};
pub use encode::{encode, encode_next};
pub use header::{ChunkHeader, Page, chunk_header_len};
pub(crate) use known::ColumnModels;
pub use split::split;
pub use statistics::{Extremes, NumericStatistics, Statistics};
pub use zones::Zone;

use xxhash_rust::xxh3::Xxh3;

/// XXH3 (128 bits) of stamps as little-endian bytes; its low half stands in the chunk header.
pub(crate) fn time_hash(times: &[i64]) -> u128 {
    let mut hasher = Xxh3::new();
    let mut bytes = [0u8; 4096];
    for times in times.chunks(bytes.len() / 8) {
        let bytes = &mut bytes[..times.len() * 8];
        for (to, time) in bytes.chunks_exact_mut(8).zip(times) {
            to.copy_from_slice(&time.to_le_bytes());
        }
        hasher.update(bytes);
    }
    hasher.digest128()
}
