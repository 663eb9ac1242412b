//! An in-process source that a test or a demonstration feeds by hand.

use super::{Arrival, Sink, Source};
use crate::config::ChannelSettings;
use sample::{ChannelId, ChannelName, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

#[derive(Debug, Default)]
struct Feed {
    waiting: Vec<(ChannelName, Timestamp, Arrival)>,
    channels: HashMap<ChannelName, ChannelId>,
}

#[derive(Debug, Default)]
struct Shared {
    feed: Mutex<Feed>,
    arrived: Condvar,
}

/// The engine's end.
#[derive(Debug)]
pub struct SimulatedSource(Arc<Shared>);

/// The feeding end; cheap to clone.
#[derive(Clone, Debug)]
pub struct SimulatedHandle(Arc<Shared>);

impl SimulatedSource {
    /// A source and the handle that feeds it.
    pub fn new() -> (SimulatedSource, SimulatedHandle) {
        let shared = Arc::new(Shared::default());
        (SimulatedSource(shared.clone()), SimulatedHandle(shared))
    }
}

impl SimulatedHandle {
    /// Lets something arrive for a channel; ignored when the engine does not ask for it.
    pub fn send(&self, channel: &ChannelName, received: Timestamp, arrival: Arrival) {
        self.send_all([(channel.clone(), received, arrival)]);
    }

    /// Lets many things arrive at once, in this order.
    pub fn send_all(&self, arrivals: impl IntoIterator<Item = (ChannelName, Timestamp, Arrival)>) {
        self.0.feed.lock().unwrap_or_else(PoisonError::into_inner).waiting.extend(arrivals);
        self.0.arrived.notify_one();
    }

    /// Arrivals that the engine has not taken yet.
    pub fn waiting(&self) -> usize {
        self.0.feed.lock().unwrap_or_else(PoisonError::into_inner).waiting.len()
    }

    /// Names that the engine asks for.
    pub fn channels(&self) -> Vec<ChannelName> {
        let feed = self.0.feed.lock().unwrap_or_else(PoisonError::into_inner);
        feed.channels.keys().cloned().collect()
    }
}

impl Source for SimulatedSource {
    fn add(&mut self, channel: ChannelId, name: &ChannelName, _settings: &ChannelSettings) {
        let mut feed = self.0.feed.lock().unwrap_or_else(PoisonError::into_inner);
        feed.channels.insert(name.clone(), channel);
    }

    fn remove(&mut self, channel: ChannelId) {
        let mut feed = self.0.feed.lock().unwrap_or_else(PoisonError::into_inner);
        feed.channels.retain(|_, id| *id != channel);
    }

    fn receive(&mut self, timeout: Duration, sink: &mut dyn Sink) -> usize {
        let feed = self.0.feed.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut feed, _) = self
            .0
            .arrived
            .wait_timeout_while(feed, timeout, |feed| feed.waiting.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        let waiting = std::mem::take(&mut feed.waiting);
        let known: Vec<_> = waiting
            .into_iter()
            .filter_map(|(name, received, arrival)| Some((*feed.channels.get(&name)?, received, arrival)))
            .collect();
        drop(feed);
        let count = known.len();
        for (channel, received, mut arrival) in known {
            sink.arrive(channel, received, &mut arrival);
        }
        count
    }

    fn queue_bytes(&self) -> (u64, u64) {
        (0, 0)
    }

    fn searches(&self) -> u64 {
        0
    }
}
