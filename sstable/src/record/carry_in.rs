//! What held for a channel when its week began.

use super::channel::{ChannelRecord, decode_channel_records, encode_channel_records};
use super::field::{Fields, put_field};
use super::metadata::{put_metadata, read_metadata};
use super::sample_bytes::{decode_sample, encode_sample};
use crate::format::{ArchivingTag, CARRIED_VALUE_BYTES_MAX, CarryInField};
use disk::{BytesError, Cursor, FormatError, put_i64, put_str, put_u8, put_u32};
use sample::{ChannelId, Metadata, Sample, Timestamp, Week};

/// The state of one channel at the begin of a week, so that no earlier week is needed.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CarryIn {
    /// The last sample before the week.
    pub sample: Option<CarriedSample>,
    /// Whether the sample stands nowhere else: readers see it as an ordinary one.
    pub original: bool,
    /// Connection as it was.
    pub connection: Option<Connection>,
    /// Archiving state, with the time since when.
    pub archiving: Option<(Archiving, Timestamp)>,
    /// Metadata in force, with the time from which they hold.
    pub metadata: Option<(Timestamp, Metadata)>,
    /// Name, aliases, retention class and settings in force.
    pub names: Vec<ChannelRecord>,
    /// Sequence of the channel's last event or sample before the week.
    pub last_sequence: u64,
}

/// A sample, or where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CarriedSample {
    /// The sample itself.
    Here(Box<Sample>),
    /// The sample is larger than 4 KiB: it stands in this earlier week.
    There {
        /// The week.
        week: Week,
        /// Its time.
        time: Timestamp,
        /// Its rank.
        rank: u32,
    },
}

impl CarriedSample {
    /// `sample` itself, or where it stands when it is large (but never so when it is `original`).
    pub fn of(sample: &Sample, week: Week, original: bool) -> CarriedSample {
        if sample.value.byte_len() <= CARRIED_VALUE_BYTES_MAX || original {
            return CarriedSample::Here(Box::new(sample.clone()));
        }
        CarriedSample::There { week, time: sample.time, rank: sample.rank }
    }
}

/// A channel's connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connection {
    /// `host:port` of the server, `None` while disconnected.
    pub host: Option<Box<str>>,
    /// Since when it is so (when the loss was noticed, for a disconnected channel).
    pub since: Timestamp,
    /// Last message from the server before the loss, for a disconnected channel.
    pub last_heard: Option<Timestamp>,
}

/// Whether a channel is archived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Archiving {
    /// It is.
    Started,
    /// An operator paused it.
    Paused,
    /// It ended with the engine running.
    Stopped,
    /// It is no longer configured.
    Retired,
}

pub(super) const ARCHIVING: [(Archiving, ArchivingTag); 4] = [
    (Archiving::Started, ArchivingTag::Started),
    (Archiving::Paused, ArchivingTag::Paused),
    (Archiving::Stopped, ArchivingTag::Stopped),
    (Archiving::Retired, ArchivingTag::Retired),
];

/// A carry-in of `channel` as a record payload.
///
/// # Errors
/// [`FormatError::Limit`] when the sample cannot be written as a chunk.
pub fn encode_carry_in(channel: ChannelId, carry_in: &CarryIn) -> Result<Vec<u8>, FormatError> {
    let mut out = Vec::new();
    match &carry_in.sample {
        Some(CarriedSample::Here(sample)) => {
            put_field(&mut out, CarryInField::Sample as u8, &encode_sample(channel, sample)?);
        }
        Some(CarriedSample::There { week, time, rank }) => {
            let mut place = week.0.to_le_bytes().to_vec();
            put_i64(&mut place, time.0);
            put_u32(&mut place, *rank);
            put_field(&mut out, CarryInField::Place as u8, &place);
        }
        None => {}
    }
    if carry_in.original {
        put_field(&mut out, CarryInField::Original as u8, &[]);
    }
    if let Some(connection) = &carry_in.connection {
        put_field(&mut out, CarryInField::Connection as u8, &connection_bytes(connection));
    }
    if let Some((state, since)) = carry_in.archiving {
        let mut bytes = Vec::new();
        let tag = ARCHIVING.iter().find(|(known, _)| *known == state).map_or(0, |(_, tag)| *tag as u8);
        put_u8(&mut bytes, tag);
        put_i64(&mut bytes, since.0);
        put_field(&mut out, CarryInField::Archiving as u8, &bytes);
    }
    if let Some((since, metadata)) = &carry_in.metadata {
        let mut bytes = since.0.to_le_bytes().to_vec();
        put_metadata(metadata, &mut bytes);
        put_field(&mut out, CarryInField::Metadata as u8, &bytes);
    }
    put_field(&mut out, CarryInField::Names as u8, &encode_channel_records(&carry_in.names));
    put_field(&mut out, CarryInField::LastSequence as u8, &carry_in.last_sequence.to_le_bytes());
    Ok(out)
}

/// Host (or nothing), since, last heard (or nothing).
fn connection_bytes(connection: &Connection) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_u8(&mut bytes, u8::from(connection.host.is_some()) | u8::from(connection.last_heard.is_some()) << 1);
    put_i64(&mut bytes, connection.since.0);
    if let Some(host) = &connection.host {
        put_str(&mut bytes, host);
    }
    if let Some(last_heard) = connection.last_heard {
        put_i64(&mut bytes, last_heard.0);
    }
    bytes
}

/// Reads what [`encode_carry_in`] wrote.
///
/// # Errors
/// When the bytes are damaged or hold a required field that this program does not know.
pub fn decode_carry_in(bytes: &[u8]) -> Result<CarryIn, BytesError> {
    let mut fields = Fields::new(Cursor::new(bytes));
    let mut carry_in = CarryIn::default();
    while let Some(mut field) = fields.next()? {
        let content = &mut field.content;
        let Some(known) = CarryInField::from_tag(field.tag) else {
            fields.unknown(&field)?;
            continue;
        };
        match known {
            CarryInField::Sample => {
                let (_, sample) = decode_sample(content.rest())?;
                carry_in.sample = Some(CarriedSample::Here(Box::new(sample)));
            }
            CarryInField::Place => {
                let week = Week(content.u32()? as i32);
                let (time, rank) = (Timestamp(content.i64()?), content.u32()?);
                carry_in.sample = Some(CarriedSample::There { week, time, rank });
            }
            CarryInField::Original => carry_in.original = true,
            CarryInField::Connection => carry_in.connection = Some(read_connection(content)?),
            CarryInField::Archiving => {
                let tag = ArchivingTag::from_tag(content.u8()?);
                let state = ARCHIVING.iter().find(|(_, known)| Some(*known) == tag);
                let (state, _) = state.ok_or_else(|| fields.error("an unknown state of archiving"))?;
                carry_in.archiving = Some((*state, Timestamp(content.i64()?)));
            }
            CarryInField::Metadata => {
                let since = Timestamp(content.i64()?);
                carry_in.metadata = Some((since, read_metadata(Cursor::new(content.rest()))?));
            }
            CarryInField::Names => carry_in.names = decode_channel_records(content.rest())?,
            CarryInField::LastSequence => carry_in.last_sequence = content.u64()?,
            // Who wants it asks the table for it.
            CarryInField::Timeline => drop(content.rest()),
        }
        field.content.finish()?;
    }
    Ok(carry_in)
}

fn read_connection(cursor: &mut Cursor<'_>) -> Result<Connection, BytesError> {
    let flags = cursor.u8()?;
    if flags > 3 {
        return Err(cursor.error("unknown flags of a connection"));
    }
    let since = Timestamp(cursor.i64()?);
    let host = if flags & 1 != 0 { Some(cursor.counted_str()?.into()) } else { None };
    let last_heard = if flags & 2 != 0 { Some(Timestamp(cursor.i64()?)) } else { None };
    Ok(Connection { host, since, last_heard })
}
