//! The unit of stamps: what divides all their distances.

/// The greatest number of ns that divides all distances from the first stamp; 1 where all are equal.
pub(in crate::codec) fn common_unit(times: &[i64]) -> u64 {
    let Some(first) = times.first() else { return 1 };
    let mut unit = 0;
    let distances = || times.iter().map(|time| time.wrapping_sub(*first) as u64);
    for distance in distances().step_by((times.len() / 32).max(1)) {
        unit = greatest_common_divisor(unit, distance);
    }
    for distance in distances() {
        if unit == 1 {
            return 1;
        }
        if unit == 0 || !ExactDivisor::new(unit).divides(distance) {
            unit = greatest_common_divisor(unit, distance);
        }
    }
    unit.max(1)
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Division of multiples by multiplication with the inverse modulo 2^64.
#[derive(Clone, Copy)]
pub(in crate::codec) struct ExactDivisor {
    shift: u32,
    inverse: u64,
    quotient_max: u64,
}

impl ExactDivisor {
    /// `divisor` is not 0.
    pub(in crate::codec) fn new(divisor: u64) -> ExactDivisor {
        let shift = divisor.trailing_zeros();
        let odd = divisor >> shift;
        let mut inverse = odd;
        for _ in 0..5 {
            inverse = inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)));
        }
        ExactDivisor { shift, inverse, quotient_max: u64::MAX / divisor }
    }

    /// The quotient of a multiple of the divisor.
    #[inline(always)]
    pub(in crate::codec) fn divide(self, multiple: u64) -> u64 {
        (multiple >> self.shift).wrapping_mul(self.inverse)
    }

    /// 0 for multiples of the divisor, and for nothing else.
    #[inline(always)]
    pub(super) fn rest(self, value: u64) -> u64 {
        let low = value & ((1 << self.shift) - 1);
        low | u64::from(self.divide(value) > self.quotient_max)
    }

    fn divides(self, value: u64) -> bool {
        value.trailing_zeros() >= self.shift && self.divide(value) <= self.quotient_max
    }
}
