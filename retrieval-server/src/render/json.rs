//! Raw samples as JSON.

use super::list::{ROWS_BETWEEN, list};
use super::{Beside, Closing, Ending, Format, Side};
use crate::json::{self, Elements, Numbers};
use crate::names::Target;
use crate::output::{Stopped, Writer};
use crate::routes::JSON_MEDIA_TYPE;
use crate::segments::Segment;
use crate::time::IsoWriter;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sample::{Column, StatusDomain, TimeRange};
use serde_json::{Value, json};

/// The JSON of section 4.1.
#[derive(Debug)]
pub(crate) struct JsonFormat {
    numbers: Numbers,
    iso: Option<IsoWriter>,
    channels: usize,
    /// Segments of the present channel so far; `None` outside the list.
    segments: Option<usize>,
    /// The key of a sample beside the range that came while the list was open.
    waiting: Vec<(Side, Value)>,
}

impl JsonFormat {
    /// With times as integers or, if `iso`, as text.
    pub(crate) fn new(numbers: Numbers, iso: bool) -> JsonFormat {
        let iso = iso.then(IsoWriter::default);
        JsonFormat { numbers, iso, channels: 0, segments: None, waiting: Vec::new() }
    }

    fn separate(&mut self, out: &mut Writer<'_>) {
        if self.channels > 0 {
            out.buffer.extend_from_slice(b",\n");
        }
        self.channels += 1;
    }

    /// A list beside the others of an object.
    fn member(
        out: &mut Writer<'_>,
        name: &str,
        count: usize,
        write: impl FnMut(&mut Vec<u8>, usize),
    ) -> Result<(), Stopped> {
        out.buffer.extend_from_slice(format!(",\"{name}\":").as_bytes());
        list(out, count, write)
    }

    fn times(&mut self, out: &mut Writer<'_>, times: &[i64]) -> Result<(), Stopped> {
        let numbers = self.numbers;
        match &mut self.iso {
            None => Self::member(out, "time_ns", times.len(), |to, i| numbers.int64(to, times[i])),
            Some(iso) => Self::member(out, "time", times.len(), |to, i| {
                to.push(b'"');
                iso.write(to, times[i]);
                to.push(b'"');
            }),
        }
    }

    fn values(&self, out: &mut Writer<'_>, values: &Column) -> Result<(), Stopped> {
        let numbers = self.numbers;
        let Column::Array { ends, elements } = values else {
            return Self::member(out, "value", values.len(), |to, i| numbers.scalar(to, values, i));
        };
        out.buffer.extend_from_slice(b",\"value\":[");
        for i in 0..ends.len() {
            out.buffer.extend_from_slice(if i > 0 { b",[" } else { b"[" });
            let row = values.elements(i);
            for element in row.clone() {
                if element > row.start {
                    out.buffer.push(b',');
                }
                numbers.scalar(&mut out.buffer, elements, element);
                if element % ROWS_BETWEEN == 0 {
                    out.settle()?;
                }
            }
            out.buffer.push(b']');
            out.settle()?;
        }
        out.buffer.push(b']');
        Ok(())
    }

    fn beside_value(&mut self, beside: &Beside) -> Value {
        let block = &beside.segment.block;
        let mut object = json!({});
        match &mut self.iso {
            None => object["time_ns"] = self.numbers.integer_value(block.time[0]),
            Some(iso) => {
                let mut text = Vec::new();
                iso.write(&mut text, block.time[0]);
                object["time"] = json!(String::from_utf8_lossy(&text));
            }
        }
        object["type"] = json!(block.run.value.name());
        object["value"] = self.numbers.one(&block.values, 0);
        object["severity"] = json!(block.severity[0]);
        object["status"] = json!(block.status[0]);
        if block.run.domain == StatusDomain::Pva {
            object["status_domain"] = json!("pva");
        }
        if let Some(held) = beside.held {
            object["held"] = json!(held);
        }
        object["metadata"] = self.numbers.metadata(beside.segment.metadata.as_deref());
        object
    }

    fn key(out: &mut Writer<'_>, side: Side, value: &Value) {
        let name = match side {
            Side::Edge => "edge",
            Side::After => "after",
        };
        out.buffer.extend_from_slice(format!(",\"{name}\":").as_bytes());
        json::value(&mut out.buffer, value);
    }
}

/// Elements of each value where all have the same number.
fn element_count(values: &Column) -> Option<usize> {
    let mut counts = (0..values.len()).map(|i| values.elements(i).len());
    let first = counts.next()?;
    counts.all(|count| count == first).then_some(first)
}

impl Format for JsonFormat {
    fn media_type(&self) -> &'static str {
        JSON_MEDIA_TYPE
    }

    fn tells_problems(&self) -> bool {
        true
    }

    fn sample_bytes(&self, _name: &str, _value_bytes: u64, value_text: u64) -> u64 {
        // Time, severity, status, five commas.
        value_text + if self.iso.is_some() { 32 } else { 19 } + 6
    }

    fn start(&mut self, out: &mut Writer<'_>, range: TimeRange) -> Result<(), Stopped> {
        out.buffer.extend_from_slice(b"{\"from_ns\":");
        self.numbers.int64(&mut out.buffer, range.from.0);
        out.buffer.extend_from_slice(b",\"to_ns\":");
        self.numbers.int64(&mut out.buffer, range.to.0);
        out.buffer.extend_from_slice(b",\"channels\":[\n");
        Ok(())
    }

    fn refused(&mut self, out: &mut Writer<'_>, target: &Target) -> Result<(), Stopped> {
        self.separate(out);
        json::value(&mut out.buffer, &target.object());
        out.settle()
    }

    fn open(&mut self, out: &mut Writer<'_>, target: &Target) -> Result<(), Stopped> {
        self.separate(out);
        json::value(&mut out.buffer, &target.object());
        // The object stays open: more keys follow.
        out.buffer.pop();
        self.segments = None;
        Ok(())
    }

    fn beside(&mut self, out: &mut Writer<'_>, side: Side, sample: Option<&Beside>) -> Result<(), Stopped> {
        let value = sample.map_or(Value::Null, |beside| self.beside_value(beside));
        if self.segments.is_some() {
            self.waiting.push((side, value));
        } else {
            Self::key(out, side, &value);
        }
        Ok(())
    }

    fn segment(&mut self, out: &mut Writer<'_>, segment: Segment) -> Result<(), Stopped> {
        out.buffer.extend_from_slice(if self.segments.is_none() { b",\"segments\":[\n" } else { b",\n" });
        self.segments = Some(self.segments.unwrap_or(0) + 1);
        let block = &segment.block;
        out.buffer.extend_from_slice(b"{\"type\":");
        json::string(&mut out.buffer, &block.run.value.name());
        let count = element_count(&block.values).map_or("null".into(), |count| count.to_string());
        out.buffer.extend_from_slice(format!(",\"element_count\":{count}").as_bytes());
        if block.run.domain == StatusDomain::Pva {
            out.buffer.extend_from_slice(b",\"status_domain\":\"pva\"");
        }
        if let Some(descriptor) = &block.run.descriptor {
            out.buffer.extend_from_slice(b",\"descriptor\":");
            json::string(&mut out.buffer, &STANDARD.encode(descriptor));
        }
        out.buffer.extend_from_slice(b",\"metadata\":");
        json::value(&mut out.buffer, &self.numbers.metadata(segment.metadata.as_deref()));
        self.times(out, &block.time)?;
        self.values(out, &block.values)?;
        let numbers = self.numbers;
        let count = block.len();
        Self::member(out, "severity", count, |to, i| json::integer(to, block.severity[i].into()))?;
        Self::member(out, "status", count, |to, i| json::integer(to, block.status[i].into()))?;
        if block.run.received {
            Self::member(out, "received_ns", count, |to, i| numbers.int64(to, block.received[i]))?;
        }
        if block.run.user_tag {
            Self::member(out, "user_tag", count, |to, i| numbers.int64(to, block.user_tag[i]))?;
        }
        if block.run.message {
            Self::member(out, "message", count, |to, i| json::string(to, &json::text(block.message.get(i))))?;
        }
        out.buffer.push(b'}');
        out.settle()
    }

    fn close(&mut self, out: &mut Writer<'_>, closing: &Closing) -> Result<(), Stopped> {
        out.buffer.extend_from_slice(if self.segments.is_none() { b",\"segments\":[]" } else { b"]" });
        self.segments = None;
        for (side, value) in std::mem::take(&mut self.waiting) {
            Self::key(out, side, &value);
        }
        let gap = |gap: &decimator::coverage::Interval| {
            json!({
                "from_ns": self.numbers.integer_value(gap.range.from.0),
                "to_ns": self.numbers.integer_value(gap.range.to.0),
                "state": gap.state.name(),
            })
        };
        let gaps: Vec<Value> = closing.gaps.iter().map(gap).collect();
        out.buffer.extend_from_slice(b",\"gaps\":");
        json::value(&mut out.buffer, &json!(gaps));
        out.buffer.extend_from_slice(b",\"next\":");
        json::value(&mut out.buffer, &json!(closing.next));
        out.buffer.push(b'}');
        out.settle()
    }

    fn end(&mut self, out: &mut Writer<'_>, ending: &Ending) -> Result<(), Stopped> {
        let complete = out.is_complete(&ending.problems);
        out.buffer.extend_from_slice(format!("\n],\"complete\":{complete},\"problems\":").as_bytes());
        json::value(&mut out.buffer, &json!(ending.problems));
        let durable = ending.durable_until.map(|time| self.numbers.integer_value(time.0));
        out.buffer.extend_from_slice(b",\"durable_until_ns\":");
        json::value(&mut out.buffer, &json!(durable));
        out.buffer.extend_from_slice(b"}\n");
        Ok(())
    }
}
