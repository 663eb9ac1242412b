//! `/table`: many channels on one grid of times.

use super::each::problem;
use super::plan::look;
use super::search::{Found, found};
use super::timeline::{numbers, single};
use crate::blocks::Blocks;
use crate::error::{ApiError, Code};
use crate::limits::{TABLE_CHANNELS_MAX, TABLE_JSON_ROWS_MAX, TEXT_SAMPLES_MAX};
use crate::names::{self, Target};
use crate::output::{Output, Stopped, Writer};
use crate::query::Query;
use crate::render::{Ending, TableColumns, TableCsv, TableFormat, TableJson};
use crate::selection::Selection;
use crate::server::ServerState;
use crate::table::{Distinct, Filler, Means, Pieces, Row, Rows, Rule, Times, folding};
use crate::transform::Transform;
use crate::width::Width;
use decimator::fold::Folding;
use decimator::grid::Grid;
use engine::read::{ChannelView, Problem, ReadError, Scan};
use sample::{TimeRange, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;

/// Where rows stand.
enum Spacing {
    Steps(Grid),
    At(String),
    Union,
}

/// What is asked of every channel.
struct Asked {
    range: TimeRange,
    spacing: Spacing,
    rule: Rule,
    max_age: Option<i64>,
    transform: Transform,
    skip_damaged: bool,
}

impl Asked {
    fn of(query: &Query) -> Result<Asked, ApiError> {
        let range = query.range()?;
        let spacing = match query.text("grid") {
            None => {
                let message = "is missing: a step like grid=1s, the times of one channel with grid=at:CHANNEL, \
                               or grid=union";
                return Err(ApiError::parameter("grid", format!("grid {message}")));
            }
            Some("union") => Spacing::Union,
            Some(text) => match (text.strip_prefix("at:"), Width::parse(text)) {
                (Some(name), _) => Spacing::At(name.into()),
                (None, Some(width)) => Spacing::Steps(width.grid(range, query.zone.as_ref())),
                (None, None) => {
                    let message =
                        format!("grid {text:?} is no step like 1s, 5m or 1d, nor at:CHANNEL, nor union");
                    return Err(ApiError::parameter("grid", message));
                }
            },
        };
        let rule = match query.choice("fill") {
            Some("none") => Rule::Exact,
            Some("linear") => Rule::Linear,
            Some("mean") => Rule::Mean,
            _ => Rule::Hold,
        };
        if rule == Rule::Mean && !matches!(spacing, Spacing::Steps(_)) {
            return Err(ApiError::parameter(
                "fill",
                "fill=mean needs a grid of one step, for example grid=10s",
            ));
        }
        let max_age = query.duration("max_age");
        if max_age.is_some() && !matches!(rule, Rule::Hold | Rule::Linear) {
            return Err(ApiError::parameter("max_age", "max_age belongs to fill=hold and fill=linear"));
        }
        Ok(Asked {
            range,
            spacing,
            rule,
            max_age,
            transform: Transform::of(query),
            skip_damaged: query.choice("damaged") == Some("skip"),
        })
    }

    fn scan(&self, range: TimeRange) -> Scan {
        Scan { skip_damaged: self.skip_damaged, ..Scan::ascending(range) }
    }

    fn folding(&self) -> Option<Folding> {
        match &self.spacing {
            Spacing::Steps(grid) if self.rule == Rule::Mean => Some(folding(grid, self.range)),
            _ => None,
        }
    }
}

/// The channels of a table, looked at once.
struct Planned<'a> {
    state: &'a ServerState,
    asked: &'a Asked,
    targets: &'a [Target],
    /// Views of those that can be answered, with their places.
    views: Vec<(usize, Arc<ChannelView>)>,
    /// What cannot be read from the start.
    failed: Vec<(usize, ReadError)>,
    /// When the condition held, if there is one: rows outside are left out.
    found: Option<Found>,
    /// The channel whose times are those of the rows.
    at: Option<(String, Arc<ChannelView>)>,
}

/// The range whose samples a table is made of: of means all of the bins at its ends.
pub(super) fn range(query: &Query) -> Result<TimeRange, ApiError> {
    let asked = Asked::of(query)?;
    Ok(asked.folding().map_or(asked.range, |folding| folding.range))
}

/// `/table`.
pub(super) fn answer(state: &ServerState, query: &Query, output: &mut dyn Output) -> Result<(), Stopped> {
    let asked = Asked::of(query)?;
    let targets = names::targets(&state.reader, query)?;
    if targets.len() > TABLE_CHANNELS_MAX {
        let message = format!("{} channels; a table has {TABLE_CHANNELS_MAX} at most", targets.len());
        return Err(ApiError::of(Code::TooLarge, message).into());
    }
    let found = found(state, query, at_least_an_instant(asked.range))?;
    let planned = Planned { found, ..Planned::of(state, &asked, &targets)? };
    let format = TableFormat::of(query.choice("format"));
    let rows = planned.estimate()?;
    if format != TableFormat::Columns {
        refuse_too_much(rows, targets.len(), format)?;
    }
    let mut out = Writer::new(output, format.media_type());
    let folding = asked.folding();
    match format {
        TableFormat::Json => planned.json(&mut out, query, folding.as_ref())?,
        TableFormat::Csv | TableFormat::Columns => {
            planned.streamed(&mut out, query, folding.as_ref(), format)?;
        }
    }
    out.finish()
}

/// A range of one instant has a value, too.
fn at_least_an_instant(range: TimeRange) -> TimeRange {
    TimeRange::new(range.from, range.to.max(range.from.saturating_add(1)))
}

fn too_large(message: String) -> ApiError {
    ApiError::of(Code::TooLarge, message)
}

fn refuse_too_much(rows: u64, channels: usize, format: TableFormat) -> Result<(), ApiError> {
    let cells = rows.saturating_mul(channels as u64);
    let advice = "use format=columns, a wider grid or a shorter range";
    if cells > TEXT_SAMPLES_MAX {
        let message = format!(
            "about {cells} values are too many for JSON and CSV, which take {TEXT_SAMPLES_MAX}; {advice}"
        );
        return Err(too_large(message));
    }
    if format == TableFormat::Json && rows > TABLE_JSON_ROWS_MAX {
        let message =
            format!("about {rows} rows are too many for JSON, which takes {TABLE_JSON_ROWS_MAX}; {advice}");
        return Err(too_large(message));
    }
    Ok(())
}

impl<'a> Planned<'a> {
    fn of(state: &'a ServerState, asked: &'a Asked, targets: &'a [Target]) -> Result<Planned<'a>, ApiError> {
        let range = asked.folding().map_or(asked.range, |folding| folding.range);
        let (mut views, mut failed) = (Vec::new(), Vec::new());
        for (place, target) in targets.iter().enumerate() {
            let Target::Known { stored, .. } = target else { continue };
            match look(state, stored, range) {
                Ok(view) => views.push((place, Arc::new(view))),
                Err(error) if targets.len() == 1 => return Err(ApiError::read(&error, Some(target.name()))),
                Err(error) => failed.push((place, error)),
            }
        }
        let at = match &asked.spacing {
            Spacing::At(name) => match names::resolve(&state.reader, name)? {
                Target::Refused { error, .. } => return Err(error),
                Target::Known { name, stored } => {
                    let view = look(state, &stored, range)
                        .map_err(|error| ApiError::read(&error, Some(name.as_str())))?;
                    Some((name.to_string(), Arc::new(view)))
                }
            },
            Spacing::Steps(_) | Spacing::Union => None,
        };
        Ok(Planned { state, asked, targets, views, failed, found: None, at })
    }

    /// About how many rows there are, or more.
    fn estimate(&self) -> Result<u64, ApiError> {
        let range = self.asked.range;
        let of = |view: &ChannelView| view.estimate(range).map_err(|error| ApiError::read(&error, None));
        match (&self.asked.spacing, &self.at) {
            (Spacing::Steps(grid), _) => Ok(grid.count(range)),
            (Spacing::At(_), Some((_, view))) => of(view),
            _ => self.views.iter().try_fold(0u64, |sum, (_, view)| Ok(sum.saturating_add(of(view)?))),
        }
    }

    fn selection(&self) -> Option<Selection> {
        self.found.as_ref().map(|found| found.selection.clone())
    }

    fn times(&self) -> Times<'a> {
        let times = self.all_times();
        match self.selection() {
            Some(selection) => times.within(selection),
            None => times,
        }
    }

    fn all_times(&self) -> Times<'a> {
        let range = self.asked.range;
        if range.from == range.to {
            return Times::Given(vec![range.from.0].into_iter());
        }
        let distinct = |view: &Arc<ChannelView>| {
            Distinct::new(Blocks::new(&self.state.reader, view.clone(), self.asked.scan(range)))
        };
        match (&self.asked.spacing, &self.at) {
            (Spacing::Steps(grid), _) => Times::steps(grid.clone(), range),
            (Spacing::At(_), Some((_, view))) => Times::Of(vec![distinct(view)]),
            _ => Times::Of(self.views.iter().map(|(_, view)| distinct(view)).collect()),
        }
    }

    fn filler(&self, view: &Arc<ChannelView>, folding: Option<&'a Folding>) -> Result<Filler<'a>, ReadError> {
        let Asked { range, rule, max_age, transform, .. } = *self.asked;
        if let Some(folding) = folding {
            let blocks = Blocks::new(&self.state.reader, view.clone(), self.asked.scan(folding.range))
                .within(self.selection());
            return Ok(Filler::of_means(Means::new(blocks, folding), range));
        }
        let row = |sample: &sample::Sample| (Arc::new(single(view, sample, &transform)), 0);
        // A range of one instant still has its samples.
        let to = range.to.max(range.from.saturating_add(1));
        let edge = match rule {
            Rule::Hold | Rule::Linear => view.last_before(range.from, false)?.as_ref().map(row),
            Rule::Exact | Rule::Mean => None,
        };
        let after = match rule {
            Rule::Linear => view.first_from(to)?.as_ref().map(row),
            Rule::Hold | Rule::Exact | Rule::Mean => None,
        };
        // Between neighbours beside the range values must be held, too.
        let time = |row: &Row| Timestamp(row.0.block.time[row.1]);
        let mut wide = TimeRange::new(range.from, to);
        let mut view = view.clone();
        if rule == Rule::Linear {
            wide.from = edge.as_ref().map_or(wide.from, time);
            wide.to = after.as_ref().map_or(wide.to, |row| time(row).saturating_add(1));
            if wide.from < range.from {
                view = Arc::new(look(self.state, view.name(), wide)?);
            }
        }
        let scan = self.asked.scan(TimeRange::new(range.from, to));
        let pieces = Pieces::new(Blocks::new(&self.state.reader, view, scan), transform);
        Ok(Filler::of_samples(pieces, rule, wide, max_age, (edge, after)))
    }

    fn problem(&self, place: usize, error: &ReadError) -> Value {
        problem(self.targets[place].name(), &Problem::of(error, self.asked.range))
    }

    /// Problems of the instants; those of `union` are told with their channels.
    fn problems_of_times(&self, times: &Times<'_>) -> Vec<Value> {
        let of_at = |(_, error): (usize, ReadError)| {
            let name = self.at.as_ref().map_or("", |(name, _)| name.as_str());
            problem(name, &Problem::of(&error, self.asked.range))
        };
        let is_at = self.at.is_some();
        times.failures().into_iter().filter(|_| is_at).map(of_at).collect()
    }

    fn problems_of(&self, place: usize, filler: &Filler<'_>) -> Vec<Value> {
        let failure = filler.failure().map(|error| Problem::of(error, self.asked.range));
        let mut told: Vec<Value> = Vec::new();
        for found in failure.into_iter().chain(filler.view().problems()) {
            let found = problem(self.targets[place].name(), &found);
            if told.iter().all(|known| known["message"] != found["message"]) {
                told.push(found);
            }
        }
        told
    }

    /// What describes a channel of the table.
    fn object(&self, place: usize, view: &ChannelView, query: &Query) -> Value {
        let mut object = self.targets[place].object();
        let last = self.asked.range.to.saturating_add(-1);
        let metadata = view.metadata_at(last).or_else(|| view.metadata().first());
        object["type"] = match self.asked.rule {
            Rule::Linear | Rule::Mean => json!("float64"),
            Rule::Hold | Rule::Exact => {
                let newest = view.last_before(self.asked.range.to, false).ok().flatten();
                let segment = newest.map(|sample| single(view, &sample, &self.asked.transform));
                json!(segment.map(|segment| segment.block.run.value.name()))
            }
        };
        object["metadata"] = numbers(query).metadata(metadata.map(|(_, metadata)| &**metadata));
        object
    }

    fn durable_until(&self) -> Option<Timestamp> {
        self.views.iter().map(|(_, view)| view.durable_until()).min()
    }

    fn ending(&self, mut problems: Vec<Value>) -> Ending {
        problems.extend(self.found.iter().flat_map(|found| found.problems.clone()));
        problems.extend(self.failed.iter().map(|(place, error)| self.problem(*place, error)));
        Ending { problems, durable_until: self.durable_until() }
    }

    /// Column by column: each is read by itself along the instants, which are held.
    fn json(&self, out: &mut Writer<'_>, query: &Query, folding: Option<&'a Folding>) -> Result<(), Stopped> {
        let mut source = self.times();
        let mut times = Vec::new();
        while let Some(time) = source.next() {
            times.push(time);
            if times.len() as u64 > TABLE_JSON_ROWS_MAX {
                return Err(refuse_too_much(times.len() as u64, 1, TableFormat::Json)
                    .err()
                    .map_or(Stopped::Broken(too_large("too many rows".into())), Stopped::Refused));
            }
        }
        let mut problems = self.problems_of_times(&source);
        let mut format = TableJson::new(numbers(query));
        format.start(out, self.asked.range, &times)?;
        for (place, target) in self.targets.iter().enumerate() {
            let Some((_, view)) = self.views.iter().find(|(of, _)| *of == place) else {
                let mut object = target.object();
                if let Some((_, error)) = self.failed.iter().find(|(of, _)| *of == place) {
                    object["error"] = ApiError::read(error, None).object();
                }
                format.column(out, &object, false);
                continue;
            };
            let filler = match self.filler(view, folding) {
                Ok(filler) => filler,
                Err(error) => {
                    problems.push(self.problem(place, &error));
                    let mut object = target.object();
                    object["error"] = ApiError::read(&error, None).object();
                    format.column(out, &object, false);
                    continue;
                }
            };
            format.column(out, &self.object(place, view, query), true);
            let mut rows = Rows::new(Times::Given(times.clone().into_iter()), vec![filler]);
            let mut severities = Vec::new();
            while let Some(block) = rows.next() {
                for column in &block.columns {
                    format.cells(out, column, severities.is_empty())?;
                    let held = column.held.iter().zip(&column.severity);
                    severities.extend(held.map(|(held, severity)| (*held != 0).then_some(*severity)));
                }
            }
            format.close(out, &severities)?;
            problems.extend(rows.fillers().iter().flat_map(|filler| self.problems_of(place, filler)));
        }
        format.end(out, &self.ending(problems));
        Ok(())
    }

    /// Row by row, all channels together.
    fn streamed(
        &self,
        out: &mut Writer<'_>,
        query: &Query,
        folding: Option<&'a Folding>,
        format: TableFormat,
    ) -> Result<(), Stopped> {
        let is_csv = format == TableFormat::Csv;
        let (mut fillers, mut places, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        let mut objects: Vec<Value> = self.targets.iter().map(Target::object).collect();
        for (place, error) in &self.failed {
            objects[*place]["error"] = ApiError::read(error, None).object();
        }
        for (place, view) in &self.views {
            match self.filler(view, folding) {
                Ok(filler) => {
                    objects[*place] = self.object(*place, view, query);
                    places.push(*place);
                    fillers.push(filler);
                }
                Err(error) => {
                    problems.push(self.problem(*place, &error));
                    objects[*place]["error"] = ApiError::read(&error, None).object();
                }
            }
        }
        let columns: Vec<Value> = places.iter().map(|place| objects[*place].clone()).collect();
        if is_csv {
            for object in objects.iter().filter(|object| object.get("error").is_some()) {
                let (name, error) = (&object["name"], &object["error"]);
                out.head.problems.push(json!({
                    "code": error["code"], "channel": name, "message": error["message"], "near": error["near"],
                }));
            }
            out.head.problems.extend(self.found.iter().flat_map(|found| found.problems.clone()));
            for (_, view) in &self.views {
                let told = view.problems();
                out.head.problems.extend(told.iter().map(|p| problem(view.name().as_str(), p)));
            }
        }
        let mut rows = Rows::new(self.times(), fillers);
        if is_csv {
            let names = places.iter().map(|place| self.targets[*place].name());
            let mut csv = TableCsv::start(out, names, numbers(query).nonfinite_null);
            while let Some(block) = rows.next() {
                out.samples += block.times.len() as u64;
                csv.rows(out, &block)?;
            }
        } else {
            let mut stream = TableColumns::start(out, self.asked.range, objects)?;
            while let Some(block) = rows.next() {
                stream.rows(out, block, &columns)?;
            }
            problems.extend(self.problems_behind(&rows, &places));
            return stream.end(out, &self.ending(problems));
        }
        let problems = self.problems_behind(&rows, &places);
        if !out.started() {
            // What was known before and what was met: each once.
            for found in problems {
                if out.head.problems.iter().all(|known| known["message"] != found["message"]) {
                    out.head.problems.push(found);
                }
            }
        } else if rows.fillers().iter().any(|filler| filler.failure().is_some())
            || !rows.times().failures().is_empty()
        {
            let message =
                problems.first().map_or("reading failed", |p| p["message"].as_str().unwrap_or_default());
            return Err(Stopped::Broken(ApiError::of(Code::Damaged, message)));
        }
        Ok(())
    }

    fn problems_behind(&self, rows: &Rows<'_>, places: &[usize]) -> Vec<Value> {
        let mut problems = self.problems_of_times(rows.times());
        for (place, filler) in places.iter().zip(rows.fillers()) {
            problems.extend(self.problems_of(*place, filler));
        }
        problems
    }
}
