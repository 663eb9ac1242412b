//! `/bins`: statistics of many channels in bins of time, folded as samples are read.

use super::arrow::Told;
use super::each::problem;
use super::plan::look;
use super::search::found;
use super::timeline::numbers;
use crate::bin_fold::{BinFold, SelectedFold};
use crate::bin_table::{BinTable, States};
use crate::blocks::Blocks;
use crate::error::{ApiError, Code};
use crate::json::text;
use crate::limits::{BINS_BATCH_MAX, BINS_JSON_MAX, TEXT_SAMPLES_MAX};
use crate::names::{self, Target};
use crate::output::{Output, Stopped, Writer};
use crate::query::Query;
use crate::render::{BinFormat, BinsOf, Ending};
use crate::routes::STATS;
use crate::selection::Selection;
use crate::server::ServerState;
use decimator::bins::{Bin, Empty};
use decimator::fold::{Fold, Folding};
use decimator::grid::Grid;
use decimator::holds::Holds;
use decimator::node::Held;
use decimator::states::StateFold;
use engine::read::{ChannelView, Problem, ProblemCode, ReadError, Scan, Stretch};
use sample::{Column, Sample, SampleBlock, Severity, TimeRange, Timestamp, Value};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Statistics of what was held between samples.
const OF_HELD: [&str; 3] = ["twmean", "covered_ns", "states"];

/// What is asked of every channel.
struct Asked {
    range: TimeRange,
    grid: Grid,
    stats: Vec<&'static str>,
    exclude_invalid: bool,
    empty: Empty,
    skip_damaged: bool,
}

impl Asked {
    fn of(query: &Query) -> Result<Asked, ApiError> {
        let range = query.range()?;
        let grid = match (query.count("bins"), query.width()) {
            (Some(0), _) => {
                return Err(ApiError::parameter(
                    "bins",
                    "bins is 0; expected how many there may be, 1 or more",
                ));
            }
            (Some(_), Some(_)) => {
                return Err(ApiError::parameter("width", "width and bins are both given; one is enough"));
            }
            (Some(bins), None) => Grid::for_count(range, bins),
            (None, Some(width)) => width.grid(range, query.zone.as_ref()),
            (None, None) => {
                let message = "bins is missing: say how many with bins=1000, or how wide with width=60s";
                return Err(ApiError::parameter("bins", message));
            }
        };
        let all = &STATS[..STATS.len() - 1];
        let stats = query.words("stats").unwrap_or(all).to_vec();
        Ok(Asked {
            range,
            grid,
            stats,
            exclude_invalid: query.choice("exclude") == Some("invalid"),
            empty: match (query.flag("empty"), query.choice("fill")) {
                (Some(true), _) => Empty::All,
                (_, Some("hold")) => Empty::Held,
                _ => Empty::Skip,
            },
            skip_damaged: query.choice("damaged") == Some("skip"),
        })
    }

    /// Whether what was held before the range matters.
    fn needs_edge(&self) -> bool {
        self.empty != Empty::Skip || self.stats.iter().any(|stat| OF_HELD.contains(stat))
    }
}

/// `/bins`.
pub(super) fn answer(state: &ServerState, query: &Query, output: &mut dyn Output) -> Result<(), Stopped> {
    let asked = Asked::of(query)?;
    let targets = names::targets(&state.reader, query)?;
    let alone = targets.len() == 1;
    let mut format = format_of(state, query, &targets, asked.range)?;
    let bins = asked.grid.count(asked.range);
    let mut out = Writer::new(output, format.media_type());
    let found = found(state, query, asked.range)?;
    let mut problems = found.as_ref().map(|found| found.problems.clone()).unwrap_or_default();
    if !format.tells_problems() {
        out.head.problems.append(&mut problems);
    }
    let selection = found.map(|found| found.selection);
    let table = BinTable::new(&asked.stats);
    let durable_until = None;
    let mut running =
        Running { state, asked, selection, format: &mut format, table, problems, durable_until };
    if running.format.is_text() && running.asked.empty == Empty::All {
        let most = if running.format.is_json() { BINS_JSON_MAX } else { TEXT_SAMPLES_MAX };
        if bins > most {
            return Err(too_many(bins, most).into());
        }
    }
    if !running.format.tells_problems() {
        for target in &targets {
            if let Target::Refused { name, error } = target {
                out.head.problems.push(serde_json::json!({
                    "code": error.code.name(), "channel": name, "message": error.message, "near": error.near,
                }));
            }
        }
    }
    let mut started = false;
    for target in &targets {
        let Target::Known { stored, .. } = target else {
            running.start(&mut out, &mut started)?;
            running.format.refused(&mut out, target)?;
            continue;
        };
        match look(state, stored, running.asked.range) {
            Ok(view) => {
                running.start(&mut out, &mut started)?;
                running.channel(&mut out, target, view.bounded())?;
            }
            Err(error) if alone => return Err(ApiError::read(&error, Some(target.name())).into()),
            Err(error) => {
                running.start(&mut out, &mut started)?;
                let refused =
                    Target::Refused { name: target.name().into(), error: ApiError::read(&error, None) };
                running.format.refused(&mut out, &refused)?;
                let found = Problem::of(&error, running.asked.range);
                running.report(&mut out, target.name(), &found)?;
            }
        }
    }
    let Running { problems, durable_until, .. } = running;
    format.end(&mut out, &Ending { problems, durable_until })?;
    out.finish()
}

/// The format of an answer about `targets`. Arrow says what is known of a channel before its first bin.
fn format_of(
    state: &ServerState,
    query: &Query,
    targets: &[Target],
    range: TimeRange,
) -> Result<BinFormat, ApiError> {
    let numbers = numbers(query);
    if query.choice("format") != Some("arrow") {
        return Ok(BinFormat::new(query.choice("format"), numbers));
    }
    let (mut names, mut told) = (Vec::new(), Told::of(range));
    for target in targets {
        names.push(target.name().to_string());
        let mut object = target.object();
        if let (Target::Known { stored, .. }, Some(object)) = (target, object.as_object_mut()) {
            match look(state, stored, range) {
                Ok(view) => object.extend(of(&view, range).describe(numbers)),
                Err(error) if targets.len() == 1 => return Err(ApiError::read(&error, Some(target.name()))),
                // Told when the channel's turn comes.
                Err(_) => {}
            }
        }
        told.push(&object);
    }
    Ok(BinFormat::arrow(names, told.end(), numbers))
}

/// What is known of a channel's newest value, whether or not it is read for its bin.
fn of(view: &ChannelView, range: TimeRange) -> BinsOf {
    let metadata = view.metadata_at(range.to.saturating_add(-1)).or_else(|| view.metadata().first());
    BinsOf {
        value_type: view.type_before(range.to).unwrap_or(None),
        metadata: metadata.map(|m| m.1.clone()),
        bins: 0,
    }
}

fn too_many(bins: u64, most: u64) -> ApiError {
    let message = format!(
        "{bins} bins are too many for this format, which takes {most} a channel; use format=columns, wider bins or a \
         shorter range"
    );
    ApiError::of(Code::TooLarge, message)
}

/// An answer in progress.
struct Running<'a> {
    state: &'a ServerState,
    asked: Asked,
    /// When the condition held, if there is one.
    selection: Option<Selection>,
    format: &'a mut BinFormat,
    /// Bins that wait to be written; its room serves one channel after the other.
    table: BinTable,
    problems: Vec<Json>,
    durable_until: Option<Timestamp>,
}

impl Running<'_> {
    fn start(&mut self, out: &mut Writer<'_>, started: &mut bool) -> Result<(), Stopped> {
        if !std::mem::replace(started, true) {
            let states = self.asked.stats.contains(&"states");
            self.format.start(out, self.asked.range, &self.table, states)?;
        }
        Ok(())
    }

    fn report(&mut self, out: &mut Writer<'_>, name: &str, found: &Problem) -> Result<(), Stopped> {
        let problem = problem(name, found);
        if self.format.tells_problems() {
            self.problems.push(problem);
        } else if !out.started() {
            out.head.problems.push(problem);
        } else if !(self.asked.skip_damaged && found.code == ProblemCode::Damaged) {
            return Err(Stopped::Broken(ApiError::problem(found)));
        }
        Ok(())
    }

    fn channel(&mut self, out: &mut Writer<'_>, target: &Target, view: ChannelView) -> Result<(), Stopped> {
        let range = self.asked.range;
        let mut failure = None;
        let mut edge = None;
        if self.asked.needs_edge() {
            edge = view.last_before(range.from, false).unwrap_or_else(|error| {
                failure = Some(error);
                None
            });
        }
        let exclude_invalid = self.asked.exclude_invalid;
        let mut folding = Folding {
            range,
            grid: self.asked.grid.clone(),
            holds: Holds::of(&view.coverage(range)),
            exclude_invalid,
            empty: self.asked.empty,
            held: held(edge.as_ref(), exclude_invalid),
        };
        // What was held inside is known from samples outside, too.
        let selected = self.selection.clone().filter(|_| self.asked.needs_edge());
        let counting = selected.as_ref().map(|_| Folding { empty: Empty::Skip, ..folding.clone() });
        if let Some(selection) = &selected {
            folding.holds = folding.holds.within(selection.stretches());
            folding.empty = if self.asked.empty == Empty::All { Empty::All } else { Empty::Held };
        }
        let states = self.asked.stats.contains(&"states").then(|| {
            let first = edge.as_ref().filter(|sample| !left_out(sample.severity as u8, exclude_invalid));
            let first = first.and_then(|sample| match &sample.value {
                Value::Enum(index) => Some(*index),
                _ => None,
            });
            StateFold::new(range, &self.asked.grid, &folding.holds, first)
        });
        let of = of(&view, range);
        self.format.open(out, target)?;
        self.table.clear();
        let mut delivery =
            Delivery { table: &mut self.table, format: self.format, out, states, of, stopped: None };
        let scan = Scan { skip_damaged: self.asked.skip_damaged, ..Scan::ascending(range) };
        // Stored nodes hold all samples, and no states.
        let storable = delivery.states.is_none() && self.selection.is_none();
        let planned = if storable { view.stretches(&folding).map(Some) } else { Ok(None) };
        let mut stretches: Box<dyn Iterator<Item = Stretch>> = match planned {
            Ok(Some(stretches)) => Box::new(stretches),
            Ok(None) => Box::new(std::iter::once(Stretch::Samples(range))),
            Err(error) => {
                failure = failure.or(Some(error));
                Box::new(std::iter::empty())
            }
        };
        let read = if selected.is_some() { None } else { self.selection.clone() };
        let mut blocks = Blocks::new(&self.state.reader, view, scan).within(read);
        let mut fold = match (&selected, &counting) {
            (Some(selection), Some(counting)) => {
                BinFold::Selected(SelectedFold::new(selection, counting, &folding, self.asked.empty))
            }
            _ => BinFold::Plain(Fold::new(&folding)),
        };
        let mut values = Vec::new();
        while failure.is_none()
            && let Some(stretch) = stretches.next()
        {
            match stretch {
                Stretch::Nodes(of) => {
                    fold.nodes(&of, &mut |bin| delivery.take(bin));
                }
                Stretch::Samples(range) => {
                    blocks.go_to(range);
                    failure = delivery.samples(&mut blocks, &mut fold, &mut values, exclude_invalid).err();
                }
            }
            if let Some(stopped) = delivery.stopped {
                return Err(stopped);
            }
        }
        // Behind a failure nothing is known of the bin that was being filled.
        if failure.is_none() {
            delivery.end_of_range();
            fold.finish(&mut |bin| delivery.take(bin));
        }
        delivery.close()?;
        let view = blocks.view();
        let mut told = HashSet::new();
        let failure = failure.as_ref().map(|error| Problem::of(error, range));
        for found in failure.into_iter().chain(view.problems()) {
            if told.insert(found.message.clone()) {
                self.report(out, target.name(), &found)?;
            }
        }
        let durable_until = view.durable_until();
        self.durable_until = Some(self.durable_until.map_or(durable_until, |d| d.min(durable_until)));
        Ok(())
    }
}

/// Whether a sample of this severity does not count.
fn left_out(severity: u8, exclude_invalid: bool) -> bool {
    exclude_invalid && severity == Severity::Invalid as u8
}

/// What is held behind a sample.
fn held(sample: Option<&Sample>, exclude_invalid: bool) -> Held {
    let Some(sample) = sample.filter(|sample| !left_out(sample.severity as u8, exclude_invalid)) else {
        return Held::Nothing;
    };
    let mut block = SampleBlock::new(sample.run_type());
    block.push(sample);
    let mut numbers = Vec::new();
    if block.values.numbers(&mut numbers) { Held::Number(numbers[0]) } else { Held::Other }
}

/// One channel's bins on their way out.
struct Delivery<'a, 'o> {
    format: &'a mut BinFormat,
    out: &'a mut Writer<'o>,
    table: &'a mut BinTable,
    states: Option<StateFold<'a>>,
    of: BinsOf,
    /// Why nothing more is delivered.
    stopped: Option<Stopped>,
}

impl Delivery<'_, '_> {
    /// Learns how long which state was held.
    fn changes(&mut self, block: &SampleBlock, exclude_invalid: bool) {
        let Some(states) = &mut self.states else { return };
        for (i, time) in block.time.iter().enumerate() {
            let state = match &block.values {
                Column::Enum(indices) => Some(indices[i]),
                _ => None,
            };
            states.change(*time, state.filter(|_| !left_out(block.severity[i], exclude_invalid)));
        }
    }

    /// Folds all that `blocks` still have.
    fn samples(
        &mut self,
        blocks: &mut Blocks<'_>,
        fold: &mut BinFold<'_>,
        values: &mut Vec<f64>,
        exclude_invalid: bool,
    ) -> Result<(), ReadError> {
        while let Some(block) = blocks.next()? {
            self.changes(&block, exclude_invalid);
            fold.samples(block, values, &mut |bin| self.take(bin));
            if self.stopped.is_some() {
                break;
            }
        }
        Ok(())
    }

    fn end_of_range(&mut self) {
        if let Some(states) = &mut self.states {
            states.hold_to_end();
        }
    }

    fn take(&mut self, bin: &Bin) {
        if self.stopped.is_some() {
            return;
        }
        self.table.push(bin);
        if self.format.is_json() {
            if self.table.len() as u64 > BINS_JSON_MAX {
                let error = too_many(self.table.len() as u64, BINS_JSON_MAX);
                let stop = if self.out.started() { Stopped::Broken } else { Stopped::Refused };
                self.stopped = Some(stop(error));
            }
        } else if self.table.len() >= BINS_BATCH_MAX {
            self.stopped = self.flush().err();
        }
    }

    /// Hands over what is there.
    fn flush(&mut self) -> Result<(), Stopped> {
        if let (Some(fold), Some(last)) = (&mut self.states, self.table.starts().last()) {
            let taken = fold.take_before(last.saturating_add(1));
            self.table.states = Some(states_of(self.table.starts(), &taken, &self.of));
        }
        self.of.bins += self.table.len() as u64;
        self.format.rows(self.out, self.table, &self.of)?;
        self.table.clear();
        Ok(())
    }

    fn close(mut self) -> Result<(), Stopped> {
        if let Some(stopped) = self.stopped {
            return Err(stopped);
        }
        if self.table.len() > 0 || self.format.is_json() {
            self.flush()?;
        }
        self.format.close(self.out, &self.of)
    }
}

/// The states of `starts`, bin by bin; a state without a name is called by its number.
fn states_of(starts: &[i64], held: &BTreeMap<i64, BTreeMap<u16, i64>>, of: &BinsOf) -> States {
    let indices: BTreeSet<u16> = held.values().flat_map(|states| states.keys().copied()).collect();
    let names = of.metadata.as_ref().and_then(|m| m.states.as_deref()).unwrap_or(&[]);
    let label = |index: &u16| match names.get(usize::from(*index)) {
        Some(name) => text(name).into_owned(),
        None => index.to_string(),
    };
    let in_bin =
        |start: &i64, index: &u16| held.get(start).and_then(|states| states.get(index)).copied().unwrap_or(0);
    States {
        labels: indices.iter().map(label).collect(),
        ns: starts.iter().flat_map(|start| indices.iter().map(move |index| in_bin(start, index))).collect(),
        indices: indices.iter().copied().collect(),
    }
}
