//! What is packed comes back.

use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn rows_of_any_widths_come_back(
        bases in any::<[u64; FIELDS]>(),
        widths in prop::array::uniform12(0u8..=64),
        rows in prop::collection::vec(any::<[u64; FIELDS]>(), 0..100),
    ) {
        let number = |row: usize, field: usize| {
            bases[field].wrapping_add(rows[row][field].checked_shr(64 - u32::from(widths[field])).unwrap_or(0))
        };
        let numbers: Vec<[u64; FIELDS]> =
            (0..rows.len()).map(|row| std::array::from_fn(|field| number(row, field))).collect();
        let mut page = [0u8; PAGE_BYTES];
        pack(&numbers, &bases, &widths, &mut page);
        for (row, numbers) in numbers.iter().enumerate() {
            let mut bit = row * row_bytes(widths.iter().map(|width| u32::from(*width)).sum()) * 8;
            for field in 0..FIELDS {
                prop_assert_eq!(bases[field].wrapping_add(read(&page, bit, u32::from(widths[field]))), numbers[field]);
                bit += usize::from(widths[field]);
            }
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
