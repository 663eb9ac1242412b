//! Leaves hold the numbers that were pushed, whatever they are.

use super::*;
use crate::leaf::{Leaf, check};
use crate::slab::SharedPage;
use proptest::prelude::*;

/// Numbers that mostly fit a few bits below the end, some behind it, where differences wrap around.
fn any_number() -> impl Strategy<Value = u64> {
    prop_oneof![60 => (0u64..64).prop_map(|below| u64::MAX - below), 8 => 0u64..8, 1 => any::<u64>()]
}

fn any_rows() -> impl Strategy<Value = Vec<([u64; FIELDS - 1], Vec<u8>)>> {
    let row = (prop::array::uniform11(any_number()), prop::collection::vec(any::<u8>(), 0..4));
    prop::collection::vec(row, 1..60)
}

proptest! {
    #[test]
    fn rows_come_back(rows in any_rows()) {
        let mut builder = LeafBuilder::new();
        let mut row = Row::new();
        for (numbers, bytes) in &rows {
            row.numbers[..FIELDS - 1].copy_from_slice(numbers);
            row.bytes.clear();
            bytes.iter().for_each(|byte| row.bytes.put([*byte]));
            prop_assert!(builder.push(&mut row));
        }
        let mut page = Page::zeros();
        builder.encode(rows.len(), false, &mut page);
        page.seal(0, PageKind::Leaf, 0, rows.len() as u16, 1);
        prop_assert_eq!(check(&page), Ok(()));
        let leaf = Leaf::new(SharedPage::single(page));
        prop_assert_eq!(leaf.rows(), rows.len());
        for (at, (numbers, bytes)) in rows.iter().enumerate() {
            for (field, number) in numbers.iter().enumerate() {
                prop_assert_eq!(leaf.field(at, field), *number);
            }
            prop_assert!(leaf.bytes(at).starts_with(bytes));
        }
    }
}
