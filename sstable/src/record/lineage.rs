//! Where a table came from: what finds the live tables again when the list of them is lost.

use super::field::{Fields, put_field};
use crate::format::LineageField;
use disk::{BytesError, Cursor, put_u64, put_varint};

/// How a table was made, for an archive whose manifest is lost.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lineage {
    /// Highest sequence of the log that the flush holds (of a merged table: the newest flush in it).
    pub through: u64,
    /// Id of the archive's next channel when it was made.
    pub next_channel: u64,
    /// Next number of the order of receipt when it was made.
    pub next_sequence: u64,
    /// Bytes of the table's values before encoding.
    pub value_bytes: u64,
    /// Lowest and highest number in the order of receipt of its events, 0 without events.
    pub sequences: (u64, u64),
    /// Numbers of the tables that were made together with it, its own included: they became live at once. Of a
    /// table that a week was sealed to: of those of its class that were finished before.
    pub group: Vec<u64>,
    /// Numbers of the tables that were merged into it, theirs included: it stands in the place of all; where it
    /// has a group, the whole group does.
    pub parts: Vec<u64>,
    /// Of a decimated table: numbers of the tables that its rows were made of.
    pub sources: Vec<u64>,
}

pub(crate) fn encode_lineage(lineage: &Lineage) -> Vec<u8> {
    let mut out = Vec::new();
    put_field(&mut out, LineageField::Through as u8, &lineage.through.to_le_bytes());
    put_field(&mut out, LineageField::NextChannel as u8, &lineage.next_channel.to_le_bytes());
    put_field(&mut out, LineageField::NextSequence as u8, &lineage.next_sequence.to_le_bytes());
    put_field(&mut out, LineageField::ValueBytes as u8, &lineage.value_bytes.to_le_bytes());
    let mut sequences = lineage.sequences.0.to_le_bytes().to_vec();
    put_u64(&mut sequences, lineage.sequences.1);
    put_field(&mut out, LineageField::Sequences as u8, &sequences);
    for (field, numbers) in [
        (LineageField::Group, &lineage.group),
        (LineageField::Parts, &lineage.parts),
        (LineageField::Sources, &lineage.sources),
    ] {
        if !numbers.is_empty() {
            put_field(&mut out, field as u8, &numbers_bytes(numbers));
        }
    }
    out
}

/// Ascending numbers as their distances.
fn numbers_bytes(numbers: &[u64]) -> Vec<u8> {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut out = Vec::new();
    let mut before = 0;
    for number in sorted {
        put_varint(&mut out, number - before);
        before = number;
    }
    out
}

fn read_numbers(cursor: &mut Cursor<'_>) -> Result<Vec<u64>, BytesError> {
    let mut numbers = Vec::new();
    let mut before = 0u64;
    while !cursor.is_empty() {
        let number = before.checked_add(cursor.varint()?);
        before = number.ok_or_else(|| cursor.error("numbers of tables pass 64 bits"))?;
        numbers.push(before);
    }
    Ok(numbers)
}

pub(crate) fn decode_lineage(bytes: &[u8]) -> Result<Lineage, BytesError> {
    let mut fields = Fields::new(Cursor::new(bytes));
    let mut lineage = Lineage::default();
    while let Some(mut field) = fields.next()? {
        let content = &mut field.content;
        let Some(known) = LineageField::from_tag(field.tag) else {
            fields.unknown(&field)?;
            continue;
        };
        match known {
            LineageField::Through => lineage.through = content.u64()?,
            LineageField::NextChannel => lineage.next_channel = content.u64()?,
            LineageField::NextSequence => lineage.next_sequence = content.u64()?,
            LineageField::ValueBytes => lineage.value_bytes = content.u64()?,
            LineageField::Sequences => lineage.sequences = (content.u64()?, content.u64()?),
            LineageField::Group => lineage.group = read_numbers(content)?,
            LineageField::Parts => lineage.parts = read_numbers(content)?,
            LineageField::Sources => lineage.sources = read_numbers(content)?,
        }
        field.content.finish()?;
    }
    Ok(lineage)
}
