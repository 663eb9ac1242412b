//! Raw samples as `columns`.

use super::{Beside, Closing, Ending, Format, Side};
use crate::columns;
use crate::json::Numbers;
use crate::names::Target;
use crate::output::{Stopped, Writer};
use crate::routes::COLUMNS_MEDIA_TYPE;
use crate::segments::Segment;
use sample::{StatusDomain, TimeRange, Timestamp};
use serde_json::{Value, json};

/// The binary format of PROTOCOL.md.
#[derive(Debug)]
pub(crate) struct ColumnsFormat {
    numbers: Numbers,
    /// Whether there is a column `edge`.
    edge: bool,
    range: TimeRange,
    /// What the end block says of each channel.
    channels: Vec<Value>,
    samples: u64,
}

impl ColumnsFormat {
    /// With a column `edge` where samples beside the range were asked for.
    pub(crate) fn new(numbers: Numbers, edge: bool) -> ColumnsFormat {
        let range = TimeRange::new(Timestamp(0), Timestamp(0));
        ColumnsFormat { numbers, edge, range, channels: Vec::new(), samples: 0 }
    }

    fn batch(
        &self,
        out: &mut Writer<'_>,
        segment: &Segment,
        held: Option<Option<bool>>,
    ) -> Result<(), Stopped> {
        let target = self.channels.last().cloned().unwrap_or_default();
        let mut json = description(self.numbers, &target, segment);
        if let Some(Some(held)) = held {
            json["held"] = json!(held);
        }
        let index = u32::try_from(self.channels.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let name = target["name"].as_str().unwrap_or_default();
        let edge = self.edge.then_some(held.is_some());
        columns::batch(out, (index, name), &segment.block, edge, &json)
    }
}

/// What describes a batch of the channel that answers call `target`.
pub(super) fn description(numbers: Numbers, target: &Value, segment: &Segment) -> Value {
    let mut json = json!({"type": segment.block.run.value.name()});
    if let Some(channel) = target.get("channel") {
        json["channel"] = channel.clone();
    }
    if segment.block.run.domain == StatusDomain::Pva {
        json["status_domain"] = json!("pva");
    }
    json["metadata"] = numbers.metadata(segment.metadata.as_deref());
    json
}

impl Format for ColumnsFormat {
    fn media_type(&self) -> &'static str {
        COLUMNS_MEDIA_TYPE
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
            Some(beside) => self.batch(out, &beside.segment, Some(beside.held)),
            None => Ok(()),
        }
    }

    fn segment(&mut self, out: &mut Writer<'_>, segment: &Segment) -> Result<(), Stopped> {
        self.samples += segment.block.len() as u64;
        self.batch(out, segment, None)
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
        let complete = out.is_complete(&ending.problems);
        let json = json!({
            "from_ns": self.range.from.0,
            "to_ns": self.range.to.0,
            "complete": complete,
            "problems": ending.problems,
            "channels": self.channels,
            "durable_until_ns": ending.durable_until.map(|time| time.0),
        });
        let durable_until = ending.durable_until.unwrap_or(Timestamp::MIN);
        columns::end(out, complete, self.samples, durable_until, &json)
    }
}
