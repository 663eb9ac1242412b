//! Zones: what the header of a chunk says of parts of its pages (a zone map).

use super::columns::{EncodedColumn, header_column};
use super::header::{ChunkHeader, ColumnModel, Page};
use crate::format::{ColumnCodec, ColumnTag, ZONE_SHIFT};
use disk::{BytesError, Cursor, put_u8, put_varint_signed};
use sample::{Severity, Timestamp};
use std::ops::Range;

/// Bounds of a zone are told in parts of those of its page.
const PARTS: f64 = 255.0;
/// The column may take one byte for so many of the values.
const VALUE_BYTES: usize = 32;

/// Some samples of a page, as the header describes them.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Zone {
    /// Time of its first sample.
    pub first: Timestamp,
    /// No finite value lies below the first or above the second; `None` where values have no bounds.
    pub bounds: Option<(f64, f64)>,
    /// No severity is worse.
    pub worst: Severity,
}

impl Zone {
    /// A page as one.
    pub fn of_page(page: &Page) -> Zone {
        Zone { first: page.first, bounds: page.bounds, worst: page.worst }
    }
}

/// Zones of pages, as they stand in a header.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct ZoneColumn {
    /// Binary logarithm of the samples of a zone.
    shift: u8,
    /// The rest of the parameters.
    zones: Vec<u8>,
}

/// Samples of a block, with what is known of their values.
#[derive(Clone)]
pub(super) struct Bounded {
    pub(super) rows: Range<usize>,
    /// Least and greatest finite value.
    pub(super) bounds: Option<(f64, f64)>,
}

/// The stamps that a page would have if they were equally far apart: zones begin near them.
struct Line {
    first: i64,
    step: i64,
}

impl Line {
    /// `count` samples from `first` on, of which the next page begins at `next`, or the last one lies at `last`.
    fn of(first: i64, count: usize, next: Option<i64>, last: i64) -> Line {
        let (end, steps) = next.map_or((last, count.saturating_sub(1)), |next| (next, count));
        Line { first, step: end.wrapping_sub(first) / steps.max(1) as i64 }
    }

    fn at(&self, row: usize) -> i64 {
        self.first.wrapping_add(self.step.wrapping_mul(row as i64))
    }
}

/// What lies `parts` above the lower bound, and below the upper one.
fn within((least, most): (f64, f64), (lower, upper): (u8, u8)) -> (f64, f64) {
    let part = |parts: u8| (most - least) * (f64::from(parts) / PARTS);
    (least + part(lower), most - part(upper))
}

/// The most parts, from either bound, that leave `inner` between them.
fn parts(bounds: (f64, f64), inner: (f64, f64)) -> (u8, u8) {
    let share = PARTS / (bounds.1 - bounds.0);
    let (mut lower, mut upper) = (((inner.0 - bounds.0) * share) as u8, ((bounds.1 - inner.1) * share) as u8);
    while lower > 0 && within(bounds, (lower, 0)).0 > inner.0 {
        lower -= 1;
    }
    while upper > 0 && within(bounds, (0, upper)).1 < inner.1 {
        upper -= 1;
    }
    (lower, upper)
}

/// Whether parts of these bounds can be told.
fn are_finite(bounds: Option<(f64, f64)>) -> Option<(f64, f64)> {
    bounds.filter(|(least, most)| least <= most && (most - least).is_finite())
}

/// The column that says of each of `zones` where it begins and what bounds it has; `None` where it says too little for its
/// size. `times` are all stamps of the chunk; the bounds of `pages` those that the header has.
pub(super) fn zone_column(
    times: &[i64],
    pages: &[Bounded],
    zones: &[Bounded],
    value_bytes: usize,
) -> Option<EncodedColumn> {
    let last = *times.last()?;
    let mut parameters = vec![ZONE_SHIFT];
    for (at, Bounded { rows: page, bounds }) in pages.iter().enumerate() {
        let next = pages.get(at + 1).map(|next| times[next.rows.start]);
        let line = Line::of(times[page.start], page.len(), next, last);
        let inside = zones.iter().filter(|zone| page.contains(&zone.rows.start));
        for Bounded { rows: zone, bounds: inner } in inside {
            if zone.start > page.start {
                let expected = line.at(zone.start - page.start);
                put_varint_signed(&mut parameters, times[zone.start].wrapping_sub(expected));
            }
            if let Some(bounds) = are_finite(*bounds) {
                let (lower, upper) = inner.map_or((0, 0), |inner| parts(bounds, inner));
                put_u8(&mut parameters, lower);
                put_u8(&mut parameters, upper);
            }
        }
    }
    let pays = parameters.len() * VALUE_BYTES <= value_bytes;
    pays.then(|| header_column(ColumnTag::Zones, ColumnCodec::ZoneMap, parameters))
}

impl ZoneColumn {
    /// Reads the parameters of the column, of a chunk whose pages have `2^page_shift` samples.
    pub(super) fn parse(cursor: &mut Cursor<'_>, page_shift: u8) -> Result<ZoneColumn, BytesError> {
        let shift = cursor.u8()?;
        if shift >= page_shift {
            return Err(cursor.error("zones are not smaller than pages"));
        }
        Ok(ZoneColumn { shift, zones: cursor.rest().to_vec() })
    }
}

impl ChunkHeader {
    fn zone_column(&self) -> Option<&ZoneColumn> {
        let zones = self.columns.iter().rev().find_map(|column| match &column.model {
            ColumnModel::Zones(zones) => Some(zones),
            _ => None,
        });
        // The last representable instant lies in no range, by which a part of a page is found.
        zones.filter(|_| self.last < Timestamp::MAX)
    }

    /// The zones in order of time, which are the pages where nothing is known of parts of them.
    ///
    /// # Errors
    /// When what the header says of them is damaged.
    pub fn zones(&self) -> Result<Vec<Zone>, BytesError> {
        let Some(column) = self.zone_column() else {
            return Ok(self.pages().iter().map(Zone::of_page).collect());
        };
        let mut cursor = Cursor::new(&column.zones);
        let mut zones: Vec<Zone> = Vec::with_capacity(self.count().div_ceil(1 << column.shift));
        for (at, page) in self.pages().iter().enumerate() {
            let next = self.pages().get(at + 1).map(|next| next.first);
            let count = self.samples_of(at..at + 1).len();
            let line = Line::of(page.first.0, count, next.map(|next| next.0), self.last.0);
            for row in (0..count).step_by(1 << column.shift) {
                let mut zone = Zone::of_page(page);
                if row > 0 {
                    zone.first = Timestamp(line.at(row).wrapping_add(cursor.varint_signed()?));
                }
                if let Some(bounds) = are_finite(page.bounds) {
                    zone.bounds = Some(within(bounds, (cursor.u8()?, cursor.u8()?)));
                }
                let before = zones.last().map_or(self.first, |before| before.first);
                if !(before..=next.unwrap_or(self.last)).contains(&zone.first) {
                    return Err(cursor.error("zones of a chunk are not in the order of time"));
                }
                zones.push(zone);
            }
        }
        cursor.finish()?;
        Ok(zones)
    }

    fn zone_shift(&self) -> u8 {
        self.zone_column().map_or(self.page_shift(), |column| column.shift)
    }

    /// The samples of zones `zones`, counted from the first of the chunk.
    pub fn samples_of_zones(&self, zones: Range<usize>) -> Range<usize> {
        let at = |zone: usize| (zone << self.zone_shift()).min(self.count());
        at(zones.start)..at(zones.end)
    }

    /// The zones of pages `pages`.
    pub fn zones_of_pages(&self, pages: Range<usize>) -> Range<usize> {
        let finer = self.page_shift() - self.zone_shift();
        let all = self.count().div_ceil(1 << self.zone_shift());
        pages.start << finer..(pages.end << finer).min(all)
    }

    /// The pages in which zones `zones` lie.
    pub fn pages_of_zones(&self, zones: Range<usize>) -> Range<usize> {
        let finer = self.page_shift() - self.zone_shift();
        zones.start >> finer..zones.end.div_ceil(1 << finer)
    }
}

#[cfg(test)]
mod tests;
