//! Raw samples as an Arrow stream; the one place that knows Arrow.

use super::{Beside, Closing, Ending, Format, Side};
use crate::error::{ApiError, Code};
use crate::json::text;
use crate::names::Target;
use crate::output::{Stopped, Writer};
use crate::routes::ARROW_MEDIA_TYPE;
use crate::segments::Segment;
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, DictionaryArray, Float32Array, Float64Array, Int8Array, Int16Array,
    Int32Array, Int64Array, ListArray, RecordBatch, StringArray, TimestampNanosecondArray, UInt8Array,
    UInt16Array, UInt32Array, UInt64Array, new_null_array,
};
use arrow_buffer::{BooleanBuffer, Buffer, OffsetBuffer, ScalarBuffer};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use sample::{BytesColumn, Column, Kind, SampleBlock, TimeRange, ValueType};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// Key of the schema's metadata under which everything beside samples stands, as JSON.
const KEY: &str = "varve";

/// The schema of section 4.1: one for the whole answer.
pub(crate) struct ArrowFormat {
    schema: SchemaRef,
    /// Types of the value columns.
    types: Vec<ValueType>,
    edge: bool,
    /// Names of the channels, to which each row points.
    names: Arc<StringArray>,
    /// Place of the present channel among them.
    channel: i32,
    stream: Option<StreamWriter<Vec<u8>>>,
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

impl ArrowFormat {
    /// Of the channels `names`, whose values have `types`; `told` stands in the schema's metadata.
    pub(crate) fn new(names: Vec<String>, types: Vec<ValueType>, edge: bool, told: &Value) -> ArrowFormat {
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let time = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
        let mut fields = vec![Field::new("channel", dictionary, false), Field::new("time", time, false)];
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
        let metadata = HashMap::from([(KEY.to_string(), told.to_string())]);
        ArrowFormat {
            schema: Arc::new(Schema::new_with_metadata(fields, metadata)),
            types,
            edge,
            names: Arc::new(StringArray::from(names)),
            channel: -1,
            stream: None,
        }
    }

    fn batch(&self, block: &SampleBlock, beside: bool) -> Result<RecordBatch, ArrowError> {
        let count = block.len();
        let keys = Int32Array::from(vec![self.channel; count]);
        let time = TimestampNanosecondArray::from(block.time.clone()).with_timezone("UTC");
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(DictionaryArray::<Int32Type>::try_new(keys, self.names.clone())?), Arc::new(time)];
        let mut found = false;
        for value_type in &self.types {
            if *value_type == block.run.value {
                found = true;
                columns.push(values(&block.values)?);
            } else {
                columns.push(new_null_array(&data_type(*value_type), count));
            }
        }
        if !found {
            let what = format!("values of type {} were not expected", block.run.value.name());
            return Err(ArrowError::SchemaError(what));
        }
        columns.push(Arc::new(UInt8Array::from(block.severity.clone())));
        columns.push(Arc::new(UInt16Array::from(block.status.clone())));
        if self.edge {
            columns.push(Arc::new(BooleanArray::from(vec![beside; count])));
        }
        RecordBatch::try_new(self.schema.clone(), columns)
    }

    fn write(&mut self, out: &mut Writer<'_>, block: &SampleBlock, beside: bool) -> Result<(), Stopped> {
        let batch = self.batch(block, beside).map_err(|error| broken(out, &error))?;
        if let Some(stream) = &mut self.stream {
            stream.write(&batch).map_err(|error| broken(out, &error))?;
        }
        self.hand_over(out)
    }

    fn hand_over(&mut self, out: &mut Writer<'_>) -> Result<(), Stopped> {
        match &mut self.stream {
            Some(stream) => out.put(&std::mem::take(stream.get_mut())),
            None => Ok(()),
        }
    }
}

fn broken(out: &Writer<'_>, error: &ArrowError) -> Stopped {
    let error = ApiError::of(Code::Unavailable, format!("the answer does not fit into Arrow: {error}"));
    if out.started() { Stopped::Broken(error) } else { Stopped::Refused(error) }
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

/// A column, copied whole.
fn values(column: &Column) -> Result<ArrayRef, ArrowError> {
    Ok(match column {
        Column::Bool(v) => {
            Arc::new(BooleanArray::new(BooleanBuffer::collect_bool(v.len(), |i| v[i] != 0), None))
        }
        Column::Enum(v) | Column::UInt16(v) => Arc::new(UInt16Array::from(v.clone())),
        Column::Int8(v) => Arc::new(Int8Array::from(v.clone())),
        Column::Int16(v) => Arc::new(Int16Array::from(v.clone())),
        Column::Int32(v) => Arc::new(Int32Array::from(v.clone())),
        Column::Int64(v) => Arc::new(Int64Array::from(v.clone())),
        Column::UInt8(v) => Arc::new(UInt8Array::from(v.clone())),
        Column::UInt32(v) => Arc::new(UInt32Array::from(v.clone())),
        Column::UInt64(v) => Arc::new(UInt64Array::from(v.clone())),
        Column::Float32(v) => Arc::new(Float32Array::from(v.clone())),
        Column::Float64(v) => Arc::new(Float64Array::from(v.clone())),
        Column::String(v) => strings(v)?,
        Column::Structure(v) => {
            Arc::new(BinaryArray::try_new(offsets(&v.ends)?, Buffer::from_slice_ref(&v.data), None)?)
        }
        Column::Array { ends, elements } => {
            let elements = values(elements)?;
            let field = item(elements.data_type().clone());
            Arc::new(ListArray::try_new(field, offsets(ends)?, elements, None)?)
        }
    })
}

impl Format for ArrowFormat {
    fn media_type(&self) -> &'static str {
        ARROW_MEDIA_TYPE
    }

    fn tells_problems(&self) -> bool {
        false
    }

    fn sample_bytes(&self, _name: &str, value_bytes: u64, _value_text: u64) -> u64 {
        value_bytes + 4 + 8 + 1 + 2
    }

    fn start(&mut self, out: &mut Writer<'_>, _range: TimeRange) -> Result<(), Stopped> {
        let stream = StreamWriter::try_new(Vec::new(), &self.schema).map_err(|error| broken(out, &error))?;
        self.stream = Some(stream);
        self.hand_over(out)
    }

    fn refused(&mut self, _out: &mut Writer<'_>, _target: &Target) -> Result<(), Stopped> {
        // Told in the header Varve-Problems, before the first byte.
        self.channel += 1;
        Ok(())
    }

    fn open(&mut self, _out: &mut Writer<'_>, _target: &Target) -> Result<(), Stopped> {
        self.channel += 1;
        Ok(())
    }

    fn beside(&mut self, out: &mut Writer<'_>, _side: Side, sample: Option<&Beside>) -> Result<(), Stopped> {
        match sample {
            Some(beside) => self.write(out, &beside.segment.block, true),
            None => Ok(()),
        }
    }

    fn segment(&mut self, out: &mut Writer<'_>, segment: &Segment) -> Result<(), Stopped> {
        self.write(out, &segment.block, false)
    }

    fn close(&mut self, _out: &mut Writer<'_>, _closing: &Closing) -> Result<(), Stopped> {
        Ok(())
    }

    fn end(&mut self, out: &mut Writer<'_>, _ending: &Ending) -> Result<(), Stopped> {
        if let Some(stream) = &mut self.stream {
            stream.finish().map_err(|error| broken(out, &error))?;
        }
        self.hand_over(out)
    }
}
