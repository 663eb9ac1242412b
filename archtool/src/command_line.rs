//! What the command line may say, with the exit codes that answer it.

use crate::failure::{self, Failure};
use crate::verb::{
    at, compact, completions, coverage, demo, dump, events, export, follow, generate, get, list, man,
    reindex, seal, search, snapshot, stat, status, table, verify, why,
};
use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;

const ABOUT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 damage found, 4 answered, but something \
                           asked for is not there.\n\nDIR|URL is an archive directory or the address of an engine or \
                           server; VARVE_URL stands in for it. Channels are names, globs (* and ?), @FILE or @-. Facts \
                           are a table on a terminal, CSV in a pipe, JSON with --json.";

/// Asks an archive, looks into its files, tries Varve out
#[derive(Parser)]
#[command(name = "archtool", version, after_help = ABOUT_CODES)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    log: logging::LogOptions,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Demo(demo::Arguments),
    List(list::Arguments),
    Get(get::Arguments),
    Export(export::Arguments),
    At(at::Arguments),
    Table(table::Arguments),
    Search(search::Arguments),
    Follow(follow::Arguments),
    Events(events::Arguments),
    Coverage(coverage::Arguments),
    Why(why::Arguments),
    Status(status::Arguments),
    Stat(stat::Arguments),
    Verify(verify::Arguments),
    Reindex(reindex::Arguments),
    Snapshot(snapshot::Arguments),
    Dump(dump::Arguments),
    Seal(seal::Arguments),
    Compact(compact::Arguments),
    Generate(generate::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}

/// How a verb ended that did what it could.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// All of it.
    Done,
    /// It found damage.
    Damage,
    /// Something asked for is not there, or the archive is degraded.
    Missing,
}

/// Runs the program on the arguments of this process.
pub fn run() -> ExitCode {
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => {
            // A reader of --help may leave early.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { failure::USAGE } else { failure::DONE });
        }
    };
    line.log.start_quiet();
    let code = match line.verb.run() {
        Ok(Outcome::Done) => failure::DONE,
        Ok(Outcome::Damage) => failure::DAMAGE,
        Ok(Outcome::Missing) => failure::MISSING,
        Err(failure) => {
            if !matches!(failure, Failure::Gone) {
                crate::print::warn(&failure.to_string());
            }
            failure.exit_code()
        }
    };
    ExitCode::from(code)
}

impl Verb {
    fn run(self) -> Result<Outcome, Failure> {
        match self {
            Verb::Demo(arguments) => demo::run(&arguments),
            Verb::List(arguments) => list::run(arguments),
            Verb::Get(arguments) => get::run(arguments),
            Verb::Export(arguments) => export::run(arguments),
            Verb::At(arguments) => at::run(arguments),
            Verb::Table(arguments) => table::run(arguments),
            Verb::Search(arguments) => search::run(arguments),
            Verb::Follow(arguments) => follow::run(arguments),
            Verb::Events(arguments) => events::run(arguments),
            Verb::Coverage(arguments) => coverage::run(arguments),
            Verb::Why(arguments) => why::run(arguments),
            Verb::Status(arguments) => status::run(arguments),
            Verb::Stat(arguments) => stat::run(&arguments),
            Verb::Verify(arguments) => verify::run(&arguments),
            Verb::Reindex(arguments) => reindex::run(&arguments),
            Verb::Snapshot(arguments) => snapshot::run(arguments),
            Verb::Dump(arguments) => dump::run(&arguments),
            Verb::Seal(arguments) => seal::run(&arguments),
            Verb::Compact(arguments) => compact::run(&arguments),
            Verb::Generate(arguments) => generate::run(&arguments),
            Verb::Completions(arguments) => completions::run(&arguments, &mut CommandLine::command()),
            Verb::Man(arguments) => man::run(&arguments, &CommandLine::command()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }
}
