//! Pages of the tree above its leaves.

use crate::format::{NODE_ROW_BYTES, NODE_ROWS_MAX, PAGE_HEADER_BYTES};
use crate::leaf::Key;
use crate::page::Page;

/// One page of the level below.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NodeRow {
    /// Its first key.
    pub(crate) key: Key,
    /// The greatest last time below it.
    pub(crate) last: i64,
    /// Its number.
    pub(crate) child: u64,
}

/// Row `at` of a node; there is one.
pub(crate) fn row(page: &Page, at: usize) -> NodeRow {
    let at = PAGE_HEADER_BYTES + at * NODE_ROW_BYTES;
    NodeRow { key: key_at(page, at), last: page.u64(at + 24) as i64, child: page.u64(at + 32) }
}

fn key_at(page: &Page, at: usize) -> Key {
    Key(page.u64(at), page.u64(at + 8), page.u64(at + 16) as i64)
}

/// Writes row `at`.
pub(crate) fn put_row(page: &mut Page, at: usize, row: &NodeRow) {
    let at = PAGE_HEADER_BYTES + at * NODE_ROW_BYTES;
    let numbers = [row.key.0, row.key.1, row.key.2 as u64, row.last as u64, row.child];
    numbers.iter().enumerate().for_each(|(i, number)| page.put(at + 8 * i, &number.to_le_bytes()));
}

/// The row from which a search for the first key at or behind `key` begins: the last one whose key is less.
pub(crate) fn start_row(page: &Page, key: Key) -> usize {
    let (mut low, mut high) = (0, page.count());
    while low < high {
        let middle = low.midpoint(high);
        if key_at(page, PAGE_HEADER_BYTES + middle * NODE_ROW_BYTES) < key {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low.saturating_sub(1)
}

/// Whether rows can be read.
pub(crate) fn check(page: &Page) -> Result<(), &'static str> {
    if page.count() == 0 || page.count() > NODE_ROWS_MAX {
        return Err("a node has no rows or more than fit");
    }
    if page.level() == 0 {
        return Err("a node on the level of the leaves");
    }
    Ok(())
}
