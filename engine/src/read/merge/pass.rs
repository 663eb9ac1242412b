//! Steps over parts of which enough is known without loading them.

use super::Merge;
use super::cursor::{Coming, Cursor};
use crate::limits::{LOOKED_INTO_SELDOM, WHOLE_BEFORE_SELDOM};
use crate::read::{Enough, Facts, Part, Passed, Piece};
use sample::Timestamp;
use std::collections::VecDeque;

impl Merge {
    /// Whether the first sample of `part`, of cursor `at`, is to be delivered, and no other cursor has any before its
    /// last.
    fn may_pass(&mut self, at: usize, part: &Part) -> bool {
        let inside = self.scan.range.contains(Timestamp(part.first.time));
        inside && self.last.is_none_or(|last| last < part.first) && self.alone(at, part)
    }

    /// Steps over the first part of cursor `at`, with as many behind it as can be, if it is that of all cursors and
    /// `enough` is known of it; over all parts where that is known before they are listed.
    pub(super) fn pass(&mut self, at: usize, enough: &mut Enough<'_>) -> Option<Passed> {
        if !self.ascending() {
            return None;
        }
        let cursor = &self.cursors[at];
        let Some(parts) = &cursor.parts else {
            let (run, (part, facts)) = (cursor.run.clone(), cursor.run.whole()?);
            if !enough(&part, &facts) || !self.may_pass(at, &part) {
                return None;
            }
            self.cursors[at].parts = Some(VecDeque::new());
            self.whole = 0;
            return Some(Passed { part, facts, run });
        };
        let part = *parts.front()?.part();
        if !self.may_pass(at, &part) {
            return None;
        }
        let mut passed = self.pass_one(at, part, enough)?;
        while self.pass_another(at, &mut passed, enough) {}
        Some(passed)
    }

    /// Steps over `part`, the first of cursor `at`, if `enough` is known of it or of pieces that it begins with.
    fn pass_one(&mut self, at: usize, part: Part, enough: &mut Enough<'_>) -> Option<Passed> {
        let Cursor { run, parts: Some(parts), announced, .. } = &mut self.cursors[at] else { return None };
        if matches!(parts.front(), Some(Coming::Named(_))) {
            let known = run.facts(&part).filter(|facts| enough(&part, facts));
            let pieces = match known {
                Some(_) => Vec::new(),
                None if self.whole > WHOLE_BEFORE_SELDOM
                    && !self.whole.is_multiple_of(LOOKED_INTO_SELDOM) =>
                {
                    return None;
                }
                // What is wrong shows again when the part is loaded.
                None => run.pieces(&part, enough).unwrap_or_default(),
            };
            if known.is_none() && pieces.is_empty() {
                return None;
            }
            parts.pop_front();
            self.whole = 0;
            if let Some(ahead) = &mut self.ahead {
                ahead.forget(run, &part);
            }
            *announced = announced.saturating_sub(1);
            if let Some(facts) = known {
                return Some(Passed { part, facts, run: run.clone() });
            }
            // Nobody loads them in advance.
            *announced += pieces.len();
            pieces.into_iter().rev().for_each(|piece| parts.push_front(Coming::Piece(piece)));
        }
        let Some(Coming::Piece(Piece::Known(part, facts))) = parts.front() else { return None };
        let passed = Passed { part: *part, facts: *facts, run: run.clone() };
        parts.pop_front();
        *announced = announced.saturating_sub(1);
        Some(passed)
    }

    /// Joins the next part of cursor `at` to what was passed, with as many behind it as can be before other cursors begin,
    /// if `enough` is known of all together; `false` where none was joined.
    fn pass_another(&mut self, at: usize, passed: &mut Passed, enough: &mut Enough<'_>) -> bool {
        let Some(next) = self.cursors[at].parts.as_ref().and_then(VecDeque::front) else { return false };
        let named = match next {
            Coming::Named(part) => *part,
            Coming::Piece(Piece::Known(part, facts)) => {
                let (part, facts) = (*part, *facts);
                let facts =
                    passed.facts.joined(&facts).filter(|facts| enough(&passed.part.joined(&part), facts));
                return facts
                    .is_some_and(|facts| self.pass_next(at, passed, passed.part.joined(&part), facts));
            }
            Coming::Piece(Piece::Wanted(_)) => return false,
        };
        let others = self.cursors.iter().enumerate().filter(|(other, _)| *other != at);
        let others_begin = others.map(|(_, other)| other.begin).min();
        let Cursor { run, parts: Some(parts), announced, .. } = &mut self.cursors[at] else { return false };
        let (mut count, mut overlapped) = (0, None);
        run.each_facts(&named, &mut |part, facts| {
            let joined = passed.part.joined(part);
            let known =
                passed.facts.joined(facts).filter(|facts| count < parts.len() && enough(&joined, facts));
            let Some(facts) = known else { return false };
            if others_begin.is_some_and(|begin| begin <= joined.last) {
                overlapped = Some((joined, facts));
                return false;
            }
            (passed.part, passed.facts) = (joined, facts);
            count += 1;
            true
        });
        for part in parts.drain(..count) {
            if let Some(ahead) = &mut self.ahead {
                ahead.forget(run, part.part());
            }
        }
        *announced = announced.saturating_sub(count);
        overlapped.map_or(count > 0, |(joined, facts)| self.pass_next(at, passed, joined, facts) || count > 0)
    }

    /// Steps over the next part of cursor `at`, of which and what was passed enough is known, if others allow it.
    fn pass_next(&mut self, at: usize, passed: &mut Passed, joined: Part, facts: Facts) -> bool {
        if !self.alone(at, &joined) {
            return false;
        }
        let Cursor { run, parts: Some(parts), announced, .. } = &mut self.cursors[at] else { return false };
        if let (Some(Coming::Named(part)), Some(ahead)) = (parts.pop_front(), &mut self.ahead) {
            ahead.forget(run, &part);
        }
        *announced = announced.saturating_sub(1);
        (passed.part, passed.facts) = (joined, facts);
        true
    }

    /// Whether what the other cursors have lies behind `part`, which cursor `at` has.
    fn alone(&mut self, at: usize, part: &Part) -> bool {
        // Behind those that begin inside lies nothing that overlaps.
        let begun = self.cursors.partition_point(|cursor| cursor.begin <= part.last);
        for other in (0..begun).filter(|other| *other != at) {
            let overlaps = |merge: &Merge| {
                merge.cursors[other].head(&merge.scan).is_some_and(|(head, _)| head <= part.last)
            };
            if !overlaps(self) {
                continue;
            }
            // Where it begins is not known exactly before its parts are listed.
            if self.cursors[other].parts.is_some() {
                return false;
            }
            if self.cursors[other].list(self.scan.range).is_err() || overlaps(self) {
                return false;
            }
        }
        true
    }
}
