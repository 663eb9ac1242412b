//! `coverage`: when each channel was recorded.

use super::{PlaceAndChannels, answered, time_cell};
use crate::command_line::Outcome;
use crate::failure::Failure;
use crate::print::{JsonOption, Rows, cell, json};
use crate::range::RangeOptions;

/// Print when each channel was recorded, and why not
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    asked: PlaceAndChannels,
    #[command(flatten)]
    range: RangeOptions,
    #[command(flatten)]
    json: JsonOption,
}

pub(crate) fn run(arguments: Arguments) -> Result<Outcome, Failure> {
    let (place, mut pairs) = arguments.asked.open()?;
    pairs.extend(arguments.range.pairs()?);
    let answer = place.json("/api/v1/coverage", pairs)?;
    let (channels, outcome) = answered(&answer);
    if arguments.json.json {
        json(&answer)?;
        return Ok(outcome);
    }
    let zone = arguments.range.zone.zone()?;
    let mut rows = Rows::new(&["name", "from", "to", ">duration", "state"])?;
    for channel in channels {
        for interval in channel["intervals"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let readable = rows.readable();
            let ns = interval["to_ns"]
                .as_i64()
                .zip(interval["from_ns"].as_i64())
                .map(|(to, from)| to.saturating_sub(from));
            let duration = ns
                .map_or_else(String::new, |ns| if readable { crate::time::span(ns) } else { ns.to_string() });
            rows.row(vec![
                cell(&channel["name"]),
                time_cell(&interval["from_ns"], &zone, readable),
                time_cell(&interval["to_ns"], &zone, readable),
                duration,
                cell(&interval["state"]),
            ])?;
        }
    }
    rows.finish()?;
    Ok(outcome)
}
