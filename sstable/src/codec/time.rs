//! Stamps of a page: multiples of a unit, near a periodic grid where there is one.

pub(super) mod unit;

use super::integer::{self, IntegerEncoder, Seekable};
use super::trial_of;
use super::wide::wide;
use crate::format::ColumnCodec;
use disk::{BytesError, Cursor, put_u8, put_varint, put_varint_signed};
use sample::TimeRange;
use std::ops::Range;
use unit::{ExactDivisor, common_unit};

/// Most bits of the period with its fraction, so that 1024 periods stay inside 63 bits.
const PERIOD_BITS: u32 = 52;
const FRACTION_BITS_MAX: u32 = 16;
/// Points through which the period is refined.
const REFINING_POINTS_MAX: usize = 128;
const DISORDER: &str = "stamps of a page decrease or do not begin with its first time";
/// Pages whose share of slips is larger than one in this many are not near a grid.
const SLIP_SHARE: usize = 16;
/// Pairs of stamps that are looked at for a larger unit.
const PROBES: usize = 16;
/// The least unit in ns from which some may stray.
const UNIT_MIN: u64 = 1000;
/// Of so many stamps one may stray.
const STRAY_SHARE: usize = 64;

/// What all pages of a time column have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TimeModel {
    /// Every stamp is the first plus a multiple of this many ns.
    unit: u64,
    phase: Option<Phase>,
    grid: Option<Grid>,
}

/// All stamps but a few strays are multiples of a larger unit behind `offset`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Phase {
    unit: u64,
    offset: u64,
}

/// Sample k of a page lies near `k * period / 2^fraction` units behind the page's first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Grid {
    period: u64,
    fraction: u32,
}

impl TimeModel {
    /// The model for the stamps of a chunk, which never decrease.
    pub(crate) fn fit(times: &[i64], page_samples: usize, integers: &mut IntegerEncoder) -> TimeModel {
        let unit = common_unit(times);
        let steps = TimeModel { unit, phase: Phase::of(times, unit), grid: None };
        let Some(grid) = steps.fit_grid(times) else { return steps };
        let on_grid = TimeModel { grid: Some(grid), ..steps };
        let page = &times[..page_samples.min(trial_of(times.len()))];
        let cost = |model: TimeModel| {
            let (mut out, mut trial) = (Vec::new(), IntegerEncoder::counting());
            let fits = model.encode_page(page, &mut trial, &mut out);
            (if fits { out.len() + trial.counted_bytes() } else { usize::MAX }, trial)
        };
        let (grid, plain) = (cost(on_grid), cost(steps));
        let (model, trial) = if grid.0 < plain.0 { (on_grid, grid.1) } else { (steps, plain.1) };
        integers.learn_from(&trial);
        model
    }

    /// Whether all stamps are multiples of the unit behind the first.
    pub(crate) fn suits(&self, times: &[i64]) -> bool {
        let divisor = ExactDivisor::new(self.unit);
        let first = times.first().copied().unwrap_or(0);
        // All of them at once: a search that may end early is not vectorised.
        let rest = |rest, time: &i64| rest | divisor.rest(time.wrapping_sub(first) as u64);
        self.phase.is_none() && (self.unit == 1 || wide(|| times.iter().fold(0, rest)) == 0)
    }

    /// Stamps in units behind the first.
    fn units(&self, times: &[i64]) -> Vec<i64> {
        let first = times.first().copied().unwrap_or(0);
        if let Some(phase) = self.phase {
            let origin = phase.origin(first);
            return times.iter().map(|time| (time.wrapping_sub(origin) as u64 / phase.unit) as i64).collect();
        }
        let divisor = ExactDivisor::new(self.unit);
        wide(|| times.iter().map(|time| divisor.divide(time.wrapping_sub(first) as u64) as i64).collect())
    }

    fn fit_grid(&self, times: &[i64]) -> Option<Grid> {
        let units = self.units(times);
        if units.len() < 8 || *units.last()? <= 0 {
            return None;
        }
        let step = (units.len() / 128).max(1);
        let mut sample: Vec<i64> = units.windows(2).step_by(step).map(|pair| pair[1] - pair[0]).collect();
        sample.sort_unstable();
        let (median, spread) =
            (sample[sample.len() / 2], sample[sample.len() * 3 / 4] - sample[sample.len() / 4]);
        if median <= 0 || spread > median / 4 {
            return None;
        }
        let near = |delta: i64| (delta - median).unsigned_abs() <= median as u64 / 2;
        let (mut sum, mut count) = (0u64, 0u64);
        for pair in units.windows(2) {
            let delta = pair[1] - pair[0];
            let weight = u64::from(near(delta));
            sum += delta as u64 * weight;
            count += weight;
        }
        let fraction = FRACTION_BITS_MAX.min(PERIOD_BITS.checked_sub(64 - median.leading_zeros() + 1)?);
        let period = u64::try_from((u128::from(sum) << fraction) / u128::from(count.max(1))).ok()?;
        let grid = Grid { period, fraction };
        Some(grid.refined(&units))
    }

    /// Appends one page; `false` (and nothing of use appended) when the page is too far from the grid.
    pub(crate) fn encode_page(
        &self,
        times: &[i64],
        integers: &mut IntegerEncoder,
        out: &mut Vec<u8>,
    ) -> bool {
        let mut units = self.units(times);
        if let Some(phase) = self.phase {
            phase.put_strays(times, out);
        }
        if let Some(grid) = self.grid {
            let slips = grid.slips(&units);
            if slips.len() > 2 + times.len() / SLIP_SHARE {
                return false;
            }
            put_varint(out, slips.len() as u64);
            let mut before = 0;
            for (at, ticks) in &slips {
                put_varint(out, (at - before) as u64);
                put_varint_signed(out, *ticks);
                before = *at;
            }
            subtract_grid(grid, &slips, &mut units);
        }
        integers.encode(&units, out);
        true
    }

    /// Reads one page that begins with the stamp `first`.
    pub(crate) fn decode_page(
        &self,
        cursor: &mut Cursor<'_>,
        first: i64,
        count: usize,
        out: &mut Vec<i64>,
    ) -> Result<(), BytesError> {
        self.decode_rows(cursor, first, count, 0..count, out)
    }

    /// Appends the stamps `rows` of a page of `count` that begins with `first`.
    pub(crate) fn decode_rows(
        &self,
        cursor: &mut Cursor<'_>,
        first: i64,
        count: usize,
        rows: Range<usize>,
        out: &mut Vec<i64>,
    ) -> Result<(), BytesError> {
        let start = out.len();
        let strays = if self.phase.is_some() { read_strays(cursor, count)? } else { Vec::new() };
        let (origin, unit) = self.phase.map_or((first, self.unit), |phase| (phase.origin(first), phase.unit));
        let slips = if self.grid.is_some() { read_slips(cursor, count)? } else { Vec::new() };
        integer::decode_rows(cursor, count, rows.clone(), out)?;
        let page = &mut out[start..];
        match self.grid {
            Some(grid) => {
                let (mut from, mut slip) = (0, 0i64);
                for (to, ticks) in slips.into_iter().chain([(count, 0)]) {
                    let wanted = integer::overlap(&rows, from, to - from);
                    if !wanted.is_empty() {
                        let at = from + wanted.start;
                        let page = &mut page[at - rows.start..][..wanted.len()];
                        wide(|| grid.stamp((origin, unit), at, slip, page));
                    }
                    from = to;
                    slip = slip.wrapping_add(ticks);
                }
            }
            None => wide(|| {
                for time in &mut *page {
                    *time = origin.wrapping_add(time.wrapping_mul(unit as i64));
                }
            }),
        }
        for (at, more) in strays.into_iter().filter(|(at, _)| rows.contains(at)) {
            page[at - rows.start] = page[at - rows.start].wrapping_add(more as i64);
        }
        check_page(cursor, (rows.start == 0).then_some(first), page)
    }

    /// The samples of a page that lie in `range`, and their stamps; the others are not unpacked where the block
    /// allows it.
    pub(crate) fn decode_within(
        &self,
        cursor: &mut Cursor<'_>,
        first: i64,
        count: usize,
        range: TimeRange,
    ) -> Result<(Range<usize>, Vec<i64>), BytesError> {
        let start = cursor.clone();
        let slips = if self.grid.is_some() { read_slips(cursor, count)? } else { Vec::new() };
        let block = if self.phase.is_none() { Seekable::read(cursor, count)? } else { None };
        let Some(block) = block else {
            *cursor = start;
            let mut times = Vec::with_capacity(count);
            self.decode_page(cursor, first, count, &mut times)?;
            return Ok(within(times, range));
        };
        let at = |k: usize, deviation: i64| {
            let ticks = match self.grid {
                Some(grid) => {
                    let slipped = slips.iter().take_while(|(at, _)| *at <= k);
                    let slip = slipped.fold(0i64, |slip, (_, ticks)| slip.wrapping_add(*ticks));
                    let position = (k as u64).wrapping_mul(grid.period) >> grid.fraction;
                    deviation.wrapping_add(position as i64).wrapping_add(slip)
                }
                None => deviation,
            };
            first.wrapping_add(ticks.wrapping_mul(self.unit as i64))
        };
        let stamp = |k: usize| at(k, block.get(k));
        if stamp(0) != first {
            return Err(cursor.error(DISORDER));
        }
        let from = first_from(count, |k| stamp(k) >= range.from.0);
        let to = from + first_from(count - from, |k| stamp(from + k) >= range.to.0);
        let mut times = Vec::with_capacity(to - from + 32);
        block.get_some(from..to, &mut times);
        times.iter_mut().zip(from..).for_each(|(time, k)| *time = at(k, *time));
        if !times.is_sorted() || times.first().is_some_and(|first| *first < range.from.0) {
            return Err(cursor.error(DISORDER));
        }
        Ok((from..to, times))
    }

    /// The same unit without a grid: every page can be written so.
    pub(crate) fn without_grid(self) -> TimeModel {
        TimeModel { grid: None, ..self }
    }

    /// Every stamp is the first plus a multiple of this many ns.
    pub(crate) fn unit(&self) -> u64 {
        self.unit
    }

    /// About how many bytes the first stamps take.
    pub(crate) fn trial_bytes(&self, times: &[i64]) -> usize {
        let (mut out, mut trial) = (Vec::new(), IntegerEncoder::counting());
        let fits = self.encode_page(&times[..trial_of(times.len())], &mut trial, &mut out);
        if fits { out.len() + trial.counted_bytes() } else { self.without_grid().trial_bytes(times) }
    }

    /// Codec of the column.
    pub(crate) fn codec(&self) -> ColumnCodec {
        match (self.grid, self.phase) {
            (Some(_), None) => ColumnCodec::Grid,
            (None, None) => ColumnCodec::Steps,
            (Some(_), Some(_)) => ColumnCodec::GridStrays,
            (None, Some(_)) => ColumnCodec::StepsStrays,
        }
    }

    /// Appends the parameters of the column.
    pub(crate) fn put_parameters(&self, out: &mut Vec<u8>) {
        put_varint(out, self.phase.map_or(self.unit, |phase| phase.unit));
        if let Some(phase) = self.phase {
            put_varint(out, phase.offset);
        }
        if let Some(grid) = self.grid {
            put_varint(out, grid.period);
            put_u8(out, grid.fraction as u8);
        }
    }

    /// Reads the parameters of a column of `codec`.
    pub(crate) fn parse(codec: ColumnCodec, cursor: &mut Cursor<'_>) -> Result<TimeModel, BytesError> {
        let unit = cursor.varint()?;
        let phase = match codec {
            ColumnCodec::GridStrays | ColumnCodec::StepsStrays => {
                Some(Phase { unit, offset: cursor.varint()? })
            }
            _ => None,
        };
        let grid = match codec {
            ColumnCodec::Grid | ColumnCodec::GridStrays => {
                Some(Grid { period: cursor.varint()?, fraction: u32::from(cursor.u8()?) })
            }
            ColumnCodec::Steps | ColumnCodec::StepsStrays => None,
            _ => return Err(cursor.error("a codec that is not one of stamps")),
        };
        if unit == 0 || grid.is_some_and(|grid| grid.fraction > FRACTION_BITS_MAX) {
            return Err(cursor.error("a unit of 0 ns or a fraction above 16 bits"));
        }
        if phase.is_some_and(|phase| phase.offset >= unit || unit > i64::MAX as u64) {
            return Err(cursor.error("a phase that is not below its unit"));
        }
        Ok(TimeModel { unit, phase, grid })
    }
}

/// Which of the stamps of a page lie in `range`, and they alone.
pub(crate) fn within(mut times: Vec<i64>, range: TimeRange) -> (Range<usize>, Vec<i64>) {
    let from = times.partition_point(|time| *time < range.from.0);
    let to = times.partition_point(|time| *time < range.to.0).max(from);
    times.truncate(to);
    times.drain(..from);
    (from..to, times)
}

/// Checks that stamps of a page that were read never decrease, and begin with `first` where they are its first.
pub(crate) fn check_page(cursor: &Cursor<'_>, first: Option<i64>, page: &[i64]) -> Result<(), BytesError> {
    // The whole page at once: a search that may end early is not vectorised.
    let sorted = wide(|| page.windows(2).fold(true, |sorted, pair| sorted & (pair[0] <= pair[1])));
    let begins = first.is_none() || page.is_empty() || page.first() == first.as_ref();
    if begins && sorted { Ok(()) } else { Err(cursor.error(DISORDER)) }
}

/// The first of `0..count` for which `is_behind` holds, which holds for all behind it too.
fn first_from(count: usize, is_behind: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = usize::midpoint(low, high);
        if is_behind(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

fn read_slips(cursor: &mut Cursor<'_>, count: usize) -> Result<Vec<(usize, i64)>, BytesError> {
    let slips = cursor.count(2)?;
    let (mut list, mut at) = (Vec::with_capacity(slips), 0usize);
    for _ in 0..slips {
        let step = cursor.varint()?;
        if step == 0 || step >= (count - at) as u64 {
            return Err(cursor.error("a slip lies outside its page"));
        }
        at += step as usize;
        list.push((at, cursor.varint_signed()?));
    }
    Ok(list)
}

fn read_strays(cursor: &mut Cursor<'_>, count: usize) -> Result<Vec<(usize, u64)>, BytesError> {
    let strays = cursor.count(2)?;
    let (mut list, mut behind) = (Vec::with_capacity(strays), 0usize);
    for _ in 0..strays {
        let step = cursor.varint()?;
        if step >= (count - behind) as u64 {
            return Err(cursor.error("a stray stamp lies outside its page"));
        }
        let at = behind + step as usize;
        list.push((at, cursor.varint()?));
        behind = at + 1;
    }
    Ok(list)
}

impl Phase {
    /// The largest power of ten ns from 1000 on, above `unit`, of which nearly all stamps are multiples behind an
    /// offset.
    fn of(times: &[i64], unit: u64) -> Option<Phase> {
        let step = (times.len() / PROBES).max(1);
        let probes: Vec<&[i64]> = times.windows(2).step_by(step).collect();
        // Beyond, distances from an origin below the first stamp might wrap.
        let far = |time: Option<&i64>| time.is_none_or(|time| time.unsigned_abs() >= 1 << 62);
        let fits = |unit: u64| {
            let divides = |pair: &&&[i64]| (pair[1] - pair[0]).unsigned_abs().is_multiple_of(unit);
            probes.iter().filter(divides).count() * 4 >= probes.len() * 3
        };
        if unit >= UNIT_MIN
            || times.len() < PROBES
            || far(times.first())
            || far(times.last())
            || !fits(UNIT_MIN)
        {
            return None;
        }
        let larger = std::iter::successors(Some(UNIT_MIN), |unit| unit.checked_mul(10)).take(7);
        let unit = larger.take_while(|unit| fits(*unit)).last()?;
        let offset_of = |time: i64| time.rem_euclid(unit as i64) as u64;
        let mut offsets: Vec<u64> = probes.iter().map(|pair| offset_of(pair[0])).collect();
        offsets.sort_unstable();
        let offset = offsets.chunk_by(|a, b| a == b).max_by_key(|equal| equal.len())?[0];
        let strays = times.iter().filter(|time| offset_of(**time) != offset).count();
        (strays <= times.len() / STRAY_SHARE).then_some(Phase { unit, offset })
    }

    /// The multiple at or below the first stamp of a page.
    fn origin(self, first: i64) -> i64 {
        first.wrapping_sub(first.wrapping_sub(self.offset as i64).rem_euclid(self.unit as i64))
    }

    fn put_strays(self, times: &[i64], out: &mut Vec<u8>) {
        let origin = self.origin(times.first().copied().unwrap_or(0));
        let more = |time: i64| time.wrapping_sub(origin) as u64 % self.unit;
        let strays = || times.iter().enumerate().filter(|(_, time)| more(**time) != 0);
        put_varint(out, strays().count() as u64);
        let mut behind = 0;
        for (at, time) in strays() {
            put_varint(out, (at - behind) as u64);
            put_varint(out, more(*time));
            behind = at + 1;
        }
    }
}

/// Leaves the deviations from the grid.
fn subtract_grid(grid: Grid, slips: &[(usize, i64)], units: &mut [i64]) {
    let mut slips = slips.iter().peekable();
    let mut slip = 0i64;
    let mut position = 0u64;
    for (k, unit) in units.iter_mut().enumerate() {
        if let Some((_, ticks)) = slips.next_if(|(at, _)| *at == k) {
            slip = slip.wrapping_add(*ticks);
        }
        *unit = unit.wrapping_sub((position >> grid.fraction) as i64).wrapping_sub(slip);
        position = position.wrapping_add(grid.period);
    }
}

impl Grid {
    /// Turns deviations of samples `k..` into stamps.
    #[inline(always)]
    fn stamp(self, (origin, unit): (i64, u64), k: usize, slip: i64, page: &mut [i64]) {
        let mut position = (k as u64).wrapping_mul(self.period);
        for time in page {
            let ticks = time.wrapping_add((position >> self.fraction) as i64).wrapping_add(slip);
            *time = origin.wrapping_add(ticks.wrapping_mul(unit as i64));
            position = position.wrapping_add(self.period);
        }
    }

    /// Where the stamps leave the grid for good: index, units. Whole periods where the phase is kept.
    fn slips(self, units: &[i64]) -> Vec<(usize, i64)> {
        let period = (self.period >> self.fraction) as i64;
        let mut slips = Vec::new();
        for (k, pair) in units.windows(2).enumerate() {
            let excess = pair[1].wrapping_sub(pair[0]).wrapping_sub(period);
            if excess.unsigned_abs() <= period as u64 / 2 {
                continue;
            }
            let periods = (excess as f64 / period as f64).round();
            let whole = (periods * (self.period as f64 / (1u64 << self.fraction) as f64)) as i64;
            let kept = excess.wrapping_sub(whole).unsigned_abs() < period as u64 / 4;
            slips.push((k + 1, if kept { whole } else { excess }));
        }
        slips
    }

    /// With the period that leaves no slope (least squares over at most 128 points).
    fn refined(self, units: &[i64]) -> Grid {
        let slips = self.slips(units);
        let mut slips = slips.iter().peekable();
        let mut slip = 0i64;
        let period = self.period as f64 / (1u64 << self.fraction) as f64;
        let step = units.len().div_ceil(REFINING_POINTS_MAX).max(1);
        let mut points = Vec::with_capacity(units.len() / step + 1);
        for (k, unit) in units.iter().enumerate().step_by(step) {
            while let Some((_, ticks)) = slips.next_if(|(at, _)| *at <= k) {
                slip = slip.wrapping_add(*ticks);
            }
            // Below 2^52 units: exact to a fraction of one.
            let grid = (k as f64 * period) as i64;
            points.push((k as f64, unit.wrapping_sub(grid).wrapping_sub(slip) as f64));
        }
        let count = points.len() as f64;
        let mean_k = points.iter().map(|(k, _)| k).sum::<f64>() / count;
        let mean = points.iter().map(|(_, deviation)| deviation).sum::<f64>() / count;
        let (mut covariance, mut variance) = (0.0, 0.0);
        for (k, deviation) in points {
            covariance += (k - mean_k) * (deviation - mean);
            variance += (k - mean_k) * (k - mean_k);
        }
        let correction = covariance / variance * (1u64 << self.fraction) as f64;
        let period = self.period as f64 + correction;
        if correction.abs() < self.period as f64 / 256.0 && period >= 1.0 {
            Grid { period: period.round() as u64, ..self }
        } else {
            self
        }
    }
}

#[cfg(test)]
mod tests;
