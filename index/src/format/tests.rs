//! FORMAT.md says what the constants say.

use super::*;
use disk::document::headings_with_tables;

const FORMAT: &str = include_str!("../../FORMAT.md");

/// The first `columns` cells of each row of the table under a heading.
fn table(heading: &str, columns: usize) -> Vec<Vec<&'static str>> {
    let mut rows = disk::document::table(FORMAT, heading);
    rows.iter_mut().for_each(|row| row.truncate(columns));
    rows
}

fn check_fields(heading: &str, fields: &[(&str, usize, usize)]) {
    let constants: Vec<_> = fields
        .iter()
        .map(|(name, at, len)| vec![name.to_string(), at.to_string(), len.to_string()])
        .collect();
    assert_eq!(table(heading, 3), constants, "{heading}");
}

fn check_pairs(heading: &str, pairs: &[(String, String)]) {
    let constants: Vec<_> = pairs.iter().map(|(a, b)| vec![a.clone(), b.clone()]).collect();
    assert_eq!(table(heading, 2), constants, "{heading}");
}

fn check_names(heading: &str, names: &[&str]) {
    let constants: Vec<_> = names.iter().map(|name| vec![name.to_string()]).collect();
    assert_eq!(table(heading, 1), constants, "{heading}");
}

#[test]
fn fields_lie_where_the_document_says() {
    check_fields("Page header", &PAGE_FIELDS);
    check_fields("Footer", &FOOTER_FIELDS);
    check_fields("Leaf header", &LEAF_FIELDS);
    check_fields("Node row", &NODE_FIELDS);
    check_fields("Names header", &NAMES_FIELDS);
    check_names("Fields of an entry", &ENTRY_FIELDS);
    check_names("Fields of a master row", &SUMMARY_FIELDS);
}

#[test]
fn tags_flags_and_limits_are_those_of_the_document() {
    let tags = |tag: u8, name: String| (tag.to_string(), name);
    check_pairs("Page kinds", &PageKind::ALL.map(|kind| tags(kind as u8, format!("{kind:?}"))));
    check_pairs("Value forms", &ValueForm::ALL.map(|form| tags(form as u8, format!("{form:?}"))));
    check_pairs("Statistics flags", &STATISTICS_FLAGS.map(|(name, bit)| (name.to_string(), bit.to_string())));
    let limits = [
        ("PAGE_BYTES", PAGE_BYTES),
        ("PAGE_ROWS_MAX", PAGE_ROWS_MAX),
        ("NODE_ROWS_MAX", NODE_ROWS_MAX),
        ("FIELDS", FIELDS),
        ("LEVELS_MAX", usize::from(LEVELS_MAX)),
        ("HASH_SLOTS", HASH_SLOTS),
    ];
    check_pairs("Limits", &limits.map(|(name, value)| (name.to_string(), value.to_string())));
}

#[test]
fn magics_and_bits_are_those_of_the_document() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ");
    for magic in [PARTITION_FILE.magic, MASTER_FILE.magic] {
        assert!(FORMAT.contains(&format!("magic `{}`", hex(&magic))), "{}", hex(&magic));
    }
    let slot = format!(
        "byte of the page at which row or name begins ({PLACE_BITS} bits), page number ({PAGE_NUMBER_BITS} bits), tag ({SLOT_TAG_BITS} bits)"
    );
    assert!(FORMAT.contains(&slot), "{slot}");
}

#[test]
fn no_table_of_the_document_is_left_uncompared() {
    let compared = [
        "Index file formats",
        "Page header",
        "Page kinds",
        "Footer",
        "Leaf header",
        "Fields of an entry",
        "Fields of a master row",
        "Node row",
        "Statistics flags",
        "Value forms",
        "Names header",
        "Limits",
    ];
    let found = headings_with_tables(FORMAT);
    assert_eq!(found, compared, "compare a new table with its constants, then list it here");
}

#[test]
fn the_newest_version_is_that_of_the_document() {
    let first = FORMAT.split("\n## ").next().unwrap_or_default();
    let newest = first.lines().rfind(|line| line.starts_with('|')).unwrap();
    for file in [PARTITION_FILE, MASTER_FILE] {
        assert!(newest.starts_with(&format!("| {}.{} |", file.major, file.minor)), "{newest}");
    }
}
