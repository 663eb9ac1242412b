//! What a record of the log can hold.

use sample::{ChannelId, Event, Metadata, Sample, Timestamp};
use sstable::ChannelRecord;
use std::sync::Arc;

/// How a sample stands to those that its channel had before.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Placement {
    /// Not older than the channel's newest.
    #[default]
    InOrder,
    /// Older than the channel's newest.
    Late,
    /// Older than the current partition: the original carry-in there.
    CarryIn,
}

/// One thing that was received or decided. Final: replay loads it as it is.
#[derive(Clone, PartialEq, Debug)]
pub enum Entry {
    /// A sample with its final time and rank.
    Sample {
        /// Whose.
        channel: ChannelId,
        /// Where it goes.
        placement: Placement,
        /// The sample.
        sample: Sample,
    },
    /// An event; engine-wide ones under [`ChannelId::ARCHIVE`].
    Event {
        /// Whose.
        channel: ChannelId,
        /// The event.
        event: Event,
    },
    /// Metadata that holds from `time` on.
    Metadata {
        /// Whose.
        channel: ChannelId,
        /// From when on.
        time: Timestamp,
        /// The metadata; apart, since every sample on its way takes as much room as the largest entry.
        metadata: Arc<Metadata>,
    },
    /// A channel's name, aliases, settings; before the channel's first sample.
    Channel {
        /// Whose.
        channel: ChannelId,
        /// The record.
        record: ChannelRecord,
    },
    /// The engine was alive.
    Heartbeat {
        /// When.
        time: Timestamp,
    },
}
