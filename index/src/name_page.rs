//! Pages of names in bytewise order.

use crate::format::*;
use crate::page::Page;
use disk::{BytesError, Cursor, put_str, put_varint};
use sample::{ChannelId, ChannelName};
use std::cmp::Ordering;

/// What a name stands for in a master segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamedChannel {
    /// The channel.
    pub id: ChannelId,
    /// The stored name, where this one is an alias.
    pub alias_of: Option<ChannelName>,
}

/// A page that is being filled with names in ascending order.
#[derive(Debug, Default)]
pub(crate) struct NamesBuilder {
    names: Vec<(ChannelName, NamedChannel)>,
    /// Bytes that all names begin with.
    prefix: usize,
    /// Length of all names with what stands beside them, as if there were no common prefix.
    bytes: usize,
}

impl NamesBuilder {
    pub(crate) fn names(&self) -> &[(ChannelName, NamedChannel)] {
        &self.names
    }

    /// Adds a name unless the page has no room for it.
    pub(crate) fn push(&mut self, name: &ChannelName, named: &NamedChannel) -> bool {
        let text = name.as_str().as_bytes();
        let prefix = self.names.first().map_or(text.len(), |(first, _)| {
            let shared = first.as_str().bytes().zip(text).take(self.prefix);
            shared.take_while(|(a, b)| a == *b).count()
        });
        // Place, length, id, length of the stored name.
        let beside = 2 + 2 + 10 + 2 + named.alias_of.as_ref().map_or(0, |alias| alias.as_str().len());
        let bytes = self.bytes + text.len() + beside;
        let len = NAMES_HEADER_BYTES + prefix + bytes - (self.names.len() + 1) * prefix;
        if len > PAGE_BYTES || self.names.len() == PAGE_ROWS_MAX {
            return false;
        }
        (self.prefix, self.bytes) = (prefix, bytes);
        self.names.push((name.clone(), named.clone()));
        true
    }

    /// The page of all names so far, which go.
    pub(crate) fn take(&mut self) -> (Page, u16) {
        let names = std::mem::take(self);
        let mut page = Page::zeros();
        let prefix =
            names.names.first().map_or(&[][..], |(name, _)| &name.as_str().as_bytes()[..names.prefix]);
        let places = NAMES_HEADER_BYTES + prefix.len();
        let begin = places + 2 * names.names.len();
        let mut records = Vec::with_capacity(PAGE_BYTES - begin);
        for (at, (name, named)) in names.names.iter().enumerate() {
            page.put(places + 2 * at, &((begin + records.len()) as u16).to_le_bytes());
            put_record(&name.as_str().as_bytes()[names.prefix..], named, &mut records);
        }
        page.put(16, &(names.prefix as u16).to_le_bytes());
        page.put(18, &((begin + records.len()) as u16).to_le_bytes());
        page.put(NAMES_HEADER_BYTES, prefix);
        page.put(begin, &records);
        (page, names.names.len() as u16)
    }
}

fn put_record(suffix: &[u8], named: &NamedChannel, out: &mut Vec<u8>) {
    put_varint(out, (suffix.len() as u64) << 1 | u64::from(named.alias_of.is_some()));
    out.extend_from_slice(suffix);
    put_varint(out, named.id.0);
    if let Some(stored) = &named.alias_of {
        put_str(out, stored.as_str());
    }
}

/// A name of a page, its common part apart.
struct Record<'a> {
    suffix: &'a [u8],
    alias: bool,
    rest: Cursor<'a>,
}

fn prefix(page: &Page) -> &[u8] {
    page.bytes[NAMES_HEADER_BYTES..].get(..usize::from(page.u16(16))).unwrap_or_default()
}

/// The byte at which name `at` of the page begins; there is one.
pub(crate) fn place_of(page: &Page, at: usize) -> usize {
    usize::from(page.u16(NAMES_HEADER_BYTES + usize::from(page.u16(16)) + 2 * at))
}

fn record(page: &Page, place: usize) -> Result<Record<'_>, BytesError> {
    let bytes = page.bytes.get(place..usize::from(page.u16(18))).unwrap_or_default();
    let mut rest = Cursor::new(bytes);
    let head = rest.varint()?;
    let len = usize::try_from(head >> 1).unwrap_or(usize::MAX);
    Ok(Record { suffix: rest.bytes(len)?, alias: head & 1 != 0, rest })
}

impl Record<'_> {
    fn named(mut self) -> Result<NamedChannel, BytesError> {
        let id = ChannelId(self.rest.varint()?);
        let alias_of = if self.alias { Some(checked_name(self.rest.counted_bytes()?)?) } else { None };
        Ok(NamedChannel { id, alias_of })
    }
}

fn checked_name(bytes: &[u8]) -> Result<ChannelName, BytesError> {
    let name = std::str::from_utf8(bytes).ok().and_then(|text| ChannelName::stored(text).ok());
    name.ok_or(BytesError { position: 0, what: "a name that no channel can have" })
}

/// What the name at a byte of the page stands for, if it is `name`.
pub(crate) fn named_if(page: &Page, place: usize, name: &str) -> Result<Option<NamedChannel>, BytesError> {
    let Some(suffix) = name.as_bytes().strip_prefix(prefix(page)) else { return Ok(None) };
    let record = record(page, place)?;
    if record.suffix == suffix { record.named().map(Some) } else { Ok(None) }
}

/// Name `at` with what it stands for.
pub(crate) fn name_at(page: &Page, at: usize) -> Result<(ChannelName, NamedChannel), BytesError> {
    let record = record(page, place_of(page, at))?;
    let name = checked_name(&[prefix(page), record.suffix].concat())?;
    Ok((name, record.named()?))
}

/// How name `at` compares with `name`.
fn compare(page: &Page, at: usize, name: &[u8]) -> Result<Ordering, BytesError> {
    let suffix = record(page, place_of(page, at))?.suffix;
    Ok(prefix(page).iter().chain(suffix).cmp(name))
}

/// The first name at or behind `name`, perhaps the one behind the last.
pub(crate) fn lower_bound(page: &Page, name: &str) -> Result<usize, BytesError> {
    let (mut low, mut high) = (0, page.count());
    while low < high {
        let middle = low.midpoint(high);
        if compare(page, middle, name.as_bytes())? == Ordering::Less {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// Whether places and the common part lie inside the page.
pub(crate) fn check(page: &Page) -> Result<(), &'static str> {
    let begin = NAMES_HEADER_BYTES + 2 * page.count();
    let end = usize::from(page.u16(18));
    if page.count() == 0 || page.count() > PAGE_ROWS_MAX {
        return Err("a page of names has none or more than may be");
    }
    if begin + usize::from(page.u16(16)) > end || end > PAGE_BYTES {
        return Err("the names of a page do not fit it");
    }
    Ok(())
}
