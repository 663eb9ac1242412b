//! `table`: channels side by side on one grid of times.

use super::get::{self, Format};
use super::{PlaceAndChannels, told, worse};
use crate::command_line::Outcome;
use crate::failure::Failure;
use crate::print::{JsonOption, json};
use crate::range::RangeOptions;

/// Print channels side by side on one grid of times
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    asked: PlaceAndChannels,
    #[command(flatten)]
    range: RangeOptions,
    /// A step (1s, 5m, 1d), at:CHANNEL for that one's times, or union for the times of all
    #[arg(long, value_name = "GRID", default_value = "union")]
    grid: String,
    /// What stands between samples
    #[arg(long, value_enum, default_value = "hold")]
    fill: Fill,
    /// Values older than this are not there, for example 10s
    #[arg(long, value_name = "AGE")]
    max_age: Option<String>,
    /// Read on around damaged places
    #[arg(long)]
    skip_damaged: bool,
    /// How rows are printed [default: table on a terminal, csv in a pipe]
    #[arg(long, value_enum, conflicts_with = "json")]
    format: Option<Format>,
    #[command(flatten)]
    json: JsonOption,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Fill {
    /// The value that was held
    Hold,
    /// Only a sample at that very time
    None,
    /// A straight line between neighbours
    Linear,
    /// The mean of the step
    Mean,
}

pub(crate) fn run(arguments: Arguments) -> Result<Outcome, Failure> {
    let format = Format::chosen(arguments.format, &arguments.json);
    let (place, mut pairs) = arguments.asked.open()?;
    pairs.extend(arguments.range.pairs()?);
    let fill = match arguments.fill {
        Fill::Hold => "hold",
        Fill::None => "none",
        Fill::Linear => "linear",
        Fill::Mean => "mean",
    };
    for (name, value) in [("grid", arguments.grid.as_str()), ("fill", fill), ("format", format.requested())] {
        pairs.push((name.to_owned(), value.to_owned()));
    }
    pairs.extend(arguments.max_age.map(|age| ("max_age".to_owned(), age)));
    if arguments.skip_damaged {
        pairs.push(("damaged".to_owned(), "skip".to_owned()));
    }
    if format == Format::Json {
        let answer = place.json("/api/v1/table", pairs)?;
        json(&answer)?;
        let problems = answer["problems"].as_array().cloned().unwrap_or_default();
        return Ok(told(&problems));
    }
    let answer = place.ask("/api/v1/table", pairs)?;
    let problems = told(&answer.problems);
    let printed = match format {
        Format::Table => get::table(answer, &arguments.range)?,
        _ => get::copy(answer)?,
    };
    Ok(worse(problems, printed))
}
