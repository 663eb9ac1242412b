//! The log against a disk that fails, fills up, crashes, rots.

mod crash;
mod damage;
mod entries;
mod faults;
mod model;
#[cfg(feature = "planted-bugs")]
mod planted_bugs;

use super::*;
