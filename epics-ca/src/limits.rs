//! Every limit of this crate, named once.

/// Elements of the longest array that a channel subscribes to unless its settings say otherwise.
pub const MAX_ELEMENTS: u64 = 4_194_304;

/// Most bytes that one queue may be given.
pub const QUEUE_BYTES_MAX: usize = 2 << 30;

/// The last sixteenth of a queue takes connection states, access rights and metadata, never values.
pub(crate) const QUEUE_RESERVE_SHARE: usize = 16;

/// Messages of libca that wait to be taken; later ones are only counted.
pub(crate) const MESSAGES_MAX: usize = 64;

/// Bytes of one message of libca; the rest is cut.
pub(crate) const MESSAGE_BYTES_MAX: usize = 1024;

/// Bytes of a server's `host:port`; libca cuts the rest.
pub(crate) const HOST_BYTES_MAX: usize = 256;
