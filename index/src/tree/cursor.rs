//! Walking the rows of a tree in the order of their keys.

use super::Tree;
use crate::leaf::{Key, Leaf};
use crate::node::{self, NodeRow};
use crate::page::PageFile;
use crate::slab::SharedPage;
use disk::FormatError;

/// Rows from a key to another, both included. Pages whose greatest last time is too small are passed over;
/// rows of the other pages come whatever their last time is.
///
/// Most look-ups end in the leaf where they begin, so the way through the nodes is kept apart.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    tree: &'a Tree,
    /// The present leaf, the row behind the present one, the row behind the last one wanted.
    leaf: Option<(Leaf, usize, usize)>,
    walk: Option<Box<Walk>>,
    /// A leaf behind which the walk goes on: nobody has come to it through the nodes yet.
    behind: Option<u64>,
}

/// The way through the nodes.
#[derive(Debug)]
struct Walk {
    /// Nodes from the root down, each with the row to look at next.
    stack: Vec<(SharedPage, usize)>,
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
        let walk = Some(Walk::new(tree, from, to, least_last)?);
        Ok(Cursor { walk, ..Cursor::empty(tree) })
    }

    /// Rows `from..to` of one leaf.
    pub(crate) fn within(tree: &'a Tree, leaf: Leaf, from: usize, to: usize) -> Cursor<'a> {
        Cursor { leaf: Some((leaf, from, to)), ..Cursor::empty(tree) }
    }

    /// All rows from row `row` of a leaf on; its nodes are read when the leaf is over.
    pub(crate) fn beginning(tree: &'a Tree, leaf: Leaf, row: usize) -> Cursor<'a> {
        let (behind, end) = (Some(leaf.number()), leaf.rows());
        Cursor { leaf: Some((leaf, row, end)), behind, ..Cursor::empty(tree) }
    }

    /// No rows.
    pub(crate) fn empty(tree: &'a Tree) -> Cursor<'a> {
        Cursor { tree, leaf: None, walk: None, behind: None }
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

    /// Whether there is another leaf.
    fn next_leaf(&mut self) -> Result<bool, FormatError> {
        let before = self.leaf.take();
        if let Some((leaf, ..)) = before
            && self.behind.is_some()
            && self.walk.is_none()
        {
            let from = leaf.key(leaf.rows() - 1);
            self.walk = Some(Walk::new(self.tree, from, Key::MAX, i64::MIN)?);
        }
        let Some(walk) = &mut self.walk else { return Ok(false) };
        while let Some(row) = walk.next_leaf(self.tree)? {
            if let Some(behind) = self.behind {
                self.behind = (behind != row.child).then_some(behind);
                continue;
            }
            let leaf = self.tree.leaf_of(&row)?;
            let (from, to) = walk.rows_of(&leaf);
            self.leaf = Some((leaf, from, to));
            return Ok(true);
        }
        match self.behind.take() {
            Some(behind) => Err(self.tree.misnamed(behind)),
            None => Ok(false),
        }
    }
}

impl Walk {
    fn new(tree: &Tree, from: Key, to: Key, least_last: i64) -> Result<Box<Walk>, FormatError> {
        let root = tree.root_node()?;
        let stack = root.into_iter().map(|root| {
            let row = node::start_row(&root, from);
            (root, row)
        });
        let (stack, pages_left) = (stack.collect(), tree.pages.pages());
        Ok(Box::new(Walk { stack, from, to, least_last, newest: None, pages_left }))
    }

    /// The next leaf that may hold rows.
    fn next_leaf(&mut self, tree: &Tree) -> Result<Option<NodeRow>, FormatError> {
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
            self.pages_left = self.pages_left.checked_sub(1).ok_or_else(|| tree.misnamed(row.child))?;
            let level = page.level();
            if level > 1 {
                let child = tree.node_of(&row, level)?;
                let start = node::start_row(&child, self.from);
                self.stack.push((child, start));
                continue;
            }
            if self.newest.is_some_and(|newest| newest > row.key) {
                return Err(tree.misnamed(row.child));
            }
            self.newest = Some(row.key);
            return Ok(Some(row));
        }
        Ok(None)
    }

    /// The rows of a leaf that are wanted.
    fn rows_of(&self, leaf: &Leaf) -> (usize, usize) {
        let from = if leaf.key(0) < self.from { leaf.lower_bound(self.from) } else { 0 };
        let ends_inside = leaf.key(leaf.rows() - 1) > self.to;
        let to = match self.to.2.checked_add(1) {
            Some(third) if ends_inside => leaf.lower_bound(Key(self.to.0, self.to.1, third)),
            _ if ends_inside => (from..leaf.rows()).find(|row| leaf.key(*row) > self.to).unwrap_or(from),
            _ => leaf.rows(),
        };
        (from, to)
    }
}
