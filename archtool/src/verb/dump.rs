//! `dump`: what is inside one file of an archive.

use crate::command_line::Outcome;
use crate::failure::Failure;
use crate::print::{JsonOption, cell, stdout};
use crate::table::harmless;
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;

/// Print what is inside a WAL segment, SSTable, index, MANIFEST or ARCHIVE file, a line for each thing
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The file
    file: PathBuf,
    #[command(flatten)]
    json: JsonOption,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let mut output = stdout();
    let damage = crate::inspect::dump(&arguments.file, &mut |thing| {
        let line = if arguments.json.json { format!("{thing}\n") } else { text(&thing) };
        output.write_all(line.as_bytes()).map_err(Failure::io("write the output"))
    })?;
    output.flush().map_err(Failure::io("write the output"))?;
    Ok(if damage { Outcome::Damage } else { Outcome::Done })
}

/// `kind key=value ..`
fn text(thing: &Value) -> String {
    let mut line = cell(&thing["kind"]);
    for (key, value) in thing.as_object().into_iter().flatten().filter(|(key, _)| *key != "kind") {
        line += &format!(" {key}={}", harmless(&cell(value)));
    }
    line + "\n"
}
