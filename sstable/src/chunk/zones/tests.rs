//! Zones say what holds, and their samples are found.

use super::*;
use crate::chunk::{ChunkHeader, encode};
use crate::codec::Profile;
use crate::format::CHUNK_SAMPLES_MAX;
use proptest::prelude::*;
use sample::{ChannelId, Column, Kind, RunType, SampleBlock, TimeRange, ValueType};

const SEED: u64 = 0x9E37_79B9_7F4A_7C15;

fn mixed(i: u64) -> u64 {
    let mixed = (i + 1).wrapping_mul(SEED);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

/// `count` doubles that jump with the seed, not all finite; one stamp in `ties` is that of the sample before.
fn block(count: usize, seed: u64, ties: u64, scale: f64) -> SampleBlock {
    let mut block = SampleBlock::new(RunType::plain(ValueType::scalar(Kind::Float64)));
    let (mut time, mut rank, mut level) = (1_767_571_200_000_000_000i64, 0, 0.0);
    let mut values = Vec::new();
    for i in 0..count as u64 {
        let noise = mixed(i ^ seed);
        if i > 0 && noise.is_multiple_of(ties) {
            rank += 1;
        } else {
            rank = 0;
            time += 1_000_000_000 + (noise >> 50) as i64;
        }
        level += if noise >> 55 == 7 { (noise >> 40 & 0xFFF) as f64 - 2000.0 } else { 0.0 };
        values.push(match noise % 1009 {
            1 => f64::NAN,
            2 => f64::INFINITY,
            3 if scale == 1.0 => -1e300,
            _ => (level + (noise >> 48) as f64) * scale,
        });
        block.time.push(time);
        block.rank.push(rank);
        block.severity.push((noise >> 62 == 0) as u8);
        block.status.push(0);
    }
    block.values = Column::Float64(values);
    block
}

/// A chunk of doubles that pco writes clearly larger, so that there is room for zones.
fn zoned() -> SampleBlock {
    block(8192, 1, 1 << 40, 1.0)
}

fn header_of(block: &SampleBlock, profile: Profile) -> (ChunkHeader, Vec<u8>) {
    let bytes = encode(ChannelId(1), block, false, None, profile).unwrap();
    (ChunkHeader::parse(&bytes).unwrap(), bytes)
}

/// Zones of `zones` that lie in `range`, decoded.
fn samples(header: &ChunkHeader, bytes: &[u8], zones: Range<usize>, range: TimeRange) -> SampleBlock {
    let pages = header.pages_of_zones(zones.clone());
    let extent = header.extent_of(pages.clone());
    let body = &bytes[extent.start as usize..extent.end as usize];
    header.decode_within(range, header.samples_of_zones(zones), pages, body, None).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn zones_hold_of_their_samples_and_find_them(
        count in 1..=CHUNK_SAMPLES_MAX,
        seed in any::<u64>(),
        ties in prop::sample::select(vec![2u64, 50, 1 << 40]),
        scale in prop::sample::select(vec![0.01, 1.0, 1e-9, 3.3e35, 1e-320]),
        (from, to, cut) in (any::<u16>(), any::<u16>(), any::<(u16, u16)>()),
    ) {
        let block = block(count, seed, ties, scale);
        let (header, bytes) = header_of(&block, Profile::Cold);
        let zones = header.zones().unwrap();
        let Column::Float64(values) = &block.values else { unreachable!() };
        let mut behind = 0;
        for (at, zone) in zones.iter().enumerate() {
            let rows = header.samples_of_zones(at..at + 1);
            prop_assert_eq!((rows.start, zone.first.0), (behind, block.time[rows.start]));
            behind = rows.end;
            let (least, most) = zone.bounds.unwrap();
            prop_assert!(values[rows.clone()].iter().all(|v| !v.is_finite() || (least <= *v && *v <= most)));
            prop_assert!(block.severity[rows].iter().all(|severity| *severity <= zone.worst as u8));
        }
        prop_assert_eq!(behind, count);
        // Any zones, in any range of time that begins and ends at stamps.
        let one = |number: u16, of: usize| usize::from(number) % of;
        let (a, b) = (one(from, zones.len()), one(to, zones.len()));
        let wanted = a.min(b)..a.max(b) + 1;
        let (a, b) = (block.time[one(cut.0, count)], block.time[one(cut.1, count)]);
        for range in [TimeRange::ALL, TimeRange::new(Timestamp(a.min(b)), Timestamp(a.max(b)))] {
            let found = samples(&header, &bytes, wanted.clone(), range);
            let rows = header.samples_of_zones(wanted.clone());
            let inside = rows.filter(|row| range.contains(Timestamp(block.time[*row])));
            let expected: Vec<_> = inside.map(|row| block.get(row)).collect();
            let found: Vec<_> = (0..found.len()).map(|row| found.get(row)).collect();
            prop_assert_eq!(format!("{found:?}"), format!("{expected:?}"));
        }
    }
}

#[test]
fn large_pages_of_numbers_have_zones_and_others_do_not() {
    let zones = |block: &SampleBlock, profile| header_of(block, profile).0.zones().unwrap().len();
    let many = zoned();
    assert_eq!((zones(&many, Profile::Cold), zones(&many, Profile::Hot)), (16, 8));
    let near = block(8192, 1, 1 << 40, 0.01);
    assert_eq!(zones(&near, Profile::Cold), 2, "with zones the column would be larger than pco makes it");
    assert_eq!(zones(&block(500, 1, 1 << 40, 0.01), Profile::Cold), 1);
    let mut quiet = many.clone();
    quiet.values = Column::Float64((0..8192).map(|row| f64::from(row / 4096)).collect());
    assert_eq!(zones(&quiet, Profile::Cold), 2, "two values take fewer bytes than zones would");
}

#[test]
fn bounds_are_near() {
    let many = zoned();
    let (header, _) = header_of(&many, Profile::Cold);
    assert_eq!(header.zones().unwrap().len(), 16);
    let Column::Float64(values) = &many.values else { unreachable!() };
    for (at, zone) in header.zones().unwrap().iter().enumerate() {
        let rows = header.samples_of_zones(at..at + 1);
        let finite = || values[rows.clone()].iter().copied().filter(|value| value.is_finite());
        let (least, most) = (finite().fold(f64::MAX, f64::min), finite().fold(f64::MIN, f64::max));
        let page = header.pages()[header.pages_of_zones(at..at + 1).start].bounds.unwrap();
        let near = (page.1 - page.0) / 255.0 * 1.001;
        let (lower, upper) = zone.bounds.unwrap();
        assert!(least - lower <= near && upper - most <= near, "zone {at}: {zone:?}, {least} to {most}");
    }
}

#[test]
fn hostile_zones_never_panic() {
    let many = zoned();
    let bytes = encode(ChannelId(1), &many, false, None, Profile::Cold).unwrap();
    let header = ChunkHeader::parse(&bytes).unwrap();
    let column = header.zone_column().unwrap().clone();
    for i in 0..4000u64 {
        let mut header = header.clone();
        let mut damaged = column.clone();
        damaged.shift = (mixed(i) % 13) as u8;
        let at = mixed(i * 3) as usize % damaged.zones.len();
        damaged.zones[at] = mixed(i * 5) as u8;
        damaged.zones.truncate(mixed(i * 7) as usize % (column.zones.len() * 2));
        for column in &mut header.columns {
            if let ColumnModel::Zones(zones) = &mut column.model {
                *zones = damaged.clone();
            }
        }
        if let Ok(zones) = header.zones() {
            assert!(zones.windows(2).all(|pair| pair[0].first <= pair[1].first));
            samples(&header, &bytes, 0..zones.len().min(2), TimeRange::ALL);
        }
    }
}
