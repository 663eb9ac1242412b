//! The statistics of one stretch of time and how two of them become one.

use crate::holds::Holds;

/// What a channel holds at one moment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Held {
    /// No value is known.
    Nothing,
    /// A number, perhaps not a finite one.
    Number(f64),
    /// A value that is no number.
    Other,
}

impl Held {
    /// The number, if it is finite.
    fn finite(self) -> Option<f64> {
        match self {
            Held::Number(number) if number.is_finite() => Some(number),
            _ => None,
        }
    }
}

/// A time integral: of a value over the time in which it was held.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Integral {
    /// Sum of finite number × ns.
    pub sum: f64,
    /// Time in ns in which a finite number was held.
    pub finite_ns: i64,
    /// Time in ns in which any value was held.
    pub covered_ns: i64,
}

impl Integral {
    /// Adds `ns` nanoseconds of a value.
    #[inline]
    pub fn add(&mut self, held: Held, ns: i64) {
        if let Some(number) = held.finite() {
            self.sum += number * as_float(ns);
            self.finite_ns = self.finite_ns.saturating_add(ns);
        }
        if held != Held::Nothing {
            self.covered_ns = self.covered_ns.saturating_add(ns);
        }
    }

    /// Adds what follows in time.
    #[inline]
    pub fn append(&mut self, later: &Integral) {
        self.sum += later.sum;
        self.finite_ns = self.finite_ns.saturating_add(later.finite_ns);
        self.covered_ns = self.covered_ns.saturating_add(later.covered_ns);
    }
}

/// Nanoseconds or a count as a double; above 2^53 the nearest.
#[inline]
#[expect(clippy::cast_precision_loss, reason = "statistics are doubles; above 2^53 the nearest is meant")]
pub(crate) fn as_float(number: i64) -> f64 {
    number as f64
}

/// Extremes of finite numbers with the time of their first occurrence, and their first two moments.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Moments {
    /// How many finite numbers; at least one.
    pub count: i64,
    /// The least.
    pub min: f64,
    /// Time of its first occurrence, ns.
    pub min_time: i64,
    /// The greatest.
    pub max: f64,
    /// Time of its first occurrence, ns.
    pub max_time: i64,
    /// Their mean.
    pub mean: f64,
    /// Sum of squared deviations from the mean.
    pub m2: f64,
}

impl Moments {
    /// Adds what follows in time: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing
    /// sample variances", 1979.
    #[inline]
    pub fn append(&mut self, later: &Moments) {
        let (a, b) = (as_float(self.count), as_float(later.count));
        self.count = self.count.saturating_add(later.count);
        let n = as_float(self.count);
        let delta = later.mean - self.mean;
        self.mean += delta * (b / n);
        self.m2 += later.m2 + delta * delta * (a * (b / n));
        if later.min < self.min {
            (self.min, self.min_time) = (later.min, later.min_time);
        }
        if later.max > self.max {
            (self.max, self.max_time) = (later.max, later.max_time);
        }
    }

    /// Standard deviation with n − 1; `None` for a single number.
    pub fn deviation(&self) -> Option<f64> {
        (self.count > 1).then(|| (self.m2 / as_float(self.count - 1)).sqrt())
    }
}

/// First and last sample that count.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Ends {
    /// Time of the first, ns.
    pub first_time: i64,
    /// Its value, where it is a number.
    pub first: Option<f64>,
    /// Time of the last, ns.
    pub last_time: i64,
    /// Its value, where it is a number.
    pub last: Option<f64>,
}

/// Statistics of a stretch in which at least one sample lies (perhaps one that was left out).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Node {
    /// Time of the first sample, ns.
    pub begin: i64,
    /// Up to where the integral goes, ns; not before the last sample.
    pub end: i64,
    /// What is held at `end` unless a break came between.
    pub held: Held,
    /// Samples that count.
    pub count: i64,
    /// Numbers among them that are not finite.
    pub nonfinite: i64,
    /// Samples of severity INVALID among them.
    pub invalid: i64,
    /// Worst severity among them; 0 if there is none.
    pub worst: u8,
    /// First and last of them.
    pub ends: Option<Ends>,
    /// Statistics of the finite numbers among them.
    pub moments: Option<Moments>,
    /// From the first sample to `end`.
    pub integral: Integral,
}

impl Node {
    /// Holds the last value until `end`.
    #[inline]
    pub fn extend(&mut self, end: i64, holds: &Holds) {
        self.integral.add(self.held, holds.held_ns(self.end, end));
        self.end = end;
    }

    /// Adds what follows in time.
    #[inline]
    pub fn append(&mut self, later: &Node, holds: &Holds) {
        self.extend(later.begin, holds);
        self.integral.append(&later.integral);
        self.end = later.end;
        self.held = later.held;
        self.count = self.count.saturating_add(later.count);
        self.nonfinite = self.nonfinite.saturating_add(later.nonfinite);
        self.invalid = self.invalid.saturating_add(later.invalid);
        self.worst = self.worst.max(later.worst);
        match (&mut self.ends, later.ends) {
            (Some(own), Some(ends)) => (own.last_time, own.last) = (ends.last_time, ends.last),
            (own, ends) => *own = own.or(ends),
        }
        match (&mut self.moments, &later.moments) {
            (Some(own), Some(moments)) => own.append(moments),
            (own, moments) => *own = own.or(*moments),
        }
    }
}
