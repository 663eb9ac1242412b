//! Raw samples as Arrow record batches, for streams and for files.

use crate::json::text;
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, DictionaryArray, Float32Array, Float64Array, Int8Array, Int16Array,
    Int32Array, Int64Array, ListArray, RecordBatch, StringArray, TimestampNanosecondArray, UInt8Array,
    UInt16Array, UInt32Array, UInt64Array, new_null_array,
};
use arrow_buffer::{BooleanBuffer, Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use sample::{BytesColumn, Column, Kind, SampleBlock, ValueType};
use std::collections::HashMap;
use std::sync::Arc;

/// Key of the schema's metadata under which everything beside rows stands, as JSON.
pub const ARROW_METADATA_KEY: &str = "varve";

/// The schema of section 4.1, one for all channels of an answer, and its record batches.
#[derive(Clone, Debug)]
pub struct ArrowRows {
    schema: SchemaRef,
    /// Types of the value columns.
    types: Vec<ValueType>,
    edge: bool,
    channels: ChannelColumn,
}

fn data_type(value_type: ValueType) -> DataType {
    let scalar = match value_type.kind {
        Kind::Bool => DataType::Boolean,
        Kind::Enum | Kind::UInt16 => DataType::UInt16,
        Kind::Int8 => DataType::Int8,
        Kind::Int16 => DataType::Int16,
        Kind::Int32 => DataType::Int32,
        Kind::Int64 => DataType::Int64,
        Kind::UInt8 => DataType::UInt8,
        Kind::UInt32 => DataType::UInt32,
        Kind::UInt64 => DataType::UInt64,
        Kind::Float32 => DataType::Float32,
        Kind::Float64 => DataType::Float64,
        Kind::String => DataType::Utf8,
        Kind::Structure => DataType::Binary,
    };
    if value_type.array { DataType::List(item(scalar)) } else { scalar }
}

fn item(scalar: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", scalar, false))
}

/// The column that says which of an answer's channels a row is of.
pub(super) fn channel_field() -> Field {
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    Field::new("channel", dictionary, false)
}

/// That column: batches of one channel share it, as all their rows say the same.
#[derive(Clone, Debug)]
pub(super) struct ChannelColumn {
    /// Names of the channels, to which each row points.
    names: Arc<StringArray>,
    /// Rows of the present channel, as many as its largest batch had.
    rows: Option<DictionaryArray<Int32Type>>,
}

impl ChannelColumn {
    /// Of the channels `names`.
    pub(super) fn new(names: Vec<String>) -> ChannelColumn {
        ChannelColumn { names: Arc::new(StringArray::from(names)), rows: None }
    }

    /// For `count` rows of the channel at place `channel` among the names.
    pub(super) fn of(&mut self, channel: i32, count: usize) -> Result<ArrayRef, ArrowError> {
        let suits = |rows: &DictionaryArray<Int32Type>| {
            rows.len() >= count && rows.keys().values().first().is_none_or(|first| *first == channel)
        };
        let rows = match self.rows.take().filter(suits) {
            Some(rows) => rows,
            None => DictionaryArray::try_new(Int32Array::from(vec![channel; count]), self.names.clone())?,
        };
        let column = rows.slice(0, count);
        self.rows = Some(rows);
        Ok(Arc::new(column))
    }
}

/// A schema whose metadata says `told`, which is JSON.
pub(super) fn schema_of(fields: Vec<Field>, told: String) -> SchemaRef {
    let metadata = HashMap::from([(ARROW_METADATA_KEY.to_string(), told)]);
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

impl ArrowRows {
    /// Rows of the channels `names`, whose values have `types` (none: float64); `edge` adds that column, and `told`
    /// stands in the schema's metadata.
    pub fn new(names: Vec<String>, mut types: Vec<ValueType>, edge: bool, told: String) -> ArrowRows {
        if types.is_empty() {
            types.push(ValueType::scalar(Kind::Float64));
        }
        let time = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
        let mut fields = vec![channel_field(), Field::new("time", time, false)];
        match types.as_slice() {
            [only] => fields.push(Field::new("value", data_type(*only), false)),
            several => fields.extend(
                several.iter().map(|t| Field::new(format!("value_{}", t.name()), data_type(*t), true)),
            ),
        }
        fields.push(Field::new("severity", DataType::UInt8, false));
        fields.push(Field::new("status", DataType::UInt16, false));
        if edge {
            fields.push(Field::new("edge", DataType::Boolean, false));
        }
        ArrowRows { schema: schema_of(fields, told), types, edge, channels: ChannelColumn::new(names) }
    }

    /// The schema of all batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Samples of the channel at place `channel` among the names; `beside`: they lie beside the range. Values of a
    /// type that was not announced are an error.
    pub fn batch(
        &mut self,
        channel: i32,
        block: SampleBlock,
        beside: bool,
    ) -> Result<RecordBatch, ArrowError> {
        let count = block.len();
        let time = TimestampNanosecondArray::from(block.time).with_timezone("UTC");
        let mut columns: Vec<ArrayRef> = vec![self.channels.of(channel, count)?, Arc::new(time)];
        let mut own = Some(values(block.values)?);
        for value_type in &self.types {
            let of_type = own.take_if(|_| *value_type == block.run.value);
            columns.push(of_type.unwrap_or_else(|| new_null_array(&data_type(*value_type), count)));
        }
        if own.is_some() {
            let what = format!("values of type {} were not expected", block.run.value.name());
            return Err(ArrowError::SchemaError(what));
        }
        columns.push(Arc::new(UInt8Array::from(block.severity)));
        columns.push(Arc::new(UInt16Array::from(block.status)));
        if self.edge {
            columns.push(Arc::new(BooleanArray::from(vec![beside; count])));
        }
        RecordBatch::try_new(self.schema.clone(), columns)
    }
}

/// Ends as offsets: they were made to fit 32 bits, of which Arrow takes 31.
fn offsets(ends: &[u32]) -> Result<OffsetBuffer<i32>, ArrowError> {
    let mut offsets = Vec::with_capacity(ends.len() + 1);
    offsets.push(0);
    for end in ends {
        let end = i32::try_from(*end).map_err(|_| ArrowError::OffsetOverflowError(*end as usize))?;
        offsets.push(end);
    }
    Ok(OffsetBuffer::new(ScalarBuffer::from(offsets)))
}

fn strings(column: &BytesColumn) -> Result<ArrayRef, ArrowError> {
    let whole = StringArray::try_new(offsets(&column.ends)?, Buffer::from_slice_ref(&column.data), None);
    Ok(Arc::new(whole.unwrap_or_else(|_| {
        // Old servers send Latin-1.
        (0..column.len()).map(|i| Some(text(column.get(i)).into_owned())).collect()
    })))
}

/// A column; numbers are not copied.
fn values(column: Column) -> Result<ArrayRef, ArrowError> {
    Ok(match column {
        Column::Bool(v) => {
            Arc::new(BooleanArray::new(BooleanBuffer::collect_bool(v.len(), |i| v[i] != 0), None))
        }
        Column::Enum(v) | Column::UInt16(v) => Arc::new(UInt16Array::from(v)),
        Column::Int8(v) => Arc::new(Int8Array::from(v)),
        Column::Int16(v) => Arc::new(Int16Array::from(v)),
        Column::Int32(v) => Arc::new(Int32Array::from(v)),
        Column::Int64(v) => Arc::new(Int64Array::from(v)),
        Column::UInt8(v) => Arc::new(UInt8Array::from(v)),
        Column::UInt32(v) => Arc::new(UInt32Array::from(v)),
        Column::UInt64(v) => Arc::new(UInt64Array::from(v)),
        Column::Float32(v) => Arc::new(Float32Array::from(v)),
        Column::Float64(v) => Arc::new(Float64Array::from(v)),
        Column::String(v) => strings(&v)?,
        Column::Structure(v) => {
            Arc::new(BinaryArray::try_new(offsets(&v.ends)?, Buffer::from_slice_ref(&v.data), None)?)
        }
        Column::Array { ends, elements } => {
            let elements = values(*elements)?;
            let field = item(elements.data_type().clone());
            Arc::new(ListArray::try_new(field, offsets(&ends)?, elements, None)?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys of `count` rows of a channel.
    fn keys(column: &mut ChannelColumn, channel: i32, count: usize) -> ScalarBuffer<i32> {
        let rows = column.of(channel, count).unwrap();
        let rows = rows.as_any().downcast_ref::<DictionaryArray<Int32Type>>().unwrap();
        rows.keys().values().clone()
    }

    #[test]
    fn batches_of_one_channel_share_the_column_that_names_it() {
        let mut column = ChannelColumn::new(vec!["A".into(), "B".into()]);
        let first = keys(&mut column, 0, 1000);
        assert_eq!(*first, [0; 1000]);
        let second = keys(&mut column, 0, 700);
        assert_eq!((&*second, second.as_ptr()), ([0; 700].as_slice(), first.as_ptr()));
        assert_eq!(*keys(&mut column, 0, 1001), [0; 1001]);
        assert_eq!(*keys(&mut column, 1, 10), [1; 10]);
        assert!(keys(&mut column, 1, 0).is_empty());
        assert_eq!(*keys(&mut column, 0, 3), [0; 3]);
        // A place that no name has is no column.
        assert!(column.of(2, 1).is_err());
        assert_eq!(*keys(&mut column, 1, 3), [1; 3]);
    }
}
