//! One channel's samples, asked for from a time on and read block by block.

use super::plan::Plan;
use crate::command_line::Outcome;
use crate::failure::Failure;
use crate::place::Place;
use crate::verb::{broken, told};
use retrieval_server::columns::{Batch, Block, DecodeError, Decoder, End};
use serde_json::Value;
use std::io::BufReader;

/// Hands the samples of `name` at or behind `from_ns` to `take`, in order. An answer that lacks something is a
/// failure, except for damage with `skip_damaged`, which is told.
pub(super) fn read(
    place: &Place,
    plan: &Plan,
    name: &str,
    from_ns: i64,
    skip_damaged: bool,
    take: &mut dyn FnMut(&Batch) -> Result<(), Failure>,
) -> Result<Outcome, Failure> {
    let mut pairs = vec![
        ("channel", name.to_owned()),
        ("from_ns", from_ns.to_string()),
        ("to_ns", plan.to_ns.to_string()),
        ("format", "columns".to_owned()),
    ];
    if skip_damaged {
        pairs.push(("damaged", "skip".to_owned()));
    }
    let pairs = pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let answer = place.ask("/api/v1/samples", pairs)?;
    let mut decoder = Decoder::new(BufReader::with_capacity(64 * 1024, answer));
    loop {
        match decoder.block().map_err(undecoded)? {
            Some(Block::Batch(batch)) => take(&batch)?,
            Some(Block::End(end)) => return ended(&end, skip_damaged),
            // Of a later version.
            Some(_) => {}
            None => return Ok(Outcome::Done),
        }
    }
}

fn ended(end: &End, skip_damaged: bool) -> Result<Outcome, Failure> {
    if let Some(error) = end.json["channels"].as_array().and_then(|c| c.first()).map(|c| &c["error"])
        && error.is_object()
    {
        return Err(Failure::refused(error));
    }
    let problems = end.json["problems"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_skipped = |problem: &&Value| skip_damaged && problem["code"] == "damaged";
    match problems.iter().find(|problem| !is_skipped(problem)) {
        Some(problem) => Err(Failure::refused(problem)),
        None => Ok(told(problems)),
    }
}

fn undecoded(error: DecodeError) -> Failure {
    match error {
        DecodeError::Io(source) => broken(source),
        other => broken(std::io::Error::other(other)),
    }
}
