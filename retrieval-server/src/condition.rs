//! Conditions on values over time: when did they hold?

mod compare;
mod parse;
mod search;
mod tree;
mod watch;
mod wave;

pub(crate) use parse::parse;
pub(crate) use search::Search;
