//! A data set written into a fresh archive, through the path that received samples take.

use super::{DataSet, Timeline};
use disk::RealDisk;
use engine::clock::ManualClock;
use engine::error::Error;
use engine::recovery::{Opening, open};
use engine::{Keeper, Outcome, StorageSettings, Writer};
use sample::{ChannelId, ChannelName, EventKind, Timestamp};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Data time that arrives in one batch.
const WINDOW_NS: i64 = 10_000_000_000;
/// Wall time between two syncs of the log, as an engine has it.
const SYNC_PAUSE: Duration = Duration::from_secs(1);
/// The server that channels seem to come from.
const HOST: &str = "generated:0";

/// What was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Filled {
    /// Samples generated.
    pub samples: u64,
    /// Of these, stored; the others were dropped.
    pub stored: u64,
    /// Channels.
    pub channels: usize,
}

/// Writes `set` into a fresh archive in `directory`, which must be missing or empty. The archive's clock goes with
/// the data. `progress` is told after each batch which part of the data set's length is written (0 to 1).
///
/// # Errors
/// The directory is not empty, the disk refuses.
pub fn fill(
    set: &DataSet,
    directory: &Path,
    settings: StorageSettings,
    progress: &mut dyn FnMut(f64),
) -> Result<Filled, Error> {
    let layout = engine::layout::Layout::new(directory);
    if engine::identity::Identity::load(&RealDisk, &layout)?.is_some() {
        return Err(Error::Exists(layout.identity()));
    }
    let clock = ManualClock::new(set.start());
    let opened = open(Opening {
        disk: Arc::new(RealDisk),
        clock: Arc::new(clock.clone()),
        directory: directory.to_path_buf(),
        create: true,
        pinned: None,
        fresh_id: None,
        settings,
    })?;
    let mut filling = Filling { clock, writer: opened.writer, keeper: opened.keeper, synced: Instant::now() };
    filling.run(set, progress)
}

struct Filling {
    clock: ManualClock,
    writer: Writer,
    keeper: Keeper,
    synced: Instant,
}

impl Filling {
    fn run(&mut self, set: &DataSet, progress: &mut dyn FnMut(f64)) -> Result<Filled, Error> {
        let start = set.start();
        let length_ns = (i64::from(set.days) * 86_400_000_000_000) as f64;
        let channels = set.channels();
        let mut filled = Filled { channels: channels.len(), ..Filled::default() };
        self.writer.at(start);
        let ids: Vec<ChannelId> = channels
            .iter()
            .filter_map(|channel| {
                Some(self.begin(&ChannelName::parse(&channel.name).ok()?, start, channel.metadata.clone()))
            })
            .collect();
        self.writer.commit();
        let mut timeline = Timeline::new(channels, WINDOW_NS);
        let mut first = vec![true; ids.len()];
        let mut batch = Vec::new();
        while let Some(end) = timeline.next_window(&mut batch) {
            self.clock.set(Timestamp(end));
            self.writer.at(Timestamp(end));
            for (position, reading) in &batch {
                filled.samples += 1;
                let first = std::mem::take(&mut first[*position]);
                if self.writer.append(ids[*position], reading.sample(), first) == Outcome::Stored {
                    filled.stored += 1;
                }
            }
            self.end_batch()?;
            progress(Timestamp(end).since(start) as f64 / length_ns);
        }
        self.flush()?;
        self.keeper.sync_log()?;
        Ok(filled)
    }

    /// A channel as a source begins it: named, started, connected, described.
    fn begin(&mut self, name: &ChannelName, time: Timestamp, metadata: sample::Metadata) -> ChannelId {
        let id = self.writer.register(name);
        self.writer.event(id, time, EventKind::Started);
        self.writer.event(id, time, EventKind::Connected { host: HOST.into() });
        self.writer.metadata(id, time, metadata);
        id
    }

    fn end_batch(&mut self) -> Result<(), Error> {
        self.writer.heartbeat();
        self.writer.record_quiet_drops(0);
        self.writer.commit();
        self.keeper.write_log()?;
        if self.synced.elapsed() >= SYNC_PAUSE {
            self.keeper.sync_log()?;
            self.synced = Instant::now();
        }
        let shared = self.keeper.shared();
        if shared.memory.load(Ordering::Relaxed) >= shared.settings.memtable_bytes {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.keeper.write_log()?;
        match self.writer.freeze() {
            Some(frozen) => self.keeper.flush(frozen),
            None => Ok(()),
        }
    }
}
