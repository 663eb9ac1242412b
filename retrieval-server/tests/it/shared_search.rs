//! Searches that several processors share.

use crate::ask::json;
use crate::http::{Server, body};
use crate::memory::{Channel, Memory};
use crate::search::{encoded, intervals, slowly};
use retrieval_server::HttpSettings;
use sample::{Sample, Timestamp, Value};
use serde_json::{Value as Json, json as literal};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What the samples of [`toothed`] are asked.
const QUERY: &str = "from_ns=0&to_ns=1000&where=X%20%3C%201.5";

/// A channel of which every other block has to be read, one by one, and when it is below 1.5.
fn toothed() -> (Memory, Vec<(i64, i64)>) {
    let value = |i: i64| Value::Float64([0.0, 0.0, 0.0, 0.0, 0.0, 1.4, 1.4, 1.6, 1.6, 1.4][i as usize % 10]);
    let samples = (0..1000).map(|i| Sample::new(Timestamp(i), value(i))).collect();
    let held = (-1..1000).step_by(10).map(|i| (i.max(0), (i + 8).min(1000))).collect();
    (Memory::of([("X", Channel { samples, ..Channel::default() })]), held)
}

#[test]
fn damage_is_answered_alike_by_one_thread_and_by_several() {
    let value = |i: i64| Value::Int32(if i % 3 == 0 { 2 } else { 1 });
    let samples: Vec<Sample> = (0..500).map(|i| Sample::new(Timestamp(i), value(i))).collect();
    for damaged in [1, 50, 98] {
        let answers = |computing_max, rest: &str| {
            let channel = Channel { samples: samples.clone(), damaged: Some(damaged), ..Channel::default() };
            let mut memory = Memory::of([("X", channel)]);
            memory.before_load = slowly(Duration::from_micros(100));
            let state = memory.state_with(HttpSettings { computing_max, ..HttpSettings::default() });
            json(&state, "/api/v1/search", &format!("from_ns=0&to_ns=500&where={}{rest}", encoded("X == 1")))
        };
        for rest in ["", "&damaged=skip"] {
            let alone = answers(1, rest);
            assert_eq!(alone["complete"], false);
            assert_eq!(alone, answers(3, rest), "block {damaged} {rest}");
        }
    }
}

#[test]
fn what_a_panic_loses_is_looked_for_again() {
    let (mut memory, held) = toothed();
    let lent = Arc::new(AtomicUsize::new(0));
    let counted = lent.clone();
    memory.before_load = Some(Arc::new(move || {
        std::thread::sleep(Duration::from_micros(100));
        let loads = match std::thread::current().name() {
            Some("ahead") => counted.fetch_add(1, Ordering::SeqCst),
            _ => 0,
        };
        assert!(loads % 10 != 9, "on purpose");
    }));
    let state = memory.state_with(HttpSettings { computing_max: 3, ..HttpSettings::default() });
    // A busy machine may not come to run a lent thread.
    while lent.load(Ordering::SeqCst) < 100 {
        let answer = json(&state, "/api/v1/search", QUERY);
        assert_eq!((intervals(&answer), &answer["complete"]), (held.clone(), &literal!(true)));
    }
}

#[test]
fn a_processor_that_others_want_is_given_back_with_what_it_did_not_look_at() {
    let (mut memory, held) = toothed();
    memory.before_load = slowly(Duration::from_micros(100));
    let server = Server::start(memory, HttpSettings { computing_max: 3, ..HttpSettings::default() });
    let path = format!("/api/v1/search?{QUERY}");
    std::thread::scope(|scope| {
        for client in 0..4 {
            let (server, path, held) = (&server, &path, &held);
            scope.spawn(move || {
                for pause in 0..40 {
                    let answer: Json = serde_json::from_slice(&body(server.get(path, &[])).unwrap()).unwrap();
                    assert_eq!(&intervals(&answer), held);
                    std::thread::sleep(Duration::from_millis(pause % 7 * client));
                }
            });
        }
    });
}
