//! Stamps near a sibling's come back as they were.

use super::*;
use crate::codec::time::unit::common_unit;
use proptest::prelude::*;

const PAGE: usize = 1024;

fn check(times: &[i64], sibling: &[i64]) -> usize {
    let Some(model) = SiblingModel::fit(times, sibling, common_unit(times)) else { return 0 };
    let mut parameters = Vec::new();
    model.put(&mut parameters);
    assert_eq!(SiblingModel::read(&mut Cursor::new(&parameters)), Ok(model));
    let rows = model.rows(times, sibling);
    assert!(rows.is_sorted() && rows.last() < Some(&sibling.len()));
    let (mut bytes, mut windows) = (Vec::new(), Vec::new());
    let mut integers = IntegerEncoder::new(Profile::Cold);
    for (page, rows) in times.chunks(PAGE).zip(rows.chunks(PAGE)) {
        let window = window(rows);
        let rows: Vec<usize> = rows.iter().map(|row| row - window.start).collect();
        model.encode_page(page, times[0], &rows, &sibling[window.clone()], &mut integers, &mut bytes);
        windows.push(window);
    }
    let (mut cursor, mut back) = (Cursor::new(&bytes), Vec::new());
    for (page, window) in times.chunks(PAGE).zip(windows) {
        let firsts = (times[0], page[0]);
        model.decode_page(&mut cursor, firsts, page.len(), &sibling[window], &mut back).unwrap();
    }
    assert_eq!(back, times);
    assert!(cursor.is_empty());
    bytes.len()
}

/// A scan's stamps with drop-outs, and those of a channel of it that lag a little, with its own drop-outs.
fn scans() -> impl Strategy<Value = (Vec<i64>, Vec<i64>)> {
    let tick = (900_000i64..1_100_000, prop::bool::weighted(0.98), prop::bool::weighted(0.98), 0i64..2000);
    let unit = prop::sample::select(vec![1i64, 8, 1000, 1_000_000]);
    (prop::collection::vec(tick, 2..2600), unit, -70_000i64..70_000).prop_map(|(ticks, unit, lag)| {
        let mut time = 1_767_571_200_000_000_000i64;
        let (mut sibling, mut times) = (Vec::new(), Vec::new());
        for (step, here, there, own) in ticks {
            time += step * 1000;
            if here {
                sibling.push(time);
            }
            if there {
                times.push((time + lag + own).div_euclid(unit) * unit);
            }
        }
        (times, sibling)
    })
}

#[test]
fn a_sibling_of_the_same_scan_leaves_its_own_offset() {
    let noise = |i: i64| (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    let sibling: Vec<i64> = (0..8192).map(|i| i * 1_000_000_000 + (noise(i) % 4_000_000) as i64).collect();
    let own = |i: i64| (noise(i + 10_000) % 4096) as i64;
    let times: Vec<i64> =
        (0..8192).filter(|i| *i != 77).map(|i| sibling[i as usize] + 9_000 + own(i)).collect();
    let bytes = check(&times, &sibling);
    assert!(bytes < 8192 * 12 / 8 + 600, "{bytes} bytes");
    let coarse: Vec<i64> = times.iter().map(|time| time / 1_000_000 * 1_000_000).collect();
    let bytes = check(&coarse, &sibling);
    assert!(bytes < 800, "{bytes} bytes");
}

#[test]
fn extremes_come_back() {
    let far = [i64::MIN, -1, 0, 1, i64::MAX];
    check(&far, &far);
    check(&far, &[7]);
    check(&[7], &far);
    check(&[5; 3000], &far);
    check(&[i64::MIN, i64::MAX - 1], &[i64::MAX, i64::MAX]);
    assert!(SiblingModel::fit(&[1], &[], 1).is_none());
    assert!(SiblingModel::fit(&[], &[1], 1).is_none());
}

proptest! {
    #[test]
    fn scans_with_drop_outs_of_either_come_back((times, sibling) in scans()) {
        check(&times, &sibling);
    }

    #[test]
    fn any_ordered_stamps_come_back(
        mut times in prop::collection::vec(any::<i64>(), 1..1500),
        mut sibling in prop::collection::vec(any::<i64>(), 1..1500),
    ) {
        times.sort_unstable();
        sibling.sort_unstable();
        check(&times, &sibling);
    }

    #[test]
    fn division_rounds_down(value in any::<i64>(), divisor in 1..=u64::MAX) {
        for divisor in [divisor, divisor >> 32 | 1, divisor >> 55 | 1, 1, u64::MAX] {
            let expected = i128::from(value).div_euclid(i128::from(divisor)) as i64;
            prop_assert_eq!(FloorDivisor::new(divisor).divide(value), expected);
        }
    }

    #[test]
    fn hostile_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200), count in 1usize..1025, unit in 1..u64::MAX,
        lag in any::<i64>(), mut sibling in prop::collection::vec(any::<i64>(), 0..1100),
    ) {
        sibling.sort_unstable();
        let model = SiblingModel { unit, lag };
        for order in [None, Some(0), Some(1)] {
            let bytes: Vec<u8> = order.into_iter().chain(bytes.iter().copied()).collect();
            let _ = model.decode_page(&mut Cursor::new(&bytes), (0, 0), count, &sibling, &mut Vec::new());
            let _ = model.decode_page(&mut Cursor::new(&bytes), (0, 0), sibling.len(), &sibling, &mut Vec::new());
        }
    }
}
