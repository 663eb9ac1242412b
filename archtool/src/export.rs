//! Samples into a file that is there whole or not at all, and that an interruption only delays.
//!
//! A [`Question`] becomes a [`Plan`], samples become *stretches*, each durable before the next begins (the
//! directory [`Part`]), and the stretches become the file. An export goes on behind its last stretch.

mod batches;
mod channel;
mod elements;
mod gather;
mod mat;
mod names;
mod nexus;
mod part;
mod pb;
mod plan;
mod rows;
mod survey;
#[cfg(test)]
mod tests;
mod tree;
mod whole;

pub(crate) use self::gather::gather;
pub(crate) use self::part::{Part, directory_of, discard, parent};
pub(crate) use self::plan::{Format, Plan, Question};
pub(crate) use self::whole::join;
