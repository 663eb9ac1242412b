//! Bins in each format.

use super::Ending;
use super::arrow_bins::ArrowBins;
use super::list::list;
use crate::bin_table::{BinTable, Cells, NO_TIME};
use crate::columns::{self, BinsHead};
use crate::json::{self, Numbers};
use crate::names::Target;
use crate::output::{Stopped, Writer};
use crate::routes::{ARROW_MEDIA_TYPE, COLUMNS_MEDIA_TYPE, CSV_MEDIA_TYPE, JSON_MEDIA_TYPE};
use sample::{Metadata, Severity, TimeRange, Timestamp, ValueType};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// What is known of a channel beside its bins.
#[derive(Clone, Debug)]
pub(crate) struct BinsOf {
    /// Type of the newest value.
    pub value_type: Option<ValueType>,
    /// Metadata in force at the end of the range.
    pub metadata: Option<Arc<Metadata>>,
    /// Bins so far.
    pub bins: u64,
}

impl BinsOf {
    /// `type` and `metadata`, as answers say them.
    pub(crate) fn describe(&self, numbers: Numbers) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("type".into(), json!(self.value_type.map(|t| t.name())));
        object.insert("metadata".into(), numbers.metadata(self.metadata.as_deref()));
        object
    }
}

enum Shape {
    Json,
    Csv,
    Columns,
    Arrow(Box<ArrowBins>),
}

/// A format of bins. Calls come in the order of the methods, from `open` to `close` for each channel.
pub(crate) struct BinFormat {
    shape: Shape,
    numbers: Numbers,
    range: TimeRange,
    /// What the end says of each channel.
    channels: Vec<Value>,
    bins: u64,
}

impl BinFormat {
    /// By the name of a format; JSON without one. For Arrow see [`BinFormat::arrow`].
    pub(crate) fn new(format: Option<&str>, numbers: Numbers) -> BinFormat {
        let shape = match format {
            Some("csv") => Shape::Csv,
            Some("columns") => Shape::Columns,
            _ => Shape::Json,
        };
        let range = TimeRange::new(Timestamp(0), Timestamp(0));
        BinFormat { shape, numbers, range, channels: Vec::new(), bins: 0 }
    }

    /// An Arrow stream about the channels `names`, in the order of the answer; `told` is said of them before the
    /// first bin.
    pub(crate) fn arrow(names: Vec<String>, told: String, numbers: Numbers) -> BinFormat {
        let shape = Shape::Arrow(Box::new(ArrowBins::new(names, told)));
        BinFormat { shape, ..BinFormat::new(None, numbers) }
    }

    /// Media type.
    pub(crate) fn media_type(&self) -> &'static str {
        match self.shape {
            Shape::Json => JSON_MEDIA_TYPE,
            Shape::Csv => CSV_MEDIA_TYPE,
            Shape::Columns => COLUMNS_MEDIA_TYPE,
            Shape::Arrow(_) => ARROW_MEDIA_TYPE,
        }
    }

    /// Whether problems can be told at the end; otherwise the connection must break.
    pub(crate) fn tells_problems(&self) -> bool {
        !matches!(self.shape, Shape::Csv | Shape::Arrow(_))
    }

    /// Whether this is JSON, which has all bins of a channel at once.
    pub(crate) fn is_json(&self) -> bool {
        matches!(self.shape, Shape::Json)
    }

    /// Whether this is JSON or CSV.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self.shape, Shape::Json | Shape::Csv)
    }

    /// The answer begins; its columns are those of `table`.
    pub(crate) fn start(
        &mut self,
        out: &mut Writer<'_>,
        range: TimeRange,
        table: &BinTable,
        states: bool,
    ) -> Result<(), Stopped> {
        self.range = range;
        match &mut self.shape {
            Shape::Json => {
                out.buffer.extend_from_slice(b"{\"from_ns\":");
                self.numbers.int64(&mut out.buffer, range.from.0);
                out.buffer.extend_from_slice(b",\"to_ns\":");
                self.numbers.int64(&mut out.buffer, range.to.0);
                out.buffer.extend_from_slice(b",\"channels\":[\n");
                Ok(())
            }
            Shape::Csv => {
                let states = if states { &["states"][..] } else { &[] };
                let names = table.columns.iter().map(|(name, _)| name);
                let titles: Vec<&str> = ["channel"].iter().chain(names).chain(states).copied().collect();
                out.buffer.extend_from_slice(titles.join(",").as_bytes());
                out.buffer.push(b'\n');
                Ok(())
            }
            Shape::Columns => {
                out.start_checksum();
                out.put(&columns::stream_head())
            }
            Shape::Arrow(bins) => bins.start(out, table, states),
        }
    }

    fn separate(&self, out: &mut Writer<'_>) {
        if self.is_json() && !self.channels.is_empty() {
            out.buffer.extend_from_slice(b",\n");
        }
    }

    /// A channel that cannot be answered; CSV told it before.
    pub(crate) fn refused(&mut self, out: &mut Writer<'_>, target: &Target) -> Result<(), Stopped> {
        self.separate(out);
        let object = target.object();
        if self.is_json() {
            json::value(&mut out.buffer, &object);
        }
        self.channels.push(object);
        out.settle()
    }

    /// A channel begins.
    pub(crate) fn open(&mut self, out: &mut Writer<'_>, target: &Target) -> Result<(), Stopped> {
        self.separate(out);
        self.channels.push(target.object());
        Ok(())
    }

    fn channel(&self) -> &Value {
        self.channels.last().unwrap_or(&Value::Null)
    }

    /// Place of the present channel among all.
    fn index(&self) -> usize {
        self.channels.len().saturating_sub(1)
    }

    /// Some bins; JSON gets all of a channel at once.
    pub(crate) fn rows(
        &mut self,
        out: &mut Writer<'_>,
        table: &BinTable,
        of: &BinsOf,
    ) -> Result<(), Stopped> {
        self.bins += table.len() as u64;
        let index = self.index();
        match &mut self.shape {
            Shape::Json => self.json(out, table, of),
            Shape::Csv => self.csv(out, table),
            Shape::Columns => self.batch(out, table, of),
            Shape::Arrow(bins) => bins.write(out, i32::try_from(index).unwrap_or(i32::MAX), table),
        }
    }

    fn json(&self, out: &mut Writer<'_>, table: &BinTable, of: &BinsOf) -> Result<(), Stopped> {
        let mut object = self.channel().as_object().cloned().unwrap_or_default();
        object.extend(of.describe(self.numbers));
        json::value(&mut out.buffer, &Value::Object(object));
        // The object stays open: its columns follow.
        out.buffer.pop();
        out.buffer.extend_from_slice(b",\"columns\":{");
        for (k, (name, cells)) in table.columns.iter().enumerate() {
            out.buffer.extend_from_slice(if k > 0 { b",\"" } else { b"\"" });
            out.buffer.extend_from_slice(name.as_bytes());
            out.buffer.extend_from_slice(b"\":");
            list(out, table.len(), |to, i| self.cell(to, cells, i))?;
        }
        if let Some(states) = &table.states {
            out.buffer.extend_from_slice(b",\"states\":{");
            let width = states.labels.len();
            for (k, label) in states.labels.iter().enumerate() {
                if k > 0 {
                    out.buffer.push(b',');
                }
                json::string(&mut out.buffer, label);
                out.buffer.push(b':');
                list(out, table.len(), |to, i| self.numbers.int64(to, states.ns[i * width + k]))?;
            }
            out.buffer.push(b'}');
        }
        out.buffer.extend_from_slice(b"}}");
        Ok(())
    }

    fn cell(&self, to: &mut Vec<u8>, cells: &Cells, i: usize) {
        match cells {
            Cells::Times(v) if v[i] == NO_TIME => to.extend_from_slice(b"null"),
            Cells::Times(v) => self.numbers.int64(to, v[i]),
            Cells::Counts(v) => self.numbers.int64(to, v[i]),
            Cells::Numbers(v) => match v[i] {
                None => to.extend_from_slice(b"null"),
                Some(number) => self.numbers.float64(to, number),
            },
            Cells::Severities(v) => json::integer(to, v[i].into()),
        }
    }

    fn csv(&self, out: &mut Writer<'_>, table: &BinTable) -> Result<(), Stopped> {
        let mut name = Vec::new();
        super::csv::field(&mut name, self.channel()["name"].as_str().unwrap_or_default());
        for i in 0..table.len() {
            out.buffer.extend_from_slice(&name);
            for (_, cells) in &table.columns {
                out.buffer.push(b',');
                self.field(&mut out.buffer, cells, i);
            }
            if let Some(states) = &table.states {
                let width = states.labels.len();
                let of_bin = states
                    .labels
                    .iter()
                    .enumerate()
                    .map(|(k, label)| (label.clone(), json!(states.ns[i * width + k])));
                out.buffer.push(b',');
                super::csv::field(&mut out.buffer, &Value::Object(of_bin.collect()).to_string());
            }
            out.buffer.push(b'\n');
            out.settle()?;
        }
        Ok(())
    }

    fn field(&self, to: &mut Vec<u8>, cells: &Cells, i: usize) {
        match cells {
            Cells::Times(v) if v[i] == NO_TIME => {}
            Cells::Times(v) | Cells::Counts(v) => json::integer(to, v[i]),
            Cells::Numbers(v) => match v[i] {
                Some(number) if number.is_finite() => Numbers::default().float64(to, number),
                Some(number) if !self.numbers.nonfinite_null => {
                    to.extend_from_slice(json::nonfinite(number).as_bytes())
                }
                _ => {}
            },
            Cells::Severities(v) => match Severity::from_code(v[i].into()) {
                Some(severity) => to.extend_from_slice(severity.name().as_bytes()),
                None => json::integer(to, v[i].into()),
            },
        }
    }

    fn batch(&self, out: &mut Writer<'_>, table: &BinTable, of: &BinsOf) -> Result<(), Stopped> {
        let mut json = Map::new();
        let channel = self.channel();
        if let Some(stored) = channel.get("channel") {
            json.insert("channel".into(), stored.clone());
        }
        json.extend(of.describe(self.numbers));
        if let Some(states) = &table.states {
            json.insert("states".into(), json!(states.labels));
            json.insert("state_indices".into(), json!(states.indices));
        }
        let index = u32::try_from(self.index()).unwrap_or(u32::MAX);
        let name = channel["name"].as_str().unwrap_or_default();
        columns::bins(out, &BinsHead { index, name, value_type: of.value_type }, table, &Value::Object(json))
    }

    /// A channel ends.
    pub(crate) fn close(&mut self, _out: &mut Writer<'_>, of: &BinsOf) -> Result<(), Stopped> {
        if let Some(channel) = self.channels.last_mut() {
            channel["bins"] = json!(of.bins);
        }
        Ok(())
    }

    /// The answer ends.
    pub(crate) fn end(self, out: &mut Writer<'_>, ending: &Ending) -> Result<(), Stopped> {
        let complete = out.is_complete(&ending.problems);
        match self.shape {
            Shape::Csv => Ok(()),
            Shape::Arrow(mut bins) => bins.end(out),
            Shape::Json => {
                let head = format!("\n],\"complete\":{complete},\"problems\":");
                out.buffer.extend_from_slice(head.as_bytes());
                json::value(&mut out.buffer, &json!(ending.problems));
                out.buffer.extend_from_slice(b",\"durable_until_ns\":");
                match ending.durable_until {
                    Some(time) => self.numbers.int64(&mut out.buffer, time.0),
                    None => out.buffer.extend_from_slice(b"null"),
                }
                out.buffer.extend_from_slice(b"}\n");
                Ok(())
            }
            Shape::Columns => ending.end_columns(out, (self.range, &self.channels), self.bins, None),
        }
    }
}
