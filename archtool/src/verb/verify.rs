//! `verify`: every checksum of an archive.

use crate::command_line::Outcome;
use crate::failure::Failure;
use crate::inspect::{Verified, verify};
use crate::place::directory;
use crate::print::{JsonOption, Rows, json, warn};
use indicatif::ProgressBar;
use serde_json::json;

/// Check every checksum of an archive directory; exit code 3 if there is damage
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Archive directory; an engine may run on it
    #[arg(value_name = "DIR")]
    directory: String,
    /// Also compare index files with tables, and index, headers and statistics with the samples
    #[arg(long)]
    deep: bool,
    #[command(flatten)]
    json: JsonOption,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let directory = directory(&arguments.directory)?;
    // On a terminal only: elsewhere it draws nothing.
    let bar = ProgressBar::no_length();
    let verified = verify(&directory, arguments.deep, &mut |done, of| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    print(&verified, arguments.json)?;
    Ok(if verified.findings.is_empty() { Outcome::Done } else { Outcome::Damage })
}

fn print(verified: &Verified, option: JsonOption) -> Result<(), Failure> {
    let Verified { files, entries, samples, index_rows, wal_records, torn_bytes, strays, findings } =
        verified;
    if option.json {
        let findings: Vec<_> =
            findings.iter().map(|f| json!({"file": f.file, "offset": f.offset, "message": f.what})).collect();
        return json(&json!({
            "files": files, "entries": entries, "samples": samples, "index_rows": index_rows,
            "wal_records": wal_records, "torn_bytes": torn_bytes, "strays": strays, "damage": findings,
        }));
    }
    for stray in strays {
        warn(&format!("{stray}: no manifest names it; an engine removes it when it opens the archive"));
    }
    for finding in findings {
        warn(&format!("{}: damaged at byte {}: {}", finding.file, finding.offset, finding.what));
    }
    let heads = [">files", ">entries", ">samples", ">index_rows", ">wal_records", ">torn_bytes", ">damaged"];
    let mut rows = Rows::new(&heads)?;
    let damaged = findings.len() as u64;
    let counts = [*files, *entries, *samples, *index_rows, *wal_records, *torn_bytes, damaged];
    rows.row(counts.map(|n| n.to_string()).to_vec())?;
    rows.finish()
}
