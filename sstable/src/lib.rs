//! Immutable sorted tables of compressed chunks.
//!
//! FORMAT.md describes every byte. From the inside out:
//! - a **chunk** is one channel's samples of one type in columns: [`split`] a block, [`encode`], [`decode`],
//!   [`ChunkHeader`];
//! - a **record** is everything else: events, metadata, channel records, carry-ins;
//! - a **block** is a checked piece of a file: one chunk, or many small chunks and records;
//! - a **table** is blocks in the order of their [`Key`]s with an index, a channel dictionary and a footer:
//!   [`TableWriter`], [`Table`], and [`Scan`] where index or footer are lost.
//!
//! This crate never changes a finished file and knows no index outside it.

mod block;
mod block_index;
mod cache;
mod chunk;
mod codec;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod damage_tests;
mod fingerprint;
mod footer;
mod format;
#[cfg(test)]
mod golden_tests;
mod key;
mod known_models;
mod reach;
mod reader;
mod record;
mod salvage;
mod scan;
mod table;
mod tally;
mod verify;
mod writer;

pub use cache::BlockCache;
pub use chunk::{
    ChunkHeader, ChunksApart, ColumnChoices, Extremes, LENDERS_KEPT_MAX, NumericStatistics, Page, Statistics,
    TimeReference, Zone, chunk_header_len, decode, decode_range, encode, encode_next, split,
};
pub use codec::Profile;
pub use fingerprint::fingerprint;
pub use footer::{TableInfo, TableKind, TableSummary};
pub use format::{
    BIN_ROWS_MAX, BinField, CARRIED_VALUE_BYTES_MAX, CHUNK_SAMPLES_MAX, CHUNK_VALUE_BYTES_MAX,
    SAMPLE_VALUE_BYTES_MAX,
};
pub use key::Key;
pub use known_models::KnownModels;
pub use reader::{OpenChunk, StoredBytes, StoredChunk, Surroundings};
pub use record::{
    Archiving, BinColumns, CarriedSample, CarryIn, ChannelChange, ChannelRecord, ChannelTimeline, Connection,
    DictionaryRow, Lineage, NewestReading, ValueDescription, decode_bins, decode_carry_in,
    decode_channel_records, decode_events, decode_metadata, decode_sample, encode_bins, encode_carry_in,
    encode_channel_records, encode_events, encode_metadata, encode_sample,
};
pub use salvage::{Loss, Remains, Salvaged};
pub use scan::{Scan, ScannedBlock, ScannedContent, ScannedEntry};
pub use table::{ChunkSummary, Entry, Locator, Table, WholeChunk};
pub use verify::{Verification, verify};
pub use writer::TableWriter;
