//! One archive engine.

use std::process::ExitCode;

fn main() -> ExitCode {
    archengine::main()
}
