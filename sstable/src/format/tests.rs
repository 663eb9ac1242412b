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

fn check_tags<T: std::fmt::Debug + Copy>(heading: &str, all: &[T], tag: impl Fn(T) -> u8) {
    let constants: Vec<_> = all.iter().map(|one| vec![tag(*one).to_string(), format!("{one:?}")]).collect();
    assert_eq!(table(heading, 2), constants, "{heading}");
}

fn check_pairs(heading: &str, pairs: Vec<(&str, usize)>) {
    let constants: Vec<_> =
        pairs.into_iter().map(|(name, value)| vec![name.to_string(), value.to_string()]).collect();
    assert_eq!(table(heading, 2), constants, "{heading}");
}

#[test]
fn fields_lie_where_the_document_says() {
    check_fields("Prologue", &PROLOGUE_FIELDS);
    check_fields("Footer", &FOOTER_FIELDS);
    check_fields("Block header", &BLOCK_FIELDS);
    check_fields("Chunk header", &CHUNK_FIELDS);
}

#[test]
fn tags_mean_what_the_document_says() {
    check_tags("Table kinds", &TableTag::ALL, |tag| tag as u8);
    check_tags("Block kinds", &BlockKind::ALL, |tag| tag as u8);
    check_tags("Compressions", &Compression::ALL, |tag| tag as u8);
    check_tags("Dictionary", &DictionaryField::ALL, |tag| tag as u8);
    check_tags("Columns", &ColumnTag::ALL, |tag| tag as u8);
    check_tags("Column codecs", &ColumnCodec::ALL, |tag| tag as u8);
    check_tags("Integer streams", &BlockCodec::ALL, |tag| tag as u8);
    check_tags("Events", &EventTag::ALL, |tag| tag as u8);
    check_tags("Event fields", &EventField::ALL, |tag| tag as u8);
    check_tags("Metadata", &MetadataField::ALL, |tag| tag as u8);
    check_tags("Channel records", &ChannelTag::ALL, |tag| tag as u8);
    check_tags("Carry-in", &CarryInField::ALL, |tag| tag as u8);
    check_tags("Lineage", &LineageField::ALL, |tag| tag as u8);
    check_tags("Decimated rows", &BinField::ALL, |tag| tag as u8);
    check_tags("Archiving states", &ArchivingTag::ALL, |tag| tag as u8);
}

#[test]
fn flags_and_limits_are_those_of_the_document() {
    check_pairs("Chunk flags", CHUNK_FLAGS.iter().map(|(name, bit)| (*name, usize::from(*bit))).collect());
    check_pairs(
        "Statistics",
        STATISTICS_FLAGS.iter().map(|(name, bit)| (*name, usize::from(*bit))).collect(),
    );
    check_pairs(
        "Limits",
        vec![
            ("CHUNK_SAMPLES_MAX", CHUNK_SAMPLES_MAX),
            ("CHUNK_VALUE_BYTES_MAX", CHUNK_VALUE_BYTES_MAX),
            ("CHUNK_ELEMENTS_MAX", CHUNK_ELEMENTS_MAX),
            ("SAMPLE_VALUE_BYTES_MAX", SAMPLE_VALUE_BYTES_MAX),
            ("CHUNK_HEADER_BYTES_MAX", CHUNK_HEADER_BYTES_MAX),
            ("DESCRIPTOR_BYTES_MAX", DESCRIPTOR_BYTES_MAX),
            ("SIBLING_CHUNKS_MAX", SIBLING_CHUNKS_MAX),
            ("PAGE_SHIFT_MAX", usize::from(PAGE_SHIFT_MAX)),
            ("UNPACKED_BYTES_MAX", UNPACKED_BYTES_MAX),
            ("RECORD_BYTES_MAX", RECORD_BYTES_MAX),
            ("CLASS_NAME_BYTES_MAX", CLASS_NAME_BYTES_MAX),
            ("BIN_ROWS_MAX", BIN_ROWS_MAX),
            ("BIN_COLUMNS_MAX", BIN_COLUMNS_MAX),
            ("DICTIONARY_ROWS_MAX", DICTIONARY_ROWS_MAX),
            ("DICTIONARY_REPEATED_MAX", DICTIONARY_REPEATED_MAX),
        ],
    );
}

#[test]
fn magics_and_codec_bits_are_those_of_the_document() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ");
    for magic in [hex(&TABLE_FILE.magic), hex(&FOOTER_MAGIC), hex(&BLOCK_MAGIC), hex(&CHUNK_MAGIC)] {
        assert!(FORMAT.contains(&format!("agic `{magic}`")), "{magic}");
    }
    let in_header =
        [ColumnCodec::Constant, ColumnCodec::TimeReference, ColumnCodec::Parts, ColumnCodec::ZoneMap];
    for codec in ColumnCodec::ALL {
        assert_eq!(codec as u8 & CODEC_IN_PAGES == 0, in_header.contains(&codec), "{codec:?}");
    }
}

#[test]
fn no_table_of_the_document_is_left_uncompared() {
    let compared = [
        "SSTable format",
        "Prologue",
        "Table kinds",
        "Footer",
        "Block header",
        "Block kinds",
        "Compressions",
        "Dictionary",
        "Chunk header",
        "Chunk flags",
        "Statistics",
        "Columns",
        "Column codecs",
        "Integer streams",
        "Limits",
        "Events",
        "Event fields",
        "Metadata",
        "Channel records",
        "Carry-in",
        "Archiving states",
        "Lineage",
        "Decimated rows",
    ];
    assert_eq!(
        headings_with_tables(FORMAT),
        compared,
        "compare a new table with its constants, then list it here"
    );
}

#[test]
fn the_newest_version_is_that_of_the_document() {
    let first = FORMAT.split("\n## ").next().unwrap_or_default();
    let newest = first.lines().rfind(|line| line.starts_with('|')).unwrap();
    let version = format!("| {}.{} |", TABLE_FILE.major, TABLE_FILE.minor);
    assert!(newest.starts_with(&version), "{newest}");
}

#[test]
fn kinds_and_causes_are_those_of_the_document() {
    let kinds = sample::Kind::ALL.map(|kind| format!("{} {}", kind.name(), kind as u8)).join(", ");
    assert!(FORMAT.contains(&format!("({kinds})")), "{kinds}");
    let causes =
        sample::DropCause::ALL.map(|cause| format!("{} {}", cause as u8, cause.name().replace('_', " ")));
    assert!(FORMAT.contains(&format!("u8: {} |", causes.join(", "))), "{causes:?}");
}
