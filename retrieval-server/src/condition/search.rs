//! Finds when a condition holds, on all processors that have nothing else to do.
//!
//! The thread that was asked begins at the beginning. After some blocks, and whenever it has read as many more, it asks for
//! a processor; who has nothing to look at gets the later half of what another thread has before it. So a search that
//! reads next to nothing is made by one thread, and one that reads much of a year is cut a few times only, wherever its
//! work lies. What a cut costs is reading the last sample before it. Where anything is damaged, one thread looks at all:
//! what is known then depends on where reading ended.

use super::tree::Condition;
use super::watch::Watch;
use super::wave::Wave;
use crate::blocks::Blocks;
use crate::limits::SEARCH_INTERVALS_MAX;
use engine::read::{ChannelView, Problem, ReadError, Reader, Scan};
use sample::{TimeRange, Timestamp};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a thread that has nothing to look at waits before it asks whether its processor is wanted elsewhere.
const WAIT: Duration = Duration::from_millis(5);

/// What is looked for.
pub(crate) struct Search {
    condition: Condition,
    /// The condition's channels at one moment, and how many problems each had then.
    views: Vec<(Arc<ChannelView>, usize)>,
    /// Is asked again when planned files have gone; has the processors.
    reader: Reader,
    scan: Scan,
    /// Whether samples are read of which what is known without that is enough.
    read_all: bool,
}

/// What was found.
pub(crate) struct Found {
    /// When the condition held, in order and apart from each other; not all where they are too many.
    pub(crate) stretches: Vec<TimeRange>,
    /// What each channel's part of it lacks.
    pub(crate) problems: Vec<Vec<Problem>>,
}

impl Search {
    /// Of `condition`, whose channels `views` are, over the range of `scan`, which ascends.
    pub(crate) fn new(
        condition: Condition,
        views: Vec<Arc<ChannelView>>,
        reader: Reader,
        scan: Scan,
    ) -> Search {
        let with_problems = |view: Arc<ChannelView>| {
            let problems = view.problems().len();
            (view, problems)
        };
        let views = views.into_iter().map(with_problems).collect();
        Search { condition, views, reader, scan, read_all: false }
    }

    /// Reads every sample, whatever is known without that.
    pub(crate) fn reading_all(self, read_all: bool) -> Search {
        Search { read_all, ..self }
    }

    /// Over a part of the range; the place of the channel with an error.
    fn watch(&self, range: TimeRange) -> Result<Watch<'_>, (usize, ReadError)> {
        let scan = Scan { range, ..self.scan };
        let wave = |(place, (view, _)): (usize, &(Arc<ChannelView>, usize))| {
            let edge = view.last_before(range.from, false).map_err(|error| (place, error))?;
            let blocks = Blocks::new(&self.reader, view.clone(), scan);
            let wave = Wave::new(blocks, &self.condition, place, range, edge.as_ref());
            Ok(wave.reading_all(self.read_all))
        };
        let waves = self.views.iter().enumerate().map(wave).collect::<Result<_, _>>()?;
        Ok(Watch::new(&self.condition, waves, range.from))
    }

    /// Whether all was read that `watch` came to, and nothing was wrong that was not known before.
    fn is_sound(&self, watch: &Watch<'_>) -> bool {
        watch.waves.iter().zip(&self.views).all(|(wave, (view, problems))| {
            let same = Arc::ptr_eq(wave.view(), view) || *problems == 0;
            wave.failure().is_none() && same && wave.view().problems().len() == *problems
        })
    }

    /// When the condition holds, found by this thread alone.
    ///
    /// # Errors
    /// When what comes before the range cannot be read, with the place of the channel.
    pub(crate) fn alone(&self) -> Result<Found, (usize, ReadError)> {
        let range = self.scan.range;
        let mut watch = self.watch(range)?;
        while !watch.run(range.to) && watch.stretches.len() <= SEARCH_INTERVALS_MAX {}
        watch.end(range.to);
        let problems = |wave: &Wave<'_>| {
            let failure = wave.failure().map(|error| Problem::of(error, range));
            failure.into_iter().chain(wave.view().problems()).collect()
        };
        Ok(Found { problems: watch.waves.iter().map(problems).collect(), stretches: watch.stretches })
    }

    /// When the condition holds, found together with processors that are lent; `None` where one thread has to find it
    /// from the beginning.
    ///
    /// # Errors
    /// As [`Search::alone`].
    pub(crate) fn together(self) -> Result<Option<Found>, (usize, ReadError)> {
        let Some(spare) = self.reader.spare().cloned() else { return self.alone().map(Some) };
        let range = self.scan.range;
        let board = Arc::new(Board { search: self, state: Mutex::default(), changed: Condvar::new() });
        let lend = || {
            let board = board.clone();
            spare.lend(Box::new(move |may_go_on| board.work(Some(may_go_on))));
        };
        let first = board.search.watch(range)?;
        board.state().busy += 1;
        Claim { board: &board, range, spent: false }.follow(first, &|| true, &lend);
        board.work(None);
        let mut state = board.state();
        if state.stopped {
            return Ok(None);
        }
        let mut pieces = std::mem::take(&mut state.done);
        drop(state);
        pieces.sort_by_key(|(from, _)| *from);
        let mut stretches: Vec<TimeRange> = Vec::new();
        for stretch in pieces.into_iter().flat_map(|(_, stretches)| stretches) {
            match stretches.last_mut() {
                // It held across the cut.
                Some(last) if last.to == stretch.from => last.to = stretch.to,
                _ => stretches.push(stretch),
            }
        }
        let problems = board.search.views.iter().map(|(view, _)| view.problems()).collect();
        Ok(Some(Found { stretches, problems }))
    }
}

/// A search whose range is cut in pieces, each looked at by one thread.
struct Board {
    search: Search,
    state: Mutex<State>,
    /// There is something to look at, or there will not be.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// What nobody looks at.
    open: Vec<TimeRange>,
    /// Pieces that are being looked at.
    busy: usize,
    /// Those of them that are too short to be cut.
    spent: usize,
    /// Threads that have nothing to look at.
    idle: usize,
    /// Where each piece begins and when the condition held in it.
    done: Vec<(Timestamp, Vec<TimeRange>)>,
    /// How often it held in these.
    found: usize,
    /// Nothing is looked at any more: one thread has to find it.
    stopped: bool,
}

impl Board {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at what nobody looks at until there is nothing left, a lent processor as long as it `may_go_on` and others
    /// have something to share.
    fn work(&self, may_go_on: Option<&dyn Fn() -> bool>) {
        while let Some(claim) = self.claim(may_go_on) {
            match self.search.watch(claim.range) {
                Ok(watch) => claim.follow(watch, may_go_on.unwrap_or(&|| true), &|| ()),
                Err(_) => self.state().stopped = true,
            }
        }
    }

    fn claim(&self, may_go_on: Option<&dyn Fn() -> bool>) -> Option<Claim<'_>> {
        let mut state = self.state();
        state.idle += 1;
        let range = loop {
            if state.stopped || may_go_on.is_some_and(|may_go_on| !may_go_on()) {
                break None;
            }
            let range = state.open.pop();
            let to_come = state.busy > 0 && (may_go_on.is_none() || state.spent < state.busy);
            if range.is_some() || !to_come {
                break range;
            }
            state = self.changed.wait_timeout(state, WAIT).unwrap_or_else(PoisonError::into_inner).0;
        };
        state.idle -= 1;
        state.busy += usize::from(range.is_some());
        range.map(|range| Claim { board: self, range, spent: false })
    }
}

/// A piece that a thread looks at; what it did not look at is given back.
struct Claim<'a> {
    board: &'a Board,
    /// What is left of it.
    range: TimeRange,
    /// Whether that is too short to be cut.
    spent: bool,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut state = self.board.state();
        state.busy -= 1;
        state.spent -= usize::from(self.spent);
        // What was found in it so far is lost.
        state.stopped |= std::thread::panicking();
        if self.range.from < self.range.to {
            state.open.push(self.range);
        }
        self.board.changed.notify_all();
    }
}

impl Claim<'_> {
    /// Looks at the piece, which `watch` is at the beginning of, as long as it `may_go_on`; asks others to help by `lend`.
    fn follow(mut self, mut watch: Watch<'_>, may_go_on: &dyn Fn() -> bool, lend: &dyn Fn()) {
        let begin = self.range.from;
        loop {
            let before = watch.now;
            let there = watch.run(self.range.to) || !may_go_on();
            self.range.from = Timestamp(watch.now).min(self.range.to);
            if there || watch.stretches.len() > SEARCH_INTERVALS_MAX {
                break;
            }
            let mut state = self.board.state();
            if state.stopped {
                break;
            }
            // Half of it takes twice as long as what was read last, at least.
            let rest = self.range.to.since(self.range.from);
            let worth = rest / 4 >= watch.now.saturating_sub(before);
            if worth && state.idle > state.open.len() {
                let half = self.range.from.saturating_add(rest / 2);
                state.open.push(TimeRange::new(half, self.range.to));
                self.range.to = half;
                self.board.changed.notify_all();
            } else if !worth && !self.spent {
                self.spent = true;
                state.spent += 1;
            }
            let alone = state.idle == 0;
            drop(state);
            if worth && alone {
                lend();
            }
        }
        watch.end(self.range.from);
        let mut state = self.board.state();
        state.found += watch.stretches.len();
        state.stopped |= state.found > SEARCH_INTERVALS_MAX || !self.board.search.is_sound(&watch);
        state.done.push((begin, watch.stretches));
    }
}
