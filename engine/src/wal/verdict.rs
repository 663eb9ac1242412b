//! Which records of a surveyed log are its content: torn tail is told from corruption.

use super::scan::{Piece, Survey};
use sample::Timestamp;

/// What is known of one segment when the verdict is spoken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Evidence {
    /// First sequence of its life of the log; that of the segment before it when its header is unreadable.
    pub(super) life: u64,
    pub(super) survey: Survey,
}

/// What is to be made of damage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The end of a log that was being written when the machine or the process stopped. Nothing that was
    /// called durable is in it. It is cut off.
    TornTail,
    /// Something that was durable has changed or has gone. Reading goes on behind it.
    Corrupt,
}

/// A stretch of a segment that is not delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cut {
    /// Which segment.
    pub(super) segment: usize,
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) verdict: Verdict,
    /// First and last sequence that are missing, if any are known to be.
    pub(super) missing: Option<(u64, u64)>,
}

/// A run whose records from sequence `from` on are content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Content {
    pub(super) segment: usize,
    pub(super) offset: u64,
    pub(super) end: u64,
    pub(super) from: u64,
}

/// The log as it is to be taken.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Judgement {
    pub(super) content: Vec<Content>,
    pub(super) cuts: Vec<Cut>,
    /// Sequence of the last record that is content, 0 for none.
    pub(super) last_sequence: u64,
    /// Water mark of that record.
    pub(super) last_received: Option<Timestamp>,
    /// Highest durable note of the last life.
    pub(super) durable_note: u64,
    /// First sequence of the last life.
    pub(super) life: u64,
    /// Where the torn tail of the last life begins: segment and offset. All behind it is cut.
    pub(super) torn: Option<(usize, u64)>,
}

/// Highest durable note of each life, by the life's first sequence.
struct Notes(Vec<(u64, u64)>);

impl Notes {
    fn collect(log: &[Evidence]) -> Notes {
        // Life 0: what was before the first segment that is left.
        let mut notes = vec![(0, 0)];
        for segment in log {
            if notes.last().is_none_or(|(life, _)| *life != segment.life) {
                notes.push((segment.life, 0));
            }
        }
        notes.sort_unstable();
        let mut notes = Notes(notes);
        for note in log.iter().flat_map(|segment| &segment.survey.notes) {
            let life = notes.position(*note);
            notes.0[life].1 = notes.0[life].1.max(*note);
        }
        notes
    }

    /// Index of the life that `sequence` belongs to.
    fn position(&self, sequence: u64) -> usize {
        self.0.partition_point(|(life, _)| *life <= sequence).saturating_sub(1)
    }

    /// The highest sequence that is noted as durable in the life of `sequence`.
    fn at(&self, sequence: u64) -> u64 {
        self.0[self.position(sequence)].1
    }
}

/// Judges a log of which only records from sequence `wanted` on matter.
pub(super) fn judge(log: &[Evidence], wanted: u64) -> Judgement {
    let mut court = Court {
        notes: Notes::collect(log),
        wanted,
        next: wanted,
        pending: Vec::new(),
        torn: None,
        judgement: Judgement::default(),
    };
    let mut life = None;
    for (at, segment) in log.iter().enumerate() {
        if life != Some(segment.life) {
            court.end_life(segment.life);
            court.next = wanted.max(segment.life);
            life = Some(segment.life);
        }
        for piece in &segment.survey.pieces {
            court.hear(at, *piece);
        }
    }
    court.end_life(u64::MAX);
    let mut judgement = court.judgement;
    judgement.life = life.unwrap_or(0);
    judgement.durable_note = court.notes.at(judgement.life);
    judgement
}

struct Court {
    notes: Notes,
    wanted: u64,
    /// The sequence that must come next.
    next: u64,
    /// Damage since the last run: segment, piece.
    pending: Vec<(usize, Piece)>,
    /// Where the present life's torn tail begins.
    torn: Option<(usize, u64)>,
    judgement: Judgement,
}

impl Court {
    fn hear(&mut self, segment: usize, piece: Piece) {
        if self.torn.is_some() {
            return self.cut(segment, piece, Verdict::TornTail, None);
        }
        let Piece::Run { offset, end, first, last, received } = piece else {
            return self.pending.push((segment, piece));
        };
        if last < self.next {
            if self.next == self.wanted {
                // All up to here is in tables: whatever is damaged there is superfluous.
                return self.pending.clear();
            }
            // Numbers went backwards: a record of the past stands where it does not belong.
            return self.cut(segment, piece, Verdict::Corrupt, None);
        }
        if first > self.next {
            let missing = Some((self.next, first - 1));
            if self.next > self.notes.at(self.next) {
                return self.tear(segment, piece, missing);
            }
            self.corrupt(segment, piece, missing);
        } else {
            if self.next == self.wanted && self.wanted > 1 {
                // What is damaged before the first record that matters was superfluous; not so the header.
                self.pending.retain(|(_, piece)| *piece == Piece::Header);
            }
            let header = self.pending.iter().any(|(_, piece)| *piece == Piece::Header);
            if header && first > self.notes.at(first) {
                return self.tear(segment, piece, None);
            }
            if !self.pending.is_empty() {
                self.corrupt(segment, piece, None);
            }
        }
        self.judgement.content.push(Content { segment, offset, end, from: self.next.max(first) });
        self.judgement.last_sequence = last;
        self.judgement.last_received = Some(received);
        self.next = last + 1;
    }

    /// The pending damage lies before good records that follow it: it is corruption.
    fn corrupt(&mut self, segment: usize, run: Piece, missing: Option<(u64, u64)>) {
        let mut missing = missing;
        if self.pending.is_empty() {
            self.gone(segment, extent(run).0, missing);
        }
        for (segment, piece) in std::mem::take(&mut self.pending) {
            self.cut(segment, piece, Verdict::Corrupt, missing.take());
        }
    }

    /// From the pending damage on nothing of this life is content.
    fn tear(&mut self, segment: usize, run: Piece, missing: Option<(u64, u64)>) {
        let mut missing = missing;
        self.pending.push((segment, run));
        self.torn = self.pending.first().map(|(segment, piece)| (*segment, extent(*piece).0));
        for (segment, piece) in std::mem::take(&mut self.pending) {
            self.cut(segment, piece, Verdict::TornTail, missing.take());
        }
    }

    fn cut(&mut self, segment: usize, piece: Piece, verdict: Verdict, missing: Option<(u64, u64)>) {
        let (offset, end) = extent(piece);
        if let Some(last) = self.judgement.cuts.last_mut() {
            let adjacent = last.segment == segment && last.offset + last.bytes == offset;
            if adjacent && last.verdict == verdict && missing.is_none() {
                last.bytes += end - offset;
                return;
            }
        }
        self.judgement.cuts.push(Cut { segment, offset, bytes: end - offset, verdict, missing });
    }

    /// Records are missing without a trace of damage at this place.
    fn gone(&mut self, segment: usize, offset: u64, missing: Option<(u64, u64)>) {
        self.judgement.cuts.push(Cut { segment, offset, bytes: 0, verdict: Verdict::Corrupt, missing });
    }

    /// A life ends because another begins with sequence `until`: what is missing up to its last note is
    /// corruption, damage behind that its torn tail.
    fn end_life(&mut self, until: u64) {
        let note = self.notes.at(self.next);
        let mut missing = (self.next <= note && self.next < until).then_some((self.next, note));
        let begin = self.pending.first().map(|(segment, piece)| (*segment, extent(*piece).0));
        self.judgement.torn = self.torn.take().or(begin.filter(|_| missing.is_none()));
        let verdict = if missing.is_some() { Verdict::Corrupt } else { Verdict::TornTail };
        if self.pending.is_empty() && missing.is_some() {
            let (segment, offset) =
                self.judgement.content.last().map_or((0, 0), |run| (run.segment, run.end));
            self.gone(segment, offset, missing);
        }
        for (segment, piece) in std::mem::take(&mut self.pending) {
            self.cut(segment, piece, verdict, missing.take());
        }
    }
}

/// Where a piece begins, where it ends.
fn extent(piece: Piece) -> (u64, u64) {
    match piece {
        Piece::Header => (0, super::format::SEGMENT_HEADER_BYTES as u64),
        Piece::Run { offset, end, .. } | Piece::Damage { offset, end } => (offset, end),
    }
}
