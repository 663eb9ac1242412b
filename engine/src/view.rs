//! The live files of an archive at one moment.

use crate::damage::DamageLog;
use crate::indexed_table::{Covering, IndexedTable};
use crate::manifest::{Manifest, PartitionIndexEntry};
use crate::open_indexes::OpenIndexes;
use crate::planted::{Bug, planted};
use crate::week_sums::{WeekSum, WeekSums};
use index::{Partitions, TableSpan};
use sample::{ChannelId, TimeRange, Timestamp, Week};
use sstable::Table;
use std::sync::Arc;

/// Live files and what they leave to memory.
#[derive(Debug)]
pub struct View {
    /// The manifest that names them.
    pub manifest: Manifest,
    /// The tables, in the order of the manifest.
    pub tables: Vec<Arc<Table>>,
    /// Where to look.
    pub partitions: Partitions,
    /// Memtable epochs up to this one are in the tables (I2).
    pub flushed_epoch: u64,
    /// Damage met in the tables; it goes along from view to view.
    pub damage: Arc<DamageLog>,
    /// The index files that the manifest names; they go along, too.
    pub(crate) indexes: Option<Arc<OpenIndexes>>,
}

impl View {
    /// Over opened tables, in the order of the manifest.
    pub fn new(manifest: Manifest, tables: Vec<Arc<Table>>, flushed_epoch: u64) -> View {
        let spans = manifest.tables.iter().enumerate().map(|(table, entry)| TableSpan {
            table,
            week: entry.week,
            // Decimated tables have no samples of their own.
            samples: entry.samples_span.filter(|_| !entry.decimated),
            channels: entry.channel_span,
        });
        View {
            partitions: Partitions::new(spans.collect()),
            manifest,
            tables,
            flushed_epoch,
            damage: Arc::default(),
            indexes: None,
        }
    }

    /// With index files.
    pub(crate) fn with_indexes(mut self, indexes: Arc<OpenIndexes>) -> View {
        indexes.keep(&self.manifest);
        self.indexes = Some(indexes);
        self
    }

    /// A table by its place in the manifest, with the index of its week if that holds its entries.
    pub(crate) fn indexed(&self, table: usize) -> IndexedTable {
        IndexedTable::new(
            self.tables[table].clone(),
            self.covering(table),
            self.manifest.tables[table].sealed,
        )
    }

    /// The channel that a name stands for, if the master index knows it.
    pub(crate) fn channel(&self, name: &str) -> Option<ChannelId> {
        self.indexes.as_ref()?.channel(&self.manifest, name)
    }

    /// What the master index says of the weeks of a channel, for a range so long that it may tell of whole weeks.
    pub(crate) fn week_sums(&self, channel: ChannelId, range: TimeRange) -> Option<Arc<WeekSums>> {
        let files = self.indexes.as_ref()?;
        let segments = &self.manifest.master_segments;
        let tells = !segments.is_empty() && Week::containing(range.from) < Week::containing(range.to);
        tells.then(|| WeekSums::new(files.clone(), segments.clone(), channel))
    }

    /// What `sums` says of all samples that a table has of `channel`, where the index of its week tells of no others.
    pub(crate) fn week_sum(&self, sums: &Arc<WeekSums>, table: usize, channel: ChannelId) -> Option<WeekSum> {
        let (entry, of) = (&self.manifest.tables[table], self.index_of(table)?);
        let of_week = self.partitions.week(entry.week);
        let has_some = |span: &&TableSpan| {
            span.samples.is_some() && span.channels.0 <= channel && channel <= span.channels.1
        };
        let live = |id: &u64| of_week.iter().any(|span| self.manifest.tables[span.table].id == *id);
        let alone = of_week.iter().filter(has_some).count() == 1 && of.tables.iter().all(live);
        let partition = (of.week, of.generation);
        (alone && !entry.late).then(|| WeekSum { sums: sums.clone(), partition, index: of.id })
    }

    fn covering(&self, table: usize) -> Option<Covering> {
        let (files, of) = (self.indexes.as_ref()?, self.index_of(table)?);
        Some(Covering { of: of.clone(), files: files.clone() })
    }

    /// The index that holds the entries of a table.
    fn index_of(&self, table: usize) -> Option<&PartitionIndexEntry> {
        let entry = &self.manifest.tables[table];
        let covers = |of: &&PartitionIndexEntry| {
            of.week == entry.week
                && (of.tables.binary_search(&entry.id).is_ok() || planted(Bug::StaleIndexUsed))
        };
        self.manifest.partition_indexes.iter().find(covers)
    }

    /// The latest week at or before `week` whose partition begins with carry-in; everything about times
    /// from its start on is in partitions from it on. Where all before some week was removed, that week is it
    /// for all times before, too.
    pub fn base_week(&self, week: Week) -> Option<Week> {
        let tables = &self.manifest.tables;
        let open = || tables.iter().filter(|t| t.holds_carry_in).map(|t| t.week);
        let first = || open().min().filter(|first| tables.iter().all(|t| t.decimated || t.week >= *first));
        open().filter(|open| *open <= week).max().or_else(first)
    }

    /// Whether a week's partition begins with carry-in.
    pub fn is_open(&self, week: Week) -> bool {
        self.manifest.tables.iter().any(|t| t.holds_carry_in && t.week == week)
    }

    /// Tables that may hold samples of a channel in `range`, or the last one before it or on its end: from the base
    /// week on those that begin by then, and any other whose samples touch the range.
    pub fn tables_for(&self, channel: ChannelId, range: TimeRange) -> impl Iterator<Item = usize> {
        let base = self.base_week(Week::containing(range.from));
        self.with_samples(channel).filter_map(move |(span, first, last)| {
            let known = base.is_none_or(|base| span.week >= base) && first <= range.to;
            (known || range.touches(first, last)).then_some(span.table)
        })
    }

    /// Tables from the base week on that begin behind `range`, by their first times.
    pub fn tables_behind(&self, channel: ChannelId, range: TimeRange) -> Vec<usize> {
        let base = self.base_week(Week::containing(range.from));
        let is_behind = |(span, first, _): &(&TableSpan, Timestamp, Timestamp)| {
            base.is_none_or(|base| span.week >= base) && *first > range.to
        };
        let mut behind: Vec<_> = self.with_samples(channel).filter(is_behind).collect();
        behind.sort_by_key(|(_, first, _)| *first);
        behind.into_iter().map(|(span, ..)| span.table).collect()
    }

    /// Tables that may hold samples of a channel, with their first and last times.
    fn with_samples(&self, channel: ChannelId) -> impl Iterator<Item = (&TableSpan, Timestamp, Timestamp)> {
        let holds = move |span: &&TableSpan| {
            span.channels.0 <= channel
                && channel <= span.channels.1
                && self.manifest.tables[span.table].samples > 0
        };
        self.partitions.all().iter().filter(holds).filter_map(move |span| {
            let (first, last) = span.samples?;
            Some((span, first, last))
        })
    }
}
