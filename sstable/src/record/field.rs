//! Tagged fields of a record, of which unknown optional ones are passed over.

use crate::format::FIELD_REQUIRED;
use disk::{BytesError, Cursor, put_bytes, put_u8};

/// Appends one field.
pub(crate) fn put_field(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    put_u8(out, tag);
    put_bytes(out, content);
}

/// Reads fields up to the end of the bytes.
pub(crate) struct Fields<'a> {
    cursor: Cursor<'a>,
}

/// One field.
pub(crate) struct Field<'a> {
    pub(crate) tag: u8,
    pub(crate) content: Cursor<'a>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(cursor: Cursor<'a>) -> Fields<'a> {
        Fields { cursor }
    }

    /// The next field, or `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Field<'a>>, BytesError> {
        if self.cursor.is_empty() {
            return Ok(None);
        }
        let tag = self.cursor.u8()?;
        Ok(Some(Field { tag, content: Cursor::new(self.cursor.counted_bytes()?) }))
    }

    /// An error at the present position.
    pub(crate) fn error(&self, what: &'static str) -> BytesError {
        self.cursor.error(what)
    }

    /// What to do with a field whose tag is not known.
    pub(crate) fn unknown(&self, field: &Field<'_>) -> Result<(), BytesError> {
        if field.tag & FIELD_REQUIRED == 0 {
            return Ok(());
        }
        Err(self.error("a required field of a newer format: use a newer version of the program"))
    }
}

/// Appends a list: its length, then each item with its length in bytes.
pub(crate) fn put_list<T>(out: &mut Vec<u8>, items: &[T], put: impl Fn(&T, &mut Vec<u8>)) {
    disk::put_varint(out, items.len() as u64);
    for item in items {
        let mut bytes = Vec::new();
        put(item, &mut bytes);
        put_bytes(out, &bytes);
    }
}

/// Reads what [`put_list`] wrote, to the end of the bytes.
pub(crate) fn read_list<T>(
    bytes: &[u8],
    read: impl Fn(Cursor<'_>) -> Result<T, BytesError>,
) -> Result<Vec<T>, BytesError> {
    let mut cursor = Cursor::new(bytes);
    let count = cursor.count(1)?;
    let mut items = Vec::new();
    for _ in 0..count {
        let item = cursor.counted_bytes()?;
        let start = cursor.position() - item.len();
        items.push(
            read(Cursor::new(item))
                .map_err(|error| BytesError { position: start + error.position, what: error.what })?,
        );
    }
    cursor.finish()?;
    Ok(items)
}
