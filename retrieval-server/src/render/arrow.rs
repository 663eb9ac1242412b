//! Raw samples as an Arrow stream.

use super::arrow_rows::ArrowRows;
use super::{Beside, Closing, Ending, Format, Side};
use crate::error::{ApiError, Code};
use crate::limits::PIECE_BYTES;
use crate::names::Target;
use crate::output::{Stopped, Writer};
use crate::pieces::Pieces;
use crate::routes::ARROW_MEDIA_TYPE;
use crate::segments::Segment;
use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, SchemaRef};
use sample::{SampleBlock, TimeRange};

/// Record batches on their way out as one stream.
#[derive(Default)]
pub(super) struct ArrowStream(Option<StreamWriter<Pieces>>);

impl ArrowStream {
    /// Begins with the schema.
    pub(super) fn start(&mut self, out: &mut Writer<'_>, schema: &SchemaRef) -> Result<(), Stopped> {
        let stream =
            StreamWriter::try_new(Pieces::of(PIECE_BYTES), schema).map_err(|error| broken(out, &error))?;
        self.0 = Some(stream);
        Ok(())
    }

    pub(super) fn write(
        &mut self,
        out: &mut Writer<'_>,
        batch: Result<RecordBatch, ArrowError>,
    ) -> Result<(), Stopped> {
        let batch = batch.map_err(|error| broken(out, &error))?;
        if let Some(stream) = &mut self.0 {
            stream.write(&batch).map_err(|error| broken(out, &error))?;
        }
        // The client may take long.
        drop(batch);
        let full = self.0.as_mut().map(|stream| stream.get_mut().take_full());
        full.into_iter().flatten().try_for_each(|piece| out.put_owned(piece.into()))
    }

    pub(super) fn end(&mut self, out: &mut Writer<'_>) -> Result<(), Stopped> {
        if let Some(stream) = &mut self.0 {
            stream.finish().map_err(|error| broken(out, &error))?;
            stream.get_mut().take().into_iter().try_for_each(|piece| out.put_owned(piece.into()))?;
        }
        Ok(())
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
