//! `events`: what happened to each channel.

use super::over_range::OverRange;
use super::time_cell;
use crate::command_line::Outcome;
use crate::failure::Failure;
use crate::print::cell;

/// Print what happened to each channel: connections, starts, drops
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    asked: OverRange,
}

pub(crate) fn run(arguments: Arguments) -> Result<Outcome, Failure> {
    let titles = ["name", "time", "kind", "cause", ">count", "detail"];
    arguments.asked.print("/api/v1/events", "events", &titles, |channel, event, zone, readable| {
        vec![
            cell(&channel["name"]),
            time_cell(&event["time_ns"], zone, readable),
            cell(&event["kind"]),
            cell(&event["cause"]),
            cell(&event["count"]),
            cell(&event["detail"]),
        ]
    })
}
