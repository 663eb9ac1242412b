//! Lists of events as bytes.

use super::field::{Fields, put_field, put_list, read_list};
use super::sample_bytes::{decode_sample, encode_sample};
use crate::format::{EventField, EventTag};
use disk::{BytesError, Cursor, FormatError, put_i64, put_u8, put_u64};
use sample::{ChannelId, DropCause, Event, EventKind, Timestamp};

/// Events of one channel as a record payload, in the order given.
///
/// # Errors
/// [`FormatError::Limit`] when a dropped sample cannot be written as a chunk.
pub fn encode_events(events: &[Event]) -> Result<Vec<u8>, FormatError> {
    let samples: Vec<Option<Vec<u8>>> = events
        .iter()
        .map(|event| match &event.kind {
            EventKind::Dropped { last: Some(sample), .. } => {
                encode_sample(ChannelId::ARCHIVE, sample).map(Some)
            }
            _ => Ok(None),
        })
        .collect::<Result<_, _>>()?;
    let items: Vec<_> = events.iter().zip(&samples).collect();
    let mut out = Vec::new();
    put_list(&mut out, &items, |(event, sample), out| put_event(event, sample.as_deref(), out));
    Ok(out)
}

/// Reads what [`encode_events`] wrote.
///
/// # Errors
/// When the bytes are damaged or hold what this program does not know.
pub fn decode_events(bytes: &[u8]) -> Result<Vec<Event>, BytesError> {
    read_list(bytes, read_event)
}

fn put_event(event: &Event, last_sample: Option<&[u8]>, out: &mut Vec<u8>) {
    put_u8(out, tag_of(&event.kind) as u8);
    put_i64(out, event.time.0);
    put_u64(out, event.sequence);
    let mut time = |field: EventField, time: Timestamp| put_field(out, field as u8, &time.0.to_le_bytes());
    match &event.kind {
        EventKind::Connected { host } => put_field(out, EventField::Host as u8, host.as_bytes()),
        EventKind::Disconnected { last_heard } => time(EventField::LastHeard, *last_heard),
        EventKind::EngineDown { until } => time(EventField::Until, *until),
        EventKind::TimeReplaced { original } => time(EventField::Original, *original),
        EventKind::Dropped { to, count, cause, last: _ } => {
            time(EventField::To, *to);
            put_field(out, EventField::Count as u8, &count.to_le_bytes());
            put_field(out, EventField::Cause as u8, &[*cause as u8]);
            if let Some(sample) = last_sample {
                put_field(out, EventField::Last as u8, sample);
            }
        }
        EventKind::Started
        | EventKind::Stopped
        | EventKind::Paused
        | EventKind::Resumed
        | EventKind::Retired => {}
    }
}

fn tag_of(kind: &EventKind) -> EventTag {
    match kind {
        EventKind::Connected { .. } => EventTag::Connected,
        EventKind::Disconnected { .. } => EventTag::Disconnected,
        EventKind::Started => EventTag::Started,
        EventKind::Stopped => EventTag::Stopped,
        EventKind::Paused => EventTag::Paused,
        EventKind::Resumed => EventTag::Resumed,
        EventKind::Retired => EventTag::Retired,
        EventKind::EngineDown { .. } => EventTag::EngineDown,
        EventKind::Dropped { .. } => EventTag::Dropped,
        EventKind::TimeReplaced { .. } => EventTag::TimeReplaced,
    }
}

/// What the fields of an event said.
#[derive(Default)]
struct EventParts {
    host: Option<Box<str>>,
    last_heard: Option<Timestamp>,
    until: Option<Timestamp>,
    to: Option<Timestamp>,
    count: Option<u64>,
    cause: Option<DropCause>,
    last: Option<Box<sample::Sample>>,
    original: Option<Timestamp>,
}

fn read_event(mut cursor: Cursor<'_>) -> Result<Event, BytesError> {
    let tag = EventTag::from_tag(cursor.u8()?).ok_or_else(|| cursor.error("an unknown kind of event"))?;
    let time = Timestamp(cursor.i64()?);
    let sequence = cursor.u64()?;
    let missing = cursor.error("an event lacks a field that its kind needs");
    let parts = read_parts(cursor)?;
    let kind = match tag {
        EventTag::Connected => EventKind::Connected { host: parts.host.ok_or(missing)? },
        EventTag::Disconnected => EventKind::Disconnected { last_heard: parts.last_heard.ok_or(missing)? },
        EventTag::Started => EventKind::Started,
        EventTag::Stopped => EventKind::Stopped,
        EventTag::Paused => EventKind::Paused,
        EventTag::Resumed => EventKind::Resumed,
        EventTag::Retired => EventKind::Retired,
        EventTag::EngineDown => EventKind::EngineDown { until: parts.until.ok_or(missing)? },
        EventTag::Dropped => EventKind::Dropped {
            to: parts.to.ok_or(missing)?,
            count: parts.count.ok_or(missing)?,
            cause: parts.cause.ok_or(missing)?,
            last: parts.last,
        },
        EventTag::TimeReplaced => EventKind::TimeReplaced { original: parts.original.ok_or(missing)? },
    };
    Ok(Event { time, sequence, kind })
}

fn read_parts(cursor: Cursor<'_>) -> Result<EventParts, BytesError> {
    let mut fields = Fields::new(cursor);
    let mut parts = EventParts::default();
    while let Some(mut field) = fields.next()? {
        let content = &mut field.content;
        let time = |content: &mut Cursor<'_>| content.i64().map(|ns| Some(Timestamp(ns)));
        match EventField::from_tag(field.tag) {
            Some(EventField::Host) => {
                let len = content.remaining();
                parts.host = Some(content.str(len)?.into());
            }
            Some(EventField::LastHeard) => parts.last_heard = time(content)?,
            Some(EventField::Until) => parts.until = time(content)?,
            Some(EventField::To) => parts.to = time(content)?,
            Some(EventField::Original) => parts.original = time(content)?,
            Some(EventField::Count) => parts.count = Some(content.u64()?),
            Some(EventField::Cause) => {
                let cause = DropCause::from_tag(content.u8()?);
                parts.cause = Some(cause.ok_or_else(|| fields.error("an unknown cause of a drop"))?);
            }
            Some(EventField::Last) => parts.last = Some(Box::new(decode_sample(content.rest())?.1)),
            None => {
                fields.unknown(&field)?;
                continue;
            }
        }
        field.content.finish()?;
    }
    Ok(parts)
}
