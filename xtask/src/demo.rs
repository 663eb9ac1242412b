//! A complete archiver on this machine, from nothing.

use crate::epics;
use crate::run::{self, Error, cargo, root};
use std::ffi::OsString;
use std::process::Command;

/// Everything goes to `archtool demo`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Arguments of `archtool demo`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<OsString>,
}

/// Installs, builds, runs `archtool demo`.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Error> {
    let epics = epics::install()?;
    run::run(cargo(&epics).args(["build", "--release", "--package", "archtool"]), "")?;
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let mut demo = Command::new(root().join(target).join("release/archtool"));
    epics.tell(&mut demo);
    run::run(demo.arg("demo").args(&arguments.rest), "")
}
