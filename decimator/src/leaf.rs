//! The fold of consecutive samples: the one place where single numbers are added.

use crate::holds::Holds;
use crate::node::{Ends, Held, Integral, Moments, Node, as_float};
use sample::Severity;

/// Samples that are folded at once; a leaf with more is folded in runs of so many, counted from its first.
pub(crate) const RUN_SAMPLES_MAX: usize = 4096;

/// Samples of one leaf in (time, rank) order, all numbers or none.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    /// Times in ns.
    pub times: &'a [i64],
    /// Their numbers; `None` where the values are no numbers.
    pub numbers: Option<&'a [f64]>,
    /// Severity codes.
    pub severities: &'a [u8],
}

impl Run<'_> {
    fn held(&self, i: usize) -> Held {
        self.numbers.map_or(Held::Other, |numbers| Held::Number(numbers[i]))
    }
}

const INVALID: u8 = Severity::Invalid as u8;

/// Folds at least one and at most [`RUN_SAMPLES_MAX`] samples; the node ends at the last one's time. With
/// `exclude_invalid` those of severity INVALID do not count, and nothing is held while one is the newest.
///
/// Numbers are summed one after the other in doubles: first the sum, then the squared deviations from the mean that
/// it gives, then the integral.
pub(crate) fn fold(run: Run<'_>, exclude_invalid: bool, holds: &Holds) -> Node {
    let excluded = exclude_invalid && run.severities.contains(&INVALID);
    let (begin, last) = (run.times[0], run.times[run.times.len() - 1]);
    let counts = |i: usize| !(excluded && run.severities[i] == INVALID);
    let held = |i: usize| if counts(i) { run.held(i) } else { Held::Nothing };
    let mut node = Node {
        begin,
        end: last,
        held: held(run.times.len() - 1),
        count: 0,
        nonfinite: 0,
        invalid: 0,
        worst: 0,
        ends: None,
        moments: None,
        integral: integral(run.times, held, holds),
    };
    let (mut first, mut newest) = (None, 0);
    for (i, severity) in run.severities.iter().enumerate() {
        if counts(i) {
            node.count += 1;
            node.worst = node.worst.max(*severity);
            node.invalid += i64::from(*severity == INVALID);
            first.get_or_insert(i);
            newest = i;
        }
    }
    let number = |i: usize| run.numbers.map(|numbers| numbers[i]);
    node.ends = first.map(|first| Ends {
        first_time: run.times[first],
        first: number(first),
        last_time: run.times[newest],
        last: number(newest),
    });
    if let Some(numbers) = run.numbers {
        node.moments = if excluded {
            moments(run.times, numbers, counts)
        } else {
            moments(run.times, numbers, |_| true)
        };
        node.nonfinite = node.count - node.moments.map_or(0, |m| m.count);
    }
    node
}

fn integral(times: &[i64], held: impl Fn(usize) -> Held, holds: &Holds) -> Integral {
    let mut integral = Integral::default();
    let unbroken = holds.unbroken(times[0], times[times.len() - 1]);
    for (i, pair) in times.windows(2).enumerate() {
        let ns = if unbroken { pair[1].saturating_sub(pair[0]) } else { holds.held_ns(pair[0], pair[1]) };
        integral.add(held(i), ns);
    }
    integral
}

fn moments(times: &[i64], numbers: &[f64], counts: impl Fn(usize) -> bool) -> Option<Moments> {
    let finite = |i: &usize| numbers[*i].is_finite() && counts(*i);
    let first = (0..numbers.len()).find(finite)?;
    let mut of = Moments {
        count: 0,
        min: numbers[first],
        min_time: times[first],
        max: numbers[first],
        max_time: times[first],
        mean: 0.0,
        m2: 0.0,
    };
    let mut sum = 0.0;
    for i in (first..numbers.len()).filter(finite) {
        let number = numbers[i];
        of.count += 1;
        sum += number;
        if number < of.min {
            (of.min, of.min_time) = (number, times[i]);
        }
        if number > of.max {
            (of.max, of.max_time) = (number, times[i]);
        }
    }
    let n = as_float(of.count);
    of.mean = sum / n;
    if !of.mean.is_finite() {
        // The sum is too large for a double; the mean is not.
        of.mean = (first..numbers.len()).filter(finite).map(|i| numbers[i] / n).sum();
    }
    for i in (first..numbers.len()).filter(finite) {
        let deviation = numbers[i] - of.mean;
        of.m2 += deviation * deviation;
    }
    Some(of)
}
