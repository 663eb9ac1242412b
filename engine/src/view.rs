//! The live files of an archive at one moment.

use crate::damage::DamageLog;
use crate::indexed_table::{Covering, IndexedTable};
use crate::manifest::Manifest;
use crate::open_indexes::OpenIndexes;
use crate::planted::{Bug, planted};
use index::{Partitions, TableSpan};
use sample::{TimeRange, Week};
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
        IndexedTable::new(self.tables[table].clone(), self.covering(table))
    }

    /// The channel that a name stands for, if the master index knows it.
    pub(crate) fn channel(&self, name: &str) -> Option<sample::ChannelId> {
        self.indexes.as_ref()?.channel(&self.manifest, name)
    }

    fn covering(&self, table: usize) -> Option<Covering> {
        let (files, entry) = (self.indexes.as_ref()?, &self.manifest.tables[table]);
        let covers = |of: &&crate::manifest::PartitionIndexEntry| {
            of.week == entry.week
                && (of.tables.binary_search(&entry.id).is_ok() || planted(Bug::StaleIndexUsed))
        };
        let of = self.manifest.partition_indexes.iter().find(covers)?;
        Some(Covering { id: of.id, index: files.partition(of)?, files: files.clone() })
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

    /// Tables that matter for a channel's `range`, its edge and its successor: from the base week on, and
    /// any other whose samples touch the range.
    pub fn tables_for(&self, channel: sample::ChannelId, range: TimeRange) -> Vec<(usize, Week)> {
        let base = self.base_week(Week::containing(range.from));
        let wanted = |span: &&TableSpan| {
            span.channels.0 <= channel
                && channel <= span.channels.1
                && (base.is_none_or(|base| span.week >= base)
                    || span.samples.is_some_and(|(first, last)| range.touches(first, last)))
        };
        self.partitions.all().iter().filter(wanted).map(|span| (span.table, span.week)).collect()
    }
}
