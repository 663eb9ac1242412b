//! Manifest, identity and lock as text.

use super::{Read, planted};
use crate::golden::{ARCHIVE, lists};
use engine::identity::{Holder, Identity};
use engine::layout::Layout;
use engine::manifest::{Manifest, TableEntry};
use std::fmt::Write;

pub(super) fn manifest(bytes: &[u8]) -> Read<String> {
    let layout = Layout::new(lists::DIRECTORY);
    let disk = planted(&format!("{}/MANIFEST", lists::DIRECTORY), bytes)?;
    let of = Manifest::load(&disk, &layout, ARCHIVE)?.ok_or("no manifest")?;
    let mut text = format!(
        "archive {} generation {} wal_from {} next_table {} next_channel {} next_sequence {} heartbeat {}\n",
        of.archive,
        of.generation,
        of.wal_from,
        of.next_table,
        of.next_channel,
        of.next_sequence,
        of.heartbeat.0
    );
    writeln!(text, "classes {:?}", of.classes)?;
    of.tables.iter().try_for_each(|entry| table("table", entry, &mut text))?;
    for dropped in &of.dropped {
        writeln!(text, "dropped {} since {} len {}", dropped.file, dropped.since.0, dropped.len)?;
    }
    if let Some(sealing) = &of.sealing {
        for input in &sealing.inputs {
            writeln!(text, "sealing {} samples {} records {}", input.table, input.samples, input.records)?;
        }
        sealing.outputs.iter().try_for_each(|entry| table("sealed", entry, &mut text))?;
    }
    for index in &of.partition_indexes {
        writeln!(
            text,
            "partition index {} week {} generation {} len {} footer {:08x} tables {:?}",
            index.id, index.week.0, index.generation, index.len, index.footer_crc, index.tables
        )?;
    }
    for segment in &of.master_segments {
        writeln!(
            text,
            "master segment {} len {} footer {:08x} rows {} names {} indexes {:?}",
            segment.id, segment.len, segment.footer_crc, segment.rows, segment.names, segment.indexes
        )?;
    }
    Ok(text)
}

fn table(what: &str, of: &TableEntry, text: &mut String) -> std::fmt::Result {
    let flags = [
        (of.decimated, "decimated"),
        (of.holds_carry_in, "carry-in"),
        (of.late, "late"),
        (of.sealed, "sealed"),
        (of.beside, "beside"),
    ];
    let flags: Vec<&str> = flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
    writeln!(
        text,
        "{what} {} week {} generation {} class {} [{}] len {} footer {:08x} span {:?} channels {} samples {} \
         value_bytes {} ids {} to {} sequences {:?} tier {} sources {:?}",
        of.inside(),
        of.week.0,
        of.generation,
        of.class,
        flags.join(" "),
        of.len,
        of.footer_crc,
        of.samples_span.map(|(first, last)| (first.0, last.0)),
        of.channels,
        of.samples,
        of.value_bytes,
        of.channel_span.0.0,
        of.channel_span.1.0,
        of.sequence_span,
        of.tier,
        of.sources
    )
}

pub(super) fn identity(bytes: &[u8]) -> Read<String> {
    let disk = planted(&format!("{}/ARCHIVE", lists::DIRECTORY), bytes)?;
    let of = Identity::load(&disk, &Layout::new(lists::DIRECTORY))?.ok_or("no identity")?;
    Ok(format!("archive {} created {} version {:?}\n", of.id, of.created.0, of.version))
}

pub(super) fn lock(bytes: &[u8]) -> Read<String> {
    let of = Holder::decode(bytes);
    Ok(format!("host \"{}\" pid {} address \"{}\"\n", of.host, of.pid, of.address))
}
