//! Many archives behind one address.

use std::process::ExitCode;

/// An answer takes and gives back room all the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    retrieval_server::main()
}
