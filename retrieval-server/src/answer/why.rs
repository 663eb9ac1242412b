//! `/why`: why a channel is or is not archived.

use crate::error::ApiError;
use crate::json;
use crate::limits::NEAR_NAMES_MAX;
use crate::names::{self, Target};
use crate::output::{Output, Stopped, Writer};
use crate::query::Query;
use crate::routes::JSON_MEDIA_TYPE;
use crate::server::ServerState;
use engine::read::{Evidence, Verdict, Why};
use serde_json::{Map, Value, json};

fn evidence(why: &Why) -> Value {
    let value = |evidence: &Evidence| match evidence {
        Evidence::Text(text) => json!(text),
        #[expect(clippy::cast_possible_truncation, reason = "whole and far below 2^53, as the guard says")]
        Evidence::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => json!(*number as i64),
        Evidence::Number(number) => json!(number),
        Evidence::Time(time) => json!(time.0),
        Evidence::Flag(flag) => json!(flag),
    };
    // Times are integers in ns like all others, and their names say so.
    let name = |name: &str, evidence: &Evidence| match evidence {
        Evidence::Time(_) if !name.ends_with("_ns") => format!("{name}_ns"),
        _ => name.to_string(),
    };
    why.evidence.iter().map(|(n, e)| (name(n, e), value(e))).collect::<Map<_, _>>().into()
}

pub(super) fn answer(state: &ServerState, query: &Query, output: &mut dyn Output) -> Result<(), Stopped> {
    // A name that no archive knows is a question here, not an error.
    let targets = names::asked(&state.reader, query)?;
    let mut out = Writer::new(output, JSON_MEDIA_TYPE);
    out.buffer.extend_from_slice(b"{\"channels\":[\n");
    let mut looked_up = 0;
    for (i, target) in targets.iter().enumerate() {
        if i > 0 {
            out.buffer.extend_from_slice(b",\n");
        }
        let name = match target {
            Target::Known { stored, .. } => stored.as_str(),
            Target::Refused { name, .. } => name,
        };
        let why = state.reader.why(name).map_err(|error| ApiError::read(&error, Some(name)));
        let why = match why {
            Ok(why) => why,
            Err(error) if out.started() => return Err(Stopped::Broken(error)),
            Err(error) => return Err(error.into()),
        };
        let unknown = why.verdict == Verdict::NotRequested && matches!(target, Target::Refused { .. });
        let near = if unknown && looked_up < NEAR_NAMES_MAX {
            looked_up += 1;
            state.reader.near(name)
        } else {
            Vec::new()
        };
        let mut object = json!({"name": target.name()});
        if let Some(channel) = target.channel() {
            object["channel"] = json!(channel);
        }
        object["verdict"] = json!(why.verdict.name());
        object["evidence"] = evidence(&why);
        object["near"] = json!(near);
        json::value(&mut out.buffer, &object);
        out.settle()?;
    }
    out.buffer.extend_from_slice(b"\n]}\n");
    out.finish()
}
