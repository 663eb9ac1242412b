//! What the manifest says of a table, from the table alone.

use crate::identity::ArchiveId;
use crate::manifest::{Manifest, TableEntry};
use disk::FormatError;
use sample::{ChannelId, Timestamp};
use sstable::{Entry, Key, Lineage, Table, TableKind, decode_events};

/// A table as the manifest knows it.
#[derive(Clone, PartialEq, Debug)]
pub struct Facts {
    /// Its entry; the class is a number of the table's own.
    pub entry: TableEntry,
    /// The archive that it says it is of.
    pub archive: ArchiveId,
    /// Number of its retention class when it was written.
    pub class: u32,
    /// Name of its retention class.
    pub class_name: String,
    /// Where it came from.
    pub lineage: Lineage,
    /// All that was received up to then is in it or in tables made by then.
    pub known_until: Timestamp,
    /// The greatest channel of its dictionary.
    pub last_channel: ChannelId,
}

impl Facts {
    /// Reads them from a table; `place` says in which partition it lies under which number, all else in it is
    /// passed over.
    ///
    /// # Errors
    /// The disk's; damage.
    pub fn of(table: &Table, place: &TableEntry) -> Result<Facts, FormatError> {
        let (info, summary) = (table.info(), table.summary());
        let mut channels: Option<(ChannelId, ChannelId)> = None;
        for row in table.dictionary() {
            let channel = row?.channel;
            channels = Some(channels.map_or((channel, channel), |(least, _)| (least, channel)));
        }
        let carried = table.entries_from(Key::least(Key::CARRY_IN, ChannelId(0))).next().transpose()?;
        let lineage = match table.lineage()? {
            // A part of several tables does not know its values before they are written.
            Some(lineage) if lineage.value_bytes > 0 || summary.samples == 0 => lineage,
            Some(lineage) => Lineage { value_bytes: value_bytes(table)?, ..lineage },
            None => measured(table)?,
        };
        let entry = TableEntry {
            class: 0,
            decimated: info.kind == TableKind::Decimated,
            holds_carry_in: carried.is_some_and(|entry| entry.key.rate == Key::CARRY_IN),
            value_bytes: lineage.value_bytes,
            channel_span: channels.unwrap_or_default(),
            sequence_span: lineage.sequences,
            tier: info.tier,
            ..place.clone().holding(summary)
        };
        Ok(Facts {
            entry,
            archive: ArchiveId(info.archive),
            class: info.class,
            class_name: info.class_name.clone(),
            lineage,
            known_until: info.known_until,
            last_channel: channels.unwrap_or_default().1,
        })
    }

    /// Lowest and highest number in the order of receipt of the table's events, as they are.
    ///
    /// # Errors
    /// The disk's; damage.
    pub fn sequences(table: &Table) -> Result<(u64, u64), FormatError> {
        sequences(table)
    }

    /// Of a table that was not looked at.
    pub(super) fn unchanged(entry: &TableEntry, manifest: Option<&Manifest>) -> Facts {
        let class_name = manifest.and_then(|manifest| manifest.classes.get(usize::from(entry.class)));
        Facts {
            entry: entry.clone(),
            archive: ArchiveId(0),
            class: u32::from(entry.class),
            class_name: class_name.cloned().unwrap_or_default(),
            lineage: Lineage::default(),
            known_until: Timestamp::MIN,
            last_channel: entry.channel_span.1,
        }
    }
}

/// Numbers of the events of a record.
fn numbers(table: &Table, entry: &Entry) -> Result<Vec<u64>, FormatError> {
    let events = decode_events(&table.payload(entry)?)
        .map_err(|error| FormatError::corrupt(table.path(), entry.locator.offset, error.what))?;
    Ok(events.iter().map(|event| event.sequence).collect())
}

/// Lowest and highest number in the order of receipt of a table's events.
fn sequences(table: &Table) -> Result<(u64, u64), FormatError> {
    let events = table.entries_from(Key::least(Key::EVENTS, ChannelId(0)));
    let events = events.take_while(|e| e.as_ref().map_or(true, |entry| entry.key.rate == Key::EVENTS));
    let mut span: Option<(u64, u64)> = None;
    for entry in events {
        for number in numbers(table, &entry?)? {
            span = Some(span.map_or((number, number), |(a, b)| (a.min(number), b.max(number))));
        }
    }
    Ok(span.unwrap_or((0, 0)))
}

/// What a lineage would say that can be seen in the data.
pub(super) fn measured(table: &Table) -> Result<Lineage, FormatError> {
    Ok(Lineage { value_bytes: value_bytes(table)?, sequences: sequences(table)?, ..Lineage::default() })
}

/// Bytes of a table's values before encoding; only what has no fixed width is decoded.
fn value_bytes(table: &Table) -> Result<u64, FormatError> {
    let mut bytes = 0;
    for entry in table.all_entries() {
        let entry = entry?;
        if entry.chunk.is_none() {
            break;
        }
        let header = table.chunk_header(&entry)?;
        let width = header.run.value.kind.width().filter(|_| !header.run.value.array);
        bytes += match width {
            Some(width) => (width * header.count()) as u64,
            None => table.all_samples(&entry)?.values.byte_len() as u64,
        };
    }
    Ok(bytes)
}
