//! `at`: the value of each channel at one time.

use super::{PlaceAndChannels, answered, severity_cell, status_cell, time_cell};
use crate::command_line::Outcome;
use crate::failure::Failure;
use crate::print::{JsonOption, Rows, cell, json};
use crate::range::ZoneOption;

/// Print the value of each channel at one time
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    asked: PlaceAndChannels,
    /// The time: RFC 3339, now, -1h; with --tz also local times [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    time: Option<String>,
    #[command(flatten)]
    zone: ZoneOption,
    #[command(flatten)]
    json: JsonOption,
}

pub(crate) fn run(arguments: Arguments) -> Result<Outcome, Failure> {
    let (place, mut pairs) = arguments.asked.open()?;
    pairs.extend(arguments.time.map(|time| ("time".to_owned(), time)));
    pairs.extend(arguments.zone.pairs()?);
    let answer = place.json("/api/v1/at", pairs)?;
    let (channels, outcome) = answered(&answer);
    if arguments.json.json {
        json(&answer)?;
        return Ok(outcome);
    }
    let zone = arguments.zone.zone()?;
    let mut rows = Rows::new(&["name", "time", ">age", "value", "severity", "status", "state"])?;
    for channel in channels {
        let readable = rows.readable();
        let age = match channel["age_ns"].as_i64() {
            Some(ns) if readable => crate::time::span(ns),
            _ => cell(&channel["age_ns"]),
        };
        rows.row(vec![
            cell(&channel["name"]),
            time_cell(&channel["time_ns"], &zone, readable),
            age,
            cell(&channel["value"]),
            severity_cell(&channel["severity"]),
            status_cell(channel),
            cell(&channel["state"]),
        ])?;
    }
    rows.finish()?;
    Ok(outcome)
}
