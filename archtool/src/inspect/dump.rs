//! What is inside one file, as JSON objects in the order of the file.

use crate::failure::Failure;
use crate::time::iso;
use disk::{Disk, FormatError, RealDisk};
use engine::error::Error;
use engine::identity::{ArchiveId, IDENTITY_HEADER, Identity};
use engine::layout::{IDENTITY_NAME, Layout, MANIFEST_NAME};
use engine::manifest::{MANIFEST_FIELDS, MANIFEST_HEADER, Manifest};
use engine::wal;
use engine::wal::format::{SEGMENT_FIELDS, SEGMENT_HEADER};
use sample::{Event, Metadata, Sample, Timestamp};
use serde_json::{Value, json};
use sstable::{BlockCache, Entry, Key, Table};
use std::path::Path;

/// Takes one thing that a file holds.
pub(super) type Sink<'a> = dyn FnMut(Value) -> Result<(), Failure> + 'a;

/// Bytes of decoded blocks kept while a table is read through.
const CACHE_BYTES: usize = 8 << 20;

/// Hands what is inside the file at `path` to `sink`; true if damage was met.
pub(crate) fn dump(path: &Path, sink: &mut Sink<'_>) -> Result<bool, Failure> {
    let mut magic = [0; 8];
    let file = RealDisk.open(path).map_err(Error::from)?;
    file.read_at(0, &mut magic).map_err(Error::from)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let layout = Layout::new(folder);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if magic == SEGMENT_HEADER.magic {
        segment(path, folder, &*file, sink)
    } else if magic == MANIFEST_HEADER.magic {
        named(name, MANIFEST_NAME)?;
        manifest(&layout, &*file, sink)
    } else if magic == IDENTITY_HEADER.magic {
        named(name, IDENTITY_NAME)?;
        identity(&layout, sink)
    } else if magic == index::PARTITION_MAGIC {
        super::index_file::partition(path, sink)
    } else if magic == index::MASTER_MAGIC {
        super::index_file::master(path, sink)
    } else {
        // Whatever else it is, opening it as a table says what was expected.
        table(path, sink)
    }
}

/// Files that an archive has one of are read by their name.
fn named(found: &str, expected: &str) -> Result<(), Failure> {
    if found == expected {
        return Ok(());
    }
    Err(Failure::Usage(format!("the file is a {expected}; give it that name to look into it")))
}

fn identity(layout: &Layout, sink: &mut Sink<'_>) -> Result<bool, Failure> {
    if let Some(identity) = Identity::load(&RealDisk, layout)? {
        let (major, minor) = identity.version;
        sink(json!({
            "kind": "archive", "id": identity.id.to_string(), "created": iso(identity.created.0),
            "format": format!("{major}.{minor}"),
        }))?;
    }
    Ok(false)
}

/// The archive id that stands in a file's header.
fn archive_id(file: &dyn disk::File, fields: &[(&str, usize, usize)]) -> Result<ArchiveId, Failure> {
    let offset = fields.iter().find(|(name, ..)| *name == "archive id").map_or(0, |(_, offset, _)| *offset);
    let mut bytes = [0; 16];
    file.read_at(offset as u64, &mut bytes).map_err(Error::from)?;
    Ok(ArchiveId(u128::from_le_bytes(bytes)))
}

fn manifest(layout: &Layout, file: &dyn disk::File, sink: &mut Sink<'_>) -> Result<bool, Failure> {
    let Some(manifest) = Manifest::load(&RealDisk, layout, archive_id(file, &MANIFEST_FIELDS)?)? else {
        return Ok(false);
    };
    sink(json!({
        "kind": "manifest", "archive": manifest.archive.to_string(), "generation": manifest.generation,
        "wal_from": manifest.wal_from, "next_table": manifest.next_table, "next_channel": manifest.next_channel,
        "next_sequence": manifest.next_sequence, "heartbeat": iso(manifest.heartbeat.0),
        "classes": manifest.classes,
    }))?;
    for table in &manifest.tables {
        let path = table.path(layout);
        sink(json!({
            "kind": "table", "file": crate::stock::inside(layout, &path).display().to_string(), "class": table.class,
            "decimated": table.decimated, "carry_in": table.holds_carry_in, "late": table.late,
            "sealed": table.sealed, "bytes": table.len,
            "first": table.samples_span.map(|(first, _)| iso(first.0)),
            "last": table.samples_span.map(|(_, last)| iso(last.0)),
            "channels": table.channels, "samples": table.samples, "value_bytes": table.value_bytes,
            "sources": table.sources,
        }))?;
    }
    for of in &manifest.partition_indexes {
        let path = layout.partition_index(of.week, of.generation, of.id);
        sink(json!({
            "kind": "partition_index", "file": crate::stock::inside(layout, &path).display().to_string(),
            "bytes": of.len, "tables": of.tables,
        }))?;
    }
    for of in &manifest.master_segments {
        let path = layout.master_segment(of.id);
        sink(json!({
            "kind": "master_segment", "file": crate::stock::inside(layout, &path).display().to_string(),
            "bytes": of.len, "rows": of.rows, "names": of.names, "indexes": of.indexes,
        }))?;
    }
    for dropped in &manifest.dropped {
        sink(json!({"kind": "dropped", "file": dropped.file, "since": iso(dropped.since.0)}))?;
    }
    for output in manifest.sealing.iter().flat_map(|sealing| &sealing.outputs) {
        sink(json!({"kind": "finished part of a seal", "file": output.inside(), "bytes": output.len}))?;
    }
    Ok(false)
}

fn table(path: &Path, sink: &mut Sink<'_>) -> Result<bool, Failure> {
    let format = |error: FormatError| Failure::Engine(Error::Format(error));
    let table = Table::open(&RealDisk, path, &BlockCache::new(CACHE_BYTES)).map_err(format)?;
    let (info, summary) = (table.info(), table.summary());
    sink(json!({
        "kind": "sstable", "archive": ArchiveId(info.archive).to_string(), "table": info.table,
        "week": iso(info.week.start().0), "class": info.class_name, "bytes": summary.len, "blocks": summary.blocks,
        "chunks": summary.chunks, "late_chunks": summary.late_chunks, "tier": info.tier,
        "known_until": iso(info.known_until.0),
    }))?;
    match table.lineage() {
        Ok(None) => {}
        Ok(Some(lineage)) => sink(json!({
            "kind": "lineage", "log_through": lineage.through, "next_channel": lineage.next_channel,
            "next_sequence": lineage.next_sequence, "value_bytes": lineage.value_bytes, "group": lineage.group,
            "parts": lineage.parts,
        }))?,
        Err(error) => sink(damage(&error))?,
    }
    let mut damaged = false;
    for row in table.dictionary() {
        match row {
            Ok(row) => sink(json!({
                "kind": "channel", "channel": row.channel.0, "name": row.name.as_str(),
            }))?,
            Err(error) => {
                damaged = true;
                sink(damage(&error))?;
            }
        }
    }
    for entry in table.all_entries() {
        match entry.and_then(|entry| described(&table, &entry)) {
            Ok(thing) => sink(thing)?,
            Err(error) => {
                damaged = true;
                sink(damage(&error))?;
            }
        }
    }
    Ok(damaged)
}

pub(super) fn damage(error: &FormatError) -> Value {
    json!({"kind": "damage", "message": error.to_string()})
}

fn described(table: &Table, entry: &Entry) -> Result<Value, FormatError> {
    let kind = match entry.key.rate {
        Key::SAMPLES => "chunk",
        Key::EVENTS => "events",
        Key::METADATA => "metadata",
        Key::CARRY_IN => "carry_in",
        Key::CHANNELS => "channel_records",
        _ => "rows",
    };
    let mut thing = json!({
        "kind": kind, "channel": entry.key.channel.0, "first": iso(entry.key.bin), "last": iso(entry.last.0),
        "offset": entry.locator.offset, "slot": entry.locator.slot,
    });
    if entry.chunk.is_some() {
        let header = table.chunk_header(entry)?;
        let statistics = &header.statistics;
        thing["type"] = json!(header.run.value.name());
        thing["samples"] = json!(statistics.count);
        thing["bytes"] = json!(header.chunk_len);
        thing["pages"] = json!(header.pages().len());
        thing["late"] = json!(header.late);
        thing["worst"] = json!(statistics.worst.name());
        thing["invalid"] = json!(statistics.invalid);
        if let Some(extremes) = statistics.numeric.and_then(|numeric| numeric.extremes) {
            thing["min"] = json!(extremes.min);
            thing["max"] = json!(extremes.max);
        }
        let columns: Vec<String> =
            header.column_tags().map(|(tag, codec)| format!("{tag}:{codec}")).collect();
        thing["columns"] = json!(columns.join(","));
        thing["times_of"] = json!(header.time_references().first().map(|reference| reference.channel.0));
        return Ok(thing);
    }
    let payload = table.payload(entry)?;
    thing["bytes"] = json!(payload.len());
    let unread = |error: disk::BytesError| error.in_file(table.path(), entry.locator.offset);
    match entry.key.rate {
        Key::EVENTS => {
            let events = sstable::decode_events(&payload).map_err(unread)?;
            thing["items"] = events.iter().map(event).collect();
        }
        Key::METADATA => {
            let items = sstable::decode_metadata(&payload).map_err(unread)?;
            thing["items"] =
                items.iter().map(|(time, metadata)| described_metadata(*time, metadata)).collect();
        }
        Key::CHANNELS => {
            let records = sstable::decode_channel_records(&payload).map_err(unread)?;
            thing["items"] = records
                .iter()
                .map(|r| json!({"time": iso(r.time.0), "change": format!("{:?}", r.change)}))
                .collect();
        }
        Key::CARRY_IN => {
            let carried = sstable::decode_carry_in(&payload).map_err(unread)?;
            thing["content"] = json!(format!("{carried:?}"));
            if let Some(of_table) = table.timeline(&payload).map_err(unread)? {
                thing["events"] = json!(of_table.events.len());
                thing["metadata"] = json!(of_table.metadata.len());
            }
        }
        _ => {}
    }
    Ok(thing)
}

fn event(event: &Event) -> Value {
    json!({"time": iso(event.time.0), "sequence": event.sequence, "event": format!("{:?}", event.kind)})
}

fn described_metadata(time: Timestamp, metadata: &Metadata) -> Value {
    let text =
        |bytes: &Option<Box<[u8]>>| bytes.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    json!({
        "time": iso(time.0), "units": text(&metadata.units), "precision": metadata.precision,
        "states": metadata.states.as_ref().map(|states| {
            states.iter().map(|state| String::from_utf8_lossy(state).into_owned()).collect::<Vec<_>>()
        }),
        "description": text(&metadata.description), "host": text(&metadata.host),
    })
}

/// A scalar as it is, of everything else type and size.
fn value_text(value: &sample::Value) -> String {
    use sample::Value;
    match value {
        Value::String(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Array(elements) => format!("{} of {}", value.value_type().name(), elements.len()),
        Value::Structure { bytes, .. } => format!("structure of {} bytes", bytes.len()),
        Value::Int64(number) => number.to_string(),
        Value::UInt64(number) => number.to_string(),
        scalar => scalar.as_f64().map_or_else(String::new, |number| number.to_string()),
    }
}

fn sample_line(sample: &Sample) -> Value {
    json!({
        "time": iso(sample.time.0), "rank": sample.rank, "value": value_text(&sample.value),
        "severity": sample.severity.name(), "status": sample.status.code,
        "received": sample.received.map(|received| iso(received.0)),
    })
}

/// One segment of the log. Replay reads its whole folder, so that what is durable is judged as recovery does.
fn segment(path: &Path, folder: &Path, file: &dyn disk::File, sink: &mut Sink<'_>) -> Result<bool, Failure> {
    let archive = archive_id(file, &SEGMENT_FIELDS)?;
    let survey = wal::replay(&RealDisk, folder, archive, 0, &mut |_, _| {})?;
    let Some(at) = survey.segments.iter().position(|segment| segment.path == path) else {
        return Err(Failure::Usage("a log segment has a name such as 0000000000000001.wal".to_owned()));
    };
    let last = survey.segments[at].last_sequence;
    let before = at.checked_sub(1).map_or(0, |at| survey.segments[at].last_sequence);
    sink(json!({
        "kind": "segment", "archive": archive.to_string(), "number": survey.segments[at].number,
        "bytes": survey.segments[at].len, "records_after": before, "records_to": last,
        "durable_note": survey.durable_note,
    }))?;
    let mut failed = Ok(());
    wal::replay(&RealDisk, folder, archive, 0, &mut |record, entry| {
        if failed.is_err() || record.sequence <= before || record.sequence > last {
            return;
        }
        failed = sink(logged(record, &entry));
    })?;
    failed?;
    let mut damaged = false;
    for cut in survey.cut_bytes.iter().filter(|cut| cut.file == path) {
        damaged |= cut.verdict == wal::Verdict::Corrupt;
        let kind = if cut.verdict == wal::Verdict::Corrupt { "damage" } else { "torn_tail" };
        sink(json!({"kind": kind, "offset": cut.offset, "bytes": cut.bytes, "message": cut.what}))?;
    }
    Ok(damaged)
}

fn logged(record: &wal::RecordHeader, entry: &wal::Entry) -> Value {
    let mut thing = match entry {
        wal::Entry::Sample { channel, placement, sample } => {
            let mut thing = sample_line(sample);
            thing["kind"] = json!("sample");
            thing["channel"] = json!(channel.0);
            thing["placement"] = json!(format!("{placement:?}"));
            thing
        }
        wal::Entry::Event { channel, event: happened } => {
            let mut thing = event(happened);
            thing["kind"] = json!("event");
            thing["channel"] = json!(channel.0);
            thing
        }
        wal::Entry::Metadata { channel, time, metadata } => {
            let mut thing = described_metadata(*time, metadata);
            thing["kind"] = json!("metadata");
            thing["channel"] = json!(channel.0);
            thing
        }
        wal::Entry::Channel { channel, record } => {
            json!({"kind": "channel", "channel": channel.0, "time": iso(record.time.0), "change": format!("{:?}", record.change)})
        }
        wal::Entry::Heartbeat { time } => json!({"kind": "heartbeat", "time": iso(time.0)}),
    };
    thing["record"] = json!(record.sequence);
    thing["batch_received"] = json!(iso(record.received.0));
    thing
}
