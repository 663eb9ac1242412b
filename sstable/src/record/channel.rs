//! What a channel is called and how it is kept, from some time on.

use super::field::{put_list, read_list};
use crate::format::ChannelTag;
use disk::{BytesError, Cursor, put_i64, put_u8};
use sample::{ChannelName, Timestamp};

/// One change of a channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelRecord {
    /// From when on it holds.
    pub time: Timestamp,
    /// What changed.
    pub change: ChannelChange,
}

/// What changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ChannelChange {
    /// The channel has this name (registration or rename).
    Named(ChannelName),
    /// The channel also has this name.
    Alias(ChannelName),
    /// The channel belongs to this retention class.
    Retention(Box<str>),
    /// The archive settings in force, as text.
    Settings(Box<str>),
}

/// Records of one channel as a record payload, in the order given.
pub fn encode_channel_records(records: &[ChannelRecord]) -> Vec<u8> {
    let mut out = Vec::new();
    put_list(&mut out, records, |record, out| {
        put_i64(out, record.time.0);
        let (tag, text) = match &record.change {
            ChannelChange::Named(name) => (ChannelTag::Named, name.as_str()),
            ChannelChange::Alias(name) => (ChannelTag::Alias, name.as_str()),
            ChannelChange::Retention(class) => (ChannelTag::Retention, &**class),
            ChannelChange::Settings(text) => (ChannelTag::Settings, &**text),
        };
        put_u8(out, tag as u8);
        out.extend_from_slice(text.as_bytes());
    });
    out
}

/// Reads what [`encode_channel_records`] wrote.
///
/// # Errors
/// When the bytes are damaged or hold a change that this program does not know.
pub fn decode_channel_records(bytes: &[u8]) -> Result<Vec<ChannelRecord>, BytesError> {
    read_list(bytes, |mut cursor| {
        let time = Timestamp(cursor.i64()?);
        let tag = ChannelTag::from_tag(cursor.u8()?);
        let tag = tag.ok_or_else(|| cursor.error("an unknown change of a channel"))?;
        let change = match tag {
            ChannelTag::Named => ChannelChange::Named(read_name(&mut cursor)?),
            ChannelTag::Alias => ChannelChange::Alias(read_name(&mut cursor)?),
            ChannelTag::Retention => ChannelChange::Retention(read_text(&mut cursor)?.into()),
            ChannelTag::Settings => ChannelChange::Settings(read_text(&mut cursor)?.into()),
        };
        Ok(ChannelRecord { time, change })
    })
}

fn read_text<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, BytesError> {
    let len = cursor.remaining();
    cursor.str(len)
}

/// A channel name up to the end of the bytes.
pub(crate) fn read_name(cursor: &mut Cursor<'_>) -> Result<ChannelName, BytesError> {
    let text = read_text(cursor)?;
    ChannelName::stored(text).map_err(|_| cursor.error("a name that no channel may have"))
}
