//! Rows of several sealed weeks, to be joined.

use super::fold::{enough, of_samples};
use super::records;
use super::rollup::Parts;
use crate::error::Error;
use crate::limits::MERGE_CACHE_BYTES;
use crate::manifest::TableEntry;
use crate::merge;
use crate::shared::Shared;
use decimator::node::Node;
use decimator::tree::WIDTHS_NS;
use sample::{ChannelId, TimeRange};
use sstable::{BlockCache, DictionaryRow, Table};
use std::sync::Arc;

/// The weeks' decimated tables, in the order of time.
pub(super) struct Weeks {
    weeks: Vec<Week>,
    /// Samples of a node, on average, from which on it is worth its room.
    least: u64,
}

/// The rows of one week's table.
struct Week {
    rows: Table,
    /// What they were made of, unless a retention rule has dropped it.
    source: Option<Arc<Table>>,
}

impl Weeks {
    /// Opens decimated tables of one source each.
    pub(super) fn open(shared: &Shared, weeks: &[TableEntry]) -> Result<Weeks, Error> {
        let cache = BlockCache::new(MERGE_CACHE_BYTES);
        let view = shared.view();
        let mut weeks: Vec<&TableEntry> = weeks.iter().collect();
        weeks.sort_by_key(|rows| rows.week);
        let opened = weeks.into_iter().map(|entry| {
            let source = view.manifest.tables.iter().find(|of| entry.sources == [of.id]);
            let source = source.map(|of| merge::open(shared, of, &cache)).transpose()?;
            Ok(Week { rows: merge::open(shared, entry, &cache)?, source: source.map(Arc::new) })
        });
        let weeks = opened.collect::<Result<_, Error>>()?;
        Ok(Weeks { weeks, least: shared.settings.decimated_bin_samples })
    }
}

impl Week {
    /// The nodes of `level` that all of a channel's samples in the week make.
    fn nodes(&self, channel: ChannelId, level: usize) -> Result<Vec<Node>, Error> {
        let mut nodes = Vec::new();
        for entry in self.rows.entries(WIDTHS_NS[level].cast_unsigned(), channel, TimeRange::ALL) {
            nodes.extend(records::read(&self.rows, &entry?, level)?);
        }
        match &self.source {
            // Not stored in that week: its samples are few.
            Some(source) if nodes.is_empty() => of_samples(source, channel, level),
            _ => Ok(nodes),
        }
    }
}

impl Parts for Weeks {
    fn told_by(&self) -> Vec<&Table> {
        self.weeks.iter().map(|week| week.source.as_deref().unwrap_or(&week.rows)).collect()
    }

    fn nodes(&self, of: &[(usize, DictionaryRow)], level: usize) -> Result<Vec<Node>, Error> {
        // Of rows that have outlived their samples it is not known how many those were.
        let counted = || of.iter().filter(|(at, _)| self.weeks[*at].source.is_some()).map(|(_, row)| row);
        if counted().next().is_some() && !enough(counted(), level, self.least) {
            return Ok(Vec::new());
        }
        let mut nodes = Vec::new();
        for (at, row) in of {
            nodes.extend(self.weeks[*at].nodes(row.channel, level)?);
        }
        Ok(nodes)
    }
}
