//! What a scan is asked for.

use super::Position;
use sample::TimeRange;

/// Which end of the range comes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Oldest first.
    Ascending,
    /// Newest first.
    Descending,
}

/// What to scan.
#[derive(Clone, Copy, Debug)]
pub struct Scan {
    /// Times.
    pub range: TimeRange,
    /// Direction.
    pub order: Order,
    /// Only samples strictly behind this position, in the direction of the scan.
    pub beyond: Option<Position>,
    /// Read on around damage instead of ending with an error.
    pub skip_damaged: bool,
}

impl Scan {
    /// All of `range`, oldest first, ending at damage.
    pub fn ascending(range: TimeRange) -> Scan {
        Scan { range, order: Order::Ascending, beyond: None, skip_damaged: false }
    }
}
