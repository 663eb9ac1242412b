//! Many samples of one channel and one type in columns: what crates hand each other.

use crate::column::{BytesColumn, Column};
use crate::{Sample, Severity, Status, StatusDomain, TimeRange, Timestamp, ValueType};
use std::sync::Arc;

/// What all samples of a block (and of a chunk on disk) have in common.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunType {
    /// Type of the values.
    pub value: ValueType,
    /// Domain of the status codes.
    pub domain: StatusDomain,
    /// Whether metadata was known when the samples were stored.
    pub metadata_known: bool,
    /// Whether every sample carries a user tag.
    pub user_tag: bool,
    /// Whether every sample carries an alarm message.
    pub message: bool,
    /// Whether every sample carries its receive time.
    pub received: bool,
    /// pvAccess type descriptor of structures, else `None`.
    pub descriptor: Option<Arc<[u8]>>,
}

impl RunType {
    /// A plain run: CA status, metadata known, no optional columns.
    pub fn plain(value: ValueType) -> RunType {
        RunType {
            value,
            domain: StatusDomain::Ca,
            metadata_known: true,
            user_tag: false,
            message: false,
            received: false,
            descriptor: None,
        }
    }

    /// Whether `sample` may stand in a block of this type.
    #[inline]
    pub fn admits(&self, sample: &Sample) -> bool {
        self.value == sample.value.value_type()
            && self.domain == sample.status.domain
            && self.metadata_known == sample.metadata_known
            && self.user_tag == sample.user_tag.is_some()
            && self.message == sample.message.is_some()
            && self.received == sample.received.is_some()
            && match &sample.value {
                crate::Value::Structure { descriptor, .. } => self.descriptor.as_ref() == Some(descriptor),
                _ => true,
            }
    }
}

/// Samples of one channel in columns of equal length, ordered by (time, rank).
/// Optional columns are empty where [`RunType`] says that they are absent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SampleBlock {
    /// What the samples have in common.
    pub run: RunType,
    /// Stamps, ns since the Unix epoch, never decreasing.
    pub time: Vec<i64>,
    /// Ranks; strictly increasing where stamps are equal.
    pub rank: Vec<u32>,
    /// Values.
    pub values: Column,
    /// Severity codes 0..=3.
    pub severity: Vec<u8>,
    /// Status codes in `run.domain`.
    pub status: Vec<u16>,
    /// User tags or empty.
    pub user_tag: Vec<i64>,
    /// Alarm messages or empty.
    pub message: BytesColumn,
    /// Receive times in ns or empty.
    pub received: Vec<i64>,
}

impl SampleBlock {
    /// An empty block.
    pub fn new(run: RunType) -> SampleBlock {
        SampleBlock {
            values: Column::new(run.value),
            run,
            time: Vec::new(),
            rank: Vec::new(),
            severity: Vec::new(),
            status: Vec::new(),
            user_tag: Vec::new(),
            message: BytesColumn::default(),
            received: Vec::new(),
        }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.time.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.time.is_empty()
    }

    /// Time of the first sample.
    ///
    /// # Panics
    /// When the block is empty.
    pub fn first(&self) -> Timestamp {
        Timestamp(self.time[0])
    }

    /// Time of the last sample.
    ///
    /// # Panics
    /// When the block is empty.
    pub fn last(&self) -> Timestamp {
        Timestamp(self.time[self.time.len() - 1])
    }

    /// (time, rank) of sample `i`.
    pub fn position(&self, i: usize) -> (i64, u32) {
        (self.time[i], self.rank[i])
    }

    /// Room for this many more samples without another allocation.
    pub fn reserve(&mut self, count: usize) {
        self.time.reserve_exact(count);
        self.rank.reserve_exact(count);
        self.severity.reserve_exact(count);
        self.status.reserve_exact(count);
        self.values.reserve(count);
        if self.run.user_tag {
            self.user_tag.reserve_exact(count);
        }
        if self.run.received {
            self.received.reserve_exact(count);
        }
    }

    /// Appends a sample; `false` (and nothing appended) when [`RunType::admits`] says no.
    pub fn push(&mut self, sample: &Sample) -> bool {
        if !self.run.admits(sample) || !self.values.push(&sample.value) {
            return false;
        }
        self.time.push(sample.time.0);
        self.rank.push(sample.rank);
        self.severity.push(sample.severity as u8);
        self.status.push(sample.status.code);
        self.user_tag.extend(sample.user_tag);
        if let Some(message) = &sample.message {
            self.message.push(message);
        }
        self.received.extend(sample.received.map(|t| t.0));
        true
    }

    /// Appends samples `from..to` of `other`, a block of the same [`RunType`].
    ///
    /// # Panics
    /// When the value types differ or the range is outside `other`.
    pub fn append(&mut self, other: &SampleBlock, from: usize, to: usize) {
        self.values.append(&other.values, from, to);
        self.time.extend_from_slice(&other.time[from..to]);
        self.rank.extend_from_slice(&other.rank[from..to]);
        self.severity.extend_from_slice(&other.severity[from..to]);
        self.status.extend_from_slice(&other.status[from..to]);
        if self.run.user_tag {
            self.user_tag.extend_from_slice(&other.user_tag[from..to]);
        }
        if self.run.message {
            for i in from..to {
                self.message.push(other.message.get(i));
            }
        }
        if self.run.received {
            self.received.extend_from_slice(&other.received[from..to]);
        }
    }

    /// Samples `from..to` as a block of their own.
    pub fn slice(&self, from: usize, to: usize) -> SampleBlock {
        let mut part = SampleBlock::new(self.run.clone());
        part.reserve(to - from);
        part.append(self, from, to);
        part
    }

    /// Index range of the samples inside `range`.
    pub fn indices(&self, range: TimeRange) -> std::ops::Range<usize> {
        let from = self.time.partition_point(|t| *t < range.from.0);
        let to = self.time.partition_point(|t| *t < range.to.0);
        from..to.max(from)
    }

    /// Sample `i` as a row.
    ///
    /// # Panics
    /// When `i` is outside.
    pub fn get(&self, i: usize) -> Sample {
        Sample {
            time: Timestamp(self.time[i]),
            rank: self.rank[i],
            value: self.values.get(i, self.run.descriptor.as_ref()),
            severity: Severity::from_code(u16::from(self.severity[i])).unwrap_or(Severity::Invalid),
            status: Status { domain: self.run.domain, code: self.status[i] },
            user_tag: self.run.user_tag.then(|| self.user_tag[i]),
            message: self.run.message.then(|| self.message.get(i).into()),
            received: self.run.received.then(|| Timestamp(self.received[i])),
            metadata_known: self.run.metadata_known,
        }
    }

    /// Bytes held in memory, the measure of `memtable_bytes`.
    pub fn memory_bytes(&self) -> usize {
        let offsets = match &self.values {
            Column::String(b) | Column::Structure(b) => b.ends.len() * 4,
            Column::Array { ends, .. } => ends.len() * 4,
            _ => 0,
        };
        self.time.len() * (8 + 4 + 1 + 2)
            + self.values.byte_len()
            + offsets
            + (self.user_tag.len() + self.received.len()) * 8
            + self.message.data.len()
            + self.message.ends.len() * 4
    }
}
