//! Bytes and durability: the only room that names a file system.
//!
//! Everything above works through [`Disk`] and [`File`], so that a crash, a torn write, a full or a
//! stalled disk is an ordinary single-threaded test on production code (`SimDisk`, feature `sim`).
//! A type lives here only if it would be the same for a file of recipes: no samples, no channels.
//!
//! # What is assumed of the medium
//! - **D1** After [`File::sync`] returned, content and length survive a power cut.
//! - **D2** After [`Disk::sync_dir`] returned, the names in that directory survive a power cut; before,
//!   any of them may be forgotten, come back or both.
//! - **D3** A rename inside one directory is atomic: one of the two states is seen, never a mixture.
//! - **D4** A write that was not synced may survive whole, in parts or not at all, in any order; it never
//!   changes bytes outside its own range.
//! - **D5** After a failed sync nothing is known about what was written since the last good one.
//! - **D6** An advisory lock goes with the process that holds it. Over NFS this needs a working lock service.

mod bytes;
mod checksum;
mod counting;
mod directory;
#[cfg(any(test, feature = "sim"))]
pub mod document;
mod encode;
mod error;
mod extent;
mod fields;
mod file_system;
mod header;
mod real;
mod replace;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
mod slow_sync;
mod watched;

pub use bytes::{BytesError, Cursor};
pub use checksum::{Checksum, checksum};
pub use counting::{CountedRead, CountingDisk, stretches};
pub use directory::create_dir_durable;
pub use encode::{
    put_bytes, put_f32, put_f64, put_i64, put_str, put_u8, put_u16, put_u32, put_u64, put_u128, put_varint,
    put_varint_signed,
};
pub use error::{DiskError, FormatError};
pub use extent::Extent;
pub use fields::contiguous;
pub use file_system::{Disk, Entry, File, Lock, Space};
pub use header::{FILE_HEADER_BYTES, FileHeader, HEADER_FIELDS};
pub use real::{Mapping, RealDisk};
pub use replace::{PART_SUFFIX, replace};
#[cfg(any(test, feature = "sim"))]
pub use sim::SimDisk;
pub use slow_sync::SlowSyncDisk;
