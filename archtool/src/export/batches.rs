//! Stretches of batches: samples with what describes them, for files whose shape depends on all of a channel.
//!
//! A stretch is a run of blocks as in the wire format `columns`, channel after channel.

use super::part::Part;
use super::rows::Rows;
use crate::failure::Failure;
use retrieval_server::columns::{Batch, Block, Decoder, append_batch, stream_head};
use sample::SampleBlock;
use serde_json::Value;
use std::io::{self, Read as _};
use std::rc::Rc;

/// Batches that become one stretch.
pub(super) struct Batches {
    names: Vec<String>,
    bytes: Vec<u8>,
}

impl Batches {
    /// None yet, of channels with these names.
    pub(super) fn new(names: Vec<String>) -> Batches {
        Batches { names, bytes: Vec::new() }
    }
}

impl Rows for Batches {
    fn append(&mut self, channel: usize, block: SampleBlock, description: &Value) -> Result<(), Failure> {
        let index = u32::try_from(channel).unwrap_or(u32::MAX);
        let description = description.to_string();
        append_batch(&mut self.bytes, (index, &self.names[channel]), block, description.as_bytes());
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, Failure> {
        Ok(self.bytes)
    }
}

/// Where a batch begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    stretch: u64,
    offset: usize,
}

impl Place {
    /// Where the first batch begins.
    pub(super) const FIRST: Place = Place { stretch: 1, offset: 0 };
}

/// The batches of an export whose samples are all gathered. One stretch is in memory at a time.
pub(super) struct Gathered<'a> {
    part: &'a Part,
    present: Option<(u64, Rc<Vec<u8>>)>,
}

impl<'a> Gathered<'a> {
    /// All batches of `part`.
    pub(super) fn new(part: &'a Part) -> Gathered<'a> {
        Gathered { part, present: None }
    }

    fn stretch(&mut self, number: u64) -> Result<Rc<Vec<u8>>, Failure> {
        if let Some((present, bytes)) = &self.present
            && *present == number
        {
            return Ok(bytes.clone());
        }
        // What was there gives its memory back first.
        self.present = None;
        let bytes = Rc::new(self.part.stretch(number)?);
        self.present = Some((number, bytes.clone()));
        Ok(bytes)
    }

    /// The batch that begins at `place` or, where a stretch ends there, in the next one; with where it begins and where
    /// the next one does. `None` behind the last.
    pub(super) fn batch(&mut self, mut place: Place) -> Result<Option<(Batch, Place, Place)>, Failure> {
        while place.stretch <= self.part.progress().stretches {
            let bytes = self.stretch(place.stretch)?;
            let mut rest = bytes.get(place.offset..).unwrap_or_default();
            if rest.is_empty() {
                place = Place { stretch: place.stretch + 1, offset: 0 };
                continue;
            }
            let head = stream_head();
            let block = Decoder::new(head.as_slice().chain(&mut rest)).block();
            let behind = Place { stretch: place.stretch, offset: bytes.len() - rest.len() };
            return match block {
                Ok(Some(Block::Batch(batch))) => Ok(Some((*batch, place, behind))),
                Ok(_) => Err(unread(place, io::Error::other("a block is no batch"))),
                Err(error) => Err(unread(place, io::Error::other(error))),
            };
        }
        Ok(None)
    }

    /// Hands `count` batches from `place` on to `take`.
    pub(super) fn each(
        &mut self,
        mut place: Place,
        count: usize,
        mut take: impl FnMut(&Batch) -> Result<(), super::whole::Unjoined>,
    ) -> Result<(), super::whole::Unjoined> {
        for _ in 0..count {
            let Some((batch, _, behind)) = self.batch(place)? else { break };
            take(&batch)?;
            place = behind;
        }
        Ok(())
    }
}

fn unread(place: Place, source: io::Error) -> Failure {
    let what = format!("read batches of stretch {:08}; begin anew with --force", place.stretch);
    Failure::Io { what, source }
}
