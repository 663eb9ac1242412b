//! The engine program: arguments, wiring of engine with HTTP server, signals.
//!
//! It holds no logic of archiving; [`Running`] is a whole engine that other programs may start as well.

mod arguments;
mod check;
mod program;
mod running;
mod seam;

pub use program::main;
pub use running::{Running, StartError};
