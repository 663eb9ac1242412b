//! Index files as text.

use super::parts::{double, escaped};
use super::{Read, planted, shortened};
use crate::decoders;
use crate::golden::indexes::{MASTER, PARTITION};
use index::*;
use sample::TimeRange;
use std::fmt::Write;
use std::path::Path;

/// Rows at either end of a file that are shown.
const ROWS_SHOWN: usize = 16;

pub(super) fn partition(bytes: &[u8]) -> Read<String> {
    let disk = planted(PARTITION, bytes)?;
    let index = PartitionIndex::open(&disk, Path::new(PARTITION), &PageCache::new(1 << 20))?;
    let (info, summary) = (index.info(), index.summary());
    let mut text = format!(
        "archive {:032x} week {} generation {}: {} entries, {} channels, span {:?}\n",
        info.archive,
        info.week.0,
        info.generation,
        summary.entries,
        summary.channels,
        summary.span.map(|(first, last)| (first.0, last.0))
    );
    let mut lines = Vec::new();
    for channel in index.channels(|entry| Ok(decoders::statistics_of(entry)))? {
        let of = channel?;
        let mut found = 0;
        for entry in index.entries(of.rate, of.channel, TimeRange::ALL)? {
            lines.push(format!("{}\n", line(&entry?)));
            found += 1;
        }
        if found != of.entries {
            return Err(format!("channel {} has {found} entries, not {}", of.channel.0, of.entries).into());
        }
    }
    text.push_str(&shortened(&lines, ROWS_SHOWN));
    index.verify()?;
    Ok(text)
}

fn line(entry: &Entry) -> String {
    let place = &entry.locator;
    let mut text = format!(
        "rate {} channel {} {} to {} in table {} at {} len {}",
        entry.rate, entry.channel.0, entry.first.0, entry.last.0, place.table, place.offset, place.len
    );
    if let Some(slot) = place.slot {
        let _ = write!(text, " slot {slot}");
    }
    if let Some(chunk) = &entry.chunk {
        let late = if chunk.late { " late" } else { "" };
        let ranks = (chunk.first_rank, chunk.last_rank);
        let of = chunk.statistics.as_ref().map_or("in the chunk".to_string(), statistics);
        let _ =
            write!(text, "{late} ranks {ranks:?} header {} samples {} {of}", chunk.header_len, chunk.count);
    }
    text
}

fn statistics(of: &Statistics) -> String {
    let mut text = format!("count {} worst {} invalid {}", of.count, of.worst.name(), of.invalid);
    if let Some(numeric) = &of.numeric {
        let _ = write!(text, " first {} last {}", double(numeric.first), double(numeric.last));
        if let Some(e) = &numeric.extremes {
            let (least, most) = (double(e.min), double(e.max));
            let _ = write!(text, " min {least} at {} max {most} at {}", e.min_time.0, e.max_time.0);
        }
        let counts = (numeric.nan, numeric.positive_infinite, numeric.negative_infinite);
        let _ = write!(text, " not finite {counts:?}");
    }
    text
}

pub(super) fn master(bytes: &[u8]) -> Read<String> {
    let disk = planted(MASTER, bytes)?;
    let master = Master::open(&disk, Path::new(MASTER), &PageCache::new(1 << 20))?;
    let (info, summary) = (master.info(), master.summary());
    let mut text = format!(
        "archive {:032x} segment {}: {} names, {} rows\n",
        info.archive, info.segment, summary.names, summary.rows
    );
    for named in master.names_from("")? {
        let (name, of) = named?;
        if master.find(name.as_str())?.as_ref() != Some(&of) {
            return Err(format!("{name} is not found").into());
        }
        let alias =
            of.alias_of.map_or(String::new(), |of| format!(" alias of {}", escaped(of.as_str().as_bytes())));
        writeln!(text, "name {} is {}{alias}", escaped(name.as_str().as_bytes()), of.id.0)?;
    }
    let mut lines = Vec::new();
    for row in master.all_rows()? {
        let row = row?;
        let of = &row.summary;
        let mut line = format!(
            "rate {} channel {} week {} generation {} at page {} row {}: {} entries {} to {}",
            of.rate,
            of.channel.0,
            row.week.0,
            row.generation,
            of.position.page,
            of.position.row,
            of.entries,
            of.first.0,
            of.last.0
        );
        if of.overlapping {
            line.push_str(" overlapping");
        }
        if let Some(of) = &of.statistics {
            let _ = write!(line, " {}", statistics(of));
        }
        lines.push(line + "\n");
    }
    text.push_str(&shortened(&lines, ROWS_SHOWN));
    master.verify()?;
    Ok(text)
}
