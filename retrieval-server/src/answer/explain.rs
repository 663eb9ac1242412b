//! `explain=true`: an answer is made as ever and thrown away; what it read and how long that took is told.

use super::answer_query;
use crate::output::{Head, Output, Stopped, Writer};
use crate::query::Query;
use crate::routes::{JSON_MEDIA_TYPE, Route};
use crate::server::ServerState;
use decimator::tree::WIDTHS_NS;
use engine::read::{Meter, Reads};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Counts what an answer would have sent.
struct Counting<'a> {
    client: &'a mut dyn Output,
    media_type: &'static str,
    bytes: u64,
    first_byte: Option<Instant>,
}

impl Output for Counting<'_> {
    fn head(&mut self, head: &Head) -> std::io::Result<()> {
        self.media_type = head.media_type;
        self.first_byte = Some(Instant::now());
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn listens(&mut self, _pending: usize) -> bool {
        self.client.listens(0)
    }

    fn pause(&mut self, _duration: Duration) -> std::io::Result<bool> {
        // What is still to come is not waited for.
        Ok(false)
    }
}

/// Answers `query` for nobody, then tells what that took.
pub(super) fn answer(
    state: &ServerState,
    route: &Route,
    query: &Query,
    output: &mut dyn Output,
) -> Result<(), Stopped> {
    let meter = Arc::new(Meter::default());
    let counted = state.counted_by(meter.clone());
    let begun = Instant::now();
    let mut counting = Counting { client: output, media_type: JSON_MEDIA_TYPE, bytes: 0, first_byte: None };
    answer_query(&counted, route, query, &mut counting)?;
    let total = begun.elapsed();
    let first_byte = counting.first_byte.map_or(total, |at| at.duration_since(begun));
    let (bytes, media_type) = (counting.bytes, counting.media_type);
    let channels = meter.reads();
    let all: Vec<&Reads> = channels.values().flatten().collect();
    let lookup_ns: u64 = all.iter().map(|reads| reads.lookup_ns).sum();
    let load_ns: u64 = all.iter().map(|reads| reads.load_ns).sum();
    let (planning_ns, total_ns) = (meter.planning_ns(), ns(total));
    let mut read = sums(&all);
    let files: BTreeSet<&str> =
        all.iter().filter(|reads| reads.bytes > 0).map(|reads| reads.origin.as_str()).collect();
    read.insert("files".into(), json!(files.len()));
    let plan: Vec<Value> = channels
        .iter()
        .map(|(name, of)| {
            let used: Vec<Value> = of.iter().filter(|reads| reads.lookups > 0).map(from_one).collect();
            json!({"name": name.as_str(), "known": of.len(), "used": used})
        })
        .collect();
    let told = json!({
        "request": route.path,
        "channels": plan,
        "read": read,
        "answer": {"media_type": media_type, "bytes": bytes},
        "time_ns": {
            "planning": planning_ns,
            "looking_up": lookup_ns,
            "reading_and_decoding": load_ns,
            "folding_and_writing": total_ns.saturating_sub(planning_ns + lookup_ns + load_ns),
            "to_first_byte": ns(first_byte),
            "total": total_ns,
        },
    });
    let mut out = Writer::new(output, JSON_MEDIA_TYPE);
    out.buffer = told.to_string().into_bytes();
    out.buffer.push(b'\n');
    out.finish()
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What was read of one run, or of the stored nodes of one table.
fn from_one(reads: &Reads) -> Value {
    let mut told = sums(&[reads]);
    told.insert("origin".into(), json!(reads.origin));
    told.insert("first_ns".into(), json!(reads.span.0));
    told.insert("last_ns".into(), json!(reads.span.1));
    Value::Object(told)
}

fn sums(of: &[&Reads]) -> Map<String, Value> {
    let sum = |field: fn(&Reads) -> u64| json!(of.iter().map(|reads| field(reads)).sum::<u64>());
    let mut told = Map::new();
    told.insert("lookups".into(), sum(|reads| reads.lookups));
    told.insert("found".into(), sum(|reads| reads.found));
    told.insert("loaded".into(), sum(|reads| reads.loaded));
    told.insert("pages".into(), sum(|reads| reads.pages));
    told.insert("bytes".into(), sum(|reads| reads.bytes));
    told.insert("samples".into(), sum(|reads| reads.samples));
    let mut nodes = Map::new();
    for (level, width) in WIDTHS_NS.into_iter().enumerate() {
        let count: u64 = of.iter().map(|reads| reads.nodes[level]).sum();
        if count > 0 {
            nodes.insert(format!("{}s", width / 1_000_000_000), json!(count));
        }
    }
    told.insert("nodes".into(), Value::Object(nodes));
    told
}
