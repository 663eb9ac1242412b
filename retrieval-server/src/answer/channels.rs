//! `/channels`: the list of channels.

use crate::error::ApiError;
use crate::json;
use crate::limits::CHANNELS_DEFAULT;
use crate::output::{Output, Stopped, Writer};
use crate::query::Query;
use crate::routes::JSON_MEDIA_TYPE;
use crate::server::ServerState;
use engine::read::{ChannelFilter, ChannelState, ChannelSummary};
use serde_json::{Value, json};

const STATES: [ChannelState; 6] = [
    ChannelState::Connected,
    ChannelState::Disconnected,
    ChannelState::NeverConnected,
    ChannelState::Paused,
    ChannelState::Silent,
    ChannelState::Retired,
];

/// One row.
pub(super) fn row(summary: &ChannelSummary) -> Value {
    let mut row = json!({
        "name": summary.name.as_str(),
        "type": summary.value_type.map(|t| t.name()),
        "first_ns": summary.first.map(|t| t.0),
        "last_ns": summary.last.map(|t| t.0),
        "samples": summary.samples,
        "bytes": summary.bytes,
        "connected": summary.connected,
        "state": summary.state.name(),
        "reason": summary.reason,
        "origin": summary.origin,
    });
    if let Some(stored) = &summary.alias_of {
        row["alias_of"] = json!(stored.as_str());
    }
    row
}

pub(super) fn answer(state: &ServerState, query: &Query, output: &mut dyn Output) -> Result<(), Stopped> {
    let limit = query.count("limit").unwrap_or(CHANNELS_DEFAULT);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let patterns = [query.pattern("match"), query.pattern("regex")];
    let matches = |name: &str| patterns.iter().flatten().all(|pattern| pattern.matches(name));
    let filter = ChannelFilter {
        matches: &matches,
        state: query.choice("state").and_then(|name| STATES.into_iter().find(|s| s.name() == name)),
        after: query.text("after"),
        limit: if limit == 0 { 0 } else { limit.saturating_add(1) },
    };
    let mut rows = state.reader.channels(&filter).map_err(|error| ApiError::read(&error, None))?;
    let more = limit > 0 && rows.len() > limit;
    if more {
        rows.truncate(limit);
    }
    let next = rows.last().filter(|_| more).map(|row| row.name.as_str());
    let mut out = Writer::new(output, JSON_MEDIA_TYPE);
    out.buffer.extend_from_slice(b"{\"channels\":[\n");
    for (i, summary) in rows.iter().enumerate() {
        if i > 0 {
            out.buffer.extend_from_slice(b",\n");
        }
        json::value(&mut out.buffer, &row(summary));
        out.settle()?;
    }
    out.buffer.extend_from_slice(b"\n],\"next\":");
    json::value(&mut out.buffer, &json!(next));
    out.buffer.extend_from_slice(b"}\n");
    out.finish()
}
