//! The project's chores: `cargo xtask CHORE`.

mod clients;
mod demo;
mod epics;
mod run;
mod soak;
mod test;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's chores")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Install libca and a C IOC into .epics of this checkout (Python packages; quick when present)
    Epics,
    /// Build the release programs and run `archtool demo` with a real IOC
    Demo(demo::Arguments),
    /// Run every test, those that need a C IOC included
    Test,
    /// Measure the long bars with release programs and real C IOCs
    Soak(soak::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().chore {
        Chore::Epics => epics::install().map(|_| ()),
        Chore::Demo(arguments) => demo::run(&arguments),
        Chore::Test => test::run(),
        Chore::Soak(arguments) => soak::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
