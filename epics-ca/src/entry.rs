//! What a channel tells its reader.

use crate::dbr::FieldType;
use crate::decode::RawValue;
use crate::metadata::RawMetadata;
use sample::Timestamp;

/// Access rights that a server grants.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Access {
    /// Whether values may be read.
    pub read: bool,
    /// Whether values may be written.
    pub write: bool,
}

/// Something that happened to a channel.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The number that the channel was created with.
    pub token: u64,
    /// The clock of this machine when libca reported it.
    pub received: Timestamp,
    /// Values of this channel that found no room in the queue, since it was created until now.
    pub lost_total: u64,
    /// What happened.
    pub kind: EntryKind<'a>,
}

/// What happened.
///
/// On connect come `Access` and `Up`, then the first `Metadata`, then the first `Value` (the server may,
/// but hardly does, turn the last two round); on disconnect `Down`, then `Access` without rights. After a
/// reconnect metadata and value come again, even if nothing changed.
#[derive(Clone, Copy, Debug)]
pub enum EntryKind<'a> {
    /// Connected.
    Up {
        /// Type of the field.
        field: FieldType,
        /// Native element count: 1 for scalars, the greatest length of arrays.
        elements: u64,
        /// Access rights.
        access: Access,
        /// `host:port` of the server.
        host: &'a str,
    },
    /// The connection is lost.
    Down {
        /// When any channel of that server last told anything.
        last_heard: Timestamp,
    },
    /// A new value.
    Value(RawValue<'a>),
    /// New metadata.
    Metadata(RawMetadata<'a>),
    /// Access rights.
    Access(Access),
    /// The array is longer than `max_elements`: not subscribed.
    Refused {
        /// Native element count.
        elements: u64,
        /// The limit in the channel's settings.
        limit: u64,
    },
    /// libca or the server answered with an `ECA_*` status other than success.
    Error {
        /// The status; [`crate::Library::status_text`] says it in words.
        status: i32,
    },
}

/// An entry as the queue holds it: bytes stand apart.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stored {
    Up { field: FieldType, elements: u64, access: Access, server: u32 },
    Down { last_heard: Timestamp },
    Value { dbr: u16, count: u32, scalar: bool },
    Metadata { dbr: u16 },
    Access(Access),
    Refused { elements: u64, limit: u64 },
    Error { status: i32 },
}
