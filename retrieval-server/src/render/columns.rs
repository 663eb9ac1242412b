//! Raw samples as `columns`.

use super::{Beside, Closing, Ending, Format, Side};
use crate::columns;
use crate::json::Numbers;
use crate::names::Target;
use crate::output::{Stopped, Writer};
use crate::routes::{CHUNKS_MEDIA_TYPE, COLUMNS_MEDIA_TYPE};
use crate::segments::{ChunkSegment, Segment};
use sample::{Metadata, RunType, StatusDomain, TimeRange, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;

/// The binary format of PROTOCOL.md.
#[derive(Debug)]
pub(crate) struct ColumnsFormat {
    numbers: Numbers,
    /// Whether there is a column `edge`.
    edge: bool,
    /// Whether chunks are sent as they are stored.
    undecoded: bool,
    /// What described the last samples inside the range.
    described: Option<Described>,
    range: TimeRange,
    /// What the end block says of each channel.
    channels: Vec<Value>,
    samples: u64,
}

/// The description of some samples.
#[derive(Debug)]
struct Described {
    channel: usize,
    run: RunType,
    metadata: Option<Arc<Metadata>>,
    json: Vec<u8>,
}

impl Described {
    fn is_of(&self, channel: usize, run: &RunType, metadata: Option<&Arc<Metadata>>) -> bool {
        let same = match (&self.metadata, metadata) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        self.channel == channel && self.run == *run && same
    }
}

impl ColumnsFormat {
    /// With a column `edge` where samples beside the range were asked for.
    pub(crate) fn new(numbers: Numbers, edge: bool) -> ColumnsFormat {
        let range = TimeRange::new(Timestamp(0), Timestamp(0));
        ColumnsFormat {
            numbers,
            edge,
            undecoded: false,
            described: None,
            range,
            channels: Vec::new(),
            samples: 0,
        }
    }

    /// For a client that takes chunks as they are stored.
    pub(crate) fn undecoded(self) -> ColumnsFormat {
        ColumnsFormat { undecoded: true, ..self }
    }

    /// A batch of samples beside the range.
    fn batch_beside(&self, out: &mut Writer<'_>, beside: &Beside) -> Result<(), Stopped> {
        let Segment { block, metadata } = beside.segment.clone();
        let (index, target) = self.present();
        let mut json = description(self.numbers, target, &block.run, metadata.as_deref());
        if let Some(held) = beside.held {
            json["held"] = json!(held);
        }
        let json = json.to_string();
        columns::batch(out, (index, name_of(target)), block, self.edge.then_some(true), json.as_bytes())
    }

    /// The present channel: its place, and how the answer calls it.
    fn present(&self) -> (u32, &Value) {
        let index = u32::try_from(self.channels.len().saturating_sub(1)).unwrap_or(u32::MAX);
        (index, self.channels.last().unwrap_or(&Value::Null))
    }

    /// Makes `described` fit samples of the present channel.
    fn describe(&mut self, run: &RunType, metadata: Option<&Arc<Metadata>>) {
        let at = self.channels.len().saturating_sub(1);
        if self.described.as_ref().is_some_and(|described| described.is_of(at, run, metadata)) {
            return;
        }
        let json = description(self.numbers, self.present().1, run, metadata.map(|metadata| &**metadata));
        let json = json.to_string().into_bytes();
        let (run, metadata) = (run.clone(), metadata.cloned());
        self.described = Some(Described { channel: at, run, metadata, json });
    }

    /// The description of the samples that it was made for.
    fn description(&self) -> &[u8] {
        self.described.as_ref().map_or(b"{}".as_slice(), |described| &described.json)
    }
}

/// The name by which a channel was asked for.
fn name_of(target: &Value) -> &str {
    target["name"].as_str().unwrap_or_default()
}

/// What describes a batch of the channel that answers call `target`.
pub(super) fn description(
    numbers: Numbers,
    target: &Value,
    run: &RunType,
    metadata: Option<&Metadata>,
) -> Value {
    let mut json = json!({"type": run.value.name()});
    if let Some(channel) = target.get("channel") {
        json["channel"] = channel.clone();
    }
    if run.domain == StatusDomain::Pva {
        json["status_domain"] = json!("pva");
    }
    json["metadata"] = numbers.metadata(metadata);
    json
}

impl Format for ColumnsFormat {
    fn media_type(&self) -> &'static str {
        if self.undecoded { CHUNKS_MEDIA_TYPE } else { COLUMNS_MEDIA_TYPE }
    }

    fn tells_problems(&self) -> bool {
        true
    }

    fn sample_bytes(&self, _name: &str, value_bytes: u64, _value_text: u64) -> u64 {
        value_bytes + 8 + 1 + 2
    }

    fn start(&mut self, out: &mut Writer<'_>, range: TimeRange) -> Result<(), Stopped> {
        self.range = range;
        out.start_checksum();
        out.put(&columns::stream_head())
    }

    fn refused(&mut self, _out: &mut Writer<'_>, target: &Target) -> Result<(), Stopped> {
        self.channels.push(target.object());
        Ok(())
    }

    fn open(&mut self, _out: &mut Writer<'_>, target: &Target) -> Result<(), Stopped> {
        self.channels.push(target.object());
        Ok(())
    }

    fn beside(&mut self, out: &mut Writer<'_>, _side: Side, sample: Option<&Beside>) -> Result<(), Stopped> {
        match sample {
            Some(beside) => self.batch_beside(out, beside),
            None => Ok(()),
        }
    }

    fn segment(&mut self, out: &mut Writer<'_>, mut segment: Segment) -> Result<(), Stopped> {
        // Ranks are not sent.
        segment.block.rank = Vec::new();
        self.samples += segment.block.len() as u64;
        self.describe(&segment.block.run, segment.metadata.as_ref());
        let (index, target) = self.present();
        let edge = self.edge.then_some(false);
        columns::batch(out, (index, name_of(target)), segment.block, edge, self.description())
    }

    fn chunks(&mut self, out: &mut Writer<'_>, segment: &ChunkSegment) -> Result<(), Stopped> {
        let Some(first) = segment.chunks.first() else { return Ok(()) };
        self.describe(&first.chunk.header().run, segment.metadata.as_ref());
        self.samples += segment.samples() as u64;
        if segment.chunks.iter().any(|of| !of.lenders.is_empty()) {
            columns::lenders(out, segment.chunks.iter().flat_map(|of| &of.lenders))?;
        }
        let (index, target) = self.present();
        let chunks = segment.chunks.iter().map(|of| &of.chunk);
        columns::chunks(out, (index, name_of(target)), chunks, self.description())
    }

    fn close(&mut self, _out: &mut Writer<'_>, closing: &Closing) -> Result<(), Stopped> {
        let gaps: Vec<Value> = closing
            .gaps
            .iter()
            .map(|gap| {
                json!({"from_ns": gap.range.from.0, "to_ns": gap.range.to.0, "state": gap.state.name()})
            })
            .collect();
        if let Some(channel) = self.channels.last_mut() {
            channel["samples"] = json!(closing.samples);
            channel["gaps"] = json!(gaps);
            channel["next"] = json!(closing.next);
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Writer<'_>, ending: &Ending) -> Result<(), Stopped> {
        ending.end_columns(out, (self.range, &self.channels), self.samples, None)
    }
}

impl Ending {
    /// Ends an answer over `range` of `count` samples, bins or rows; `more` is what its end block says beside what all say.
    pub(super) fn end_columns(
        &self,
        out: &mut Writer<'_>,
        (range, channels): (TimeRange, &[Value]),
        count: u64,
        more: Option<(&str, Value)>,
    ) -> Result<(), Stopped> {
        let complete = out.is_complete(&self.problems);
        let mut json = json!({
            "from_ns": range.from.0,
            "to_ns": range.to.0,
            "complete": complete,
            "problems": self.problems,
            "channels": channels,
        });
        if let Some((name, value)) = more {
            json[name] = value;
        }
        json["durable_until_ns"] = json!(self.durable_until.map(|time| time.0));
        columns::end(out, complete, count, self.durable_until.unwrap_or(Timestamp::MIN), &json)
    }
}
