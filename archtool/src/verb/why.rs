//! `why`: why a channel is or is not archived.

use super::PlaceAndChannels;
use crate::command_line::Outcome;
use crate::failure::Failure;
use crate::print::{JsonOption, cell, json, text};
use crate::table::harmless;
use crate::time::{iso, readable};
use jiff::tz::TimeZone;
use serde_json::Value;

/// Print why a channel is or is not archived: a verdict, then the evidence
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    asked: PlaceAndChannels,
    #[command(flatten)]
    json: JsonOption,
}

pub(crate) fn run(arguments: Arguments) -> Result<Outcome, Failure> {
    let (place, pairs) = arguments.asked.open()?;
    let answer = place.json("/api/v1/why", pairs)?;
    let channels = answer["channels"].as_array().map(Vec::as_slice).unwrap_or_default();
    let archived = !channels.is_empty() && channels.iter().all(|channel| channel["verdict"] == "archived");
    if arguments.json.json {
        json(&answer)?;
    } else {
        text(&channels.iter().map(paragraph).collect::<String>())?;
    }
    Ok(if archived { Outcome::Done } else { Outcome::Missing })
}

/// The verdict line, then a line for each piece of evidence.
fn paragraph(channel: &Value) -> String {
    let mut text = format!("{}: {}\n", harmless(&cell(&channel["name"])), cell(&channel["verdict"]));
    if let Some(stored) = channel["channel"].as_str() {
        text += &format!("  stored as: {}\n", harmless(stored));
    }
    for (name, value) in channel["evidence"].as_object().into_iter().flatten() {
        let (name, value) = match (name.strip_suffix("_ns"), value.as_i64()) {
            (Some(name), Some(ns)) if crate::print::is_terminal() => (name, readable(ns, &TimeZone::UTC)),
            (Some(name), Some(ns)) => (name, iso(ns)),
            _ => (name.as_str(), cell(value)),
        };
        text += &format!("  {}: {}\n", name.replace('_', " "), harmless(&value));
    }
    let near: Vec<String> =
        channel["near"].as_array().into_iter().flatten().map(|name| harmless(&cell(name))).collect();
    if !near.is_empty() {
        text += &format!("  similar names: {}\n", near.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_holds_verdict_and_evidence() {
        let channel = serde_json::json!({
            "name": "A", "channel": "B", "verdict": "silent",
            "evidence": {"origin": "x.toml:3", "last_sample_ns": 1_767_571_200_000_000_000_i64, "searches": 5},
            "near": ["C"],
        });
        let text = paragraph(&channel);
        assert!(text.starts_with("A: silent\n  stored as: B\n"), "{text}");
        assert!(text.contains("  last sample: 2026-01-05") && text.contains("  searches: 5\n"), "{text}");
        assert!(text.ends_with("  similar names: C\n"), "{text}");
    }
}
