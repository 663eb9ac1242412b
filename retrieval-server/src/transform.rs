//! What a request may do to values on their way out: element slices, state names, widening.

use crate::json::{Elements, text};
use crate::query::Query;
use sample::{BytesColumn, Column, Kind, Metadata, SampleBlock};

/// The one type that values become.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Widen {
    /// Doubles; text that is no number and structures become NaN.
    Float64,
    /// Text; enums become their state names.
    String,
}

/// `elements=`, `enum=` and `as=` of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Transform {
    /// Elements of arrays to keep: first, first behind.
    pub elements: Option<(usize, usize)>,
    /// Whether enums become their state names.
    pub labels: bool,
    /// The type that all values become.
    pub widen: Option<Widen>,
}

impl Transform {
    /// From a checked query.
    pub(crate) fn of(query: &Query) -> Transform {
        let widen = match query.choice("as") {
            Some("float64") => Some(Widen::Float64),
            Some("string") => Some(Widen::String),
            _ => None,
        };
        Transform { elements: query.elements(), labels: query.choice("enum") == Some("label"), widen }
    }

    /// The values and their type after the transformation. `metadata` is that of all samples of `block`.
    pub(crate) fn apply(&self, mut block: SampleBlock, metadata: Option<&Metadata>) -> SampleBlock {
        if let Some((first, behind)) = self.elements {
            block.values = sliced(block.values, first, behind);
        }
        let labels = (self.labels && self.widen != Some(Widen::Float64)) || self.widen == Some(Widen::String);
        if labels && block.run.value.kind == Kind::Enum {
            let states = metadata.and_then(|m| m.states.as_deref()).unwrap_or(&[]);
            block.values = each(block.values, |enums| labelled(enums, states));
        }
        match self.widen {
            None => {}
            Some(Widen::Float64) => block.values = each(block.values, |v| Column::Float64(numbers(v))),
            Some(Widen::String) => block.values = each(block.values, texts),
        }
        block.run.value = block.values.value_type();
        if self.widen.is_some() {
            block.run.descriptor = None;
            block.run.metadata_known = true;
        }
        block
    }
}

/// Applies `change` to scalars or to the elements of arrays.
fn each(column: Column, change: impl Fn(&Column) -> Column) -> Column {
    match column {
        Column::Array { ends, elements } => Column::Array { ends, elements: Box::new(change(&elements)) },
        scalars => change(&scalars),
    }
}

fn sliced(column: Column, first: usize, behind: usize) -> Column {
    if !matches!(column, Column::Array { .. }) {
        return column;
    }
    let Column::Array { ends, elements } = &column else { return column };
    let mut kept = Column::new(elements.value_type());
    let mut kept_ends = Vec::with_capacity(ends.len());
    for i in 0..ends.len() {
        let row = column.elements(i);
        let from = row.start.saturating_add(first).min(row.end);
        let to = row.start.saturating_add(behind).min(row.end);
        kept.append(elements, from, to.max(from));
        // No more elements than before, whose ends fit.
        kept_ends.push(u32::try_from(kept.len()).unwrap_or(u32::MAX));
    }
    Column::Array { ends: kept_ends, elements: Box::new(kept) }
}

fn labelled(enums: &Column, states: &[Box<[u8]>]) -> Column {
    let Column::Enum(indices) = enums else { return enums.clone() };
    let mut out = BytesColumn::default();
    for index in indices {
        match states.get(usize::from(*index)) {
            Some(state) => out.push(state),
            None => out.push(index.to_string().as_bytes()),
        }
    }
    Column::String(out)
}

fn numbers(column: &Column) -> Vec<f64> {
    let mut out = Vec::new();
    match column {
        Column::String(v) => {
            (0..v.len()).map(|i| text(v.get(i)).trim().parse().unwrap_or(f64::NAN)).collect()
        }
        scalars if scalars.numbers(&mut out) => out,
        // Structures.
        other => vec![f64::NAN; other.len()],
    }
}

fn texts(column: &Column) -> Column {
    if matches!(column, Column::String(_)) {
        return column.clone();
    }
    let numbers = crate::json::Numbers::default();
    let mut out = BytesColumn::default();
    let mut one = Vec::new();
    for i in 0..column.len() {
        one.clear();
        numbers.scalar(&mut one, column, i);
        // Non-finite numbers and structures come as JSON strings; here they are text already.
        let bare = one.strip_prefix(b"\"").and_then(|b| b.strip_suffix(b"\"")).unwrap_or(&one);
        out.push(bare);
    }
    Column::String(out)
}
