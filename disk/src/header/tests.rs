//! Tests of the file header against FORMAT.md, damage, other versions.

use super::*;

const KNOWN: FileHeader = FileHeader::new(*b"\x89VTEST\r\n", 2, 1);

fn decode(bytes: &[u8]) -> Result<FileHeader, FormatError> {
    KNOWN.decode(bytes, Path::new("dir/file"))
}

#[test]
fn format_md_shows_the_fields() {
    let fields: Vec<(String, usize, usize)> = include_str!("../../FORMAT.md")
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            Some((cells.get(1)?.to_string(), cells.get(2)?.parse().ok()?, cells.get(3)?.parse().ok()?))
        })
        .collect();
    assert_eq!(fields, HEADER_FIELDS.map(|(name, offset, len)| (name.to_string(), offset, len)));
}

#[test]
fn the_bytes_are_these() {
    let bytes = KNOWN.encode();
    assert_eq!(bytes[..12], *b"\x89VTEST\r\n\x02\x00\x01\x00");
    assert_eq!(bytes[12..], checksum(&bytes[..12]).to_le_bytes());
    assert_eq!(decode(&bytes).unwrap(), KNOWN);
}

#[test]
fn every_flipped_bit_is_noticed() {
    for bit in 0..FILE_HEADER_BYTES * 8 {
        let mut bytes = KNOWN.encode();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let error = decode(&bytes).unwrap_err();
        assert!(error.is_damage(), "bit {bit}: {error}");
        assert_eq!(matches!(error, FormatError::WrongKind { .. }), bit < 64, "bit {bit}: {error}");
    }
}

#[test]
fn every_missing_byte_is_noticed() {
    for len in 0..FILE_HEADER_BYTES {
        let error = decode(&KNOWN.encode()[..len]).unwrap_err();
        assert_eq!(error.to_string(), "dir/file is damaged at byte 0: the file is shorter than its header");
    }
}

#[test]
fn a_newer_major_is_refused_a_newer_minor_read() {
    let error = decode(&FileHeader { major: 3, minor: 0, ..KNOWN }.encode()).unwrap_err();
    assert!(matches!(error, FormatError::TooNew { found: (3, 0), supported: (2, 1), .. }), "{error}");
    assert!(!error.is_damage());

    let minor = FileHeader { minor: 2, ..KNOWN };
    assert_eq!(decode(&minor.encode()).unwrap(), minor);
    assert!(!KNOWN.may_append_to(&minor));
    let older = FileHeader { minor: 0, ..KNOWN };
    assert!(KNOWN.may_append_to(&decode(&older.encode()).unwrap()));
    let older_major = FileHeader { major: 1, minor: 9, ..KNOWN };
    assert!(!KNOWN.may_append_to(&decode(&older_major.encode()).unwrap()));

    assert!(decode(&FileHeader { major: 0, ..KNOWN }.encode()).unwrap_err().is_damage());
}

#[test]
fn another_kind_is_told_from_damage() {
    let other = FileHeader::new(*b"\xfeOTHER\r\n", 1, 0);
    let error = decode(&other.encode()).unwrap_err();
    assert!(matches!(error, FormatError::WrongKind { .. }), "{error}");
}
