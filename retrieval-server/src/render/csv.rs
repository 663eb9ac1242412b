//! Raw samples as CSV.

use super::{Beside, Closing, Ending, Format, Side};
use crate::json::{Elements, Numbers, nonfinite, text};
use crate::names::Target;
use crate::output::{Plain, Stopped, Writer};
use crate::routes::CSV_MEDIA_TYPE;
use crate::segments::Segment;
use crate::time::IsoWriter;
use sample::{Column, Kind, SampleBlock, Severity, Status, TimeRange};

/// The CSV of section 4.1.
#[derive(Debug)]
pub(crate) struct CsvFormat {
    /// Non-finite numbers as empty fields.
    nonfinite_null: bool,
    /// Whether there is a column `edge`.
    edge: bool,
    iso: IsoWriter,
    /// The present channel's name as a field.
    name: Vec<u8>,
}

impl CsvFormat {
    /// With a column `edge` where samples beside the range were asked for.
    pub(crate) fn new(nonfinite_null: bool, edge: bool) -> CsvFormat {
        CsvFormat { nonfinite_null, edge, iso: IsoWriter::default(), name: Vec::new() }
    }

    fn rows(&mut self, out: &mut Writer<'_>, block: &SampleBlock, beside: bool) -> Result<(), Stopped> {
        for i in 0..block.len() {
            out.buffer.extend_from_slice(&self.name);
            out.buffer.push(b',');
            self.iso.write(&mut out.buffer, block.time[i]);
            out.buffer.push(b',');
            self.value(out, &block.values, i)?;
            out.buffer.push(b',');
            match Severity::from_code(block.severity[i].into()) {
                Some(severity) => out.buffer.extend_from_slice(severity.name().as_bytes()),
                None => out.buffer.extend_from_slice(block.severity[i].to_string().as_bytes()),
            }
            out.buffer.push(b',');
            let status = Status { domain: block.run.domain, code: block.status[i] };
            match status.name() {
                Some(name) => out.buffer.extend_from_slice(name.as_bytes()),
                None => out.buffer.extend_from_slice(status.code.to_string().as_bytes()),
            }
            if self.edge {
                out.buffer.extend_from_slice(if beside { b",true" } else { b",false" });
            }
            out.buffer.push(b'\n');
            out.settle()?;
        }
        Ok(())
    }

    /// Value `i` as a field.
    pub(super) fn value(&self, out: &mut Writer<'_>, values: &Column, i: usize) -> Result<(), Stopped> {
        match values {
            Column::Array { elements, .. } if elements.kind() == Kind::String => {
                let list = Numbers::default().one(values, i).to_string();
                field(&mut out.buffer, &list);
            }
            Column::Array { elements, .. } => {
                let row = values.elements(i);
                for element in row.clone() {
                    if element > row.start {
                        out.buffer.push(b' ');
                    }
                    self.scalar(&mut out.buffer, elements, element);
                    if element % 1024 == 0 {
                        out.settle()?;
                    }
                }
            }
            scalar => self.scalar(&mut out.buffer, scalar, i),
        }
        Ok(())
    }

    fn scalar(&self, out: &mut Vec<u8>, column: &Column, i: usize) {
        let special = match column {
            Column::String(strings) => return field(out, &text(strings.get(i))),
            Column::Float32(v) => (!v[i].is_finite()).then(|| nonfinite(v[i].into())),
            Column::Float64(v) => (!v[i].is_finite()).then(|| nonfinite(v[i])),
            _ => None,
        };
        match special {
            Some(_) if self.nonfinite_null => {}
            Some(name) => out.extend_from_slice(name.as_bytes()),
            None => {
                let start = out.len();
                Numbers::default().scalar(out, column, i);
                // Structures are base64 text, which needs no quotes here.
                if out[start..].starts_with(b"\"") {
                    out.remove(start);
                    out.pop();
                }
            }
        }
    }
}

/// The same CSV for files: rows of samples that are not part of an answer.
#[derive(Debug)]
pub struct CsvRows(CsvFormat);

impl Default for CsvRows {
    fn default() -> CsvRows {
        CsvRows(CsvFormat::new(false, false))
    }
}

impl CsvRows {
    /// The titles of the columns, with the end of their line.
    pub const TITLES: &str = "channel,time,value,severity,status\n";

    /// Appends the samples of `channel`, one line each.
    pub fn append(&mut self, channel: &str, block: &SampleBlock, to: &mut Vec<u8>) {
        self.0.name.clear();
        field(&mut self.0.name, channel);
        let mut plain = Plain(to);
        let mut out = Writer::new(&mut plain, CSV_MEDIA_TYPE);
        // Bytes that take others do not refuse them.
        let _ = self.0.rows(&mut out, block, false).and_then(|()| out.finish());
    }
}

/// Appends a text field, quoted where RFC 4180 asks for it; an empty text is `""`, for an empty field is no value.
pub(super) fn field(out: &mut Vec<u8>, text: &str) {
    let plain = !text.is_empty() && !text.contains([',', '"', '\n', '\r']) && text.trim() == text;
    if plain {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}

impl Format for CsvFormat {
    fn media_type(&self) -> &'static str {
        CSV_MEDIA_TYPE
    }

    fn tells_problems(&self) -> bool {
        false
    }

    fn sample_bytes(&self, name: &str, _value_bytes: u64, value_text: u64) -> u64 {
        // Time, alarm names, four commas and a line end.
        name.len() as u64 + value_text + 30 + 16 + 5
    }

    fn start(&mut self, out: &mut Writer<'_>, _range: TimeRange) -> Result<(), Stopped> {
        let titles = CsvRows::TITLES.trim_end();
        out.buffer.extend_from_slice(titles.as_bytes());
        out.buffer.extend_from_slice(if self.edge { b",edge\n" } else { b"\n" });
        Ok(())
    }

    fn refused(&mut self, _out: &mut Writer<'_>, _target: &Target) -> Result<(), Stopped> {
        // Told in the header Varve-Problems, before the first byte.
        Ok(())
    }

    fn open(&mut self, _out: &mut Writer<'_>, target: &Target) -> Result<(), Stopped> {
        self.name.clear();
        field(&mut self.name, target.name());
        Ok(())
    }

    fn beside(&mut self, out: &mut Writer<'_>, _side: Side, sample: Option<&Beside>) -> Result<(), Stopped> {
        match sample {
            Some(beside) => self.rows(out, &beside.segment.block, true),
            None => Ok(()),
        }
    }

    fn segment(&mut self, out: &mut Writer<'_>, segment: Segment) -> Result<(), Stopped> {
        self.rows(out, &segment.block, false)
    }

    fn close(&mut self, _out: &mut Writer<'_>, _closing: &Closing) -> Result<(), Stopped> {
        Ok(())
    }

    fn end(&mut self, _out: &mut Writer<'_>, _ending: &Ending) -> Result<(), Stopped> {
        Ok(())
    }
}
