//! An SSTable as text.

use super::parts::{archiving, carry_in, channel_record, double, escaped, event, metadata, sample};
use super::{Read, planted, shortened};
use sample::{Column, Timestamp};
use sstable::*;
use std::fmt::Write;
use std::path::Path;

const PATH: &str = "/golden.sst";
/// Samples at either end of a chunk that are shown.
const SAMPLES_SHOWN: usize = 4;

pub(super) fn text(bytes: &[u8]) -> Read<String> {
    let disk = planted(PATH, bytes)?;
    let table = Table::open(&disk, Path::new(PATH), &BlockCache::new(1 << 20))?;
    let (info, summary) = (table.info(), table.summary());
    let mut text = format!(
        "archive {:032x} table {} week {} class {} \"{}\" {:?} known_until {} tier {}\n",
        info.archive,
        info.table,
        info.week.0,
        info.class,
        info.class_name,
        info.kind,
        info.known_until.0,
        info.tier
    );
    writeln!(
        text,
        "{} blocks, {} chunks ({} late), {} records, {} samples, span {}, channels {}, {} rows",
        summary.blocks,
        summary.chunks,
        summary.late_chunks,
        summary.records,
        summary.samples,
        ends(summary.span.map(|(first, last)| (first.0, last.0))),
        ends(summary.channel_range.map(|(least, greatest)| (least.0, greatest.0))),
        summary.channels
    )?;
    if let Some(lineage) = table.lineage()? {
        writeln!(
            text,
            "lineage through {} next_channel {} next_sequence {} value_bytes {} sequences {:?} group {:?} parts {:?}",
            lineage.through,
            lineage.next_channel,
            lineage.next_sequence,
            lineage.value_bytes,
            lineage.sequences,
            lineage.group,
            lineage.parts
        )?;
        if !lineage.sources.is_empty() {
            writeln!(text, "decimated from {:?}", lineage.sources)?;
        }
    }
    for row in table.dictionary() {
        let row = row?;
        let line = dictionary_row(&row)?;
        let alone = table.dictionary_row(row.channel)?.as_ref().map(dictionary_row).transpose()?;
        if alone.as_ref() != Some(&line) {
            return Err(format!("row {} alone is {alone:?}", row.channel.0).into());
        }
        text.push_str(&line);
    }
    for entry in table.all_entries() {
        let entry = entry?;
        match &entry.chunk {
            Some(_) => chunk(&table, &entry, &mut text)?,
            None => record(&table, &entry, &mut text)?,
        }
    }
    let found = verify(&disk, Path::new(PATH), true)?;
    match found.problems.first() {
        Some(problem) => Err(problem.to_string().into()),
        None => Ok(text),
    }
}

fn ends<T: std::fmt::Display>(ends: Option<(T, T)>) -> String {
    ends.map_or("none".to_string(), |(first, last)| format!("{first} to {last}"))
}

fn dictionary_row(row: &DictionaryRow) -> Read<String> {
    let mut text = String::new();
    write!(text, "row {} {}", row.channel.0, escaped(row.name.as_str().as_bytes()))?;
    for alias in &row.aliases {
        write!(text, " alias={}", escaped(alias.as_str().as_bytes()))?;
    }
    if let Some(newest) = &row.newest {
        write!(text, " newest={},{},{:016x}", newest.time.0, newest.rank, newest.fingerprint)?;
    }
    write!(text, " late={}", row.next_late_rank)?;
    if let Some((time, sequence)) = row.first_sample {
        write!(text, " first={},{sequence}", time.0)?;
    }
    write!(text, " span={} samples={}", ends(row.span.map(|(a, b)| (a.0, b.0))), row.samples)?;
    for description in &row.types {
        let descriptor = description.descriptor.as_ref().map_or(String::new(), |bytes| escaped(bytes));
        write!(text, " type={}{descriptor}", description.value.name())?;
    }
    if let Some((state, since)) = row.archiving {
        write!(text, " {}={}", archiving(state), since.0)?;
    }
    if let Some((since, of)) = &row.metadata {
        write!(text, " metadata=({})", metadata(*since, of))?;
    }
    writeln!(text, " as_of={}", row.as_of)?;
    Ok(text)
}

fn statistics(of: &Statistics) -> String {
    let mut text = format!("count {} worst {} invalid {}", of.count, of.worst.name(), of.invalid);
    if let Some(numeric) = &of.numeric {
        let _ = write!(text, " first {} last {}", double(numeric.first), double(numeric.last));
        if let Some(e) = &numeric.extremes {
            let _ = write!(
                text,
                " min {} at {} max {} at {}",
                double(e.min),
                e.min_time.0,
                double(e.max),
                e.max_time.0
            );
        }
        let counts = (numeric.nan, numeric.positive_infinite, numeric.negative_infinite);
        let _ = write!(text, " not finite {counts:?}");
    }
    text
}

fn chunk(table: &Table, entry: &Entry, text: &mut String) -> Read<()> {
    let header = table.chunk_header(entry)?;
    let columns: Vec<String> = header.column_tags().map(|(tag, codec)| format!("{tag}:{codec}")).collect();
    let late = if header.late { " late" } else { "" };
    let relation = if header.time_depth() == 1 { "near" } else { "of" };
    let references = header.time_references();
    let times = references.first().map_or(String::new(), |of| format!(" times {relation} {}", of.channel.0));
    writeln!(
        text,
        "chunk of {} {}{late} {} page(s) columns {}{times}",
        entry.key.channel.0,
        header.run.value.name(),
        header.pages().len(),
        columns.join(" ")
    )?;
    writeln!(text, "  {}", statistics(&header.statistics))?;
    if let Some((least, greatest)) = header.received_delay {
        writeln!(text, "  received {least} to {greatest} ns later")?;
    }
    let zones = header.zones()?;
    if zones.len() > header.pages().len() {
        let zones = zones.iter().map(|zone| match zone.bounds {
            Some((least, most)) => format!("{} from {} to {}", zone.first.0, double(least), double(most)),
            None => zone.first.0.to_string(),
        });
        writeln!(text, "  zones {}", zones.collect::<Vec<_>>().join("; "))?;
    }
    let block = table.all_samples(entry)?;
    let lines: Vec<String> = (0..block.len()).map(|i| format!("  {}\n", sample(&block.get(i)))).collect();
    text.push_str(&shortened(&lines, SAMPLES_SHOWN));
    Ok(())
}

fn record(table: &Table, entry: &Entry, text: &mut String) -> Read<()> {
    let payload = table.payload(entry)?;
    let (kind, lines): (&str, Vec<String>) = match entry.key.rate {
        Key::EVENTS => ("events", decode_events(&payload)?.iter().map(event).collect()),
        Key::METADATA => {
            let list = decode_metadata(&payload)?;
            ("metadata", list.iter().map(|(since, of)| metadata(*since, of)).collect())
        }
        Key::CARRY_IN => {
            let mut lines = carry_in(&decode_carry_in(&payload)?);
            if let Some(told) = table.timeline(&payload)? {
                lines.push(format!(
                    "timeline: {} events, {} metadata",
                    told.events.len(),
                    told.metadata.len()
                ));
                lines.extend(told.events.iter().map(event));
                lines.extend(told.metadata.iter().map(|(since, of)| metadata(*since, of)));
            }
            ("carry-in", lines)
        }
        Key::CHANNELS => {
            ("channel records", decode_channel_records(&payload)?.iter().map(channel_record).collect())
        }
        Key::DECIMATED.. => ("decimated rows", decimated(&decode_bins(&payload)?)),
        rate => return Err(format!("a record of rate {rate}").into()),
    };
    let Timestamp(last) = entry.last;
    writeln!(text, "{kind} of {} from {} to {last}", entry.key.channel.0, entry.key.bin)?;
    lines.iter().try_for_each(|line| writeln!(text, "  {line}"))?;
    Ok(())
}

/// Columns of decimated rows, doubles as their bits.
fn decimated(bins: &BinColumns) -> Vec<String> {
    let values = |column: &Column| match column {
        Column::Float64(values) => values.iter().map(|v| format!("{:016x}", v.to_bits())).collect(),
        Column::Int64(values) => values.iter().map(i64::to_string).collect(),
        Column::UInt8(values) => values.iter().map(u8::to_string).collect(),
        other => vec![format!("{other:?}")],
    };
    let line = |(field, column): &(BinField, Column)| format!("{field:?} {}", values(column).join(" "));
    let rows = format!("{} rows", bins.rows);
    [rows].into_iter().chain(bins.columns.iter().map(line)).collect()
}
