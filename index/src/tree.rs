//! The tree over sorted rows: finding them by key or by the times they cover.

pub(crate) mod build;
mod cursor;

use crate::format::{LEVELS_MAX, PageKind};
use crate::hash_table::Place;
use crate::leaf::{self, Key, Leaf};
use crate::node;
use crate::page::{Page, PageFile};
use crate::slab::SharedPage;
use disk::FormatError;
use std::ops::Range;

pub(crate) use cursor::Cursor;

/// Where a tree lies in its file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct TreeRoot {
    /// The topmost node; 0 without rows.
    pub(crate) page: u64,
    /// Its level; leaves have 0.
    pub(crate) levels: u8,
}

/// A tree in an open file.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) pages: PageFile,
    pub(crate) root: TreeRoot,
}

impl Tree {
    pub(crate) fn new(pages: PageFile, root: TreeRoot) -> Tree {
        Tree { pages, root }
    }

    /// A leaf.
    #[inline]
    pub(crate) fn leaf(&self, number: u64) -> Result<Leaf, FormatError> {
        Ok(Leaf::new(self.pages.get(number, PageKind::Leaf)?))
    }

    /// The leaf in which a row begins at a place, with the number of the row, if one does.
    #[inline]
    pub(crate) fn row_at(&self, place: Place) -> Result<Option<(Leaf, usize)>, FormatError> {
        let page =
            self.pages.get_expecting(place.page, PageKind::Leaf, |page| leaf::expect(page, place.at))?;
        let leaf = Leaf::new(page);
        Ok(leaf.row_at(place.at).map(|row| (leaf, row)))
    }

    /// The leaf that a row of a node names.
    fn leaf_of(&self, row: &node::NodeRow) -> Result<Leaf, FormatError> {
        let leaf = self.leaf(row.child)?;
        if leaf.key(0) == row.key { Ok(leaf) } else { Err(self.misnamed(row.child)) }
    }

    /// The topmost node; `None` without rows.
    fn root_node(&self) -> Result<Option<SharedPage>, FormatError> {
        if self.root.page == 0 {
            return Ok(None);
        }
        let page = self.pages.get(self.root.page, PageKind::Node)?;
        if page.level() == self.root.levels && self.root.levels <= LEVELS_MAX {
            Ok(Some(page))
        } else {
            Err(self.misnamed(self.root.page))
        }
    }

    /// The node that a row of a node on `level` names.
    fn node_of(&self, row: &node::NodeRow, level: u8) -> Result<SharedPage, FormatError> {
        let page = self.pages.get(row.child, PageKind::Node)?;
        if page.level().checked_add(1) == Some(level) && node::row(&page, 0).key == row.key {
            Ok(page)
        } else {
            Err(self.misnamed(row.child))
        }
    }

    fn misnamed(&self, number: u64) -> FormatError {
        self.pages.damaged(number, "a page of the tree is not the one that its parent names")
    }

    /// Shows the rows between two keys, both included, from the last to the first; leaves and nodes of which
    /// `skip` says so, given the greatest last time below them, are passed over.
    pub(crate) fn visit_back(
        &self,
        low: Key,
        high: Key,
        visitor: &mut impl BackVisitor,
    ) -> Result<(), FormatError> {
        match self.root_node()? {
            Some(root) => self.visit_node(&root, (low, high), visitor, &mut self.pages.pages()),
            None => Ok(()),
        }
    }

    fn visit_node(
        &self,
        page: &Page,
        (low, high): (Key, Key),
        visitor: &mut impl BackVisitor,
        pages_left: &mut u64,
    ) -> Result<(), FormatError> {
        let end = match high.2.checked_add(1) {
            Some(third) => node::start_row(page, Key(high.0, high.1, third)) + 1,
            None => page.count(),
        };
        for at in (node::start_row(page, low)..end.min(page.count())).rev() {
            let row = node::row(page, at);
            if row.key > high || visitor.skips(row.last) {
                continue;
            }
            // In a sound tree no page is visited twice.
            *pages_left = pages_left.checked_sub(1).ok_or_else(|| self.misnamed(row.child))?;
            if page.level() > 1 {
                let child = self.node_of(&row, page.level())?;
                self.visit_node(&child, (low, high), visitor, pages_left)?;
                continue;
            }
            let leaf = self.leaf_of(&row)?;
            let end = match high.2.checked_add(1) {
                Some(third) => leaf.lower_bound(Key(high.0, high.1, third)),
                None => (0..leaf.rows()).find(|row| leaf.key(*row) > high).unwrap_or(leaf.rows()),
            };
            visitor.rows(&leaf, leaf.lower_bound(low)..end)?;
        }
        Ok(())
    }
}

/// Who looks at rows from the last to the first.
pub(crate) trait BackVisitor {
    /// Whether nothing below a page with this greatest last time matters.
    fn skips(&self, last: i64) -> bool;
    /// Looks at the rows of a leaf, from the last to the first.
    fn rows(&mut self, leaf: &Leaf, rows: Range<usize>) -> Result<(), FormatError>;
}
