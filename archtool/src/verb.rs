//! The verbs, one file each.

pub(crate) mod at;
pub(crate) mod compact;
pub(crate) mod completions;
pub(crate) mod coverage;
pub(crate) mod demo;
pub(crate) mod dump;
pub(crate) mod events;
pub(crate) mod export;
pub(crate) mod follow;
pub(crate) mod generate;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod man;
mod over_range;
pub(crate) mod reindex;
pub(crate) mod seal;
pub(crate) mod search;
pub(crate) mod snapshot;
pub(crate) mod stat;
pub(crate) mod status;
pub(crate) mod table;
pub(crate) mod verify;
pub(crate) mod why;

pub(crate) use self::get::broken;

use crate::answer::Pairs;
use crate::channels;
use crate::command_line::Outcome;
use crate::failure::Failure;
use crate::place::Place;
use crate::print::warn;
use serde_json::Value;

/// `[DIR|URL] CHANNEL..`
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PlaceAndChannels {
    /// Archive directory or address (or VARVE_URL), then channels: names, globs, @FILE, @-
    #[arg(value_name = "[DIR|URL] CHANNEL", required = true)]
    words: Vec<String>,
}

impl PlaceAndChannels {
    /// The place, with the parameters that name the channels.
    fn open(self) -> Result<(Place, Pairs), Failure> {
        let (place, words) = Place::take(self.words)?;
        let pairs = channels::pairs(&place, &words)?;
        Ok((place, pairs))
    }
}

/// The objects of the channels that were answered. Those that were refused, and what the answer lacks, are told
/// on stderr and decide the outcome.
fn answered(answer: &Value) -> (Vec<&Value>, Outcome) {
    let mut outcome = Outcome::Done;
    let mut known = Vec::new();
    for channel in answer["channels"].as_array().map(Vec::as_slice).unwrap_or_default() {
        if channel["error"].is_object() {
            warn(&Failure::refused(&channel["error"]).to_string());
            outcome = Outcome::Missing;
        } else {
            known.push(channel);
        }
    }
    let problems = answer["problems"].as_array().map(Vec::as_slice).unwrap_or_default();
    (known, worse(outcome, told(problems)))
}

/// Tells what an answer lacks.
pub(crate) fn told(problems: &[Value]) -> Outcome {
    let mut outcome = Outcome::Done;
    for problem in problems {
        warn(&Failure::refused(problem).to_string());
        let damaged = problem["code"] == "damaged";
        outcome = worse(outcome, if damaged { Outcome::Damage } else { Outcome::Missing });
    }
    outcome
}

/// The one that says more: damage before absence.
fn worse(a: Outcome, b: Outcome) -> Outcome {
    match (a, b) {
        (Outcome::Damage, _) | (_, Outcome::Damage) => Outcome::Damage,
        (Outcome::Missing, _) | (_, Outcome::Missing) => Outcome::Missing,
        (Outcome::Done, Outcome::Done) => Outcome::Done,
    }
}

/// A time in ns as a cell: for people, or exact.
fn time_cell(value: &Value, zone: &jiff::tz::TimeZone, readable: bool) -> String {
    match value.as_i64() {
        Some(ns) if readable => crate::time::readable(ns, zone),
        Some(ns) => crate::time::iso(ns),
        None => String::new(),
    }
}

/// A severity number as its name.
fn severity_cell(value: &Value) -> String {
    let code = value.as_u64().and_then(|code| u16::try_from(code).ok());
    match code.and_then(sample::Severity::from_code) {
        Some(severity) => severity.name().to_owned(),
        None => crate::print::cell(value),
    }
}

/// A status number as its name in the channel's domain.
fn status_cell(channel: &Value) -> String {
    let domain = match channel["status_domain"].as_str() {
        Some("pva") => sample::StatusDomain::Pva,
        _ => sample::StatusDomain::Ca,
    };
    let code = channel["status"].as_u64().and_then(|code| u16::try_from(code).ok());
    let name = code.and_then(|code| sample::Status { domain, code }.name());
    name.map_or_else(|| crate::print::cell(&channel["status"]), str::to_owned)
}
