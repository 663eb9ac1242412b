//! Floats that are integers times, or over, one factor.

use super::wide::wide;

/// Adding and taking off 1.5 * 2^52 rounds to an integer and leaves it in the low bits.
const MAGIC: f64 = 6_755_399_441_055_744.0;
/// Integers beyond this are not scaled.
pub(crate) const SCALED_MAX: i64 = 1 << 51;
/// Samples looked at to find a factor.
const PROBE_VALUES: usize = 48;
/// Of so many values one may be an exception.
pub(crate) const EXCEPTION_SHARE: usize = 16;
const DECIMALS_MAX: i32 = 9;

/// How integers become floats.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Scale {
    /// The value is integer / factor, else integer * factor.
    pub(crate) divide: bool,
    /// The result is rounded to single precision.
    pub(crate) single: bool,
    /// Finite, above 0.
    pub(crate) factor: f64,
}

/// An f32 or f64 whose bits all count.
pub(crate) trait Float: Copy {
    /// The value as f64.
    fn widen(self) -> f64;
    /// The nearest value.
    fn nearest(value: f64) -> Self;
    /// The bit pattern, zero-extended.
    fn pattern(self) -> u64;
    /// From [`Float::pattern`].
    fn from_pattern(pattern: u64) -> Self;
    /// The f32 pattern that [`Float::from_single`] turns back into these very bits, if there is one.
    fn single(self) -> Option<u32>;
    /// From an f32 pattern.
    fn from_single(pattern: u32) -> Self;
}

impl Float for f64 {
    fn widen(self) -> f64 {
        self
    }
    fn nearest(value: f64) -> f64 {
        value
    }
    fn pattern(self) -> u64 {
        self.to_bits()
    }
    fn from_pattern(pattern: u64) -> f64 {
        f64::from_bits(pattern)
    }
    fn single(self) -> Option<u32> {
        // Conversions may change the payload of a NaN.
        (f64::from(self as f32).to_bits() == self.to_bits() && !self.is_nan())
            .then(|| (self as f32).to_bits())
    }
    fn from_single(pattern: u32) -> f64 {
        f64::from(f32::from_bits(pattern))
    }
}

impl Float for f32 {
    fn widen(self) -> f64 {
        f64::from(self)
    }
    fn nearest(value: f64) -> f32 {
        value as f32
    }
    fn pattern(self) -> u64 {
        u64::from(self.to_bits())
    }
    fn from_pattern(pattern: u64) -> f32 {
        f32::from_bits(pattern as u32)
    }
    fn single(self) -> Option<u32> {
        Some(self.to_bits())
    }
    fn from_single(pattern: u32) -> f32 {
        f32::from_bits(pattern)
    }
}

#[inline(always)]
fn from_integer(integer: i64) -> f64 {
    f64::from_bits((integer as u64).wrapping_add(MAGIC.to_bits())) - MAGIC
}

#[inline(always)]
fn nearest_integer(value: f64) -> i64 {
    (value + MAGIC).to_bits().wrapping_sub(MAGIC.to_bits()) as i64
}

/// Runs `$body` with the scale's two switches as constants, so that its loop has no branch.
macro_rules! specialised {
    ($scale:expr, $function:ident::<$float:ty>($($argument:expr),*)) => {
        match ($scale.divide, $scale.single) {
            (false, false) => $function::<$float, false, false>($($argument),*),
            (false, true) => $function::<$float, false, true>($($argument),*),
            (true, false) => $function::<$float, true, false>($($argument),*),
            (true, true) => $function::<$float, true, true>($($argument),*),
        }
    };
}

impl Scale {
    /// Appends the integers of `values`; those that do not come back to the bit are listed (index,
    /// pattern) and repeat the integer before them.
    pub(crate) fn encode<F: Float>(
        self,
        values: &[F],
        out: &mut Vec<i64>,
        exceptions: &mut Vec<(usize, u64)>,
    ) {
        wide(|| specialised!(self, encode_all::<F>(self.factor, values, out, exceptions)));
    }

    /// Appends the values of `integers`.
    pub(crate) fn decode<F: Float>(self, integers: &[i64], out: &mut Vec<F>) {
        wide(|| specialised!(self, decode_all::<F>(self.factor, integers, out)));
    }
}

#[inline(always)]
fn scaled<F: Float, const DIVIDE: bool, const SINGLE: bool>(integer: i64, factor: f64) -> F {
    let integer = from_integer(integer);
    let value = if DIVIDE { integer / factor } else { integer * factor };
    F::nearest(if SINGLE { f64::from(value as f32) } else { value })
}

#[inline(always)]
fn encode_all<F: Float, const DIVIDE: bool, const SINGLE: bool>(
    factor: f64,
    values: &[F],
    out: &mut Vec<i64>,
    exceptions: &mut Vec<(usize, u64)>,
) {
    let by = if DIVIDE { factor } else { 1.0 / factor };
    let start = out.len();
    let mut wrong = false;
    out.extend(values.iter().map(|value| {
        let integer = nearest_integer(value.widen() * by);
        wrong |= !comes_back::<F, DIVIDE, SINGLE>(*value, integer, factor);
        integer
    }));
    if !wrong {
        return;
    }
    let mut before = 0;
    for (i, (value, integer)) in values.iter().zip(&mut out[start..]).enumerate() {
        if comes_back::<F, DIVIDE, SINGLE>(*value, *integer, factor) {
            before = *integer;
        } else {
            *integer = before;
            exceptions.push((i, value.pattern()));
        }
    }
}

#[inline(always)]
fn comes_back<F: Float, const DIVIDE: bool, const SINGLE: bool>(value: F, integer: i64, factor: f64) -> bool {
    let in_range = (integer.wrapping_add(SCALED_MAX) as u64) <= 2 * SCALED_MAX as u64;
    in_range & (scaled::<F, DIVIDE, SINGLE>(integer, factor).pattern() == value.pattern())
}

#[inline(always)]
fn decode_all<F: Float, const DIVIDE: bool, const SINGLE: bool>(
    factor: f64,
    integers: &[i64],
    out: &mut Vec<F>,
) {
    out.extend(integers.iter().map(|integer| scaled::<F, DIVIDE, SINGLE>(*integer, factor)));
}

/// The scales that fit a probe of the values: the first decimal fraction, a least significant bit.
pub(crate) fn find<F: Float>(values: &[F], single: bool) -> impl Iterator<Item = Scale> {
    // An odd step meets every phase of signals with an even period.
    let step = (values.len() / PROBE_VALUES).max(1) | 1;
    let probe: Vec<F> = values.iter().step_by(step).copied().take(PROBE_VALUES).collect();
    let power = |k: i32| 10f64.powi(k);
    let mut decimals = (0..=DECIMALS_MAX).flat_map(|k| {
        let over = Scale { divide: true, single, factor: power(k) };
        let times = Scale { divide: false, single, factor: 1.0 / power(k) };
        [over, times]
    });
    let decimal = decimals.find(|scale| scale.fits(&probe));
    let least = least_bits(&probe, single).into_iter().find(|scale| scale.fits(&probe));
    decimal.into_iter().chain(least)
}

impl Scale {
    fn fits<F: Float>(self, probe: &[F]) -> bool {
        self.exceptions(probe) <= probe.len() / EXCEPTION_SHARE
    }

    /// How many values do not come back to the bit.
    pub(crate) fn exceptions<F: Float>(self, values: &[F]) -> usize {
        wide(|| specialised!(self, count_exceptions::<F>(self.factor, values)))
    }
}

#[inline(always)]
fn count_exceptions<F: Float, const DIVIDE: bool, const SINGLE: bool>(factor: f64, values: &[F]) -> usize {
    let by = if DIVIDE { factor } else { 1.0 / factor };
    let wrong = |value: &F| {
        let integer = nearest_integer(value.widen() * by);
        usize::from(!comes_back::<F, DIVIDE, SINGLE>(*value, integer, factor))
    };
    values.iter().map(wrong).sum()
}

/// Factors near the greatest common divisor of the probe's differences.
fn least_bits<F: Float>(probe: &[F], single: bool) -> Vec<Scale> {
    let finite = || probe.iter().map(|value| value.widen()).filter(|value| value.is_finite());
    let Some(first) = finite().next() else { return Vec::new() };
    let greatest = finite().fold(0f64, |a, b| a.max(b.abs()));
    let tolerance = greatest * if single { 1e-6 } else { 1e-9 };
    let mut divisor = 0f64;
    for value in finite() {
        let difference = (value - first).abs();
        divisor = real_divisor(divisor, difference, tolerance);
        // Takes back the error that the divisions have gathered.
        let multiple = (difference / divisor).round();
        divisor = if multiple >= 1.0 { difference / multiple } else { divisor };
    }
    let steps = (greatest / divisor).round();
    if divisor <= tolerance * 8.0 || !(1.0..1e12).contains(&steps) {
        return Vec::new();
    }
    let near =
        |factor: f64| (-3i64..=3).map(move |ulps| f64::from_bits(factor.to_bits().wrapping_add(ulps as u64)));
    let times = near(greatest / steps).map(|factor| Scale { divide: false, single, factor });
    let over = near(steps / greatest).map(|factor| Scale { divide: true, single, factor });
    times.chain(over).filter(|scale| scale.factor.is_finite() && scale.factor > 0.0).collect()
}

fn real_divisor(mut a: f64, mut b: f64, tolerance: f64) -> f64 {
    while b > tolerance {
        let rest = (a - b * (a / b).round()).abs();
        (a, b) = (b, rest);
    }
    a
}
