//! Log lines of the programs: one a fact, on stderr, as text or JSON, repeats folded.
//!
//! It knows no samples and no archive; the rooms below log through `tracing` and never see this crate.

mod fold;
mod layer;
mod line;
mod options;

pub use options::{LogFormat, LogOptions};
