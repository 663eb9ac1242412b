//! `/search`: when a condition held. The same condition confines other requests.

use super::each::problem;
use super::plan::look;
use super::timeline::numbers;
use crate::condition::{Search, parse};
use crate::error::{ApiError, Code};
use crate::json;
use crate::limits::SEARCH_INTERVALS_MAX;
use crate::names::{self, Target};
use crate::output::{Output, Stopped, Writer};
use crate::query::Query;
use crate::routes::JSON_MEDIA_TYPE;
use crate::selection::Selection;
use crate::server::ServerState;
use engine::read::{ReadError, Scan};
use sample::{ChannelName, TimeRange, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;

/// When a condition held in a range.
pub(super) struct Found {
    pub(super) selection: Selection,
    /// What the answer lacks.
    pub(super) problems: Vec<Value>,
    /// The condition's channels.
    channels: Vec<Value>,
    durable_until: Timestamp,
}

/// When the condition of `where=` held in `range`; `None` without one.
pub(super) fn found(state: &ServerState, query: &Query, range: TimeRange) -> Result<Option<Found>, ApiError> {
    let Some(text) = query.text("where") else { return Ok(None) };
    let condition = parse(text).map_err(|fault| {
        ApiError::parameter("where", format!("where, column {}: {}", fault.column, fault.message))
    })?;
    let scan = Scan { skip_damaged: query.choice("damaged") == Some("skip"), ..Scan::ascending(range) };
    let (mut names, mut channels) = (Vec::new(), Vec::new());
    for text in &condition.channels {
        let target = names::resolve(&state.reader, text)?;
        channels.push(target.object());
        names.push(match target {
            Target::Known { name, stored } => (name, stored),
            Target::Refused { name, error } if error.code == Code::UnknownChannel => {
                let near = state.reader.near(&name);
                let error = ApiError::unknown_channel(&name, near);
                return Err(ApiError { parameter: Some("where".into()), ..error });
            }
            Target::Refused { error, .. } => return Err(error),
        });
    }
    let refused = |(place, error): (usize, ReadError)| ApiError::read(&error, Some(names[place].0.as_str()));
    // Views of one moment, with how much of them is durable.
    let search = || {
        let look = |(place, (_, stored)): (usize, &(ChannelName, ChannelName))| {
            look(state, stored, range).map(Arc::new).map_err(|error| refused((place, error)))
        };
        let views = names.iter().enumerate().map(look).collect::<Result<Vec<_>, _>>()?;
        let durable = views.iter().map(|view| view.durable_until()).min().unwrap_or(Timestamp::MAX);
        let search = Search::new(condition.clone(), views, state.reader.clone(), scan);
        Ok::<_, ApiError>((search.reading_all(query.choice("statistics") == Some("ignore")), durable))
    };
    let (together, durable_until) = search()?;
    let (held, durable_until) = match together.together().map_err(refused)? {
        Some(held) => (held, durable_until),
        None => {
            let (alone, durable_until) = search()?;
            (alone.alone().map_err(refused)?, durable_until)
        }
    };
    if held.stretches.len() > SEARCH_INTERVALS_MAX {
        let message = format!("the condition held more than {SEARCH_INTERVALS_MAX} times; shorten the range");
        return Err(ApiError { parameter: Some("where".into()), ..ApiError::of(Code::TooLarge, message) });
    }
    let mut problems: Vec<Value> = Vec::new();
    for (of_channel, name) in held.problems.iter().zip(&condition.channels) {
        for found in of_channel {
            let found = problem(name, found);
            if problems.iter().all(|known| known["message"] != found["message"]) {
                problems.push(found);
            }
        }
    }
    let selection = Selection::new(held.stretches);
    Ok(Some(Found { selection, problems, channels, durable_until }))
}

/// `/search`.
pub(super) fn answer(state: &ServerState, query: &Query, output: &mut dyn Output) -> Result<(), Stopped> {
    let range = query.range()?;
    let Some(found) = found(state, query, range)? else {
        let message = "where is missing: say a condition, for example where=SR:DCCT > 10";
        return Err(ApiError::parameter("where", message).into());
    };
    let numbers = numbers(query);
    let mut out = Writer::new(output, JSON_MEDIA_TYPE);
    out.buffer.extend_from_slice(b"{\"from_ns\":");
    numbers.int64(&mut out.buffer, range.from.0);
    out.buffer.extend_from_slice(b",\"to_ns\":");
    numbers.int64(&mut out.buffer, range.to.0);
    out.buffer.extend_from_slice(b",\"channels\":");
    json::value(&mut out.buffer, &json!(found.channels));
    out.buffer.extend_from_slice(b",\"intervals\":[\n");
    let mut total = 0i64;
    for (i, stretch) in found.selection.stretches().iter().enumerate() {
        out.buffer.extend_from_slice(if i > 0 { b",{\"from_ns\":" } else { b"{\"from_ns\":" });
        numbers.int64(&mut out.buffer, stretch.from.0);
        out.buffer.extend_from_slice(b",\"to_ns\":");
        numbers.int64(&mut out.buffer, stretch.to.0);
        out.buffer.push(b'}');
        total = total.saturating_add(stretch.to.since(stretch.from));
        out.settle()?;
    }
    out.buffer.extend_from_slice(b"\n],\"total_ns\":");
    numbers.int64(&mut out.buffer, total);
    let complete = out.is_complete(&found.problems);
    out.buffer.extend_from_slice(format!(",\"complete\":{complete},\"problems\":").as_bytes());
    json::value(&mut out.buffer, &json!(found.problems));
    out.buffer.extend_from_slice(b",\"durable_until_ns\":");
    numbers.int64(&mut out.buffer, found.durable_until.0);
    out.buffer.extend_from_slice(b"}\n");
    out.finish()
}
