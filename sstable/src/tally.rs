//! What a table's dictionary will say about the samples of a channel.

use crate::chunk::ChunkHeader;
use crate::record::ValueDescription;
use sample::{Timestamp, ValueType};

/// What the dictionary says about a channel's samples in the table. A table may have a million channels.
#[derive(Debug)]
pub(crate) struct ChannelTally {
    pub(crate) span: (Timestamp, Timestamp),
    pub(crate) samples: u64,
    pub(crate) bytes: u64,
    pub(crate) types: Types,
}

/// The types of a channel's samples, that of the newest in-order one last.
#[derive(Debug)]
pub(crate) enum Types {
    /// Most often one, without a descriptor.
    One(ValueType),
    Several(Vec<ValueDescription>),
}

impl Types {
    pub(crate) fn into_list(self) -> Vec<ValueDescription> {
        match self {
            Types::One(value) => vec![ValueDescription { value, descriptor: None }],
            Types::Several(types) => types,
        }
    }

    /// Takes the type of the next chunk.
    fn add(&mut self, header: &ChunkHeader) {
        let of = ValueDescription { value: header.run.value, descriptor: header.run.descriptor.clone() };
        if matches!(self, Types::One(value) if *value == of.value && of.descriptor.is_none()) {
            return;
        }
        let mut types = std::mem::replace(self, Types::Several(Vec::new())).into_list();
        let at = types.iter().position(|known| *known == of);
        let of = at.map_or(of, |at| types.remove(at));
        // The newest in-order reading's type is the last one.
        let at = if header.late { at.unwrap_or(0) } else { types.len() };
        types.insert(at, of);
        *self = Types::Several(types);
    }
}

impl ChannelTally {
    /// Of a channel's first chunk.
    pub(crate) fn new(header: &ChunkHeader) -> ChannelTally {
        let types = match &header.run.descriptor {
            None => Types::One(header.run.value),
            Some(_) => Types::Several(Vec::new()),
        };
        ChannelTally { span: (header.first, header.last), samples: 0, bytes: 0, types }
    }

    pub(crate) fn add(&mut self, header: &ChunkHeader, bytes: u64) {
        self.samples += header.count() as u64;
        self.bytes += bytes;
        self.span = (self.span.0.min(header.first), self.span.1.max(header.last));
        self.types.add(header);
    }
}
