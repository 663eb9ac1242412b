//! The archive engine: write-ahead log, memtable, flush, recovery, and one way to read all of it.
//!
//! The storage core is synchronous and deterministic: clock, disk and randomness are handed in, so a
//! crash is an ordinary unit test. It knows no HTTP and no JSON; EPICS only in `source`.

mod archive_copy;
mod batch_gate;
mod carry_in;
mod channel_tables;
pub mod clock;
pub mod config;
mod damage;
mod engine;
pub mod error;
mod flush;
mod foreign;
mod gather;
pub mod identity;
mod indexed_table;
mod indexing;
mod ingest;
mod intake;
mod keeper;
mod known_channels;
pub mod layout;
pub mod limits;
mod live;
pub mod manifest;
mod memtable;
mod merge;
mod open_chunk;
mod open_indexes;
mod open_tables;
pub mod planted;
mod prefetch;
mod pyramid;
pub mod read;
pub mod recovery;
pub mod reindex;
mod repeat;
mod replay;
mod report;
mod retention;
pub mod schedule;
mod seal;
mod shared;
mod slot;
mod snapshot;
pub mod source;
pub mod status;
mod sync_times;
mod table_contents;
mod table_file;
mod table_run;
mod tail;
mod view;
pub mod wal;
mod week_sums;
mod writer;

pub use archive_copy::{Copied, copy_archive};
pub use batch_gate::BatchGate;
pub use damage::DamageLog;
pub use engine::{Engine, EngineParts};
pub use foreign::{Connector, ForeignArchive};
pub use indexing::{verify_master_segment, verify_partition_index};
pub use ingest::{Ingest, IngestGauges, Order};
pub use intake::Intake;
pub use keeper::Keeper;
pub use live::LiveArchive;
pub use seal::SealStep;
pub use shared::{Counters, Directory, Health, Shared, StorageSettings};
pub use slot::{Archiving, Connection, DropRun, Newest, Slot, SlotState};
pub use tail::{Tail, TailSource};
pub use view::View;
pub use writer::{Frozen, Outcome, Writer};

#[cfg(test)]
mod format_tests;
