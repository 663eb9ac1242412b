//! The MAT-file format, level 5, written from front to back.
//!
//! After MathWorks, "MAT-File Format", chapter "Level 5 MAT-File Format". A file is a header of 128 bytes and a data
//! element for each variable. An element is a tag (data type and number of bytes, each 32 bits) and its content, padded to
//! 8 bytes; up to 4 bytes stand inside of the tag. An array is an element of the type miMATRIX that holds elements: its
//! class with flags, its dimensions, its name (empty inside of others), then its numbers column after column, or the
//! names of fields and an array for each, or an array for each cell. A compressed variable is an element that holds the
//! zlib stream of another one and is not padded.

use crate::export::names::NAME_LENGTH_MAX;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::io::{self, Write};

/// Most bytes of a variable: MATLAB reads the length of an element as a signed number of 32 bits, and what cannot be
/// compressed grows by less than a thousandth.
pub(super) const VARIABLE_BYTES_MAX: u64 = i32::MAX as u64 / 1000 * 999;

/// Bytes of a field's name in a structure, with a NUL at the end.
const FIELD_BYTES: usize = NAME_LENGTH_MAX + 1;

const MI_INT8: u32 = 1;
const MI_INT32: u32 = 5;
const MI_UINT32: u32 = 6;
const MI_MATRIX: u32 = 14;
const MI_COMPRESSED: u32 = 15;
const LOGICAL: u32 = 0x0200;

const CELL: u32 = 1;
const STRUCT: u32 = 2;
const CHAR: u32 = 4;

/// What the elements of an array of numbers are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Numbers {
    /// mxDOUBLE_CLASS and so on.
    class: u32,
    flags: u32,
    /// miDOUBLE and so on.
    data_type: u32,
    /// Bytes of one.
    pub(super) width: usize,
}

impl Numbers {
    const fn new(class: u32, flags: u32, data_type: u32, width: usize) -> Numbers {
        Numbers { class, flags, data_type, width }
    }

    pub(super) const DOUBLE: Numbers = Numbers::new(6, 0, 9, 8);
    pub(super) const SINGLE: Numbers = Numbers::new(7, 0, 7, 4);
    pub(super) const INT8: Numbers = Numbers::new(8, 0, MI_INT8, 1);
    pub(super) const UINT8: Numbers = Numbers::new(9, 0, 2, 1);
    pub(super) const INT16: Numbers = Numbers::new(10, 0, 3, 2);
    pub(super) const UINT16: Numbers = Numbers::new(11, 0, 4, 2);
    pub(super) const INT32: Numbers = Numbers::new(12, 0, MI_INT32, 4);
    pub(super) const UINT32: Numbers = Numbers::new(13, 0, MI_UINT32, 4);
    pub(super) const INT64: Numbers = Numbers::new(14, 0, 12, 8);
    pub(super) const UINT64: Numbers = Numbers::new(15, 0, 13, 8);
    pub(super) const LOGICAL: Numbers = Numbers::new(9, LOGICAL, 2, 1);
    /// Characters are units of UTF-16, which every reader takes as such.
    const CHAR: Numbers = Numbers::new(CHAR, 0, 4, 2);
}

/// The first bytes of a file.
pub(super) fn file_header() -> [u8; 128] {
    let mut header = [b' '; 128];
    let text = b"MATLAB 5.0 MAT-file, written by archtool (Varve)";
    header[..text.len()].copy_from_slice(text);
    // No data of subsystems; the version; how the bytes lie.
    header[116..124].fill(0);
    header[124..].copy_from_slice(&[0x00, 0x01, b'I', b'M']);
    header
}

/// One number of 32 bits; beyond the limit nothing is written.
fn word(number: impl TryInto<u32>) -> [u8; 4] {
    number.try_into().unwrap_or(u32::MAX).to_le_bytes()
}

fn padding(bytes: u64) -> usize {
    (bytes.wrapping_neg() % 8) as usize
}

/// Appends a whole element.
fn element(to: &mut Vec<u8>, data_type: u32, content: &[u8]) {
    if (1..=4).contains(&content.len()) {
        to.extend(word(data_type | (content.len() as u32) << 16));
        to.extend(content);
        to.resize(to.len() + 4 - content.len(), 0);
        return;
    }
    to.extend(word(data_type));
    to.extend(word(content.len()));
    to.extend(content);
    to.resize(to.len() + padding(content.len() as u64), 0);
}

/// The elements at the beginning of every array: flags with class, dimensions, name.
fn beginning(name: &str, class: u32, flags: u32, dimensions: [usize; 2]) -> Vec<u8> {
    let mut bytes = Vec::new();
    element(&mut bytes, MI_UINT32, &[word(class | flags), word(0_u32)].concat());
    element(&mut bytes, MI_INT32, &dimensions.map(word).concat());
    element(&mut bytes, MI_INT8, name.as_bytes());
    bytes
}

fn field_names(to: &mut Vec<u8>, names: &[&str]) {
    element(to, MI_INT32, &word(FIELD_BYTES));
    let mut all = Vec::new();
    for name in names {
        let start = all.len();
        all.extend(name.as_bytes().iter().take(NAME_LENGTH_MAX));
        all.resize(start + FIELD_BYTES, 0);
    }
    element(to, MI_INT8, &all);
}

/// An array's element around what it holds.
fn matrix(content: &[u8]) -> Vec<u8> {
    [&word(MI_MATRIX), &word(content.len()), content].concat()
}

/// A nameless array of numbers, which lie column after column.
pub(super) fn numbers(numbers: Numbers, dimensions: [usize; 2], content: &[u8]) -> Vec<u8> {
    let mut bytes = beginning("", numbers.class, numbers.flags, dimensions);
    element(&mut bytes, numbers.data_type, content);
    matrix(&bytes)
}

/// A nameless row of characters.
pub(super) fn text(text: &str) -> Vec<u8> {
    let content: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let characters = content.len() / 2;
    numbers(Numbers::CHAR, [usize::from(characters > 0), characters], &content)
}

/// A nameless array of cells, whose arrays `content` has one behind the other.
pub(super) fn cells(dimensions: [usize; 2], content: &[u8]) -> Vec<u8> {
    matrix(&[&beginning("", CELL, 0, dimensions), content].concat())
}

/// A nameless array of structures: `content` has the arrays of all fields of the first, then of the second and so on.
pub(super) fn structures(dimensions: [usize; 2], names: &[&str], content: &[u8]) -> Vec<u8> {
    let mut bytes = beginning("", STRUCT, 0, dimensions);
    field_names(&mut bytes, names);
    bytes.extend(content);
    matrix(&bytes)
}

/// Writes one variable. The length of an array stands before it, so everything is done twice: in a *rehearsal* lengths
/// are noted, then bytes are written.
pub(super) struct Variable<'a> {
    /// None in the rehearsal.
    output: Option<ZlibEncoder<&'a mut dyn Write>>,
    /// Of each array that was begun, in order.
    lengths: Vec<u64>,
    begun: usize,
    /// Arrays that are begun and not ended: place among the lengths, first byte.
    open: Vec<(usize, u64)>,
    /// Bytes so far.
    at: u64,
}

impl<'a> Variable<'a> {
    /// To find the lengths.
    pub(super) fn rehearsal() -> Variable<'static> {
        Variable { output: None, lengths: Vec::new(), begun: 0, open: Vec::new(), at: 0 }
    }

    /// The same again, into `output`, compressed.
    pub(super) fn after(rehearsal: Variable<'_>, output: &'a mut dyn Write) -> Variable<'a> {
        let output = Some(ZlibEncoder::new(output, Compression::fast()));
        Variable { output, lengths: rehearsal.lengths, begun: 0, open: Vec::new(), at: 0 }
    }

    /// Whether nothing is written yet.
    pub(super) fn is_rehearsal(&self) -> bool {
        self.output.is_none()
    }

    /// Bytes so far, before compression.
    pub(super) fn bytes(&self) -> u64 {
        self.at
    }

    /// What was written is whole.
    pub(super) fn finish(self) -> io::Result<()> {
        self.output.map_or(Ok(()), |output| output.finish().map(|_| ()))
    }

    /// The next bytes.
    pub(super) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.at += bytes.len() as u64;
        self.output.as_mut().map_or(Ok(()), |output| output.write_all(bytes))
    }

    fn begin(&mut self, content: &[u8]) -> io::Result<()> {
        let length = self.lengths.get(self.begun).copied().unwrap_or_default();
        self.put(&[word(MI_MATRIX), word(length)].concat())?;
        self.open.push((self.begun, self.at));
        if self.is_rehearsal() {
            self.lengths.push(0);
        }
        self.begun += 1;
        self.put(content)
    }

    /// Begins a structure with these fields; the array of each follows.
    pub(super) fn structure(&mut self, name: &str, fields: &[&str]) -> io::Result<()> {
        let mut content = beginning(name, STRUCT, 0, [1, 1]);
        field_names(&mut content, fields);
        self.begin(&content)
    }

    /// Begins a column of cells; the array of each follows.
    pub(super) fn cells(&mut self, count: usize) -> io::Result<()> {
        self.begin(&beginning("", CELL, 0, [count, 1]))
    }

    /// Ends what was begun last.
    pub(super) fn end(&mut self) {
        if let Some((place, start)) = self.open.pop() {
            self.lengths[place] = self.at - start;
        }
    }

    /// An array of numbers, which `content` puts in column after column. The rehearsal does without them.
    pub(super) fn numbers<E: From<io::Error>>(
        &mut self,
        numbers: Numbers,
        dimensions: [usize; 2],
        content: impl FnOnce(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let count = (dimensions[0] as u64).saturating_mul(dimensions[1] as u64);
        let bytes = count.saturating_mul(numbers.width as u64);
        self.begin(&beginning("", numbers.class, numbers.flags, dimensions))?;
        let is_small = (1..=4).contains(&bytes);
        let tag = if is_small { numbers.data_type | (bytes as u32) << 16 } else { numbers.data_type };
        self.put(&word(tag))?;
        if !is_small {
            self.put(&word(bytes))?;
        }
        if self.is_rehearsal() {
            self.at = self.at.saturating_add(bytes);
        } else {
            content(self)?;
        }
        let filled = if is_small { 4 - bytes as usize } else { padding(bytes) };
        self.put(&[0; 8][..filled])?;
        self.end();
        Ok(())
    }
}

/// The tag before a compressed variable of so many bytes.
pub(super) fn compressed_tag(bytes: u64) -> [u8; 8] {
    let mut tag = [0; 8];
    tag[..4].copy_from_slice(&word(MI_COMPRESSED));
    tag[4..].copy_from_slice(&word(bytes));
    tag
}
