//! Channels on one grid of times.

mod fill;
mod means;
mod pieces;
mod rows;
mod times;

pub(crate) use fill::{Cell, Filler, Rule};
pub(crate) use means::{Means, folding};
pub(crate) use pieces::{Pieces, Row};
pub(crate) use rows::{Cells, RowBlock, Rows};
pub(crate) use times::{Distinct, Times};
