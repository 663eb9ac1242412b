//! Rows of the dictionary as columns.

use super::{DictionaryRow, ValueDescription, references};
use crate::codec::Profile;
use crate::codec::integer::IntegerEncoder;
use crate::codec::text::{level, put_compressed, put_plain};
use crate::format::{DictionaryField, UNPACKED_BYTES_MAX};
use crate::record::carry_in::ARCHIVING;
use crate::record::metadata::put_metadata;
use disk::{put_bytes, put_u8, put_u64, put_varint};

/// The body of a block of rows, at most [`crate::format::DICTIONARY_ROWS_MAX`].
pub(crate) fn encode_rows(rows: &[DictionaryRow], profile: Profile) -> Vec<u8> {
    let mut columns = Columns { rows, level: level(profile), out: Vec::new() };
    let mut ids = Vec::new();
    put_integers(rows.iter().map(|row| row.channel.0 as i64), &mut ids);
    columns.put(DictionaryField::Channel, &ids);
    columns.names();
    columns.samples();
    columns.readings();
    columns.states();
    columns.numbers(DictionaryField::NextLateRank, |row| u64::from(row.next_late_rank));
    columns.numbers(DictionaryField::Samples, |row| row.samples);
    columns.numbers(DictionaryField::Bytes, |row| row.bytes);
    columns.numbers(DictionaryField::AsOf, |row| row.as_of);
    columns.out
}

/// Columns that follow one another.
struct Columns<'r> {
    rows: &'r [DictionaryRow],
    /// How hard zstd tries.
    level: i32,
    out: Vec<u8>,
}

impl<'r> Columns<'r> {
    fn put(&mut self, field: DictionaryField, content: &[u8]) {
        put_u8(&mut self.out, field as u8);
        put_bytes(&mut self.out, content);
    }

    /// A column of one number a row, unless all are 0.
    fn numbers(&mut self, field: DictionaryField, number: impl Fn(&DictionaryRow) -> u64) {
        if self.rows.iter().all(|row| number(row) == 0) {
            return;
        }
        let mut content = Vec::new();
        put_integers(self.rows.iter().map(|row| number(row) as i64), &mut content);
        self.put(field, &content);
    }

    /// Begins a column that some rows have, with what they have there; `None` where no row has it.
    fn some<T>(&self, of: impl Fn(&'r DictionaryRow) -> Option<T>) -> Option<(Vec<u8>, Vec<T>)> {
        let mut bits = vec![0u8; self.rows.len().div_ceil(8)];
        let mut found = Vec::new();
        for (at, row) in self.rows.iter().enumerate() {
            if let Some(item) = of(row) {
                bits[at / 8] |= 1 << (at % 8);
                found.push(item);
            }
        }
        let mut content = vec![u8::from(found.len() == self.rows.len())];
        if found.len() < self.rows.len() {
            content.extend_from_slice(&bits);
        }
        (!found.is_empty()).then_some((content, found))
    }

    fn names(&mut self) {
        let mut names = Vec::new();
        self.texts(self.rows.iter().map(|row| row.name.as_str().as_bytes()), &mut names);
        self.put(DictionaryField::Name, &names);
        if self.rows.iter().any(|row| !row.aliases.is_empty()) {
            let mut content = Vec::new();
            put_integers(self.rows.iter().map(|row| row.aliases.len() as i64), &mut content);
            let aliases = self.rows.iter().flat_map(|row| &row.aliases);
            self.texts(aliases.map(|alias| alias.as_str().as_bytes()), &mut content);
            self.put(DictionaryField::Alias, &content);
        }
    }

    /// Times and types of the samples here.
    fn samples(&mut self) {
        if let Some((mut content, spans)) = self.some(|row| row.span) {
            put_integers(spans.iter().map(|(first, _)| first.0), &mut content);
            put_integers(spans.iter().map(|(first, last)| last.0.wrapping_sub(first.0)), &mut content);
            self.put(DictionaryField::Span, &content);
        }
        if self.rows.iter().all(|row| row.types.is_empty()) {
            return;
        }
        let mut known: Vec<&ValueDescription> = Vec::new();
        let mut places = Vec::new();
        for description in self.rows.iter().flat_map(|row| &row.types) {
            let place = known.iter().position(|known| *known == description).unwrap_or_else(|| {
                known.push(description);
                known.len() - 1
            });
            places.push(place as i64);
        }
        let mut content = Vec::new();
        put_integers(self.rows.iter().map(|row| row.types.len() as i64), &mut content);
        put_varint(&mut content, known.len() as u64);
        for description in known {
            put_bytes(&mut content, &type_bytes(description));
        }
        put_integers(places.into_iter(), &mut content);
        self.put(DictionaryField::Type, &content);
    }

    /// The newest readings with the first samples, wherever they are.
    fn readings(&mut self) {
        let references = references(self.rows);
        let of = |row: &DictionaryRow| {
            // Rows ascend, so the place of one is found again by its channel.
            let at = self.rows.partition_point(|other| other.channel < row.channel);
            references.get(at).copied().unwrap_or_default()
        };
        let newest = self.some(|row| row.newest.map(|newest| (newest, of(row).1)));
        let first = self.some(|row| row.first_sample.map(|first| (first, of(row).0)));
        if let Some((mut content, newest)) = newest {
            let times = newest.iter().map(|(newest, reference)| newest.time.0.wrapping_sub(*reference));
            put_integers(times, &mut content);
            put_integers(newest.iter().map(|(newest, _)| i64::from(newest.rank)), &mut content);
            newest.iter().for_each(|(newest, _)| put_u64(&mut content, newest.fingerprint));
            self.put(DictionaryField::Newest, &content);
        }
        if let Some((mut content, first)) = first {
            let times = first.iter().map(|((time, _), reference)| time.0.wrapping_sub(*reference));
            put_integers(times, &mut content);
            put_integers(first.iter().map(|((_, sequence), _)| *sequence as i64), &mut content);
            self.put(DictionaryField::FirstSample, &content);
        }
    }

    /// Archiving states and metadata.
    fn states(&mut self) {
        if let Some((mut content, states)) = self.some(|row| row.archiving) {
            let tag =
                |state| ARCHIVING.iter().find(|(known, _)| *known == state).map_or(0, |(_, tag)| *tag as i64);
            put_integers(states.iter().map(|(state, _)| tag(*state)), &mut content);
            put_integers(states.iter().map(|(_, since)| since.0), &mut content);
            self.put(DictionaryField::Archiving, &content);
        }
        if let Some((mut content, metadata)) = self.some(|row| row.metadata.as_ref()) {
            put_integers(metadata.iter().map(|(since, _)| since.0), &mut content);
            let bytes: Vec<Vec<u8>> = metadata
                .iter()
                .map(|(_, metadata)| {
                    let mut bytes = Vec::new();
                    put_metadata(metadata, &mut bytes);
                    bytes
                })
                .collect();
            self.texts(bytes.iter().map(Vec::as_slice), &mut content);
            self.put(DictionaryField::Metadata, &content);
        }
    }

    /// Appends lengths, then all bytes.
    fn texts<'t>(&self, texts: impl Iterator<Item = &'t [u8]> + Clone, out: &mut Vec<u8>) {
        put_integers(texts.clone().map(|text| text.len() as i64), out);
        let bytes: Vec<u8> = texts.flatten().copied().collect();
        if bytes.len() <= UNPACKED_BYTES_MAX {
            put_compressed(&bytes, self.level, out);
        } else {
            put_plain(&bytes, out);
        }
    }
}

fn put_integers(values: impl Iterator<Item = i64>, out: &mut Vec<u8>) {
    // Entropy coding gains nothing on so few, and takes long.
    IntegerEncoder::new(Profile::Hot).encode(&values.collect::<Vec<_>>(), out);
}

fn type_bytes(description: &ValueDescription) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_u8(&mut bytes, description.value.kind as u8);
    put_u8(&mut bytes, u8::from(description.value.array) | u8::from(description.descriptor.is_some()) << 1);
    bytes.extend_from_slice(description.descriptor.as_deref().unwrap_or_default());
    bytes
}
