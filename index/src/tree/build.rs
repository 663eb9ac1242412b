//! Writing a tree in one pass over its sorted rows.

use super::TreeRoot;
use crate::format::{LEVELS_MAX, NODE_ROWS_MAX, PageKind};
use crate::hash_table::{ChannelHashes, Place, Take, channel_hash, is_hashed};
use crate::leaf::build::{LeafBuilder, Row};
use crate::leaf::{self, Key, Leaf};
use crate::node::{self, NodeRow};
use crate::page::Page;
use crate::slab::SharedPage;
use crate::writer::PageWriter;
use disk::FormatError;
use std::ops::Range;

/// A tree that is being written. Its memory is one leaf with one node a level.
#[derive(Debug)]
pub(crate) struct TreeBuilder {
    leaf: LeafBuilder,
    /// Room for the page of a leaf.
    page: Box<Page>,
    levels: Vec<NodeBuilder>,
    /// The key of the last row written.
    newest: Option<Key>,
    rows: u64,
    channels: u64,
    pub(crate) hashes: ChannelHashes,
}

/// A node that is being filled.
#[derive(Debug)]
struct NodeBuilder {
    page: Box<Page>,
    rows: usize,
    first: Key,
    last: i64,
}

impl TreeBuilder {
    /// Without rows.
    pub(crate) fn new(hashes: ChannelHashes) -> TreeBuilder {
        TreeBuilder {
            leaf: LeafBuilder::new(),
            page: Box::new(Page::zeros()),
            levels: Vec::new(),
            newest: None,
            rows: 0,
            channels: 0,
            hashes,
        }
    }

    /// Channels so far, each once per rate; complete once it is finished.
    pub(crate) fn channels(&self) -> u64 {
        self.channels
    }

    /// Rows so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Begins the next row, or begins it anew.
    #[inline]
    pub(crate) fn next_row(&mut self) -> Row<'_> {
        self.leaf.next_row()
    }

    /// Adds the row that [`TreeBuilder::next_row`] began, whose key is not less than the one before.
    pub(crate) fn add(&mut self, out: &mut PageWriter) -> Result<(), FormatError> {
        self.rows += 1;
        match self.leaf.push() {
            Some(rows) => self.write_full_leaf(out, rows),
            None => Ok(()),
        }
    }

    /// Writes the leaf of the first rows, or of so many less that the last channel begins the next one.
    fn write_full_leaf(&mut self, out: &mut PageWriter, rows: usize) -> Result<(), FormatError> {
        let continues = rows < self.leaf.rows() && self.leaf.key(rows - 1).same_channel(self.leaf.key(rows));
        let cut = if continues { self.leaf.cut_before_last_channel(rows) } else { rows };
        self.write_leaf(out, cut, continues && cut == rows)
    }

    fn write_leaf(&mut self, out: &mut PageWriter, rows: usize, continued: bool) -> Result<(), FormatError> {
        let page = out.next_page();
        let full = self.leaf.encode(rows, continued, &mut self.page);
        for row in 0..rows {
            let key = self.leaf.key(row);
            if self.newest.is_none_or(|newest| !newest.same_channel(key)) {
                self.channels += 1;
                self.hashes.add(key, Place { page, at: leaf::place_of(&self.page, row) });
            }
            self.newest = Some(key);
        }
        self.leaf.remove(rows);
        out.write(&mut self.page, PageKind::Leaf, 0, rows as u16)?;
        self.add_node_row(out, 0, NodeRow { key: full.key, last: full.last, child: page })
    }

    /// Adds a row to the node on `level + 1`.
    fn add_node_row(&mut self, out: &mut PageWriter, level: usize, row: NodeRow) -> Result<(), FormatError> {
        if level >= usize::from(LEVELS_MAX) {
            let what = "levels of an index tree";
            return Err(FormatError::Limit { what, max: u64::from(LEVELS_MAX), found: level as u64 + 1 });
        }
        if self.levels.len() == level {
            self.levels.push(NodeBuilder::new());
        }
        if self.levels[level].rows == NODE_ROWS_MAX {
            self.write_node(out, level)?;
        }
        let node = &mut self.levels[level];
        if node.rows == 0 {
            node.first = row.key;
        }
        node::put_row(&mut node.page, node.rows, &row);
        node.rows += 1;
        node.last = node.last.max(row.last);
        Ok(())
    }

    /// Writes the node on `level + 1` and names it one level up.
    fn write_node(&mut self, out: &mut PageWriter, level: usize) -> Result<(), FormatError> {
        let mut node = std::mem::replace(&mut self.levels[level], NodeBuilder::new());
        let child = out.write(&mut node.page, PageKind::Node, level as u8 + 1, node.rows as u16)?;
        self.add_node_row(out, level + 1, NodeRow { key: node.first, last: node.last, child })
    }

    /// Writes what is left.
    pub(crate) fn finish(&mut self, out: &mut PageWriter) -> Result<TreeRoot, FormatError> {
        while self.leaf.rows() > 0 {
            self.write_full_leaf(out, self.leaf.rows_with_room())?;
        }
        let mut level = 0;
        while level + 1 < self.levels.len() {
            self.write_node(out, level)?;
            level += 1;
        }
        let Some(node) = self.levels.last_mut() else { return Ok(TreeRoot::default()) };
        let levels = level as u8 + 1;
        let page = out.write(&mut node.page, PageKind::Node, levels, node.rows as u16)?;
        Ok(TreeRoot { page, levels })
    }
}

impl NodeBuilder {
    fn new() -> NodeBuilder {
        NodeBuilder { page: Box::new(Page::zeros()), rows: 0, first: Key::MAX, last: i64::MIN }
    }
}

/// Shows the hash of every channel of the leaves among written pages, with its first row.
pub(crate) fn each_channel(
    out: &mut PageWriter,
    pages: Range<u64>,
    take: &mut Take<'_>,
) -> Result<(), FormatError> {
    let mut newest: Option<Key> = None;
    for page in pages {
        let content = out.read_back(page)?;
        if !content.is(PageKind::Leaf) {
            continue;
        }
        let leaf = Leaf::new(SharedPage::single(content));
        for row in 0..leaf.rows() {
            let key = leaf.key(row);
            if is_hashed(key.0) && newest.is_none_or(|newest| !newest.same_channel(key)) {
                take(channel_hash(key.0, key.1), Place { page, at: leaf.place_of(row) });
            }
            newest = Some(key);
        }
    }
    Ok(())
}
