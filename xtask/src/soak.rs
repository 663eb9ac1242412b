//! The long runs against real IOCs.

use crate::epics::{self, Epics};
use crate::run::{self, Error, cargo, root};
use std::ffi::OsString;
use std::process::Command;

/// Everything goes to the program `soak`.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// Arguments of the program: names of runs, --short, --seconds N; --help lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<OsString>,
}

/// Installs, builds release programs, runs them.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Error> {
    build_and_run(&epics::install()?, &["--release"], "release", &arguments.rest)
}

/// Every run in the form of seconds: it judges what comes back, on a busy machine and in debug builds, too.
const SHORT: [&str; 1] = ["--short"];

/// The form of seconds with the programs that the tests were built with.
pub(crate) fn short(epics: &Epics) -> Result<(), Error> {
    build_and_run(epics, &[], "debug", &SHORT.map(OsString::from))
}

fn build_and_run(epics: &Epics, profile: &[&str], folder: &str, arguments: &[OsString]) -> Result<(), Error> {
    let packages = ["soak", "archengine", "archtool", "retrieval-server"];
    let mut build = cargo(epics);
    build.arg("build").args(profile).args(packages.map(|package| format!("--package={package}")));
    run::run(&mut build, "")?;
    let example = ["build", "--package", "epics-ca", "--example", "bare_monitor"];
    run::run(cargo(epics).args(example).args(profile), "")?;
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let mut soak = Command::new(root().join(target).join(folder).join("soak"));
    epics.tell(&mut soak);
    run::run(soak.args(arguments), "")
}
