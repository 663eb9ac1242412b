//! Chunks of an answer that go to the client as they are stored.

use crate::limits::STAMPS_SENT_MAX;
use engine::read::{Passed, Run};
use sstable::{StoredChunk, TimeReference};
use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::rc::Rc;

/// A chunk of which all samples belong to the answer, with those that have to be sent before it: their stamps are its
/// own, and the client does not have them.
#[derive(Clone, Debug)]
pub(crate) struct Undecoded {
    /// The chunk.
    pub chunk: StoredChunk,
    /// Lenders of stamps, in the order in which they are sent.
    pub lenders: Vec<StoredChunk>,
}

/// The stamps that the client of one answer has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lent(Rc<RefCell<Sent>>);

#[derive(Debug, Default)]
struct Sent {
    known: HashSet<TimeReference>,
    /// The same, the oldest first.
    order: VecDeque<TimeReference>,
}

impl Sent {
    fn add(&mut self, reference: TimeReference) {
        if self.known.insert(reference) {
            self.order.push_back(reference);
        }
        if self.order.len() > STAMPS_SENT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

impl Lent {
    /// The chunk that `passed` is, which from now on counts as sent; `None` where it has to be decoded here, or where
    /// something is wrong, which shows again then.
    pub(crate) fn undecoded(&self, passed: &Passed) -> Option<Undecoded> {
        let chunk = passed.run.stored(&passed.part).ok()??;
        let mut lenders = Vec::new();
        lenders_of(&*passed.run, &chunk, &self.0.borrow().known, &mut lenders)?;
        let mut sent = self.0.borrow_mut();
        lenders.iter().for_each(|lender| sent.add(lender.header().as_time_reference()));
        Some(Undecoded { chunk, lenders })
    }
}

/// Collects what `chunk` needs and the client lacks, each before those that need it. The depth falls from lender to
/// lender, so this ends.
fn lenders_of(
    run: &dyn Run,
    chunk: &StoredChunk,
    known: &HashSet<TimeReference>,
    lenders: &mut Vec<StoredChunk>,
) -> Option<()> {
    let depth = chunk.header().time_depth();
    for reference in chunk.header().time_references() {
        let comes = |lender: &StoredChunk| lender.header().as_time_reference() == reference;
        if known.contains(&reference) || lenders.iter().any(comes) {
            continue;
        }
        let lender = run.lending(&reference, depth).ok()??;
        lenders_of(run, &lender, known, lenders)?;
        lenders.push(lender);
    }
    Some(())
}
