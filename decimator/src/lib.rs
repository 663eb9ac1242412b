//! Many facts in, few numbers out: pure folds over a channel's samples and events.
//!
//! No I/O, no clock, no bytes: what goes in decides what comes out.

pub mod bins;
pub mod coverage;
pub mod fold;
pub mod grid;
pub mod holds;
mod leaf;
pub mod node;
pub mod states;
pub mod tree;
