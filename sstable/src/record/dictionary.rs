//! What a table knows about one of its channels.

use super::carry_in::{ARCHIVING, Archiving};
use super::channel::read_name;
use super::field::{Fields, put_field};
use super::metadata::{put_metadata, read_metadata};
use crate::format::{ArchivingTag, DictionaryField};
use disk::{BytesError, Cursor, put_i64, put_u8, put_u32, put_u64};
use sample::{ChannelId, ChannelName, Kind, Metadata, Timestamp, ValueType};
use std::sync::Arc;

/// One row of a table's channel dictionary.
#[derive(Clone, PartialEq, Debug)]
pub struct DictionaryRow {
    /// The channel.
    pub channel: ChannelId,
    /// Its name in force when the table was written.
    pub name: ChannelName,
    /// Its further names.
    pub aliases: Vec<ChannelName>,
    /// The channel's newest in-order reading when the table was written, whichever table holds it.
    pub newest: Option<NewestReading>,
    /// How many late samples the channel has had: the next late rank, less 2^31.
    pub next_late_rank: u32,
    /// Time of the channel's first sample in order of receipt, whichever table holds it, and the sequence
    /// of the first event behind it.
    pub first_sample: Option<(Timestamp, u64)>,
    /// First and last time of its samples in this table (filled in by the writer).
    pub span: Option<(Timestamp, Timestamp)>,
    /// Number of its samples in this table (filled in by the writer).
    pub samples: u64,
    /// Bytes of its chunks in this table (filled in by the writer).
    pub bytes: u64,
    /// Types of its samples in this table, that of the newest in-order one last (filled in by the writer).
    pub types: Vec<ValueDescription>,
    /// Archiving state when the table was written, with the time since when.
    pub archiving: Option<(Archiving, Timestamp)>,
    /// Metadata in force when the table was written, enum states included, with the time from which they hold.
    pub metadata: Option<(Timestamp, Metadata)>,
    /// In a table that others were merged into: number of the newest of them, as it was first written, that
    /// knew the channel. 0: the table's own number.
    pub as_of: u64,
}

/// What is needed to recognise a reading that comes again, and to rank the next one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewestReading {
    /// Its time.
    pub time: Timestamp,
    /// Its rank.
    pub rank: u32,
    /// Its [`crate::fingerprint`].
    pub fingerprint: [u8; 16],
}

/// A type of values, with the descriptor where it is a structure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ValueDescription {
    /// The type.
    pub value: ValueType,
    /// pvAccess type descriptor.
    pub descriptor: Option<Arc<[u8]>>,
}

impl DictionaryRow {
    /// A row without anything but id and name.
    pub fn new(channel: ChannelId, name: ChannelName) -> DictionaryRow {
        DictionaryRow {
            channel,
            name,
            aliases: Vec::new(),
            newest: None,
            next_late_rank: 0,
            first_sample: None,
            span: None,
            samples: 0,
            bytes: 0,
            types: Vec::new(),
            archiving: None,
            metadata: None,
            as_of: 0,
        }
    }
}

pub(crate) fn encode_row(row: &DictionaryRow) -> Vec<u8> {
    let mut out = row.channel.0.to_le_bytes().to_vec();
    put_field(&mut out, DictionaryField::Name as u8, row.name.as_str().as_bytes());
    for alias in &row.aliases {
        put_field(&mut out, DictionaryField::Alias as u8, alias.as_str().as_bytes());
    }
    if let Some(newest) = &row.newest {
        let mut bytes = newest.time.0.to_le_bytes().to_vec();
        put_u32(&mut bytes, newest.rank);
        bytes.extend_from_slice(&newest.fingerprint);
        put_field(&mut out, DictionaryField::Newest as u8, &bytes);
    }
    if row.next_late_rank > 0 {
        put_field(&mut out, DictionaryField::NextLateRank as u8, &row.next_late_rank.to_le_bytes());
    }
    if let Some((first, last)) = row.span {
        let mut bytes = first.0.to_le_bytes().to_vec();
        put_i64(&mut bytes, last.0);
        put_field(&mut out, DictionaryField::Span as u8, &bytes);
    }
    put_field(&mut out, DictionaryField::Samples as u8, &row.samples.to_le_bytes());
    put_field(&mut out, DictionaryField::Bytes as u8, &row.bytes.to_le_bytes());
    for description in &row.types {
        let mut bytes = Vec::new();
        put_u8(&mut bytes, description.value.kind as u8);
        put_u8(
            &mut bytes,
            u8::from(description.value.array) | u8::from(description.descriptor.is_some()) << 1,
        );
        bytes.extend_from_slice(description.descriptor.as_deref().unwrap_or_default());
        put_field(&mut out, DictionaryField::Type as u8, &bytes);
    }
    if let Some((state, since)) = row.archiving {
        let tag = ARCHIVING.iter().find(|(known, _)| *known == state).map_or(0, |(_, tag)| *tag as u8);
        let mut bytes = vec![tag];
        put_i64(&mut bytes, since.0);
        put_field(&mut out, DictionaryField::Archiving as u8, &bytes);
    }
    if let Some((since, metadata)) = &row.metadata {
        let mut bytes = since.0.to_le_bytes().to_vec();
        put_metadata(metadata, &mut bytes);
        put_field(&mut out, DictionaryField::Metadata as u8, &bytes);
    }
    if let Some((time, sequence)) = row.first_sample {
        let mut bytes = time.0.to_le_bytes().to_vec();
        put_u64(&mut bytes, sequence);
        put_field(&mut out, DictionaryField::FirstSample as u8, &bytes);
    }
    if row.as_of > 0 {
        put_field(&mut out, DictionaryField::AsOf as u8, &row.as_of.to_le_bytes());
    }
    out
}

pub(crate) fn decode_row(bytes: &[u8]) -> Result<DictionaryRow, BytesError> {
    let mut cursor = Cursor::new(bytes);
    let channel = ChannelId(cursor.u64()?);
    let mut fields = Fields::new(cursor);
    let mut name = None;
    // The name is replaced below; a row without one is refused.
    let placeholder =
        ChannelName::stored("-").map_err(|_| fields.error("a name that no channel may have"))?;
    let mut row = DictionaryRow::new(channel, placeholder);
    while let Some(mut field) = fields.next()? {
        let content = &mut field.content;
        let Some(known) = DictionaryField::from_tag(field.tag) else {
            fields.unknown(&field)?;
            continue;
        };
        match known {
            DictionaryField::Name => name = Some(read_name(content)?),
            DictionaryField::Alias => row.aliases.push(read_name(content)?),
            DictionaryField::Newest => {
                let (time, rank) = (Timestamp(content.i64()?), content.u32()?);
                row.newest = Some(NewestReading { time, rank, fingerprint: content.array()? });
            }
            DictionaryField::NextLateRank => row.next_late_rank = content.u32()?,
            DictionaryField::Span => row.span = Some((Timestamp(content.i64()?), Timestamp(content.i64()?))),
            DictionaryField::Samples => row.samples = content.u64()?,
            DictionaryField::Bytes => row.bytes = content.u64()?,
            DictionaryField::Type => row.types.push(read_type(content)?),
            DictionaryField::Archiving => {
                let tag = ArchivingTag::from_tag(content.u8()?);
                let known = ARCHIVING.iter().find(|(_, known)| Some(*known) == tag);
                let (state, _) = known.ok_or_else(|| content.error("an unknown archiving state"))?;
                row.archiving = Some((*state, Timestamp(content.i64()?)));
            }
            DictionaryField::Metadata => {
                let since = Timestamp(content.i64()?);
                row.metadata = Some((since, read_metadata(Cursor::new(content.rest()))?));
            }
            DictionaryField::FirstSample => {
                row.first_sample = Some((Timestamp(content.i64()?), content.u64()?));
            }
            DictionaryField::AsOf => row.as_of = content.u64()?,
        }
        field.content.finish()?;
    }
    row.name = name.ok_or_else(|| fields.error("a dictionary row without a name"))?;
    Ok(row)
}

fn read_type(cursor: &mut Cursor<'_>) -> Result<ValueDescription, BytesError> {
    let kind = Kind::from_tag(cursor.u8()?).ok_or_else(|| cursor.error("an unknown kind of values"))?;
    let flags = cursor.u8()?;
    let rest = cursor.rest();
    if flags > 3 || (flags & 2 == 0 && !rest.is_empty()) {
        return Err(cursor.error("unknown flags of a type"));
    }
    let descriptor = (flags & 2 != 0).then(|| Arc::from(rest));
    Ok(ValueDescription { value: ValueType { kind, array: flags & 1 != 0 }, descriptor })
}
