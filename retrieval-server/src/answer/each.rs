//! JSON answers with one object for each channel of a request.

use crate::error::ApiError;
use crate::json;
use crate::names::{self, Target};
use crate::output::{Output, Stopped, Writer};
use crate::query::Query;
use crate::routes::JSON_MEDIA_TYPE;
use crate::server::ServerState;
use engine::read::{ChannelView, Problem, ReadError};
use sample::TimeRange;
use serde_json::{Map, Value, json};

/// A problem as answers tell it.
pub(super) fn problem(channel: &str, problem: &Problem) -> Value {
    json!({
        "code": problem.code.name(),
        "channel": channel,
        "from_ns": problem.range.from.0,
        "to_ns": problem.range.to.0,
        "file": problem.file.as_ref().map(|file| file.display().to_string()),
        "message": problem.message,
    })
}

/// Writes `{..lead,"channels":[..],"complete","problems"}`: an object for each channel of `query` with what
/// `fill` adds to it from the channel's view of `range`, and problems that are known already.
pub(super) fn channel_objects(
    state: &ServerState,
    query: &Query,
    (range, mut problems): (TimeRange, Vec<Value>),
    lead: Map<String, Value>,
    output: &mut dyn Output,
    fill: impl Fn(&ChannelView, &mut Value) -> Result<(), ReadError>,
) -> Result<(), Stopped> {
    let targets = names::targets(&state.reader, query)?;
    let mut out = Writer::new(output, JSON_MEDIA_TYPE);
    json::value(&mut out.buffer, &Value::Object(lead));
    // The object stays open: its list follows.
    out.buffer.pop();
    out.buffer.extend_from_slice(b",\"channels\":[\n");
    for (i, target) in targets.iter().enumerate() {
        if i > 0 {
            out.buffer.extend_from_slice(b",\n");
        }
        let mut object = target.object();
        if let Target::Known { stored, .. } = target {
            let filled = match state.reader.view(stored, range) {
                Ok(Some(view)) => fill(&view, &mut object).map(|()| {
                    problems.extend(view.problems().iter().map(|p| problem(target.name(), p)));
                }),
                // Listed a moment ago, gone now.
                Ok(None) => Err(ReadError::Unavailable(format!("{stored} has gone from the archive"))),
                Err(error) => Err(error),
            };
            if let Err(error) = filled {
                let error = ApiError::read(&error, None);
                if targets.len() == 1 {
                    return Err(ApiError { channel: Some(target.name().into()), ..error }.into());
                }
                object = target.object();
                object["error"] = error.object();
            }
        }
        json::value(&mut out.buffer, &object);
        out.settle()?;
    }
    let complete = out.is_complete(&problems);
    out.buffer.extend_from_slice(format!("\n],\"complete\":{complete},\"problems\":").as_bytes());
    json::value(&mut out.buffer, &json!(problems));
    out.buffer.extend_from_slice(b"}\n");
    out.finish()
}
