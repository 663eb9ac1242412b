//! An entry as a key with a value, packed tightly with varints.

use index::Entry;

/// Rate, channel, first time, such that bytes sort as numbers.
pub(crate) fn key(rate: u64, channel: u64, first: i64) -> [u8; 24] {
    let mut key = [0; 24];
    key[..8].copy_from_slice(&rate.to_be_bytes());
    key[8..16].copy_from_slice(&channel.to_be_bytes());
    key[16..].copy_from_slice(&(first as u64 ^ 1 << 63).to_be_bytes());
    key
}

/// The key of an entry.
pub(crate) fn key_of(entry: &Entry) -> [u8; 24] {
    key(entry.rate, entry.channel.0, entry.first.0)
}

/// Channel of a key.
pub(crate) fn channel_of(key: &[u8]) -> u64 {
    key[8..16].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Everything else: span, place, count, header length, statistics.
pub(crate) fn value(entry: &Entry) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    disk::put_varint(&mut out, (entry.last.0 - entry.first.0) as u64);
    disk::put_varint(&mut out, entry.locator.table);
    disk::put_varint(&mut out, entry.locator.offset);
    disk::put_varint(&mut out, entry.locator.len);
    disk::put_varint(&mut out, entry.locator.slot.map_or(0, |slot| u64::from(slot) + 1));
    let Some(chunk) = &entry.chunk else { return out };
    let Some(statistics) = &chunk.statistics else { return out };
    disk::put_varint(&mut out, chunk.count);
    disk::put_varint(&mut out, u64::from(chunk.header_len));
    disk::put_varint(&mut out, u64::from(chunk.first_rank));
    disk::put_varint(&mut out, u64::from(chunk.last_rank));
    disk::put_u8(&mut out, statistics.worst as u8 | u8::from(chunk.late) << 7);
    disk::put_varint(&mut out, statistics.invalid);
    let Some(numeric) = &statistics.numeric else { return out };
    disk::put_f64(&mut out, numeric.first);
    disk::put_f64(&mut out, numeric.last);
    for count in [numeric.nan, numeric.positive_infinite, numeric.negative_infinite] {
        disk::put_varint(&mut out, count);
    }
    if let Some(extremes) = &numeric.extremes {
        disk::put_f64(&mut out, extremes.min);
        disk::put_varint(&mut out, (extremes.min_time.0 - entry.first.0) as u64);
        disk::put_f64(&mut out, extremes.max);
        disk::put_varint(&mut out, (extremes.max_time.0 - entry.first.0) as u64);
    }
    out
}

/// The span of a value: as much as a peer's look-up decodes.
pub(crate) fn span(value: &[u8]) -> u64 {
    disk::Cursor::new(value).varint().expect("a value")
}
