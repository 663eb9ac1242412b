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
    /// The present leaf, the row to hand out next, the row behind the last one wanted.
    leaf: Option<(Leaf, usize, usize)>,
    from: Key,
    to: Key,
    least_last: i64,
    /// The first key of the newest leaf: keys never go back.
    newest: Option<Key>,
    /// Pages that may still be visited: in a sound tree none is visited twice.
    pages_left: u64,
}

impl<'a> Cursor<'a> {
    /// Rows from `from` to `to`.
    pub(crate) fn new(
        tree: &'a Tree,
        from: Key,
        to: Key,
        least_last: i64,
    ) -> Result<Cursor<'a>, FormatError> {
        let root = tree.root_node()?;
        let stack = root.map(|root| {
            let row = node::start_row(&root, from);
            (root, row)
        });
        let stack = stack.into_iter().collect();
        let pages_left = tree.pages.pages();
        Ok(Cursor { tree, stack, leaf: None, from, to, least_last, newest: None, pages_left })
    }

    /// Rows `from..to` of one leaf.
    pub(crate) fn within(tree: &'a Tree, leaf: Leaf, from: usize, to: usize) -> Cursor<'a> {
        let (least, most) = (Key(0, 0, i64::MIN), Key::MAX);
        Cursor {
            tree,
            stack: Vec::new(),
            leaf: Some((leaf, from, to)),
            from: least,
            to: most,
            least_last: i64::MIN,
            newest: None,
            pages_left: 0,
        }
    }

    /// No rows.
    pub(crate) fn empty(tree: &'a Tree) -> Cursor<'a> {
        Cursor {
            tree,
            stack: Vec::new(),
            leaf: None,
            from: Key::MAX,
            to: Key::MAX,
            least_last: i64::MIN,
            newest: None,
            pages_left: 0,
        }
    }

    /// The pages it walks.
    pub(crate) fn pages(&self) -> &'a PageFile {
        &self.tree.pages
    }

    /// The next row.
    pub(crate) fn next(&mut self) -> Result<Option<(&Leaf, usize)>, FormatError> {
        while self.leaf.as_ref().is_none_or(|(_, row, end)| row >= end) {
            if !self.next_leaf()? {
                return Ok(None);
            }
        }
        Ok(self.leaf.as_mut().map(|(leaf, row, _)| {
            *row += 1;
            (&*leaf, *row - 1)
        }))
    }

    /// Whether there is another leaf.
    fn next_leaf(&mut self) -> Result<bool, FormatError> {
        self.leaf = None;
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
        Ok(false)
    }
}
