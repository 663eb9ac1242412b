//! Small values as bytes between processes: little-endian, lengths checked before anything is allocated.

use disk::{BytesError, Cursor, DiskError, put_i64, put_str, put_u8, put_u32, put_u64, put_varint};
use engine::read::{Part, Position, ReadError};
use sample::{ChannelName, Kind, TimeRange, Timestamp, ValueType};
use std::path::PathBuf;

/// What reading yields.
pub(super) type Read<T> = Result<T, BytesError>;

pub(super) fn put_option<T>(out: &mut Vec<u8>, value: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
    put_u8(out, u8::from(value.is_some()));
    if let Some(value) = value {
        put(out, value);
    }
}

pub(super) fn option<'a, T>(
    from: &mut Cursor<'a>,
    read: impl FnOnce(&mut Cursor<'a>) -> Read<T>,
) -> Read<Option<T>> {
    if flag(from)? { read(from).map(Some) } else { Ok(None) }
}

pub(super) fn flag(from: &mut Cursor<'_>) -> Read<bool> {
    match from.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(from.error("a flag is 0 or 1")),
    }
}

pub(super) fn put_list<T>(out: &mut Vec<u8>, items: &[T], mut put: impl FnMut(&mut Vec<u8>, &T)) {
    put_varint(out, items.len() as u64);
    for item in items {
        put(out, item);
    }
}

/// A list whose items take at least `item_bytes` each.
pub(super) fn list<'a, T>(
    from: &mut Cursor<'a>,
    item_bytes: usize,
    mut read: impl FnMut(&mut Cursor<'a>) -> Read<T>,
) -> Read<Vec<T>> {
    let count = from.count(item_bytes)?;
    let mut items = Vec::new();
    for _ in 0..count {
        items.push(read(from)?);
    }
    Ok(items)
}

pub(super) fn put_time(out: &mut Vec<u8>, time: Timestamp) {
    put_i64(out, time.0);
}

pub(super) fn time(from: &mut Cursor<'_>) -> Read<Timestamp> {
    from.i64().map(Timestamp)
}

pub(super) fn put_range(out: &mut Vec<u8>, range: TimeRange) {
    put_time(out, range.from);
    put_time(out, range.to);
}

pub(super) fn range(from: &mut Cursor<'_>) -> Read<TimeRange> {
    Ok(TimeRange::new(time(from)?, time(from)?))
}

pub(super) fn put_name(out: &mut Vec<u8>, name: &ChannelName) {
    put_str(out, name.as_str());
}

pub(super) fn name(from: &mut Cursor<'_>) -> Read<ChannelName> {
    let text = from.counted_str()?;
    ChannelName::stored(text).map_err(|_| from.error("this is no channel name"))
}

pub(super) fn put_type(out: &mut Vec<u8>, value_type: ValueType) {
    put_u8(out, value_type.kind as u8);
    put_u8(out, u8::from(value_type.array));
}

pub(super) fn value_type(from: &mut Cursor<'_>) -> Read<ValueType> {
    let kind = Kind::from_tag(from.u8()?).ok_or_else(|| from.error("an unknown kind of value"))?;
    Ok(ValueType { kind, array: flag(from)? })
}

/// Place of `value` in `all`, from 1 on.
pub(super) fn put_tag<T: PartialEq>(out: &mut Vec<u8>, all: &[T], value: T) {
    let at = all.iter().position(|known| *known == value);
    put_u8(out, at.and_then(|at| u8::try_from(at + 1).ok()).unwrap_or(0));
}

pub(super) fn tag<T: Copy>(from: &mut Cursor<'_>, all: &[T]) -> Read<T> {
    let tag = usize::from(from.u8()?);
    let found = tag.checked_sub(1).and_then(|at| all.get(at));
    found.copied().ok_or_else(|| from.error("an unknown tag: is one of the programs older?"))
}

/// Bytes of a part.
pub(super) const PART_BYTES: usize = 36;

pub(super) fn put_part(out: &mut Vec<u8>, part: &Part) {
    for position in [part.first, part.last] {
        put_i64(out, position.time);
        put_u32(out, position.rank);
    }
    put_u32(out, part.count);
    put_u64(out, part.token);
}

pub(super) fn part(from: &mut Cursor<'_>) -> Read<Part> {
    let mut position = || Ok(Position { time: from.i64()?, rank: from.u32()? });
    let (first, last) = (position()?, position()?);
    if first > last {
        return Err(from.error("a part ends before it begins"));
    }
    Ok(Part { first, last, count: from.u32()?, token: from.u64()? })
}

/// What a failure is, on the wire.
const DAMAGED: u8 = 1;
const VANISHED: u8 = 2;
const UNAVAILABLE: u8 = 3;
const NOT_READY: u8 = 4;

pub(super) fn put_error(out: &mut Vec<u8>, error: &ReadError) {
    match error {
        ReadError::Damaged { file, offset, what, span } => {
            put_u8(out, DAMAGED);
            put_str(out, &file.to_string_lossy());
            put_u64(out, *offset);
            put_str(out, what);
            put_option(out, *span, |out, (first, last)| {
                put_time(out, first);
                put_time(out, last);
            });
        }
        ReadError::Vanished(file) => {
            put_u8(out, VANISHED);
            put_str(out, &file.to_string_lossy());
        }
        ReadError::Io(error) => {
            put_u8(out, UNAVAILABLE);
            put_str(out, &DiskError::to_string(error));
        }
        ReadError::Unavailable(what) => {
            put_u8(out, UNAVAILABLE);
            put_str(out, what);
        }
        ReadError::NotReady(what) => {
            put_u8(out, NOT_READY);
            put_str(out, what);
        }
    }
}

pub(super) fn error(from: &mut Cursor<'_>) -> Read<ReadError> {
    let tag = from.u8()?;
    let text = from.counted_str()?.to_string();
    Ok(match tag {
        DAMAGED => ReadError::Damaged {
            file: PathBuf::from(text),
            offset: from.u64()?,
            what: from.counted_str()?.to_string(),
            span: option(from, |from| Ok((time(from)?, time(from)?)))?,
        },
        VANISHED => ReadError::Vanished(PathBuf::from(text)),
        UNAVAILABLE => ReadError::Unavailable(text),
        NOT_READY => ReadError::NotReady(text),
        _ => return Err(from.error("an unknown kind of failure")),
    })
}
