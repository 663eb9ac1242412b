//! What a table knows about one of its channels.

mod decode;
mod encode;

use super::carry_in::Archiving;
use sample::{ChannelId, ChannelName, Metadata, Timestamp, ValueType};
use std::sync::Arc;

pub(crate) use decode::decode_rows;
pub(crate) use encode::encode_rows;

/// One row of a table's channel dictionary.
#[derive(Clone, PartialEq, Debug)]
pub struct DictionaryRow {
    /// The channel.
    pub channel: ChannelId,
    /// Its name in force when the table was written.
    pub name: ChannelName,
    /// Its further names.
    pub aliases: Vec<ChannelName>,
    /// The channel's newest in-order reading when the table was written, whichever table holds it.
    pub newest: Option<NewestReading>,
    /// How many late samples the channel has had: the next late rank, less 2^31.
    pub next_late_rank: u32,
    /// Time of the channel's first sample in order of receipt, whichever table holds it, and the sequence
    /// of the first event behind it.
    pub first_sample: Option<(Timestamp, u64)>,
    /// First and last time of its samples in this table (filled in by the writer).
    pub span: Option<(Timestamp, Timestamp)>,
    /// Number of its samples in this table (filled in by the writer).
    pub samples: u64,
    /// Bytes of its chunks in this table (filled in by the writer).
    pub bytes: u64,
    /// Types of its samples in this table, that of the newest in-order one last (filled in by the writer).
    pub types: Vec<ValueDescription>,
    /// Archiving state when the table was written, with the time since when.
    pub archiving: Option<(Archiving, Timestamp)>,
    /// Metadata in force when the table was written, enum states included, with the time from which they hold.
    pub metadata: Option<(Timestamp, Metadata)>,
    /// In a table that others were merged into: number of the newest of them, as it was first written, that
    /// knew the channel. 0: the table's own number.
    pub as_of: u64,
}

/// What is needed to recognise a reading that comes again, and to rank the next one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewestReading {
    /// Its time.
    pub time: Timestamp,
    /// Its rank.
    pub rank: u32,
    /// Its [`crate::fingerprint`].
    pub fingerprint: u64,
}

/// A type of values, with the descriptor where it is a structure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ValueDescription {
    /// The type.
    pub value: ValueType,
    /// pvAccess type descriptor.
    pub descriptor: Option<Arc<[u8]>>,
}

impl DictionaryRow {
    /// A row without anything but id and name.
    pub fn new(channel: ChannelId, name: ChannelName) -> DictionaryRow {
        DictionaryRow {
            channel,
            name,
            aliases: Vec::new(),
            newest: None,
            next_late_rank: 0,
            first_sample: None,
            span: None,
            samples: 0,
            bytes: 0,
            types: Vec::new(),
            archiving: None,
            metadata: None,
            as_of: 0,
        }
    }

    /// The greater of the numbers of aliases and of types.
    pub(crate) fn repeated(&self) -> usize {
        self.aliases.len().max(self.types.len())
    }

    /// About how many bytes its texts take.
    pub(crate) fn text_bytes(&self) -> usize {
        let aliases = self.aliases.iter().map(|alias| alias.as_str().len());
        let descriptors = self.types.iter().flat_map(|of| &of.descriptor).map(|bytes| bytes.len());
        let metadata = self.metadata.as_ref().map_or(0, |(_, metadata)| metadata_bytes(metadata));
        self.name.as_str().len() + aliases.chain(descriptors).sum::<usize>() + metadata
    }
}

fn metadata_bytes(metadata: &Metadata) -> usize {
    let texts = [&metadata.units, &metadata.description, &metadata.host, &metadata.settings];
    let states = metadata.states.iter().flatten().map(|state| state.len() + 1);
    // Each of the numbers takes ten.
    texts.into_iter().flatten().map(|text| text.len() + 2).chain(states).sum::<usize>() + 90
}

/// The times that other times of a row are counted from: first and last time of its samples in the table; of a row
/// without, those of the row before.
fn references(rows: &[DictionaryRow]) -> Vec<(i64, i64)> {
    let mut reference = (0, 0);
    let of = |row: &DictionaryRow| {
        if let Some((first, last)) = row.span {
            reference = (first.0, last.0);
        }
        reference
    };
    rows.iter().map(of).collect()
}
