//! `stat`: what an archive directory holds.

use crate::command_line::Outcome;
use crate::failure::Failure;
use crate::place::directory;
use crate::print::{JsonOption, Rows, json};
use crate::range::ZoneOption;
use crate::stock::{Partition, Pile, Stock};
use crate::time::{iso, readable};
use engine::clock::{Clock, SystemClock};
use jiff::tz::TimeZone;
use sample::Timestamp;
use serde_json::{Value, json};

/// Print what an archive directory holds: partitions, SSTables, WAL, index; sizes, counts, bytes a sample, compression
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Archive directory
    #[arg(value_name = "DIR")]
    directory: String,
    #[command(flatten)]
    zone: ZoneOption,
    #[command(flatten)]
    json: JsonOption,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let stock = Stock::take(&directory(&arguments.directory)?)?;
    if arguments.json.json {
        json(&document(&stock))?;
        return Ok(Outcome::Done);
    }
    let zone = arguments.zone.zone()?;
    let mut rows = Rows::new(&[
        "part",
        "state",
        ">files",
        ">bytes",
        ">samples",
        ">bytes/sample",
        ">compression",
        ">late_files",
        "first",
        "last",
    ])?;
    let mut total = Partition::default();
    for (name, partition) in named(&stock) {
        add(&mut total, &partition);
        rows.row(cells(&name, &partition, &zone, rows.readable()))?;
    }
    for (name, pile) in [("wal", stock.wal), ("index", stock.index)] {
        add(&mut total, &Partition { files: pile, ..Partition::default() });
        rows.row(cells(name, &Partition { files: pile, ..Partition::default() }, &zone, rows.readable()))?;
    }
    rows.row(cells("all", &total, &zone, rows.readable()))?;
    rows.finish()?;
    Ok(Outcome::Done)
}

fn named(stock: &Stock) -> Vec<(String, Partition)> {
    stock.partitions().into_iter().map(|((_, directory), partition)| (directory, partition)).collect()
}

/// What became of a partition.
fn state(part: &Partition) -> &'static str {
    match (part.files.files, part.sealed, part.beside) {
        (0, ..) => "",
        (_, true, _) => "sealed",
        (_, _, true) => "late",
        _ => "open",
    }
}

fn add(total: &mut Partition, part: &Partition) {
    total.files.files += part.files.files;
    total.files.bytes += part.files.bytes;
    total.samples += part.samples;
    total.raw_bytes += part.raw_bytes;
    total.late += part.late;
    total.span = match (total.span, part.span) {
        (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
        (span, other) => span.or(other),
    };
}

/// Bytes on disk for each sample, and how many times smaller that is than the samples themselves.
fn density(part: &Partition) -> Option<(f64, f64)> {
    let bytes = part.files.bytes as f64;
    (part.samples > 0).then(|| (bytes / part.samples as f64, part.raw_bytes as f64 / bytes.max(1.0)))
}

fn cells(name: &str, part: &Partition, zone: &TimeZone, for_people: bool) -> Vec<String> {
    let time = |time: Option<Timestamp>| match time {
        Some(time) if for_people => readable(time.0, zone),
        Some(time) => iso(time.0),
        None => String::new(),
    };
    let density = density(part);
    vec![
        name.to_owned(),
        if name.starts_with("weeks/") { state(part).to_owned() } else { String::new() },
        part.files.files.to_string(),
        part.files.bytes.to_string(),
        part.samples.to_string(),
        density.map_or_else(String::new, |(bytes, _)| format!("{bytes:.3}")),
        density.map_or_else(String::new, |(_, ratio)| format!("{ratio:.2}")),
        part.late.to_string(),
        time(part.span.map(|(first, _)| first)),
        time(part.span.map(|(_, last)| last)),
    ]
}

fn document(stock: &Stock) -> Value {
    let pile = |pile: Pile| json!({"files": pile.files, "bytes": pile.bytes});
    let partition = |(name, part): (String, Partition)| {
        let density = density(&part);
        json!({
            "name": name, "state": state(&part), "tables": part.files.files, "bytes": part.files.bytes, "samples": part.samples,
            "raw_bytes": part.raw_bytes, "bytes_per_sample": density.map(|(bytes, _)| bytes),
            "compression": density.map(|(_, ratio)| ratio), "late_tables": part.late,
            "first_ns": part.span.map(|(first, _)| first.0), "last_ns": part.span.map(|(_, last)| last.0),
        })
    };
    let (major, minor) = stock.identity.version;
    let weeks = stock.weeks(SystemClock.now());
    json!({
        "archive": {
            "id": stock.identity.id.to_string(), "created_ns": stock.identity.created.0,
            "format": format!("{major}.{minor}"),
        },
        "manifest": {
            "generation": stock.manifest.generation, "tables": stock.manifest.tables.len(),
            "dropped_files": stock.manifest.dropped.len(), "retention_classes": stock.manifest.classes,
        },
        "weeks": {"open": weeks.open, "sealed": weeks.sealed, "backlog": weeks.backlog},
        "partitions": named(stock).into_iter().map(partition).collect::<Vec<_>>(),
        "wal": pile(stock.wal),
        "index": pile(stock.index),
        "samples_in_tables": stock.manifest.tables.iter().map(|table| table.samples).sum::<u64>(),
        "table_bytes": stock.table_bytes(),
    })
}
