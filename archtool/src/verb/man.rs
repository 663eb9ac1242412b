//! `man`: the manual page.

use crate::command_line::Outcome;
use crate::failure::Failure;

/// Print the manual page, or that of one verb (archtool man get | man -l -)
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The verb
    verb: Option<String>,
}

pub(crate) fn run(arguments: &Arguments, command: &clap::Command) -> Result<Outcome, Failure> {
    let mut command = command.clone();
    command.build();
    let page = match &arguments.verb {
        None => command,
        Some(verb) => {
            let found = command.find_subcommand(verb).cloned();
            let found = found.ok_or_else(|| Failure::Usage(format!("there is no verb {verb}")))?;
            found.display_name(format!("archtool-{verb}"))
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text).map_err(Failure::io("make the manual page"))?;
    crate::print::text(&String::from_utf8_lossy(&text))?;
    Ok(Outcome::Done)
}
