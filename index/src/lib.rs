//! Where things are: channel names to ids, channels and times to SSTables.
//!
//! Everything here is derived and can be rebuilt from the SSTables; losing it costs time, never data. FORMAT.md
//! describes every byte of the two kinds of immutable files:
//! - a **partition index** finds the entries of a channel at any time in one week: [`PartitionWriter`] writes it in
//!   the order of the SSTable's keys, [`PartitionIndex`] reads it;
//! - a **master segment** finds a channel by its name, with what each week holds of it: [`MasterWriter`] writes it
//!   from [`PartitionIndex::channels`] with the names, [`Master`] reads it, [`merge`] makes one of several.
//!
//! Both read pages of 16 KiB through a [`PageCache`]; a look-up touches two pages, however large the file is.
//! In memory are the live engine's names ([`Names`]) with the spans of its tables ([`Partitions`]).
//!
//! This crate opens no partition and knows no SSTable: a [`Locator`] is numbers that the engine hands on.

mod bits;
mod cache;
mod entry;
mod footer;
mod format;
mod hash_table;
mod leaf;
mod master;
mod name_page;
mod names;
mod node;
mod page;
mod partition;
mod partitions;
mod row_bytes;
mod slab;
mod statistics;
mod summary;
mod tree;
mod verify;
mod writer;

pub use cache::PageCache;
pub use entry::{ChunkSummary, Entry, Locator};
pub use format::{MASTER_MAGIC, PARTITION_MAGIC};
pub use hash_table::Position;
pub use master::{Master, MasterInfo, MasterRow, MasterSummary, MasterWriter, NamedChannel, merge};
pub use names::{Named, Names};
pub use partition::{Entries, EntryRow, PartitionIndex, PartitionInfo, PartitionSummary, PartitionWriter};
pub use partitions::{Partitions, TableSpan};
pub use statistics::{Extremes, NumericStatistics, Statistics};
pub use summary::ChannelSummary;
