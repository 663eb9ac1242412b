//! What an answer can depend on, as one number: nothing of it is read.

use super::plan::look;
use super::table;
use crate::condition;
use crate::error::ApiError;
use crate::limits::VIEWS_HELD_MAX;
use crate::names::{Target, resolve};
use crate::parameters::Pairs;
use crate::query::Query;
use crate::routes::{Request, Route};
use crate::server::ServerState;
use crate::validator::Validator;
use sample::TimeRange;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The range whose views tell all, `None` where they do not.
fn range(route: &Route, query: &Query) -> Result<Option<TimeRange>, ApiError> {
    // Samples behind the range come into the answer.
    if query.flag("after") == Some(true) || query.choice("fill") == Some("linear") {
        return Ok(None);
    }
    Ok(match route.request {
        Request::Samples | Request::Bins | Request::Events | Request::Coverage | Request::Search => {
            Some(query.range()?)
        }
        Request::Table => Some(table::range(query)?),
        Request::At => {
            let time = query.time("time").unwrap_or(query.now);
            Some(TimeRange::new(time, time.saturating_add(1)))
        }
        _ => None,
    })
}

/// The validator of the answer to `pairs`; `None` where it has none: a bad request, a name that is not there, a list
/// of names that may grow (`match=`), something missing.
pub(super) fn of(state: &ServerState, route: &Route, pairs: &Pairs, query: &Query) -> Option<Validator> {
    let range = range(route, query).ok()??;
    if query.pattern("match").is_some() || query.channels().count() > VIEWS_HELD_MAX {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    // Relative times are in here as text, and in the range as what they mean.
    (route.path, pairs, range).hash(&mut hasher);
    let condition = match query.text("where") {
        Some(text) => condition::parse(text).ok()?.channels,
        None => Vec::new(),
    };
    let grid = query.text("grid").and_then(|grid| grid.strip_prefix("at:"));
    let mut sealed = true;
    for text in query.channels().chain(condition.iter().map(String::as_str)).chain(grid) {
        let Ok(Target::Known { name, stored }) = resolve(&state.reader, text) else { return None };
        let version = look(state, &stored, range).ok()?.version(range)?;
        (name.as_str(), stored.as_str(), version.state).hash(&mut hasher);
        sealed &= version.sealed;
    }
    Some(Validator { state: state.validators.seeded(hasher.finish()), sealed })
}
