//! `seal`: weeks that are over become dense.

use crate::command_line::Outcome;
use crate::failure::Failure;
use crate::print::{JsonOption, Rows, json, warn};
use crate::upkeep;
use engine::layout::{parse_week, week_name};
use engine::{Keeper, SealStep};
use indicatif::ProgressBar;
use sample::Week;
use serde_json::json;

/// Seal weeks that are over, and again those with late data: rewritten dense, compared with what they were
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Archive directory; no engine may run on it
    #[arg(value_name = "DIR")]
    directory: String,
    /// Only the week of this Monday, for example 2026-11-16
    #[arg(long, value_name = "MONDAY")]
    partition: Option<String>,
    #[command(flatten)]
    rules: upkeep::Rules,
    #[command(flatten)]
    json: JsonOption,
}

/// What became of a week.
struct Sealed {
    week: Week,
    tables: usize,
    samples: u64,
    bytes_before: u64,
    bytes: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let partition = arguments.partition.as_deref().map(week_of).transpose()?;
    let keeper = upkeep::open(&arguments.directory, &arguments.rules)?;
    let (removed, damaged) = upkeep::retain(&keeper)?;
    let mut weeks = keeper.sealable();
    if let Some(week) = partition {
        weeks.retain(|(of, _)| *of == week);
        check(&keeper, week, weeks.is_empty())?;
    }
    let (mut sealed, mut outcome) = (Vec::new(), if damaged { Outcome::Damage } else { Outcome::Done });
    for (week, bytes) in weeks {
        match seal(&keeper, week, bytes) {
            Ok(done) => sealed.push(done),
            Err(Failure::Engine(error)) if error.is_damage() => {
                warn(&format!("week {} stays as it is: {error}", week_name(week)));
                outcome = Outcome::Damage;
            }
            Err(other) => return Err(other),
        }
    }
    print(&sealed, removed, arguments.json)?;
    Ok(outcome)
}

/// The week that `text` names: a Monday, or a directory of one.
fn week_of(text: &str) -> Result<Week, Failure> {
    let name = text.trim_end_matches('/').rsplit('/').next().unwrap_or(text);
    let monday = name.split_once('.').map_or(name, |(monday, _)| monday);
    parse_week(monday).ok_or_else(|| {
        Failure::Usage(format!("--partition {text}: expected a Monday such as 2026-11-16, as stat shows it"))
    })
}

/// Says why there is nothing to seal in a week, unless it is sealed already.
fn check(keeper: &Keeper, week: Week, nothing: bool) -> Result<(), Failure> {
    let view = keeper.shared().view();
    let mut tables = view.manifest.tables.iter().filter(|table| table.week == week);
    if nothing && !tables.any(|table| table.sealed) {
        let name = week_name(week);
        return Err(Failure::Missing(if view.manifest.tables.iter().any(|table| table.week == week) {
            format!("week {name} is not over yet: it can be sealed afterwards")
        } else {
            format!("there is nothing of week {name}")
        }));
    }
    Ok(())
}

fn seal(keeper: &Keeper, week: Week, bytes_before: u64) -> Result<Sealed, Failure> {
    // On a terminal only: elsewhere it draws nothing.
    let bar = ProgressBar::new(bytes_before);
    let of_week = |tables: &[engine::manifest::TableEntry]| {
        let mine: Vec<_> = tables.iter().filter(|table| table.week == week && table.sealed).collect();
        let bytes = mine.iter().map(|table| table.len).sum::<u64>();
        (mine.len(), mine.iter().map(|table| table.samples).sum::<u64>(), bytes)
    };
    loop {
        match keeper.seal_week(week, &|| false)? {
            SealStep::Written(_) => {
                let left = keeper.sealable().iter().find(|(of, _)| *of == week).map_or(0, |(_, left)| *left);
                bar.set_position(bytes_before.saturating_sub(left));
            }
            SealStep::Sealed(_) => break,
            SealStep::Idle | SealStep::Stopped => {
                let what = "free space: sealing a week needs as much room as the week takes";
                return Err(Failure::Missing(format!("week {} stays as it is; {what}", week_name(week))));
            }
        }
    }
    while upkeep::decimate(keeper)? {}
    bar.finish_and_clear();
    let (tables, samples, bytes) = of_week(&keeper.shared().view().manifest.tables);
    Ok(Sealed { week, tables, samples, bytes_before, bytes })
}

fn print(sealed: &[Sealed], removed: usize, option: JsonOption) -> Result<(), Failure> {
    if option.json {
        let week = |s: &Sealed| {
            json!({
                "partition": week_name(s.week), "tables": s.tables, "samples": s.samples,
                "bytes_read": s.bytes_before, "bytes": s.bytes,
            })
        };
        return json(
            &json!({ "tables_removed": removed, "sealed": sealed.iter().map(week).collect::<Vec<_>>() }),
        );
    }
    if removed > 0 {
        warn(&format!("{removed} tables removed that no retention rule keeps"));
    }
    let mut rows =
        Rows::new(&["partition", ">tables", ">samples", ">bytes_read", ">bytes", ">bytes/sample"])?;
    for s in sealed {
        let density = if s.samples > 0 { s.bytes as f64 / s.samples as f64 } else { 0.0 };
        rows.row(vec![
            week_name(s.week),
            s.tables.to_string(),
            s.samples.to_string(),
            s.bytes_before.to_string(),
            s.bytes.to_string(),
            format!("{density:.3}"),
        ])?;
    }
    rows.finish()
}
