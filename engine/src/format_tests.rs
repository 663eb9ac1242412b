//! FORMAT.md says what the constants say.

use crate::identity::IDENTITY_FIELDS;
use crate::manifest::{
    MANIFEST_FIELDS, MASTER_SEGMENT_FIELDS, PARTITION_INDEX_FIELDS, SEALING_INPUT_FIELDS, TABLE_FIELDS,
    TABLE_FLAGS,
};
use crate::wal::format::{
    ENTRY_TAGS, RECORD_FIELDS, RECORD_KINDS, SAMPLE_FLAGS, SAMPLE_PARTS, SEGMENT_FIELDS,
};
use disk::document::{self, headings_with_tables};

const DOCUMENT: &str = include_str!("../FORMAT.md");

fn table(heading: &str) -> Vec<Vec<&'static str>> {
    document::table(DOCUMENT, heading)
}

fn check_fields(heading: &str, fields: &[(&str, usize, usize)]) {
    let number = |text: &str| text.parse::<usize>().unwrap();
    let found: Vec<_> = table(heading).iter().map(|row| (row[0], number(row[1]), number(row[2]))).collect();
    assert_eq!(found, fields, "{heading}");
    for pair in fields.windows(2) {
        assert_eq!(
            pair[0].1 + pair[0].2,
            pair[1].1,
            "{heading}: {} does not end where {} begins",
            pair[0].0,
            pair[1].0
        );
    }
}

fn check_values<T: Copy + Into<u64>>(heading: &str, values: &[(&str, T)]) {
    let found: Vec<_> = table(heading).iter().map(|row| (row[0], row[1].parse::<u64>().unwrap())).collect();
    let values: Vec<_> = values.iter().map(|(name, value)| (*name, (*value).into())).collect();
    assert_eq!(found, values, "{heading}");
    assert!(values.iter().all(|(_, value)| *value != 0), "{heading}: 0 means nothing");
}

#[test]
fn the_fields_are_where_the_document_says() {
    check_fields("identity", &IDENTITY_FIELDS);
    check_fields("segment", &SEGMENT_FIELDS);
    check_fields("record", &RECORD_FIELDS);
    check_fields("manifest", &MANIFEST_FIELDS);
    check_fields("table", &TABLE_FIELDS);
    check_fields("sealing input", &SEALING_INPUT_FIELDS);
    check_fields("partition index", &PARTITION_INDEX_FIELDS);
    check_fields("master segment", &MASTER_SEGMENT_FIELDS);
}

#[test]
fn tags_and_flags_are_those_of_the_document() {
    check_values("record kinds", &RECORD_KINDS);
    check_values("entry tags", &ENTRY_TAGS);
    check_values("sample flags", &SAMPLE_FLAGS);
    check_values("sample parts", &SAMPLE_PARTS);
    check_values("table flags", &TABLE_FLAGS);
}

#[test]
fn magics_and_sizes_are_those_of_the_document() {
    for magic in [
        crate::identity::IDENTITY_HEADER.magic,
        crate::wal::format::SEGMENT_HEADER.magic,
        crate::manifest::MANIFEST_HEADER.magic,
    ] {
        let text: Vec<String> = magic.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(DOCUMENT.contains(&format!("Magic `{}`.", text.join(" "))), "{text:?}");
    }
    let marker: Vec<String> = crate::wal::format::MARKER.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(DOCUMENT.contains(&format!("`{}`", marker.join(" "))));
    assert!(
        DOCUMENT.contains(&format!("bytes before the classes: {}", crate::manifest::MANIFEST_FIXED_BYTES))
    );
    assert!(DOCUMENT.contains(&format!("bytes of one table: {}", crate::manifest::TABLE_BYTES)));
    assert!(DOCUMENT.contains(&format!("at most {} MiB", crate::wal::format::PAYLOAD_BYTES_MAX >> 20)));
}

#[test]
fn no_table_of_the_document_is_left_uncompared() {
    let compared = [
        "Files of an archive that the engine writes",
        "identity",
        "segment",
        "record",
        "record kinds",
        "entry tags",
        "sample flags",
        "sample parts",
        "manifest",
        "table",
        "table flags",
        "sealing input",
        "partition index",
        "master segment",
    ];
    let found = headings_with_tables(DOCUMENT);
    assert_eq!(found, compared, "compare a new table with its constants, then list it here");
}

#[test]
fn the_newest_versions_are_those_of_the_document() {
    let rows = table("Files of an archive that the engine writes");
    let headers = [
        ("`ARCHIVE`", crate::identity::IDENTITY_HEADER),
        ("segment", crate::wal::format::SEGMENT_HEADER),
        ("`MANIFEST`", crate::manifest::MANIFEST_HEADER),
    ];
    for (name, header) in headers {
        let newest = rows.iter().rfind(|row| row[0] == name).unwrap();
        assert_eq!(newest[1], format!("{}.{}", header.major, header.minor), "{name}");
    }
}
