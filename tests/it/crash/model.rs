//! What an archive was given, batch by batch: the truth that a recovered one is held against.

use sample::{EventKind, Metadata, Sample, Timestamp};

/// One thing that was handed in.
#[derive(Clone, PartialEq, Debug)]
pub enum Given {
    /// A sample that was stored, with the rank that it must have.
    Sample(Sample),
    /// An event.
    Event(Timestamp, EventKind),
    /// A change of metadata.
    Metadata(Timestamp, Metadata),
}

/// Everything between two commits.
#[derive(Clone, Debug)]
pub struct Batch {
    /// When the archive says that it was received.
    pub received: Timestamp,
    /// Channel and what it was given, in order.
    pub given: Vec<(usize, Given)>,
}

/// What one channel was given.
#[derive(Clone, Debug, Default)]
pub struct Channel {
    /// Samples in order of receipt.
    pub samples: Vec<Sample>,
    /// Place of the newest in-order one.
    pub newest: Option<usize>,
    /// What the rank of the next late one adds to that of the first.
    pub late: u32,
    /// Events in order of receipt.
    pub events: Vec<(Timestamp, EventKind)>,
    /// Metadata changes in order of receipt, which is that of their times.
    pub metadata: Vec<(Timestamp, Metadata)>,
}

/// Rank of a channel's first late sample.
const LATE_RANK_FIRST: u32 = 1 << 31;

impl Channel {
    /// The newest in-order sample.
    pub fn newest(&self) -> Option<&Sample> {
        self.newest.map(|at| &self.samples[at])
    }

    /// The rank that a sample at `time` must get.
    pub fn next_rank(&self, time: Timestamp) -> u32 {
        match self.newest() {
            Some(newest) if time < newest.time => LATE_RANK_FIRST + self.late,
            Some(newest) if time == newest.time => newest.rank + 1,
            _ => 0,
        }
    }

    fn take(&mut self, given: &Given) {
        match given {
            Given::Sample(sample) => {
                if sample.rank >= LATE_RANK_FIRST {
                    self.late = self.late.max(sample.rank - LATE_RANK_FIRST + 1);
                } else {
                    self.newest = Some(self.samples.len());
                }
                self.samples.push(sample.clone());
            }
            Given::Event(time, kind) => self.events.push((*time, kind.clone())),
            Given::Metadata(time, metadata) => self.metadata.push((*time, metadata.clone())),
        }
    }

    /// Samples as readers see them.
    pub fn by_time(&self) -> Vec<&Sample> {
        let mut samples: Vec<&Sample> = self.samples.iter().collect();
        samples.sort_by_key(|sample| (sample.time, sample.rank));
        samples
    }
}

/// The truth.
#[derive(Clone, Debug)]
pub struct Model {
    /// Committed batches, and one that is being filled at the end while `open`.
    pub batches: Vec<Batch>,
    /// What the batches come to.
    pub channels: Vec<Channel>,
}

impl Model {
    /// Of so many channels.
    pub fn new(channels: usize) -> Model {
        Model { batches: Vec::new(), channels: vec![Channel::default(); channels] }
    }

    /// Begins a batch.
    pub fn begin(&mut self, received: Timestamp) {
        self.batches.push(Batch { received, given: Vec::new() });
    }

    /// Adds to the last batch.
    pub fn give(&mut self, channel: usize, given: Given) {
        self.channels[channel].take(&given);
        if let Some(batch) = self.batches.last_mut() {
            batch.given.push((channel, given));
        }
    }

    /// How many batches were received up to `durable`.
    pub fn received_until(&self, durable: Timestamp) -> usize {
        self.batches.partition_point(|batch| batch.received <= durable)
    }

    /// How many batches hold `count` things together, if any number does.
    pub fn batches_of(&self, count: usize) -> Option<usize> {
        let mut sum = 0;
        for (at, batch) in self.batches.iter().enumerate() {
            if sum == count {
                return Some(at);
            }
            sum += batch.given.len();
        }
        (sum == count).then_some(self.batches.len())
    }

    /// Forgets all batches but the first `count`.
    pub fn truncate(&mut self, count: usize) {
        self.batches.truncate(count);
        self.channels = vec![Channel::default(); self.channels.len()];
        for (channel, given) in self.batches.iter().flat_map(|batch| &batch.given) {
            self.channels[*channel].take(given);
        }
    }

    /// Forgets what `keep` does not keep, and batches that are empty then.
    pub fn retain(&mut self, mut keep: impl FnMut(usize, &Given) -> bool) {
        for batch in &mut self.batches {
            batch.given.retain(|(channel, given)| keep(*channel, given));
        }
        self.batches.retain(|batch| !batch.given.is_empty());
        self.truncate(self.batches.len());
    }
}
