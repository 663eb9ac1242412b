//! Stamps of a page as differences from those of a sibling, which the same scan made.

use super::integer::{self, IntegerEncoder};
use super::time::unit::ExactDivisor;
use super::wide::wide;
use super::{Profile, trial_of};
use disk::{BytesError, Cursor, put_u8, put_varint, put_varint_signed};
use std::ops::Range;

/// Rows of the sibling stand one behind the other.
const CONTIGUOUS: u8 = 0;
/// An integer stream says how far each row lies behind the one that would be next.
const STEPPED: u8 = 1;
/// Pages of which more than one row in so many is not the next get their steps entropy-coded.
const STEP_SHARE: usize = 16;
/// Rows whose distance from the sibling is looked at to find the lag.
const LAG_ROWS: usize = 65;

/// What all pages of such a time column have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SiblingModel {
    /// Every stamp is the chunk's first plus a multiple of this many ns.
    unit: u64,
    /// About how many ns a stamp lies behind that of the sibling.
    lag: i64,
}

impl SiblingModel {
    /// The model for stamps near those of a sibling; `None` where there are none of either.
    pub(crate) fn fit(times: &[i64], sibling: &[i64], unit: u64) -> Option<SiblingModel> {
        let mut lags = distances(times, LAG_ROWS, |time| nearest(sibling, time));
        lags.sort_unstable();
        let median = *lags.get(lags.len() / 2)?;
        // Stamps of a coarse unit were rounded down.
        Some(SiblingModel { unit, lag: median.wrapping_add((unit / 2) as i64) })
    }

    /// The row of the sibling nearest to each stamp; they never decrease.
    pub(crate) fn rows(&self, times: &[i64], sibling: &[i64]) -> Vec<usize> {
        let half = (self.unit / 2) as i64;
        let target = |time: i64| time.saturating_sub(self.lag.wrapping_sub(half));
        let mut row = times
            .first()
            .map_or(0, |time| sibling.partition_point(|stamp| *stamp < target(*time)).saturating_sub(1));
        let rows = times.iter().map(|time| {
            let target = target(*time);
            while sibling
                .get(row + 1)
                .is_some_and(|next| next.abs_diff(target) <= sibling[row].abs_diff(target))
            {
                row += 1;
            }
            row
        });
        rows.collect()
    }

    /// About how many bytes the first stamps take; compare with [`super::time::TimeModel::trial_bytes`].
    pub(crate) fn trial_bytes(&self, times: &[i64], sibling: &[i64]) -> usize {
        let trial = &times[..trial_of(times.len())];
        let rows = self.rows(trial, sibling);
        let mut integers = IntegerEncoder::counting();
        let mut out = Vec::new();
        self.encode_page(trial, times[0], &rows, sibling, &mut integers, &mut out);
        out.len() + integers.counted_bytes()
    }

    /// Appends one page. `first` is the chunk's first stamp, `rows` are the rows of `sibling` that the stamps are
    /// differences from.
    pub(crate) fn encode_page(
        &self,
        times: &[i64],
        first: i64,
        rows: &[usize],
        sibling: &[i64],
        integers: &mut IntegerEncoder,
        out: &mut Vec<u8>,
    ) {
        let step = |pair: &[usize]| pair[1] as i64 - pair[0] as i64 - 1;
        let stepped = rows.windows(2).filter(|pair| step(pair) != 0).count();
        put_u8(out, if stepped == 0 { CONTIGUOUS } else { STEPPED });
        if stepped > 0 {
            let steps: Vec<i64> = std::iter::once(0).chain(rows.windows(2).map(step)).collect();
            let irregular = stepped > rows.len() / STEP_SHARE;
            let profile = if irregular { integers.profile() } else { Profile::Hot };
            IntegerEncoder::new(profile).encode(&steps, out);
        }
        let (exact, floor) = (ExactDivisor::new(self.unit), FloorDivisor::new(self.unit));
        let units = |time: i64| exact.divide(time.wrapping_sub(first) as u64) as i64;
        let differences: Vec<i64> = times
            .iter()
            .zip(rows)
            .map(|(time, row)| units(*time).wrapping_sub(floor.divide(self.distance(sibling[*row], first))))
            .collect();
        integers.encode(&differences, out);
    }

    /// Where a stamp is expected, behind the chunk's first.
    #[inline(always)]
    fn distance(&self, sibling: i64, first: i64) -> i64 {
        sibling.wrapping_add(self.lag).wrapping_sub(first)
    }

    /// Reads one page that begins with the stamp `page_first`, of a chunk that begins with `first`; `sibling` are the
    /// sibling's stamps from the row nearest to the page's first on.
    pub(crate) fn decode_page(
        &self,
        cursor: &mut Cursor<'_>,
        (first, page_first): (i64, i64),
        count: usize,
        sibling: &[i64],
        out: &mut Vec<i64>,
    ) -> Result<(), BytesError> {
        let stepped;
        let sibling = match cursor.u8()? {
            CONTIGUOUS => sibling,
            STEPPED => {
                stepped = read_stepped(cursor, count, sibling)?;
                &stepped
            }
            _ => return Err(cursor.error("an unknown order of a sibling's rows")),
        };
        if sibling.len() != count {
            return Err(cursor.error("a sibling has fewer or more rows than the page"));
        }
        let start = out.len();
        integer::decode(cursor, count, out)?;
        let page = &mut out[start..];
        if self.unit == 1 {
            wide(|| {
                for (time, near) in page.iter_mut().zip(sibling) {
                    *time = time.wrapping_add(*near).wrapping_add(self.lag);
                }
            });
        } else {
            let floor = FloorDivisor::new(self.unit);
            for (time, near) in page.iter_mut().zip(sibling) {
                let units = floor.divide(self.distance(*near, first)).wrapping_add(*time);
                *time = first.wrapping_add(units.wrapping_mul(self.unit as i64));
            }
        }
        let sorted = wide(|| page.windows(2).fold(true, |sorted, pair| sorted & (pair[0] <= pair[1])));
        if page.first() != Some(&page_first) || !sorted {
            return Err(cursor.error("stamps of a page decrease or do not begin with its first time"));
        }
        Ok(())
    }

    /// Appends unit and lag.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.unit);
        put_varint_signed(out, self.lag);
    }

    /// Reads unit and lag.
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<SiblingModel, BytesError> {
        let model = SiblingModel { unit: cursor.varint()?, lag: cursor.varint_signed()? };
        if model.unit == 0 { Err(cursor.error("a unit of 0 ns")) } else { Ok(model) }
    }
}

/// The sibling's stamp of each of `count` samples.
fn read_stepped(cursor: &mut Cursor<'_>, count: usize, sibling: &[i64]) -> Result<Vec<i64>, BytesError> {
    let mut stamps = Vec::with_capacity(count);
    integer::decode(cursor, count, &mut stamps)?;
    let mut next = 0i64;
    for stamp in &mut stamps {
        let row = next.wrapping_add(*stamp);
        let near = usize::try_from(row).ok().and_then(|row| sibling.get(row));
        *stamp = *near.ok_or_else(|| cursor.error("a row that the sibling does not have"))?;
        next = row.wrapping_add(1);
    }
    Ok(stamps)
}

/// How far `rows_max` of the stamps, evenly chosen, lie behind those that `near` finds for them.
fn distances(times: &[i64], rows_max: usize, near: impl Fn(i64) -> Option<i64>) -> Vec<i64> {
    let step = times.len().div_ceil(rows_max).max(1);
    let of = |time: &i64| near(*time).map(|near| time.wrapping_sub(near));
    times.iter().skip(step / 2).step_by(step).filter_map(of).collect()
}

/// The sibling's stamp nearest to `time`.
fn nearest(sibling: &[i64], time: i64) -> Option<i64> {
    let after = sibling.partition_point(|stamp| *stamp < time);
    let around = &sibling[after.saturating_sub(1)..sibling.len().min(after + 1)];
    around.iter().copied().min_by_key(|stamp| stamp.abs_diff(time))
}

/// How far apart the middle half of the distances of a few stamps from those of a sibling lies: about how well the
/// sibling tells them, at the price of a few searches. The sibling's stamps come in pieces that follow one another.
pub(crate) fn spread(times: &[i64], pieces: &[&[i64]]) -> Option<u64> {
    const ROWS: usize = 17;
    let near = |time: i64| {
        let piece = pieces.iter().find(|piece| piece.last().is_some_and(|last| *last >= time));
        nearest(piece.or(pieces.last())?, time)
    };
    let mut distances = distances(times, ROWS, near);
    distances.sort_unstable();
    let quarter = distances.len() / 4;
    let (low, high) = (distances.get(quarter)?, distances.get(distances.len() - 1 - quarter)?);
    Some(low.abs_diff(*high))
}

/// The sibling's rows that pages need: from the first one's to the last one's.
pub(crate) fn window(rows: &[usize]) -> Range<usize> {
    rows.first().copied().unwrap_or(0)..rows.last().map_or(0, |last| last + 1)
}

/// Division that rounds down, by multiplication.
#[derive(Clone, Copy)]
struct FloorDivisor {
    divisor: u64,
    /// 2^64 / divisor, rounded down: products with it are too small by less than one.
    reciprocal: u64,
}

impl FloorDivisor {
    /// `divisor` is not 0.
    fn new(divisor: u64) -> FloorDivisor {
        FloorDivisor { divisor, reciprocal: u64::MAX / divisor }
    }

    #[inline(always)]
    fn divide(self, value: i64) -> i64 {
        // Of a negative value the complement rounds up.
        let sign = value >> 63;
        let magnitude = (value ^ sign) as u64;
        let about = ((u128::from(magnitude) * u128::from(self.reciprocal)) >> 64) as u64;
        let rest = magnitude.wrapping_sub(about.wrapping_mul(self.divisor));
        (about + u64::from(rest >= self.divisor)) as i64 ^ sign
    }
}

#[cfg(test)]
mod tests;
