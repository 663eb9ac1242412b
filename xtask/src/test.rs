//! Every test there is.

use crate::epics;
use crate::run::{self, Error, cargo};

/// Runs the tests that need nothing, then those that need a C IOC; both even when the first fail.
pub(crate) fn run() -> Result<(), Error> {
    let epics = epics::install()?;
    let plain = run::run(cargo(&epics).args(["test", "--workspace", "--no-fail-fast"]), "");
    let with_ioc =
        run::run(cargo(&epics).args(["test", "--workspace", "--no-fail-fast", "--", "--ignored"]), "");
    plain.and(with_ioc)
}
