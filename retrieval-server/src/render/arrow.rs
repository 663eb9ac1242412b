//! Raw samples as an Arrow stream.

use super::arrow_rows::ArrowRows;
use super::{Beside, Closing, Ending, Format, Side};
use crate::error::{ApiError, Code};
use crate::names::Target;
use crate::output::{Stopped, Writer};
use crate::routes::ARROW_MEDIA_TYPE;
use crate::segments::Segment;
use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::writer::StreamEncoder;
use arrow_schema::{ArrowError, SchemaRef};
use axum::body::Bytes;
use sample::{SampleBlock, TimeRange};

/// Record batches on their way out as one stream.
#[derive(Default)]
pub(super) struct ArrowStream(Option<StreamEncoder>);

/// Bytes of a batch: a column as it lies in memory, or what stands between two.
struct Part(Buffer);

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Hands on parts of a stream; each is let go when it has left.
fn put(out: &mut Writer<'_>, parts: Vec<Buffer>) -> Result<(), Stopped> {
    parts.into_iter().try_for_each(|part| out.put_owned(Bytes::from_owner(Part(part))))
}

impl ArrowStream {
    /// Begins a stream; its schema goes with what comes first.
    pub(super) fn start(&mut self, out: &mut Writer<'_>, schema: &SchemaRef) -> Result<(), Stopped> {
        self.0 = Some(StreamEncoder::try_new(schema).map_err(|error| broken(out, &error))?);
        Ok(())
    }

    pub(super) fn write(
        &mut self,
        out: &mut Writer<'_>,
        batch: Result<RecordBatch, ArrowError>,
    ) -> Result<(), Stopped> {
        let encoded = batch.and_then(|batch| match &mut self.0 {
            Some(encoder) => encoder.encode(&batch),
            None => Ok(Vec::new()),
        });
        put(out, encoded.map_err(|error| broken(out, &error))?)
    }

    pub(super) fn end(&mut self, out: &mut Writer<'_>) -> Result<(), Stopped> {
        match self.0.take().map(StreamEncoder::finish) {
            Some(end) => put(out, end.map_err(|error| broken(out, &error))?),
            None => Ok(()),
        }
    }
}

fn broken(out: &Writer<'_>, error: &ArrowError) -> Stopped {
    let error = ApiError::of(Code::Unavailable, format!("the answer does not fit into Arrow: {error}"));
    if out.started() { Stopped::Broken(error) } else { Stopped::Refused(error) }
}

/// [`ArrowRows`] as an answer.
pub(crate) struct ArrowFormat {
    rows: ArrowRows,
    /// Place of the present channel among the names.
    channel: i32,
    stream: ArrowStream,
}

impl ArrowFormat {
    /// An answer of these rows.
    pub(crate) fn new(rows: ArrowRows) -> ArrowFormat {
        ArrowFormat { rows, channel: -1, stream: ArrowStream::default() }
    }

    fn write(&mut self, out: &mut Writer<'_>, block: SampleBlock, beside: bool) -> Result<(), Stopped> {
        self.stream.write(out, self.rows.batch(self.channel, block, beside))
    }
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
        self.stream.start(out, self.rows.schema())
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
            Some(beside) => self.write(out, beside.segment.block.clone(), true),
            None => Ok(()),
        }
    }

    fn segment(&mut self, out: &mut Writer<'_>, segment: Segment) -> Result<(), Stopped> {
        self.write(out, segment.block, false)
    }

    fn close(&mut self, _out: &mut Writer<'_>, _closing: &Closing) -> Result<(), Stopped> {
        Ok(())
    }

    fn end(&mut self, out: &mut Writer<'_>, _ending: &Ending) -> Result<(), Stopped> {
        self.stream.end(out)
    }
}
