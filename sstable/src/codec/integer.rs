//! Streams of signed integers in blocks: frames of bits, patches for outliers, deltas, runs.
//!
//! In the cold profile a stream is one entropy-coded block where that is smaller. All arithmetic wraps, so
//! every i64 (and every u64 seen as one) survives.

mod decode;

use super::pack::{BLOCK_VALUES, pack};
use super::wide::wide;
use super::{Profile, pco, split};
use crate::format::BlockCodec;
use disk::{put_u8, put_varint, put_varint_signed};

pub(crate) use decode::{Seekable, decode, decode_rows, overlap};
pub(super) use decode::{decode_packed, integrate};

/// Bits of a position inside a block.
const POSITION_BITS: u32 = 10;
const _: () = assert!(1 << POSITION_BITS == BLOCK_VALUES);
/// Values looked at together for outliers.
const ROW_VALUES: usize = 16;
/// Blocks for which the form that lost is not tried again.
const TRUST_BLOCKS: u8 = 3;

/// Shorter blocks try both forms.
const TRUSTED_VALUES_MIN: usize = 64;
/// Bits of tag and width, and of what a patched block has besides.
const FRAME_BITS: usize = 16;
const PATCHED_BITS: usize = 40;
/// A form wins clearly with more than one part in so many.
const CLEAR_SHARE: usize = 8;
/// Bits that a run takes at least.
const RUN_BITS_MIN: usize = 16;

/// Most bytes of a number as a varint.
const VARINT_BYTES_MAX: usize = 10;

/// Shorter streams are not entropy-coded.
const DENSE_VALUES_MIN: usize = 64;
/// An entropy-coded stream, slower to decode, has to be smaller by more than one part in so many.
const DENSE_GAIN: usize = 64;
/// Streams of more bytes than this per value are tried with pco.
const PCO_VALUE_BYTES_MIN: usize = 4;

/// Writes integer streams; remembers which form won last.
pub(crate) struct IntegerEncoder {
    profile: Profile,
    deltas_won: bool,
    trust: u8,
    /// Bits counted so far, where nothing is written.
    counted: Option<usize>,
    /// Room for the differences of a block, and for its offsets.
    deltas: Vec<i64>,
    offsets: Vec<u64>,
}

/// How a block will be packed, with its size.
struct Plan {
    /// Patched: the centre of the symmetric range; else the least value.
    base: i64,
    width: u32,
    /// About how many values lie outside the range, with the bits that the widest of them needs.
    patches: Option<(usize, u32)>,
    bits: usize,
}

pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(super) fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

pub(super) fn bit_width(value: u64) -> u32 {
    64 - value.leading_zeros()
}

impl IntegerEncoder {
    /// For streams that follow one another in a column.
    pub(crate) fn new(profile: Profile) -> IntegerEncoder {
        IntegerEncoder {
            profile,
            deltas_won: false,
            trust: 0,
            counted: None,
            deltas: Vec::new(),
            offsets: Vec::new(),
        }
    }

    /// As [`IntegerEncoder::new`], where it is known whether differences won in streams like these.
    pub(crate) fn expecting(profile: Profile, deltas_won: bool) -> IntegerEncoder {
        IntegerEncoder { deltas_won, trust: TRUST_BLOCKS, ..IntegerEncoder::new(profile) }
    }

    /// Whether differences won in the last block.
    pub(crate) fn deltas_won(&self) -> bool {
        self.deltas_won
    }

    /// Counts what the hot profile would write, and writes nothing.
    pub(crate) fn counting() -> IntegerEncoder {
        IntegerEncoder { counted: Some(0), ..IntegerEncoder::new(Profile::Hot) }
    }

    /// Bytes that were counted.
    pub(crate) fn counted_bytes(&self) -> usize {
        self.counted.unwrap_or(0).div_ceil(8)
    }

    /// Expects values like those that `trial` has counted.
    pub(crate) fn learn_from(&mut self, trial: &IntegerEncoder) {
        (self.deltas_won, self.trust) = (trial.deltas_won, trial.trust);
    }

    /// For whom the streams are written.
    pub(crate) fn profile(&self) -> Profile {
        self.profile
    }

    /// Appends all `values`; the reader must know their number.
    pub(crate) fn encode(&mut self, values: &[i64], out: &mut Vec<u8>) {
        let start = out.len();
        for block in values.chunks(BLOCK_VALUES) {
            self.encode_block(block, out);
        }
        if self.profile == Profile::Cold && values.len() >= DENSE_VALUES_MIN {
            shrink(values, start, out);
        }
    }

    fn encode_block(&mut self, values: &[i64], out: &mut Vec<u8>) {
        let mut runs = 1;
        let mut deltas = std::mem::take(&mut self.deltas);
        deltas.clear();
        // That of the first costs no width and no patch; the reader takes it off again.
        deltas.push(values.get(1).map_or(0, |second| second.wrapping_sub(values[0])));
        wide(|| {
            deltas.extend(values.windows(2).map(|pair| {
                let delta = pair[1].wrapping_sub(pair[0]);
                runs += usize::from(delta != 0);
                delta
            }));
        });
        let trusted = self.trust > 0 && values.len() >= TRUSTED_VALUES_MIN;
        let frame = (!trusted || !self.deltas_won).then(|| Plan::of(values));
        let delta = (!trusted || self.deltas_won).then(|| Plan::of(&deltas));
        let cost = |plan: &Option<Plan>| plan.as_ref().map_or(usize::MAX, |plan| plan.bits);
        let (frame_bits, delta_bits) = (cost(&frame), cost(&delta).saturating_add(16));
        self.deltas_won = delta_bits < frame_bits;
        let bits = frame_bits.min(delta_bits);
        // Where the other form is nearly as good, it may be better in the next block.
        let clear = frame_bits.abs_diff(delta_bits) > bits / CLEAR_SHARE;
        self.trust = if trusted { self.trust - 1 } else { if clear { TRUST_BLOCKS } else { 0 } };
        if let Some(counted) = &mut self.counted {
            *counted += if runs * RUN_BITS_MIN < bits { bits.min(run_bits(values)) } else { bits };
        } else if runs * RUN_BITS_MIN >= bits || !encode_runs(values, bits, out) {
            match (frame, delta) {
                (_, Some(plan)) if self.deltas_won => {
                    plan.write(&deltas, Some(values[0]), &mut self.offsets, out);
                }
                (Some(plan), _) | (None, Some(plan)) => plan.write(values, None, &mut self.offsets, out),
                (None, None) => {}
            }
        }
        self.deltas = deltas;
    }
}

/// Replaces the stream that begins at `start` by an entropy-coded one where that is smaller.
fn shrink(values: &[i64], start: usize, out: &mut Vec<u8>) {
    let replace = |dense: &[u8], out: &mut Vec<u8>| {
        if dense.len() + dense.len() / DENSE_GAIN < out.len() - start {
            out.truncate(start);
            out.extend_from_slice(dense);
        }
    };
    if let Some(dense) = split::encode(values) {
        replace(&dense, out);
    }
    let mut dense = vec![BlockCodec::Pco as u8];
    if out.len() - start > values.len() * PCO_VALUE_BYTES_MIN && pco::encode(values, &mut dense) {
        replace(&dense, out);
    }
}

/// Bits of a number as a varint.
fn varint_bits(number: u64) -> usize {
    8 * bit_width(number | 1).div_ceil(7) as usize
}

/// Bits of the values as runs.
fn run_bits(values: &[i64]) -> usize {
    let mut before = 0i64;
    let run_bits = |run: &[i64]| {
        let step = run[0].wrapping_sub(std::mem::replace(&mut before, run[0]));
        varint_bits(run.len() as u64) + varint_bits(zigzag(step))
    };
    8 + values.chunk_by(|a, b| a == b).map(run_bits).sum::<usize>()
}

/// Writes runs unless they need more than `bits_max`; says whether it did.
fn encode_runs(values: &[i64], bits_max: usize, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    // Room for what is too much as well: growing costs more than the runs.
    out.reserve(bits_max / 8 + 2 * VARINT_BYTES_MAX);
    put_u8(out, BlockCodec::Runs as u8);
    let mut before = 0i64;
    for run in values.chunk_by(|a, b| a == b) {
        put_varint(out, run.len() as u64);
        put_varint_signed(out, run[0].wrapping_sub(before));
        before = run[0];
        if (out.len() - start) * 8 > bits_max {
            out.truncate(start);
            return false;
        }
    }
    true
}

impl Plan {
    fn of(values: &[i64]) -> Plan {
        let (least, greatest) = wide(|| {
            let (mut least, mut greatest) = (i64::MAX, i64::MIN);
            for value in values {
                least = least.min(*value);
                greatest = greatest.max(*value);
            }
            (least, greatest)
        });
        let width = bit_width(greatest.wrapping_sub(least) as u64);
        let bits = FRAME_BITS + varint_bits(zigzag(least)) + width as usize * values.len();
        let whole = Plan { base: least, width, patches: None, bits };
        // From 2^63 on distances wrap: the ends of the range no longer bound them.
        if !(2..64).contains(&width) || values.len() < 8 {
            return whole;
        }
        let patched = Plan::patched(values, width, least, greatest);
        if patched.bits < whole.bits { patched } else { whole }
    }

    /// The number of patches is estimated from a part of the values.
    fn patched(values: &[i64], whole_width: u32, least: i64, greatest: i64) -> Plan {
        let centre = robust_mean(values);
        let bits = |value: i64| bit_width(zigzag(value.wrapping_sub(centre)));
        let widest = bits(least).max(bits(greatest));
        let stride = stride_of(values);
        let mut histogram = [0usize; 65];
        for value in values.iter().step_by(stride) {
            histogram[bits(*value) as usize] += stride;
        }
        let mut best = Plan { base: centre, width: 63, patches: None, bits: usize::MAX };
        let (mut outside, head) = (0, PATCHED_BITS + varint_bits(zigzag(centre)));
        for width in (0..=widest.min(whole_width).min(63)).rev() {
            outside += if width == widest { 0 } else { histogram[width as usize + 1] };
            let bits = head + width as usize * values.len() + outside * (POSITION_BITS + widest) as usize;
            if bits < best.bits {
                best = Plan { base: centre, width, patches: Some((outside, widest)), bits };
            }
        }
        best
    }

    /// Writes the block; `first` is the value before the prefix sum where `values` are deltas. `offsets`: room.
    fn write(&self, values: &[i64], first: Option<i64>, offsets: &mut Vec<u64>, out: &mut Vec<u8>) {
        let codec = match (self.patches.is_some(), first.is_some()) {
            (false, false) => BlockCodec::Frame,
            (false, true) => BlockCodec::FrameDelta,
            (true, false) => BlockCodec::Patched,
            (true, true) => BlockCodec::PatchedDelta,
        };
        put_u8(out, codec as u8);
        if let Some(first) = first {
            put_varint_signed(out, first);
        }
        put_u8(out, self.width as u8);
        put_varint_signed(out, self.base);
        let zero = match self.patches {
            Some(_) => self.base.wrapping_sub(half_range(self.width)),
            None => self.base,
        };
        offsets.clear();
        wide(|| offsets.extend(values.iter().map(|value| value.wrapping_sub(zero) as u64)));
        let Some((count, patch_width)) = self.patches else { return pack(offsets, self.width, out) };
        let (mut positions, mut outliers) = (Vec::with_capacity(count), Vec::with_capacity(count));
        // Most rows have no outlier: they are looked at as a whole.
        for (row, (offsets, values)) in
            offsets.chunks_mut(ROW_VALUES).zip(values.chunks(ROW_VALUES)).enumerate()
        {
            if offsets.iter().fold(0, |any, offset| any | *offset) >> self.width == 0 {
                continue;
            }
            for (i, (offset, value)) in offsets.iter_mut().zip(values).enumerate() {
                if *offset >> self.width != 0 {
                    positions.push((row * ROW_VALUES + i) as u64);
                    outliers.push(zigzag(value.wrapping_sub(self.base)));
                    *offset = 0;
                }
            }
        }
        pack(offsets, self.width, out);
        put_varint(out, positions.len() as u64);
        put_u8(out, patch_width as u8);
        pack(&positions, POSITION_BITS, out);
        pack(&outliers, patch_width, out);
    }
}

/// Every how many values are looked at for an estimate: an odd number meets every phase of a signal with an even
/// period.
pub(super) fn stride_of(values: &[i64]) -> usize {
    if values.len() > 256 { 3 } else { 1 }
}

/// Half of the symmetric range that `width` bits cover.
fn half_range(width: u32) -> i64 {
    // A width that is too large is refused where it is unpacked.
    width.checked_sub(1).and_then(|shift| 1i64.checked_shl(shift)).unwrap_or(0)
}

/// The mean of the values near the median of a sample: outliers do not move it.
pub(super) fn robust_mean(values: &[i64]) -> i64 {
    let mut sample = [0i64; 33];
    let step = (values.len() / sample.len()).max(1);
    let len = sample.len().min(values.len());
    for (to, from) in sample.iter_mut().zip(values.iter().step_by(step)) {
        *to = *from;
    }
    let sample = &mut sample[..len];
    sample.sort_unstable();
    let median = sample[len / 2];
    let spread = sample[len * 3 / 4].wrapping_sub(sample[len / 4]) as u64;
    if spread >= 1 << 48 {
        return median;
    }
    let reach = (spread * 4 + 8) as i64;
    let (mut sum, mut count) = (0i64, 0i64);
    for value in values.iter().step_by(stride_of(values)) {
        let deviation = value.wrapping_sub(median);
        let near = deviation.unsigned_abs() <= reach as u64;
        sum += if near { deviation } else { 0 };
        count += i64::from(near);
    }
    median.wrapping_add(sum / count.max(1))
}

#[cfg(test)]
mod tests;
