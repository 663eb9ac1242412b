//! One table of a TOML document, read key by key with every error kept.

use super::text::Lines;
use crate::config::{ConfigError, Origin, Problem};
use strsim::normalized_damerau_levenshtein as similarity;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A parsed document and the errors found in it so far.
pub(super) struct Document {
    origin: Origin,
    lines: Lines,
    pub(super) errors: Vec<ConfigError>,
}

/// What is wrong with a value: what was found, what was expected.
pub(super) type Parsed<T> = Result<T, String>;

impl Document {
    /// A document with the text's syntax errors; its table can be walked even when there are some.
    pub(super) fn parse(origin: Origin, text: &str) -> (Document, DeTable<'_>) {
        let mut document = Document { origin, lines: Lines::of(text), errors: Vec::new() };
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let line = error.span().map(|span| document.lines.line(span.start));
            document.report(line, Problem::Syntax(error.message().replace('\n', "; ")));
        }
        (document, table.into_inner())
    }

    fn report(&mut self, line: Option<u32>, problem: Problem) {
        let origin = line.map_or_else(|| self.origin.clone(), |line| self.origin.at(line));
        self.errors.push(ConfigError { origin: Some(origin), problem });
    }

    /// Where the byte `offset` stands.
    pub(super) fn origin(&self, offset: usize) -> Origin {
        self.origin.at(self.lines.line(offset))
    }

    /// Adds an error about the thing at byte `offset`.
    pub(super) fn error(&mut self, offset: usize, problem: Problem) {
        let line = self.lines.line(offset);
        self.report(Some(line), problem);
    }
}

/// A table being read. A key is valid when the reader asks for it; [`Section::finish`] reports all others.
pub(super) struct Section<'d, 't> {
    document: &'d mut Document,
    name: &'static str,
    /// Byte offset of the table in the document.
    offset: usize,
    table: &'t DeTable<'t>,
    known: Vec<&'static str>,
}

impl<'d, 't> Section<'d, 't> {
    /// Reads `table`, which is written as `name` and begins at byte `offset`.
    pub(super) fn new(
        document: &'d mut Document,
        name: &'static str,
        offset: usize,
        table: &'t DeTable<'t>,
    ) -> Section<'d, 't> {
        Section { document, name, offset, table, known: Vec::new() }
    }

    /// The value under `key`, if there is one.
    pub(super) fn value(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.known.push(key);
        self.table.iter().find(|(k, _)| k.get_ref() == key).map(|(_, value)| value)
    }

    /// The parsed value under `key` with its place; an error is kept and reads as absent.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&DeValue<'t>) -> Parsed<T>,
    ) -> Option<T> {
        let value = self.value(key)?;
        match parse(value.get_ref()) {
            Ok(value) => Some(value),
            Err(what) => {
                self.wrong(key, value.span().start, what);
                None
            }
        }
    }

    /// Puts the value under `key`, if there is one, in place of the default that `into` holds.
    pub(super) fn set<T>(
        &mut self,
        key: &'static str,
        into: &mut T,
        parse: impl FnOnce(&DeValue<'t>) -> Parsed<T>,
    ) {
        if let Some(value) = self.read(key, parse) {
            *into = value;
        }
    }

    /// The entries of the array under `key`, each with its byte offset; `None` where it is absent or no array.
    pub(super) fn entries<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&DeValue<'t>) -> Parsed<T>,
    ) -> Option<Vec<(T, usize)>> {
        let value = self.value(key)?;
        let Some(array) = value.get_ref().as_array() else {
            let what = format!("expected a list in [ ], found {}", describe(value.get_ref()));
            self.wrong(key, value.span().start, what);
            return None;
        };
        let mut entries = Vec::with_capacity(array.len());
        for entry in array {
            match parse(entry.get_ref()) {
                Ok(value) => entries.push((value, entry.span().start)),
                Err(what) => self.wrong(key, entry.span().start, what),
            }
        }
        Some(entries)
    }

    /// Reports a wrong value of `key` that stands at byte `offset`.
    pub(super) fn wrong(&mut self, key: &str, offset: usize, what: String) {
        self.document.error(offset, Problem::Value { key: key.to_owned(), what });
    }

    /// Reports that something must be in this section.
    pub(super) fn missing(&mut self, what: &'static str) {
        let section = self.name;
        self.document.error(self.offset, Problem::Missing { section, what });
    }

    /// Where the section begins.
    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// The document, to read what is nested in this section or to place an origin.
    pub(super) fn document(&mut self) -> &mut Document {
        self.document
    }

    /// Reports every key that nobody asked for.
    pub(super) fn finish(self) {
        for (key, _) in self.table {
            let text: &str = key.get_ref();
            if self.known.contains(&text) {
                continue;
            }
            let problem = Problem::UnknownKey {
                section: self.name,
                key: text.to_owned(),
                nearest: nearest(text, &self.known),
            };
            self.document.error(key.span().start, problem);
        }
    }
}

/// The most similar of `known`.
pub(super) fn nearest(key: &str, known: &[&'static str]) -> &'static str {
    known.iter().copied().max_by(|a, b| similarity(key, a).total_cmp(&similarity(key, b))).unwrap_or_default()
}

/// A value as an error message shows it.
pub(super) fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => {
            let short: String = text.chars().take(60).collect();
            format!("the text \"{}\"", short.escape_debug())
        }
        DeValue::Integer(number) => format!("the bare number {number}"),
        DeValue::Float(number) => format!("the bare number {}", number.as_str()),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(time) => format!("the time {time}"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
