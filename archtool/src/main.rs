//! The operator's hand tool.

use std::process::ExitCode;

fn main() -> ExitCode {
    archtool::run()
}
