//! Integers as raw low bits with one entropy-coded byte above them.

use super::Profile;
use super::integer::{self, IntegerEncoder, bit_width, integrate, robust_mean, stride_of, unzigzag, zigzag};
use super::pack::{BLOCK_VALUES, pack, packed_len, unpack, unpack_onto, unpack_some_onto};
use super::text::{put_symbols, read_compressed};
use super::wide::wide;
use crate::format::BlockCodec;
use disk::{BytesError, Cursor, put_u8, put_varint_signed};
use std::ops::Range;

/// The byte of a value that is too far from the centre and stands behind the low bits.
const ESCAPE: u8 = 0;
/// The byte of the values at and just above the centre.
const CENTRE: i64 = 128;
/// Most low bits.
const SHIFT_MAX: u32 = 56;
/// Bits of the byte that the bulk of the values spans at the fewest low bits that are looked at.
const SYMBOL_BITS: u32 = 8;
/// How many numbers of low bits are looked at.
const SHIFTS: u32 = 7;
/// Half of the width of the finest histogram: values farther from the centre are escaped.
const REACH: i64 = 1 << 12;
/// Of so many values one may need more bits than the bulk; the second for values with many outliers.
const BULK_SHARES: [usize; 2] = [32, 4];
/// About how many bits each symbol takes in the table of codes, a third of that for every third value, and how many the
/// entropy of a few values is too low for it.
const SYMBOL_COST_BITS: f64 = 4.0 / 3.0 + 0.72;
/// About how many bits an escape takes beside those of its distance from the centre.
const ESCAPE_BITS: f64 = 2.0;

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
        for value in values.iter().step_by(stride) {
            histogram[bit_width(zigzag(value.wrapping_sub(centre))) as usize] += 1;
        }
        let all = values.len().div_ceil(stride);
        let finest = BULK_SHARES.map(|share| {
            let mut outside = all;
            let inside = |count: &usize| {
                outside -= count;
                outside <= all / share
            };
            let bulk = histogram.iter().position(inside).unwrap_or(0) as u32;
            bulk.saturating_sub(SYMBOL_BITS).min(SHIFT_MAX)
        });
        let plan = |finest: u32| {
            let mut counts = count_places(values, centre, finest, stride);
            let shifts = finest..=(finest + SHIFTS - 1).min(SHIFT_MAX);
            let plans = shifts.map(|shift| {
                if shift > finest {
                    halve(&mut counts);
                }
                let bits = estimate(&counts, &histogram, all, shift) * stride as f64;
                Plan { centre, shift, bits: bits as usize + shift as usize * values.len() }
            });
            plans.min_by_key(|plan| plan.bits)
        };
        let wide = plan(finest[0]);
        // Where many lie far outside, those are better escaped.
        let narrow = (finest[1] + SHIFTS / 2 < finest[0]).then(|| plan(finest[1])).flatten();
        [wide, narrow].into_iter().flatten().min_by_key(|plan| plan.bits)
    }

    /// Appends the block; `first` is the value before the prefix sum where `values` are deltas.
    fn write(&self, values: &[i64], first: Option<i64>, out: &mut Vec<u8>) {
        let start = out.len();
        put_u8(out, if first.is_some() { BlockCodec::SplitDelta } else { BlockCodec::Split } as u8);
        if let Some(first) = first {
            put_varint_signed(out, first);
        }
        let mut symbols: Vec<u8> =
            values.iter().map(|value| symbol(*value, self.centre, self.shift)).collect();
        // The table of codes begins with the least symbol that may be.
        let unused = symbols.iter().map(|symbol| symbol.wrapping_sub(1)).min().unwrap_or(0);
        let unused = if unused == u8::MAX { 0 } else { unused };
        symbols.iter_mut().for_each(|symbol| *symbol = symbol.saturating_sub(unused));
        let centre = self.centre.wrapping_add(i64::from(unused) << self.shift);
        put_u8(out, self.shift as u8);
        put_varint_signed(out, centre);
        put_symbols(&symbols, out);
        let mut low = [0u64; BLOCK_VALUES];
        for values in values.chunks(BLOCK_VALUES) {
            for (low, value) in low.iter_mut().zip(values) {
                *low = value.wrapping_sub(centre) as u64;
            }
            pack(&low[..values.len()], self.shift, out);
        }
        let escaped = values.iter().zip(&symbols).filter(|(_, symbol)| **symbol == ESCAPE);
        let escaped: Vec<i64> = escaped.map(|(value, _)| value.wrapping_sub(centre)).collect();
        if escaped.is_empty() {
            return;
        }
        let width = bit_width(escaped.iter().fold(0, |any, value| any | zigzag(*value)));
        let mut stream = Vec::new();
        IntegerEncoder::new(Profile::Hot).encode(&escaped, &mut stream);
        if stream.len() <= packed_len(escaped.len(), width) {
            out[start] =
                if first.is_some() { BlockCodec::SplitDeltaStream } else { BlockCodec::SplitStream } as u8;
            out.append(&mut stream);
        } else {
            put_u8(out, width as u8);
            let escaped: Vec<u64> = escaped.iter().map(|value| zigzag(*value)).collect();
            escaped.chunks(BLOCK_VALUES).for_each(|values| pack(values, width, out));
        }
    }
}

/// How many values lie at each place about the centre, every `stride`th counted.
fn count_places(values: &[i64], centre: i64, shift: u32, stride: usize) -> Vec<u32> {
    let mut counts = vec![0u32; 2 * REACH as usize];
    for value in values.iter().step_by(stride) {
        let place = (value.wrapping_sub(centre) >> shift).wrapping_add(REACH);
        if let Some(count) = usize::try_from(place).ok().and_then(|place| counts.get_mut(place)) {
            *count += 1;
        }
    }
    counts
}

/// Makes one place of two.
fn halve(counts: &mut Vec<u32>) {
    let half = counts.len() / 2;
    for i in 0..half {
        counts[i] = counts[2 * i] + counts[2 * i + 1];
    }
    counts.truncate(half);
}

/// About how many bits symbols and escapes of `all` values take: how many lie at each place about the centre, and how
/// many need each number of bits as a distance from it.
fn estimate(counts: &[u32], widths: &[usize; 65], all: usize, shift: u32) -> f64 {
    let centre = counts.len() / 2;
    let reach = centre.min(CENTRE as usize - 1);
    let (mut inside, mut symbols, mut sum) = (0u32, 0u32, 0f64);
    for count in counts[centre - reach..centre + reach].iter().filter(|count| **count > 0) {
        inside += count;
        symbols += 1;
        sum += f64::from(*count) * f64::from(*count).log2();
    }
    let escapes = all as f64 - f64::from(inside);
    let far = (shift as usize + SYMBOL_BITS as usize).min(64);
    let (count, bits) =
        (far..65).fold((0, 0), |(count, bits), width| (count + widths[width], bits + widths[width] * width));
    let mean = if count > 0 { bits as f64 / count as f64 } else { far as f64 };
    let escape = if escapes > 0.0 { escapes * (escapes.log2() - mean - ESCAPE_BITS) } else { 0.0 };
    let entropy = all as f64 * (all as f64).log2() - sum - escape;
    entropy + f64::from(symbols) * SYMBOL_COST_BITS
}

/// Whether a block of `codec` is in this form.
pub(super) fn writes(codec: BlockCodec) -> bool {
    use BlockCodec::{Split, SplitDelta, SplitDeltaStream, SplitStream};
    matches!(codec, Split | SplitDelta | SplitStream | SplitDeltaStream)
}

/// Appends the integers `rows` of `count` to `out`, behind the tag: low bits of other blocks are passed over. The caller
/// has checked `count` against a limit.
pub(crate) fn decode(
    cursor: &mut Cursor<'_>,
    count: usize,
    rows: Range<usize>,
    codec: BlockCodec,
    out: &mut Vec<i64>,
) -> Result<(), BytesError> {
    let deltas = matches!(codec, BlockCodec::SplitDelta | BlockCodec::SplitDeltaStream);
    let stream = matches!(codec, BlockCodec::SplitStream | BlockCodec::SplitDeltaStream);
    let first = if deltas { cursor.varint_signed()? } else { 0 };
    let shift = u32::from(cursor.u8()?);
    if shift > SHIFT_MAX {
        return Err(cursor.error("at most 56 low bits were expected"));
    }
    let centre = cursor.varint_signed()?;
    let mut symbols = Vec::new();
    read_compressed(cursor, count, &mut symbols)?;
    let start = out.len();
    let zero = centre.wrapping_sub(CENTRE << shift);
    // A sum needs all before it.
    let summed = if deltas { 0..rows.end } else { rows.clone() };
    out.reserve(summed.len());
    if shift == 0 {
        let symbols = &symbols[summed.clone()];
        wide(|| out.extend(symbols.iter().map(|symbol| zero.wrapping_add(i64::from(*symbol)))));
    } else {
        for (block, symbols) in symbols.chunks(BLOCK_VALUES).enumerate() {
            let wanted = integer::overlap(&summed, block * BLOCK_VALUES, symbols.len());
            let at = out.len();
            if wanted.len() == symbols.len() {
                unpack_onto(cursor, shift, symbols.len(), zero, out)?;
            } else {
                unpack_some_onto(cursor, shift, symbols.len(), wanted.clone(), zero, out)?;
            }
            wide(|| {
                for (value, symbol) in out[at..].iter_mut().zip(&symbols[wanted]) {
                    *value = value.wrapping_add(i64::from(*symbol) << shift);
                }
            });
        }
    }
    let escaped = escaped_rows(&symbols);
    if !escaped.is_empty() {
        let mut distances = Vec::with_capacity(escaped.len());
        if stream {
            integer::decode_packed(cursor, escaped.len(), &mut distances)?;
        } else {
            read_packed(cursor, escaped.len(), &mut distances)?;
        }
        for (row, distance) in escaped.into_iter().zip(distances).filter(|(row, _)| summed.contains(row)) {
            out[start + row - summed.start] = centre.wrapping_add(distance);
        }
    }
    if deltas {
        integrate_from(rows.start, first, &mut out[start..]);
        out.drain(start..start + rows.start);
    }
    Ok(())
}

/// As [`integrate`], of the values from `row` on; what stands before them is not looked at any more.
fn integrate_from(row: usize, first: i64, values: &mut [i64]) {
    let (before, values) = values.split_at_mut(row);
    let Some(opening) = before.first().copied() else { return integrate(first, values) };
    // Additions that do not wait for each other; the order does not matter to integers that wrap around.
    let sum = wide(|| before.iter().fold(0i64, |sum, value| sum.wrapping_add(*value)));
    let sum = first.wrapping_add(sum.wrapping_sub(opening));
    let value = sum.wrapping_add(values.first().copied().unwrap_or(0));
    integrate(value, values);
}

/// The rows that are escaped, which most often are few.
fn escaped_rows(symbols: &[u8]) -> Vec<usize> {
    const TOGETHER: usize = 64;
    let (together, rest) = symbols.as_chunks::<TOGETHER>();
    let mut rows = Vec::new();
    let mut add = |from: usize, symbols: &[u8]| {
        let escaped = symbols.iter().enumerate().filter(|(_, symbol)| **symbol == ESCAPE);
        rows.extend(escaped.map(|(row, _)| from + row));
    };
    wide(|| {
        for (at, symbols) in together.iter().enumerate() {
            // All of them at once: a search that may end early is not vectorised.
            if symbols.iter().fold(false, |any, symbol| any | (*symbol == ESCAPE)) {
                add(at * TOGETHER, symbols);
            }
        }
    });
    add(symbols.len() - rest.len(), rest);
    rows
}

/// Appends the `count` distances of escaped values, all of one width.
fn read_packed(cursor: &mut Cursor<'_>, count: usize, out: &mut Vec<i64>) -> Result<(), BytesError> {
    let width = u32::from(cursor.u8()?);
    let mut block = [0u64; BLOCK_VALUES];
    let mut left = count;
    while left > 0 {
        let block = &mut block[..left.min(BLOCK_VALUES)];
        unpack(cursor, width, block)?;
        out.extend(block.iter().map(|distance| unzigzag(*distance)));
        left -= block.len();
    }
    Ok(())
}
