//! Columns of a block as bytes: each by the model or the codec that makes it smallest.

use super::borrowed::SiblingColumn;
use super::choice::{ColumnChoices, Written};
use super::encode::Sibling;
use super::known::{self, Chosen, ColumnModels};
use crate::codec::integer::IntegerEncoder;
use crate::codec::pco::PcoColumn;
use crate::codec::sibling::{self, SiblingModel};
use crate::codec::time::TimeModel;
use crate::codec::{Profile, ValueModel, by_class, fixed_bytes, text, trial_of};
use crate::format::*;
use disk::put_varint;
use pco::DeltaSpec;
use pco::data_types::Number;
use sample::{ChannelId, Column};
use std::ops::Range;

/// Bytes that a value in a column takes at most as a rule.
const BYTES_EXPECTED: usize = 2;
/// Columns of fewer numbers are not tried with pco, whose tables take too much of them.
const PCO_VALUES_MIN: usize = 64;
/// Two pages in place of one may make a column of pco's that is slow to decode larger by one part in so many.
const PAGES_COST: usize = 128;
/// zstd is taken where pco takes at least so many times its bytes without looking back.
const COPIED_GAIN: usize = 2;
/// Differences from a sibling's stamps, slower to decode, have to be smaller by more than one part in so many.
const SIBLING_GAIN: usize = 8;

/// One column, encoded.
pub(super) struct EncodedColumn {
    pub(super) tag: ColumnTag,
    pub(super) codec: ColumnCodec,
    pub(super) parameters: Vec<u8>,
    /// Segments of all pages, one after the other.
    pub(super) data: Vec<u8>,
    /// Where each page's segment ends in `data`; empty where the column has none.
    pub(super) ends: Vec<usize>,
}

impl EncodedColumn {
    /// Bytes of the column in header and pages.
    pub(super) fn bytes(&self) -> usize {
        self.parameters.len() + self.data.len()
    }
}

pub(super) fn header_column(tag: ColumnTag, codec: ColumnCodec, parameters: Vec<u8>) -> EncodedColumn {
    EncodedColumn { tag, codec, parameters, data: Vec::new(), ends: Vec::new() }
}

pub(super) fn reference_column(channel: ChannelId) -> EncodedColumn {
    let mut parameters = Vec::new();
    put_varint(&mut parameters, channel.0);
    header_column(ColumnTag::Time, ColumnCodec::TimeReference, parameters)
}

fn time_column(
    times: &[i64],
    pages: &[Range<usize>],
    profile: Profile,
    known: &mut ColumnModels,
) -> EncodedColumn {
    let again = |known: &Chosen<TimeModel>| {
        let mut integers = IntegerEncoder::expecting(profile, known.deltas);
        known.model.suits(times).then(|| pages_of_time(known.model, times, pages, &mut integers)).flatten()
    };
    let fitted = || {
        let mut integers = IntegerEncoder::new(profile);
        let mut model = TimeModel::fit(times, pages[0].len(), &mut integers);
        let mut column = pages_of_time(model, times, pages, &mut integers);
        if column.is_none() {
            (model, integers) = (model.without_grid(), IntegerEncoder::new(profile));
            column = pages_of_time(model, times, pages, &mut integers);
        }
        let column = column.unwrap_or_else(|| header_column(ColumnTag::Time, ColumnCodec::Steps, Vec::new()));
        (column, Chosen { model, deltas: integers.deltas_won() })
    };
    known::write(&mut known.times, profile, times.len(), again, fitted)
}

fn pages_of_time(
    model: TimeModel,
    times: &[i64],
    pages: &[Range<usize>],
    integers: &mut IntegerEncoder,
) -> Option<EncodedColumn> {
    let mut parameters = Vec::new();
    model.put_parameters(&mut parameters);
    let mut column = header_column(ColumnTag::Time, model.codec(), parameters);
    column.data.reserve(times.len() * BYTES_EXPECTED);
    for page in pages {
        if !model.encode_page(&times[page.clone()], integers, &mut column.data) {
            return None;
        }
        column.ends.push(column.data.len());
    }
    Some(column)
}

/// The column as differences from a sibling's, if that may be smaller, and whether it clearly is.
fn sibling_column(
    times: &[i64],
    pages: &[Range<usize>],
    profile: Profile,
    sibling: &Sibling,
) -> Option<(EncodedColumn, bool)> {
    let own = TimeModel::fit(times, pages[0].len(), &mut IntegerEncoder::new(profile));
    let model = SiblingModel::fit(times, &sibling.times, own.unit())?;
    let own_bytes = own.trial_bytes(times);
    if model.trial_bytes(times, &sibling.times) >= own_bytes - own_bytes / SIBLING_GAIN {
        return None;
    }
    let rows = model.rows(times, &sibling.times);
    let mut column = SiblingColumn { model, chunks: sibling.chunks.clone(), windows: Vec::new() };
    let mut encoded = header_column(ColumnTag::Time, ColumnCodec::Sibling, Vec::new());
    let mut integers = IntegerEncoder::new(profile);
    for page in pages {
        let rows = &rows[page.clone()];
        let data = &mut encoded.data;
        model.encode_page(&times[page.clone()], times[0], rows, &sibling.times, &mut integers, data);
        encoded.ends.push(encoded.data.len());
        column.windows.push(sibling::window(rows));
    }
    column.put_parameters(times[0], &mut encoded.parameters);
    let expected = own_bytes * times.len() / trial_of(times.len());
    let clear = encoded.bytes() < expected - expected / SIBLING_GAIN;
    Some((encoded, clear))
}

/// The column by its model, or in the cold profile by pco or as differences from a sibling's where that is smaller.
pub(super) fn time_column_of(
    times: &[i64],
    pages: &[Range<usize>],
    profile: Profile,
    sibling: Option<&Sibling>,
    known: &mut ColumnModels,
    choices: &mut ColumnChoices,
) -> EncodedColumn {
    let near = match sibling.and_then(|sibling| sibling_column(times, pages, profile, sibling)) {
        Some((near, true)) => return near,
        near => near.map(|(near, _)| near),
    };
    let here = column_here(times, pages, profile, known, choices);
    near.filter(|near| near.bytes() < here.bytes()).unwrap_or(here)
}

/// The column of stamps that stand in the chunk.
fn column_here(
    times: &[i64],
    pages: &[Range<usize>],
    profile: Profile,
    known: &mut ColumnModels,
    choices: &mut ColumnChoices,
) -> EncodedColumn {
    let mut own = || time_column(times, pages, profile, known);
    if profile == Profile::Hot || times.len() < PCO_VALUES_MIN {
        return own();
    }
    choices.choose(ColumnTag::Time, own, |written| {
        pco_column(ColumnTag::Time, times, pages, &mut written.delta).map(|(column, _)| column)
    })
}

/// As [`time_column_of`], of values.
pub(super) fn value_column_of(
    tag: ColumnTag,
    values: &Column,
    pages: &[Range<usize>],
    profile: Profile,
    choices: &mut ColumnChoices,
) -> EncodedColumn {
    let own = || value_column(tag, values, pages, profile);
    pco_or(own, tag, values, [pages, pages], profile, choices)
}

/// What `own` writes, or in the cold profile pco where that is smaller, in the pages that suit it of two ways to cut: the
/// second has fewer.
pub(super) fn pco_or(
    own: impl FnOnce() -> EncodedColumn,
    tag: ColumnTag,
    values: &Column,
    pages: [&[Range<usize>]; 2],
    profile: Profile,
    choices: &mut ColumnChoices,
) -> EncodedColumn {
    if profile == Profile::Hot || values.len() < PCO_VALUES_MIN || constant(values).is_some() {
        return own();
    }
    by_class!(values,
        integers v => choices.choose(tag, own, |written| pco_or_copied(tag, values, v, pages, written)),
        floats v => choices.choose(tag, own, |written| pco_or_copied(tag, values, v, pages, written)),
        texts _v => own(),
        arrays _ends _elements => own())
}

/// What pco writes, or zstd of the bytes, which copies many values at once, where that takes clearly less, or less than
/// values that pco looks back for: both find cycles, zstd shorter ones.
fn pco_or_copied<T: Number>(
    tag: ColumnTag,
    column: &Column,
    values: &[T],
    pages: [&[Range<usize>]; 2],
    written: &mut Written,
) -> Option<EncodedColumn> {
    let copied = |profile| {
        pages_of_values(&ValueModel::Compressed, tag, column, pages[1], &mut IntegerEncoder::new(profile))
    };
    let pco = match written.copied {
        Some(true) => return Some(copied(Profile::Cold)),
        _ => paged_column(tag, values, pages, written)?,
    };
    let looks_back = matches!(written.delta, DeltaSpec::TryLookback);
    let gain = if looks_back { 1 } else { COPIED_GAIN };
    let suits = |pco: &EncodedColumn| gain * copied(Profile::Hot).bytes() <= pco.bytes();
    let is_copied = *written.copied.get_or_insert_with(|| suits(&pco));
    Some(if is_copied { copied(Profile::Cold) } else { pco })
}

/// The numbers as pco writes them, in whichever pages take less; where it has to multiply each, in more pages unless fewer
/// take noticeably less. `None` when it refuses.
fn paged_column<T: Number>(
    tag: ColumnTag,
    values: &[T],
    [more, fewer]: [&[Range<usize>]; 2],
    written: &mut Written,
) -> Option<EncodedColumn> {
    let known = if more.len() == fewer.len() { Some(false) } else { written.whole };
    if let Some(whole) = known {
        let pages = if whole { fewer } else { more };
        return pco_column(tag, values, pages, &mut written.delta).map(|(column, _)| column);
    }
    let mut of_whole = DeltaSpec::Auto;
    let (paged, multiplied) = pco_column(tag, values, more, &mut written.delta)?;
    let (whole, _) = pco_column(tag, values, fewer, &mut of_whole)?;
    let allowed = if multiplied { whole.bytes() / PAGES_COST } else { 0 };
    let is_whole = whole.bytes() + allowed < paged.bytes();
    written.whole = Some(is_whole);
    if is_whole {
        written.delta = of_whole;
    }
    Some(if is_whole { whole } else { paged })
}

/// The numbers as pco writes them, and whether it multiplies each; `None` when it refuses.
fn pco_column<T: Number>(
    tag: ColumnTag,
    values: &[T],
    pages: &[Range<usize>],
    delta: &mut DeltaSpec,
) -> Option<(EncodedColumn, bool)> {
    let mut column = header_column(tag, ColumnCodec::Pco, Vec::new());
    let (pco, multiplied) = PcoColumn::encode(values, pages, delta, &mut column.data, &mut column.ends)?;
    pco.put_parameters(&mut column.parameters);
    Some((column, multiplied))
}

fn value_column(tag: ColumnTag, values: &Column, pages: &[Range<usize>], profile: Profile) -> EncodedColumn {
    if let Some(constant) = constant(values) {
        return header_column(tag, ColumnCodec::Constant, constant);
    }
    let mut integers = IntegerEncoder::new(profile);
    let model = ValueModel::fit(values, &mut integers);
    pages_of_values(&model, tag, values, pages, &mut integers)
}

/// The column of values, whose models are remembered where they are numbers.
pub(super) fn known_column(
    values: &Column,
    pages: &[Range<usize>],
    profile: Profile,
    known: &mut ColumnModels,
) -> EncodedColumn {
    if !ValueModel::outlasts(values) {
        return value_column(ColumnTag::Value, values, pages, profile);
    }
    if let Some(constant) = constant(values) {
        return header_column(ColumnTag::Value, ColumnCodec::Constant, constant);
    }
    let again = |known: &Chosen<ValueModel>| {
        let mut integers = IntegerEncoder::expecting(profile, known.deltas);
        let write = || pages_of_values(&known.model, ColumnTag::Value, values, pages, &mut integers);
        known.model.suits(values).then(write)
    };
    let fitted = || {
        let mut integers = IntegerEncoder::new(profile);
        let model = ValueModel::fit(values, &mut integers);
        let column = pages_of_values(&model, ColumnTag::Value, values, pages, &mut integers);
        (column, Chosen { model, deltas: integers.deltas_won() })
    };
    let kind = values.kind();
    let mut of_kind = known.values.take().and_then(|(known, model)| (known == kind).then_some(model));
    let column = known::write(&mut of_kind, profile, values.len(), again, fitted);
    known.values = of_kind.map(|model| (kind, model));
    column
}

fn pages_of_values(
    model: &ValueModel,
    tag: ColumnTag,
    values: &Column,
    pages: &[Range<usize>],
    integers: &mut IntegerEncoder,
) -> EncodedColumn {
    let mut parameters = Vec::new();
    model.put_parameters(&mut parameters);
    let mut column = header_column(tag, model.codec(), parameters);
    column.data.reserve(values.len() * BYTES_EXPECTED);
    for page in pages {
        model.encode(values, page.clone(), integers, &mut column.data);
        column.ends.push(column.data.len());
    }
    // What no model makes smaller is copied fastest.
    let plain =
        values.kind().width().filter(|_| ValueModel::outlasts(values)).map(|width| width * values.len());
    if integers.profile() == Profile::Cold
        && plain.is_some_and(|plain| column.data.len() >= plain)
        && values.len() >= PCO_VALUES_MIN
    {
        return plain_column(tag, values, pages);
    }
    column
}

/// Fixed-width values as their bytes.
fn plain_column(tag: ColumnTag, values: &Column, pages: &[Range<usize>]) -> EncodedColumn {
    let mut column = header_column(tag, ColumnCodec::Compressed, Vec::new());
    for page in pages {
        text::put_plain(&fixed_bytes(values, page.clone()), &mut column.data);
        column.ends.push(column.data.len());
    }
    column
}

/// The bytes of the one value that all are, if they are one.
fn constant(values: &Column) -> Option<Vec<u8>> {
    by_class!(values,
        integers v => v[1..] == v[..v.len() - 1],
        floats v => v.iter().all(|value| value.to_bits() == v[0].to_bits()),
        texts v => {
            return (v.get(0).len() <= CONSTANT_TEXT_BYTES_MAX && (1..v.len()).all(|i| v.get(i) == v.get(0)))
                .then(|| v.get(0).to_vec());
        },
        arrays _ends _elements => false)
    .then(|| fixed_bytes(values, 0..1))
}
