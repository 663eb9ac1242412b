//! What a chunk says about its values without being decoded.

use crate::codec::by_class;
use crate::codec::scale::Float;
use crate::codec::wide::wide;
use crate::format::{
    STATISTICS_FINITE, STATISTICS_FLAGS, STATISTICS_INVALID, STATISTICS_NOT_FINITE, STATISTICS_NUMERIC,
};
use disk::{BytesError, Cursor, put_f64, put_u8, put_varint};
use sample::{Column, SampleBlock, Severity, Timestamp};
use std::borrow::Cow;
use std::ops::Range;

/// Facts about all samples of a chunk.
#[derive(Clone, PartialEq, Debug)]
pub struct Statistics {
    /// Number of samples.
    pub count: u32,
    /// The worst severity.
    pub worst: Severity,
    /// Samples of severity INVALID.
    pub invalid: u32,
    /// About the values as f64 (64-bit integers round); `None` for texts, structures and arrays.
    pub numeric: Option<NumericStatistics>,
}

/// Facts about values that are numbers.
#[derive(Clone, Copy, Debug)]
pub struct NumericStatistics {
    /// The first value, whatever it is.
    pub first: f64,
    /// The last value, whatever it is.
    pub last: f64,
    /// Least and greatest finite value, if there is one.
    pub extremes: Option<Extremes>,
    /// Number of NaNs.
    pub nan: u32,
    /// Number of positive infinities.
    pub positive_infinite: u32,
    /// Number of negative infinities.
    pub negative_infinite: u32,
}

/// Least and greatest finite value, each with the time of its first occurrence.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Extremes {
    /// The least value.
    pub min: f64,
    /// When it occurred first.
    pub min_time: Timestamp,
    /// The greatest value.
    pub max: f64,
    /// When it occurred first.
    pub max_time: Timestamp,
}

/// By bits.
impl PartialEq for NumericStatistics {
    fn eq(&self, other: &NumericStatistics) -> bool {
        let ends = |s: &NumericStatistics| (s.first.to_bits(), s.last.to_bits());
        ends(self) == ends(other)
            && self.extremes == other.extremes
            && (self.nan, self.positive_infinite, self.negative_infinite)
                == (other.nan, other.positive_infinite, other.negative_infinite)
    }
}

/// Least and greatest finite value of a page, with their indices.
#[derive(Clone, Copy)]
pub(super) struct PageExtremes {
    pub(super) min: f64,
    min_at: usize,
    pub(super) max: f64,
    max_at: usize,
}

/// Values compared side by side.
const LANES: usize = 8;

/// Takes pages one after the other.
pub(super) struct Gatherer<'a> {
    block: &'a SampleBlock,
    statistics: Statistics,
}

impl<'a> Gatherer<'a> {
    /// For a block that is not empty.
    pub(super) fn new(block: &'a SampleBlock) -> Gatherer<'a> {
        let value = |i: usize| as_numbers(&block.values, i..i + 1).map(|values| values[0]);
        let numeric = value(0).zip(value(block.len() - 1)).map(|(first, last)| NumericStatistics {
            first,
            last,
            extremes: None,
            nan: 0,
            positive_infinite: 0,
            negative_infinite: 0,
        });
        let statistics =
            Statistics { count: block.len() as u32, worst: Severity::NoAlarm, invalid: 0, numeric };
        Gatherer { block, statistics }
    }

    /// Takes samples `page`; says their bounds and worst severity.
    pub(super) fn page(&mut self, page: Range<usize>) -> (Option<PageExtremes>, Severity) {
        let severities = &self.block.severity[page.clone()];
        let worst = severities.iter().max().and_then(|code| Severity::from_code(u16::from(*code)));
        let worst = worst.unwrap_or(Severity::NoAlarm);
        if worst == Severity::Invalid {
            self.statistics.invalid +=
                severities.iter().filter(|code| **code == Severity::Invalid as u8).count() as u32;
        }
        self.statistics.worst = self.statistics.worst.max(worst);
        let Some(numeric) = &mut self.statistics.numeric else { return (None, worst) };
        let Some(values) = as_numbers(&self.block.values, page.clone()) else { return (None, worst) };
        let found = wide(|| page_extremes(&values, numeric));
        if let Some(found) = found {
            let time = |at: usize| Timestamp(self.block.time[page.start + at]);
            let extremes = numeric.extremes.get_or_insert(Extremes {
                min: found.min,
                min_time: time(found.min_at),
                max: found.max,
                max_time: time(found.max_at),
            });
            if found.min < extremes.min {
                (extremes.min, extremes.min_time) = (found.min, time(found.min_at));
            }
            if found.max > extremes.max {
                (extremes.max, extremes.max_time) = (found.max, time(found.max_at));
            }
        }
        (found, worst)
    }

    pub(super) fn finish(self) -> Statistics {
        self.statistics
    }
}

/// Values `range` as numbers; `None` for texts, structures and arrays.
fn as_numbers(column: &Column, range: Range<usize>) -> Option<Cow<'_, [f64]>> {
    if let Column::Float64(values) = column {
        return Some(Cow::Borrowed(&values[range]));
    }
    by_class!(column,
        integers v => Some(v[range].iter().map(|value| *value as f64).collect()),
        floats v => Some(v[range].iter().map(|value| value.widen()).collect()),
        texts _v => None,
        arrays _ends _elements => None)
}

/// Finds the extremes of a page; counts what is not finite.
#[inline(always)]
fn page_extremes(values: &[f64], numeric: &mut NumericStatistics) -> Option<PageExtremes> {
    let (mut min, mut max, mut finite) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES], true);
    let lanes = values.chunks_exact(LANES);
    let rest = lanes.remainder().iter().enumerate();
    let mut take = |lane: usize, value: f64| {
        min[lane] = if value < min[lane] { value } else { min[lane] };
        max[lane] = if value > max[lane] { value } else { max[lane] };
        finite &= value.abs() < f64::INFINITY;
    };
    lanes.for_each(|lanes| lanes.iter().enumerate().for_each(|(lane, value)| take(lane, *value)));
    rest.for_each(|(lane, value)| take(lane, *value));
    if !finite {
        return finite_extremes(values, numeric);
    }
    let least = min.iter().fold(f64::INFINITY, |a, b| if *b < a { *b } else { a });
    let greatest = max.iter().fold(f64::NEG_INFINITY, |a, b| if *b > a { *b } else { a });
    let min_at = values.iter().position(|value| *value == least)?;
    let max_at = values.iter().position(|value| *value == greatest)?;
    Some(PageExtremes { min: values[min_at], min_at, max: values[max_at], max_at })
}

/// As [`page_extremes`], where some values are not finite.
fn finite_extremes(values: &[f64], numeric: &mut NumericStatistics) -> Option<PageExtremes> {
    let mut found: Option<PageExtremes> = None;
    for (at, value) in values.iter().enumerate() {
        numeric.nan += u32::from(value.is_nan());
        numeric.positive_infinite += u32::from(*value == f64::INFINITY);
        numeric.negative_infinite += u32::from(*value == f64::NEG_INFINITY);
        if value.is_finite() {
            let found =
                found.get_or_insert(PageExtremes { min: *value, min_at: at, max: *value, max_at: at });
            if *value < found.min {
                (found.min, found.min_at) = (*value, at);
            }
            if *value > found.max {
                (found.max, found.max_at) = (*value, at);
            }
        }
    }
    found
}

impl Statistics {
    /// Least and greatest finite value, where there are finite numbers.
    pub(super) fn extremes(&self) -> Option<Extremes> {
        self.numeric.and_then(|numeric| numeric.extremes)
    }

    /// The statistics of a block.
    ///
    /// # Panics
    /// When the block is empty.
    pub fn of(block: &SampleBlock) -> Statistics {
        let mut gatherer = Gatherer::new(block);
        gatherer.page(0..block.len());
        gatherer.finish()
    }

    /// Appends them; times are taken relative to the chunk's first.
    pub(crate) fn put(&self, first_time: Timestamp, out: &mut Vec<u8>) {
        let numeric = self.numeric.as_ref();
        let extremes = numeric.and_then(|numeric| numeric.extremes);
        let not_finite = numeric.filter(|n| n.nan > 0 || n.positive_infinite > 0 || n.negative_infinite > 0);
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        put_u8(
            out,
            flag(numeric.is_some(), STATISTICS_NUMERIC)
                | flag(extremes.is_some(), STATISTICS_FINITE)
                | flag(not_finite.is_some(), STATISTICS_NOT_FINITE)
                | flag(self.invalid > 0, STATISTICS_INVALID),
        );
        put_u8(out, self.worst as u8);
        if self.invalid > 0 {
            put_varint(out, u64::from(self.invalid));
        }
        if let Some(numeric) = numeric {
            put_f64(out, numeric.first);
            put_f64(out, numeric.last);
        }
        if let Some(extremes) = extremes {
            put_f64(out, extremes.min);
            put_varint(out, extremes.min_time.0.wrapping_sub(first_time.0) as u64);
            put_f64(out, extremes.max);
            put_varint(out, extremes.max_time.0.wrapping_sub(first_time.0) as u64);
        }
        if let Some(numeric) = not_finite {
            put_varint(out, u64::from(numeric.nan));
            put_varint(out, u64::from(numeric.positive_infinite));
            put_varint(out, u64::from(numeric.negative_infinite));
        }
    }

    /// Reads what [`Statistics::put`] wrote.
    pub(crate) fn read(
        cursor: &mut Cursor<'_>,
        first_time: Timestamp,
        count: u32,
    ) -> Result<Statistics, BytesError> {
        let flags = cursor.u8()?;
        let known: u8 = STATISTICS_FLAGS.iter().map(|(_, flag)| flag).sum();
        let needs_numbers = flags & (STATISTICS_FINITE | STATISTICS_NOT_FINITE) != 0;
        if flags & !known != 0 || (needs_numbers && flags & STATISTICS_NUMERIC == 0) {
            return Err(cursor.error("unknown flags of statistics"));
        }
        let worst = Severity::from_code(u16::from(cursor.u8()?))
            .ok_or_else(|| cursor.error("a severity of 0 to 3 was expected"))?;
        let number = |cursor: &mut Cursor<'_>| {
            let number = u32::try_from(cursor.varint()?).ok().filter(|number| *number <= count);
            number.ok_or_else(|| cursor.error("statistics count more samples than there are"))
        };
        let invalid = if flags & STATISTICS_INVALID != 0 { number(cursor)? } else { 0 };
        let numeric = if flags & STATISTICS_NUMERIC != 0 {
            let (first, last) = (cursor.f64()?, cursor.f64()?);
            let extremes = if flags & STATISTICS_FINITE != 0 {
                let time = |cursor: &mut Cursor<'_>| {
                    Ok::<_, BytesError>(Timestamp(first_time.0.wrapping_add(cursor.varint()? as i64)))
                };
                let (min, min_time) = (cursor.f64()?, time(cursor)?);
                let (max, max_time) = (cursor.f64()?, time(cursor)?);
                Some(Extremes { min, min_time, max, max_time })
            } else {
                None
            };
            let mut numeric = NumericStatistics {
                first,
                last,
                extremes,
                nan: 0,
                positive_infinite: 0,
                negative_infinite: 0,
            };
            if flags & STATISTICS_NOT_FINITE != 0 {
                numeric.nan = number(cursor)?;
                numeric.positive_infinite = number(cursor)?;
                numeric.negative_infinite = number(cursor)?;
            }
            Some(numeric)
        } else {
            None
        };
        Ok(Statistics { count, worst, invalid, numeric })
    }
}
