//! Payloads of everything that is not samples.

mod bins;
mod carry_in;
mod channel;
mod dictionary;
mod event;
pub(crate) mod field;
mod lineage;
mod metadata;
mod sample_bytes;
#[cfg(test)]
mod tests;
mod timeline;

pub use bins::{BinColumns, decode_bins, encode_bins};
pub use carry_in::{Archiving, CarriedSample, CarryIn, Connection, decode_carry_in, encode_carry_in};
pub use channel::{ChannelChange, ChannelRecord, decode_channel_records, encode_channel_records};
pub use dictionary::{DictionaryRow, NewestReading, ValueDescription};
pub(crate) use dictionary::{decode_rows, encode_rows};
pub use event::{decode_events, encode_events};
pub use lineage::Lineage;
pub(crate) use lineage::{decode_lineage, encode_lineage};
pub use metadata::{decode_metadata, encode_metadata};
pub use sample_bytes::{decode_sample, encode_sample};
pub use timeline::ChannelTimeline;
pub(crate) use timeline::{decode_timeline, with_timeline};
