//! Validators over real HTTP: an answer that is known is not made again, one that changed is.

use crate::http::{Server, body, header};
use crate::memory::{Channel, Growing, Memory};
use engine::read::Kept;
use retrieval_server::HttpSettings;
use sample::{Event, EventKind, Sample, Timestamp, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// 2026-11-09T00:00:00Z, the Monday of the week before the archive's present.
const MONDAY: i64 = 1_794_182_400_000_000_000;
const SECOND: i64 = 1_000_000_000;

fn memory(kept: Kept) -> Memory {
    let samples = |count: i64| -> Vec<Sample> {
        (0..count).map(|i| Sample::new(Timestamp(MONDAY + i * SECOND), Value::Float64(i as f64))).collect()
    };
    let channel = |count| Channel { samples: samples(count), kept: Some(kept), ..Channel::default() };
    let events = vec![Event { time: Timestamp(MONDAY), sequence: 1, kind: EventKind::Started }];
    Memory::of([
        ("SHORT", Channel { events, ..channel(20) }),
        ("LONG", channel(30_000)),
        ("BAD", Channel { damaged: Some(3), ..channel(40) }),
    ])
}

/// A server, what fills its archive, and the count of blocks that were read.
fn serving(memory: Memory) -> (Server, Growing, Arc<AtomicUsize>) {
    let loads = memory.loads.clone();
    let growing = Growing::of(memory);
    (Server::over(growing.state(HttpSettings::default())), growing, loads)
}

/// Every request that has a validator, about the channel.
fn requests(channel: &str) -> Vec<String> {
    let range = format!("channel={channel}&from_ns={MONDAY}&to_ns={}", MONDAY + 40_000 * SECOND);
    let time = MONDAY + 30 * SECOND;
    vec![
        format!("samples?{range}"),
        format!("samples?{range}&format=csv"),
        format!("samples?{range}&format=columns"),
        format!("samples?{range}&limit=5&order=desc"),
        format!("samples?{range}&where={channel}%20%3E%203"),
        format!("bins?{range}&bins=50"),
        format!("bins?{range}&width=10s&format=columns"),
        format!("table?{range}&grid=1h"),
        format!("table?{range}&grid=1h&fill=mean"),
        format!("table?{range}&grid=at:{channel}"),
        format!("at?channel={channel}&time_ns={time}"),
        format!("events?{range}"),
        format!("coverage?{range}"),
        format!("search?where={channel}%20%3E%203&{}", range.split_once('&').unwrap().1),
    ]
}

#[test]
fn a_known_answer_is_not_made_again_until_it_changes() {
    for channel in ["SHORT", "LONG"] {
        let (server, growing, loads) = serving(memory(Kept::Sealed));
        let mut tags = Vec::new();
        for request in requests(channel) {
            let path = format!("/api/v1/{request}");
            let first = server.get(&path, &[]);
            assert_eq!(first.status(), 200, "{path}");
            let tag = header(&first, "etag").unwrap().to_string();
            let control = header(&first, "cache-control").unwrap().to_string();
            let bytes = body(first).unwrap();
            let before = loads.load(Ordering::SeqCst);
            for encoding in ["identity", "zstd", "gzip"] {
                let headers = [("if-none-match", tag.as_str()), ("accept-encoding", encoding)];
                let again = server.get(&path, &headers);
                assert_eq!(again.status(), 304, "{path}");
                assert_eq!(header(&again, "etag"), Some(tag.as_str()));
                assert_eq!(header(&again, "cache-control"), Some(control.as_str()));
                assert_eq!(header(&again, "content-encoding"), None);
                assert_eq!(body(again).unwrap(), b"");
            }
            assert_eq!(
                loads.load(Ordering::SeqCst),
                before,
                "{path} read samples to say that nothing changed"
            );
            let other = server.get(&path, &[("if-none-match", "\"other\"")]);
            assert_eq!((other.status().as_u16(), header(&other, "etag")), (200, Some(tag.as_str())));
            assert_eq!(body(other).unwrap(), bytes);
            tags.push((path, tag));
        }
        for (i, (path, tag)) in tags.iter().enumerate() {
            assert!(tag.starts_with("W/\""), "{tag}");
            assert!(tags[..i].iter().all(|(_, other)| other != tag), "{path} shares its tag");
        }
        // One late sample changes every answer's tag.
        let late =
            Sample { rank: 1 << 31, ..Sample::new(Timestamp(MONDAY + 5 * SECOND), Value::Float64(99.0)) };
        growing.0.lock().unwrap().channels.get_mut(channel).unwrap().late.push(late);
        for (path, tag) in &tags {
            let response = server.get(path, &[("if-none-match", tag)]);
            assert_eq!(response.status(), 200, "{path}");
            assert_ne!(header(&response, "etag"), Some(tag.as_str()));
        }
    }
}

#[test]
fn only_answers_from_sealed_weeks_are_kept_without_asking() {
    let sealed = "private, max-age=60, must-revalidate";
    for (kept, expected) in [(Kept::Sealed, sealed), (Kept::Table, "no-cache"), (Kept::Memory, "no-cache")] {
        let (server, _, _) = serving(memory(kept));
        for (path, expected) in requests("LONG").iter().map(|path| (path.as_str(), expected)).chain([
            // Up to now, which no week is sealed of; of a list that may grow; of what is not there.
            ("samples?channel=SHORT", "no-cache"),
            ("samples?match=SHORT&from_ns=1794182400000000000&to_ns=1794182401000000000", "no-cache"),
            (
                "samples?channel=SHORT&channel=NONE&from_ns=1794182400000000000&to_ns=1794182401000000000",
                "no-cache",
            ),
            (
                "samples?channel=SHORT&after=true&from_ns=1794182400000000000&to_ns=1794182401000000000",
                "no-cache",
            ),
            ("channels", "no-cache"),
            ("status", "no-cache"),
        ]) {
            let response = server.get(&format!("/api/v1/{path}"), &[]);
            assert_eq!(header(&response, "cache-control"), Some(expected), "{path}");
        }
        let refused = server.get("/api/v1/samples", &[]);
        assert_eq!(header(&refused, "cache-control"), Some("no-store"));
    }
}

#[test]
fn an_answer_that_lacks_something_is_no_answer_to_keep() {
    for format in ["json", "columns"] {
        let (server, growing, _) = serving(memory(Kept::Sealed));
        let path = format!(
            "/api/v1/samples?channel=BAD&from_ns={MONDAY}&to_ns={}&format={format}",
            MONDAY + 99 * SECOND
        );
        let first = server.get(&path, &[]);
        let tag = header(&first, "etag").unwrap().to_string();
        let lacking = body(first).unwrap();
        // The same files can be read again, as after a short failure of the disk.
        growing.0.lock().unwrap().channels.get_mut("BAD").unwrap().damaged = None;
        let second = server.get(&path, &[("if-none-match", &tag)]);
        assert_eq!(second.status(), 200);
        assert!(body(second).unwrap().len() > lacking.len());
    }
}

#[test]
fn head_tells_what_get_would() {
    let (server, _, _) = serving(memory(Kept::Sealed));
    for path in requests("SHORT").iter().chain(&requests("LONG")) {
        let path = format!("/api/v1/{path}");
        let get = server.get(&path, &[]);
        let head = Server::agent().head(server.url(&path)).call().unwrap();
        assert_eq!(head.status(), 200);
        for name in ["etag", "cache-control", "content-type", "vary", "varve-samples"] {
            assert_eq!(header(&head, name), header(&get, name), "{path}: {name}");
        }
        let tag = header(&get, "etag").unwrap();
        let known = Server::agent().head(server.url(&path)).header("if-none-match", tag).call().unwrap();
        assert_eq!(known.status(), 304);
        assert_eq!(body(head).unwrap(), b"");
    }
}

#[test]
fn one_process_does_not_vouch_for_anothers_tags() {
    let path = format!("/api/v1/{}", requests("LONG")[0]);
    let tags: Vec<String> = (0..2)
        .map(|_| header(&serving(memory(Kept::Sealed)).0.get(&path, &[]), "etag").unwrap().to_string())
        .collect();
    assert_ne!(tags[0], tags[1]);
}

#[test]
fn origins_are_told_on_reading_routes() {
    let settings = HttpSettings { cors_origins: vec!["http://site".into()], ..HttpSettings::default() };
    let server = Server::over(memory(Kept::Sealed).state_with(settings));
    let path = format!("/api/v1/{}", requests("SHORT")[0]);
    let response = server.get(&path, &[("origin", "http://site")]);
    assert_eq!(header(&response, "access-control-allow-origin"), Some("http://site"));
    let exposed = header(&response, "access-control-expose-headers").unwrap();
    assert!(
        exposed.contains("etag") && exposed.contains("varve-problems") && exposed.contains("retry-after")
    );
    assert!(header(&response, "vary").unwrap().contains("origin"));
    let other = server.get(&path, &[("origin", "http://elsewhere")]);
    assert_eq!(header(&other, "access-control-allow-origin"), None);
    let tag = header(&response, "etag").unwrap();
    let known = server.get(&path, &[("origin", "http://site"), ("if-none-match", tag)]);
    assert_eq!(
        (known.status().as_u16(), header(&known, "access-control-allow-origin")),
        (304, Some("http://site"))
    );
}
