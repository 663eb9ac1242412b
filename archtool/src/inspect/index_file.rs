//! What is inside an index file.

use super::dump::{Sink, damage};
use crate::failure::Failure;
use crate::time::iso;
use disk::{FormatError, RealDisk};
use engine::error::Error;
use engine::identity::ArchiveId;
use engine::layout::week_name;
use index::{Entry, Master, MasterRow, NamedChannel, PageCache, PartitionIndex, Statistics};
use sample::{ChannelId, ChannelName, Timestamp};
use serde_json::{Value, json};
use std::path::Path;

/// Bytes of pages kept while a file is read through.
const CACHE_BYTES: usize = 1 << 20;

fn failed(error: FormatError) -> Failure {
    Failure::Engine(Error::Format(error))
}

/// A partition index: itself, then its entries.
pub(super) fn partition(path: &Path, sink: &mut Sink<'_>) -> Result<bool, Failure> {
    let index = PartitionIndex::open(&RealDisk, path, &PageCache::new(CACHE_BYTES)).map_err(failed)?;
    let (info, summary) = (index.info(), index.summary());
    sink(json!({
        "kind": "partition_index", "archive": ArchiveId(info.archive).to_string(), "week": week_name(info.week),
        "generation": info.generation, "bytes": summary.bytes, "entries": summary.entries,
        "channels": summary.channels, "first": summary.span.map(|(first, _)| iso(first.0)),
        "last": summary.span.map(|(_, last)| iso(last.0)),
    }))?;
    let entries = index.entries_from(0, ChannelId(0), Timestamp::MIN);
    lines(entries.map(|entries| entries.map(|entry| entry.map(|entry| described(&entry)))), sink)
}

/// A segment of the master index: itself, then its names, then its rows.
pub(super) fn master(path: &Path, sink: &mut Sink<'_>) -> Result<bool, Failure> {
    let master = Master::open(&RealDisk, path, &PageCache::new(CACHE_BYTES)).map_err(failed)?;
    let (info, summary) = (master.info(), master.summary());
    sink(json!({
        "kind": "master_segment", "archive": ArchiveId(info.archive).to_string(), "segment": info.segment,
        "bytes": summary.bytes, "names": summary.names, "rows": summary.rows,
    }))?;
    let names = master.names_from("");
    let names = lines(names.map(|names| names.map(|name| name.map(|(name, of)| named(&name, &of)))), sink)?;
    let rows = master.all_rows();
    let rows = lines(rows.map(|rows| rows.map(|row| row.map(|row| of_week(&row)))), sink)?;
    Ok(names || rows)
}

/// Hands on what can be read; true if damage was met.
fn lines(
    things: Result<impl Iterator<Item = Result<Value, FormatError>>, FormatError>,
    sink: &mut Sink<'_>,
) -> Result<bool, Failure> {
    let things = match things {
        Ok(things) => things,
        Err(error) if error.is_damage() => return sink(damage(&error)).map(|()| true),
        Err(error) => return Err(failed(error)),
    };
    for thing in things {
        match thing {
            Ok(thing) => sink(thing)?,
            // What lies behind is not reached.
            Err(error) if error.is_damage() => return sink(damage(&error)).map(|()| true),
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(false)
}

fn described(entry: &Entry) -> Value {
    let mut thing = json!({
        "kind": "entry", "rate": entry.rate, "channel": entry.channel.0, "first": iso(entry.first.0),
        "last": iso(entry.last.0), "table": entry.locator.table, "offset": entry.locator.offset,
        "length": entry.locator.len, "slot": entry.locator.slot,
    });
    if let Some(chunk) = &entry.chunk {
        thing["late"] = json!(chunk.late);
        thing["samples"] = json!(chunk.count);
        if let Some(of) = &chunk.statistics {
            statistics(&mut thing, of);
        }
    }
    thing
}

fn of_week(row: &MasterRow) -> Value {
    let summary = &row.summary;
    let mut thing = json!({
        "kind": "row", "rate": summary.rate, "channel": summary.channel.0, "week": week_name(row.week),
        "generation": row.generation, "first": iso(summary.first.0), "last": iso(summary.last.0),
        "entries": summary.entries, "page": summary.position.page, "row": summary.position.row,
        "overlapping": summary.overlapping,
    });
    if let Some(of) = &summary.statistics {
        statistics(&mut thing, of);
    }
    thing
}

fn statistics(thing: &mut Value, of: &Statistics) {
    thing["samples"] = json!(of.count);
    thing["worst"] = json!(of.worst.name());
    thing["invalid"] = json!(of.invalid);
    if let Some(extremes) = of.numeric.and_then(|numeric| numeric.extremes) {
        thing["min"] = json!(extremes.min);
        thing["max"] = json!(extremes.max);
    }
}

fn named(name: &ChannelName, of: &NamedChannel) -> Value {
    json!({
        "kind": "name", "name": name.as_str(), "channel": of.id.0,
        "alias_of": of.alias_of.as_ref().map(ChannelName::as_str),
    })
}
