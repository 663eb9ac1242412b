//! Many facts in, few intervals out: pure folds over a channel's timeline.
//!
//! No I/O, no clock, no bytes: what goes in decides what comes out.

pub mod coverage;
