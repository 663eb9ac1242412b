//! Answers one request; blocking, without HTTP, so that a command line can ask the same.

mod arrow;
mod bins;
mod channel;
mod channels;
mod each;
mod explain;
mod follow;
mod plan;
mod samples;
mod search;
mod status;
mod table;
mod timeline;
mod validator;
mod why;

use crate::error::ApiError;
use crate::noted::Noted;
use crate::output::{Output, Stopped, Writer};
use crate::parameters::Pairs;
use crate::query::Query;
use crate::routes::{self, Request, Route};
use crate::server::ServerState;
use serde_json::Value;

pub(crate) use status::readiness;

/// Answers the request at `path` (for example `/api/v1/samples`) into `output`.
///
/// Bytes that reached `output` before an error are no whole answer.
pub fn answer(
    state: &ServerState,
    path: &str,
    pairs: &Pairs,
    output: &mut dyn Output,
) -> Result<(), Stopped> {
    let route = routes::find(path).ok_or_else(|| ApiError::no_route(path))?;
    answer_route(state, route, pairs, output)
}

/// As [`answer`], for a row of the table.
pub(crate) fn answer_route(
    state: &ServerState,
    route: &'static Route,
    pairs: &Pairs,
    output: &mut dyn Output,
) -> Result<(), Stopped> {
    let query = &Query::check(route, pairs, state.reader.now())?;
    if query.flag("explain") == Some(true) {
        return explain::answer(&state.for_one_answer(), route, query, output);
    }
    let (noted, reader) = Noted::of(&state.reader);
    let state = &state.over(reader).for_one_answer();
    if !output.validate(&mut || validator::of(state, route, pairs, query)) {
        return Err(Stopped::Unchanged);
    }
    noted.again();
    answer_query(state, route, query, output)
}

/// Answers what was understood.
fn answer_query(
    state: &ServerState,
    route: &Route,
    query: &Query,
    output: &mut dyn Output,
) -> Result<(), Stopped> {
    match route.request {
        Request::Channels => channels::answer(state, query, output),
        Request::Channel => channel::answer(state, query, output),
        Request::Samples => samples::answer(state, query, output),
        Request::Bins => bins::answer(state, query, output),
        Request::Table => table::answer(state, query, output),
        Request::At => timeline::at(state, query, output),
        Request::Events => timeline::events(state, query, output),
        Request::Coverage => timeline::coverage(state, query, output),
        Request::Follow => follow::answer(state, query, output),
        Request::Search => search::answer(state, query, output),
        Request::Why => why::answer(state, query, output),
        Request::Status => whole(route, output, json_line(&status::status(state))),
        Request::Metrics => whole(route, output, state.metrics_text().into_bytes()),
        Request::Live => whole(route, output, b"{\"live\":true}\n".to_vec()),
        Request::Ready => whole(route, output, json_line(&readiness(state).1)),
        Request::OpenApi => whole(route, output, json_line(&crate::openapi::document())),
    }
}

fn json_line(value: &Value) -> Vec<u8> {
    let mut body = value.to_string().into_bytes();
    body.push(b'\n');
    body
}

/// An answer that is there at once.
fn whole(route: &Route, output: &mut dyn Output, body: Vec<u8>) -> Result<(), Stopped> {
    let mut out = Writer::new(output, route.produces[0]);
    out.buffer = body;
    out.finish()
}
