//! What travels through Varve: timestamped values of named channels.
//!
//! A leaf crate: it knows no bytes on disk, no files, no EPICS library. A type lives here if it
//! appears on disk or on the wire *and* at least two crates name it.

mod alarm;
mod block;
mod channel;
mod column;
mod event;
mod metadata;
mod range;
mod sample;
mod timestamp;
mod value;

pub use alarm::{Severity, Status, StatusDomain};
pub use block::{RunType, SampleBlock};
pub use channel::{CHANNEL_NAME_BYTES_MAX, ChannelId, ChannelName, NameError};
pub use column::{BytesColumn, Column};
pub use event::{DropCause, Event, EventKind};
pub use metadata::Metadata;
pub use range::TimeRange;
pub use sample::Sample;
pub use timestamp::{EPICS_EPOCH_S, Timestamp, WEEK_NS, Week};
pub use value::{Kind, Value, ValueType};
