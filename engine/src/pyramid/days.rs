//! Rows of several tables of a week that goes on, to be joined: where tables meet, their samples are folded.

use super::fold::{damage, enough, fold_samples, folding, runs};
use super::read::TableRows;
use super::rollup::Parts;
use crate::error::Error;
use crate::limits::MERGE_CACHE_BYTES;
use crate::manifest::TableEntry;
use crate::merge;
use crate::read::{ReadError, Rows, Run, Stretch, Stretches};
use crate::shared::Shared;
use decimator::bins::Bin;
use decimator::fold::{Fold, Folding};
use decimator::node::Node;
use decimator::tree::{LEVELS, node_at};
use sample::{ChannelId, TimeRange, Timestamp};
use sstable::{BlockCache, DictionaryRow, Table};
use std::collections::HashSet;
use std::sync::Arc;

/// The tables of rows, and all that they were made of.
pub(super) struct Days {
    rows: Vec<(TableEntry, Arc<Table>)>,
    sources: Vec<Arc<Table>>,
    /// Those that have rows. Of others all samples would have to be read.
    channels: HashSet<ChannelId>,
    /// The days that samples lie in.
    range: TimeRange,
    /// Samples of a node, on average, from which on it is worth its room.
    least: u64,
}

/// The level of days, the greatest.
const DAYS: usize = LEVELS - 1;

impl Days {
    /// Opens decimated tables and their sources, all of which are live.
    pub(super) fn open(shared: &Shared, tables: &[TableEntry]) -> Result<Days, Error> {
        let cache = BlockCache::new(MERGE_CACHE_BYTES);
        let view = shared.view();
        let opened = |of: &TableEntry| Ok::<_, Error>(Arc::new(merge::open(shared, of, &cache)?));
        let rows = tables.iter().map(|of| Ok((of.clone(), opened(of)?)));
        let rows: Vec<(TableEntry, Arc<Table>)> = rows.collect::<Result<_, Error>>()?;
        let mut channels = HashSet::new();
        for row in rows.iter().flat_map(|(_, table)| table.dictionary()) {
            channels.insert(row?.channel);
        }
        let is_source =
            |of: &&TableEntry| tables.iter().any(|rows| rows.sources.binary_search(&of.id).is_ok());
        let sources = view.manifest.tables.iter().filter(is_source);
        let sources = sources.map(opened).collect::<Result<_, Error>>()?;
        let spans = || tables.iter().filter_map(|rows| rows.samples_span);
        let first = spans().map(|span| span.0.0).min().unwrap_or(0);
        let last = spans().map(|span| span.1.0).max().unwrap_or(0);
        let range = TimeRange::new(Timestamp(node_at(first, DAYS).0), Timestamp(node_at(last, DAYS).1));
        Ok(Days { rows, sources, channels, range, least: shared.settings.decimated_bin_samples })
    }

    /// Folds as whoever reads does, from the rows that are there.
    fn fold(&self, channel: ChannelId, level: usize) -> Result<Vec<Node>, ReadError> {
        let runs: Vec<Arc<dyn Run>> = self.sources.iter().flat_map(|table| runs(table, channel)).collect();
        let rows = self.rows.iter().filter_map(|(entry, table)| {
            let rows = TableRows::new(table.clone().into(), entry, channel, entry.samples_span?);
            Some(Arc::new(rows) as Arc<dyn Rows>)
        });
        let folding = Folding { range: self.range, ..folding(level) };
        let mut nodes: Vec<Node> = Vec::new();
        let mut fold = Fold::new(&folding);
        let mut numbers = Vec::new();
        let mut sink = |bin: &Bin| nodes.extend(bin.node);
        for stretch in Stretches::new(&folding, &runs, &rows.collect::<Vec<_>>())? {
            match stretch {
                Stretch::Nodes(of) => fold.nodes(of.level, of.nodes(), &mut sink),
                Stretch::Samples(range) => fold_samples(&mut fold, &runs, range, &mut numbers, &mut sink)?,
            }
        }
        fold.finish(&mut sink);
        Ok(nodes)
    }
}

impl Parts for Days {
    fn told_by(&self) -> Vec<&Table> {
        self.sources.iter().map(|table| &**table).collect()
    }

    fn nodes(&self, of: &[(usize, DictionaryRow)], level: usize) -> Result<Vec<Node>, Error> {
        let Some((at, row)) = of.first().filter(|(_, row)| self.channels.contains(&row.channel)) else {
            return Ok(Vec::new());
        };
        if !enough(of.iter().map(|(_, row)| row), level, self.least) {
            return Ok(Vec::new());
        }
        self.fold(row.channel, level).map_err(|error| damage(error, &self.sources[*at]))
    }
}
