//! What is packed comes back.

use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn numbers_of_any_width_come_back(numbers in prop::collection::vec((any::<u64>(), 0u32..=64), 0..400)) {
        let numbers: Vec<(u64, u32)> =
            numbers.into_iter().map(|(value, width)| (value.checked_shr(64 - width).unwrap_or(0), width)).collect();
        let mut page = [0u8; PAGE_BYTES];
        let mut writer = BitWriter::new(&mut page);
        numbers.iter().for_each(|(value, width)| writer.put(*value, *width));
        writer.finish();
        let mut bit = 0;
        for (value, width) in numbers {
            prop_assert_eq!(read(&page, bit, width), value);
            bit += width as usize;
        }
    }

    #[test]
    fn no_position_is_beyond_reading(bit in 0usize..1 << 20, width in 0u32..=64) {
        let value = read(&[0xff; PAGE_BYTES], bit, width);
        prop_assert!(value == 0 || width_of(value) == width);
    }
}

#[test]
fn widths_are_the_least_that_do() {
    for (most, width) in [(0, 0), (1, 1), (2, 2), (3, 2), (255, 8), (256, 9), (u64::MAX, 64)] {
        assert_eq!(width_of(most), width);
    }
}
