//! `search`: when a condition over channels held.

use super::{time_cell, told};
use crate::command_line::Outcome;
use crate::failure::Failure;
use crate::place::Place;
use crate::print::{JsonOption, Rows, json};
use crate::range::RangeOptions;

/// Print when a condition over channels held
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Archive directory or address (or VARVE_URL), then the condition, for example 'SR:DCCT > 10 and `A B` == "Open"'
    #[arg(value_name = "[DIR|URL] CONDITION", required = true, num_args = 1..=2)]
    words: Vec<String>,
    #[command(flatten)]
    range: RangeOptions,
    /// Read on around damaged places
    #[arg(long)]
    skip_damaged: bool,
    #[command(flatten)]
    json: JsonOption,
}

pub(crate) fn run(arguments: Arguments) -> Result<Outcome, Failure> {
    let (place, mut words) = Place::take(arguments.words)?;
    let (Some(condition), true) = (words.pop(), words.is_empty()) else {
        return Err(Failure::Usage("give one condition, quoted as one word".to_owned()));
    };
    let mut pairs = arguments.range.pairs()?;
    pairs.push(("where".to_owned(), condition));
    if arguments.skip_damaged {
        pairs.push(("damaged".to_owned(), "skip".to_owned()));
    }
    let answer = place.json("/api/v1/search", pairs)?;
    let intervals = answer["intervals"].as_array().map(Vec::as_slice).unwrap_or_default();
    let problems = answer["problems"].as_array().map(Vec::as_slice).unwrap_or_default();
    let complete = told(problems);
    // Nothing that matches is an answer of its own, as with grep.
    let outcome = if intervals.is_empty() { Outcome::Missing } else { complete };
    if arguments.json.json {
        json(&answer)?;
        return Ok(outcome);
    }
    let zone = arguments.range.zone.zone()?;
    let mut rows = Rows::new(&["from", "to", ">duration"])?;
    for interval in intervals {
        let readable = rows.readable();
        let ends = interval["to_ns"].as_i64().zip(interval["from_ns"].as_i64());
        let ns = ends.map_or(0, |(to, from)| to.saturating_sub(from));
        rows.row(vec![
            time_cell(&interval["from_ns"], &zone, readable),
            time_cell(&interval["to_ns"], &zone, readable),
            if readable { crate::time::span(ns) } else { ns.to_string() },
        ])?;
    }
    rows.finish()?;
    Ok(outcome)
}
