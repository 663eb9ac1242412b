//! How processes of one installation read each other's archives.
//!
//! An engine answers for its memory (the *tail*: what its newest manifest's files lack) and for its whole
//! archive; an archive server for all its archives as one. PROTOCOL.md describes it as internal: both ends
//! are Varve, and it changes with the version in its path.

mod caller;
mod facts;
mod held;
mod remote;
mod remote_run;
mod remote_tables;
mod service;
mod snapshots;
#[cfg(test)]
mod tests;
mod wire;

pub use remote::RemoteArchive;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::post;
use engine::LiveArchive;
use engine::read::{Member, Reader};
use service::Service;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What both ends must speak: one more with every question, and with every change of what an answer means.
pub(crate) const VERSION: u32 = 2;
/// Media type of requests and answers.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.varve.internal";
/// Bytes of a request: a list of parts is the longest.
const REQUEST_BYTES_MAX: usize = 256 << 10;
/// Requests that are answered at the same time; more wait.
const ANSWERING_MAX: usize = 64;

/// What may be asked: the last part of the path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Question {
    /// Which archive is it?
    Hello,
    /// What is the stored name behind a name?
    Resolve,
    /// Which known names look like this one?
    Near,
    /// Which channels are there?
    Channels,
    /// What is known of one channel?
    Channel,
    /// Why is a channel archived or not?
    Why,
    /// What is needed to read a channel of the whole archive?
    Snapshot,
    /// What does memory hold of a channel?
    Tail,
    /// Which parts has a run of a snapshot?
    Parts,
    /// What are the samples of parts?
    Load,
    /// Which types has a run?
    Types,
    /// Which runs has a snapshot behind its range?
    Behind,
}

impl Question {
    /// Every question.
    pub(crate) const ALL: [Question; 12] = [
        Question::Hello,
        Question::Resolve,
        Question::Near,
        Question::Channels,
        Question::Channel,
        Question::Why,
        Question::Snapshot,
        Question::Tail,
        Question::Parts,
        Question::Load,
        Question::Types,
        Question::Behind,
    ];

    /// Its name in the path.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Question::Hello => "hello",
            Question::Resolve => "resolve",
            Question::Near => "near",
            Question::Channels => "channels",
            Question::Channel => "channel",
            Question::Why => "why",
            Question::Snapshot => "snapshot",
            Question::Tail => "tail",
            Question::Parts => "parts",
            Question::Load => "load",
            Question::Types => "types",
            Question::Behind => "behind",
        }
    }
}

/// The routes that an engine adds to its server, so that other processes can read its archive:
/// `router(state).merge(tail::routes(engine.archive()))`.
pub fn routes(archive: LiveArchive) -> axum::Router {
    let member = Member { name: String::new(), priority: 1, archive: Arc::new(archive.clone()) };
    answering(Service::new(Reader::new(vec![member]), Some(archive)))
}

/// The routes that an archive server adds, so that others can read its archives as one.
pub fn served(reader: Reader) -> axum::Router {
    answering(Service::new(reader, None))
}

/// State of the routes.
#[derive(Clone)]
struct Answering {
    service: Arc<Service>,
    places: Arc<Semaphore>,
}

fn answering(service: Service) -> axum::Router {
    let state = Answering { service: Arc::new(service), places: Arc::new(Semaphore::new(ANSWERING_MAX)) };
    axum::Router::new()
        .route("/internal/{version}/{question}", post(answer))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .with_state(state)
}

/// The path of a question.
pub(crate) fn path_of(question: Question) -> String {
    format!("/internal/v{VERSION}/{}", question.name())
}

async fn answer(
    State(state): State<Answering>,
    Path((version, question)): Path<(String, String)>,
    request: Bytes,
) -> Response {
    if version != format!("v{VERSION}") {
        let asked: String = version.chars().take(8).collect();
        let what = format!(
            "asked in {asked:?}, this program answers \"v{VERSION}\": run one release on both sides\n"
        );
        return reply(StatusCode::NOT_FOUND, "text/plain", what);
    }
    let Some(question) = Question::ALL.into_iter().find(|known| known.name() == question) else {
        return reply(StatusCode::NOT_FOUND, "text/plain", "no such question\n");
    };
    let Ok(place) = state.places.acquire_owned().await else {
        return reply(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "stopping\n");
    };
    let service = state.service;
    let answered = tokio::task::spawn_blocking(move || {
        let answered = service.answer(question, &request);
        drop(place);
        answered
    });
    match answered.await {
        Ok(Ok(bytes)) => reply(StatusCode::OK, MEDIA_TYPE, bytes),
        Ok(Err(malformed)) => {
            reply(StatusCode::BAD_REQUEST, "text/plain", format!("{}: {malformed}\n", question.name()))
        }
        Err(_) => reply(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "failed; the log tells more\n"),
    }
}

fn reply(status: StatusCode, media_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
