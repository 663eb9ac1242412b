//! A log with what a memtable and a manifest would know about it.

use super::*;
use crate::error::Error;
use crate::identity::ArchiveId;
use disk::{Disk, SimDisk};
use sample::{ChannelId, Sample, Timestamp, Value};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

pub(super) const ARCHIVE: ArchiveId = ArchiveId(0xfeed_beef);
pub(super) const DIR: &str = "/archive/wal";
const CHANNEL: ChannelId = ChannelId(1);

/// Numbered values on their way through a log: value n is received at time n.
pub(super) struct Model {
    pub(super) disk: SimDisk,
    pub(super) segment_bytes: u64,
    pub(super) buffer: Buffer,
    pub(super) writer: Writer,
    /// What is not in tables: value, era in which it was received.
    pub(super) memory: BTreeMap<u64, u64>,
    /// Every value up to this one is in tables.
    pub(super) in_tables: u64,
    /// What the manifest says.
    pub(super) wal_from: u64,
    /// Every value up to this one was promised.
    pub(super) acknowledged: u64,
    pub(super) era: u64,
    pub(super) restarts: u64,
    pub(super) rolls: u64,
}

/// What one record holds.
fn payload(value: u64, era: u64) -> Vec<u8> {
    let mut batch = BatchEncoder::new();
    let time = Timestamp(value as i64);
    batch.sample(CHANNEL, Placement::InOrder, &Sample::new(time, Value::UInt64(era)));
    batch.sample(CHANNEL, Placement::InOrder, &Sample::new(time, Value::text(&padding(value, era))));
    batch.bytes().to_vec()
}

fn padding(value: u64, era: u64) -> String {
    // Some reach over several sectors, so that they can be torn inside.
    let long = if value.is_multiple_of(5) { 1500 } else { 0 };
    "x".repeat(long + (value * 37 + era * 11) as usize % 200)
}

/// The values that a log delivers, in order, each with its era.
pub(super) fn deliver(disk: &SimDisk, from: u64) -> Result<(Vec<(u64, u64)>, Replay), Error> {
    let (mut values, mut open) = (Vec::new(), None);
    let replay = replay(disk, Path::new(DIR), ARCHIVE, from, &mut |_, entry| {
        let Entry::Sample { channel: CHANNEL, placement: Placement::InOrder, sample } = entry else {
            panic!("an entry that nobody wrote: {entry:?}");
        };
        let value = u64::try_from(sample.time.0).unwrap();
        match sample.value {
            Value::UInt64(era) => open = Some((value, era)),
            Value::String(text) => {
                let (value, era) = open.take().expect("the number comes first");
                assert_eq!(&*text, padding(value, era).as_bytes());
                values.push((value, era));
            }
            other => panic!("a value that nobody wrote: {other:?}"),
        }
    })?;
    Ok((values, replay))
}

impl Model {
    pub(super) fn new(seed: u64, segment_bytes: u64) -> Model {
        let disk = SimDisk::new(seed);
        disk.create_dir(Path::new("/archive")).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        let (_, replay) = deliver(&disk, 1).unwrap();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let writer =
            Writer::resume(shared, Path::new(DIR), ARCHIVE, Settings { segment_bytes }, &replay, 1).unwrap();
        Model {
            disk,
            segment_bytes,
            buffer: Buffer::new(1 << 20, writer.first_sequence(), Timestamp(0)),
            writer,
            memory: BTreeMap::new(),
            in_tables: 0,
            wal_from: 1,
            acknowledged: 0,
            era: 0,
            restarts: 0,
            rolls: 0,
        }
    }

    pub(super) fn newest(&self) -> u64 {
        self.memory.last_key_value().map_or(self.in_tables, |(value, _)| *value)
    }

    /// Receives the next value.
    pub(super) fn receive(&mut self) {
        let value = self.newest() + 1;
        self.buffer.append(&payload(value, self.era), Timestamp(value as i64)).unwrap();
        self.memory.insert(value, self.era);
    }

    pub(super) fn write(&mut self) -> Result<(), Error> {
        let before = self.writer.segments();
        let result = self.writer.write(&self.buffer);
        self.rolls += u64::from(self.writer.segments() > before.max(1));
        result
    }

    /// A group commit; after a failed sync everything is repeated.
    pub(super) fn sync(&mut self) -> Result<(), Error> {
        let Some(ticket) = self.writer.begin_sync() else {
            self.promise();
            return Ok(());
        };
        let result = ticket.run();
        match self.writer.finish_sync(ticket, result) {
            Ok(_) => {
                self.promise();
                Ok(())
            }
            Err(error) if self.disk.is_off() => Err(error),
            Err(_) => self.restart(),
        }
    }

    fn promise(&mut self) {
        let received = self.writer.durable().received.0;
        self.acknowledged = self.acknowledged.max(u64::try_from(received).unwrap_or(0));
        assert!(self.acknowledged <= self.newest(), "a promise of what was not received");
    }

    /// What the engine does after a failed sync.
    pub(super) fn restart(&mut self) -> Result<(), Error> {
        self.restarts += 1;
        let first = self.writer.restart(&self.buffer);
        for (value, era) in self.memory.clone() {
            self.buffer.append(&payload(value, era), Timestamp(value as i64)).unwrap();
        }
        self.buffer.finish_repeat();
        self.writer.write(&self.buffer)?;
        if let Some(ticket) = self.writer.begin_sync() {
            let result = ticket.run();
            self.writer.finish_sync(ticket, result)?;
        }
        self.promise();
        self.wal_from = self.wal_from.max(first);
        self.writer.release(first - 1)
    }

    /// Everything in memory goes to tables, the manifest says so, the log is released.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        let through = self.buffer.next_sequence() - 1;
        self.in_tables = self.newest();
        self.memory.clear();
        self.wal_from = through + 1;
        self.writer.release(through)
    }

    /// What a start after a crash does; checks everything that may not go wrong.
    pub(super) fn recover(&mut self) -> Result<(), Error> {
        let (values, replay) = deliver(&self.disk, self.wal_from)?;
        let corrupt: Vec<_> = replay.cut_bytes.iter().filter(|cut| cut.verdict == Verdict::Corrupt).collect();
        assert!(corrupt.is_empty(), "a crash is no corruption: {corrupt:?}");
        let mut found = BTreeMap::new();
        for (value, era) in values {
            assert_eq!(self.memory.get(&value), Some(&era), "value {value} of era {era} was invented");
            assert!(found.insert(value, era).is_none() || self.restarts > 0, "value {value} came twice");
        }
        let last = found.last_key_value().map_or(self.in_tables, |(value, _)| *value);
        assert_eq!(found.len() as u64, last - self.in_tables, "the values are those up to {last}");
        assert!(last >= self.acknowledged, "{last} is the last, {} was promised", self.acknowledged);
        let settings = Settings { segment_bytes: self.segment_bytes };
        let shared: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let writer = Writer::resume(shared, Path::new(DIR), ARCHIVE, settings, &replay, self.wal_from)?;
        self.memory = found;
        self.era += 1;
        self.buffer = Buffer::new(1 << 20, writer.first_sequence(), Timestamp(last as i64));
        self.writer = writer;
        if self.writer.needs_restart() {
            return self.restart();
        }
        self.promise();
        Ok(())
    }

    /// Starts anew after crashes until a start succeeds.
    pub(super) fn recover_through_crashes(&mut self) {
        loop {
            self.disk.power_on();
            match self.recover() {
                Ok(()) => return,
                Err(error) => assert!(self.disk.is_off(), "{error}"),
            }
        }
    }
}
