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
        for (numbers, bytes) in &rows {
            let row = builder.next_row();
            row.numbers[..FIELDS - 1].copy_from_slice(numbers);
            bytes.iter().for_each(|byte| row.bytes.put([*byte]));
            prop_assert!(builder.push().is_none());
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

/// What a page takes with these rows: header, packed rows, bytes, slack.
fn page_bytes(rows: &[([u64; FIELDS - 1], usize)]) -> usize {
    let width_of_field = |field: usize| {
        let numbers = rows.iter().map(|(numbers, _)| numbers[field]);
        let spanned = numbers.clone().max().unwrap() - numbers.min().unwrap();
        (0..=64).find(|width| u128::from(spanned) < 1 << width).unwrap()
    };
    let before_last: usize = rows[..rows.len() - 1].iter().map(|(_, len)| len).sum();
    let place_width = usize::BITS - before_last.leading_zeros();
    let bits = (0..FIELDS - 1).map(width_of_field).sum::<u32>() + place_width;
    let bytes = before_last + rows[rows.len() - 1].1;
    LEAF_HEADER_BYTES + rows.len() * (bits as usize).div_ceil(8).max(1) + bytes + LEAF_SLACK_BYTES
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_page_takes_as_many_rows_as_it_has_room_for(
        rows in prop::collection::vec((prop::array::uniform11(any_number()), 0usize..100), 700)
    ) {
        let mut builder = LeafBuilder::new();
        let mut found = None;
        for (numbers, len) in &rows {
            let row = builder.next_row();
            row.numbers[..FIELDS - 1].copy_from_slice(numbers);
            (0..*len).for_each(|_| row.bytes.put([7]));
            found = builder.push();
            if found.is_some() {
                break;
            }
        }
        let found = found.expect("700 rows of some 50 bytes and more pass 16 KiB");
        prop_assert!(page_bytes(&rows[..found]) <= PAGE_BYTES);
        prop_assert!(page_bytes(&rows[..found + 1]) > PAGE_BYTES);
        // Rows behind them begin the next page.
        let behind = builder.rows() - found;
        builder.remove(found);
        prop_assert_eq!(builder.rows_with_room(), behind);
        let mut page = Page::zeros();
        builder.encode(behind, false, &mut page);
        page.seal(0, PageKind::Leaf, 0, behind as u16, 1);
        prop_assert_eq!(check(&page), Ok(()));
        let leaf = Leaf::new(SharedPage::single(page));
        for (at, (numbers, len)) in rows[found..found + behind].iter().enumerate() {
            prop_assert_eq!(&numbers[..], &(0..FIELDS - 1).map(|field| leaf.field(at, field)).collect::<Vec<_>>()[..]);
            prop_assert!(leaf.bytes(at).starts_with(&vec![7; *len]));
        }
    }
}
