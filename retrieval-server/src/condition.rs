//! Conditions on values over time: when did they hold?

mod compare;
mod parse;
mod tree;
mod wave;

pub(crate) use parse::parse;
pub(crate) use wave::{Wave, intervals};
