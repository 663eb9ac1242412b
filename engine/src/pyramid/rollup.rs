//! Joins the rows of several weeks that stand for an hour or longer in one table.

use super::fold::{enough, of_samples};
use super::records::{self, append};
use crate::error::Error;
use crate::limits::{MERGE_CACHE_BYTES, ROLLUP_WIDTH_NS_MIN};
use crate::manifest::{FIRST_GENERATION, TableEntry};
use crate::merge;
use crate::shared::Shared;
use decimator::node::Node;
use decimator::tree::{LEVELS, WIDTHS_NS};
use disk::create_dir_durable;
use sample::{ChannelId, TimeRange};
use sstable::{
    BlockCache, DictionaryRow, Lineage, Profile, Table, TableInfo, TableKind, TableSummary, TableWriter,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

/// Writes the roll-up of `weeks`, decimated tables of one class, and publishes it; says how many bytes it has. `None`
/// when `stop` asked for the end or one of them is live no more.
pub(super) fn carry_out(
    shared: &Shared,
    publishing: &Mutex<()>,
    weeks: &[TableEntry],
    stop: &dyn Fn() -> bool,
) -> Result<Option<u64>, Error> {
    let Some(first) = weeks.iter().min_by_key(|rows| rows.week) else { return Ok(None) };
    let spans = || weeks.iter().filter_map(|rows| rows.samples_span);
    let mut sources: Vec<u64> = weeks.iter().flat_map(|rows| rows.sources.iter().copied()).collect();
    sources.sort_unstable();
    let id = shared.next_table.fetch_add(1, Ordering::Relaxed);
    let template = TableEntry { id, sources, generation: FIRST_GENERATION, sealed: false, ..first.clone() };
    let path = template.path(&shared.layout);
    let (summary, channels) = match write(shared, weeks, &template, &path, stop) {
        Ok(Some(written)) => written,
        other => {
            merge::remove(shared, &path);
            return other.map(|_| None);
        }
    };
    let entry = TableEntry {
        samples_span: spans().map(|span| span.0).min().zip(spans().map(|span| span.1).max()),
        channel_span: channels,
        ..template.holding(&summary)
    };
    super::publish(shared, publishing, weeks, entry)
}

/// The rows of one week's table.
struct Week {
    rows: Table,
    /// What they were made of, unless a retention rule has dropped it.
    source: Option<Arc<Table>>,
}

impl Week {
    /// The table whose dictionary has all channels of the week.
    fn told_by(&self) -> &Table {
        self.source.as_deref().unwrap_or(&self.rows)
    }

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

/// The weeks' tables, opened, in the order of time.
fn open(shared: &Shared, weeks: &[TableEntry]) -> Result<Vec<Week>, Error> {
    let cache = BlockCache::new(MERGE_CACHE_BYTES);
    let view = shared.view();
    let mut weeks: Vec<&TableEntry> = weeks.iter().collect();
    weeks.sort_by_key(|rows| rows.week);
    let opened = weeks.into_iter().map(|entry| {
        let source = view.manifest.tables.iter().find(|of| entry.sources == [of.id]);
        let source = source.map(|of| merge::open(shared, of, &cache)).transpose()?;
        Ok(Week { rows: merge::open(shared, entry, &cache)?, source: source.map(Arc::new) })
    });
    opened.collect()
}

/// The finished table with its lowest and highest channel.
type Written = (TableSummary, (ChannelId, ChannelId));

fn write(
    shared: &Shared,
    weeks: &[TableEntry],
    template: &TableEntry,
    path: &Path,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Written>, Error> {
    let directory = shared.layout.rollup();
    create_dir_durable(&*shared.disk, &directory)?;
    let weeks = open(shared, weeks)?;
    let Some(first) = weeks.first() else { return Ok(None) };
    let known_until = weeks.iter().map(|week| week.rows.info().known_until).max();
    let info = TableInfo {
        table: template.id,
        week: template.week,
        kind: TableKind::Decimated,
        known_until: known_until.unwrap_or(first.rows.info().known_until),
        ..first.rows.info().clone()
    };
    let mut writer = TableWriter::create(&*shared.disk, path, &info)?.for_profile(Profile::Cold);
    writer.descend(&Lineage { sources: template.sources.clone(), ..Lineage::default() })?;
    let mut rows: BTreeMap<ChannelId, DictionaryRow> = BTreeMap::new();
    let told_by: Vec<&Table> = weeks.iter().map(Week::told_by).collect();
    let all = ChannelId(0)..=ChannelId(u64::MAX);
    for level in (0..LEVELS).filter(|level| WIDTHS_NS[*level] >= ROLLUP_WIDTH_NS_MIN) {
        for of in merge::Rows::new(&told_by, all.clone()) {
            let of = of?;
            if stop() {
                return Ok(None);
            }
            let nodes = joined(&weeks, &of, level, shared.settings.decimated_bin_samples)?;
            let (Some((_, row)), false) = (of.last(), nodes.is_empty()) else { continue };
            let mut records = Vec::new();
            append(&nodes, level, row.channel, &mut records);
            for record in records {
                writer.add_record(record.key, record.last, record.payload)?;
            }
            let named = || DictionaryRow::new(row.channel, row.name.clone());
            rows.entry(row.channel).or_insert_with(|| DictionaryRow { types: row.types.clone(), ..named() });
        }
    }
    let ends = rows.keys().next().copied().zip(rows.keys().next_back().copied());
    let summary = writer.finish(rows.into_values())?;
    // I3.
    shared.disk.sync_dir(&directory)?;
    Ok(Some((summary, ends.unwrap_or_default())))
}

/// A channel's nodes of `level` in all weeks, or none where they hold less than `least` samples on average: then samples
/// and the weeks' own rows do. `of` is what each week that knows the channel tells of it.
fn joined(
    weeks: &[Week],
    of: &[(usize, DictionaryRow)],
    level: usize,
    least: u64,
) -> Result<Vec<Node>, Error> {
    // Of rows that have outlived their samples it is not known how many those were.
    let counted = || of.iter().filter(|(at, _)| weeks[*at].source.is_some()).map(|(_, row)| row);
    if counted().next().is_some() && !enough(counted(), level, least) {
        return Ok(Vec::new());
    }
    let mut nodes = Vec::new();
    for (at, row) in of {
        nodes.extend(weeks[*at].nodes(row.channel, level)?);
    }
    Ok(nodes)
}
