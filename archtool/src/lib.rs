//! The operator's hand tool: one verb a question, asked of an archive directory or of a server.
//!
//! It has no logic of its own. A verb turns arguments into a request of the HTTP interface, which a server
//! answers or, for a directory, this process; then it prints the answer. [`generate`] makes the synthetic
//! data sets that figures are measured on.

mod answer;
mod channels;
mod command_line;
mod demo;
mod export;
mod failure;
pub mod generate;
mod inspect;
mod place;
mod print;
mod range;
mod stock;
mod table;
mod time;
mod upkeep;
mod verb;

pub use command_line::run;
