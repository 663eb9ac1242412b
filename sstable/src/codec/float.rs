//! Floats of a page: scaled integers with exceptions, else ordered bit patterns.

use super::integer::{self, IntegerEncoder};
use super::scale::{self, EXCEPTION_SHARE, Float, Scale};
use super::trial_of;
use crate::format::ColumnCodec;
use disk::{BytesError, Cursor, put_f64, put_u8, put_u64, put_varint};
use std::ops::Range;

const DIVIDE: u8 = 1;
const SINGLE: u8 = 2;

/// What all pages of a column of floats have in common.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum FloatModel {
    /// Integers with a factor, and exceptions.
    Scaled(Scale),
    /// Ordered patterns of the values as f32, which they all are.
    Single,
    /// Ordered patterns of the values as f64.
    Double,
}

/// Bit patterns in the order of the values, so that neighbours are near: an own inverse.
fn ordered_double(pattern: i64) -> i64 {
    pattern ^ (((pattern >> 63) as u64) >> 1) as i64
}

fn ordered_single(pattern: i32) -> i32 {
    pattern ^ (((pattern >> 31) as u32) >> 1) as i32
}

impl FloatModel {
    /// The model that takes the fewest bytes on the first values.
    pub(crate) fn fit<F: Float>(values: &[F], integers: &mut IntegerEncoder) -> FloatModel {
        let narrow = values.iter().all(|value| value.single().is_some());
        let patterns = if narrow { FloatModel::Single } else { FloatModel::Double };
        let first = &values[..trial_of(values.len())];
        let cost = |model: FloatModel| {
            let (mut out, mut trial) = (Vec::new(), IntegerEncoder::counting());
            model.encode(first, &mut trial, &mut out);
            (out.len() + trial.counted_bytes(), trial)
        };
        let scales =
            scale::find(values, false).chain(narrow.then(|| scale::find(values, true)).into_iter().flatten());
        let few_exceptions = |scale: &Scale| scale.exceptions(values) <= values.len() / EXCEPTION_SHARE;
        let scaled = scales.filter(few_exceptions).map(FloatModel::Scaled);
        let (mut model, mut least) = (patterns, cost(patterns));
        for scaled in scaled {
            let found = cost(scaled);
            if found.0 < least.0 {
                (model, least) = (scaled, found);
            }
        }
        integers.learn_from(&least.1);
        model
    }

    /// Whether the model brings `values` back to the bit, with exceptions where it has some.
    pub(crate) fn suits<F: Float>(self, values: &[F]) -> bool {
        self != FloatModel::Single || values.iter().all(|value| value.single().is_some())
    }

    /// Appends a page.
    pub(crate) fn encode<F: Float>(self, values: &[F], integers: &mut IntegerEncoder, out: &mut Vec<u8>) {
        let mut ordered = Vec::with_capacity(values.len());
        match self {
            FloatModel::Scaled(scale) => {
                let mut exceptions = Vec::new();
                scale.encode(values, &mut ordered, &mut exceptions);
                put_exceptions(&exceptions, out);
            }
            FloatModel::Single => ordered.extend(
                values.iter().map(|value| i64::from(ordered_single(value.single().unwrap_or(0) as i32))),
            ),
            FloatModel::Double => {
                ordered.extend(values.iter().map(|value| ordered_double(value.pattern() as i64)));
            }
        }
        integers.encode(&ordered, out);
    }

    /// Appends the values `rows` of a page of `count` to `out`.
    pub(crate) fn decode_rows<F: Float>(
        self,
        cursor: &mut Cursor<'_>,
        count: usize,
        rows: Range<usize>,
        out: &mut Vec<F>,
    ) -> Result<(), BytesError> {
        let start = out.len();
        let exceptions = match self {
            FloatModel::Scaled(_) => read_exceptions(cursor, count)?,
            _ => Vec::new(),
        };
        // Of sums, those before the first row come, too.
        let mut ordered = Vec::with_capacity(rows.end);
        integer::decode_rows(cursor, count, rows.clone(), &mut ordered)?;
        match self {
            FloatModel::Scaled(scale) => {
                scale.decode(&ordered, out);
                for (at, pattern) in exceptions.into_iter().filter(|(at, _)| rows.contains(at)) {
                    out[start + at - rows.start] = F::from_pattern(pattern);
                }
            }
            FloatModel::Single => out
                .extend(ordered.iter().map(|pattern| F::from_single(ordered_single(*pattern as i32) as u32))),
            FloatModel::Double => {
                out.extend(ordered.iter().map(|pattern| F::from_pattern(ordered_double(*pattern) as u64)));
            }
        }
        Ok(())
    }

    /// Codec of the column.
    pub(crate) fn codec(self) -> ColumnCodec {
        match self {
            FloatModel::Scaled(_) => ColumnCodec::Scaled,
            FloatModel::Single => ColumnCodec::Single,
            FloatModel::Double => ColumnCodec::Double,
        }
    }

    /// Appends the parameters of the column.
    pub(crate) fn put_parameters(self, out: &mut Vec<u8>) {
        if let FloatModel::Scaled(scale) = self {
            put_u8(out, if scale.divide { DIVIDE } else { 0 } | if scale.single { SINGLE } else { 0 });
            put_f64(out, scale.factor);
        }
    }

    /// Reads the parameters of a column of `codec`.
    pub(crate) fn parse(codec: ColumnCodec, cursor: &mut Cursor<'_>) -> Result<FloatModel, BytesError> {
        Ok(match codec {
            ColumnCodec::Single => FloatModel::Single,
            ColumnCodec::Double => FloatModel::Double,
            ColumnCodec::Scaled => {
                let flags = cursor.u8()?;
                let factor = cursor.f64()?;
                if flags & !(DIVIDE | SINGLE) != 0 || !factor.is_finite() || factor <= 0.0 {
                    return Err(cursor.error("a scale with unknown flags or a factor that is not above 0"));
                }
                FloatModel::Scaled(Scale { divide: flags & DIVIDE != 0, single: flags & SINGLE != 0, factor })
            }
            _ => return Err(cursor.error("a codec that is not one of floats")),
        })
    }
}

fn put_exceptions(exceptions: &[(usize, u64)], out: &mut Vec<u8>) {
    put_varint(out, exceptions.len() as u64);
    let mut behind = 0;
    for (at, pattern) in exceptions {
        put_varint(out, (at - behind) as u64);
        put_u64(out, *pattern);
        behind = at + 1;
    }
}

fn read_exceptions(cursor: &mut Cursor<'_>, count: usize) -> Result<Vec<(usize, u64)>, BytesError> {
    let len = cursor.count(9)?;
    let (mut list, mut behind) = (Vec::with_capacity(len), 0usize);
    for _ in 0..len {
        let step = cursor.varint()?;
        if step >= (count - behind) as u64 {
            return Err(cursor.error("an exception lies outside its page"));
        }
        let at = behind + step as usize;
        list.push((at, cursor.u64()?));
        behind = at + 1;
    }
    Ok(list)
}

#[cfg(test)]
mod tests;
