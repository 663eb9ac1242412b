//! `coverage`: when each channel was recorded.

use super::over_range::OverRange;
use super::time_cell;
use crate::command_line::Outcome;
use crate::failure::Failure;
use crate::print::cell;

/// Print when each channel was recorded, and why not
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    asked: OverRange,
}

pub(crate) fn run(arguments: Arguments) -> Result<Outcome, Failure> {
    let titles = ["name", "from", "to", ">duration", "state"];
    arguments.asked.print("/api/v1/coverage", "intervals", &titles, |channel, interval, zone, readable| {
        let times = interval["to_ns"].as_i64().zip(interval["from_ns"].as_i64());
        let duration = match times.map(|(to, from)| to.saturating_sub(from)) {
            Some(ns) if readable => crate::time::span(ns),
            Some(ns) => ns.to_string(),
            None => String::new(),
        };
        vec![
            cell(&channel["name"]),
            time_cell(&interval["from_ns"], zone, readable),
            time_cell(&interval["to_ns"], zone, readable),
            duration,
            cell(&interval["state"]),
        ]
    })
}
