//! `events`: what happened to each channel.

use super::{PlaceAndChannels, answered, time_cell};
use crate::command_line::Outcome;
use crate::failure::Failure;
use crate::print::{JsonOption, Rows, cell, json};
use crate::range::RangeOptions;

/// Print what happened to each channel: connections, starts, drops
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
    let answer = place.json("/api/v1/events", pairs)?;
    let (channels, outcome) = answered(&answer);
    if arguments.json.json {
        json(&answer)?;
        return Ok(outcome);
    }
    let zone = arguments.range.zone.zone()?;
    let mut rows = Rows::new(&["name", "time", "kind", "cause", ">count", "detail"])?;
    for channel in channels {
        for event in channel["events"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let readable = rows.readable();
            rows.row(vec![
                cell(&channel["name"]),
                time_cell(&event["time_ns"], &zone, readable),
                cell(&event["kind"]),
                cell(&event["cause"]),
                cell(&event["count"]),
                cell(&event["detail"]),
            ])?;
        }
    }
    rows.finish()?;
    Ok(outcome)
}
