//! A block of samples becomes a chunk.

use super::borrowed::TimeReference;
use super::choice::ColumnChoices;
use super::columns::{
    EncodedColumn, header_column, known_column, pco_or, reference_column, time_column_of, value_column_of,
};
use super::known::ColumnModels;
use super::large;
use super::split::total_size;
use super::statistics::{Gatherer, Statistics};
use super::zones::{Bounded, zone_column};
use crate::codec::Profile;
use crate::format::*;
use disk::{
    FormatError, checksum, put_bytes, put_f32, put_i64, put_u8, put_u16, put_u32, put_u64, put_varint,
    put_varint_signed,
};
use sample::{ChannelId, Column, Kind, SampleBlock, Severity, StatusDomain};
use std::ops::Range;

/// A block as a chunk of `channel`.
///
/// `late` marks a late run. `times_of` names a channel whose chunk with the very same stamps stands before
/// this one in the same table; the stamps are then not written again. `profile` decides how dense the bytes
/// are; every reader reads both.
///
/// # Errors
/// [`FormatError::Limit`] when the block has no or more than 8192 samples, more than 1 MiB of values and
/// messages in several samples ([`super::split`] cuts so that this does not happen), a value above 1 GiB, a
/// message above 1 MiB or a type descriptor above 512 KiB.
pub fn encode(
    channel: ChannelId,
    block: &SampleBlock,
    late: bool,
    times_of: Option<ChannelId>,
    profile: Profile,
) -> Result<Vec<u8>, FormatError> {
    encode_next(channel, block, late, times_of, profile, &mut ColumnChoices::default())
}

/// As [`encode`], for chunks of a channel that are written one after the other: in the cold profile `choices`
/// remember what makes their columns smallest, so that it is not tried for every chunk.
///
/// # Errors
/// As [`encode`].
pub fn encode_next(
    channel: ChannelId,
    block: &SampleBlock,
    late: bool,
    times_of: Option<ChannelId>,
    profile: Profile,
    choices: &mut ColumnChoices,
) -> Result<Vec<u8>, FormatError> {
    let hash = super::time_hash(&block.time);
    let mut known = ColumnModels::default();
    let learnt = Learnt { known: &mut known, choices };
    let stamps = times_of.map_or(Stamps::Here, Stamps::Equal);
    encode_with(channel, block, late, stamps, profile, hash, learnt).map(|encoded| encoded.bytes)
}

/// Where the stamps of a chunk may stand.
pub(crate) enum Stamps<'a> {
    /// In the chunk.
    Here,
    /// In an earlier chunk of the channel, which has the very same.
    Equal(ChannelId),
    /// In the chunk, or as differences from those of a sibling where that is smaller.
    Near(&'a Sibling),
}

/// Stamps that may be near those of a chunk.
pub(crate) struct Sibling {
    /// The chunks that hold them, in the order of time; at most 16 of one channel.
    pub(crate) chunks: Vec<TimeReference>,
    /// All of them, one behind the other.
    pub(crate) times: Vec<i64>,
}

/// A chunk, and how much of it is stamps.
pub(crate) struct EncodedChunk {
    pub(crate) bytes: Vec<u8>,
    /// Bytes of the time column; 0 where it is a reference.
    pub(crate) time_bytes: usize,
}

/// What earlier chunks of a channel teach.
pub(crate) struct Learnt<'a> {
    /// The models of the last one.
    pub(crate) known: &'a mut ColumnModels,
    /// Where pco won.
    pub(crate) choices: &'a mut ColumnChoices,
}

/// As [`encode_next`], with the hash of the stamps known.
pub(crate) fn encode_with(
    channel: ChannelId,
    block: &SampleBlock,
    late: bool,
    stamps: Stamps<'_>,
    profile: Profile,
    time_hash: u128,
    learnt: Learnt<'_>,
) -> Result<EncodedChunk, FormatError> {
    check_limits(block)?;
    let (value_bytes, elements) = total_size(block);
    let shift_at_most = |most| page_shift(value_bytes, block.len(), most);
    let mut shift = shift_at_most(match profile {
        Profile::Hot => PAGE_SHIFT_HOT,
        Profile::Cold => PAGE_SHIFT_COLD,
    });
    let mut pages = pages_of(block.len(), shift);

    let Learnt { known, choices } = learnt;
    choices.expect(channel, block.run.value.kind);
    let in_parts = block.len() == 1 && large::needs_parts(block.values.byte_len(), elements);
    let (value, parts) = if in_parts {
        let (units, parts) = large::encode_parts(&block.values, profile);
        let mut parameters = Vec::new();
        put_varint(&mut parameters, units as u64);
        (header_column(ColumnTag::Value, ColumnCodec::Parts, parameters), parts)
    } else {
        let own = || known_column(&block.values, &pages, profile, known);
        let dense = shift_at_most(PAGE_SHIFT_DENSE);
        let whole = pages_of(block.len(), dense);
        let value = pco_or(own, ColumnTag::Value, &block.values, [&pages, &whole], profile, choices);
        if (1..pages.len()).contains(&value.ends.len()) {
            (shift, pages) = (dense, whole);
        }
        (value, Vec::new())
    };
    let sibling = match stamps {
        Stamps::Near(sibling) if profile == Profile::Cold => Some(sibling),
        _ => None,
    };
    let mut columns = vec![match stamps {
        Stamps::Equal(channel) => reference_column(channel),
        _ => time_column_of(&block.time, &pages, profile, sibling, known, choices),
    }];
    let column = |tag, values: &Column, choices: &mut ColumnChoices| {
        value_column_of(tag, values, &pages, profile, choices)
    };
    if block.rank.iter().any(|rank| *rank != 0) {
        columns.push(column(ColumnTag::Rank, &Column::UInt32(block.rank.clone()), choices));
    }
    // What pco writes is read from the beginning of its page, what is written as it is by copying; and neither is to be
    // larger than pco makes it.
    let of_model = !matches!(value.codec, ColumnCodec::Pco | ColumnCodec::Compressed);
    let zoned = profile == Profile::Cold && shift > ZONE_SHIFT && of_model;
    let (modelled_bytes, spare) = (value.data.len(), choices.spare(ColumnTag::Value, value.bytes()));
    columns.push(value);
    columns.push(column(ColumnTag::Severity, &Column::UInt8(block.severity.clone()), choices));
    columns.push(column(ColumnTag::Status, &Column::UInt16(block.status.clone()), choices));
    if block.run.user_tag {
        columns.push(column(ColumnTag::UserTag, &Column::Int64(block.user_tag.clone()), choices));
    }
    if block.run.message {
        columns.push(column(ColumnTag::Message, &Column::String(block.message.clone()), choices));
    }
    let delays: Vec<i64> = block.received.iter().zip(&block.time).map(|(r, t)| r.wrapping_sub(*t)).collect();
    if block.run.received {
        columns.push(column(ColumnTag::Received, &Column::Int64(delays.clone()), choices));
    }

    let facts = Facts::of(block, pages, if zoned { ZONE_SHIFT } else { shift });
    if zoned && facts.statistics.extremes().is_some() {
        let zones = zone_column(&block.time, &facts.bounds_of_pages(), &facts.zones, modelled_bytes);
        let fits = |zones: &EncodedColumn| spare.is_none_or(|spare| zones.bytes() < spare);
        columns.extend(zones.filter(fits));
    }
    let body = page_bodies(&columns, facts.pages.len());
    let mut header = fixed_fields(channel, block, late, shift);
    if let (Some(least), Some(greatest)) = (delays.iter().min(), delays.iter().max()) {
        put_varint_signed(&mut header, *least);
        put_varint_signed(&mut header, *greatest);
    }
    if block.run.value.kind == Kind::Structure {
        put_varint(&mut header, block.run.descriptor.as_ref().map_or(0, |d| d.len() as u64 + 1));
        header.extend_from_slice(block.run.descriptor.as_deref().unwrap_or_default());
    }
    put_tables(block, time_hash as u64, &facts, &columns, &body, &parts, &mut header);
    Ok(EncodedChunk { bytes: assemble(header, &body, &parts), time_bytes: columns[0].data.len() })
}

fn check_limits(block: &SampleBlock) -> Result<(), FormatError> {
    let limit = |what, found: usize, max: usize| {
        if found <= max {
            Ok(())
        } else {
            Err(FormatError::Limit { what, max: max as u64, found: found as u64 })
        }
    };
    let (bytes, elements) = total_size(block);
    limit("samples of a chunk", block.len(), CHUNK_SAMPLES_MAX)?;
    limit("samples missing from a chunk", usize::from(block.is_empty()), 0)?;
    if block.len() > 1 {
        limit("bytes of values and messages of a chunk", bytes, CHUNK_VALUE_BYTES_MAX)?;
        limit("elements of a chunk", elements, CHUNK_ELEMENTS_MAX)?;
    }
    limit("bytes of one value", block.values.byte_len(), SAMPLE_VALUE_BYTES_MAX)?;
    limit("elements of one value", elements, SAMPLE_VALUE_BYTES_MAX)?;
    limit("bytes of an alarm message", block.message.data.len(), CHUNK_VALUE_BYTES_MAX)?;
    limit(
        "bytes of a type descriptor",
        block.run.descriptor.as_ref().map_or(0, |d| d.len()),
        DESCRIPTOR_BYTES_MAX,
    )
}

/// Binary logarithm of the samples of a page, at most `most`: less where the values are large.
fn page_shift(value_bytes: usize, count: usize, most: u8) -> u8 {
    let mean = value_bytes / count.max(1);
    (0..=most).rev().find(|shift| mean << shift <= PAGE_VALUE_BYTES).unwrap_or(0)
}

/// The rows of each page.
fn pages_of(count: usize, shift: u8) -> Vec<Range<usize>> {
    (0..count).step_by(1 << shift).map(|from| from..(from + (1 << shift)).min(count)).collect()
}

/// Each page: the segment of every column that has one, with its length before it.
fn page_bodies(columns: &[EncodedColumn], pages: usize) -> Vec<Vec<u8>> {
    (0..pages)
        .map(|page| {
            let segment = |column: &EncodedColumn| column.data.len() / pages + 2;
            let mut body = Vec::with_capacity(columns.iter().map(segment).sum());
            for column in columns.iter().filter(|column| !column.ends.is_empty()) {
                let start = if page == 0 { 0 } else { column.ends[page - 1] };
                put_bytes(&mut body, &column.data[start..column.ends[page]]);
            }
            body
        })
        .collect()
}

/// The fixed fields, lengths still open.
fn fixed_fields(channel: ChannelId, block: &SampleBlock, late: bool, shift: u8) -> Vec<u8> {
    let run = &block.run;
    let flags = [
        (late, FLAG_LATE),
        (run.metadata_known, FLAG_METADATA_KNOWN),
        (run.value.array, FLAG_ARRAY),
        (run.user_tag, FLAG_USER_TAG),
        (run.message, FLAG_MESSAGE),
        (run.received, FLAG_RECEIVED),
        (run.domain == StatusDomain::Pva, FLAG_PVA),
    ];
    let last = block.len() - 1;
    let mut header = Vec::with_capacity(256);
    header.extend_from_slice(&CHUNK_MAGIC);
    put_u32(&mut header, 0);
    put_u64(&mut header, 0);
    put_u64(&mut header, channel.0);
    put_i64(&mut header, block.time[0]);
    put_i64(&mut header, block.time[last]);
    put_u32(&mut header, block.rank[0]);
    put_u32(&mut header, block.rank[last]);
    put_u32(&mut header, block.len() as u32);
    put_u16(&mut header, flags.iter().filter(|(set, _)| *set).map(|(_, flag)| flag).sum());
    put_u8(&mut header, run.value.kind as u8);
    put_u8(&mut header, shift);
    header
}

/// What the header says of the samples.
struct Facts {
    statistics: Statistics,
    /// With the worst severity.
    pages: Vec<(Bounded, Severity)>,
    zones: Vec<Bounded>,
}

impl Facts {
    /// With zones of `2^zone_shift` samples.
    fn of(block: &SampleBlock, pages: Vec<Range<usize>>, zone_shift: u8) -> Facts {
        let mut gatherer = Gatherer::new(block);
        let mut zones = Vec::with_capacity(block.len().div_ceil(1 << zone_shift));
        let both = |a: Option<(f64, f64)>, b: Option<(f64, f64)>| match (a, b) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        let mut of_page = |page: Range<usize>| {
            let (mut bounds, mut worst) = (None, Severity::NoAlarm);
            for from in page.clone().step_by(1 << zone_shift) {
                let zone = from..(from + (1 << zone_shift)).min(page.end);
                let (extremes, severity) = gatherer.page(zone.clone());
                let inner = extremes.map(|extremes| (extremes.min, extremes.max));
                (bounds, worst) = (both(bounds, inner), worst.max(severity));
                zones.push(Bounded { rows: zone, bounds: inner });
            }
            (Bounded { rows: page, bounds }, worst)
        };
        let pages = pages.into_iter().map(&mut of_page).collect();
        Facts { statistics: gatherer.finish(), pages, zones }
    }

    /// The pages with the bounds that the header has.
    fn bounds_of_pages(&self) -> Vec<Bounded> {
        let outwards = |(least, most)| match self.pages.len() {
            1 => (least, most),
            _ => (f64::from(at_most(least)), f64::from(at_least(most))),
        };
        let page = |page: &Bounded| Bounded { rows: page.rows.clone(), bounds: page.bounds.map(outwards) };
        self.pages.iter().map(|(of, _)| page(of)).collect()
    }
}

/// Statistics, hash of the stamps, columns, pages, parts.
fn put_tables(
    block: &SampleBlock,
    time_hash: u64,
    facts: &Facts,
    columns: &[EncodedColumn],
    body: &[Vec<u8>],
    parts: &[Vec<u8>],
    header: &mut Vec<u8>,
) {
    facts.statistics.put(block.first(), header);
    let has_bounds = facts.statistics.extremes().is_some();
    put_u64(header, time_hash);
    put_varint(header, columns.len() as u64);
    for column in columns {
        put_u8(header, column.tag as u8);
        put_u8(header, column.codec as u8);
        put_bytes(header, &column.parameters);
    }
    for ((page, worst), body) in facts.pages.iter().zip(body) {
        if facts.pages.len() > 1 {
            put_page_facts(block, &page.rows, has_bounds.then_some(page.bounds), *worst, header);
        }
        put_varint(header, body.len() as u64);
        put_u32(header, checksum(body));
    }
    if !parts.is_empty() {
        put_varint(header, parts.len() as u64);
        for part in parts {
            put_varint(header, part.len() as u64);
            put_u32(header, checksum(part));
        }
    }
}

fn put_page_facts(
    block: &SampleBlock,
    page: &Range<usize>,
    bounds: Option<Option<(f64, f64)>>,
    worst: Severity,
    header: &mut Vec<u8>,
) {
    put_varint(header, block.time[page.start].wrapping_sub(block.time[0]) as u64);
    if let Some(bounds) = bounds {
        put_f32(header, bounds.map_or(f32::INFINITY, |(least, _)| at_most(least)));
        put_f32(header, bounds.map_or(f32::NEG_INFINITY, |(_, most)| at_least(most)));
    }
    put_u8(header, worst as u8);
}

/// The greatest f32 that is not above.
fn at_most(value: f64) -> f32 {
    let near = value as f32;
    if f64::from(near) > value { near.next_down() } else { near }
}

/// The least f32 that is not below.
fn at_least(value: f64) -> f32 {
    let near = value as f32;
    if f64::from(near) < value { near.next_up() } else { near }
}

fn assemble(mut header: Vec<u8>, body: &[Vec<u8>], parts: &[Vec<u8>]) -> Vec<u8> {
    let header_len = header.len() + 4;
    let chunk_len = header_len + body.iter().chain(parts).map(Vec::len).sum::<usize>();
    header[4..8].copy_from_slice(&(header_len as u32).to_le_bytes());
    header[8..16].copy_from_slice(&(chunk_len as u64).to_le_bytes());
    let crc = checksum(&header);
    put_u32(&mut header, crc);
    header.reserve_exact(chunk_len - header_len);
    body.iter().chain(parts).for_each(|bytes| header.extend_from_slice(bytes));
    header
}
