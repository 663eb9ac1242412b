//! A MAT-file of gathered samples: for each channel a variable as the MATLAB client's `varve.samples` returns it.

mod described;
mod level5;
#[cfg(test)]
mod tests;
mod values;

use self::described::{array, double, int64};
use self::level5::{Numbers, VARIABLE_BYTES_MAX, Variable, compressed_tag, file_header, text};
use self::values::{cell, numbers_of};
use super::batches::Gathered;
use super::elements::{append, scalars};
use super::names::Names;
use super::part::Part;
use super::plan::Plan;
use super::survey::{Extent, Shape, survey};
use super::whole::{Output, Unjoined};
use crate::failure::Failure;
use retrieval_server::columns::Batch;
use sample::Column;
use serde_json::{Value, json};
use std::io::{self, Write};

/// What bounds variables and the memory that they take.
#[derive(Clone, Copy)]
struct Limits {
    /// Bytes of a variable.
    variable_bytes: u64,
    /// Bytes of columns of a matrix that are put together at once.
    columns_bytes: usize,
}

const LIMITS: Limits = Limits { variable_bytes: VARIABLE_BYTES_MAX, columns_bytes: 64 << 20 };

/// The fields of each variable, in order.
const FIELDS: [&str; 15] = [
    "name", "channel", "type", "time_ns", "datenum", "value", "severity", "status", "states", "label",
    "units", "metadata", "segments", "gaps", "range",
];

/// MATLAB's number of 1970-01-01.
const DATENUM_1970: f64 = 719_529.0;
const DAY_NS: i64 = 86_400_000_000_000;

/// Writes the file.
pub(super) fn join(part: &Part, output: &mut Output) -> Result<(), Unjoined> {
    join_within(part, output, LIMITS)
}

fn join_within(part: &Part, output: &mut Output, limits: Limits) -> Result<(), Unjoined> {
    let plan = part.plan();
    let mut gathered = Gathered::new(part);
    let extents = survey(&mut gathered, plan.channels.len())?;
    let mut names = Names::default();
    output.write_all(&file_header())?;
    let mut at = file_header().len() as u64;
    for (about, extent) in plan.channels.iter().zip(&extents) {
        let asked = about["name"].as_str().unwrap_or_default();
        let mut channel =
            Channel { name: names.take(asked), asked, about, plan, extent, gathered: &mut gathered, limits };
        let mut rehearsal = Variable::rehearsal();
        channel.put(&mut rehearsal)?;
        if rehearsal.bytes() > limits.variable_bytes {
            return Err(too_large(asked, rehearsal.bytes(), limits.variable_bytes).into());
        }
        output.write_all(&compressed_tag(0))?;
        let start = at + compressed_tag(0).len() as u64;
        let mut counted = Counted { output, bytes: 0 };
        let mut variable = Variable::after(rehearsal, &mut counted);
        channel.put(&mut variable)?;
        variable.finish()?;
        let bytes = counted.bytes;
        output.flush()?;
        output.get_ref().put_at(at, &compressed_tag(bytes))?;
        at = start + bytes;
    }
    Ok(())
}

fn too_large(name: &str, bytes: u64, most: u64) -> Failure {
    let source = io::Error::other(format!(
        "it would have {bytes} bytes, and a MAT-file of level 5 holds variables of at most {most}; \
         begin anew with a shorter range, or with --format parquet"
    ));
    Failure::Io { what: format!("make a MATLAB variable of {name}"), source }
}

/// Counts what goes through it.
struct Counted<'a> {
    output: &'a mut Output,
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.output.write(bytes)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A channel that becomes a variable.
struct Channel<'a, 'b> {
    /// The variable's name.
    name: String,
    /// The channel's name as it was asked for.
    asked: &'a str,
    /// What the plan says of it.
    about: &'a Value,
    plan: &'a Plan,
    extent: &'a Extent,
    gathered: &'a mut Gathered<'b>,
    limits: Limits,
}

impl Channel<'_, '_> {
    fn put(&mut self, to: &mut Variable<'_>) -> Result<(), Unjoined> {
        let none = json!({});
        let last = self.extent.segments.last();
        let metadata = last.map_or(&none, |segment| &segment.description["metadata"]);
        let last_type = last.map(|segment| segment.value_type.name()).unwrap_or_default();
        to.structure(&self.name, &FIELDS)?;
        to.put(&text(self.asked))?;
        to.put(&text(self.about["channel"].as_str().unwrap_or(self.asked)))?;
        to.put(&text(&last_type))?;
        self.column(to, Numbers::INT64, |bytes, batch| {
            bytes.extend(batch.block.time.iter().flat_map(|time| time.to_le_bytes()));
        })?;
        self.column(to, Numbers::DOUBLE, |bytes, batch| {
            bytes.extend(batch.block.time.iter().flat_map(|time| datenum(*time).to_le_bytes()));
        })?;
        self.values(to)?;
        self.column(to, Numbers::UINT8, |bytes, batch| bytes.extend(&batch.block.severity))?;
        self.column(to, Numbers::UINT16, |bytes, batch| {
            bytes.extend(batch.block.status.iter().flat_map(|status| status.to_le_bytes()));
        })?;
        to.put(&match &metadata["states"] {
            Value::Null => level5::cells([0, 0], &[]),
            states => array("states", states),
        })?;
        self.labels(to)?;
        to.put(&text(metadata["units"].as_str().unwrap_or_default()))?;
        to.put(&array("metadata", metadata))?;
        to.put(&self.segments())?;
        to.put(&array("gaps", &self.about["gaps"]))?;
        let range = [int64(self.plan.from_ns), int64(self.plan.to_ns)].concat();
        to.put(&level5::structures([1, 1], &["from_ns", "to_ns"], &range))?;
        to.end();
        Ok(())
    }

    /// One number a sample.
    fn column(
        &mut self,
        to: &mut Variable<'_>,
        numbers: Numbers,
        append: impl Fn(&mut Vec<u8>, &Batch),
    ) -> Result<(), Unjoined> {
        let Extent { place, batches, samples, .. } = *self.extent;
        to.numbers(numbers, [samples, 1], |to| {
            let mut bytes = Vec::new();
            self.gathered.each(place, batches, |batch| {
                bytes.clear();
                append(&mut bytes, batch);
                Ok(to.put(&bytes)?)
            })
        })
    }

    fn values(&mut self, to: &mut Variable<'_>) -> Result<(), Unjoined> {
        let Extent { place, batches, samples, .. } = *self.extent;
        let (value_type, width) = match self.extent.shape {
            Some(Shape::Matrix { value_type, width }) => (value_type, width),
            Some(Shape::Cells) => {
                to.cells(samples)?;
                self.gathered.each(place, batches, |batch| {
                    (0..batch.block.len()).try_for_each(|i| Ok(to.put(&cell(&batch.block.values, i))?))
                })?;
                to.end();
                return Ok(());
            }
            None => return Ok(to.put(&level5::numbers(Numbers::DOUBLE, [0, 1], &[]))?),
        };
        // Texts and structures are cells.
        let Some(numbers) = numbers_of(value_type.kind) else { return Ok(()) };
        if width == 1 {
            return self.column(to, numbers, |bytes, batch| {
                let values = scalars(&batch.block.values);
                append(bytes, values, 0..values.len());
            });
        }
        to.numbers(numbers, [samples, width], |to| self.transposed(to, numbers, width))
    }

    /// Rows as columns, as many at a time as may be in memory.
    fn transposed(&mut self, to: &mut Variable<'_>, numbers: Numbers, width: usize) -> Result<(), Unjoined> {
        let Extent { place, batches, samples, .. } = *self.extent;
        let column_bytes = samples.saturating_mul(numbers.width).max(1);
        let at_once = (self.limits.columns_bytes / column_bytes).clamp(1, width);
        for first in (0..width).step_by(at_once) {
            let mut columns = vec![Vec::new(); at_once.min(width - first)];
            self.gathered.each(place, batches, |batch| {
                let values = scalars(&batch.block.values);
                for (k, column) in columns.iter_mut().enumerate() {
                    for row in 0..batch.block.len() {
                        let element = row * width + first + k;
                        append(column, values, element..element + 1);
                    }
                    if at_once == 1 {
                        to.put(column)?;
                        column.clear();
                    }
                }
                Ok(())
            })?;
            columns.iter().try_for_each(|column| to.put(column))?;
        }
        Ok(())
    }

    /// The name of each value where all are indices of states, else no cells.
    fn labels(&mut self, to: &mut Variable<'_>) -> Result<(), Unjoined> {
        let Extent { place, batches, samples, .. } = *self.extent;
        if !self.extent.is_enum() {
            return Ok(to.put(&level5::cells([0, 0], &[]))?);
        }
        to.cells(samples)?;
        self.gathered.each(place, batches, |batch| {
            let Column::Enum(indices) = &batch.block.values else { return Ok(()) };
            let states = batch.json["metadata"]["states"].as_array();
            let known: Vec<Vec<u8>> =
                states.into_iter().flatten().map(|state| text(state.as_str().unwrap_or_default())).collect();
            indices.iter().try_for_each(|index| match known.get(usize::from(*index)) {
                Some(label) => Ok(to.put(label)?),
                None => Ok(to.put(&text(&index.to_string()))?),
            })
        })?;
        to.end();
        Ok(())
    }

    fn segments(&self) -> Vec<u8> {
        let mut content = Vec::new();
        for segment in &self.extent.segments {
            #[expect(clippy::cast_precision_loss, reason = "a variable holds less than 2^31 samples")]
            let numbers = [segment.first as f64, segment.last as f64].map(double);
            content.extend(numbers.concat());
            content.extend(text(&segment.value_type.name()));
            content.extend(array("metadata", &segment.description["metadata"]));
        }
        let count = self.extent.segments.len();
        level5::structures([usize::from(count > 0), count], &["first", "last", "type", "metadata"], &content)
    }
}

/// Days since the year 0, in UTC, as nearly as a double holds them.
#[expect(clippy::cast_precision_loss, reason = "days are few, and a day's nanoseconds are rounded for that")]
fn datenum(time_ns: i64) -> f64 {
    let (days, rest) = (time_ns.div_euclid(DAY_NS), time_ns.rem_euclid(DAY_NS));
    DATENUM_1970 + days as f64 + rest as f64 / DAY_NS as f64
}
