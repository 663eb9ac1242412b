//! The binary format: PROTOCOL.md tells the truth, and changed bytes are noticed.

use crate::ask::ask;
use crate::memory::{Channel, Memory};
use disk::document::headings_with_tables;
use retrieval_server::columns::{self, BLOCK_HEAD, COLUMN_ENTRY, DecodeError, STREAM_HEAD, TAGS};
use retrieval_server::{Code, ROUTES};
use sample::{Column, Kind, Sample, Timestamp, Value};

const PROTOCOL: &str = include_str!("../../PROTOCOL.md");

/// Rows of the table behind a heading: cells without back quotes.
fn table(heading: &str) -> Vec<Vec<String>> {
    let text = PROTOCOL.split(heading).nth(1).unwrap_or_else(|| panic!("{heading} is missing"));
    let rows =
        text.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| {
        let line = line.trim_matches('|');
        line.split('|').map(|cell| cell.trim().replace('`', "")).collect()
    };
    rows.skip(2).map(cells).collect()
}

fn layout(heading: &str) -> Vec<(String, usize, usize)> {
    let row = |r: Vec<String>| (r[2].clone(), r[0].parse().unwrap(), r[1].parse().unwrap());
    table(heading).into_iter().map(row).collect()
}

/// Bytes of an element; none where the document says that it is bytes.
fn width_of(text: &str) -> Option<usize> {
    text.split(',').next().unwrap_or_default().parse().ok()
}

#[test]
fn no_table_of_the_protocol_is_left_uncompared() {
    let compared = [
        "Promise",
        "Requests",
        "Errors",
        "Following",
        "Stream head",
        "Block head",
        "Column entry",
        "Column tags",
        "Element types",
        "Between processes (internal)",
    ];
    let found = headings_with_tables(PROTOCOL);
    assert_eq!(found, compared, "compare a new table with its constants, then list it here");
}

#[test]
fn the_protocols_tables_are_those_of_the_code() {
    let own = |fields: &[(&str, usize, usize)]| -> Vec<(String, usize, usize)> {
        fields.iter().map(|(name, at, bytes)| ((*name).to_string(), *at, *bytes)).collect()
    };
    assert_eq!(layout("### Stream head"), own(&STREAM_HEAD));
    assert_eq!(layout("### Block head"), own(&BLOCK_HEAD));
    assert_eq!(layout("### Column entry"), own(&COLUMN_ENTRY));
    let tags: Vec<(String, u32)> =
        table("### Column tags").into_iter().map(|r| (r[1].clone(), r[0].parse().unwrap())).collect();
    assert_eq!(tags, TAGS.map(|(name, tag)| (name.to_string(), tag)));
    let kinds: Vec<(String, u8)> =
        table("### Element types").into_iter().map(|r| (r[1].clone(), r[0].parse().unwrap())).collect();
    assert_eq!(kinds, Kind::ALL.map(|kind| (kind.name().to_string(), kind as u8)));
    let widths: Vec<(String, Option<usize>)> =
        table("### Element types").into_iter().map(|r| (r[1].clone(), width_of(&r[2]))).collect();
    assert_eq!(widths, Kind::ALL.map(|kind| (kind.name().to_string(), kind.width())));
    let newest = table("## Promise").pop().unwrap();
    assert_eq!(newest[0], format!("{}.{}", columns::MAJOR, columns::MINOR));
    let magic = columns::MAGIC.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ");
    assert!(PROTOCOL.contains(&magic), "{magic}");
}

#[test]
fn the_protocol_lists_every_request_parameter_and_code() {
    for route in ROUTES {
        let section = PROTOCOL.split("\n## Requests").nth(1).unwrap().split("\n## ").next().unwrap();
        let row = section.lines().find(|line| line.starts_with(&format!("| `{}`", route.path)));
        let row = row.unwrap_or_else(|| panic!("{} is missing", route.path));
        for parameter in route.parameters {
            assert!(row.contains(&format!("`{}`", parameter.name)), "{} {}", route.path, parameter.name);
        }
    }
    for code in [
        Code::BadParameter,
        Code::BadTime,
        Code::UnknownChannel,
        Code::TooLarge,
        Code::TooMany,
        Code::NotReady,
        Code::Damaged,
        Code::Unavailable,
    ] {
        assert!(PROTOCOL.contains(&format!("`{}`", code.name())), "{}", code.name());
    }
}

fn stream() -> Vec<u8> {
    let text = |time: i64, text: &str| Sample::new(Timestamp(time), Value::text(text));
    let array = Value::Array(Box::new(Column::Float64(vec![1.0, 2.0])));
    let mut last = Sample::new(Timestamp(4), array);
    last.message = Some(b"why".as_slice().into());
    let samples = vec![text(1, "a"), text(2, ""), text(2, "bcd"), last];
    let state = Memory::of([("X", Channel { samples, ..Channel::default() })]).state();
    ask(&state, "/api/v1/samples", "channel=X&from_ns=2&to_ns=9&edge=true&format=columns").bytes
}

#[test]
fn every_column_is_aligned() {
    let bytes = stream();
    let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let mut at = columns::STREAM_HEAD_BYTES;
    let mut blocks = 0;
    while at < bytes.len() {
        assert_eq!(at % 8, 0);
        for column in 0..u32_at(at + 4) {
            let entry = at + columns::BLOCK_HEAD_BYTES + column * columns::COLUMN_ENTRY_BYTES;
            let (offset, length) = (u64_at(entry + 8), u64_at(entry + 16));
            assert_eq!(offset % 8, 0);
            assert!(offset + length <= u64_at(at + 8));
        }
        at += u64_at(at + 8);
        blocks += 1;
    }
    assert_eq!(at, bytes.len());
    assert_eq!(blocks, 3);
}

#[test]
fn a_changed_bit_or_a_missing_byte_is_noticed() {
    let bytes = stream();
    assert!(columns::decode(&bytes).is_ok());
    for length in 0..bytes.len() {
        assert!(columns::decode(&bytes[..length]).is_err(), "cut at {length}");
    }
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            let decoded = columns::decode(&changed);
            // A minor version is no damage to a decoder that knows less.
            let minor = at == 10 || at == 11;
            assert!(decoded.is_err() || minor, "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn a_later_major_version_is_refused_by_name() {
    let mut bytes = stream();
    bytes[8] = 2;
    let error = columns::decode(&bytes).unwrap_err();
    assert!(matches!(error, DecodeError::TooNew { major: 2 }));
    assert!(error.to_string().contains("up to 1"));
}

/// With the checksum at the end made to fit what was changed before it.
fn resealed(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(at) = bytes.len().checked_sub(8) {
        let checksum = u64::from(crc32fast::hash(&bytes[..at]));
        bytes[at..].copy_from_slice(&checksum.to_le_bytes());
    }
    bytes
}

#[test]
fn hostile_numbers_behind_a_right_checksum_do_no_harm() {
    let bytes = stream();
    let numbers = [0u64, 1, 8, 1 << 20, u64::from(u32::MAX), 1 << 62, i64::MAX as u64, u64::MAX];
    let mut sound = 0;
    for at in columns::STREAM_HEAD_BYTES..bytes.len() - 8 {
        for number in numbers {
            for width in [1, 4, 8] {
                let mut changed = bytes.clone();
                let end = (at + width).min(bytes.len() - 8);
                changed[at..end].copy_from_slice(&number.to_le_bytes()[..end - at]);
                let used = allocation_counter::measure(|| {
                    sound += u64::from(columns::decode(&resealed(changed.clone())).is_ok());
                });
                assert!(used.bytes_max < 1 << 20, "{width} bytes {number} at {at}: {} bytes", used.bytes_max);
            }
        }
    }
    assert!(sound > 100, "{sound}: the checksum was not made to fit");
}
