//! Columns of pco come back as they were, and damaged ones as errors.

use super::*;
use proptest::prelude::*;

fn column<T: Number>(values: &[T], page: usize) -> (PcoColumn, Vec<u8>, Vec<usize>) {
    let pages: Vec<_> =
        (0..values.len()).step_by(page).map(|from| from..(from + page).min(values.len())).collect();
    let (mut data, mut ends) = (Vec::new(), Vec::new());
    let (column, _) = PcoColumn::encode(values, &pages, &mut DeltaSpec::Auto, &mut data, &mut ends).unwrap();
    assert_eq!((ends.len(), ends.last()), (pages.len(), Some(&data.len())));
    (column, data, ends)
}

fn check<T: Number + Default + PartialEq + std::fmt::Debug>(values: &[T], page: usize) {
    let (written, data, ends) = column(values, page);
    let mut parameters = Vec::new();
    written.put_parameters(&mut parameters);
    let read = PcoColumn::parse(&mut Cursor::new(&parameters)).unwrap();
    assert_eq!(read, written);
    let (mut back, mut from) = (Vec::<T>::new(), 0);
    for (values, end) in values.chunks(page).zip(ends) {
        let page = || Cursor::new(&data[from..end]);
        read.decode(&mut page(), values.len(), 0..values.len(), &mut back).unwrap();
        for rows in [0..values.len() / 3, values.len() / 3..values.len() / 2, values.len() / 2..values.len()]
        {
            let mut part = vec![T::default()];
            read.decode(&mut page(), values.len(), rows.clone(), &mut part).unwrap();
            assert_eq!(part[1..], values[rows]);
        }
        from = end;
    }
    assert_eq!(back, values);
}

proptest! {
    #[test]
    fn numbers_come_back_page_by_page(
        wide in prop::collection::vec(any::<i64>(), 1..700), page in 1usize..700,
        narrow in prop::collection::vec(any::<u8>(), 1..5 * SKIPPED), long in 1..5 * SKIPPED, shift in 0u32..64,
    ) {
        check(&wide, page);
        check(&wide.iter().map(|value| value >> shift).collect::<Vec<_>>(), page);
        check(&narrow, long);
        check(&narrow.iter().map(|value| f32::from(*value) / 10.0).collect::<Vec<_>>(), page);
    }

    #[test]
    fn damaged_bytes_are_an_error_or_other_numbers(
        steps in prop::collection::vec(-9i64..9, 2..600), order in 0usize..3,
        at in any::<prop::sample::Index>(), to in any::<u8>(), count in 1usize..1025,
    ) {
        let mut values = steps;
        for _ in 0..order {
            let mut sum = 0;
            values.iter_mut().for_each(|value| { sum += *value; *value = sum; });
        }
        let (written, data, _) = column(&values, values.len());
        let mut parameters = Vec::new();
        written.put_parameters(&mut parameters);
        let head = parameters.len();
        let mut bytes = [parameters, data].concat();
        let at = at.index(bytes.len());
        bytes[at] = to;
        let read = PcoColumn::parse(&mut Cursor::new(&bytes[..head])).unwrap();
        for rows in [0..count, count / 2..count / 2 + 1] {
            let mut back = Vec::new();
            let _ = read.decode::<i64>(&mut Cursor::new(&bytes[head..]), count, rows.clone(), &mut back);
            prop_assert!(back.len() <= rows.len());
        }
    }

    #[test]
    fn hostile_bytes_never_panic(
        meta in prop::collection::vec(any::<u8>(), 0..100), data in prop::collection::vec(any::<u8>(), 0..200),
        known in any::<bool>(), count in 1usize..1025,
    ) {
        // Behind a sound header more is looked at.
        let meta = if known { [&[4, 1][..], &meta].concat() } else { meta };
        let read = PcoColumn::parse(&mut Cursor::new(&meta)).unwrap();
        let _ = read.decode::<i64>(&mut Cursor::new(&data), count, 0..count, &mut Vec::new());
        let _ = PcoColumn::parse(&mut Cursor::new(&meta)).unwrap().decode::<f32>(&mut Cursor::new(&data), count, 0..count, &mut Vec::new());
    }
}

#[test]
fn a_dictionary_is_refused_before_it_is_allocated() {
    let meta = [4, 1, 0xf4, 0xff, 0xff, 0xff];
    let read = PcoColumn::parse(&mut Cursor::new(&meta)).unwrap();
    assert!(read.decode::<i64>(&mut Cursor::new(&[0; 100]), 5, 0..5, &mut Vec::new()).is_err());
}
