//! A stream that follows channels, as server-sent events or `columns`.

use crate::columns;
use crate::follow::FollowCursor;
use crate::json::{self, Numbers};
use crate::names::Target;
use crate::output::{Stopped, Writer};
use crate::routes::{COLUMNS_MEDIA_TYPE, EVENTS_MEDIA_TYPE};
use crate::segments::Segment;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sample::{Metadata, StatusDomain, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;

/// When a browser connects again after the connection broke.
const RECONNECT_MS: u32 = 1000;

/// What is told beside samples.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Notice {
    /// Something happened to a channel.
    Event,
    /// Samples are not sent.
    Gap,
    /// The stream lives.
    Heartbeat,
}

impl Notice {
    fn name(self) -> &'static str {
        match self {
            Notice::Event => "event",
            Notice::Gap => "gap",
            Notice::Heartbeat => "heartbeat",
        }
    }
}

/// A format of streams. Every call says in `cursor` how far the client has got with it.
pub(crate) struct FollowFormat {
    columns: bool,
    numbers: Numbers,
    /// What answers call each channel.
    targets: Vec<Value>,
    /// Metadata that was told last of each channel; outer `None` before the first sample.
    told: Vec<Option<Option<Arc<Metadata>>>>,
    samples: u64,
}

fn same(a: Option<&Arc<Metadata>>, b: Option<&Arc<Metadata>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a.same_bits(b),
        (None, None) => true,
        _ => false,
    }
}

impl FollowFormat {
    /// Of `targets`; server-sent events unless `columns`.
    pub(crate) fn new(columns: bool, numbers: Numbers, targets: &[Target]) -> FollowFormat {
        let told = vec![None; targets.len()];
        let targets = targets.iter().map(Target::object).collect();
        FollowFormat { columns, numbers, targets, told, samples: 0 }
    }

    /// Media type.
    pub(crate) fn media_type(&self) -> &'static str {
        if self.columns { COLUMNS_MEDIA_TYPE } else { EVENTS_MEDIA_TYPE }
    }

    /// What answers call the channels, and why some are not followed.
    pub(crate) fn channels(&self) -> &[Value] {
        &self.targets
    }

    /// The stream begins.
    pub(crate) fn start(&self, out: &mut Writer<'_>) -> Result<(), Stopped> {
        if self.columns {
            out.start_checksum();
            return out.put(&columns::stream_head());
        }
        out.put(format!("retry: {RECONNECT_MS}\n\n").as_bytes())
    }

    /// Samples of one channel; `late` if they are older than what was sent before.
    pub(crate) fn samples(
        &mut self,
        out: &mut Writer<'_>,
        cursor: &mut FollowCursor,
        channel: usize,
        (place, late): (usize, bool),
        segment: Segment,
    ) -> Result<(), Stopped> {
        let block = &segment.block;
        self.samples += block.len() as u64;
        if !self.columns {
            for i in 0..block.len() {
                cursor.places[place].sent(block, i, i + 1, late);
                self.event(out, "sample", &cursor.encode());
                self.sample(&mut out.buffer, channel, late, &segment, i);
                out.buffer.extend_from_slice(b"\n\n");
                out.settle()?;
            }
            return Ok(());
        }
        cursor.places[place].sent(block, 0, block.len(), late);
        let target = &self.targets[channel];
        let mut json = super::columns::description(
            self.numbers,
            target,
            &segment.block.run,
            segment.metadata.as_deref(),
        );
        if late {
            json["late"] = json!(true);
        }
        json["cursor"] = json!(cursor.encode());
        columns::batch(out, (index(channel), name(target)), segment.block, None, json.to_string().as_bytes())
    }

    fn event(&self, out: &mut Writer<'_>, kind: &str, cursor: &str) {
        out.buffer.extend_from_slice(b"event: ");
        out.buffer.extend_from_slice(kind.as_bytes());
        out.buffer.extend_from_slice(b"\nid: ");
        out.buffer.extend_from_slice(cursor.as_bytes());
        out.buffer.extend_from_slice(b"\ndata: ");
    }

    /// Sample `i` as an object without line ends.
    fn sample(&mut self, to: &mut Vec<u8>, channel: usize, late: bool, segment: &Segment, i: usize) {
        let (block, numbers) = (&segment.block, self.numbers);
        // The object stays open: more keys follow.
        json::value(to, &self.targets[channel]);
        to.pop();
        to.extend_from_slice(b",\"time_ns\":");
        numbers.int64(to, block.time[i]);
        to.extend_from_slice(b",\"type\":");
        json::string(to, &block.run.value.name());
        to.extend_from_slice(b",\"value\":");
        numbers.put(to, &block.values, i);
        to.extend_from_slice(b",\"severity\":");
        json::integer(to, block.severity[i].into());
        to.extend_from_slice(b",\"status\":");
        json::integer(to, block.status[i].into());
        let mut flag = |there: bool, text: &[u8]| {
            if there {
                to.extend_from_slice(text);
            }
        };
        flag(block.run.domain == StatusDomain::Pva, b",\"status_domain\":\"pva\"");
        flag(late, b",\"late\":true");
        if block.run.received {
            to.extend_from_slice(b",\"received_ns\":");
            numbers.int64(to, block.received[i]);
        }
        if block.run.user_tag {
            to.extend_from_slice(b",\"user_tag\":");
            numbers.int64(to, block.user_tag[i]);
        }
        if block.run.message {
            to.extend_from_slice(b",\"message\":");
            json::string(to, &json::text(block.message.get(i)));
        }
        if let Some(descriptor) = &block.run.descriptor {
            to.extend_from_slice(b",\"descriptor\":");
            json::string(to, &STANDARD.encode(descriptor));
        }
        let told = &mut self.told[channel];
        if !told.as_ref().is_some_and(|told| same(told.as_ref(), segment.metadata.as_ref())) {
            to.extend_from_slice(b",\"metadata\":");
            json::value(to, &numbers.metadata(segment.metadata.as_deref()));
            *told = Some(segment.metadata.clone());
        }
        to.push(b'}');
    }

    /// Something beside samples, of one channel or of all; `told` is an object.
    pub(crate) fn notice(
        &self,
        out: &mut Writer<'_>,
        cursor: &FollowCursor,
        (notice, channel): (Notice, Option<usize>),
        durable_until: Timestamp,
        told: Value,
    ) -> Result<(), Stopped> {
        let target = channel.map(|channel| &self.targets[channel]);
        let mut object = target.cloned().unwrap_or_else(|| json!({}));
        if let (Some(object), Value::Object(told)) = (object.as_object_mut(), told) {
            object.extend(told);
        }
        if self.columns {
            object["event"] = json!(notice.name());
            object["cursor"] = json!(cursor.encode());
            let of = channel.zip(target).map(|(channel, target)| (index(channel), name(target)));
            return columns::notice(out, of, durable_until, &object);
        }
        self.event(out, notice.name(), &cursor.encode());
        json::value(&mut out.buffer, &object);
        out.buffer.extend_from_slice(b"\n\n");
        out.settle()
    }

    /// The stream ends as it should; server-sent events just end.
    pub(crate) fn end(
        &self,
        out: &mut Writer<'_>,
        cursor: &FollowCursor,
        problems: &[Value],
        durable_until: Timestamp,
    ) -> Result<(), Stopped> {
        if !self.columns {
            return Ok(());
        }
        let complete = problems.is_empty();
        let json = json!({
            "from_ns": cursor.from.0,
            "complete": complete,
            "problems": problems,
            "channels": self.targets,
            "cursor": cursor.encode(),
            "durable_until_ns": durable_until.0,
        });
        columns::end(out, complete, self.samples, durable_until, &json)
    }
}

fn index(channel: usize) -> u32 {
    u32::try_from(channel).unwrap_or(u32::MAX)
}

fn name(target: &Value) -> &str {
    target["name"].as_str().unwrap_or_default()
}
