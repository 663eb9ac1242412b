//! The write-ahead log: what was received is durable here before it is anywhere else.
//!
//! Deterministic and synchronous: no thread, no clock. [`Buffer`] takes payloads from whoever receives and
//! never touches the disk; [`Writer`] moves them into segment files, hands out a [`SyncTicket`] that may be
//! run elsewhere, and says what is [`Durable`]. [`replay`] reads everything back after anything;
//! [`Writer::resume`] makes the log whole again and goes on behind it.
//!
//! # Invariants
//! - **W1** Records are numbered without gaps inside a *life* of the log; a life begins with an empty log or
//!   after a failed sync.
//! - **W2** A record is called durable only after its file, the files before it and the directory were synced.
//! - **W3** A file whose sync failed is never written again.
//! - **W4** Segment numbers rise; a file is never used twice.
//! - **W5** The torn tail is gone, durably, before a record is written behind it.
//!
//! FORMAT.md describes the bytes.

mod buffer;
mod decoder;
mod encoder;
mod entry;
pub mod format;
mod frame;
mod reader;
mod resume;
mod scan;
mod segment;
mod sync;
mod value;
mod verdict;
mod writer;

pub use buffer::{Buffer, BufferFull};
pub use decoder::BatchDecoder;
pub use encoder::BatchEncoder;
pub use entry::{Entry, Placement};
pub use frame::RecordHeader;
pub use reader::{CutReport, Replay, SegmentSpan, Sink, Verdict, replay};
pub(crate) use reader::{Reach, archive_of, reach};
pub use sync::{Durable, SyncTicket};
pub use writer::{Settings, Writer};

#[cfg(test)]
mod tests;
