//! What is written is read back; no bytes make a reader panic.

use super::caller::Caller;
use super::facts::{detail, put_detail, put_row, put_why, row, why};
use super::snapshots::{arrived, block, put_block, put_snapshot, put_tail};
use super::wire::{error, put_error};
use super::{Question, VERSION, served};
use axum::body::Body;
use axum::http::StatusCode;
use disk::Cursor;
use engine::Tail;
use engine::identity::ArchiveId;
use engine::read::{
    ChannelDetail, ChannelState, ChannelSummary, Evidence, FirstSample, Live, Part, Position, Problem,
    ReadError, Reader, Run, Snapshot, Verdict, Why,
};
use proptest::prelude::*;
use sample::{
    ChannelId, ChannelName, DropCause, Event, EventKind, Kind, Metadata, Sample, SampleBlock, TimeRange,
    Timestamp, Value, ValueType,
};
use std::sync::Arc;
use tower::ServiceExt;

/// One block as a run.
struct OneBlock(SampleBlock);

impl Run for OneBlock {
    fn span(&self) -> (Timestamp, Timestamp) {
        (self.0.first(), self.0.last())
    }

    fn parts(&self, range: TimeRange) -> Result<Vec<Part>, ReadError> {
        let position = |(time, rank): (i64, u32)| Position { time, rank };
        let part = Part {
            first: position(self.0.position(0)),
            last: position(self.0.position(self.0.len() - 1)),
            count: self.0.len() as u32,
            token: 7,
        };
        Ok(if range.touches(self.0.first(), self.0.last()) { vec![part] } else { Vec::new() })
    }

    fn types(&self) -> Result<Vec<(Timestamp, ValueType)>, ReadError> {
        Ok(vec![(self.0.first(), self.0.run.value)])
    }

    fn load(&self, _part: &Part, range: TimeRange) -> Result<SampleBlock, ReadError> {
        let inside = self.0.indices(range);
        Ok(self.0.slice(inside.start, inside.end))
    }
}

fn block_of(values: &[f64], step: i64) -> SampleBlock {
    let mut samples = SampleBlock::new(Sample::new(Timestamp(0), Value::Float64(0.0)).run_type());
    for (i, value) in (0..).zip(values) {
        assert!(samples.push(&Sample::new(Timestamp(i * step), Value::Float64(*value))));
    }
    samples
}

fn events() -> Vec<Event> {
    let dropped = EventKind::Dropped {
        to: Timestamp(9),
        count: 3,
        cause: DropCause::Rate,
        last: Some(Box::new(Sample::new(Timestamp(9), Value::Int32(4)))),
    };
    let kinds = [EventKind::Connected { host: "ioc:5064".into() }, dropped];
    kinds.into_iter().map(|kind| Event { time: Timestamp(5), sequence: u64::MAX, kind }).collect()
}

fn metadata() -> Vec<(Timestamp, Arc<Metadata>)> {
    vec![(Timestamp(1), Arc::new(Metadata { units: Some((*b"mA").into()), ..Metadata::default() }))]
}

fn tail_of(run: SampleBlock) -> Tail {
    Tail {
        archive: ArchiveId(3),
        generation: 4,
        channel: ChannelId(5),
        name: ChannelName::stored("A").unwrap(),
        runs: vec![Arc::new(OneBlock(run))],
        events: events(),
        archive_events: events(),
        metadata: metadata(),
        first_sample: Some(FirstSample { time: Timestamp(0), sequence: Some(9) }),
        knowledge_ends: Timestamp(1000),
        durable_until: Timestamp(900),
        running: true,
    }
}

fn tail_bytes(values: &[f64], range: TimeRange) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_tail(&mut bytes, &tail_of(block_of(values, 10)), range, || 77).unwrap();
    bytes
}

fn snapshot_bytes(values: &[f64]) -> Vec<u8> {
    let tail = tail_of(block_of(values, 10));
    let snapshot = Snapshot {
        rows: Vec::new(),
        name: tail.name,
        runs: tail.runs,
        kept_runs: 1,
        tables: None,
        events: tail.events,
        metadata: tail.metadata,
        first_sample: None,
        knowledge_ends: tail.knowledge_ends,
        running: false,
        durable_until: tail.durable_until,
        problems: vec![Problem::of(&damaged(), TimeRange::ALL)],
    };
    let mut bytes = Vec::new();
    put_snapshot(&mut bytes, &snapshot, 12, TimeRange::ALL).unwrap();
    bytes
}

fn damaged() -> ReadError {
    ReadError::Damaged {
        file: "weeks/x".into(),
        offset: 9,
        what: "the checksum fails".into(),
        span: Some((Timestamp(1), Timestamp(2))),
    }
}

fn facts_bytes() -> [Vec<u8>; 3] {
    let summary = ChannelSummary {
        name: ChannelName::stored("SR:C01{BPM:1}X-I").unwrap(),
        alias_of: Some(ChannelName::stored("é").unwrap()),
        value_type: Some(ValueType::array(Kind::Float64)),
        first: None,
        last: Some(Timestamp(9)),
        samples: 3,
        bytes: 4,
        connected: Some(true),
        state: ChannelState::Silent,
        reason: "connected, but".into(),
        origin: "x:3".into(),
    };
    let detail = ChannelDetail {
        summary: summary.clone(),
        types: vec![(Timestamp(1), ValueType::scalar(Kind::Enum))],
        metadata: metadata().pop(),
        live: Some(Live { connected: true, host: Some("ioc".into()), samples_per_s: 0.5, ..Live::default() }),
        retention: "default".into(),
    };
    let why = Why {
        verdict: Verdict::TwoServers,
        evidence: vec![
            ("host".into(), Evidence::Text("ioc".into())),
            ("stored".into(), Evidence::Number(3.0)),
            ("since".into(), Evidence::Time(Timestamp(4))),
            ("readable".into(), Evidence::Flag(false)),
        ],
    };
    let mut bytes = [Vec::new(), Vec::new(), Vec::new()];
    put_row(&mut bytes[0], &summary);
    put_detail(&mut bytes[1], &detail);
    put_why(&mut bytes[2], &why);
    bytes
}

#[test]
fn a_tail_comes_back_with_what_matters_for_a_range() {
    let values: Vec<f64> = (0..100).map(f64::from).collect();
    let bytes = tail_bytes(&values, TimeRange::new(Timestamp(300), Timestamp(500)));
    let mut from = Cursor::new(&bytes);
    let tail = arrived(&mut from).unwrap();
    assert!(from.is_empty());
    assert_eq!((tail.handle, tail.runs.len(), tail.events.len()), (0, 1, 2));
    assert_eq!(tail.tail.unwrap().generation, 4);
    assert_eq!(tail.first_sample, Some(FirstSample { time: Timestamp(0), sequence: Some(9) }));
    let (part, samples) = &tail.runs[0].parts[0];
    let samples = block(&mut Cursor::new(samples.as_ref().unwrap())).unwrap();
    // The sample before the range, the closed range, the one behind it.
    assert_eq!((part.first.time, part.last.time, part.count), (290, 510, 23));
    assert_eq!(samples, block_of(&values, 10).slice(29, 52));
}

#[test]
fn a_snapshot_comes_back_without_samples() {
    let bytes = snapshot_bytes(&[1.0, 2.0]);
    let snapshot = arrived(&mut Cursor::new(&bytes)).unwrap();
    assert_eq!((snapshot.handle, snapshot.tail), (12, None));
    assert_eq!(snapshot.problems[0].message, Problem::of(&damaged(), TimeRange::ALL).message);
    assert_eq!(snapshot.runs[0].listed, TimeRange::ALL);
    assert_eq!(snapshot.runs[0].parts.len(), 1);
    assert!(snapshot.runs[0].parts[0].1.is_none());
}

#[test]
fn facts_come_back() {
    let [rows, details, whys] = facts_bytes();
    let mut again = [Vec::new(), Vec::new(), Vec::new()];
    put_row(&mut again[0], &row(&mut Cursor::new(&rows)).unwrap());
    put_detail(&mut again[1], &detail(&mut Cursor::new(&details)).unwrap());
    put_why(&mut again[2], &why(&mut Cursor::new(&whys)).unwrap());
    assert_eq!(again, [rows, details, whys]);
}

#[test]
fn failures_come_back() {
    let errors = [
        damaged(),
        ReadError::Vanished("x".into()),
        ReadError::Unavailable("y".into()),
        ReadError::NotReady("z".into()),
    ];
    for sent in errors {
        let mut bytes = Vec::new();
        put_error(&mut bytes, &sent);
        assert_eq!(format!("{:?}", error(&mut Cursor::new(&bytes)).unwrap()), format!("{sent:?}"));
    }
}

#[test]
fn the_protocol_describes_every_question() {
    let text = include_str!("../../PROTOCOL.md");
    let (_, internal) = text.split_once("## Between processes").unwrap();
    let described: Vec<&str> =
        internal.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(described, Question::ALL.map(Question::name));
}

#[test]
fn another_version_is_told_from_this_one_on_both_sides() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let other = format!("v{}", VERSION + 1);
    let asks_other = axum::extract::Request::post(format!("/internal/{other}/hello"));
    let answer = runtime
        .block_on(served(Reader::new(Vec::new())).oneshot(asks_other.body(Body::empty()).unwrap()))
        .unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let body = runtime.block_on(axum::body::to_bytes(answer.into_body(), 1000)).unwrap();
    let told = String::from_utf8(body.to_vec()).unwrap();
    let names_both = |text: &str| text.contains(&other) && text.contains(&format!("v{VERSION}"));
    assert!(names_both(&told) && told.contains("one release"), "{told}");
    // What the other side would say to this one.
    let refusal = format!("this program answers \"{other}\"");
    let refuses = axum::Router::new().fallback(move || async move { (StatusCode::NOT_FOUND, refusal) });
    runtime.spawn(async move { axum::serve(listener, refuses).await });
    let failed = Caller::new(&address).ask(Question::Hello, &[], |_| Ok(())).unwrap_err().to_string();
    assert!(names_both(&failed) && failed.contains(&address), "{failed}");
}

#[test]
fn samples_out_of_order_are_refused() {
    let mut bytes = vec![2];
    for _ in 0..2 {
        let mut one = Vec::new();
        put_block(&mut one, &block_of(&[1.0, 2.0], 10)).unwrap();
        bytes.extend_from_slice(&one[1..]);
    }
    assert!(block(&mut Cursor::new(&bytes)).is_err());
}

proptest! {
    #[test]
    fn samples_come_back(values in prop::collection::vec(any::<f64>(), 0..300)) {
        let sent = block_of(&values, 3);
        let mut bytes = Vec::new();
        put_block(&mut bytes, &sent).unwrap();
        let found = block(&mut Cursor::new(&bytes)).unwrap();
        let same = if sent.is_empty() { found.is_empty() } else { found == sent };
        prop_assert!(same);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(
        which in 0..5usize,
        cut in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let [rows, details, whys] = facts_bytes();
        let sources = [tail_bytes(&[1.0, 2.5, 3.0], TimeRange::ALL), snapshot_bytes(&[1.0]), rows, details, whys];
        let mut bytes = sources[which].clone();
        for (at, value) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        if changes.is_empty() {
            bytes.truncate(cut.index(bytes.len()));
        }
        let mut from = Cursor::new(&bytes);
        match which {
            0 | 1 => {
                if let Ok(found) = arrived(&mut from) {
                    for (_, samples) in found.runs.iter().flat_map(|run| &run.parts) {
                        let _ = samples.as_ref().map(|samples| block(&mut Cursor::new(samples)));
                    }
                }
            }
            2 => drop(row(&mut from)),
            3 => drop(detail(&mut from)),
            _ => drop(why(&mut from)),
        }
    }
}
