//! Bins as an Arrow stream.

use super::arrow::ArrowStream;
use super::arrow_rows::{ChannelColumn, channel_field, schema_of};
use crate::bin_table::{BinTable, Cells, NO_TIME, States};
use crate::output::{Stopped, Writer};
use arrow_array::builder::{Int64Builder, MapBuilder, StringBuilder};
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, UInt8Array, UInt64Array};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use std::sync::Arc;

/// Of section 4.2: `channel`, then the columns of the bins, then `states` if that was asked for.
pub(super) struct ArrowBins {
    schema: SchemaRef,
    channels: ChannelColumn,
    stream: ArrowStream,
}

impl ArrowBins {
    /// Of the channels `names`; `told` will stand in the schema's metadata.
    pub(super) fn new(names: Vec<String>, told: String) -> ArrowBins {
        let (schema, channels) = (schema_of(vec![channel_field()], told), ChannelColumn::new(names));
        ArrowBins { schema, channels, stream: ArrowStream::default() }
    }

    /// Begins with columns as those of `table`; `states` adds that one.
    pub(super) fn start(
        &mut self,
        out: &mut Writer<'_>,
        table: &BinTable,
        states: bool,
    ) -> Result<(), Stopped> {
        let mut fields: Vec<Arc<Field>> = self.schema.fields().iter().cloned().collect();
        let column = |(name, cells): &(&'static str, Cells)| Field::new(*name, data_type(cells), true);
        fields.extend(table.columns.iter().map(column).map(Arc::new));
        if states {
            fields.push(Arc::new(states_field()));
        }
        self.schema = Arc::new(Schema::new_with_metadata(fields, self.schema.metadata().clone()));
        self.stream.start(out, &self.schema)
    }

    /// Bins of the channel at place `channel` among the names.
    pub(super) fn write(
        &mut self,
        out: &mut Writer<'_>,
        channel: i32,
        table: &BinTable,
    ) -> Result<(), Stopped> {
        let batch = self.batch(channel, table);
        self.stream.write(out, batch)
    }

    fn batch(&mut self, channel: i32, table: &BinTable) -> Result<RecordBatch, ArrowError> {
        let mut columns = vec![self.channels.of(channel, table.len())?];
        columns.extend(table.columns.iter().map(|(_, cells)| column(cells)));
        if let Some(states) = &table.states {
            columns.push(states_column(states, table.len())?);
        }
        RecordBatch::try_new(self.schema.clone(), columns)
    }

    pub(super) fn end(&mut self, out: &mut Writer<'_>) -> Result<(), Stopped> {
        self.stream.end(out)
    }
}

fn data_type(cells: &Cells) -> DataType {
    match cells {
        Cells::Times(_) => DataType::Int64,
        Cells::Counts(_) => DataType::UInt64,
        Cells::Numbers(_) => DataType::Float64,
        Cells::Severities(_) => DataType::UInt8,
    }
}

fn column(cells: &Cells) -> ArrayRef {
    match cells {
        Cells::Times(v) => Arc::new(v.iter().map(|t| (*t != NO_TIME).then_some(*t)).collect::<Int64Array>()),
        Cells::Counts(v) => Arc::new(v.iter().map(|n| u64::try_from(*n).ok()).collect::<UInt64Array>()),
        Cells::Numbers(v) => Arc::new(v.iter().copied().collect::<Float64Array>()),
        Cells::Severities(v) => Arc::new(UInt8Array::from(v.clone())),
    }
}

fn states_builder() -> MapBuilder<StringBuilder, Int64Builder> {
    MapBuilder::new(None, StringBuilder::new(), Int64Builder::new()).with_values_field(Field::new(
        "values",
        DataType::Int64,
        false,
    ))
}

/// ns by name of state.
fn states_field() -> Field {
    let entries = DataType::Struct(
        vec![Field::new("keys", DataType::Utf8, false), Field::new("values", DataType::Int64, false)].into(),
    );
    let entries = Field::new("entries", entries, false);
    Field::new("states", DataType::Map(Arc::new(entries), false), true)
}

/// One map a bin, with the states that occur in the table, rising.
fn states_column(states: &States, bins: usize) -> Result<ArrayRef, ArrowError> {
    let mut maps = states_builder();
    let width = states.labels.len();
    for bin in 0..bins {
        for (label, ns) in states.labels.iter().zip(&states.ns[bin * width..]) {
            maps.keys().append_value(label);
            maps.values().append_value(*ns);
        }
        maps.append(true)?;
    }
    Ok(Arc::new(maps.finish()))
}
