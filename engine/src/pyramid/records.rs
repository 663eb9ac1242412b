//! Nodes of one level as the records of a decimated table, and back.

use super::rows::{bin_of, columns, nodes};
use decimator::node::Node;
use decimator::tree::WIDTHS_NS;
use disk::FormatError;
use sample::{ChannelId, Timestamp};
use sstable::{BIN_ROWS_MAX, Entry, Key, Table, decode_bins, encode_bins};

/// One channel's rows of one level as they stand in a table.
pub(super) struct Record {
    /// Where.
    pub(super) key: Key,
    /// The last instant of the last bin.
    pub(super) last: Timestamp,
    /// The rows.
    pub(super) payload: Vec<u8>,
}

/// Appends the records of a channel's nodes of `level`, which are in order.
pub(super) fn append(of: &[Node], level: usize, channel: ChannelId, records: &mut Vec<Record>) {
    for rows in of.chunks(BIN_ROWS_MAX) {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { continue };
        records.push(Record {
            key: Key::new(WIDTHS_NS[level].cast_unsigned(), channel, bin_of(first, level)),
            last: Timestamp(last.end.saturating_sub(1)),
            payload: encode_bins(&columns(rows, level)),
        });
    }
}

/// The nodes of a record of `level`.
///
/// # Errors
/// The disk's; damage, with its place.
pub(super) fn read(table: &Table, entry: &Entry, level: usize) -> Result<Vec<Node>, FormatError> {
    let payload = table.payload(entry)?;
    let rows = decode_bins(&payload).and_then(|bins| nodes(&bins, level, entry.key.bin));
    rows.map_err(|error| error.in_file(table.path(), entry.locator.offset))
}
