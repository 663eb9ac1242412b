//! Floats come back to the bit.

use super::*;
use crate::codec::Profile;
use proptest::prelude::*;

fn check<F: Float>(values: &[F]) -> (FloatModel, usize) {
    let model = FloatModel::fit(values, &mut IntegerEncoder::new(Profile::Hot));
    let (mut parameters, mut bytes, mut back) = (Vec::new(), Vec::new(), Vec::<F>::new());
    model.put_parameters(&mut parameters);
    assert_eq!(FloatModel::parse(model.codec(), &mut Cursor::new(&parameters)), Ok(model));
    model.encode(values, &mut IntegerEncoder::new(Profile::Hot), &mut bytes);
    let mut cursor = Cursor::new(&bytes);
    model.decode_rows(&mut cursor, values.len(), 0..values.len(), &mut back).unwrap();
    let patterns = |values: &[F]| values.iter().map(|value| value.pattern()).collect::<Vec<_>>();
    assert_eq!(patterns(&back), patterns(values));
    assert!(cursor.is_empty());
    (model, bytes.len())
}

fn noise(i: i64) -> i64 {
    let mixed = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    ((mixed >> 40) & 1023) as i64
}

#[test]
fn scales_are_found_both_ways() {
    for factor in [100.0, 1e-3 * 0.733, 1.0, 3276.8, 0.01] {
        let over: Vec<f64> = (0..3000).map(|i| noise(i) as f64 / factor).collect();
        let times: Vec<f64> = (0..3000).map(|i| (noise(i) - 500) as f64 * factor).collect();
        for values in [over, times] {
            let (model, bytes) = check(&values);
            assert_eq!(model.codec(), ColumnCodec::Scaled, "factor {factor}");
            assert!(bytes < 3000 * 10 / 8 + 30, "factor {factor}: {bytes} bytes");
        }
    }
}

#[test]
fn single_precision_decimals_are_scaled() {
    let values: Vec<f32> = (0..3000).map(|i| noise(i) as f32 / 10.0).collect();
    assert!(check(&values).1 < 3000 * 10 / 8 + 30);
    let widened: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
    assert!(check(&widened).1 < 3000 * 10 / 8 + 30);
}

#[test]
fn special_values_among_decimals_are_exceptions() {
    let mut values: Vec<f64> = (0..2000).map(|i| noise(i) as f64 / 100.0).collect();
    let specials =
        [-0.0, f64::NAN, f64::from_bits(0x7ff0_0000_dead_beef), f64::INFINITY, f64::NEG_INFINITY, 1e300];
    for (i, special) in specials.into_iter().enumerate() {
        values[i * 150] = special;
    }
    assert_eq!(check(&values).0.codec(), ColumnCodec::Scaled);
    let singles: Vec<f32> = vec![f32::from_bits(0x7f80_0001), -0.0, f32::NAN, 1.0, f32::MIN_POSITIVE / 2.0];
    check(&singles);
}

proptest! {
    #[test]
    fn any_doubles_come_back(patterns in prop::collection::vec(any::<u64>(), 1..1500)) {
        check(&patterns.into_iter().map(f64::from_bits).collect::<Vec<_>>());
    }

    #[test]
    fn any_singles_come_back(patterns in prop::collection::vec(any::<u32>(), 1..1500)) {
        check(&patterns.into_iter().map(f32::from_bits).collect::<Vec<_>>());
    }

    #[test]
    fn any_decimals_come_back(integers in prop::collection::vec(any::<i32>(), 1..1500), digits in 0i32..12) {
        check(&integers.into_iter().map(|i| f64::from(i) / 10f64.powi(digits)).collect::<Vec<_>>());
    }
}
