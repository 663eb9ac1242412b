//! `explain=true`: what an answer reads.

use crate::ask::{ask, json, refused};
use crate::memory::{Channel, Memory};
use retrieval_server::{Code, ServerState};
use sample::{Sample, Timestamp, Value};

fn server() -> ServerState {
    let samples = (0..100).map(|i| Sample::new(Timestamp(i), Value::Float64(0.5))).collect();
    Memory::of([("X", Channel { samples, ..Channel::default() })]).state()
}

#[test]
fn an_answer_tells_what_it_read_instead() {
    let state = server();
    for (request, more) in [("samples", ""), ("bins", "&width=10ns"), ("table", "&grid=10ns")] {
        let path = format!("/api/v1/{request}");
        let of = format!("channel=X&from_ns=10&to_ns=60&format=csv{more}");
        let told = json(&state, &path, &format!("{of}&explain=true"));
        assert_eq!(told["request"], path.as_str());
        assert_eq!(told["channels"][0]["name"], "X");
        assert_eq!(told["channels"][0]["used"][0]["origin"], "memory", "{told}");
        assert!(told["read"]["samples"].as_u64().unwrap() >= 50, "{told}");
        assert_eq!(told["read"]["bytes"], 0);
        // The answer that was made is the one that is given without it.
        let answer = ask(&state, &path, &of);
        assert_eq!(told["answer"]["bytes"], answer.bytes.len(), "{told}");
        assert_eq!(told["answer"]["media_type"], answer.head.media_type);
        let times = &told["time_ns"];
        let of = |stage: &str| times[stage].as_u64().unwrap();
        let stages = ["planning", "looking_up", "reading_and_decoding", "folding_and_writing"];
        assert_eq!(stages.map(of).iter().sum::<u64>(), of("total"), "{times}");
        assert!(of("to_first_byte") <= of("total"));
    }
}

#[test]
fn a_condition_is_read_for_too() {
    let query = "where=X > 1&from_ns=10&to_ns=60&explain=true";
    let samples = |query: &str| {
        let told = json(&server(), "/api/v1/search", query);
        told["read"]["samples"].as_u64().unwrap()
    };
    let all = samples(&format!("{query}&statistics=ignore"));
    assert!(all >= 50 && samples(query) < all / 2, "{all}");
}

#[test]
fn refusals_are_refusals() {
    assert_eq!(refused(&server(), "/api/v1/samples", "channel=Y&explain=true").code, Code::UnknownChannel);
}
