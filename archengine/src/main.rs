//! One archive engine.

use std::process::ExitCode;

/// Ten thousand channels' chunks lie on fewer pages than with the system's allocator (docs/decisions).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    archengine::main()
}
