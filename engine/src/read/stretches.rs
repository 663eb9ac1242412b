//! Plans how bins are made: which nodes are stored, and where samples have to be folded.

use super::{ReadError, RowRecord, Rows, Run, with_parts};
use decimator::fold::Folding;
use decimator::node::Node;
use decimator::tree::{LEVELS, WIDTHS_NS, begins_at, node_at};
use sample::{TimeRange, Timestamp};
use std::ops::Range;
use std::sync::Arc;

/// What comes next in time.
#[derive(Clone, Debug)]
pub enum Stretch {
    /// Stored nodes, to be folded as they are.
    Nodes(StoredNodes),
    /// The samples of this range are to be folded.
    Samples(TimeRange),
}

/// Nodes of one level, one behind the other.
#[derive(Clone, Debug)]
pub struct StoredNodes {
    /// Their level in the tree.
    pub level: usize,
    record: Arc<Vec<Node>>,
    inside: Range<usize>,
}

impl StoredNodes {
    /// The nodes.
    pub fn nodes(&self) -> &[Node] {
        &self.record[self.inside.clone()]
    }
}

/// The stretches of one channel's bins, in order of time. Stretches in which no sample lies may be left out.
///
/// A stored node is used where nothing but its source has samples in it (a statistic of two runs cannot be told from
/// those of each), it lies inside its bin, its last value holds to its end, and it counts what is asked for.
pub struct Stretches<'a> {
    folding: &'a Folding,
    /// Rows of several tables, which are asked first, then of single ones.
    lanes: [Lane; 2],
    /// Everything before is planned.
    at: i64,
    /// Samples before `at` that no stretch was given out for.
    pending: Option<i64>,
    /// The stretch behind the samples that were given out last.
    ready: Option<Stretch>,
    /// The bin that holds `at`, inside the range.
    bin: (i64, i64),
    /// Where that bin ends in the grid.
    grid_end: i64,
}

/// The level of days, the greatest.
const DAYS: usize = LEVELS - 1;

/// One decimated table.
struct Source {
    rows: Arc<dyn Rows>,
    /// Time of the first and last sample in what the rows were made of, of all channels.
    span: (i64, i64),
    /// Where others have samples, in order, closed.
    foreign: Vec<(i64, i64)>,
    /// Where rows are looked for: the days of the span, inside the range.
    window: TimeRange,
    levels: [Option<Level>; LEVELS],
}

/// Sources of one kind.
#[derive(Default)]
struct Lane {
    /// By where they begin.
    sources: Vec<Source>,
    /// Sources before this one end before all that is not planned.
    live: usize,
}

impl Lane {
    /// Passes over what ends before `at`; the sources from there on that begin before `end`.
    fn begun(&mut self, at: i64, end: i64) -> Range<usize> {
        while self.sources.get(self.live).is_some_and(|source| source.span.1 < at) {
            self.live += 1;
        }
        self.live..self.sources.partition_point(|source| source.span.0 < end).max(self.live)
    }
}

/// The rows of one level, loaded as they are needed.
#[derive(Default)]
struct Level {
    records: Vec<RowRecord>,
    /// The record that is loaded.
    loaded: Option<Loaded>,
}

impl Level {
    /// Whether the record that is loaded is the one in which a node that begins at `start` stands.
    fn has_loaded(&self, start: i64) -> bool {
        let record = self.loaded.as_ref().and_then(|loaded| self.records.get(loaded.record));
        record.is_some_and(|record| record.first.0 <= start && start <= record.last.0)
    }
}

/// A record's nodes.
struct Loaded {
    record: usize,
    nodes: Arc<Vec<Node>>,
    /// Nodes before this one lie before what was asked for last: who asks goes forward in time.
    next: usize,
}

impl Source {
    /// Whether nobody else has samples in `from..to`.
    fn alone(&self, from: i64, to: i64) -> bool {
        let next = self.foreign.partition_point(|(_, last)| *last < from);
        self.foreign.get(next).is_none_or(|(first, _)| *first >= to)
    }

    /// The level's rows; empty where it is not stored or cannot be read: then samples are.
    fn level(&mut self, level: usize) -> &mut Level {
        let (rows, window) = (&self.rows, self.window);
        self.levels[level].get_or_insert_with(|| Level {
            records: rows.records(level, window).unwrap_or_default(),
            loaded: None,
        })
    }

    /// Finds the record of `level` that the node at `start` stands in; `Ok(None)` where the source has no sample, an
    /// error where nothing is known.
    fn record(&mut self, level: usize, start: i64) -> Result<Option<&mut Loaded>, ()> {
        if self.levels[level].as_ref().is_some_and(|of| of.has_loaded(start)) {
            return Ok(self.level(level).loaded.as_mut());
        }
        let rows = self.rows.clone();
        let of = self.level(level);
        if of.records.is_empty() {
            return Err(());
        }
        let at = of.records.partition_point(|record| record.last.0 < start);
        let Some(record) = of.records.get(at).filter(|record| record.first.0 <= start) else {
            return Ok(None);
        };
        let Ok(nodes) = rows.load(level, record) else {
            // They are caches: what cannot be read is not there.
            of.records.clear();
            return Err(());
        };
        Ok(Some(of.loaded.insert(Loaded { record: at, nodes: Arc::new(nodes), next: 0 })))
    }

    /// The least level that is stored.
    fn base(&mut self) -> Option<usize> {
        (0..LEVELS).find(|level| !self.level(*level).records.is_empty())
    }
}

impl Loaded {
    /// The node that begins at `start`, `None` where no sample lies.
    fn node(&mut self, level: usize, start: i64) -> Option<&Node> {
        while self.nodes.get(self.next).is_some_and(|node| node.begin < start) {
            self.next += 1;
        }
        let end = start.saturating_add(WIDTHS_NS[level]);
        self.nodes.get(self.next).filter(|node| node.begin < end)
    }
}

impl<'a> Stretches<'a> {
    /// Plans over the runs of one archive. Nothing of the samples is read.
    ///
    /// # Errors
    /// When a run that stands beside stored rows cannot say where it has samples.
    pub fn new(
        folding: &'a Folding,
        runs: &[Arc<dyn Run>],
        rows: &[Arc<dyn Rows>],
    ) -> Result<Stretches<'a>, ReadError> {
        let range = folding.range;
        let mut lanes: [Lane; 2] = Default::default();
        for rows in rows {
            let (first, last) = rows.span();
            let (from, to) =
                (node_at(first.0, DAYS).0.max(range.from.0), node_at(last.0, DAYS).1.min(range.to.0));
            if from >= to {
                continue;
            }
            let window = TimeRange::new(Timestamp(from), Timestamp(to));
            let mut foreign = Vec::new();
            for run in runs.iter().filter(|run| rows.sources().binary_search(&run.source()).is_err()) {
                let (first, last) = run.span();
                if window.touches(first, last) {
                    with_parts(&**run, window, |parts| {
                        foreign.extend(parts.iter().map(|part| (part.first.time, part.last.time)));
                        Ok(())
                    })?;
                }
            }
            let foreign = joined(foreign);
            let span = (first.0, last.0);
            let source = Source { rows: rows.clone(), span, foreign, window, levels: Default::default() };
            lanes[usize::from(rows.sources().len() == 1)].sources.push(source);
        }
        for lane in &mut lanes {
            lane.sources.sort_by_key(|source| source.span);
        }
        Ok(Stretches {
            folding,
            lanes,
            at: range.from.0,
            pending: None,
            ready: None,
            bin: (i64::MIN, i64::MIN),
            grid_end: i64::MIN,
        })
    }

    /// Samples are needed up to `to`.
    fn samples_until(&mut self, to: i64) {
        self.pending.get_or_insert(self.at);
        self.at = to;
    }

    /// The samples that are pending.
    fn flush(&mut self) -> Option<Stretch> {
        let from = self.pending.take().filter(|from| *from < self.at)?;
        Some(Stretch::Samples(TimeRange::new(Timestamp(from), Timestamp(self.at))))
    }

    /// Enters the bin that holds `at`, inside the range; `false` where none does.
    fn enter_bin(&mut self) -> bool {
        let range = self.folding.range;
        if self.at >= self.bin.1 {
            let Some(bin) = self.folding.grid.bin_behind(self.grid_end, self.at) else { return false };
            self.grid_end = bin.1;
            self.bin = (bin.0.max(range.from.0), bin.1.min(range.to.0));
        }
        true
    }

    /// Whether a node of `level` at `at` begins there and lies inside its bin.
    fn fits(&self, level: usize) -> bool {
        WIDTHS_NS[level] <= self.bin.1.saturating_sub(self.at) && begins_at(self.at, level)
    }

    /// As many nodes of `level` of one source of a lane as are the largest that can be used from `at` on; `None` if not even one
    /// can. Places without samples count, so there may be none.
    fn nodes(&mut self, (lane, number): (usize, usize), level: usize) -> Option<StoredNodes> {
        let begin = self.at;
        let mut found: Option<StoredNodes> = None;
        loop {
            let at = self.at;
            let end = at.saturating_add(WIDTHS_NS[level]);
            let source = &mut self.lanes[lane].sources[number];
            let has_some = source.span.0 < end && source.span.1 >= at;
            if !has_some || !source.alone(at, end) {
                break;
            }
            let Ok(record) = source.record(level, at) else { break };
            if let Some(loaded) = record {
                let holds = &self.folding.holds;
                let usable = |node: &Node| {
                    holds.unbroken(node.begin, node.end)
                        && !(self.folding.exclude_invalid && node.invalid > 0)
                };
                let node = loaded.node(level, at);
                if node.is_some_and(|node| !usable(node)) {
                    break;
                }
                if node.is_some() {
                    let place = loaded.next;
                    match &mut found {
                        None => {
                            let record = loaded.nodes.clone();
                            found = Some(StoredNodes { level, record, inside: place..place + 1 });
                        }
                        Some(found) if Arc::ptr_eq(&found.record, &loaded.nodes) => {
                            found.inside.end = place + 1;
                        }
                        Some(_) => break,
                    }
                }
            }
            self.at = end;
            let ends = self.at >= self.folding.range.to.0 || !self.enter_bin();
            if ends || !self.fits(level) || level < DAYS && self.fits(level + 1) {
                break;
            }
        }
        let none = || StoredNodes { level, record: Arc::default(), inside: 0..0 };
        (self.at > begin).then(|| found.unwrap_or_else(none))
    }

    /// Plans on; gives a stretch if one is complete.
    fn step(&mut self) -> Option<Stretch> {
        let range = self.folding.range;
        if !self.enter_bin() {
            self.samples_until(range.to.0);
            return None;
        }
        let at = self.at;
        let day_end = node_at(at, DAYS).1;
        let begun = self.lanes.each_mut().map(|lane| lane.begun(at, day_end));
        let places = || (0..).zip(&begun).flat_map(|(lane, begun)| begun.clone().map(move |of| (lane, of)));
        for level in (0..LEVELS).rev() {
            if !self.fits(level) {
                continue;
            }
            for place in places() {
                let before = self.at;
                let Some(nodes) = self.nodes(place, level) else { continue };
                // What is pending ends here, also where no sample lies.
                let pending = self.pending.take().filter(|from| *from < before);
                let samples =
                    pending.map(|from| Stretch::Samples(TimeRange::new(Timestamp(from), Timestamp(before))));
                if nodes.nodes().is_empty() {
                    return samples;
                }
                let nodes = Stretch::Nodes(nodes);
                if samples.is_none() {
                    return Some(nodes);
                }
                self.ready = Some(nodes);
                return samples;
            }
        }
        let (mut base, mut today) = (None, false);
        for (lane, number) in places() {
            let source = &mut self.lanes[lane].sources[number];
            if source.span.1 >= at {
                today = true;
                base = [base, source.base()].into_iter().flatten().min();
            }
        }
        let begins = || self.lanes.iter().flat_map(|lane| &lane.sources).map(|s| node_at(s.span.0, DAYS).0);
        let to = match base {
            Some(base) => node_at(at, base).1,
            None if today => day_end,
            None => begins().filter(|from| *from >= day_end).min().unwrap_or(range.to.0),
        };
        self.samples_until(to.min(range.to.0));
        None
    }
}

impl Iterator for Stretches<'_> {
    type Item = Stretch;

    fn next(&mut self) -> Option<Stretch> {
        if let Some(stretch) = self.ready.take() {
            return Some(stretch);
        }
        while self.at < self.folding.range.to.0 {
            if let Some(stretch) = self.step() {
                return Some(stretch);
            }
        }
        self.flush()
    }
}

/// Closed intervals in order, those that touch made one.
fn joined(mut intervals: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    intervals.sort_unstable();
    let mut out: Vec<(i64, i64)> = Vec::new();
    for (first, last) in intervals {
        match out.last_mut() {
            Some(before) if before.1 >= first => before.1 = before.1.max(last),
            _ => out.push((first, last)),
        }
    }
    out
}
