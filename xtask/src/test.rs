//! Every test there is.

use crate::clients;
use crate::epics;
use crate::run::{self, Error, cargo};
use crate::soak;
use std::process::Command;

/// Runs the tests that need nothing, those that need a C IOC, the short form of the long runs, the clients and
/// the page; all even when the first fail.
pub(crate) fn run() -> Result<(), Error> {
    let epics = epics::install()?;
    let plain = run::run(cargo(&epics).args(["test", "--workspace", "--no-fail-fast"]), "");
    // The whole standard mix and ten thousand searches of files take an optimised build:
    // `cargo test --release -- --ignored mix stored`.
    let mix = ["--skip", "the_standard_mix_comes_back", "--skip", "the_whole_mix_is_that"];
    // Writes files of the repository.
    let streams = ["--skip", "streams_for_clients_are_written"];
    let searches = ["--skip", "ten_thousand_conditions_hold_where_a_scan_of_stored_samples_says"];
    let octave: &[&str] = if run::run(Command::new("octave-cli").arg("--version"), "").is_ok() {
        &[]
    } else {
        println!("xtask: SKIPPED the tests of MAT-files: there is no octave-cli");
        &["--skip", "octave_"]
    };
    let ignored = ["test", "--workspace", "--no-fail-fast", "--", "--ignored"];
    let with_ioc =
        run::run(cargo(&epics).args(ignored).args(mix).args(searches).args(streams).args(octave), "");
    let soak = soak::short(&epics);
    // With the programs that the short runs were built with.
    let outside = clients::test(&epics);
    plain.and(with_ioc).and(soak).and(outside)
}
