//! `list`: channels with their states.

use super::time_cell;
use crate::command_line::Outcome;
use crate::failure::Failure;
use crate::place::Place;
use crate::print::{JsonOption, Rows, cell, json};
use crate::range::ZoneOption;

/// List channels: type, first and last time, samples, bytes, state
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Archive directory or address (or VARVE_URL), then a glob
    #[arg(value_name = "[DIR|URL] [GLOB]", num_args = 0..=2)]
    words: Vec<String>,
    /// Only channels in this state
    #[arg(long, value_parser = ["connected", "disconnected", "never_connected", "paused", "silent", "retired"])]
    state: Option<String>,
    #[command(flatten)]
    zone: ZoneOption,
    #[command(flatten)]
    json: JsonOption,
}

pub(crate) fn run(arguments: Arguments) -> Result<Outcome, Failure> {
    let (place, words) = Place::take(arguments.words)?;
    let mut pairs = vec![("limit".to_owned(), "0".to_owned())];
    match words.as_slice() {
        [] => {}
        [glob] => pairs.push(("match".to_owned(), glob.clone())),
        [_, second, ..] => {
            return Err(Failure::Usage(format!("{second} is one argument too many: list takes one glob")));
        }
    }
    pairs.extend(arguments.state.map(|state| ("state".to_owned(), state)));
    let answer = place.json("/api/v1/channels", pairs)?;
    let channels = answer["channels"].as_array().map(Vec::as_slice).unwrap_or_default();
    let outcome = if channels.is_empty() && !words.is_empty() { Outcome::Missing } else { Outcome::Done };
    if arguments.json.json {
        json(&answer)?;
        return Ok(outcome);
    }
    let zone = arguments.zone.zone()?;
    let mut rows =
        Rows::new(&["name", "type", "first", "last", ">samples", ">bytes", "state", "reason", "origin"])?;
    for channel in channels {
        let name = match channel["alias_of"].as_str() {
            Some(stored) if rows.readable() => format!("{} -> {stored}", cell(&channel["name"])),
            _ => cell(&channel["name"]),
        };
        let readable = rows.readable();
        rows.row(vec![
            name,
            cell(&channel["type"]),
            time_cell(&channel["first_ns"], &zone, readable),
            time_cell(&channel["last_ns"], &zone, readable),
            cell(&channel["samples"]),
            cell(&channel["bytes"]),
            cell(&channel["state"]),
            cell(&channel["reason"]),
            cell(&channel["origin"]),
        ])?;
    }
    rows.finish()?;
    Ok(outcome)
}
