//! What all samples of each channel are together, for an array's shape stands before its elements.

use super::batches::{Gathered, Place};
use super::elements::elements;
use crate::failure::Failure;
use sample::{Column, Kind, SampleBlock, ValueType};
use serde_json::Value;

/// How a channel's values stand in an array.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// A row a sample of so many elements of one type; scalars are rows of one.
    Matrix {
        /// Type of the values.
        value_type: ValueType,
        /// Elements of a row.
        width: usize,
    },
    /// A cell a sample: texts, arrays of different lengths, several types.
    Cells,
}

impl Shape {
    fn of(values: &Column) -> Shape {
        let value_type = values.value_type();
        if value_type.kind.width().is_none() {
            return Shape::Cells;
        }
        let width = match values {
            Column::Array { ends, .. } => {
                let width = elements(ends, 0).len();
                let same = (1..ends.len()).all(|i| elements(ends, i).len() == width);
                if same { width } else { 0 }
            }
            _ => 1,
        };
        if width == 0 { Shape::Cells } else { Shape::Matrix { value_type, width } }
    }
}

/// Samples one behind the other with one type and the same metadata.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Segment {
    /// Number of its first sample, from 1.
    pub(super) first: u64,
    /// Number of its last.
    pub(super) last: u64,
    /// Type of its values.
    pub(super) value_type: ValueType,
    /// What the batches say of it.
    pub(super) description: Value,
}

/// A channel's samples.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Extent {
    /// Where its batches begin.
    pub(super) place: Place,
    /// How many there are.
    pub(super) batches: usize,
    /// Samples in them.
    pub(super) samples: usize,
    /// What they are; `None` without samples.
    pub(super) shape: Option<Shape>,
    /// Its segments.
    pub(super) segments: Vec<Segment>,
}

impl Extent {
    fn none() -> Extent {
        Extent { place: Place::FIRST, batches: 0, samples: 0, shape: None, segments: Vec::new() }
    }

    fn take(&mut self, place: Place, block: &SampleBlock, description: Value) {
        if self.batches == 0 {
            self.place = place;
        }
        self.batches += 1;
        let first = self.samples as u64 + 1;
        self.samples += block.len();
        let last = self.samples as u64;
        let shape = Shape::of(&block.values);
        self.shape = match self.shape {
            Some(other) if other != shape => Some(Shape::Cells),
            _ => Some(shape),
        };
        match self.segments.last_mut() {
            Some(segment) if segment.description == description => segment.last = last,
            _ => {
                let value_type = block.run.value;
                self.segments.push(Segment { first, last, value_type, description });
            }
        }
    }

    /// Whether all values are indices of states.
    pub(super) fn is_enum(&self) -> bool {
        let is = |segment: &Segment| segment.value_type == ValueType::scalar(Kind::Enum);
        !self.segments.is_empty() && self.segments.iter().all(is)
    }
}

/// The samples of each of `channels` channels.
pub(super) fn survey(gathered: &mut Gathered<'_>, channels: usize) -> Result<Vec<Extent>, Failure> {
    let mut extents = vec![Extent::none(); channels];
    let mut place = Place::FIRST;
    while let Some((batch, begins, behind)) = gathered.batch(place)? {
        // Of an index that the plan lacks nothing was ever written.
        if let Some(extent) = extents.get_mut(batch.channel_index as usize)
            && !batch.block.is_empty()
        {
            extent.take(begins, &batch.block, batch.json);
        }
        place = behind;
    }
    Ok(extents)
}
