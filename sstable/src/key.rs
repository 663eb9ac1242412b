//! The key of everything durable: rate, channel, bin.

use sample::ChannelId;

/// What an entry is and where it is sorted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key {
    /// [`Key::SAMPLES`] .. [`Key::CHANNELS`], or from 1000 on a decimation width in ns.
    pub rate: u64,
    /// The channel.
    pub channel: ChannelId,
    /// For samples the time of the chunk's first, in ns; for records that of the first item, for carry-ins
    /// the begin of the week; for decimated rows the begin of the bin.
    pub bin: i64,
}

impl Key {
    /// Rate of samples.
    pub const SAMPLES: u64 = 0;
    /// Rate of event lists.
    pub const EVENTS: u64 = 1;
    /// Rate of metadata lists.
    pub const METADATA: u64 = 2;
    /// Rate of carry-in records.
    pub const CARRY_IN: u64 = 3;
    /// Rate of channel records.
    pub const CHANNELS: u64 = 4;
    /// Least rate of decimated rows, which is their width in ns.
    pub const DECIMATED: u64 = 1000;

    /// A key.
    pub fn new(rate: u64, channel: ChannelId, bin: i64) -> Key {
        Key { rate, channel, bin }
    }

    /// Least key of a channel at a rate.
    pub fn least(rate: u64, channel: ChannelId) -> Key {
        Key { rate, channel, bin: i64::MIN }
    }
}
