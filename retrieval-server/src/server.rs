//! The HTTP interface as an axum router.

use crate::answer::{answer_route, readiness};
use crate::error::{ApiError, Code};
use crate::fairness::{Client, Place, Places, Share, SpareTurns, Turns};
use crate::limits::{BODY_BYTES_MAX, BODY_READ_TIMEOUT, HEADER_BYTES_MAX, PATIENCE, SEALED_AGE_S};
use crate::metrics::{HttpMetrics, RequestTimer};
use crate::negotiate::{self, Encoding};
use crate::output::{Head, Stopped};
use crate::page;
use crate::parameters::{self, Pairs};
use crate::routes::{self, ROUTES, Request, Route};
use crate::sendfile::Underway;
use crate::settings::HttpSettings;
use crate::short;
use crate::stream::{self, Stopping, StreamOutput};
use crate::validator::{Validation, Validator, Validators};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use engine::read::{Meter, Reader};
use engine::status::StatusSource;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

/// What every request is answered from. Cheap to clone.
#[derive(Clone)]
pub struct ServerState {
    /// The archives.
    pub reader: Reader,
    /// The engine in this process, if one runs.
    pub status: Option<Arc<dyn StatusSource>>,
    /// Settings.
    pub settings: Arc<HttpSettings>,
    /// When this server started.
    pub started: Instant,
    pub(crate) validators: Arc<Validators>,
    metrics: HttpMetrics,
    running: Arc<Places>,
    following: Arc<Places>,
    turns: Arc<Turns>,
}

impl ServerState {
    /// Over `reader`; `status` where an engine runs in this process.
    pub fn new(reader: Reader, status: Option<Arc<dyn StatusSource>>, settings: HttpSettings) -> ServerState {
        let metrics = HttpMetrics::new();
        let places = |places, waiting| {
            let share = Share { places, factor: 1, waiting, patience: PATIENCE };
            Places::new(share, metrics.waiting.clone(), metrics.refused.clone())
        };
        let turns = Turns::new(settings.computing_max);
        let spare = SpareTurns::new(turns.clone(), settings.computing_max);
        ServerState {
            reader: reader.decoding_ahead(Arc::new(spare)),
            status,
            running: places(settings.requests_max, settings.waiting_max),
            // Who follows stays for long: there is no use in waiting.
            following: places(settings.followers_max, 0),
            turns,
            settings: Arc::new(settings),
            started: Instant::now(),
            validators: Arc::new(Validators::new()),
            metrics,
        }
    }

    /// The same for one answer that begins now.
    pub(crate) fn for_one_answer(&self) -> ServerState {
        ServerState { reader: self.reader.for_one_answer(), ..self.clone() }
    }

    /// The same; `meter` counts what is read.
    pub(crate) fn counted_by(&self, meter: Arc<Meter>) -> ServerState {
        ServerState { reader: self.reader.counted_by(meter), ..self.clone() }
    }

    /// The same over another reader.
    pub(crate) fn over(&self, reader: Reader) -> ServerState {
        ServerState { reader, ..self.clone() }
    }

    /// For a request with this `If-None-Match`.
    pub(crate) fn validation(&self, if_none_match: Option<&str>) -> Validation {
        let if_none_match = if_none_match.map(Into::into);
        Validation { validators: self.validators.clone(), if_none_match, given: None }
    }

    pub(crate) fn metrics_text(&self) -> String {
        let met = || self.reader.members().iter().filter_map(|member| member.archive.damage());
        let engine = self.status.as_ref().map(|source| source.metrics());
        self.metrics.text(engine.ok_or_else(|| met().map(|met| met.places).sum()))
    }
}

/// All reading routes.
pub fn router(state: ServerState) -> axum::Router {
    let mut router = axum::Router::new();
    for route in ROUTES {
        let handler = move |State(state): State<ServerState>, request: axum::extract::Request| async move {
            respond(state, route, request).await
        };
        let methods =
            if route.reads() { MethodFilter::GET.or(MethodFilter::POST) } else { MethodFilter::GET };
        router = router.route(route.path, on(methods, handler));
    }
    let one = |State(state): State<ServerState>, request: axum::extract::Request| async move {
        respond(state, routes::row(Request::Channel), request).await
    };
    router
        .merge(page::routes())
        .route("/api/v1/channels/{*name}", on(MethodFilter::GET.or(MethodFilter::POST), one))
        .method_not_allowed_fallback(async |method: Method, uri: axum::http::Uri| {
            let message = format!("{} does not take {method}", uri.path());
            refusal(&ApiError { status: 405, ..ApiError::of(Code::BadParameter, message) })
        })
        .fallback(async |uri: axum::http::Uri| refusal(&ApiError::no_route(uri.path())))
        .layer(cors(&state.settings))
        .with_state(state)
}

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const VARVE_SAMPLES: HeaderName = HeaderName::from_static("varve-samples");
const VARVE_BYTES_ESTIMATE: HeaderName = HeaderName::from_static("varve-bytes-estimate");
const VARVE_PROBLEMS: HeaderName = HeaderName::from_static("varve-problems");
const VARVE_NEXT: HeaderName = HeaderName::from_static("varve-next");

fn cors(settings: &HttpSettings) -> CorsLayer {
    let origins = if settings.cors_origins.iter().any(|origin| origin == "*") {
        AllowOrigin::from(Any)
    } else {
        let list: Vec<HeaderValue> = settings.cors_origins.iter().flat_map(|o| o.parse()).collect();
        AllowOrigin::list(list)
    };
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::CONTENT_TYPE, header::ACCEPT, header::IF_NONE_MATCH, LAST_EVENT_ID])
        .expose_headers([
            VARVE_SAMPLES,
            VARVE_BYTES_ESTIMATE,
            VARVE_PROBLEMS,
            VARVE_NEXT,
            header::ETAG,
            header::RETRY_AFTER,
        ])
}

/// A line of JSON with a status.
pub(crate) fn told(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(format!("{body}\n")));
    *response.status_mut() = status;
    let json = HeaderValue::from_static(routes::JSON_MEDIA_TYPE);
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

pub(crate) fn refusal(error: &ApiError) -> Response {
    let mut response = Response::new(Body::from(error.body_json()));
    *response.status_mut() = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(routes::JSON_MEDIA_TYPE));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = error.retry_after_s() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A request, read whole.
struct Asked {
    client: Client,
    place: Option<Place>,
    pairs: Pairs,
    encoding: Encoding,
    if_none_match: Option<String>,
    stopping: Option<Stopping>,
    /// Where the connection can send from files.
    underway: Option<Underway>,
}

async fn respond(state: ServerState, route: &'static Route, request: axum::extract::Request) -> Response {
    let mut timer = state.metrics.begin(route.path);
    let asked = match ask(&state, route, request).await {
        Ok(asked) => asked,
        Err(error) => {
            timer.code(error.status);
            return refusal(&error);
        }
    };
    if route.request == Request::Ready {
        let (ready, body) = tokio::task::spawn_blocking(move || readiness(&state))
            .await
            .unwrap_or_else(|_| (false, json!({"ready": false, "reasons": ["the check failed"]})));
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        timer.code(status.as_u16());
        return told(status, &body);
    }
    run(state, route, asked, timer).await
}

async fn ask(state: &ServerState, route: &Route, request: axum::extract::Request) -> Result<Asked, ApiError> {
    let connected = request.extensions().get().copied().unwrap_or(Client::UNKNOWN);
    let client = connected.asking(request.headers(), &state.settings.proxies);
    let place = place(state, route, client).await?;
    let (head, body) = request.into_parts();
    let text = |name: HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
    let mut pairs = parameters::from_query(head.uri.query().unwrap_or_default())?;
    if let Some(name) = head.uri.path().strip_prefix("/api/v1/channels/") {
        let name = percent_decode_str(name)
            .decode_utf8()
            .map_err(|_| ApiError::parameter("channel", "the name in the path is not UTF-8"))?;
        pairs.insert(0, ("channel".into(), name.into_owned()));
    }
    if head.method == Method::POST {
        let bytes = read_body(body).await?;
        pairs.extend(parameters::from_body(text(header::CONTENT_TYPE), &bytes)?);
    }
    if route.produces.len() > 1 && !pairs.iter().any(|(name, _)| name == "format") {
        pairs.push(("format".into(), negotiate::format(text(header::ACCEPT), route).into()));
    }
    if route.request == Request::Follow
        && let Some(id) = text(LAST_EVENT_ID).filter(|id| !id.is_empty())
    {
        // A browser that connects again repeats the path, and says how far it got.
        pairs.retain(|(name, _)| name != "cursor");
        pairs.push(("cursor".into(), id.into()));
    }
    Ok(Asked {
        client,
        place,
        pairs,
        encoding: negotiate::encoding(text(header::ACCEPT_ENCODING)),
        if_none_match: text(header::IF_NONE_MATCH).map(Into::into),
        stopping: head.extensions.get::<Stopping>().cloned(),
        // Others wrap what an answer consists of.
        underway: head.extensions.get::<Underway>().filter(|_| head.version <= Version::HTTP_11).cloned(),
    })
}

async fn read_body(body: Body) -> Result<axum::body::Bytes, ApiError> {
    match tokio::time::timeout(BODY_READ_TIMEOUT, axum::body::to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        // A body that broke off has nobody left to be told.
        Ok(Err(_)) => Err(ApiError::body(BODY_BYTES_MAX)),
        Err(_) => {
            let message = format!("the body did not arrive within {} s", BODY_READ_TIMEOUT.as_secs());
            Err(ApiError { status: 408, ..ApiError::of(Code::BadParameter, message) })
        }
    }
}

async fn place(state: &ServerState, route: &Route, client: Client) -> Result<Option<Place>, ApiError> {
    if !route.reads() {
        return Ok(None);
    }
    // Who follows stays for long: nobody else is to wait for that.
    let (places, doing) = match route.request {
        Request::Follow => (&state.following, "follow channels"),
        _ => (&state.running, "are answered or wait"),
    };
    let refused = || {
        let message =
            format!("as many of your requests {doing} as one client may have; try again in a moment");
        ApiError::of(Code::TooMany, message)
    };
    places.take(client).await.map(Some).ok_or_else(refused)
}

/// Answers at once what is short.
async fn run(state: ServerState, route: &'static Route, asked: Asked, mut timer: RequestTimer) -> Response {
    let answered =
        short::answer(&state, route, &asked.pairs, asked.if_none_match.as_deref()).map(|answered| {
            let short = answered.map_err(|stopped| match stopped {
                Stopped::Refused(error) | Stopped::Broken(error) => error,
                Stopped::Gone(error) => ApiError::of(Code::Unavailable, error.to_string()),
                Stopped::Unchanged => ApiError::of(Code::Unavailable, stopped.to_string()),
            })?;
            let bytes = stream::encoded(asked.encoding, short.bytes).map_err(|error| uncompressed(&error))?;
            Ok::<_, ApiError>(response(
                &short.head,
                asked.encoding,
                asked.if_none_match.as_deref(),
                Body::from(bytes),
            ))
        });
    match answered {
        None => run_apart(state, route, asked, timer).await,
        Some(Ok(response)) => response,
        Some(Err(error)) => {
            timer.code(error.status);
            refusal(&error)
        }
    }
}

fn uncompressed(error: &std::io::Error) -> ApiError {
    ApiError::of(Code::Unavailable, format!("compression failed: {error}"))
}

/// Answers on a blocking thread; returns when the head is known.
async fn run_apart(
    state: ServerState,
    route: &'static Route,
    asked: Asked,
    mut timer: RequestTimer,
) -> Response {
    let Asked { client, place, pairs, encoding, if_none_match, stopping, underway } = asked;
    let validation = state.validation(if_none_match.as_deref());
    let idle_timeout = state.settings.idle_timeout;
    let (mut output, head, body) = match StreamOutput::new(encoding, idle_timeout, stopping, validation) {
        Ok((output, head, body)) => (output.sending(underway), head, body),
        Err(error) => {
            timer.code(503);
            return refusal(&uncompressed(&error));
        }
    };
    tokio::task::spawn_blocking(move || {
        let mut make = || answer_route(&state, route, &pairs, &mut output);
        // A stream without end mostly sleeps.
        let answered = if route.request == Request::Follow { make() } else { state.turns.run(client, make) };
        match answered {
            Ok(()) => {
                if let Err(error) = output.finish() {
                    tracing::debug!(route = route.path, %error, "the client left");
                }
            }
            Err(Stopped::Unchanged) => output.unchanged(),
            Err(Stopped::Refused(error)) => {
                timer.code(error.status);
                output.refuse(error);
            }
            Err(Stopped::Broken(error)) => {
                tracing::warn!(route = route.path, %error, "an answer broke off");
            }
            Err(Stopped::Gone(error)) => tracing::debug!(route = route.path, %error, "the client left"),
        }
        drop(place);
    });
    match head.await {
        Ok(Ok(head)) => response(&head, encoding, if_none_match.as_deref(), Body::new(body)),
        Ok(Err(error)) => refusal(&error),
        // The thread ended without a word, which a panic does.
        Err(_) => refusal(&ApiError {
            status: 500,
            ..ApiError::of(Code::Unavailable, "the request failed inside the server; its log tells more")
        }),
    }
}

/// How long a client may keep an answer without asking whether it still is one.
///
/// Sealed weeks change only when an operator imports, repairs or lets a retention rule delete: they may be taken for
/// true for a minute. Everything else is asked again each time, which costs no sample where nothing has changed.
/// Proxies that serve many keep neither: who may read may change.
fn kept(validator: Option<Validator>) -> HeaderValue {
    match validator {
        Some(Validator { sealed: true, .. }) => {
            let text = format!("private, max-age={SEALED_AGE_S}, must-revalidate");
            text.parse().unwrap_or(HeaderValue::from_static("no-cache"))
        }
        _ => HeaderValue::from_static("no-cache"),
    }
}

fn response(head: &Head, encoding: Encoding, if_none_match: Option<&str>, body: Body) -> Response {
    let mut headers = HeaderMap::new();
    if !head.media_type.is_empty() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(head.media_type));
    }
    headers.insert(header::CACHE_CONTROL, kept(head.validator));
    headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding, origin"));
    let number = |n: Option<u64>| n.map(HeaderValue::from);
    // Both are weak: the same answer in other compressions, with a later `durable_until_ns`, cut into other segments.
    let etag = head.validator.map(|validator| validator.state).or(head.whole).map(negotiate::tag);
    for (name, value) in [
        (VARVE_SAMPLES, number(head.samples)),
        (VARVE_BYTES_ESTIMATE, number(head.bytes).filter(|_| head.samples.is_some())),
        (VARVE_PROBLEMS, list(&head.problems)),
        (VARVE_NEXT, list(&head.next)),
        (header::ETAG, etag.as_deref().and_then(|tag| tag.parse().ok())),
    ] {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
    let known = etag.is_some_and(|etag| negotiate::has_already(if_none_match, &etag));
    let mut response = if known {
        Response::new(Body::empty())
    } else {
        match (encoding, head.whole.and(head.bytes)) {
            (Encoding::Zstd, _) => {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("zstd"));
            }
            (Encoding::Gzip, _) => {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
            (Encoding::Identity, Some(bytes)) => {
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
            }
            (Encoding::Identity, None) => {}
        }
        Response::new(body)
    };
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    *response.headers_mut() = headers;
    response
}

/// A JSON list for a header: ASCII, cut to what a header may hold; none where it is empty.
fn list(items: &[Value]) -> Option<HeaderValue> {
    if items.is_empty() {
        return None;
    }
    let mut text = String::from("[");
    for (i, item) in items.iter().enumerate() {
        let item = ascii(&item.to_string());
        if text.len() + item.len() + 100 > HEADER_BYTES_MAX {
            let left = items.len() - i;
            let more =
                json!({"code": "limit", "message": format!("{left} more do not fit into this header")});
            text.push_str(&format!("{}{more}", if i > 0 { "," } else { "" }));
            break;
        }
        if i > 0 {
            text.push(',');
        }
        text.push_str(&item);
    }
    text.push(']');
    text.parse().ok()
}

/// JSON text with everything beyond ASCII escaped.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() && c != '\x7f' {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}
