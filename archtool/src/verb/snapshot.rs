//! `snapshot`: a consistent copy of an archive that may be running.

use crate::command_line::Outcome;
use crate::failure::Failure;
use crate::place::{Place, VARIABLE};
use crate::print::{JsonOption, Rows, json};
use disk::RealDisk;
use engine::error::Error;
use engine::identity::Identity;
use engine::layout::Layout;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Make or bring up to date a copy of an archive, running or not
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Archive directory or address of an engine on this machine (or VARVE_URL), then where the copy goes: a missing or
    /// empty directory, or a copy made earlier
    #[arg(value_name = "[DIR|URL] DEST", required = true, num_args = 1..=2)]
    words: Vec<String>,
    #[command(flatten)]
    json: JsonOption,
}

pub(crate) fn run(mut arguments: Arguments) -> Result<Outcome, Failure> {
    let to = arguments.words.pop().unwrap_or_default();
    let from = match arguments.words.pop() {
        Some(from) => from,
        None => std::env::var(VARIABLE).map_err(|_| {
            Failure::Usage(format!("name the archive, then where the copy goes, or set {VARIABLE}"))
        })?,
    };
    let from = source(from)?;
    // Paths are compared: one must not lie in the other.
    let whole =
        |path: &Path| std::path::absolute(path).map_err(Failure::io(format!("find {}", path.display())));
    let done = engine::copy_archive(&RealDisk, &whole(&from)?, &whole(Path::new(&to))?)?;
    if arguments.json.json {
        json(&json!({
            "generation": done.generation, "linked": done.linked, "copied": done.copied, "kept": done.kept,
            "removed": done.removed, "bytes": done.bytes, "segments": done.segments,
        }))?;
        return Ok(Outcome::Done);
    }
    let mut rows =
        Rows::new(&[">linked", ">copied", ">kept", ">removed", ">wal_segments", ">bytes_written"])?;
    let counts = [done.linked, done.copied, done.kept, done.removed, done.segments, done.bytes];
    rows.row(counts.map(|count| count.to_string()).to_vec())?;
    rows.finish()?;
    Ok(Outcome::Done)
}

/// The archive's directory: as named, or as the engine at an address says, if it is on this machine.
fn source(text: String) -> Result<PathBuf, Failure> {
    if Path::new(&text).is_dir() {
        return Ok(text.into());
    }
    let (place, _) = Place::take(vec![text.clone()])?;
    let answer = place.json("/api/v1/status", Vec::new())?;
    let told = |key: &str| answer["archive"][key].as_str().unwrap_or_default().to_owned();
    let path = PathBuf::from(told("path"));
    let here = Identity::load(&RealDisk, &Layout::new(&path)).map_err(Failure::from)?;
    match here {
        Some(identity) if identity.id.to_string() == told("id") => Ok(path),
        _ => Err(Error::NoArchive(path).into()),
    }
}
