//! `/channel`: everything about one channel.

use super::timeline::numbers;
use crate::error::ApiError;
use crate::names::{self, Target};
use crate::output::{Output, Stopped, Writer};
use crate::query::Query;
use crate::routes::JSON_MEDIA_TYPE;
use crate::server::ServerState;
use engine::read::{ChannelDetail, Live};
use sample::{DropCause, Timestamp};
use serde_json::{Map, Value, json};

/// Drops by cause.
pub(super) fn dropped(counts: [u64; 5]) -> Value {
    let by_cause = DropCause::ALL.into_iter().zip(counts);
    by_cause.map(|(cause, n)| (cause.name().to_string(), json!(n))).collect::<Map<_, _>>().into()
}

fn live_keys(object: &mut Value, live: Option<&Live>) {
    object["host"] = json!(live.and_then(|l| l.host.as_deref()));
    object["since_ns"] = json!(live.and_then(|l| l.since).map(|t| t.0));
    object["received"] = json!(live.map(|l| l.ledger.received));
    object["stored"] = json!(live.map(|l| l.ledger.stored));
    object["redelivered"] = json!(live.map(|l| l.ledger.redelivered));
    object["dropped"] = live.map_or(Value::Null, |l| dropped(l.ledger.dropped));
    object["rates"] =
        live.map_or(Value::Null, |l| json!({"samples_per_s": l.samples_per_s, "bytes_per_s": l.bytes_per_s}));
}

fn describe(object: &mut Value, query: &Query, time: Timestamp, detail: &ChannelDetail) {
    let name = object["name"].take();
    if let Value::Object(row) = super::channels::row(&detail.summary)
        && let Some(object) = object.as_object_mut()
    {
        object.extend(row);
    }
    object["name"] = name;
    object["types"] =
        detail.types.iter().map(|(from, t)| json!({"from_ns": from.0, "type": t.name()})).collect();
    object["time_ns"] = json!(time.0);
    let metadata = detail.metadata.as_ref();
    object["metadata"] = numbers(query).metadata(metadata.map(|(_, metadata)| &**metadata));
    object["metadata_since_ns"] = json!(metadata.map(|(since, _)| since.0));
    live_keys(object, detail.live.as_ref());
    object["retention"] = json!(detail.retention);
}

pub(super) fn answer(state: &ServerState, query: &Query, output: &mut dyn Output) -> Result<(), Stopped> {
    let targets = names::targets(&state.reader, query)?;
    let [target @ Target::Known { stored, .. }] = targets.as_slice() else {
        let message = "channel is given more than once; this request describes one channel";
        return Err(ApiError::parameter("channel", message).into());
    };
    let time = query.time("time").unwrap_or(query.now);
    let detail = state
        .reader
        .channel(stored, time)
        .map_err(|error| ApiError::read(&error, Some(target.name())))?
        .ok_or_else(|| ApiError::unknown_channel(target.name(), Vec::new()))?;
    let mut object = target.object();
    describe(&mut object, query, time, &detail);
    let mut out = Writer::new(output, JSON_MEDIA_TYPE);
    out.buffer = super::json_line(&object);
    out.finish()
}
