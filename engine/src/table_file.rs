//! Contents of one partition and class as an SSTable.

use crate::error::Error;
use crate::layout::{Layout, late_dir_name, table_name};
use crate::limits::LATE_RANK_FIRST;
use crate::manifest::TableEntry;
use crate::shared::Shared;
use crate::table_contents::{ChannelFacts, ChannelPart, Contents, Section, Share, chunks};
use disk::create_dir_durable;
use sample::{ChannelId, Sample, Timestamp, Week};
use sstable::{
    DictionaryRow, Lineage, NewestReading, encode_carry_in, encode_channel_records, encode_events,
    encode_metadata,
};
use sstable::{Key, Table, TableInfo, TableKind, TableSummary, TableWriter};
use std::path::PathBuf;
use std::sync::Arc;

/// Where a table goes.
pub(crate) struct Place<'a> {
    /// Its number.
    pub(crate) id: u64,
    /// Its partition.
    pub(crate) week: Week,
    /// Generation of its directory, and whether it is the one beside a sealed week.
    pub(crate) directory: (u32, bool),
    /// Its retention class by number and name.
    pub(crate) class: (u16, &'a str),
    /// What was received up to then is in it or in tables made by then.
    pub(crate) known_until: Timestamp,
    /// What all tables of the flush have in common.
    pub(crate) made: &'a Lineage,
}

impl Place<'_> {
    /// Its directory.
    pub(crate) fn directory_in(&self, layout: &Layout) -> PathBuf {
        match self.directory {
            (generation, false) => layout.week(self.week, generation),
            (generation, true) => layout.weeks().join(late_dir_name(self.week, generation)),
        }
    }

    /// Its path.
    pub(crate) fn path_in(&self, layout: &Layout) -> PathBuf {
        self.directory_in(layout).join(table_name(self.id))
    }
}

/// A table that was written and synced, not live yet.
pub(crate) struct Written {
    pub(crate) entry: TableEntry,
    pub(crate) table: Arc<Table>,
    /// Samples and bytes of each channel that has samples in it.
    pub(crate) channels: Vec<(ChannelId, u64, u64)>,
}

/// Writes and syncs the table of one partition.
pub(crate) fn write(shared: &Shared, place: &Place<'_>, contents: &dyn Contents) -> Result<Written, Error> {
    let disk = &*shared.disk;
    create_dir_durable(disk, &place.directory_in(&shared.layout))?;
    let path = place.path_in(&shared.layout);
    // What an earlier, failed flush left under this number was never live.
    if disk.exists(&path)? {
        disk.remove(&path)?;
    }
    let info = TableInfo {
        archive: shared.identity.id.0,
        table: place.id,
        week: place.week,
        class: u32::from(place.class.0),
        class_name: place.class.1.to_string(),
        kind: TableKind::Raw,
        known_until: place.known_until,
        tier: 0,
    };
    let mut writer = TableWriter::create(disk, &path, &info)?.knowing(&shared.models);
    let (value_bytes, sequences) = (contents.value_bytes(), contents.sequences());
    writer.descend(&Lineage { value_bytes, sequences, ..place.made.clone() })?;
    let ends = add_samples(&mut writer, contents)?;
    add_records(&mut writer, place, contents)?;
    let channels = writer.channels().collect();
    let mut ends = ends.into_iter();
    let rows = contents.shares().iter().filter_map(|share| {
        let end = if share.has(Section::Samples) { ends.next() } else { None };
        Some(row(share.channel, end.unwrap_or_default(), contents.facts(share.channel)?))
    });
    let summary = writer.finish(rows)?;
    let table = Arc::new(Table::open(disk, &path, &shared.cache)?);
    Ok(Written { entry: entry(place, contents, &summary), table, channels })
}

/// How a channel's samples in a table end.
#[derive(Clone, Copy, Default)]
struct End {
    newest: Option<NewestReading>,
    next_late_rank: u32,
}

impl End {
    fn of(part: &ChannelPart) -> End {
        let newest = |sample: &Sample| NewestReading {
            time: sample.time,
            rank: sample.rank,
            fingerprint: sstable::fingerprint(sample),
        };
        let in_order = part.blocks.iter().filter(|(_, late)| !late);
        let in_order = in_order.max_by_key(|(block, _)| block.position(block.len() - 1));
        let late = part.blocks.iter().filter(|(_, late)| *late).flat_map(|(block, _)| &block.rank).max();
        End {
            newest: in_order.map(|(block, _)| newest(&block.get(block.len() - 1))),
            next_late_rank: late.map_or(0, |rank| rank.wrapping_sub(LATE_RANK_FIRST).saturating_add(1)),
        }
    }
}

/// Writes the samples; returns how those of each channel that has some end.
fn add_samples(writer: &mut TableWriter, contents: &dyn Contents) -> Result<Vec<End>, Error> {
    let mut ends = Vec::new();
    for share in contents.shares().iter().filter(|share| share.has(Section::Samples)) {
        let part = contents.part(share.channel, Section::Samples)?;
        for (block, late) in chunks(&part) {
            writer.add_samples(share.channel, &block, late)?;
        }
        ends.push(End::of(&part));
    }
    Ok(ends)
}

fn add_records(writer: &mut TableWriter, place: &Place<'_>, contents: &dyn Contents) -> Result<(), Error> {
    for section in [Section::Events, Section::Metadata, Section::CarryIn, Section::Records] {
        for share in contents.shares().iter().filter(|share| share.has(section)) {
            let part = contents.part(share.channel, section)?;
            add_record(writer, place, share.channel, &part)?;
        }
    }
    Ok(())
}

/// Writes the record of a part that has one section.
fn add_record(
    writer: &mut TableWriter,
    place: &Place<'_>,
    channel: ChannelId,
    part: &ChannelPart,
) -> Result<(), Error> {
    let times = || part.events.iter().map(|event| event.time);
    if let (Some(first), Some(last)) = (times().min(), times().max()) {
        writer.add_record(Key::new(Key::EVENTS, channel, first.0), last, encode_events(&part.events)?)?;
    }
    if let (Some((first, _)), Some((last, _))) = (part.metadata.first(), part.metadata.last()) {
        let changes: Vec<_> = part.metadata.iter().map(|(time, m)| (*time, (**m).clone())).collect();
        let key = Key::new(Key::METADATA, channel, first.0);
        writer.add_record(key, *last, encode_metadata(&changes))?;
    }
    if let Some(carry_in) = &part.carry_in {
        let key = Key::new(Key::CARRY_IN, channel, place.week.start().0);
        writer.add_record(key, place.week.start(), encode_carry_in(channel, carry_in)?)?;
    }
    if let (Some(first), Some(last)) = (part.records.first(), part.records.last()) {
        let key = Key::new(Key::CHANNELS, channel, first.time.0);
        writer.add_record(key, last.time, encode_channel_records(&part.records))?;
    }
    Ok(())
}

/// The dictionary row: what held at the freeze.
fn row(channel: ChannelId, end: End, facts: ChannelFacts) -> DictionaryRow {
    let row = DictionaryRow {
        newest: end.newest,
        next_late_rank: end.next_late_rank,
        metadata: facts.metadata.map(|(time, metadata)| (time, (*metadata).clone())),
        archiving: facts.archiving.0.as_record().zip(facts.archiving.1),
        first_sample: facts.first_sample.map(|first| (first.time, first.sequence.unwrap_or(u64::MAX))),
        ..DictionaryRow::new(channel, facts.name)
    };
    let Some(known) = facts.known else { return row };
    DictionaryRow {
        newest: [known.newest, row.newest].into_iter().flatten().max_by_key(|n| (n.time, n.rank)),
        next_late_rank: known.next_late_rank.max(row.next_late_rank),
        metadata: known.metadata,
        first_sample: known.first_sample.or(row.first_sample),
        types: known.types,
        aliases: known.aliases,
        ..row
    }
}

fn entry(place: &Place<'_>, contents: &dyn Contents, summary: &TableSummary) -> TableEntry {
    let shares = contents.shares();
    let channel = |share: Option<&Share>| share.map(|share| share.channel).unwrap_or_default();
    TableEntry {
        id: place.id,
        week: place.week,
        generation: place.directory.0,
        class: place.class.0,
        decimated: false,
        // Also where later tables override what the partition began with.
        holds_carry_in: shares.iter().any(|share| share.has(Section::CarryIn)),
        late: summary.late_chunks > 0,
        len: summary.len,
        footer_crc: summary.footer_crc,
        samples_span: summary.span,
        channels: shares.len() as u64,
        samples: summary.samples,
        value_bytes: contents.value_bytes(),
        channel_span: (channel(shares.first()), channel(shares.last())),
        sequence_span: contents.sequences(),
        tier: 0,
        sealed: false,
        beside: place.directory.1,
        sources: Vec::new(),
    }
}
