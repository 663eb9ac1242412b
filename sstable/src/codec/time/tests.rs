//! Stamps come back as they were.

use super::*;
use crate::codec::Profile;
use proptest::prelude::*;

const PAGE: usize = 1024;

fn check(times: &[i64]) -> (TimeModel, usize) {
    let mut model = TimeModel::fit(times, PAGE, &mut IntegerEncoder::new(Profile::Hot));
    let mut bytes = Vec::new();
    let mut integers = IntegerEncoder::new(Profile::Hot);
    if !times.chunks(PAGE).all(|page| model.encode_page(page, &mut integers, &mut bytes)) {
        model.grid = None;
        bytes.clear();
        assert!(times.chunks(PAGE).all(|page| model.encode_page(page, &mut integers, &mut bytes)));
    }
    let mut parameters = Vec::new();
    model.put_parameters(&mut parameters);
    let read = TimeModel::parse(model.codec(), &mut Cursor::new(&parameters)).unwrap();
    // The unit of all stamps is not stored where there is one of nearly all.
    assert_eq!(TimeModel { unit: if model.phase.is_some() { model.unit } else { read.unit }, ..read }, model);
    let (mut cursor, mut back) = (Cursor::new(&bytes), Vec::new());
    for page in times.chunks(PAGE) {
        read.decode_page(&mut cursor, page[0], page.len(), &mut back).unwrap();
    }
    assert_eq!(back, times);
    (model, bytes.len())
}

#[test]
fn a_jittery_scan_is_coded_against_its_grid() {
    let mut state = 1u64;
    let mut time = 1_767_571_200_000_000_000i64;
    let times: Vec<i64> = (0..8192)
        .map(|k| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            time += if k == 3000 { 61_000_000_000 } else { 1_000_000_000 };
            time + (state >> 44) as i64
        })
        .collect();
    let (model, bytes) = check(&times);
    assert_eq!(model.codec(), ColumnCodec::Grid);
    assert!(bytes < 8192 * 21 / 8 + 200, "{bytes} bytes");
    let coarse: Vec<i64> = times.iter().map(|time| time / 1000 * 1000).collect();
    assert!(check(&coarse).1 < 8192 * 11 / 8 + 200);
}

#[test]
fn a_stray_stamp_does_not_make_the_unit_of_the_others_smaller() {
    for stray in [0, 1, 700, 5999] {
        let mut state = 1u64;
        let mut times: Vec<i64> = (0..6000)
            .map(|k| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                1_767_571_200_000_000_000 + k * 60_000_000_000 + (state >> 44) as i64 * 1000
            })
            .collect();
        times[stray] += 789;
        let (model, bytes) = check(&times);
        assert_eq!(model.codec(), ColumnCodec::GridStrays);
        assert!(bytes < 6000 * 21 / 8 + 200, "{bytes} bytes");
        times.iter_mut().for_each(|time| *time += *time % 7);
        times.sort_unstable();
        check(&times);
    }
}

#[test]
fn extremes_come_back() {
    check(&[5]);
    check(&[i64::MIN, i64::MAX]);
    check(&[7; 3000]);
    check(&(0..3000u64).map(|k| i64::MIN.wrapping_add_unsigned(k * (u64::MAX / 3000))).collect::<Vec<_>>());
    check(&(0..3000).map(|k| k * 300_000_000_000).collect::<Vec<_>>());
    check(&(0..3000).map(|k| k * 3_000_000_000_000_000).collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn any_ordered_stamps_come_back(mut times in prop::collection::vec(any::<i64>(), 1..2100)) {
        times.sort_unstable();
        check(&times);
    }

    #[test]
    fn scans_with_gaps_come_back(
        steps in prop::collection::vec(
            prop_oneof![20 => 900i64..1100, 1 => 0i64..100_000, 1 => Just(0i64)], 1..2100),
        unit in prop::sample::select(vec![1i64, 8, 1000, 1_000_000]), stray in 0usize..2100,
    ) {
        let mut time = 1_767_571_200_000_000_000;
        let mut times: Vec<i64> = steps.iter().map(|step| { time += step * unit; time }).collect();
        check(&times);
        if let Some(time) = times.get_mut(stray) {
            *time -= 1;
        }
        times.sort_unstable();
        check(&times);
    }

    #[test]
    fn hostile_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200), count in 1usize..1025,
        unit in any::<u64>(), first in any::<i64>(), period in any::<u64>(), fraction in 0u32..17,
    ) {
        let grid = Some(Grid { period, fraction });
        let phase = Some(Phase { unit: (unit >> 1).max(1), offset: unit >> 3 });
        for (phase, grid) in [(None, grid), (phase, grid), (phase, None)] {
            let model = TimeModel { unit, phase, grid };
            let _ = model.decode_page(&mut Cursor::new(&bytes), first, count, &mut Vec::new());
        }
    }
}
