//! Walking entries in the order of their keys.

use crate::entry::{self, Entry};
use crate::hash_table::Position;
use crate::leaf::Key;
use crate::tree::Cursor;
use disk::FormatError;

/// Entries up to a key that end at or behind a time. After an error nothing more comes.
#[derive(Debug)]
pub struct Entries<'a> {
    cursor: Cursor<'a>,
    to: Key,
    least_last: i64,
    over: bool,
}

impl<'a> Entries<'a> {
    pub(super) fn new(cursor: Cursor<'a>, to: Key, least_last: i64) -> Entries<'a> {
        Entries { cursor, to, least_last, over: false }
    }

    /// The next entry with the place where it lies.
    pub(super) fn next_with_position(&mut self) -> Result<Option<(Position, Entry)>, FormatError> {
        while !self.over {
            // Whatever ends this early ends it for good.
            self.over = true;
            let pages = self.cursor.pages();
            let Some((leaf, row)) = self.cursor.next()? else { break };
            let key = leaf.key(row);
            if key > self.to {
                break;
            }
            self.over = false;
            if entry::last_time(leaf, row, key.2) < self.least_last {
                continue;
            }
            let position = Position { page: leaf.number(), row: row as u16 };
            return match entry::read_entry(leaf, row) {
                Ok(entry) => Ok(Some((position, entry))),
                Err(error) => {
                    self.over = true;
                    Err(pages.damaged(position.page, error.what))
                }
            };
        }
        Ok(None)
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, FormatError>;

    fn next(&mut self) -> Option<Result<Entry, FormatError>> {
        self.next_with_position().map(|next| next.map(|(_, entry)| entry)).transpose()
    }
}
