//! One stretch of samples in memory, in the format of the file.

use super::batches::Batches;
use super::plan::{Format, Plan};
use crate::failure::Failure;
use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use arrow_select::concat::concat_batches;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use retrieval_server::{ArrowRows, CsvRows};
use sample::SampleBlock;
use serde_json::Value;

/// Rows and bytes of a record batch in an Arrow file, unless the stretch ends.
const BATCH_ROWS: usize = 65_536;
const BATCH_BYTES: usize = 4 << 20;

/// Rows that become one stretch.
pub(super) trait Rows {
    /// Appends samples of a channel, given by its place in the plan; `description` says what they have in common.
    fn append(&mut self, channel: usize, block: SampleBlock, description: &Value) -> Result<(), Failure>;
    /// About how many bytes of memory they hold.
    fn bytes(&self) -> usize;
    /// The stretch.
    fn finish(self: Box<Self>) -> Result<Vec<u8>, Failure>;
}

/// No rows yet.
pub(super) fn rows(plan: &Plan) -> Result<Box<dyn Rows>, Failure> {
    Ok(match plan.question.format {
        Format::Csv => Box::new(Csv { names: plan.names(), rows: CsvRows::default(), lines: Vec::new() }),
        Format::Arrow => {
            let rows = plan.rows(false)?;
            let stream = StreamWriter::try_new(Vec::new(), rows.schema()).map_err(unfit)?;
            Box::new(Arrow { rows, stream, waiting: Vec::new(), count: 0, bytes: 0, waiting_bytes: 0 })
        }
        Format::Parquet => {
            let rows = plan.rows(false)?;
            // A stretch is one group, and the whole file is described once.
            let properties = properties().set_max_row_group_row_count(None).build();
            let options =
                ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
            let writer = ArrowWriter::try_new_with_options(Vec::new(), rows.schema().clone(), options)
                .map_err(unfit)?;
            Box::new(Parquet { rows, writer, bytes: 0 })
        }
        Format::Mat | Format::Pb | Format::Nexus => Box::new(Batches::new(plan.names())),
    })
}

/// How Parquet is written. Times rise and hardly ever repeat.
pub(super) fn properties() -> WriterPropertiesBuilder {
    let time = ColumnPath::from("time");
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_column_dictionary_enabled(time.clone(), false)
        .set_column_encoding(time, Encoding::DELTA_BINARY_PACKED)
}

/// A value of a type that was not announced, for one: it came up while the export ran.
fn unfit(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    let source = std::io::Error::other(error);
    Failure::Io { what: "put the samples into the file's schema; begin anew with --force".to_owned(), source }
}

fn place(channel: usize) -> i32 {
    i32::try_from(channel).unwrap_or(i32::MAX)
}

struct Csv {
    names: Vec<String>,
    rows: CsvRows,
    lines: Vec<u8>,
}

impl Rows for Csv {
    fn append(&mut self, channel: usize, block: SampleBlock, _: &Value) -> Result<(), Failure> {
        self.rows.append(&self.names[channel], &block, &mut self.lines);
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.lines.len()
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, Failure> {
        Ok(self.lines)
    }
}

struct Arrow {
    rows: ArrowRows,
    stream: StreamWriter<Vec<u8>>,
    /// Small ones that wait to become one.
    waiting: Vec<RecordBatch>,
    count: usize,
    waiting_bytes: usize,
    bytes: usize,
}

impl Arrow {
    fn write(&mut self) -> Result<(), Failure> {
        if !self.waiting.is_empty() {
            let batch = concat_batches(self.rows.schema(), &self.waiting).map_err(unfit)?;
            self.stream.write(&batch).map_err(unfit)?;
            self.waiting.clear();
        }
        (self.count, self.waiting_bytes) = (0, 0);
        Ok(())
    }
}

impl Rows for Arrow {
    fn append(&mut self, channel: usize, block: SampleBlock, _: &Value) -> Result<(), Failure> {
        let bytes = block.memory_bytes();
        let count = block.len();
        if self.count + count > BATCH_ROWS || self.waiting_bytes + bytes > BATCH_BYTES {
            self.write()?;
        }
        self.waiting.push(self.rows.batch(place(channel), block, false).map_err(unfit)?);
        self.count += count;
        self.waiting_bytes += bytes;
        self.bytes += bytes;
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<u8>, Failure> {
        self.write()?;
        self.stream.into_inner().map_err(unfit)
    }
}

struct Parquet {
    rows: ArrowRows,
    writer: ArrowWriter<Vec<u8>>,
    bytes: usize,
}

impl Rows for Parquet {
    fn append(&mut self, channel: usize, block: SampleBlock, _: &Value) -> Result<(), Failure> {
        self.bytes += block.memory_bytes();
        let batch = self.rows.batch(place(channel), block, false).map_err(unfit)?;
        self.writer.write(&batch).map_err(unfit)
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, Failure> {
        self.writer.into_inner().map_err(unfit)
    }
}
