//! What a channel's timeline says: the value at a time, events, coverage.

use super::each::channel_objects;
use super::search::found;
use crate::json::Numbers;
use crate::output::{Output, Stopped};
use crate::query::Query;
use crate::segments::Segment;
use crate::server::ServerState;
use crate::transform::Transform;
use decimator::coverage::State;
use engine::read::ChannelView;
use sample::{Event, EventKind, Sample, SampleBlock, StatusDomain, TimeRange, Timestamp};
use serde_json::{Map, Value, json};

/// How numbers are written in the answer to `query`.
pub(super) fn numbers(query: &Query) -> Numbers {
    Numbers {
        nonfinite_null: query.choice("nonfinite") == Some("null"),
        int64_string: query.choice("int64") == Some("string"),
    }
}

/// The state at one instant.
pub(super) fn state_at(view: &ChannelView, time: Timestamp) -> State {
    let instant = TimeRange::new(time, time.saturating_add(1));
    view.coverage(instant).intervals.first().map_or(State::Unknown, |interval| interval.state)
}

/// A single sample as a segment, with its metadata, transformed.
pub(super) fn single(view: &ChannelView, sample: &Sample, transform: &Transform) -> Segment {
    let metadata = sample
        .metadata_known
        // Before the view's range the oldest known is in force.
        .then(|| view.metadata_at(sample.time).or_else(|| view.metadata().first()))
        .flatten()
        .map(|(_, metadata)| metadata.clone());
    let mut block = SampleBlock::new(sample.run_type());
    block.push(sample);
    Segment { block: transform.apply(block, metadata.as_deref()), metadata }
}

/// `/at`.
pub(super) fn at(state: &ServerState, query: &Query, output: &mut dyn Output) -> Result<(), Stopped> {
    let time = query.time("time").unwrap_or(query.now);
    let range = TimeRange::new(time, time.saturating_add(1));
    let (numbers, transform) = (numbers(query), Transform::of(query));
    let mut lead = Map::new();
    lead.insert("time_ns".into(), numbers.integer_value(time.0));
    channel_objects(state, query, (range, Vec::new()), lead, output, |view, object| {
        let state = state_at(view, time);
        let sample = view.last_before(time, true)?;
        object["held"] = json!(state == State::Held && sample.is_some());
        object["state"] = json!(state.name());
        let Some(sample) = sample else {
            for key in ["time_ns", "age_ns", "type", "value", "severity", "status"] {
                object[key] = Value::Null;
            }
            object["metadata"] = json!({});
            return Ok(());
        };
        let Segment { block, metadata } = single(view, &sample, &transform);
        object["time_ns"] = numbers.integer_value(sample.time.0);
        object["age_ns"] = numbers.integer_value(time.since(sample.time));
        object["type"] = json!(block.run.value.name());
        object["value"] = numbers.one(&block.values, 0);
        object["severity"] = json!(block.severity[0]);
        object["status"] = json!(block.status[0]);
        if block.run.domain == StatusDomain::Pva {
            object["status_domain"] = json!("pva");
        }
        object["metadata"] = numbers.metadata(metadata.as_deref());
        Ok(())
    })
}

fn range_keys(range: TimeRange) -> Map<String, Value> {
    let mut lead = Map::new();
    lead.insert("from_ns".into(), json!(range.from.0));
    lead.insert("to_ns".into(), json!(range.to.0));
    lead
}

/// One event; the keys of every kind first, then those of its own.
pub(super) fn event_object(event: &Event) -> Value {
    let mut object = json!({
        "time_ns": event.time.0,
        "kind": event.kind.name(),
        "cause": null,
        "count": null,
        "detail": null,
    });
    match &event.kind {
        EventKind::Connected { host } => object["detail"] = json!(host),
        EventKind::Disconnected { last_heard } => {
            object["detail"] = json!(format!("last heard of {}", crate::query::iso(*last_heard)));
            object["last_heard_ns"] = json!(last_heard.0);
        }
        EventKind::EngineDown { until } => {
            object["detail"] = json!(format!("until {}", crate::query::iso(*until)));
            object["to_ns"] = json!(until.0);
        }
        EventKind::Dropped { to, count, cause, last } => {
            object["cause"] = json!(cause.name());
            object["count"] = json!(count);
            object["to_ns"] = json!(to.0);
            object["detail"] = json!(format!("the last at {}", crate::query::iso(*to)));
            if let Some(last) = last {
                let mut block = SampleBlock::new(last.run_type());
                block.push(last);
                object["last_value"] = Numbers::default().one(&block.values, 0);
            }
        }
        EventKind::TimeReplaced { original } => {
            object["detail"] = json!(format!("the stamp was {}", crate::query::iso(*original)));
            object["original_ns"] = json!(original.0);
        }
        EventKind::Started
        | EventKind::Stopped
        | EventKind::Paused
        | EventKind::Resumed
        | EventKind::Retired => {}
    }
    object
}

/// `/events`.
pub(super) fn events(state: &ServerState, query: &Query, output: &mut dyn Output) -> Result<(), Stopped> {
    let range = query.range()?;
    channel_objects(state, query, (range, Vec::new()), range_keys(range), output, |view, object| {
        object["events"] = view.events(range).iter().map(event_object).collect();
        Ok(())
    })
}

/// `/coverage`.
pub(super) fn coverage(state: &ServerState, query: &Query, output: &mut dyn Output) -> Result<(), Stopped> {
    let range = query.range()?;
    let found = found(state, query, range)?;
    let known = found.as_ref().map(|found| found.problems.clone()).unwrap_or_default();
    channel_objects(state, query, (range, known), range_keys(range), output, |view, object| {
        let mut coverage = view.coverage(range);
        if let Some(found) = &found {
            coverage = found.selection.of_coverage(&coverage);
        }
        let interval = |i: &decimator::coverage::Interval| json!({"from_ns": i.range.from.0, "to_ns": i.range.to.0, "state": i.state.name()});
        object["intervals"] = coverage.intervals.iter().map(interval).collect();
        let totals = coverage.totals_ns();
        object["totals_ns"] = State::ALL
            .into_iter()
            .map(|state| {
                let ns = totals.iter().find(|(s, _)| *s == state).map_or(0, |(_, ns)| *ns);
                (state.name().to_string(), json!(ns))
            })
            .collect::<Map<String, Value>>()
            .into();
        Ok(())
    })
}
