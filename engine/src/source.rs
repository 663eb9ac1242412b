//! Where samples come from: what a source hands to the engine.

use crate::config::ChannelSettings;
use sample::{ChannelId, ChannelName, Metadata, Sample, Timestamp};
use std::time::Duration;

#[cfg(feature = "ca")]
mod channel_access;
mod simulated;

#[cfg(feature = "ca")]
pub use channel_access::ChannelAccessSource;
#[cfg(feature = "ca")]
pub use epics_ca::Error as ChannelAccessError;
pub use simulated::{SimulatedHandle, SimulatedSource};

/// Something that a source tells of one channel.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// Found on a server. Its metadata is still to come if `metadata_follows`.
    Connected {
        /// `host:port`.
        host: Box<str>,
        /// Whether the server lets it be read.
        readable: bool,
        /// Whether metadata will arrive on this connection.
        metadata_follows: bool,
    },
    /// Connection lost.
    Disconnected {
        /// Last message of any channel from that server.
        last_heard: Timestamp,
    },
    /// A value.
    Sample(Sample),
    /// What describes the values from now on.
    Metadata(Box<Metadata>),
    /// Access rights changed.
    Access {
        /// Whether the server lets it be read.
        readable: bool,
    },
    /// The array is longer than the configuration admits: not subscribed.
    Refused {
        /// Elements on the server.
        elements: u64,
    },
    /// A second server answers for the name.
    TwoServers {
        /// Which servers, in the words of whoever noticed.
        what: Box<str>,
    },
    /// Values were lost before the engine could take them.
    Lost {
        /// How many.
        count: u64,
    },
}

/// What takes arrivals.
pub trait Sink {
    /// Something of this channel arrives soon: a chance to fetch what is known of it from far memory.
    fn expect(&mut self, channel: ChannelId) {
        let _ = channel;
    }
    /// Takes one arrival, with the time of its receipt. Arrivals go from hand to hand by reference: a copy at each
    /// step costs more than what the step does. What is left in `arrival` means nothing.
    fn arrive(&mut self, channel: ChannelId, received: Timestamp, arrival: &mut Arrival);
}

impl<F: FnMut(ChannelId, Timestamp, Arrival)> Sink for F {
    fn arrive(&mut self, channel: ChannelId, received: Timestamp, arrival: &mut Arrival) {
        self(channel, received, std::mem::replace(arrival, Arrival::Lost { count: 0 }));
    }
}

/// A source of arrivals; owned and called by the ingest thread alone.
pub trait Source: Send {
    /// Begins to deliver a channel.
    fn add(&mut self, channel: ChannelId, name: &ChannelName, settings: &ChannelSettings);
    /// Ends delivering it.
    fn remove(&mut self, channel: ChannelId);
    /// Waits at most `timeout` for something to arrive, then hands over all that is there, in order of
    /// receipt, each with the time of its receipt. Returns how many.
    fn receive(&mut self, timeout: Duration, sink: &mut dyn Sink) -> usize;
    /// Bytes that wait inside the source, and their limit.
    fn queue_bytes(&self) -> (u64, u64);
    /// Searches sent so far, where the source searches.
    fn searches(&self) -> u64;
}
