//! Integers as raw low bits with one entropy-coded byte above them.

use super::integer::{bit_width, integrate, robust_mean, stride_of, unzigzag, zigzag};
use super::pack::{BLOCK_VALUES, pack, unpack, unpack_onto};
use super::text::{put_compressed, read_compressed};
use super::wide::wide;
use super::zstd;
use crate::format::BlockCodec;
use disk::{BytesError, Cursor, put_u8, put_varint_signed};

/// The byte of a value that is too far from the centre and stands behind the low bits.
const ESCAPE: u8 = 0;
/// The byte of the values at and just above the centre.
const CENTRE: i64 = 128;
/// Most low bits.
const SHIFT_MAX: u32 = 56;
/// Bits of the byte that the bulk of the values should span, so that few lie outside all 8.
const SYMBOL_BITS: u32 = 7;
/// Of so many values one may need more bits than the bulk.
const BULK_SHARE: usize = 32;
/// About how many bits the code of one symbol takes in the table of codes.
const TABLE_BITS: usize = 4;

/// How values will be split, with the estimated size.
struct Plan {
    centre: i64,
    shift: u32,
    bits: usize,
}

/// The values (at least 2) in this form, or their differences if that is estimated to be smaller; `None`
/// when they are too wide.
pub(crate) fn encode(values: &[i64]) -> Option<Vec<u8>> {
    let mut deltas: Vec<i64> = values.iter().zip(&values[1..]).map(|(a, b)| b.wrapping_sub(*a)).collect();
    // The reader takes the difference before the first value off again: it may be any.
    deltas.insert(0, *deltas.first()?);
    let (plain, delta) = (Plan::of(values), Plan::of(&deltas));
    let mut out = Vec::with_capacity(values.len() * 4);
    match (plain, delta) {
        (Some(plain), Some(delta)) if delta.bits < plain.bits => {
            delta.write(&deltas, Some(values[0]), &mut out);
        }
        (Some(plain), _) => plain.write(values, None, &mut out),
        (None, Some(delta)) => delta.write(&deltas, Some(values[0]), &mut out),
        (None, None) => return None,
    }
    Some(out)
}

/// The byte of a value, [`ESCAPE`] where it has none.
#[inline(always)]
fn symbol(value: i64, centre: i64, shift: u32) -> u8 {
    let symbol = (value.wrapping_sub(centre) >> shift).wrapping_add(CENTRE);
    if (1..=255).contains(&symbol) { symbol as u8 } else { ESCAPE }
}

impl Plan {
    fn of(values: &[i64]) -> Option<Plan> {
        let centre = robust_mean(values);
        let stride = if values.len() >= 2048 { stride_of(values) } else { 1 };
        let mut histogram = [0usize; 65];
        let mut any = 0;
        for value in values {
            any |= zigzag(value.wrapping_sub(centre));
        }
        for value in values.iter().step_by(stride) {
            histogram[bit_width(zigzag(value.wrapping_sub(centre))) as usize] += 1;
        }
        let mut outside = values.len().div_ceil(stride);
        let allowed = outside / BULK_SHARE;
        let bulk = histogram.iter().position(|count| {
            outside -= count;
            outside <= allowed
        })?;
        let middle = (bulk as u32).saturating_sub(SYMBOL_BITS);
        let shifts = middle.saturating_sub(1)..=(middle + 1).min(SHIFT_MAX);
        let plans = shifts.map(|shift| {
            let bits = estimate(values, centre, shift, stride, bit_width(any));
            Plan { centre, shift, bits }
        });
        plans.min_by_key(|plan| plan.bits)
    }

    /// Appends the block; `first` is the value before the prefix sum where `values` are deltas.
    fn write(&self, values: &[i64], first: Option<i64>, out: &mut Vec<u8>) {
        put_u8(out, if first.is_some() { BlockCodec::SplitDelta } else { BlockCodec::Split } as u8);
        if let Some(first) = first {
            put_varint_signed(out, first);
        }
        put_u8(out, self.shift as u8);
        put_varint_signed(out, self.centre);
        let symbols: Vec<u8> = values.iter().map(|value| symbol(*value, self.centre, self.shift)).collect();
        put_compressed(&symbols, zstd::LEVEL_FAST, out);
        let mut low = [0u64; BLOCK_VALUES];
        for values in values.chunks(BLOCK_VALUES) {
            for (low, value) in low.iter_mut().zip(values) {
                *low = value.wrapping_sub(self.centre) as u64;
            }
            pack(&low[..values.len()], self.shift, out);
        }
        let escaped = values.iter().zip(&symbols).filter(|(_, symbol)| **symbol == ESCAPE);
        let escaped: Vec<u64> = escaped.map(|(value, _)| zigzag(value.wrapping_sub(self.centre))).collect();
        if !escaped.is_empty() {
            let width = bit_width(escaped.iter().fold(0, |any, value| any | value));
            put_u8(out, width as u8);
            escaped.chunks(BLOCK_VALUES).for_each(|values| pack(values, width, out));
        }
    }
}

/// About how many bits the values take, from every `stride`th.
fn estimate(values: &[i64], centre: i64, shift: u32, stride: usize, widest: u32) -> usize {
    let mut histogram = [0u32; 256];
    for value in values.iter().step_by(stride) {
        histogram[usize::from(symbol(*value, centre, shift))] += 1;
    }
    let all = values.len().div_ceil(stride) as f64;
    let (mut entropy, mut table) = (0.0, 0);
    for count in histogram.into_iter().filter(|count| *count > 0) {
        entropy += f64::from(count) * (all / f64::from(count)).log2();
        table += TABLE_BITS;
    }
    let escapes = histogram[usize::from(ESCAPE)] as usize * widest as usize;
    table + (entropy as usize + escapes) * stride + shift as usize * values.len()
}

/// Appends `count` integers to `out`, behind the tag. The caller has checked `count` against a limit.
pub(crate) fn decode(
    cursor: &mut Cursor<'_>,
    count: usize,
    deltas: bool,
    out: &mut Vec<i64>,
) -> Result<(), BytesError> {
    let first = if deltas { cursor.varint_signed()? } else { 0 };
    let shift = u32::from(cursor.u8()?);
    if shift > SHIFT_MAX {
        return Err(cursor.error("at most 56 low bits were expected"));
    }
    let centre = cursor.varint_signed()?;
    let mut symbols = Vec::with_capacity(count);
    read_compressed(cursor, count, &mut symbols)?;
    let start = out.len();
    let zero = centre.wrapping_sub(CENTRE << shift);
    for symbols in symbols.chunks(BLOCK_VALUES) {
        let at = out.len();
        unpack_onto(cursor, shift, symbols.len(), zero, out)?;
        wide(|| {
            for (value, symbol) in out[at..].iter_mut().zip(symbols) {
                *value = value.wrapping_add(i64::from(*symbol) << shift);
            }
        });
    }
    if symbols.contains(&ESCAPE) {
        read_escaped(cursor, centre, &symbols, &mut out[start..])?;
    }
    if deltas {
        integrate(first, &mut out[start..]);
    }
    Ok(())
}

fn read_escaped(
    cursor: &mut Cursor<'_>,
    centre: i64,
    symbols: &[u8],
    values: &mut [i64],
) -> Result<(), BytesError> {
    let width = u32::from(cursor.u8()?);
    let escaped = symbols.iter().zip(values).filter(|(symbol, _)| **symbol == ESCAPE);
    let mut escaped: Vec<&mut i64> = escaped.map(|(_, value)| value).collect();
    let mut block = [0u64; BLOCK_VALUES];
    for values in escaped.chunks_mut(BLOCK_VALUES) {
        let block = &mut block[..values.len()];
        unpack(cursor, width, block)?;
        for (value, from) in values.iter_mut().zip(block.iter()) {
            **value = centre.wrapping_add(unzigzag(*from));
        }
    }
    Ok(())
}
