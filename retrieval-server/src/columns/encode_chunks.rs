//! Writes chunks as they are stored.

use super::encode::{BlockHead, type_code};
use super::{EXTENTS, FLAG_METADATA_KNOWN, KIND_CHUNKS, KIND_LENDERS, STORED, padding};
use crate::output::{Stopped, Writer};
use sample::Kind;
use sstable::{StoredChunk, Surroundings};
use std::ops::Range;
use std::sync::Arc;

/// A stretch of bytes that go out as they are.
struct Stretch<'a> {
    bytes: &'a Arc<Surroundings>,
    place: Range<usize>,
}

/// Chunks one behind the other: those that stood so in the file with what was between them.
#[derive(Default)]
struct Stretches<'a> {
    stretches: Vec<Stretch<'a>>,
    /// Where each chunk begins, and its length.
    extents: Vec<u8>,
    len: usize,
}

impl<'a> Stretches<'a> {
    fn of(chunks: impl Iterator<Item = &'a StoredChunk>) -> Stretches<'a> {
        let mut all = Stretches::default();
        for chunk in chunks {
            let (bytes, place) = (chunk.surroundings(), chunk.place());
            match all.stretches.last_mut() {
                Some(last) if Arc::ptr_eq(last.bytes, bytes) && last.place.end <= place.start => {
                    all.len += place.end - last.place.end;
                    last.place.end = place.end;
                }
                _ => {
                    all.len += place.len();
                    all.stretches.push(Stretch { bytes, place: place.clone() });
                }
            }
            all.extents.extend(((all.len - place.len()) as u64).to_le_bytes());
            all.extents.extend((place.len() as u64).to_le_bytes());
        }
        all
    }

    fn put(&self, out: &mut Writer<'_>, head: &BlockHead<'_>, json: &[u8]) -> Result<(), Stopped> {
        let columns =
            [(EXTENTS, Kind::UInt64 as u32, self.extents.len()), (STORED, Kind::UInt8 as u32, self.len)];
        out.put(&head.bytes(&columns, json, 0))?;
        out.put(&self.extents)?;
        for Stretch { bytes, place } in &self.stretches {
            out.put_shared(bytes, place.clone())?;
        }
        out.put(&[0; 8][..padding(self.len)])
    }
}

/// Writes chunks of one type, all of whose samples belong to the answer, as a block; `json` describes them as it does
/// a batch.
pub(crate) fn chunks<'a>(
    out: &mut Writer<'_>,
    channel: (u32, &str),
    chunks: impl Iterator<Item = &'a StoredChunk> + Clone,
    json: &[u8],
) -> Result<(), Stopped> {
    let Some(first) = chunks.clone().next() else { return Ok(()) };
    let run = &first.header().run;
    let head = BlockHead {
        kind: KIND_CHUNKS,
        samples: chunks.clone().map(|chunk| chunk.header().count() as u64).sum(),
        channel: channel.0,
        value_type: type_code(run.value),
        domain: run.domain as u32,
        flags: if run.metadata_known { FLAG_METADATA_KNOWN } else { 0 },
        name: channel.1.as_bytes(),
        ..BlockHead::default()
    };
    Stretches::of(chunks).put(out, &head, json)
}

/// Writes chunks of whatever channel whose stamps later ones need.
pub(crate) fn lenders<'a>(
    out: &mut Writer<'_>,
    chunks: impl Iterator<Item = &'a StoredChunk>,
) -> Result<(), Stopped> {
    let head = BlockHead { kind: KIND_LENDERS, ..BlockHead::default() };
    Stretches::of(chunks).put(out, &head, b"{}")
}
