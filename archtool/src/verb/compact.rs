//! `compact`: the merges that are due.

use crate::command_line::Outcome;
use crate::failure::Failure;
use crate::print::{JsonOption, Rows, json, warn};
use crate::upkeep;
use indicatif::ProgressBar;
use serde_json::json;

/// Merge and decimate what an engine would in the background; remove files whose grace time is over
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Archive directory; no engine may run on it
    #[arg(value_name = "DIR")]
    directory: String,
    #[command(flatten)]
    rules: upkeep::Rules,
    #[command(flatten)]
    json: JsonOption,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let keeper = upkeep::open(&arguments.directory, &arguments.rules)?;
    let tables = || keeper.shared().view().tables.len();
    let (before, mut merges) = (tables(), 0u64);
    let (tables_removed, damaged) = upkeep::retain(&keeper)?;
    let mut outcome = if damaged { Outcome::Damage } else { Outcome::Done };
    // On a terminal only: elsewhere it draws nothing.
    let bar = ProgressBar::new(keeper.merge_debt());
    loop {
        match keeper.merge(&|| false) {
            Ok(true) => merges += 1,
            Ok(false) => break,
            Err(error) if error.is_damage() => {
                warn(&format!("{error}; its table stays as it is"));
                outcome = Outcome::Damage;
            }
            Err(error) => return Err(error.into()),
        }
        bar.set_length(keeper.bytes_merged() + keeper.merge_debt());
        bar.set_position(keeper.bytes_merged());
    }
    while upkeep::decimate(&keeper)? {}
    bar.finish_and_clear();
    let removed = keeper.remove_dropped()?;
    let waiting = keeper.merge_debt();
    if waiting > 0 {
        warn(&format!("{waiting} bytes still wait to be merged: for room, or for dropped files to go"));
    }
    if arguments.json.json {
        json(&json!({
            "merges": merges, "tables_before": before, "tables": tables(), "bytes_written": keeper.bytes_merged(),
            "files_removed": removed, "bytes_waiting": waiting, "tables_removed": tables_removed,
        }))?;
        return Ok(outcome);
    }
    let mut rows = Rows::new(&[
        ">merges",
        ">tables_before",
        ">tables",
        ">bytes_written",
        ">files_removed",
        ">bytes_waiting",
        ">tables_removed",
    ])?;
    let (tables, written) = (tables() as u64, keeper.bytes_merged());
    rows.row(
        [merges, before as u64, tables, written, removed as u64, waiting, tables_removed as u64]
            .map(|n| n.to_string())
            .to_vec(),
    )?;
    rows.finish()?;
    Ok(outcome)
}
