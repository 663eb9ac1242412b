//! Bad requests: each documented code, every bad parameter named.

use crate::ask::{json, refused};
use crate::memory::{Channel, Memory};
use retrieval_server::{Code, ROUTES};
use sample::{Sample, Timestamp, Value};

fn memory() -> Memory {
    let samples = (0..20).map(|i| Sample::new(Timestamp(i), Value::Float64(0.5))).collect();
    Memory::of([("X", Channel { samples, ..Channel::default() }), ("Y", Channel::default())])
}

#[test]
fn bad_requests_are_refused_by_name() {
    let state = memory().state();
    for (path, query, code, parameter, words) in [
        ("samples", "", Code::BadParameter, "channel", "channel is missing"),
        ("samples", "channel=", Code::BadParameter, "channel", "empty"),
        ("samples", "channel=%00", Code::BadParameter, "channel", "control"),
        ("samples", "channel=X&form=-1h", Code::BadParameter, "form", "did you mean from?"),
        ("samples", "channel=X&where=x", Code::BadParameter, "where", "column 2: expected one of =="),
        ("search", "", Code::BadParameter, "where", "where is missing"),
        ("samples", "channel=X&qqqqqqqq=x", Code::BadParameter, "qqqqqqqq", "it takes channel, match"),
        ("samples", "channel=X&format=parquet", Code::BadParameter, "format", "there is json, csv, columns"),
        ("samples", "channel=X&limit=x", Code::BadParameter, "limit", "not a count"),
        ("samples", "channel=X&limit=-1", Code::BadParameter, "limit", "not a count"),
        ("samples", "channel=X&limit=1&limit=1", Code::BadParameter, "limit", "given twice"),
        ("samples", "channel=X&edge=maybe", Code::BadParameter, "edge", "neither true nor false"),
        ("samples", "channel=X&order=up", Code::BadParameter, "order", "asc, desc"),
        ("samples", "channel=X&elements=5", Code::BadParameter, "elements", "FIRST:BEHIND"),
        ("samples", "channel=X&elements=5:4", Code::BadParameter, "elements", "FIRST:BEHIND"),
        ("samples", "channel=X&cursor=abc", Code::BadParameter, "cursor", "unchanged"),
        ("samples", "channel=X&from=1700000000", Code::BadTime, "from", "bare integer"),
        ("samples", "channel=X&from=yesterday", Code::BadTime, "from", "tz="),
        ("samples", "channel=X&from=2026-11-20T08:00:00", Code::BadTime, "from", "tz="),
        ("samples", "channel=X&from=now&to=-1h", Code::BadTime, "from", "lies after to"),
        ("samples", "channel=X&from=1h", Code::BadTime, "from", "no time"),
        ("samples", "channel=X&from_ns=-1h", Code::BadTime, "from_ns", "64-bit integer"),
        ("samples", "channel=X&to=now&to_ns=5", Code::BadParameter, "to_ns", "both given"),
        ("samples", "channel=X&tz=Nowhere/City&from=today", Code::BadParameter, "tz", "Europe/London"),
        ("samples", "match=%ff", Code::BadParameter, "match", "UTF-8"),
        ("at", "channel=X&from=-1h", Code::BadParameter, "from", "is not a parameter of /api/v1/at"),
        ("at", "channel=X&time=noon", Code::BadTime, "time", "no time"),
        ("at", "channel=X&format=csv", Code::BadParameter, "format", "there is json"),
        ("channel", "channel=X&channel=Y", Code::BadParameter, "channel", "one channel"),
        ("channels", "regex=(", Code::BadParameter, "regex", "unclosed"),
        ("channels", "state=lost", Code::BadParameter, "state", "never_connected"),
        ("channels", "channel=X", Code::BadParameter, "channel", "it takes match"),
        ("status", "x=1", Code::BadParameter, "x", "it takes none"),
        ("coverage", "channel=X&from=now&to=-1h", Code::BadTime, "from", "lies after to"),
        ("events", "channel=X&bins=5", Code::BadParameter, "bins", "is not a parameter of /api/v1/events"),
    ] {
        let error = refused(&state, &format!("/api/v1/{path}"), query);
        let found = (error.code, error.status, error.parameter.as_deref());
        assert_eq!(found, (code, 400, Some(parameter)), "{path}?{query}: {error}");
        assert!(error.message.contains(words), "{path}?{query}: {error}");
        assert!(error.message.contains(parameter), "{path}?{query}: {error}");
    }
}

#[test]
fn every_bad_parameter_is_named_the_first_alone_too() {
    let state = memory().state();
    let error = refused(&state, "/api/v1/samples", "channel=X&chanel=Y&from=x&limit=y&order=z");
    for name in ["chanel", "from", "limit", "order"] {
        assert!(error.message.contains(name), "{error}");
    }
    assert_eq!(error.parameter.as_deref(), Some("chanel"));
    assert_eq!(error.near, Some(vec!["channel".to_string()]));
}

#[test]
fn a_cursor_is_good_for_its_channel_only() {
    let state = memory().state();
    let page = json(&state, "/api/v1/samples", "channel=X&from_ns=0&to_ns=9&limit=3");
    let next = page["channels"][0]["next"].as_str().unwrap();
    for query in [format!("channel=Y&cursor={next}"), format!("channel=X&channel=Y&cursor={next}")] {
        let error = refused(&state, "/api/v1/samples", &query);
        assert_eq!(error.parameter.as_deref(), Some("cursor"));
    }
    let tampered: String = next.chars().rev().collect();
    assert_eq!(refused(&state, "/api/v1/samples", &format!("channel=X&cursor={tampered}")).status, 400);
}

#[test]
fn too_many_samples_for_text_are_refused_with_the_estimate() {
    let mut memory = memory();
    memory.channels.insert("BIG".into(), Channel { generated: Some(50_000_001), ..Channel::default() });
    let state = memory.state();
    for format in ["json", "csv"] {
        let query = format!("channel=BIG&from_ns=0&to_ns=99999999999&format={format}");
        let error = refused(&state, "/api/v1/samples", &query);
        assert_eq!((error.code, error.status), (Code::TooLarge, 422));
        assert!(error.message.contains("50000001") && error.message.contains("columns"), "{error}");
        let limited = crate::ask::ask(&state, "/api/v1/samples", &format!("{query}&limit=10"));
        assert_eq!(limited.head.samples, Some(10));
    }
}

#[test]
fn an_archive_that_is_not_ready_says_so() {
    let mut memory = memory();
    memory.not_ready = true;
    let state = memory.state();
    for path in ["samples", "at", "channel"] {
        let error = refused(&state, &format!("/api/v1/{path}"), "channel=X");
        assert_eq!((error.code, error.status), (Code::NotReady, 503));
        assert_eq!(error.retry_after_s(), Some(1));
    }
    let ready = json(&state, "/health/ready", "");
    assert_eq!(ready["ready"], false);
    assert!(ready["reasons"][0].as_str().unwrap().contains("replayed"));
}

#[test]
fn unknown_paths_point_to_the_table() {
    let state = memory().state();
    for path in ["/api/v1/boxes", "/api/v1/chase", "/", "/api/v2/samples"] {
        let error = refused(&state, path, "");
        assert_eq!(error.status, 404);
        assert!(error.message.contains("/openapi.json"));
    }
    assert_eq!(ROUTES.len(), 16);
}
