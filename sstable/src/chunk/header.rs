//! What a chunk says about itself.

use super::borrowed::SiblingColumn;
use super::large;
use super::statistics::Statistics;
use super::zones::ZoneColumn;
use crate::codec::ValueModel;
use crate::codec::extend_fixed;
use crate::codec::pco::PcoColumn;
use crate::codec::time::TimeModel;
use crate::format::*;
use disk::{BytesError, Cursor, checksum};
use sample::{ChannelId, Column, Kind, RunType, Severity, StatusDomain, TimeRange, Timestamp, ValueType};
use std::ops::Range;
use std::sync::Arc;

/// Columns for which there is room before they are read; most chunks have fewer.
const COLUMNS_EXPECTED: usize = 8;

/// The header of a chunk: everything that is known without decoding a page.
#[derive(Clone, PartialEq, Debug)]
pub struct ChunkHeader {
    /// The channel.
    pub channel: ChannelId,
    /// What the samples have in common.
    pub run: RunType,
    /// Whether this is a late run.
    pub late: bool,
    /// Time of the first sample.
    pub first: Timestamp,
    /// Time of the last sample.
    pub last: Timestamp,
    /// Rank of the first sample.
    pub first_rank: u32,
    /// Rank of the last sample.
    pub last_rank: u32,
    /// Least and greatest of received minus time in ns, where the receive time is stored.
    pub received_delay: Option<(i64, i64)>,
    /// Facts about the samples.
    pub statistics: Statistics,
    /// Length of the header in bytes; the pages follow.
    pub header_len: usize,
    /// Length of the whole chunk in bytes.
    pub chunk_len: u64,
    /// XXH3 (64 bits) of the stamps: equal time columns have equal hashes.
    pub time_hash: u64,
    pub(super) columns: Vec<HeaderColumn>,
    pub(super) pages: Vec<Page>,
    pub(super) parts: Vec<Part>,
    page_shift: u8,
}

/// One page, as the header describes it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Page {
    /// Time of its first sample.
    pub first: Timestamp,
    /// No finite value lies below the first or above the second; `None` where values have no bounds.
    pub bounds: Option<(f64, f64)>,
    /// The worst severity.
    pub worst: Severity,
    /// Where it begins in the chunk.
    pub(super) offset: usize,
    pub(super) len: usize,
    pub(super) crc: u32,
}

/// One part of a large value.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Part {
    pub(super) offset: usize,
    pub(super) len: usize,
    pub(super) crc: u32,
    pub(super) units: usize,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct HeaderColumn {
    /// Tag and codec as they stand in the header.
    bytes: (u8, u8),
    pub(super) tag: Option<ColumnTag>,
    pub(super) model: ColumnModel,
}

/// How a column of the header is to be read.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum ColumnModel {
    /// A column with the one value.
    Constant(Column),
    TimeReference(ChannelId),
    Time(TimeModel),
    PcoTime(PcoColumn),
    Sibling(SiblingColumn),
    Values(ValueModel),
    Parts,
    Zones(ZoneColumn),
    /// An optional column that this program does not know, and whether it has segments.
    Unknown {
        in_pages: bool,
    },
}

impl HeaderColumn {
    pub(super) fn in_pages(&self) -> bool {
        match &self.model {
            ColumnModel::Time(_)
            | ColumnModel::PcoTime(_)
            | ColumnModel::Sibling(_)
            | ColumnModel::Values(_) => true,
            ColumnModel::Unknown { in_pages } => *in_pages,
            ColumnModel::Constant(_)
            | ColumnModel::TimeReference(_)
            | ColumnModel::Parts
            | ColumnModel::Zones(_) => false,
        }
    }
}

/// Length of the header of the chunk that begins with `bytes` (8 suffice), to know how much to read.
///
/// # Errors
/// When no chunk begins here or its header has an impossible length.
pub fn chunk_header_len(bytes: &[u8]) -> Result<usize, BytesError> {
    let mut cursor = Cursor::new(bytes);
    if cursor.array()? != CHUNK_MAGIC {
        return Err(BytesError { position: 0, what: "a chunk was expected to begin here" });
    }
    let len = cursor.u32()? as usize;
    if (CHUNK_FIXED_BYTES + 4..=CHUNK_HEADER_BYTES_MAX).contains(&len) {
        Ok(len)
    } else {
        Err(BytesError { position: 4, what: "a chunk header of an impossible length" })
    }
}

impl ChunkHeader {
    /// Reads the header at the beginning of `bytes`; more may follow.
    ///
    /// # Errors
    /// When it is damaged, too short or has a required column that this program does not know.
    pub fn parse(bytes: &[u8]) -> Result<ChunkHeader, BytesError> {
        let len = chunk_header_len(bytes)?;
        let header = Cursor::new(bytes).bytes(len)?;
        let (fields, crc) = header.split_at(len - 4);
        if crc != checksum(fields).to_le_bytes() {
            return Err(BytesError { position: 0, what: "a chunk header fails its checksum" });
        }
        let mut cursor = Cursor::new(fields);
        let mut header = read_fixed(&mut cursor)?;
        header.header_len = len;
        if header.run.received {
            header.received_delay = Some((cursor.varint_signed()?, cursor.varint_signed()?));
        }
        if header.run.value.kind == Kind::Structure {
            header.run.descriptor = match cursor.varint()?.checked_sub(1) {
                Some(len) if len > cursor.remaining() as u64 => {
                    return Err(cursor.error("a descriptor that is cut"));
                }
                Some(len) => Some(Arc::from(cursor.bytes(len as usize)?)),
                None => None,
            };
        }
        header.statistics = Statistics::read(&mut cursor, header.first, header.statistics.count)?;
        header.time_hash = cursor.u64()?;
        let units = header.read_columns(&mut cursor)?;
        let end = header.read_pages(&mut cursor)?;
        let end = header.read_parts(&mut cursor, units, end)?;
        cursor.finish()?;
        if end as u64 != header.chunk_len {
            return Err(BytesError { position: 8, what: "a chunk's length is not the sum of its parts" });
        }
        Ok(header)
    }

    /// Number of samples.
    pub fn count(&self) -> usize {
        self.statistics.count as usize
    }

    /// The pages in order of time; all but the last hold the same number of samples.
    pub fn pages(&self) -> &[Page] {
        &self.pages
    }

    /// Tag and codec of every column, as they stand in the header.
    pub fn column_tags(&self) -> impl Iterator<Item = (u8, u8)> + '_ {
        self.columns.iter().map(|column| column.bytes)
    }

    /// How the stamps are to be read.
    pub(super) fn time_model(&self) -> Option<&ColumnModel> {
        // The tag of time is the least.
        self.columns.first().filter(|column| column.tag == Some(ColumnTag::Time)).map(|column| &column.model)
    }

    /// Binary logarithm of the samples of a page.
    pub(crate) fn page_shift(&self) -> u8 {
        self.page_shift
    }

    /// The pages that may hold samples of `range`.
    pub fn pages_touching(&self, range: TimeRange) -> Range<usize> {
        if !range.touches(self.first, self.last) {
            return 0..0;
        }
        // A page may end with stamps equal to the first of the next.
        let from = self.pages.partition_point(|page| page.first < range.from).saturating_sub(1);
        let to = self.pages.partition_point(|page| page.first < range.to);
        from..to.max(from)
    }

    /// Samples of pages `pages`.
    pub fn samples_of(&self, pages: Range<usize>) -> Range<usize> {
        let at = |page: usize| (page << self.page_shift).min(self.count());
        at(pages.start)..at(pages.end)
    }

    /// The bytes of the chunk that [`ChunkHeader::decode_pages`] needs for `pages`.
    pub fn extent_of(&self, pages: Range<usize>) -> Range<u64> {
        let none = self.header_len as u64..self.header_len as u64;
        let Some(touched) = self.pages.get(pages.clone()) else { return none };
        match (touched.first(), touched.last()) {
            (Some(first), Some(last)) => {
                let end =
                    if self.parts.is_empty() { (last.offset + last.len) as u64 } else { self.chunk_len };
                first.offset as u64..end
            }
            _ => none,
        }
    }

    fn read_columns(&mut self, cursor: &mut Cursor<'_>) -> Result<Option<u64>, BytesError> {
        let count = cursor.count(3)?;
        let mut before = 0;
        let mut units = None;
        // Bytes may claim more columns than there are tags.
        self.columns.reserve_exact(count.min(COLUMNS_EXPECTED));
        for _ in 0..count {
            let tag = cursor.u8()?;
            let codec = cursor.u8()?;
            let parameters = cursor.counted_bytes()?;
            let number = tag & !COLUMN_OPTIONAL;
            if number <= before {
                return Err(cursor.error("columns of a chunk are not in the order of their tags"));
            }
            before = number;
            let column = self.read_column(tag, codec, parameters, &mut units);
            self.columns.push(column.map_err(|error| cursor.error(error.what))?);
        }
        self.check_columns().map_err(|what| cursor.error(what))?;
        Ok(units)
    }

    fn read_column(
        &self,
        tag: u8,
        codec: u8,
        parameters: &[u8],
        units: &mut Option<u64>,
    ) -> Result<HeaderColumn, BytesError> {
        let mut cursor = Cursor::new(parameters);
        let unknown = ColumnModel::Unknown { in_pages: codec & CODEC_IN_PAGES != 0 };
        let bytes = (tag, codec);
        let (known, codec) = (ColumnTag::from_tag(tag), ColumnCodec::from_tag(codec));
        let (Some(known), Some(codec)) = (known, codec) else {
            return if tag & COLUMN_OPTIONAL != 0 {
                Ok(HeaderColumn { bytes, tag: None, model: unknown })
            } else {
                Err(cursor.error("a required column of a newer format: use a newer version of the program"))
            };
        };
        let value_type = self.type_of(known);
        let model = match (known, codec) {
            (ColumnTag::Time, ColumnCodec::TimeReference) => {
                ColumnModel::TimeReference(ChannelId(cursor.varint()?))
            }
            (ColumnTag::Time, ColumnCodec::Pco) => ColumnModel::PcoTime(PcoColumn::parse(&mut cursor)?),
            (ColumnTag::Time, ColumnCodec::Sibling) => {
                let pages = self.count().div_ceil(1 << self.page_shift);
                let column = SiblingColumn::parse(&mut cursor, self.channel, self.first, pages)?;
                ColumnModel::Sibling(column)
            }
            (ColumnTag::Time, codec) => ColumnModel::Time(TimeModel::parse(codec, &mut cursor)?),
            (ColumnTag::Value, ColumnCodec::Parts) if self.count() == 1 => {
                *units = Some(cursor.varint()?);
                ColumnModel::Parts
            }
            (ColumnTag::Zones, ColumnCodec::ZoneMap) => {
                ColumnModel::Zones(ZoneColumn::parse(&mut cursor, self.page_shift)?)
            }
            (_, ColumnCodec::Constant) => ColumnModel::Constant(read_constant(value_type, &mut cursor)?),
            (_, codec) => ColumnModel::Values(ValueModel::parse(codec, value_type, &mut cursor)?),
        };
        cursor.finish()?;
        Ok(HeaderColumn { bytes, tag: Some(known), model })
    }

    /// What a column holds in memory.
    pub(super) fn type_of(&self, tag: ColumnTag) -> ValueType {
        match tag {
            ColumnTag::Value => self.run.value,
            ColumnTag::Time | ColumnTag::UserTag | ColumnTag::Received => ValueType::scalar(Kind::Int64),
            ColumnTag::Rank => ValueType::scalar(Kind::UInt32),
            ColumnTag::Severity | ColumnTag::Zones => ValueType::scalar(Kind::UInt8),
            ColumnTag::Status => ValueType::scalar(Kind::UInt16),
            ColumnTag::Message => ValueType::scalar(Kind::String),
        }
    }

    fn check_columns(&self) -> Result<(), &'static str> {
        let has = |tag: ColumnTag| self.columns.iter().any(|column| column.tag == Some(tag));
        let run = &self.run;
        let needed = [ColumnTag::Time, ColumnTag::Value, ColumnTag::Severity, ColumnTag::Status];
        if !needed.into_iter().all(has) {
            return Err("a chunk lacks stamps, values, severities or status codes");
        }
        let optional = [
            (ColumnTag::UserTag, run.user_tag),
            (ColumnTag::Message, run.message),
            (ColumnTag::Received, run.received),
        ];
        if optional.into_iter().any(|(tag, flag)| has(tag) != flag) {
            return Err("a chunk's flags and its optional columns differ");
        }
        Ok(())
    }

    /// Reads the page table; says where the last page ends.
    fn read_pages(&mut self, cursor: &mut Cursor<'_>) -> Result<usize, BytesError> {
        let count = self.count().div_ceil(1 << self.page_shift);
        let has_bounds = self.statistics.numeric.is_some_and(|numeric| numeric.extremes.is_some());
        let mut offset = self.header_len;
        // Each has a length and a checksum at least.
        self.pages.reserve_exact(count.min(cursor.remaining() / 5));
        for _ in 0..count {
            let mut page = Page {
                first: self.first,
                bounds: self.statistics.numeric.and_then(|n| n.extremes).map(|e| (e.min, e.max)),
                worst: self.statistics.worst,
                offset,
                len: 0,
                crc: 0,
            };
            if count > 1 {
                page.first = Timestamp(self.first.0.wrapping_add(cursor.varint()? as i64));
                if has_bounds {
                    page.bounds = Some((f64::from(cursor.f32()?), f64::from(cursor.f32()?)));
                }
                page.worst = Severity::from_code(u16::from(cursor.u8()?))
                    .ok_or_else(|| cursor.error("a severity of 0 to 3 was expected"))?;
            }
            (page.len, offset) = read_len(cursor, offset)?;
            page.crc = cursor.u32()?;
            self.pages.push(page);
        }
        let times = || self.pages.iter().map(|page| page.first);
        if times().next() != Some(self.first) || !times().is_sorted() || times().next_back() > Some(self.last)
        {
            return Err(cursor.error("pages of a chunk are not in the order of time"));
        }
        Ok(offset)
    }

    /// Reads the table of parts; says where the chunk ends.
    fn read_parts(
        &mut self,
        cursor: &mut Cursor<'_>,
        units: Option<u64>,
        mut offset: usize,
    ) -> Result<usize, BytesError> {
        let Some(units) = units else { return Ok(offset) };
        let count = cursor.count(5)?;
        let per_part = large::units_per_part(self.run.value);
        let mut left = usize::try_from(units).unwrap_or(usize::MAX);
        if left.div_ceil(per_part) != count || count > SAMPLE_VALUE_BYTES_MAX / CHUNK_VALUE_BYTES_MAX * 6 {
            return Err(cursor.error("a large value has an impossible number of parts"));
        }
        for _ in 0..count {
            let start = offset;
            let len;
            (len, offset) = read_len(cursor, offset)?;
            let units = left.min(per_part);
            left -= units;
            self.parts.push(Part { offset: start, len, crc: cursor.u32()?, units });
        }
        Ok(offset)
    }
}

/// A length, and where what begins at `offset` ends.
fn read_len(cursor: &mut Cursor<'_>, offset: usize) -> Result<(usize, usize), BytesError> {
    let len = usize::try_from(cursor.varint()?).ok();
    len.and_then(|len| Some((len, offset.checked_add(len)?)))
        .ok_or_else(|| cursor.error("a length passes the end of any chunk"))
}

fn read_fixed(cursor: &mut Cursor<'_>) -> Result<ChunkHeader, BytesError> {
    cursor.bytes(8)?;
    let chunk_len = cursor.u64()?;
    let channel = ChannelId(cursor.u64()?);
    let (first, last) = (Timestamp(cursor.i64()?), Timestamp(cursor.i64()?));
    let (first_rank, last_rank) = (cursor.u32()?, cursor.u32()?);
    let count = cursor.u32()?;
    let flags = cursor.u16()?;
    let kind = Kind::from_tag(cursor.u8()?).ok_or_else(|| cursor.error("an unknown kind of values"))?;
    let page_shift = cursor.u8()?;
    let known: u16 = CHUNK_FLAGS.iter().map(|(_, flag)| flag).sum();
    let ends_in_order = if count == 1 {
        (first, first_rank) == (last, last_rank)
    } else {
        (first, first_rank) < (last, last_rank)
    };
    if flags & !known != 0 || page_shift > PAGE_SHIFT_MAX {
        return Err(
            cursor.error("unknown flags or an impossible page size: use a newer version of the program")
        );
    }
    if !(1..=CHUNK_SAMPLES_MAX as u32).contains(&count) || !ends_in_order {
        return Err(cursor.error("an impossible number of samples, or ends that are not in order"));
    }
    let flag = |flag: u16| flags & flag != 0;
    let run = RunType {
        value: ValueType { kind, array: flag(FLAG_ARRAY) },
        domain: if flag(FLAG_PVA) { StatusDomain::Pva } else { StatusDomain::Ca },
        metadata_known: flag(FLAG_METADATA_KNOWN),
        user_tag: flag(FLAG_USER_TAG),
        message: flag(FLAG_MESSAGE),
        received: flag(FLAG_RECEIVED),
        descriptor: None,
    };
    Ok(ChunkHeader {
        channel,
        run,
        late: flag(FLAG_LATE),
        first,
        last,
        first_rank,
        last_rank,
        received_delay: None,
        statistics: Statistics { count, worst: Severity::NoAlarm, invalid: 0, numeric: None },
        header_len: 0,
        chunk_len,
        time_hash: 0,
        columns: Vec::new(),
        pages: Vec::new(),
        parts: Vec::new(),
        page_shift,
    })
}

/// The one value of a constant column.
fn read_constant(value_type: ValueType, cursor: &mut Cursor<'_>) -> Result<Column, BytesError> {
    let mut column = Column::new(value_type);
    match &mut column {
        Column::String(texts) | Column::Structure(texts) => texts.push(cursor.rest()),
        fixed => extend_fixed(fixed, cursor.rest()).map_err(|what| cursor.error(what))?,
    }
    if column.len() == 1 { Ok(column) } else { Err(cursor.error("a constant column has one value")) }
}
