//! A manifest as bytes.

use super::{
    BESIDE, CARRY_IN, DECIMATED, DroppedFile, LATE, MANIFEST_FIELDS, MANIFEST_FIXED_BYTES, MANIFEST_HEADER,
    Manifest, MasterSegmentEntry, PartitionIndexEntry, SAMPLES, SEALED, Sealing, SealingInput, TABLE_BYTES,
    TableEntry, damaged,
};
use crate::error::Error;
use crate::identity::ArchiveId;
use disk::{BytesError, Cursor, FileHeader, checksum, put_i64, put_str, put_u16, put_u32, put_u64, put_u128};
use sample::{ChannelId, Timestamp, Week};
use std::path::Path;

const LENGTH_AT: usize = MANIFEST_FIELDS[1].1;
const CRC_BYTES: usize = 4;

pub(super) fn encode(manifest: &Manifest) -> Vec<u8> {
    let mut out = MANIFEST_HEADER.encode().to_vec();
    put_u64(&mut out, 0); // the length, known at the end
    put_u128(&mut out, manifest.archive.0);
    put_u64(&mut out, manifest.generation);
    put_u64(&mut out, manifest.wal_from);
    put_u64(&mut out, manifest.next_table);
    put_u64(&mut out, manifest.next_channel);
    put_u64(&mut out, manifest.next_sequence);
    put_i64(&mut out, manifest.heartbeat.0);
    let (inputs, outputs) = match &manifest.sealing {
        Some(sealing) => (sealing.inputs.as_slice(), sealing.outputs.as_slice()),
        None => Default::default(),
    };
    for count in [
        MANIFEST_FIXED_BYTES,
        TABLE_BYTES,
        manifest.classes.len(),
        manifest.tables.len(),
        manifest.dropped.len(),
        inputs.len(),
        outputs.len(),
        manifest.partition_indexes.len(),
        manifest.master_segments.len(),
    ] {
        // More than 2^32 of anything is far beyond MANIFEST_BYTES_MAX, which the caller checks.
        put_u32(&mut out, count as u32);
    }
    for class in &manifest.classes {
        put_str(&mut out, class);
    }
    for table in &manifest.tables {
        put_table(&mut out, table);
    }
    for dropped in &manifest.dropped {
        put_i64(&mut out, dropped.since.0);
        put_u64(&mut out, dropped.len);
        put_str(&mut out, &dropped.file);
    }
    for input in inputs {
        put_u64(&mut out, input.table);
        put_u64(&mut out, input.samples);
        put_u64(&mut out, input.records);
    }
    for output in outputs {
        put_table(&mut out, output);
    }
    manifest.partition_indexes.iter().for_each(|index| put_partition_index(&mut out, index));
    manifest.master_segments.iter().for_each(|segment| put_master_segment(&mut out, segment));
    let len = (out.len() + CRC_BYTES) as u64;
    out[LENGTH_AT..LENGTH_AT + 8].copy_from_slice(&len.to_le_bytes());
    let crc = checksum(&out);
    put_u32(&mut out, crc);
    out
}

fn put_table(out: &mut Vec<u8>, table: &TableEntry) {
    let flag = |set: bool, bit: u16| if set { bit } else { 0 };
    put_u64(out, table.id);
    out.extend_from_slice(&table.week.0.to_le_bytes());
    put_u32(out, table.generation);
    put_u16(out, table.class);
    put_u16(
        out,
        flag(table.decimated, DECIMATED)
            | flag(table.holds_carry_in, CARRY_IN)
            | flag(table.late, LATE)
            | flag(table.samples_span.is_some(), SAMPLES)
            | flag(table.sealed, SEALED)
            | flag(table.beside, BESIDE),
    );
    put_u32(out, table.footer_crc);
    put_u64(out, table.len);
    let (first, last) = table.samples_span.unwrap_or_default();
    put_i64(out, first.0);
    put_i64(out, last.0);
    put_u64(out, table.channels);
    put_u64(out, table.samples);
    put_u64(out, table.value_bytes);
    put_u64(out, table.channel_span.0.0);
    put_u64(out, table.channel_span.1.0);
    put_u64(out, table.sequence_span.0);
    put_u64(out, table.sequence_span.1);
    put_u16(out, table.tier);
    put_u32(out, table.sources.len() as u32);
    table.sources.iter().for_each(|source| put_u64(out, *source));
}

fn put_partition_index(out: &mut Vec<u8>, index: &PartitionIndexEntry) {
    put_u64(out, index.id);
    out.extend_from_slice(&index.week.0.to_le_bytes());
    put_u32(out, index.generation);
    put_u32(out, index.footer_crc);
    put_u32(out, index.tables.len() as u32);
    put_u64(out, index.len);
    index.tables.iter().for_each(|table| put_u64(out, *table));
}

fn put_master_segment(out: &mut Vec<u8>, segment: &MasterSegmentEntry) {
    put_u64(out, segment.id);
    put_u32(out, segment.footer_crc);
    put_u32(out, segment.indexes.len() as u32);
    put_u64(out, segment.len);
    put_u64(out, segment.rows);
    put_u64(out, segment.names);
    segment.indexes.iter().for_each(|index| put_u64(out, *index));
}

pub(super) fn decode(bytes: &[u8], path: &Path) -> Result<Manifest, Error> {
    let header = MANIFEST_HEADER.decode(bytes, path)?;
    let body = checked(bytes, path)?;
    let mut cursor = Cursor::new(body);
    let manifest = body_of(&mut cursor, header).and_then(|manifest| {
        // A newer minor version may say more behind what this one knows.
        if !manifest.writable() { Ok(manifest) } else { cursor.finish().map(|()| manifest) }
    });
    manifest.map_err(|error| damaged(path, error.position, error.what))
}

/// All but the checksum, which holds.
fn checked<'a>(bytes: &'a [u8], path: &Path) -> Result<&'a [u8], Error> {
    let mut cursor = Cursor::new(bytes);
    let len = cursor.bytes(LENGTH_AT).and_then(|_| cursor.u64());
    let len = len.map_err(|error| damaged(path, error.position, error.what))?;
    if len != bytes.len() as u64 {
        return Err(damaged(path, LENGTH_AT, "the file does not have the length that it names"));
    }
    let (body, crc) = bytes
        .split_last_chunk::<CRC_BYTES>()
        .ok_or_else(|| damaged(path, bytes.len(), "the file ends before its checksum"))?;
    if u32::from_le_bytes(*crc) != checksum(body) {
        return Err(damaged(path, body.len(), "the checksum fails"));
    }
    Ok(body)
}

fn body_of(cursor: &mut Cursor<'_>, version: FileHeader) -> Result<Manifest, BytesError> {
    cursor.bytes(LENGTH_AT + 8)?;
    let mut manifest = Manifest::new(ArchiveId(cursor.u128()?));
    manifest.version = version;
    let newer = !manifest.writable();
    manifest.generation = cursor.u64()?;
    manifest.wal_from = cursor.u64()?;
    manifest.next_table = cursor.u64()?;
    manifest.next_channel = cursor.u64()?;
    manifest.next_sequence = cursor.u64()?;
    manifest.heartbeat = Timestamp(cursor.i64()?);
    let fixed_bytes = size(cursor, MANIFEST_FIXED_BYTES)?;
    let table_bytes = size(cursor, TABLE_BYTES)?;
    let classes = cursor.u32()?;
    let tables = cursor.u32()?;
    let dropped = cursor.u32()?;
    let sealing = (cursor.u32()?, cursor.u32()?);
    let (partition_indexes, master_segments) = (cursor.u32()?, cursor.u32()?);
    cursor.bytes(fixed_bytes - MANIFEST_FIXED_BYTES)?;
    for _ in 0..classes {
        manifest.classes.push(cursor.counted_str()?.to_owned());
    }
    let table = |cursor: &mut Cursor<'_>| {
        let at = cursor.position();
        let mut fields = Cursor::new(cursor.bytes(table_bytes)?);
        let in_file = |error: BytesError| BytesError { position: at + error.position, what: error.what };
        let (mut entry, sources) = get_table(&mut fields, classes as usize, newer).map_err(in_file)?;
        entry.sources = ascending(cursor, sources)?;
        Ok(entry)
    };
    for _ in 0..tables {
        manifest.tables.push(table(cursor)?);
    }
    for _ in 0..dropped {
        let since = Timestamp(cursor.i64()?);
        let len = cursor.u64()?;
        let error = cursor.error("a dropped file's path leads out of the archive");
        let file = cursor.counted_str()?.to_owned();
        if !stays_inside(&file) {
            return Err(error);
        }
        manifest.dropped.push(DroppedFile { file, since, len });
    }
    let mut found = Sealing::default();
    for _ in 0..sealing.0 {
        let (table, samples, records) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
        found.inputs.push(SealingInput { table, samples, records });
    }
    for _ in 0..sealing.1 {
        found.outputs.push(table(cursor)?);
    }
    manifest.sealing = Some(found).filter(|found| !found.outputs.is_empty());
    for _ in 0..partition_indexes {
        manifest.partition_indexes.push(get_partition_index(cursor)?);
    }
    for _ in 0..master_segments {
        manifest.master_segments.push(get_master_segment(cursor)?);
    }
    Ok(manifest)
}

/// A size that newer minor versions may raise and nobody may lower.
fn size(cursor: &mut Cursor<'_>, least: usize) -> Result<usize, BytesError> {
    let error = cursor.error("a size is smaller than version 3.0 had it");
    usize::try_from(cursor.u32()?).ok().filter(|size| *size >= least).ok_or(error)
}

/// A table without its sources, and how many follow.
fn get_table(cursor: &mut Cursor<'_>, classes: usize, newer: bool) -> Result<(TableEntry, u32), BytesError> {
    let id = cursor.u64()?;
    let week = Week(i32::from_le_bytes(cursor.array()?));
    let generation = cursor.u32()?;
    let error = cursor.error("a table's retention class is not in the list");
    let class = cursor.u16()?;
    if usize::from(class) >= classes {
        return Err(error);
    }
    let error = cursor.error("a table has flags that this program does not know");
    let flags = cursor.u16()?;
    if flags & !(DECIMATED | CARRY_IN | LATE | SAMPLES | SEALED | BESIDE) != 0 && !newer {
        return Err(error);
    }
    let entry = TableEntry {
        id,
        week,
        generation,
        class,
        decimated: flags & DECIMATED != 0,
        holds_carry_in: flags & CARRY_IN != 0,
        late: flags & LATE != 0,
        footer_crc: cursor.u32()?,
        len: cursor.u64()?,
        samples_span: Some((Timestamp(cursor.i64()?), Timestamp(cursor.i64()?)))
            .filter(|_| flags & SAMPLES != 0),
        channels: cursor.u64()?,
        samples: cursor.u64()?,
        value_bytes: cursor.u64()?,
        channel_span: (ChannelId(cursor.u64()?), ChannelId(cursor.u64()?)),
        sequence_span: (cursor.u64()?, cursor.u64()?),
        tier: cursor.u16()?,
        sources: Vec::new(),
        sealed: flags & SEALED != 0,
        beside: flags & BESIDE != 0,
    };
    Ok((entry, cursor.u32()?))
}

fn get_partition_index(cursor: &mut Cursor<'_>) -> Result<PartitionIndexEntry, BytesError> {
    let id = cursor.u64()?;
    let week = Week(i32::from_le_bytes(cursor.array()?));
    let (generation, footer_crc, tables) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
    let len = cursor.u64()?;
    Ok(PartitionIndexEntry { id, week, generation, len, footer_crc, tables: ascending(cursor, tables)? })
}

fn get_master_segment(cursor: &mut Cursor<'_>) -> Result<MasterSegmentEntry, BytesError> {
    let (id, footer_crc, indexes) = (cursor.u64()?, cursor.u32()?, cursor.u32()?);
    let (len, rows, names) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
    Ok(MasterSegmentEntry { id, len, footer_crc, rows, names, indexes: ascending(cursor, indexes)? })
}

/// So many numbers, each greater than the one before.
fn ascending(cursor: &mut Cursor<'_>, count: u32) -> Result<Vec<u64>, BytesError> {
    let mut numbers = Vec::new();
    for _ in 0..count {
        let error = cursor.error("numbers of files are not in order");
        let number = cursor.u64()?;
        if numbers.last().is_some_and(|before| *before >= number) {
            return Err(error);
        }
        numbers.push(number);
    }
    Ok(numbers)
}

/// Whether a relative path cannot lead out of the directory it starts from.
fn stays_inside(path: &str) -> bool {
    path.split('/')
        .all(|component| !matches!(component, "" | "." | "..") && !component.contains(['\\', '\0']))
}
