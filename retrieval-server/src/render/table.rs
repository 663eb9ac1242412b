//! Tables in each format.

use super::Ending;
use super::csv::{CsvFormat, field};
use super::list::{ROWS_BETWEEN, list};
use crate::columns;
use crate::json::{self, Numbers};
use crate::output::{Stopped, Writer};
use crate::routes::{COLUMNS_MEDIA_TYPE, CSV_MEDIA_TYPE, JSON_MEDIA_TYPE};
use crate::table::{Cells, RowBlock};
use crate::time::IsoWriter;
use sample::TimeRange;
use serde_json::{Value, json};

/// A format of tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TableFormat {
    /// Column by column.
    Json,
    /// Row by row.
    Csv,
    /// Some rows at a time.
    Columns,
}

impl TableFormat {
    /// By its name; JSON without one.
    pub(crate) fn of(name: Option<&str>) -> TableFormat {
        match name {
            Some("csv") => TableFormat::Csv,
            Some("columns") => TableFormat::Columns,
            _ => TableFormat::Json,
        }
    }

    /// Media type.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            TableFormat::Json => JSON_MEDIA_TYPE,
            TableFormat::Csv => CSV_MEDIA_TYPE,
            TableFormat::Columns => COLUMNS_MEDIA_TYPE,
        }
    }
}

/// A table as JSON: calls come in the order of the functions.
pub(crate) struct TableJson {
    numbers: Numbers,
    columns: usize,
}

impl TableJson {
    /// Nothing written yet.
    pub(crate) fn new(numbers: Numbers) -> TableJson {
        TableJson { numbers, columns: 0 }
    }

    /// The answer begins; these are its instants.
    pub(crate) fn start(&self, out: &mut Writer<'_>, range: TimeRange, times: &[i64]) -> Result<(), Stopped> {
        out.buffer.extend_from_slice(b"{\"from_ns\":");
        self.numbers.int64(&mut out.buffer, range.from.0);
        out.buffer.extend_from_slice(b",\"to_ns\":");
        self.numbers.int64(&mut out.buffer, range.to.0);
        out.buffer.extend_from_slice(b",\"time_ns\":");
        list(out, times.len(), |to, i| self.numbers.int64(to, times[i]))?;
        out.buffer.extend_from_slice(b",\"columns\":[\n");
        Ok(())
    }

    /// A channel that cannot be answered, or its object, which stays open.
    pub(crate) fn column(&mut self, out: &mut Writer<'_>, object: &Value, open: bool) {
        if self.columns > 0 {
            out.buffer.extend_from_slice(b",\n");
        }
        self.columns += 1;
        json::value(&mut out.buffer, object);
        if open {
            out.buffer.pop();
            out.buffer.extend_from_slice(b",\"value\":[");
        }
    }

    /// Cells of the open column; `first` if they are its first ones.
    pub(crate) fn cells(&self, out: &mut Writer<'_>, cells: &Cells, first: bool) -> Result<(), Stopped> {
        for (i, held) in cells.held.iter().enumerate() {
            if i > 0 || !first {
                out.buffer.push(b',');
            }
            match held {
                0 => out.buffer.extend_from_slice(b"null"),
                _ => self.numbers.put(&mut out.buffer, &cells.values, i),
            }
            if i % ROWS_BETWEEN == 0 || cells.values.byte_len() > 64 * cells.held.len() {
                out.settle()?;
            }
        }
        Ok(())
    }

    /// Closes the open column; `severities` are all of its cells', `None` where nothing is held.
    pub(crate) fn close(&self, out: &mut Writer<'_>, severities: &[Option<u8>]) -> Result<(), Stopped> {
        out.buffer.extend_from_slice(b"],\"severity\":");
        list(out, severities.len(), |to, i| match severities[i] {
            Some(severity) => json::integer(to, severity.into()),
            None => to.extend_from_slice(b"null"),
        })?;
        out.buffer.push(b'}');
        Ok(())
    }

    /// The answer ends.
    pub(crate) fn end(self, out: &mut Writer<'_>, ending: &Ending) {
        let complete = out.is_complete(&ending.problems);
        out.buffer.extend_from_slice(format!("\n],\"complete\":{complete},\"problems\":").as_bytes());
        json::value(&mut out.buffer, &json!(ending.problems));
        let durable = ending.durable_until.map(|time| self.numbers.integer_value(time.0));
        out.buffer.extend_from_slice(b",\"durable_until_ns\":");
        json::value(&mut out.buffer, &json!(durable));
        out.buffer.extend_from_slice(b"}\n");
    }
}

/// A table as CSV.
pub(crate) struct TableCsv {
    values: CsvFormat,
    iso: IsoWriter,
}

impl TableCsv {
    /// Writes the titles: `time` and the names.
    pub(crate) fn start<'n>(
        out: &mut Writer<'_>,
        names: impl Iterator<Item = &'n str>,
        nonfinite_null: bool,
    ) -> TableCsv {
        out.buffer.extend_from_slice(b"time");
        for name in names {
            out.buffer.push(b',');
            field(&mut out.buffer, name);
        }
        out.buffer.push(b'\n');
        TableCsv { values: CsvFormat::new(nonfinite_null, false), iso: IsoWriter::default() }
    }

    /// Some rows.
    pub(crate) fn rows(&mut self, out: &mut Writer<'_>, block: &RowBlock) -> Result<(), Stopped> {
        for (i, time) in block.times.iter().enumerate() {
            self.iso.write(&mut out.buffer, *time);
            for column in &block.columns {
                out.buffer.push(b',');
                if column.held[i] != 0 {
                    self.values.value(out, &column.values, i)?;
                }
            }
            out.buffer.push(b'\n');
            out.settle()?;
        }
        Ok(())
    }
}

/// A table as `columns`.
pub(crate) struct TableColumns {
    range: TimeRange,
    /// What answers call the channels, those among them that cannot be answered.
    channels: Vec<Value>,
    rows: u64,
}

impl TableColumns {
    /// Writes the head of the stream.
    pub(crate) fn start(
        out: &mut Writer<'_>,
        range: TimeRange,
        channels: Vec<Value>,
    ) -> Result<TableColumns, Stopped> {
        out.start_checksum();
        out.put(&columns::stream_head())?;
        Ok(TableColumns { range, channels, rows: 0 })
    }

    /// Some rows; `of` describes the columns of the block.
    pub(crate) fn rows(
        &mut self,
        out: &mut Writer<'_>,
        block: RowBlock,
        of: &[Value],
    ) -> Result<(), Stopped> {
        self.rows += block.times.len() as u64;
        columns::table(out, block, of)
    }

    /// The answer ends.
    pub(crate) fn end(self, out: &mut Writer<'_>, ending: &Ending) -> Result<(), Stopped> {
        let rows = ("rows", self.rows.into());
        ending.end_columns(out, (self.range, &self.channels), self.rows, Some(rows))
    }
}
