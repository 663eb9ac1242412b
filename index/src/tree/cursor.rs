//! Walking the rows of a tree in the order of their keys.

use super::Tree;
use crate::leaf::{Key, Leaf};
use crate::node;
use crate::page::{Page, PageFile};
use disk::FormatError;
use std::sync::Arc;

/// Rows from a key to another, both included. Pages whose greatest last time is too small are passed over;
/// rows of the other pages come whatever their last time is.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    tree: &'a Tree,
    /// Nodes from the root down, each with the row to look at next.
    stack: Vec<(Arc<Page>, usize)>,
    /// The present leaf, the row behind the present one, the row behind the last one wanted.
    leaf: Option<(Leaf, usize, usize)>,
    from: Key,
    to: Key,
    least_last: i64,
    /// The first key of the newest leaf: keys never go back.
    newest: Option<Key>,
    /// Pages that may still be visited: in a sound tree none is visited twice.
    pages_left: u64,
    /// A leaf behind which the walk goes on: nobody has come to it through the nodes yet.
    behind: Option<u64>,
}

impl<'a> Cursor<'a> {
    /// Rows from `from` to `to`.
    pub(crate) fn new(
        tree: &'a Tree,
        from: Key,
        to: Key,
        least_last: i64,
    ) -> Result<Cursor<'a>, FormatError> {
        let mut cursor = Cursor { from, to, least_last, ..Cursor::empty(tree) };
        cursor.descend()?;
        Ok(cursor)
    }

    /// Rows `from..to` of one leaf.
    pub(crate) fn within(tree: &'a Tree, leaf: Leaf, from: usize, to: usize) -> Cursor<'a> {
        Cursor { leaf: Some((leaf, from, to)), ..Cursor::empty(tree) }
    }

    /// All rows from row `row` of a leaf on; its nodes are read when the leaf is over.
    pub(crate) fn beginning(tree: &'a Tree, leaf: Leaf, row: usize) -> Cursor<'a> {
        let (from, end) = (leaf.key(leaf.rows() - 1), leaf.rows());
        let behind = Some(leaf.number());
        Cursor { leaf: Some((leaf, row, end)), from, behind, ..Cursor::empty(tree) }
    }

    /// No rows.
    pub(crate) fn empty(tree: &'a Tree) -> Cursor<'a> {
        Cursor {
            tree,
            stack: Vec::new(),
            leaf: None,
            from: Key(0, 0, i64::MIN),
            to: Key::MAX,
            least_last: i64::MIN,
            newest: None,
            pages_left: tree.pages.pages(),
            behind: None,
        }
    }

    /// The pages it walks.
    pub(crate) fn pages(&self) -> &'a PageFile {
        &self.tree.pages
    }

    /// Goes to the next row; says whether there is one.
    #[inline]
    pub(crate) fn step(&mut self) -> Result<bool, FormatError> {
        loop {
            if let Some((_, row, end)) = &mut self.leaf
                && *row < *end
            {
                *row += 1;
                return Ok(true);
            }
            if !self.next_leaf()? {
                return Ok(false);
            }
        }
    }

    /// The row that [`Cursor::step`] went to, with its leaf.
    #[inline]
    pub(crate) fn row(&self) -> Option<(&Leaf, usize)> {
        self.leaf.as_ref().map(|(leaf, row, _)| (leaf, row.saturating_sub(1)))
    }

    /// The next row, with its leaf; the walk is over.
    pub(crate) fn into_row(mut self) -> Result<Option<(Leaf, usize)>, FormatError> {
        let found = self.step()?;
        Ok(self.leaf.filter(|_| found).map(|(leaf, row, _)| (leaf, row - 1)))
    }

    fn descend(&mut self) -> Result<(), FormatError> {
        let root = self.tree.root_node()?;
        self.stack.extend(root.map(|root| {
            let row = node::start_row(&root, self.from);
            (root, row)
        }));
        Ok(())
    }

    /// Whether there is another leaf.
    fn next_leaf(&mut self) -> Result<bool, FormatError> {
        let before = self.leaf.take();
        if self.behind.is_some() && self.stack.is_empty() && before.is_some() {
            self.descend()?;
        }
        while let Some((page, at)) = self.stack.last_mut() {
            if *at >= page.count() {
                self.stack.pop();
                continue;
            }
            let row = node::row(page, *at);
            *at += 1;
            if row.key > self.to {
                self.stack.clear();
                break;
            }
            if row.last < self.least_last {
                continue;
            }
            self.pages_left = self.pages_left.checked_sub(1).ok_or_else(|| self.tree.misnamed(row.child))?;
            let level = page.level();
            if level > 1 {
                let child = self.tree.node_of(&row, level)?;
                let start = node::start_row(&child, self.from);
                self.stack.push((child, start));
                continue;
            }
            if let Some(behind) = self.behind {
                self.behind = (behind != row.child).then_some(behind);
                continue;
            }
            let leaf = self.tree.leaf_of(&row)?;
            if self.newest.is_some_and(|newest| newest > row.key) {
                return Err(self.tree.misnamed(row.child));
            }
            self.newest = Some(row.key);
            let from = if row.key < self.from { leaf.lower_bound(self.from) } else { 0 };
            let ends_inside = leaf.key(leaf.rows() - 1) > self.to;
            let to = match self.to.2.checked_add(1) {
                Some(third) if ends_inside => leaf.lower_bound(Key(self.to.0, self.to.1, third)),
                _ if ends_inside => (from..leaf.rows()).find(|row| leaf.key(*row) > self.to).unwrap_or(from),
                _ => leaf.rows(),
            };
            self.leaf = Some((leaf, from, to));
            return Ok(true);
        }
        match self.behind.take() {
            Some(behind) => Err(self.tree.misnamed(behind)),
            None => Ok(false),
        }
    }
}
