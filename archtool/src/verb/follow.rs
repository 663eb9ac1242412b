//! `follow`: samples from a time on, then every new one as it comes.

use super::{PlaceAndChannels, get};
use crate::command_line::Outcome;
use crate::failure::Failure;
use crate::print::{JsonOption, is_terminal, stdout, warn};
use crate::range::ZoneOption;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};

/// Print samples from a time on, then every new one as it comes, until interrupted
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    asked: PlaceAndChannels,
    /// Begin at this time: RFC 3339, -1h; with --tz also local times [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// End when this time has passed
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    #[command(flatten)]
    zone: ZoneOption,
    /// One JSON object a line, events and gaps among them
    #[command(flatten)]
    json: JsonOption,
}

pub(crate) fn run(arguments: Arguments) -> Result<Outcome, Failure> {
    let (place, mut pairs) = arguments.asked.open()?;
    pairs.extend(arguments.from.map(|time| ("from".to_owned(), time)));
    pairs.extend(arguments.to.map(|time| ("to".to_owned(), time)));
    pairs.extend(arguments.zone.pairs()?);
    let zone = arguments.zone.zone()?;
    let answer = place.ask("/api/v1/follow", pairs)?;
    let (mut output, mut outcome) = (stdout(), Outcome::Done);
    let terminal = is_terminal();
    let unwritten = || Failure::io("write the output");
    if !arguments.json.json {
        output.write_all(b"channel,time,value,severity,status\n").map_err(unwritten())?;
    }
    let mut event = String::new();
    for line in BufReader::new(answer).lines() {
        let line = line.map_err(get::broken)?;
        if let Some(name) = line.strip_prefix("event:") {
            event = name.trim().to_owned();
            continue;
        }
        let Some(data) = line.strip_prefix("data:") else { continue };
        let data: Value = serde_json::from_str(data.trim())
            .map_err(|error| Failure::io("understand what the server sent")(error.into()))?;
        if event == "heartbeat" {
            outcome = outcome_of(&data, outcome);
        } else if arguments.json.json {
            let mut told = data;
            told["event"] = Value::from(event.as_str());
            writeln!(output, "{told}").map_err(unwritten())?;
        } else if event == "sample" {
            let ns = data["time_ns"].as_i64().unwrap_or_default();
            let cells = [
                text(&data["name"]),
                if terminal { crate::time::readable(ns, &zone) } else { crate::time::iso(ns) },
                text(&data["value"]),
                super::severity_cell(&data["severity"]),
                super::status_cell(&data),
            ];
            let mut row = csv::Writer::from_writer(Vec::new());
            let written = row.write_record(&cells).map_err(|error| std::io::Error::other(error.to_string()));
            written.map_err(unwritten())?;
            let bytes =
                row.into_inner().map_err(|error| unwritten()(std::io::Error::other(error.to_string())))?;
            output.write_all(&bytes).map_err(unwritten())?;
        } else {
            warn(&format!("{}: {event} {data}", text(&data["name"])));
        }
        // Who looks on wants to see it now.
        output.flush().map_err(unwritten())?;
    }
    Ok(outcome)
}

/// Names that cannot be followed are told once, by the first heartbeat.
fn outcome_of(beat: &Value, before: Outcome) -> Outcome {
    let mut outcome = before;
    for channel in beat["channels"].as_array().map(Vec::as_slice).unwrap_or_default() {
        if channel["error"].is_object() {
            warn(&Failure::refused(&channel["error"]).to_string());
            outcome = Outcome::Missing;
        }
    }
    outcome
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
