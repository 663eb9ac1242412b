//! What begins and ends a table file.

use crate::format::*;
use disk::{Cursor, FormatError, checksum, put_i64, put_u8, put_u16, put_u32, put_u64, put_u128};
use sample::{ChannelId, Timestamp, Week};
use std::path::Path;

/// Whose data a table holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableInfo {
    /// The archive.
    pub archive: u128,
    /// The table's number in the archive.
    pub table: u64,
    /// The partition's week.
    pub week: Week,
    /// Number of the retention class.
    pub class: u32,
    /// Name of the retention class, at most 64 bytes.
    pub class_name: String,
    /// Samples or decimated rows.
    pub kind: TableKind,
    /// What the archive received up to this time stands in this table or in others made by then, if anywhere
    /// in tables.
    pub known_until: Timestamp,
    /// 0 as flushed; one more than the highest of the tables that were merged into it.
    pub tier: u16,
}

/// What a table holds: files are of one kind, so that retention only unlinks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TableKind {
    /// Samples with their events, metadata, carry-ins and channel records.
    Raw,
    /// Decimated rows.
    Decimated,
}

/// What a table holds, in numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableSummary {
    /// Length of the file.
    pub len: u64,
    /// CRC of the footer, which covers that of the prologue.
    pub footer_crc: u32,
    /// Blocks of data.
    pub blocks: u64,
    /// Chunks of samples.
    pub chunks: u64,
    /// Of these, late runs.
    pub late_chunks: u64,
    /// Records that are not samples.
    pub records: u64,
    /// Samples.
    pub samples: u64,
    /// Times of the first and the last sample.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Least and greatest channel with an entry.
    pub channel_range: Option<(ChannelId, ChannelId)>,
    /// Rows of the dictionary.
    pub channels: u64,
    /// How many seconds before its week the events of the table begin to matter, rounded up; `u32::MAX` where that is
    /// not known or more.
    pub events_reach_s: u32,
}

/// The footer: the summary and where the dictionary and the index are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Footer {
    pub(crate) prologue_crc: u32,
    pub(crate) dictionary_offset: u64,
    pub(crate) index_offset: u64,
    pub(crate) index_len: u64,
    pub(crate) summary: TableSummary,
}

/// The first bytes of a table.
pub(crate) fn encode_prologue(info: &TableInfo) -> Result<Vec<u8>, FormatError> {
    if info.class_name.len() > CLASS_NAME_BYTES_MAX {
        return Err(FormatError::Limit {
            what: "bytes of the name of a retention class",
            max: CLASS_NAME_BYTES_MAX as u64,
            found: info.class_name.len() as u64,
        });
    }
    let mut out = TABLE_FILE.encode().to_vec();
    put_u128(&mut out, info.archive);
    put_u64(&mut out, info.table);
    put_u32(&mut out, info.week.0 as u32);
    put_u32(&mut out, info.class);
    let kind = match info.kind {
        TableKind::Raw => TableTag::Raw,
        TableKind::Decimated => TableTag::Decimated,
    };
    put_u8(&mut out, kind as u8);
    put_u8(&mut out, info.class_name.len() as u8);
    out.extend_from_slice(info.class_name.as_bytes());
    out.resize(out.len() + CLASS_NAME_BYTES_MAX - info.class_name.len(), 0);
    put_i64(&mut out, info.known_until.0);
    put_u16(&mut out, info.tier);
    let crc = checksum(&out);
    put_u32(&mut out, crc);
    Ok(out)
}

/// Whether carry-ins in the table at `path` tell the truth about events and metadata; `bytes` are its first.
pub(crate) fn has_timelines(bytes: &[u8], path: &Path) -> Result<bool, FormatError> {
    Ok(TABLE_FILE.decode(bytes, path)?.minor >= TIMELINES_SINCE_MINOR)
}

/// Reads the first bytes of the table at `path`.
pub(crate) fn decode_prologue(bytes: &[u8], path: &Path) -> Result<(TableInfo, u32), FormatError> {
    TABLE_FILE.decode(bytes, path)?;
    let damaged = |what: &'static str| FormatError::corrupt(path, 0, what);
    let Some(bytes) = bytes.get(..PROLOGUE_BYTES) else {
        return Err(damaged("the file ends inside its first 128 bytes"));
    };
    let (fields, crc) = bytes.split_at(PROLOGUE_BYTES - 4);
    let found = checksum(fields);
    if found.to_le_bytes() != crc {
        return Err(damaged("the first 128 bytes fail their checksum"));
    }
    let read = || {
        let mut cursor = Cursor::new(&fields[disk::FILE_HEADER_BYTES..]);
        let (archive, table) = (cursor.u128()?, cursor.u64()?);
        let (week, class) = (Week(cursor.u32()? as i32), cursor.u32()?);
        let kind = match TableTag::from_tag(cursor.u8()?) {
            Some(TableTag::Raw) => TableKind::Raw,
            Some(TableTag::Decimated) => TableKind::Decimated,
            None => return Err(cursor.error("an unknown kind of table")),
        };
        let len = usize::from(cursor.u8()?).min(CLASS_NAME_BYTES_MAX);
        let class_name = cursor.str(len)?.to_string();
        let filling = cursor.bytes(CLASS_NAME_BYTES_MAX - len)?;
        let (known_until, tier) = (Timestamp(cursor.i64()?), cursor.u16()?);
        if filling.iter().any(|byte| *byte != 0) {
            return Err(cursor.error("zeros were expected behind the name of the class"));
        }
        Ok(TableInfo { archive, table, week, class, class_name, kind, known_until, tier })
    };
    let info = read().map_err(|error| error.in_file(path, disk::FILE_HEADER_BYTES as u64))?;
    Ok((info, found))
}

impl Footer {
    /// The last bytes of a table, with their CRC.
    pub(crate) fn encode(&self) -> (Vec<u8>, u32) {
        let summary = &self.summary;
        let span = summary.span.unwrap_or((Timestamp::MAX, Timestamp::MIN));
        let channels = summary.channel_range.unwrap_or((ChannelId(u64::MAX), ChannelId(0)));
        let mut out = FOOTER_MAGIC.to_vec();
        put_u32(&mut out, self.prologue_crc);
        put_u32(&mut out, 0);
        for number in [
            self.dictionary_offset,
            self.index_offset,
            self.index_len,
            summary.blocks,
            summary.chunks,
            summary.late_chunks,
            summary.records,
            summary.samples,
        ] {
            put_u64(&mut out, number);
        }
        put_i64(&mut out, span.0.0);
        put_i64(&mut out, span.1.0);
        put_u64(&mut out, channels.0.0);
        put_u64(&mut out, channels.1.0);
        put_u64(&mut out, summary.channels);
        put_u32(&mut out, summary.events_reach_s);
        let crc = checksum(&out);
        put_u32(&mut out, crc);
        (out, crc)
    }

    /// Reads the last bytes of a file of `file_len` bytes.
    pub(crate) fn decode(bytes: &[u8], path: &Path, file_len: u64) -> Result<Footer, FormatError> {
        let offset = file_len.saturating_sub(FOOTER_BYTES as u64);
        let damaged = |what: &'static str| FormatError::corrupt(path, offset, what);
        if bytes.len() != FOOTER_BYTES || bytes[..8] != FOOTER_MAGIC {
            return Err(damaged(
                "the file does not end with the footer of a table: it is cut, or was never finished",
            ));
        }
        let (fields, crc) = bytes.split_at(FOOTER_BYTES - 4);
        let footer_crc = checksum(fields);
        if footer_crc.to_le_bytes() != crc {
            return Err(damaged("the footer fails its checksum"));
        }
        let footer = read_footer(&fields[8..], file_len, footer_crc)
            .map_err(|error| error.in_file(path, offset + 8))?;
        let index_end = footer.index_offset.checked_add(footer.index_len);
        let in_order = (PROLOGUE_BYTES as u64..=footer.index_offset).contains(&footer.dictionary_offset);
        if index_end != Some(offset) || !in_order {
            return Err(damaged("dictionary and index do not lie between the data and the footer"));
        }
        Ok(footer)
    }
}

fn read_footer(fields: &[u8], file_len: u64, footer_crc: u32) -> Result<Footer, disk::BytesError> {
    let mut cursor = Cursor::new(fields);
    let prologue_crc = cursor.u32()?;
    let zeros = cursor.u32()?;
    let (dictionary_offset, index_offset, index_len) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
    let (blocks, chunks, late_chunks) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
    let (records, samples) = (cursor.u64()?, cursor.u64()?);
    let span = (Timestamp(cursor.i64()?), Timestamp(cursor.i64()?));
    let range = (ChannelId(cursor.u64()?), ChannelId(cursor.u64()?));
    let (channels, events_reach_s) = (cursor.u64()?, cursor.u32()?);
    if zeros != 0 {
        return Err(cursor.error("a footer with bits that mean nothing yet"));
    }
    let summary = TableSummary {
        len: file_len,
        footer_crc,
        blocks,
        chunks,
        late_chunks,
        records,
        samples,
        span: (samples > 0).then_some(span),
        channel_range: (blocks > 0).then_some(range),
        channels,
        events_reach_s,
    };
    Ok(Footer { prologue_crc, dictionary_offset, index_offset, index_len, summary })
}
