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
    if let (&[time], Some(&[number]), &[severity]) = (run.times, run.numbers, run.severities)
        && number.is_finite()
        && !(exclude_invalid && severity == INVALID)
    {
        return single(time, number, severity);
    }
    let worst = run.severities.iter().copied().fold(0, u8::max);
    if worst == INVALID && exclude_invalid {
        return fold_valid(run, holds);
    }
    let last = run.times.len() - 1;
    let number = |i: usize| run.numbers.map(|numbers| numbers[i]);
    let count = run.times.len().cast_signed() as i64;
    let invalid = match worst {
        INVALID => run.severities.iter().map(|severity| i64::from(*severity == INVALID)).sum(),
        _ => 0,
    };
    let unbroken = holds.unbroken(run.times[0], run.times[last]);
    let (moments, integral) = match run.numbers {
        Some(numbers) if unbroken && numbers.iter().all(|number| number.is_finite()) => {
            (Some(moments_of_finite(run.times, numbers)), integral_of_finite(run.times, numbers))
        }
        Some(numbers) => (moments(run.times, numbers, |_| true), integral(run.times, |i| run.held(i), holds)),
        None => (None, integral(run.times, |i| run.held(i), holds)),
    };
    let numeric = if run.numbers.is_some() { count } else { 0 };
    Node {
        begin: run.times[0],
        end: run.times[last],
        held: run.held(last),
        count,
        nonfinite: numeric - moments.map_or(0, |m| m.count),
        invalid,
        worst,
        ends: Some(Ends {
            first_time: run.times[0],
            first: number(0),
            last_time: run.times[last],
            last: number(last),
        }),
        moments,
        integral,
    }
}

/// As [`fold`], of one finite number: most channels have a sample in 10 s or fewer.
fn single(time: i64, number: f64, severity: u8) -> Node {
    // The sum begins at 0, so the mean of -0 is 0.
    let mean = 0.0 + number;
    Node {
        begin: time,
        end: time,
        held: Held::Number(number),
        count: 1,
        nonfinite: 0,
        invalid: i64::from(severity == INVALID),
        worst: severity,
        ends: Some(Ends { first_time: time, first: Some(number), last_time: time, last: Some(number) }),
        moments: Some(Moments {
            count: 1,
            min: number,
            min_time: time,
            max: number,
            max_time: time,
            mean,
            m2: 0.0,
        }),
        integral: Integral::default(),
    }
}

/// As [`fold`], without the samples of severity INVALID.
fn fold_valid(run: Run<'_>, holds: &Holds) -> Node {
    let counts = |i: usize| run.severities[i] != INVALID;
    let held = |i: usize| if counts(i) { run.held(i) } else { Held::Nothing };
    let last = run.times.len() - 1;
    let mut node = Node {
        begin: run.times[0],
        end: run.times[last],
        held: held(last),
        count: 0,
        nonfinite: 0,
        invalid: 0,
        worst: 0,
        ends: None,
        moments: run.numbers.and_then(|numbers| moments(run.times, numbers, counts)),
        integral: integral(run.times, held, holds),
    };
    for i in (0..=last).filter(|i| counts(*i)) {
        let number = run.numbers.map(|numbers| numbers[i]);
        node.count += 1;
        node.nonfinite += i64::from(number.is_some_and(|number| !number.is_finite()));
        node.worst = node.worst.max(run.severities[i]);
        match &mut node.ends {
            Some(ends) => (ends.last_time, ends.last) = (run.times[i], number),
            ends => {
                let (first_time, last_time) = (run.times[i], run.times[i]);
                *ends = Some(Ends { first_time, first: number, last_time, last: number });
            }
        }
    }
    node
}

fn integral(times: &[i64], held: impl Fn(usize) -> Held, holds: &Holds) -> Integral {
    let mut integral = Integral::default();
    for (i, pair) in times.windows(2).enumerate() {
        integral.add(held(i), holds.held_ns(pair[0], pair[1]));
    }
    integral
}

/// As [`integral`] where all numbers are finite and no break lies between.
fn integral_of_finite(times: &[i64], numbers: &[f64]) -> Integral {
    let mut sum = 0.0;
    for (pair, number) in times.windows(2).zip(numbers) {
        sum += number * as_float(pair[1].saturating_sub(pair[0]));
    }
    let all = times[times.len() - 1].saturating_sub(times[0]);
    Integral { sum, finite_ns: all, covered_ns: all }
}

fn moments(times: &[i64], numbers: &[f64], counts: impl Fn(usize) -> bool) -> Option<Moments> {
    let finite = (0..numbers.len()).filter(|i| numbers[*i].is_finite() && counts(*i));
    let (times, numbers): (Vec<i64>, Vec<f64>) = finite.map(|i| (times[i], numbers[i])).unzip();
    (!times.is_empty()).then(|| moments_of_finite(&times, &numbers))
}

/// Of at least one finite number.
fn moments_of_finite(times: &[i64], numbers: &[f64]) -> Moments {
    // Leaves are short and the first samples of each are often its least and greatest so far: a branch would be guessed
    // wrong. Which one it was is looked for behind the sums.
    let (mut sum, mut least, mut greatest) = (0.0, numbers[0], numbers[0]);
    for number in numbers {
        sum += number;
        least = if *number < least { *number } else { least };
        greatest = if *number > greatest { *number } else { greatest };
    }
    let first = |of: f64| numbers.iter().position(|number| *number == of).unwrap_or(0);
    let (min, max) = (first(least), first(greatest));
    let count = numbers.len().cast_signed() as i64;
    let n = as_float(count);
    let mut mean = sum / n;
    if !mean.is_finite() {
        // The sum is too large for a double; the mean is not.
        mean = numbers.iter().map(|number| number / n).sum();
    }
    let mut m2 = 0.0;
    for number in numbers {
        let deviation = number - mean;
        m2 += deviation * deviation;
    }
    let (min_time, max_time) = (times[min], times[max]);
    Moments { count, min: numbers[min], min_time, max: numbers[max], max_time, mean, m2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_number_is_folded_as_many_are() {
        for (number, severity) in
            [(1.5, 0), (-0.0, 1), (0.0, 3), (f64::MAX, 2), (-1e-310, 3), (f64::MIN_POSITIVE, 0)]
        {
            let node = single(7, number, severity);
            let integral = integral_of_finite(&[7], &[number]);
            let expected = moments_of_finite(&[7], &[number]);
            let moments = node.moments.unwrap();
            let bits = |m: Moments| [m.mean, m.m2, m.min, m.max].map(f64::to_bits);
            assert_eq!((bits(moments), moments.count), (bits(expected), expected.count), "{number}");
            assert_eq!((moments.min_time, moments.max_time), (7, 7));
            assert_eq!((node.integral, node.integral.sum.to_bits()), (integral, integral.sum.to_bits()));
            // As the fold that looks at each sample says.
            let run = Run { times: &[7], numbers: Some(&[number]), severities: &[severity] };
            assert_eq!(fold(run, false, &Holds::default()), node);
            if severity < INVALID {
                assert_eq!(fold_valid(run, &Holds::default()), node);
            }
        }
    }
}
