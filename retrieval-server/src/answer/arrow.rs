//! What an Arrow stream says before its first sample: types, metadata, gaps.

use super::plan::{Plan, Planned};
use crate::error::ApiError;
use crate::json::Numbers;
use crate::render::{ArrowFormat, ArrowRows};
use crate::server::ServerState;
use crate::transform::{Transform, Widen};
use decimator::coverage::State;
use engine::read::{ChannelView, ReadError};
use sample::{Kind, TimeRange, Timestamp, ValueType};
use serde_json::{Value, json};

/// What stands in the metadata of a schema: JSON, which grows as text by one channel after the other. As one value it
/// would be thirty times as large, and what is free between blocks that stay is kept as long as the answer lasts.
pub(super) struct Told(String);

impl Told {
    /// Of no channel yet.
    pub(super) fn of(range: TimeRange) -> Told {
        Told(format!("{{\"from_ns\":{},\"to_ns\":{},\"channels\":[", range.from.0, range.to.0))
    }

    /// Says `object` of the next channel.
    pub(super) fn push(&mut self, object: &Value) {
        if !self.0.ends_with('[') {
            self.0.push(',');
        }
        self.0.push_str(&object.to_string());
    }

    /// All of it.
    pub(super) fn end(self) -> String {
        self.0 + "]}"
    }
}

/// The format of an answer to `plan` about `channels`; `edge` adds that column.
pub(super) fn format(
    state: &ServerState,
    plan: &Plan,
    channels: &mut [Planned],
    numbers: Numbers,
    edge: bool,
) -> Result<ArrowFormat, ApiError> {
    let (mut names, mut types, mut told) = (Vec::new(), Vec::new(), Told::of(plan.range));
    for planned in channels {
        let name = planned.target.name().to_string();
        let mut object = planned.target.object();
        let viewed = planned.viewed(state, plan.range, |view| {
            describe(&mut object, view, plan.range, numbers);
            in_answer(view, plan)
        });
        if let Some(found) = viewed {
            let mut own: Vec<ValueType> = Vec::new();
            for value_type in found.flatten().map_err(|error| ApiError::read(&error, Some(&name)))? {
                let value_type = transformed(value_type, &plan.reading.transform);
                if !own.contains(&value_type) {
                    own.push(value_type);
                }
            }
            object["types"] = own.iter().map(|own| own.name()).collect();
            own.retain(|own| !types.contains(own));
            types.append(&mut own);
        }
        names.push(name);
        told.push(&object);
    }
    Ok(ArrowFormat::new(ArrowRows::new(names, types, edge, told.end())))
}

/// Types of the samples of an answer, those beside its range among them.
fn in_answer(view: &ChannelView, plan: &Plan) -> Result<Vec<ValueType>, ReadError> {
    let TimeRange { from, to } = plan.range;
    let mut beside = Vec::new();
    if plan.edge {
        beside.push(view.last_before(from, true)?);
    }
    if plan.after {
        beside.push(view.first_from(to)?);
    }
    let beside = beside.into_iter().flatten().map(|sample| sample.run_type().value);
    Ok(beside.chain(view.types_in(plan.range)?).collect())
}

fn transformed(value_type: ValueType, transform: &Transform) -> ValueType {
    let labelled = transform.labels && value_type.kind == Kind::Enum;
    let kind = match transform.widen {
        Some(Widen::Float64) => Kind::Float64,
        Some(Widen::String) => Kind::String,
        None if labelled => Kind::String,
        None => value_type.kind,
    };
    ValueType { kind, array: value_type.array }
}

fn describe(object: &mut Value, view: &ChannelView, range: TimeRange, numbers: Numbers) {
    let changes = view.metadata().iter().filter(|(from, _)| *from < range.to);
    let change = |(from, metadata): &(Timestamp, _)| {
        let metadata: &std::sync::Arc<sample::Metadata> = metadata;
        json!({"from_ns": from.0, "metadata": numbers.metadata(Some(metadata))})
    };
    object["metadata"] = changes.map(change).collect();
    let gaps = view.coverage(range).intervals.into_iter().filter(|gap| gap.state != State::Held);
    object["gaps"] = gaps
        .map(|gap| json!({"from_ns": gap.range.from.0, "to_ns": gap.range.to.0, "state": gap.state.name()}))
        .collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_the_json_of_all_channels() {
        let range = TimeRange::new(Timestamp(-5), Timestamp(i64::MAX));
        let objects =
            [json!({"name": "A", "gaps": []}), json!({}), json!({"name": "\"[", "types": ["int8"]})];
        for count in 0..=objects.len() {
            let mut told = Told::of(range);
            objects[..count].iter().for_each(|object| told.push(object));
            let whole = json!({"from_ns": -5, "to_ns": i64::MAX, "channels": objects[..count]});
            assert_eq!(told.end(), whole.to_string());
        }
    }
}
