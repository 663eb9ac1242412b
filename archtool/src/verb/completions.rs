//! `completions`: what a shell needs to complete this program's arguments.

use crate::command_line::Outcome;
use crate::failure::Failure;
use clap_complete::Shell;

/// Print the completion script of a shell
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments, command: &mut clap::Command) -> Result<Outcome, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, command, "archtool", &mut script);
    crate::print::text(&String::from_utf8_lossy(&script))?;
    Ok(Outcome::Done)
}
