//! Reading a whole index file to find what is wrong with it.

use crate::footer::Footer;
use crate::format::PageKind;
use crate::hash_table::{is_hashed, slots_in_use};
use crate::leaf::{Key, Leaf};
use crate::node;
use crate::tree::{Cursor, Tree};
use disk::{FILE_HEADER_BYTES, FormatError};

/// What both kinds of files keep to; FORMAT.md numbers the rules.
///
/// Every page passes its checksum (V1), nodes say the greatest last time below them (V2), rows and channels are
/// as many as the footer says and in order (V3), the hash table has a slot for each channel (V4).
pub(crate) fn verify_tree(
    tree: &Tree,
    footer: &Footer,
    last: impl Fn(&Leaf, usize) -> i64,
) -> Result<(), FormatError> {
    let pages = &tree.pages;
    let first = pages.read_first()?;
    if first.bytes[FILE_HEADER_BYTES..].iter().any(|byte| *byte != 0) {
        return Err(pages.damaged(0, "the first page holds more than the file header"));
    }
    let (mut slots, mut name_slots, mut leaves) = (0, 0, 0);
    for number in 1..pages.pages() {
        let page = pages.read(number)?;
        let hash = footer.hash.begin..footer.hash.begin.saturating_add(footer.hash.pages);
        if page.is(PageKind::Hash) {
            let used = slots_in_use(&page) as u64;
            *if hash.contains(&number) { &mut slots } else { &mut name_slots } += used;
        } else if page.is(PageKind::Leaf) {
            leaves += 1;
        }
    }
    let (rows, channels, hashed, reached) = verify_rows(tree, footer, last)?;
    if slots != hashed || name_slots != footer.names {
        let what = "the hash tables have other numbers of slots than there are channels with names";
        return Err(pages.damaged(footer.hash.begin, what));
    }
    if (rows, channels, reached) != (footer.rows, footer.channels, leaves) {
        let what = "the tree holds other numbers of rows, channels or leaves than there are";
        return Err(pages.damaged(pages.pages(), what));
    }
    Ok(())
}

/// Rows, channels, channels with a hash, leaves of the tree.
fn verify_rows(
    tree: &Tree,
    footer: &Footer,
    last: impl Fn(&Leaf, usize) -> i64,
) -> Result<(u64, u64, u64, u64), FormatError> {
    let (mut rows, mut channels, mut hashed, mut leaves) = (0, 0, 0, 0);
    let mut newest: Option<(Key, u64)> = None;
    let mut greatest = i64::MIN;
    let mut cursor = Cursor::new(tree, Key(0, 0, i64::MIN), Key::MAX, i64::MIN)?;
    while cursor.step()? {
        let Some((leaf, row)) = cursor.row() else { break };
        let (key, page) = (leaf.key(row), leaf.number());
        if newest.is_some_and(|(before, _)| before > key) {
            return Err(tree.pages.damaged(page, "rows are out of the order of their keys"));
        }
        if newest.is_none_or(|(before, _)| !before.same_channel(key)) {
            channels += 1;
            hashed += u64::from(is_hashed(key.0));
            let found = crate::partition::first_row(tree, footer.hash, key.0, key.1)?;
            if found.is_none_or(|(found, at)| (found.number(), at) != (page, row)) {
                return Err(tree.pages.damaged(page, "a channel is not found under its hash"));
            }
        }
        if newest.is_none_or(|(_, before)| before != page) {
            leaves += 1;
        }
        newest = Some((key, page));
        greatest = greatest.max(last(leaf, row));
        rows += 1;
    }
    let root = footer.root;
    let mut left = tree.pages.pages();
    if root.page != 0 && verify_node(tree, root.page, root.levels, &last, &mut left)? != greatest {
        return Err(tree.pages.damaged(footer.root.page, "the root has not the greatest last time"));
    }
    Ok((rows, channels, hashed, leaves))
}

/// The greatest last time below a page, which its parent says, too.
fn verify_node(
    tree: &Tree,
    number: u64,
    level: u8,
    last: &impl Fn(&Leaf, usize) -> i64,
    pages_left: &mut u64,
) -> Result<i64, FormatError> {
    // In a sound tree no page is visited twice.
    let twice = || tree.pages.damaged(number, "a page of the tree is named twice");
    *pages_left = pages_left.checked_sub(1).ok_or_else(twice)?;
    if level == 0 {
        let leaf = tree.leaf(number)?;
        return Ok((0..leaf.rows()).map(|row| last(&leaf, row)).max().unwrap_or(i64::MIN));
    }
    let page = tree.pages.get(number, PageKind::Node)?;
    let mut greatest = i64::MIN;
    for at in 0..page.count() {
        let row = node::row(&page, at);
        if page.level() != level || row.last != verify_node(tree, row.child, level - 1, last, pages_left)? {
            return Err(tree.pages.damaged(number, "a node has not the greatest last time below it"));
        }
        greatest = greatest.max(row.last);
    }
    Ok(greatest)
}
