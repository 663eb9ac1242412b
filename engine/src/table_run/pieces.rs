//! What a chunk of a table is taken to: pages and zones that need not be loaded, and what lies between.

use super::{facts_of, of_zone};
use crate::read::{Enough, Facts, Part, Piece, Position, Scope};
use sstable::{ChunkHeader, Zone};
use std::ops::Range;

/// What the token of a part says: the place of its chunk among those named, and which zones of it, unless all.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Token {
    pub(super) place: usize,
    pub(super) zones: Option<Range<usize>>,
}

/// A chunk has at most as many zones as samples.
const ZONE_BITS: u32 = 14;
const ZONE_MASK: u64 = (1 << ZONE_BITS) - 1;
const _: () = assert!(sstable::CHUNK_SAMPLES_MAX <= ZONE_MASK as usize);

impl Token {
    pub(super) fn bits(&self) -> u64 {
        // No zones at all stand for all of them.
        let zones = self.zones.clone().unwrap_or(0..0);
        (self.place as u64) << (2 * ZONE_BITS) | (zones.start as u64) << ZONE_BITS | zones.end as u64
    }

    pub(super) fn of(bits: u64) -> Token {
        let at = |shift: u32| (bits >> shift & ZONE_MASK) as usize;
        let zones = at(ZONE_BITS)..at(0);
        Token { place: (bits >> (2 * ZONE_BITS)) as usize, zones: (!zones.is_empty()).then_some(zones) }
    }
}

/// A chunk is taken to pieces smaller than pages only where no more than one in so many of its samples is wanted: whole
/// chunks are loaded ahead by another processor, pieces by nobody.
const FINE_SHARE: usize = 8;

/// The pieces of the chunk at `place`: pages of which `enough` is known, and zones of the others up to the first and from
/// the last that is wanted; what lies between is wanted together, so that no page is decoded twice. Nothing where all would
/// have to be loaded.
pub(super) fn pieces_of(
    place: usize,
    part: &Part,
    header: &ChunkHeader,
    zones: &[Zone],
    enough: &mut Enough<'_>,
) -> Vec<Piece> {
    let of_chunk = facts_of(&header.statistics);
    let of_zones = |wanted: Range<usize>| Part {
        first: zones
            .get(wanted.start)
            .filter(|_| wanted.start > 0)
            .map_or(part.first, |zone| Position { time: zone.first.0, rank: 0 }),
        // A zone may end with the stamp with which the next one begins.
        last: zones.get(wanted.end).map_or(part.last, |next| Position { time: next.first.0, rank: u32::MAX }),
        count: header.samples_of_zones(wanted.clone()).len() as u32,
        token: Token { place, zones: Some(wanted) }.bits(),
    };
    let mut enough = |zones: &Range<usize>, facts: &Facts| enough(&of_zones(zones.clone()), facts);
    let zone = |at: usize| (at..at + 1, of_zone(&of_chunk, header, &zones[at]));
    let known_zone = |at: usize| (at..at + 1, Some(zone(at).1));
    let mut split = |fine: bool| {
        let mut pieces: Vec<(Range<usize>, Option<Facts>)> = Vec::with_capacity(zones.len());
        for (at, page) in header.pages().iter().enumerate() {
            let of_page = header.zones_of_pages(at..at + 1);
            let known = of_zone(&of_chunk, header, &Zone::of_page(page));
            if enough(&of_page, &known) {
                pieces.push((of_page, Some(known)));
                continue;
            }
            let all = !fine || of_page.len() == 1;
            let mut wanted = of_page.clone().filter(|at| {
                let (zone, known) = zone(*at);
                all || !enough(&zone, &known)
            });
            let first = wanted.next().unwrap_or(of_page.end);
            let end = wanted.next_back().map_or(first + 1, |last| last + 1).min(of_page.end);
            pieces.extend((of_page.start..first).map(known_zone));
            if first < end {
                pieces.push((first..end, None));
            }
            pieces.extend((end..of_page.end).map(known_zone));
        }
        pieces
    };
    let wanted = |pieces: &[(Range<usize>, Option<Facts>)]| -> usize {
        let wanted = pieces.iter().filter(|(_, known)| known.is_none());
        wanted.map(|(zones, _)| header.samples_of_zones(zones.clone()).len()).sum()
    };
    let mut pieces = split(true);
    if zones.len() > header.pages().len() && wanted(&pieces) * FINE_SHARE > header.count() {
        pieces = split(false);
    }
    if wanted(&pieces) == header.count() {
        return Vec::new();
    }
    pieces.dedup_by(|(next, of_next), (zones, of_zones)| {
        let both = zones.start..next.end;
        let joined = match (&*of_zones, &*of_next) {
            (None, None) => None,
            (Some(facts), Some(more)) => match facts.joined(more).filter(|facts| enough(&both, facts)) {
                Some(facts) => Some(Facts { scope: Scope::Pages, ..facts }),
                None => return false,
            },
            _ => return false,
        };
        (*zones, *of_zones) = (both, joined);
        true
    });
    let piece = |(zones, known): (Range<usize>, Option<Facts>)| {
        let part = of_zones(zones);
        known.map_or(Piece::Wanted(part), |facts| Piece::Known(part, facts))
    };
    pieces.into_iter().map(piece).collect()
}

#[cfg(test)]
mod tests;
