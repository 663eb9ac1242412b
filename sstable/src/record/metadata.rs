//! Metadata as bytes.

use super::field::{Fields, put_field, put_list, read_list};
use crate::format::MetadataField;
use disk::{BytesError, Cursor, put_bytes, put_i64, put_varint};
use sample::{Metadata, Timestamp};

/// Metadata of one channel, each with the time from which it holds, as a record payload.
pub fn encode_metadata(list: &[(Timestamp, Metadata)]) -> Vec<u8> {
    let mut out = Vec::new();
    put_list(&mut out, list, |(since, metadata), out| {
        put_i64(out, since.0);
        put_metadata(metadata, out);
    });
    out
}

/// Reads what [`encode_metadata`] wrote.
///
/// # Errors
/// When the bytes are damaged or hold a required field that this program does not know.
pub fn decode_metadata(bytes: &[u8]) -> Result<Vec<(Timestamp, Metadata)>, BytesError> {
    read_list(bytes, |mut cursor| Ok((Timestamp(cursor.i64()?), read_metadata(cursor)?)))
}

/// Appends the fields that are known.
pub(crate) fn put_metadata(metadata: &Metadata, out: &mut Vec<u8>) {
    let mut text = |field: MetadataField, text: &Option<Box<[u8]>>| {
        if let Some(text) = text {
            put_field(out, field as u8, text);
        }
    };
    text(MetadataField::Units, &metadata.units);
    text(MetadataField::Description, &metadata.description);
    text(MetadataField::Host, &metadata.host);
    text(MetadataField::Settings, &metadata.settings);
    if let Some(precision) = metadata.precision {
        put_field(out, MetadataField::Precision as u8, &precision.to_le_bytes());
    }
    let limits = [
        (MetadataField::DisplayLow, metadata.display_low),
        (MetadataField::DisplayHigh, metadata.display_high),
        (MetadataField::AlarmLow, metadata.alarm_low),
        (MetadataField::AlarmHigh, metadata.alarm_high),
        (MetadataField::WarningLow, metadata.warning_low),
        (MetadataField::WarningHigh, metadata.warning_high),
        (MetadataField::ControlLow, metadata.control_low),
        (MetadataField::ControlHigh, metadata.control_high),
    ];
    for (field, limit) in limits {
        if let Some(limit) = limit {
            put_field(out, field as u8, &limit.to_bits().to_le_bytes());
        }
    }
    if let Some(states) = &metadata.states {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, states.len() as u64);
        states.iter().for_each(|state| put_bytes(&mut bytes, state));
        put_field(out, MetadataField::States as u8, &bytes);
    }
}

/// Reads fields to the end.
pub(crate) fn read_metadata(cursor: Cursor<'_>) -> Result<Metadata, BytesError> {
    let mut fields = Fields::new(cursor);
    let mut metadata = Metadata::default();
    while let Some(mut field) = fields.next()? {
        let content = &mut field.content;
        let Some(known) = MetadataField::from_tag(field.tag) else {
            fields.unknown(&field)?;
            continue;
        };
        match known {
            MetadataField::Units => metadata.units = Some(content.rest().into()),
            MetadataField::Description => metadata.description = Some(content.rest().into()),
            MetadataField::Host => metadata.host = Some(content.rest().into()),
            MetadataField::Settings => metadata.settings = Some(content.rest().into()),
            MetadataField::Precision => metadata.precision = Some(content.u16()? as i16),
            MetadataField::DisplayLow => metadata.display_low = Some(content.f64()?),
            MetadataField::DisplayHigh => metadata.display_high = Some(content.f64()?),
            MetadataField::AlarmLow => metadata.alarm_low = Some(content.f64()?),
            MetadataField::AlarmHigh => metadata.alarm_high = Some(content.f64()?),
            MetadataField::WarningLow => metadata.warning_low = Some(content.f64()?),
            MetadataField::WarningHigh => metadata.warning_high = Some(content.f64()?),
            MetadataField::ControlLow => metadata.control_low = Some(content.f64()?),
            MetadataField::ControlHigh => metadata.control_high = Some(content.f64()?),
            MetadataField::States => {
                let mut states = Vec::new();
                for _ in 0..content.count(1)? {
                    states.push(content.counted_bytes()?.into());
                }
                metadata.states = Some(states);
            }
        }
        field.content.finish()?;
    }
    Ok(metadata)
}
