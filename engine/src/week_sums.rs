//! What the master index says of all samples of one channel in a week.

use crate::manifest::MasterSegmentEntry;
use crate::open_indexes::OpenIndexes;
use index::ChannelSummary;
use sample::{ChannelId, Week};
use sstable::Key;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// A week with the generation of its partition.
type Partition = (Week, u32);

/// The rows of one channel, read when the first is asked for.
#[derive(Debug)]
pub(crate) struct WeekSums {
    files: Arc<OpenIndexes>,
    segments: Vec<MasterSegmentEntry>,
    channel: ChannelId,
    rows: OnceLock<BTreeMap<Partition, Row>>,
}

/// A row with the place of its segment.
#[derive(Debug)]
struct Row {
    segment: usize,
    /// `None` where there are two.
    summary: Option<ChannelSummary>,
}

/// One of the rows: that of a partition, as the index of this number has it.
#[derive(Clone, Debug)]
pub(crate) struct WeekSum {
    pub(crate) sums: Arc<WeekSums>,
    pub(crate) partition: Partition,
    pub(crate) index: u64,
}

impl WeekSums {
    /// Of `channel`; nothing is read yet.
    pub(crate) fn new(
        files: Arc<OpenIndexes>,
        segments: Vec<MasterSegmentEntry>,
        channel: ChannelId,
    ) -> Arc<WeekSums> {
        Arc::new(WeekSums { files, segments, channel, rows: OnceLock::new() })
    }

    fn read(&self) -> BTreeMap<Partition, Row> {
        let mut rows = BTreeMap::new();
        for (segment, entry) in self.segments.iter().enumerate() {
            let Some(master) = self.files.master(entry) else { continue };
            let found = master.rows(Key::SAMPLES, self.channel, (Week(i32::MIN), Week(i32::MAX)));
            let found = found.and_then(|found| found.collect::<Result<Vec<_>, _>>());
            match found {
                Ok(found) => {
                    for row in found {
                        let present = rows.entry((row.week, row.generation));
                        let twice = |present: &mut Row| present.summary = None;
                        present.and_modify(twice).or_insert(Row { segment, summary: Some(row.summary) });
                    }
                }
                Err(error) => self.files.give_up(entry.id, &error),
            }
        }
        rows
    }
}

impl WeekSum {
    /// The row; `None` where no segment has it, or not one that was made from the index.
    pub(crate) fn get(&self) -> Option<&ChannelSummary> {
        let sums = &self.sums;
        let row = sums.rows.get_or_init(|| sums.read()).get(&self.partition)?;
        let segment = sums.segments.get(row.segment)?;
        row.summary.as_ref().filter(|_| segment.indexes.binary_search(&self.index).is_ok())
    }
}
