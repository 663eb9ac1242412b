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
    assert_eq!(TimeModel::parse(model.codec(), &mut Cursor::new(&parameters)), Ok(model));
    let (mut cursor, mut back) = (Cursor::new(&bytes), Vec::new());
    for page in times.chunks(PAGE) {
        model.decode_page(&mut cursor, page[0], page.len(), &mut back).unwrap();
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
        unit in prop::sample::select(vec![1i64, 8, 1000, 1_000_000]),
    ) {
        let mut time = 1_767_571_200_000_000_000;
        let times: Vec<i64> = steps.iter().map(|step| { time += step * unit; time }).collect();
        check(&times);
    }

    #[test]
    fn hostile_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200), count in 1usize..1025,
        unit in any::<u64>(), period in any::<u64>(), fraction in 0u32..17,
    ) {
        let model = TimeModel { unit, grid: Some(Grid { period, fraction }) };
        let _ = model.decode_page(&mut Cursor::new(&bytes), 0, count, &mut Vec::new());
    }
}
