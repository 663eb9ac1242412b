//! Where things are: channel names to ids, channels and times to SSTables.
//!
//! Everything here is derived and can be rebuilt from the SSTables; losing it costs time, never data.
//! It opens no file: the engine tells it what the manifest and the dictionaries say.

mod names;
mod partitions;

pub use names::{Named, Names};
pub use partitions::{Partitions, TableSpan};
