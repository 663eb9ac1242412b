//! The tests of what asks a server from outside: Python, Octave, a browser.

use crate::epics::Epics;
use crate::run::{self, Error, root};
use std::path::PathBuf;
use std::process::Command;

/// Scripts that test against programs of a directory, each of which installs what it needs.
const SCRIPTS: [&str; 2] = ["clients/test", "retrieval-server/page/test"];

/// Runs them against debug programs, which must have been built; all even when the first fail.
pub(crate) fn test(epics: &Epics) -> Result<(), Error> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let mut outcome = Ok(());
    for script in SCRIPTS {
        let mut command = Command::new(root().join(script));
        epics.tell(&mut command);
        outcome = outcome.and(run::run(command.env("VARVE_PROGRAMS", target.join("debug")), ""));
    }
    outcome
}
