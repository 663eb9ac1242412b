//! `/samples`: raw samples of many channels in one pass, bounded in memory.

use super::each::problem;
use super::timeline::{numbers, single, state_at};
use crate::cursor::Cursor;
use crate::error::{ApiError, Code};
use crate::limits::{TEXT_SAMPLES_MAX, VIEWS_HELD_MAX};
use crate::names::{self, Target};
use crate::output::{Output, Stopped, Writer};
use crate::query::Query;
use crate::render::{Beside, Closing, ColumnsFormat, CsvFormat, Ending, Format, JsonFormat, Side};
use crate::segments::{Reading, Segments};
use crate::server::ServerState;
use crate::transform::Transform;
use decimator::coverage::State;
use engine::read::{ChannelView, Order, Position, Problem, ProblemCode, ReadError, Scan};
use sample::{ChannelName, TimeRange, Timestamp};
use serde_json::{Value, json};
use std::collections::HashSet;

/// One channel of the answer: planned, not read.
struct Planned {
    target: Target,
    view: Option<ChannelView>,
}

/// The whole request, understood.
struct Plan {
    range: TimeRange,
    reading: Reading,
    /// Whether this answer goes on where another was cut.
    continued: bool,
    edge: bool,
    after: bool,
    channels: Vec<Planned>,
    /// Samples of the answer, estimated.
    estimate: u64,
}

fn format_of(query: &Query) -> Box<dyn Format> {
    let edge = query.flag("edge") == Some(true) || query.flag("after") == Some(true);
    let numbers = numbers(query);
    match query.choice("format") {
        Some("csv") => Box::new(CsvFormat::new(numbers.nonfinite_null, edge)),
        Some("columns") => Box::new(ColumnsFormat::new(numbers, edge)),
        _ => Box::new(JsonFormat::new(numbers, query.choice("time") == Some("iso"))),
    }
}

/// `/samples`.
pub(super) fn answer(state: &ServerState, query: &Query, output: &mut dyn Output) -> Result<(), Stopped> {
    let mut plan = plan(state, query)?;
    let mut format = format_of(query);
    let is_columns = query.choice("format") == Some("columns");
    if !is_columns && plan.estimate > TEXT_SAMPLES_MAX {
        let message = format!(
            "about {} samples are too many for JSON and CSV, which take {TEXT_SAMPLES_MAX}; use format=columns, \
             limit= with cursor=, or a shorter range",
            plan.estimate
        );
        return Err(ApiError::of(Code::TooLarge, message).into());
    }
    let mut out = Writer::new(output, format.media_type());
    out.head.samples = Some(plan.estimate);
    let channels = std::mem::take(&mut plan.channels);
    if !format.tells_problems() {
        tell_ahead(state, &plan, &channels, &mut out);
    }
    let mut run = Run { state, plan: &plan, format: &mut *format, problems: Vec::new(), durable_until: None };
    run.format.start(&mut out, plan.range)?;
    for planned in channels {
        run.channel(&mut out, planned)?;
    }
    let Run { problems, durable_until, .. } = run;
    format.end(&mut out, &Ending { problems, durable_until })?;
    out.finish()
}

fn plan(state: &ServerState, query: &Query) -> Result<Plan, ApiError> {
    let range = query.range()?;
    let cursor = query.cursor();
    let order = match (cursor, query.choice("order")) {
        (Some(cursor), _) => cursor.order,
        (None, Some("desc")) => Order::Descending,
        (None, _) => Order::Ascending,
    };
    let targets = names::targets(&state.reader, query)?;
    if let Some(cursor) = cursor {
        let own =
            matches!(targets.as_slice(), [Target::Known { stored, .. }] if cursor.is_of(stored.as_str()));
        if !own {
            let message = "cursor belongs to one other channel: pass it with the channel whose next it was";
            return Err(ApiError::parameter("cursor", message));
        }
    }
    let skip_damaged = query.choice("damaged") == Some("skip");
    let scan = Scan { range, order, beyond: cursor.map(|c| c.position), skip_damaged };
    let limit = query.count("limit").filter(|limit| *limit > 0);
    let mut plan = Plan {
        range,
        reading: Reading { scan, limit, transform: Transform::of(query) },
        continued: cursor.is_some(),
        edge: query.flag("edge").unwrap_or(matches!(query.choice("format"), None | Some("json"))),
        after: query.flag("after").unwrap_or(false),
        channels: Vec::new(),
        estimate: 0,
    };
    let held = targets.len() <= VIEWS_HELD_MAX;
    let alone = targets.len() == 1;
    let left = plan.left();
    for target in targets {
        let mut view = None;
        if let Target::Known { stored, .. } = &target {
            let planned = look(state, stored, plan.range)
                .and_then(|view| Ok((view.estimate(left)?.min(limit.unwrap_or(u64::MAX)), view)));
            match planned {
                Ok((estimate, planned)) => {
                    plan.estimate = plan.estimate.saturating_add(estimate);
                    view = held.then_some(planned);
                }
                Err(error) if alone => return Err(ApiError::read(&error, Some(target.name()))),
                // Told when the channel's turn comes.
                Err(_) => {}
            }
        }
        plan.channels.push(Planned { target, view });
    }
    Ok(plan)
}

impl Plan {
    /// The part of the range that is still to be answered.
    fn left(&self) -> TimeRange {
        match (self.reading.scan.beyond, self.reading.scan.order) {
            (None, _) => self.range,
            (Some(position), Order::Ascending) => TimeRange::new(Timestamp(position.time), self.range.to),
            (Some(position), Order::Descending) => {
                TimeRange::new(self.range.from, Timestamp(position.time).saturating_add(1))
            }
        }
    }

    /// The part of the range that a page answered which was cut at `next`; pages fill the range exactly.
    fn page(&self, next: Option<Position>) -> TimeRange {
        let mut page = self.range;
        let behind = |position: Position| Timestamp(position.time).saturating_add(1);
        match self.reading.scan.order {
            Order::Ascending => {
                page.from = self.reading.scan.beyond.map_or(page.from, behind);
                page.to = next.map_or(page.to, behind);
            }
            Order::Descending => {
                page.to = self.reading.scan.beyond.map_or(page.to, |p| Timestamp(p.time));
                page.from = next.map_or(page.from, |p| Timestamp(p.time));
            }
        }
        page
    }

    fn next(&self, stored: &ChannelName, position: Position) -> String {
        Cursor::new(stored.as_str(), self.range, self.reading.scan.order, position).encode()
    }
}

fn look(state: &ServerState, stored: &ChannelName, range: TimeRange) -> Result<ChannelView, ReadError> {
    let gone = || ReadError::Unavailable(format!("{stored} has gone from the archive"));
    state.reader.view(stored, range)?.ok_or_else(gone)
}

/// What a format without an end must tell in headers: refused channels, known problems, where cut answers go on.
fn tell_ahead(state: &ServerState, plan: &Plan, channels: &[Planned], out: &mut Writer<'_>) {
    for Planned { target, view } in channels {
        match (target, view) {
            (Target::Refused { name, error }, _) => {
                let message = &error.message;
                out.head.problems.push(
                    json!({"code": error.code.name(), "channel": name, "message": message, "near": error.near}),
                );
            }
            (Target::Known { stored, .. }, view) => {
                let viewed;
                let view = match view {
                    Some(view) => view,
                    None => match look(state, stored, plan.range) {
                        Ok(view) => {
                            viewed = view;
                            &viewed
                        }
                        Err(_) => continue,
                    },
                };
                out.head.problems.extend(view.problems().iter().map(|p| problem(target.name(), p)));
                if let Some(position) = plan.reading.limit.and_then(|limit| cut(plan, view, limit)) {
                    let next = plan.next(stored, position);
                    out.head.next.push(json!({"channel": target.name(), "next": next}));
                }
            }
        }
    }
}

/// Where `limit` cuts a channel's answer, found by reading it; an error shows again when it is answered.
fn cut(plan: &Plan, view: &ChannelView, limit: u64) -> Option<Position> {
    let mut left = limit;
    let mut last = None;
    for block in view.samples(&plan.reading.scan) {
        let block = block.ok()?;
        let count = block.len() as u64;
        if left == 0 && count > 0 {
            return last;
        }
        let keep = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        if keep > 0 {
            let index = match plan.reading.scan.order {
                Order::Ascending => keep - 1,
                Order::Descending => block.len() - keep,
            };
            let (time, rank) = block.position(index);
            last = Some(Position { time, rank });
        }
        if count > left {
            return last;
        }
        left -= count;
    }
    None
}

/// An answer in progress.
struct Run<'a> {
    state: &'a ServerState,
    plan: &'a Plan,
    format: &'a mut dyn Format,
    problems: Vec<Value>,
    durable_until: Option<Timestamp>,
}

impl Run<'_> {
    /// Tells a problem in the way of the format.
    fn report(&mut self, out: &mut Writer<'_>, name: &str, found: &Problem) -> Result<(), Stopped> {
        let problem = problem(name, found);
        if self.format.tells_problems() {
            self.problems.push(problem);
        } else if !out.head.problems.contains(&problem) {
            if out.started() {
                let code = match found.code {
                    ProblemCode::Damaged => Code::Damaged,
                    ProblemCode::ArchiveUnavailable => Code::Unavailable,
                    ProblemCode::Limit => Code::TooLarge,
                };
                return Err(Stopped::Broken(ApiError::of(code, found.message.clone())));
            }
            out.head.problems.push(problem);
        }
        Ok(())
    }

    fn failed(&mut self, out: &mut Writer<'_>, name: &str, error: &ReadError) -> Result<(), Stopped> {
        let range = self.plan.range;
        let found = match error {
            ReadError::Damaged { file, span, .. } => Problem {
                code: ProblemCode::Damaged,
                range: span.map_or(range, |(first, last)| TimeRange::new(first, last.saturating_add(1))),
                file: Some(file.clone()),
                message: error.to_string(),
            },
            _ => Problem {
                code: ProblemCode::ArchiveUnavailable,
                range,
                file: None,
                message: error.to_string(),
            },
        };
        self.report(out, name, &found)
    }

    fn channel(&mut self, out: &mut Writer<'_>, planned: Planned) -> Result<(), Stopped> {
        let Target::Known { stored, .. } = &planned.target else {
            return self.format.refused(out, &planned.target);
        };
        let name = planned.target.name();
        let view = match planned.view {
            Some(view) => Ok(view),
            None => look(self.state, stored, self.plan.range),
        };
        let view = match view {
            Ok(view) => view,
            Err(error) => {
                let refused = Target::Refused { name: name.into(), error: ApiError::read(&error, None) };
                self.format.refused(out, &refused)?;
                return self.failed(out, name, &error);
            }
        };
        self.format.open(out, &planned.target)?;
        let (first, second) = match self.plan.reading.scan.order {
            Order::Ascending => (Side::Edge, Side::After),
            Order::Descending => (Side::After, Side::Edge),
        };
        self.beside(out, name, &view, first)?;
        let mut segments = Segments::new(&self.state.reader, view, self.plan.reading);
        let mut samples = 0;
        loop {
            match segments.segment() {
                Ok(Some(segment)) => {
                    samples += segment.block.len() as u64;
                    out.samples += segment.block.len() as u64;
                    self.format.segment(out, &segment)?;
                }
                Ok(None) => break,
                Err(error) => {
                    self.failed(out, name, &error)?;
                    break;
                }
            }
        }
        let next = segments.next();
        let view = segments.view();
        self.beside(out, name, view, second)?;
        let mut told = HashSet::new();
        for found in view.problems() {
            if told.insert(found.message.clone()) {
                self.report(out, name, &found)?;
            }
        }
        let durable_until = view.durable_until();
        self.durable_until = Some(self.durable_until.map_or(durable_until, |d| d.min(durable_until)));
        let mut gaps = view.coverage(self.plan.page(next)).intervals;
        gaps.retain(|interval| interval.state != State::Held);
        let next = next.map(|position| self.plan.next(stored, position));
        self.format.close(out, &Closing { gaps, next, samples })
    }

    /// The sample before or behind the range, if it was asked for; a continued answer has had it.
    fn beside(
        &mut self,
        out: &mut Writer<'_>,
        name: &str,
        view: &ChannelView,
        side: Side,
    ) -> Result<(), Stopped> {
        let TimeRange { from, to } = self.plan.range;
        let (wanted, found) = match side {
            Side::Edge if self.plan.edge && !self.plan.continued => (true, view.last_before(from, true)),
            Side::After if self.plan.after && !self.plan.continued => (true, view.first_from(to)),
            Side::Edge => (self.plan.edge, Ok(None)),
            Side::After => (self.plan.after, Ok(None)),
        };
        if !wanted {
            return Ok(());
        }
        let sample = match found {
            // A sample on the range's start is inside it.
            Ok(Some(sample)) if side == Side::Edge && sample.time == from && from < to => None,
            Ok(sample) => sample,
            Err(error) => {
                self.failed(out, name, &error)?;
                None
            }
        };
        let beside = sample.map(|sample| Beside {
            segment: single(view, &sample, &self.plan.reading.transform),
            held: (side == Side::Edge).then(|| state_at(view, from) == State::Held),
        });
        self.format.beside(out, side, beside.as_ref())
    }
}
