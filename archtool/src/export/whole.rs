//! Finished stretches become one file.

use super::mat;
use super::nexus;
use super::part::{Appending, Part};
use super::pb;
use super::plan::Format;
use super::rows::properties;
use crate::failure::Failure;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::FileWriter;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{
    ColumnChunkMetaData, KeyValue, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader,
};
use parquet::file::writer::SerializedFileWriter;
use retrieval_server::{ARROW_METADATA_KEY, CsvRows};
use std::error::Error;
use std::io::{self, BufWriter, IntoInnerError, Write};
use std::path::Path;
use std::sync::Arc;

/// Bytes that are written at once.
pub(super) const BUFFER_BYTES: usize = 1 << 20;

/// A file that is written from its start on.
pub(super) type Output = BufWriter<Appending>;

/// Why stretches do not become one.
pub(super) type Unjoined = Box<dyn Error + Send + Sync>;

/// Makes `file` of the stretches of `part`, which is complete; nothing but `file` is left. Returns its bytes.
pub(crate) fn join(part: Part, file: &Path) -> Result<u64, Failure> {
    let joined = match part.plan().question.format {
        Format::Csv => one_file(&part, csv),
        Format::Arrow => one_file(&part, arrow),
        Format::Parquet => one_file(&part, parquet),
        Format::Mat => one_file(&part, mat::join),
        Format::Pb => pb::join(&part),
        Format::Nexus => nexus::join(&part),
    };
    joined.map_err(|error| match error.downcast::<Failure>() {
        Ok(failure) => *failure,
        Err(error) => {
            let what = format!("put {} together beside it", file.display());
            Failure::Io { what, source: io::Error::other(error) }
        }
    })?;
    part.publish(file)
}

/// Writes and syncs a whole of one file, where batches and rows go through one buffer.
fn one_file(
    part: &Part,
    write: impl FnOnce(&Part, &mut Output) -> Result<(), Unjoined>,
) -> Result<(), Unjoined> {
    let mut output = BufWriter::with_capacity(BUFFER_BYTES, part.whole()?);
    write(part, &mut output)?;
    Ok(output.into_inner().map_err(IntoInnerError::into_error)?.sync()?)
}

fn stretches(part: &Part) -> impl Iterator<Item = Result<Bytes, Failure>> {
    (1..=part.progress().stretches).map(|number| part.stretch(number).map(Bytes::from))
}

fn csv(part: &Part, output: &mut Output) -> Result<(), Unjoined> {
    output.write_all(CsvRows::TITLES.as_bytes())?;
    for stretch in stretches(part) {
        output.write_all(&stretch?)?;
    }
    Ok(())
}

fn arrow(part: &Part, output: &mut Output) -> Result<(), Unjoined> {
    let rows = part.plan().rows(true)?;
    let mut writer = FileWriter::try_new(output, rows.schema())?;
    for stretch in stretches(part) {
        for batch in StreamReader::try_new(&*stretch?, None)? {
            writer.write(&batch?)?;
        }
    }
    Ok(writer.finish()?)
}

/// The column chunks are copied byte for byte.
fn parquet(part: &Part, output: &mut Output) -> Result<(), Unjoined> {
    let rows = part.plan().rows(true)?;
    let schema: &SchemaRef = rows.schema();
    let told = schema.metadata().get(ARROW_METADATA_KEY).cloned();
    let mut properties = properties()
        .set_key_value_metadata(Some(vec![KeyValue::new(ARROW_METADATA_KEY.to_owned(), told)]))
        .build();
    add_encoded_arrow_schema_to_metadata(schema, &mut properties);
    let root = ArrowSchemaConverter::new().convert(schema)?.root_schema_ptr();
    let mut writer = SerializedFileWriter::new(output, root, Arc::new(properties))?;
    for stretch in stretches(part) {
        let stretch = stretch?;
        let metadata = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Optional)
            .parse_and_finish(&stretch)?;
        copy(&stretch, &metadata, &mut writer)?;
    }
    writer.close()?;
    Ok(())
}

fn copy<W: Write + Send>(
    stretch: &Bytes,
    metadata: &ParquetMetaData,
    writer: &mut SerializedFileWriter<W>,
) -> Result<(), Unjoined> {
    for (g, group) in metadata.row_groups().iter().enumerate() {
        let mut to = writer.next_row_group()?;
        for (c, column) in group.columns().iter().enumerate() {
            check(column, stretch.len())?;
            to.append_column(
                stretch,
                ColumnCloseResult {
                    bytes_written: u64::try_from(column.compressed_size())?,
                    rows_written: u64::try_from(group.num_rows())?,
                    metadata: column.clone(),
                    bloom_filter: None,
                    column_index: metadata.column_index().and_then(|all| all.get(g)?.get(c).cloned()),
                    offset_index: metadata.offset_index().and_then(|all| all.get(g)?.get(c).cloned()),
                },
            )?;
        }
        to.close()?;
    }
    Ok(())
}

/// Whether a column chunk lies in its stretch; the copy takes it for granted.
fn check(column: &ColumnChunkMetaData, stretch_bytes: usize) -> Result<(), Unjoined> {
    let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    let start = u64::try_from(start)?;
    let end = start.checked_add(u64::try_from(column.compressed_size())?);
    if end.is_none_or(|end| end > stretch_bytes as u64) {
        return Err("a column of a stretch lies outside it; begin anew with --force".into());
    }
    Ok(())
}
