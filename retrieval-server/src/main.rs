//! Many archives behind one address.

use std::process::ExitCode;

fn main() -> ExitCode {
    retrieval_server::main()
}
