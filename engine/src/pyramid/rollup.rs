//! Joins the rows of several tables in one.

use super::days::Days;
use super::due::Rollup;
use super::records::append;
use super::weeks::Weeks;
use crate::error::Error;
use crate::manifest::{FIRST_GENERATION, TableEntry};
use crate::merge;
use crate::shared::Shared;
use decimator::node::Node;
use decimator::tree::{LEVELS, WIDTHS_NS};
use disk::create_dir_durable;
use sample::ChannelId;
use sstable::{DictionaryRow, Lineage, Profile, Table, TableInfo, TableKind, TableSummary, TableWriter};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

/// What a roll-up is made of.
pub(super) trait Parts {
    /// The tables whose dictionaries together have all channels.
    fn told_by(&self) -> Vec<&Table>;

    /// The nodes of `level` that all of a channel's samples in all parts make, or none where the samples are few. `of` is
    /// what each of [`Parts::told_by`] that knows the channel tells of it.
    fn nodes(&self, of: &[(usize, DictionaryRow)], level: usize) -> Result<Vec<Node>, Error>;
}

/// Writes a roll-up and publishes it; says how many bytes it has. `None` when `stop` asked for the end or one of the
/// tables that it is made of is live no more.
pub(super) fn carry_out(
    shared: &Shared,
    publishing: &Mutex<()>,
    of: &Rollup,
    stop: &dyn Fn() -> bool,
) -> Result<Option<u64>, Error> {
    let Some(first) = of.tables().iter().min_by_key(|rows| rows.week) else { return Ok(None) };
    let spans = || of.tables().iter().filter_map(|rows| rows.samples_span);
    let mut sources: Vec<u64> = of.tables().iter().flat_map(|rows| rows.sources.iter().copied()).collect();
    sources.sort_unstable();
    let id = shared.next_table.fetch_add(1, Ordering::Relaxed);
    let template = TableEntry { id, sources, generation: FIRST_GENERATION, sealed: false, ..first.clone() };
    let path = template.path(&shared.layout);
    let (summary, channels) = match write(shared, of, &template, &path, stop) {
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
    let rollup = entry.clone();
    super::publish(shared, publishing, of.tables(), entry, &|other| of.replaces(other, &rollup))
}

/// The finished table with its lowest and highest channel.
type Written = (TableSummary, (ChannelId, ChannelId));

fn write(
    shared: &Shared,
    of: &Rollup,
    template: &TableEntry,
    path: &Path,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Written>, Error> {
    let directory = shared.layout.rollup();
    create_dir_durable(&*shared.disk, &directory)?;
    let parts: Box<dyn Parts> = match of {
        Rollup::Weeks(tables) => Box::new(Weeks::open(shared, tables)?),
        Rollup::Days(tables) => Box::new(Days::open(shared, tables)?),
    };
    let told_by = parts.told_by();
    let Some(first) = told_by.first() else { return Ok(None) };
    let known_until = told_by.iter().map(|table| table.info().known_until).max();
    let info = TableInfo {
        table: template.id,
        week: template.week,
        kind: TableKind::Decimated,
        known_until: known_until.unwrap_or(first.info().known_until),
        ..first.info().clone()
    };
    let mut writer = TableWriter::create(&*shared.disk, path, &info)?.for_profile(Profile::Cold);
    writer.descend(&Lineage { sources: template.sources.clone(), ..Lineage::default() })?;
    let mut rows: BTreeMap<ChannelId, DictionaryRow> = BTreeMap::new();
    let all = ChannelId(0)..=ChannelId(u64::MAX);
    for level in (0..LEVELS).filter(|level| WIDTHS_NS[*level] >= of.narrowest_ns()) {
        for told in merge::Rows::new(&told_by, all.clone()) {
            let told = told?;
            if stop() {
                return Ok(None);
            }
            let nodes = parts.nodes(&told, level)?;
            let (Some((_, row)), false) = (told.last(), nodes.is_empty()) else { continue };
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
