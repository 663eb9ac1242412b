//! Which channels a request means: odd names, aliases, globs, unknown ones.

use crate::ask::{json, refused};
use crate::memory::{Channel, Memory};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use retrieval_server::{Code, from_body};
use sample::{Sample, Timestamp, Value};

const ODD: [&str; 9] = ["SR:C01{BPM:1}X-I", "A/B", "A+B", "A#1", "A;B", "é", "A,B", "[x]<y>^-", "A B"];

fn channel() -> Channel {
    Channel { samples: vec![Sample::new(Timestamp(5), Value::Float64(1.5))], ..Channel::default() }
}

fn odd() -> Memory {
    let mut memory = Memory::of(ODD.map(|name| (name, channel())));
    memory.channels.insert("x".repeat(1024), channel());
    memory
}

#[test]
fn odd_names_are_found_every_way() {
    let state = odd().state();
    let long = "x".repeat(1024);
    for name in ODD.into_iter().chain([long.as_str()]) {
        let encoded = utf8_percent_encode(name, NON_ALPHANUMERIC);
        for (path, range) in [("at", ""), ("samples", "&from_ns=0&to_ns=9"), ("why", ""), ("coverage", "")] {
            for query in [format!("channel={encoded}"), format!("channel=ca%3A%2F%2F{encoded}.VAL")] {
                let answer = json(&state, &format!("/api/v1/{path}"), &format!("{query}{range}"));
                assert_eq!(answer["channels"][0]["name"], name);
                assert!(answer["channels"][0].get("error").is_none(), "{answer}");
            }
            let body = serde_json::json!({"channel": [name]}).to_string();
            let pairs = from_body(Some("application/json"), body.as_bytes()).unwrap();
            assert_eq!(pairs, [("channel".to_string(), name.to_string())]);
        }
        let glob = json(&state, "/api/v1/channels", &format!("match={encoded}"));
        assert_eq!(glob["channels"][0]["name"], name);
        assert_eq!(glob["channels"].as_array().unwrap().len(), 1);
        assert_eq!(json(&state, "/api/v1/channel", &format!("channel={encoded}"))["name"], name);
    }
}

#[test]
fn a_blank_may_have_been_a_plus_but_a_name_with_a_blank_wins() {
    let mut memory = odd();
    let state = memory.state();
    // Both exist: the one that was asked for.
    assert_eq!(json(&state, "/api/v1/at", "channel=A+B")["channels"][0]["name"], "A B");
    memory = odd();
    memory.channels.remove("A B");
    memory.channels.insert("+C".into(), channel());
    let state = memory.state();
    assert_eq!(json(&state, "/api/v1/at", "channel=A+B")["channels"][0]["name"], "A+B");
    assert_eq!(json(&state, "/api/v1/at", "channel=+C")["channels"][0]["name"], "+C");
}

#[test]
fn a_name_is_answered_once_in_the_order_of_the_request() {
    let mut memory = Memory::of([("B", channel()), ("A", channel())]);
    memory.aliases.insert("OTHER".into(), "A".into());
    let state = memory.state();
    let query = "channel=B&channel=OTHER&channel=nope&channel=B.VAL&channel=A&channel=pva://B&channel=nope";
    for path in ["/api/v1/at", "/api/v1/events", "/api/v1/coverage", "/api/v1/samples"] {
        let answer = json(&state, path, query);
        let channels = answer["channels"].as_array().unwrap();
        let names: Vec<&str> = channels.iter().map(|c| c["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["B", "OTHER", "nope", "A"]);
        assert_eq!(channels[1]["channel"], "A");
        assert!(channels[0].get("channel").is_none());
        assert_eq!(channels[2]["error"]["code"], "unknown_channel");
        assert_eq!(channels[2]["error"]["near"], serde_json::json!([]));
    }
    let (_, end) = retrieval_server::columns::decode(
        &crate::ask::ask(&state, "/api/v1/samples", &format!("{query}&format=columns")).bytes,
    )
    .unwrap();
    assert_eq!(end.json["channels"][1]["channel"], "A");
    assert_eq!(end.json["channels"][2]["error"]["code"], "unknown_channel");
    let csv = crate::ask::ask(&state, "/api/v1/samples", &format!("{query}&format=csv"));
    assert_eq!(csv.head.problems[0]["code"], "unknown_channel");
    assert_eq!(csv.head.problems[0]["channel"], "nope");
    // An unknown name is a question for `why`, not an error.
    let why = json(&state, "/api/v1/why", "channel=Bx&channel=B");
    assert_eq!(why["channels"][0]["verdict"], "not_requested");
    assert_eq!(why["channels"][0]["near"], serde_json::json!(["B"]));
    assert_eq!(why["channels"][1]["verdict"], "archived");
    assert_eq!(why["channels"][1]["evidence"]["searches"], 3);
    assert_eq!(why["channels"][1]["evidence"]["last_sample_ns"], 9);
}

#[test]
fn one_unknown_name_alone_is_not_found() {
    let state = odd().state();
    for path in ["channel", "samples", "at", "events", "coverage"] {
        let error = refused(&state, &format!("/api/v1/{path}"), "channel=A%2Fb");
        assert_eq!((error.code, error.status), (Code::UnknownChannel, 404));
        assert_eq!(error.channel.as_deref(), Some("A/b"));
        assert!(error.near.unwrap().contains(&"A/B".to_string()));
    }
}

#[test]
fn a_glob_stands_for_at_most_a_thousand_channels() {
    let mut memory = Memory::default();
    memory.channels = (0..1001).map(|i| (format!("N{i:04}"), channel())).collect();
    let state = memory.state();
    for path in ["samples", "at", "events", "coverage", "why"] {
        let error = refused(&state, &format!("/api/v1/{path}"), "match=N*");
        assert_eq!((error.code, error.status), (Code::TooLarge, 422));
        assert_eq!(error.parameter.as_deref(), Some("match"));
    }
    let at = |query: &str| json(&state, "/api/v1/at", query)["channels"].as_array().unwrap().len();
    assert_eq!(at("match=N0*"), 1000);
    assert_eq!(at("match=N000?"), 10);
    assert_eq!(at("match=nothing"), 0);
    assert_eq!(at("channel=N0001&match=N000?"), 10);
}

#[test]
fn lists_come_in_pages() {
    let mut memory = Memory::default();
    memory.channels = (0..1500).map(|i| (format!("N{i:04}"), channel())).collect();
    memory.channels.insert("silent".into(), Channel::default());
    memory.aliases.insert("N0000a".into(), "N0000".into());
    let state = memory.state();
    let list = |query: &str| json(&state, "/api/v1/channels", query);
    let first = list("");
    assert_eq!(first["channels"].as_array().unwrap().len(), 1000);
    assert_eq!(first["channels"][1]["alias_of"], "N0000");
    assert_eq!(first["next"], "N0998");
    let second = list("after=N0998");
    assert_eq!(second["channels"][0]["name"], "N0999");
    assert_eq!(second["next"], serde_json::Value::Null);
    assert_eq!(list("limit=0")["channels"].as_array().unwrap().len(), 1502);
    assert_eq!(list("limit=1502")["next"], serde_json::Value::Null);
    assert_eq!(list("limit=1501")["next"], "N1499");
    assert_eq!(list("regex=N00(00|01)")["channels"].as_array().unwrap().len(), 2);
    let never = list("state=never_connected");
    assert_eq!(never["channels"].as_array().unwrap().len(), 1);
    assert_eq!(never["channels"][0]["name"], "silent");
    for key in ["type", "first_ns", "last_ns"] {
        assert_eq!(never["channels"][0][key], serde_json::Value::Null);
    }
    let row = &first["channels"][0];
    for key in ["name", "type", "first_ns", "last_ns", "samples", "bytes", "connected", "state", "reason"] {
        assert!(row.get(key).is_some(), "{key}");
    }
    assert_eq!(row["origin"], "list.txt:1");
}
