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

impl Given {
    /// The time that it is about.
    fn time(&self) -> Timestamp {
        match self {
            Given::Sample(sample) => sample.time,
            Given::Event(time, _) | Given::Metadata(time, _) => *time,
        }
    }
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

/// What a retention rule may have removed.
#[derive(Clone, Copy, Debug)]
struct Removal {
    /// What is about times before this one,
    before: Timestamp,
    /// if it came in one of the first so many batches.
    batches: usize,
}

/// What is to be found of a channel: all that was given, and of each whether it may be gone.
#[derive(Debug, Default)]
pub struct Expected<'a> {
    /// By time and rank.
    pub samples: Vec<(&'a Sample, bool)>,
    /// In order of receipt.
    pub events: Vec<((Timestamp, &'a EventKind), bool)>,
    /// In order of receipt.
    pub metadata: Vec<((Timestamp, &'a Metadata), bool)>,
}

/// The truth.
#[derive(Clone, Debug)]
pub struct Model {
    /// Committed batches, and one that is being filled at the end while `open`.
    pub batches: Vec<Batch>,
    /// What the batches come to.
    pub channels: Vec<Channel>,
    /// Whether channels say exactly how many samples they have.
    pub counted: bool,
    /// Whether a channel may count twice what one flush held, which may be all that it has.
    pub surplus: bool,
    removals: Vec<Removal>,
}

impl Model {
    /// Of so many channels.
    pub fn new(channels: usize) -> Model {
        Model {
            batches: Vec::new(),
            channels: vec![Channel::default(); channels],
            counted: true,
            surplus: false,
            removals: Vec::new(),
        }
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

    /// From now on a retention rule may have removed what is about times before `before` and came in the first
    /// `batches` batches.
    pub fn removable(&mut self, before: Timestamp, batches: usize) {
        self.removals.retain(|known| known.before > before || known.batches > batches);
        self.removals.push(Removal { before, batches });
        self.counted = false;
    }

    /// Whether a thing of a batch may be gone.
    fn may_be_gone(&self, batch: usize, given: &Given) -> bool {
        self.removals.iter().any(|removal| batch < removal.batches && given.time() < removal.before)
    }

    /// Every answer about times from here on is what it was before anything was removed.
    pub fn kept_from(&self) -> Option<Timestamp> {
        self.removals.iter().map(|removal| removal.before).max()
    }

    /// What is to be found of each channel if the first `count` batches are there.
    pub fn expected(&self, count: usize) -> Vec<Expected<'_>> {
        let mut expected: Vec<Expected<'_>> = Vec::new();
        expected.resize_with(self.channels.len(), Expected::default);
        for (at, batch) in self.batches[..count].iter().enumerate() {
            for (channel, given) in &batch.given {
                let gone = self.may_be_gone(at, given);
                match given {
                    Given::Sample(sample) => expected[*channel].samples.push((sample, gone)),
                    Given::Event(time, kind) => expected[*channel].events.push(((*time, kind), gone)),
                    Given::Metadata(time, metadata) => {
                        expected[*channel].metadata.push(((*time, metadata), gone));
                    }
                }
            }
        }
        for expected in &mut expected {
            expected.samples.sort_by_key(|(sample, _)| (sample.time, sample.rank));
        }
        expected
    }

    /// How many batches hold `count` things together that cannot be gone, if any number does. Where several
    /// do, because all of some batches may be gone: up to the last one of which something `is_there`, but
    /// `least` if that may be. What came behind it was lost with the memory, not by a rule.
    pub fn batches_of(
        &self,
        count: usize,
        least: usize,
        is_there: impl Fn(usize, &Given) -> bool,
    ) -> Option<usize> {
        let (mut sum, mut found) = (0, (count == 0).then_some(0));
        for (at, batch) in self.batches.iter().enumerate() {
            let certain = batch.given.iter().filter(|(_, given)| !self.may_be_gone(at, given)).count();
            sum += certain;
            let there = || batch.given.iter().any(|(channel, given)| is_there(*channel, given));
            // An empty batch behind those that are there may be there as well.
            let follows = batch.given.is_empty() && found == Some(at);
            if sum == count && (certain > 0 || follows || at < least || there()) {
                found = Some(at + 1);
            }
        }
        found
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
