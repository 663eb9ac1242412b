//! Gathered samples as the logs of a NeXus file.

use super::OTHERWISE;
use crate::export::batches::Gathered;
use crate::export::elements::{append, scalars};
use crate::export::names::Names;
use crate::export::part::Part;
use crate::export::survey::{Extent, Shape, survey};
use crate::export::whole::Unjoined;
use crate::failure::Failure;
use retrieval_server::columns::Batch;
use rust_hdf5::types::H5Type;
use rust_hdf5::{H5Dataset, H5File, H5Group, VarLenUnicode};
use sample::{Column, Kind, ValueType};
use std::io;

/// About how many bytes of a dataset are compressed at once.
const CHUNK_BYTES: usize = 1 << 16;
/// Texts that stand together in the file.
const TEXTS: usize = 4096;
/// zlib's level; the bytes of numbers are shuffled before.
const LEVEL: u32 = 1;

/// Writes and syncs the file.
pub(in crate::export) fn join(part: &Part) -> Result<(), Unjoined> {
    let plan = part.plan();
    let mut gathered = Gathered::new(part);
    let extents = survey(&mut gathered, plan.channels.len())?;
    let file = H5File::create(part.whole_path()?)?;
    // The same samples make the same file.
    file.set_track_times(false)?;
    file.set_attr_string("NX_class", "NXroot")?;
    file.set_attr_string("default", "entry")?;
    let entry = file.create_group("entry")?;
    entry.set_attr_string("NX_class", "NXentry")?;
    entry.set_attr_numeric("from_ns", &plan.from_ns)?;
    entry.set_attr_numeric("to_ns", &plan.to_ns)?;
    let mut names = Names::default();
    for (name, extent) in plan.names().iter().zip(&extents) {
        let group = entry.create_group(&names.take(name))?;
        group.set_attr_string("NX_class", "NXlog")?;
        group.set_attr_string("channel", name)?;
        Log { name, group, extent, gathered: &mut gathered }.put()?;
    }
    file.close()?;
    Ok(part.sync_whole()?)
}

/// A channel that becomes an NXlog.
struct Log<'a, 'b> {
    name: &'a str,
    group: H5Group,
    extent: &'a Extent,
    gathered: &'a mut Gathered<'b>,
}

impl Log<'_, '_> {
    fn put(&mut self) -> Result<(), Unjoined> {
        let time = self.column::<i64>("time", None, |bytes, batch| {
            bytes.extend(batch.block.time.iter().flat_map(|time| time.to_le_bytes()));
        })?;
        attribute(&time, "units", "ns")?;
        attribute(&time, "start", "1970-01-01T00:00:00Z")?;
        let value = self.values()?;
        let metadata = self.extent.segments.last().map(|segment| &segment.description["metadata"]);
        if let Some(units) = metadata.and_then(|metadata| metadata["units"].as_str()) {
            attribute(&value, "units", units)?;
        }
        let states = metadata.and_then(|metadata| metadata["states"].as_array());
        if let Some(states) = states.filter(|states| !states.is_empty()) {
            let states: Vec<&str> = states.iter().map(|state| state.as_str().unwrap_or_default()).collect();
            let all = value.new_attr::<VarLenUnicode>().shape([states.len()]).create("states")?;
            all.write_string_array(&states)?;
        }
        self.column::<u8>("severity", None, |bytes, batch| bytes.extend(&batch.block.severity))?;
        self.column::<u16>("status", None, |bytes, batch| {
            bytes.extend(batch.block.status.iter().flat_map(|status| status.to_le_bytes()));
        })?;
        Ok(())
    }

    fn values(&mut self) -> Result<H5Dataset, Unjoined> {
        let (value_type, width) = match self.extent.shape {
            Some(Shape::Matrix { value_type, width }) => (value_type, width),
            Some(Shape::Cells) if self.is_text() => return self.texts(),
            Some(Shape::Cells) => return Err(self.unfit().into()),
            None => (ValueType::scalar(Kind::Float64), 1),
        };
        let width = value_type.array.then_some(width);
        let put = |bytes: &mut Vec<u8>, batch: &Batch| {
            let values = scalars(&batch.block.values);
            append(bytes, values, 0..values.len());
        };
        match value_type.kind {
            Kind::Bool | Kind::UInt8 => self.column::<u8>("value", width, put),
            Kind::Int8 => self.column::<i8>("value", width, put),
            Kind::Int16 => self.column::<i16>("value", width, put),
            Kind::Int32 => self.column::<i32>("value", width, put),
            Kind::Int64 => self.column::<i64>("value", width, put),
            Kind::Enum | Kind::UInt16 => self.column::<u16>("value", width, put),
            Kind::UInt32 => self.column::<u32>("value", width, put),
            Kind::UInt64 => self.column::<u64>("value", width, put),
            Kind::Float32 => self.column::<f32>("value", width, put),
            Kind::Float64 => self.column::<f64>("value", width, put),
            Kind::String | Kind::Structure => Err(self.unfit().into()),
        }
    }

    fn is_text(&self) -> bool {
        self.extent.segments.iter().all(|segment| segment.value_type == ValueType::scalar(Kind::String))
    }

    fn texts(&mut self) -> Result<H5Dataset, Unjoined> {
        let Extent { place, batches, .. } = *self.extent;
        let dataset = self.group.create_appendable_vlen_dataset("value", TEXTS, None)?;
        self.gathered.each(place, batches, |batch| {
            let Column::String(texts) = &batch.block.values else { return Ok(()) };
            let texts: Vec<_> = (0..texts.len()).map(|i| String::from_utf8_lossy(texts.get(i))).collect();
            let texts: Vec<&str> = texts.iter().map(|text| &**text).collect();
            texts.chunks(TEXTS).try_for_each(|some| self.group.append_vlen_strings("value", some))?;
            Ok(())
        })?;
        Ok(dataset)
    }

    /// A dataset of one element a sample, or of a row of `width`. Its last chunk is filled up with zeros, which no reader
    /// sees.
    fn column<T: H5Type>(
        &mut self,
        name: &str,
        width: Option<usize>,
        append: impl Fn(&mut Vec<u8>, &Batch),
    ) -> Result<H5Dataset, Unjoined> {
        let Extent { place, batches, samples, .. } = *self.extent;
        let row_bytes = width.unwrap_or(1) * size_of::<T>();
        let rows = (CHUNK_BYTES / row_bytes).clamp(1, samples.max(1));
        let dimensions = |rows: usize| -> Vec<usize> { [rows].into_iter().chain(width).collect() };
        let builder = self.group.new_dataset::<T>().shape(dimensions(samples));
        if samples == 0 {
            return Ok(builder.create(name)?);
        }
        let dataset = builder.chunk(&dimensions(rows)).shuffle_deflate(LEVEL).create(name)?;
        let (mut waiting, mut written) = (Vec::new(), 0);
        let chunk_bytes = rows * row_bytes;
        self.gathered.each(place, batches, |batch| {
            append(&mut waiting, batch);
            let whole = waiting.len() / chunk_bytes * chunk_bytes;
            for chunk in waiting[..whole].chunks(chunk_bytes) {
                dataset.write_chunk(written, chunk)?;
                written += 1;
            }
            waiting.drain(..whole);
            Ok(())
        })?;
        if !waiting.is_empty() {
            waiting.resize(chunk_bytes, 0);
            dataset.write_chunk(written, &waiting)?;
        }
        Ok(dataset)
    }

    fn unfit(&self) -> Failure {
        let what = format!("make an NXlog of {}", self.name);
        let cause = format!("its arrays have different lengths, or its type changed; {OTHERWISE}");
        Failure::Io { what, source: io::Error::other(cause) }
    }
}

fn attribute(dataset: &H5Dataset, name: &str, text: &str) -> Result<(), Unjoined> {
    Ok(dataset.new_attr::<VarLenUnicode>().shape(()).create(name)?.write_string(text)?)
}
