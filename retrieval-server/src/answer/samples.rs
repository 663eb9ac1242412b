//! `/samples`: raw samples of many channels in one pass, bounded in memory.

use super::arrow;
use super::each::problem;
use super::plan::{Plan, Planned, cut, plan};
use super::timeline::{numbers, single, state_at};
use crate::error::{ApiError, Code};
use crate::json::{Elements as _, Numbers};
use crate::limits::TEXT_SAMPLES_MAX;
use crate::names::Target;
use crate::output::{Output, Stopped, Writer};
use crate::query::Query;
use crate::render::{Beside, Closing, ColumnsFormat, CsvFormat, Ending, Format, JsonFormat, Side};
use crate::segments::{Piece, Segment, Segments};
use crate::server::ServerState;
use crate::undecoded::Lent;
use decimator::coverage::State;
use engine::read::{ChannelView, Order, Problem, ProblemCode, ReadError};
use sample::{TimeRange, Timestamp};
use serde_json::{Value, json};
use std::collections::HashSet;

/// Samples, and elements of each, that an estimate of an answer's bytes looks at.
const MEASURED_SAMPLES: usize = 64;
const MEASURED_ELEMENTS: usize = 64;

fn format_of(
    state: &ServerState,
    plan: &Plan,
    channels: &mut [Planned],
    query: &Query,
) -> Result<Box<dyn Format>, ApiError> {
    let edge = query.flag("edge") == Some(true) || query.flag("after") == Some(true);
    let numbers = numbers(query);
    Ok(match query.choice("format") {
        Some("csv") => Box::new(CsvFormat::new(numbers.nonfinite_null, edge)),
        Some("columns") => Box::new(ColumnsFormat::new(numbers, edge)),
        Some("chunks") => Box::new(ColumnsFormat::new(numbers, edge).undecoded()),
        Some("arrow") => Box::new(arrow::format(state, plan, channels, numbers, edge)?),
        _ => Box::new(JsonFormat::new(numbers, query.choice("time") == Some("iso"))),
    })
}

/// `/samples`.
pub(super) fn answer(state: &ServerState, query: &Query, output: &mut dyn Output) -> Result<(), Stopped> {
    let mut plan = plan(state, query)?;
    let is_binary = matches!(query.choice("format"), Some("columns" | "chunks" | "arrow"));
    if !is_binary && plan.estimate > TEXT_SAMPLES_MAX {
        let message = format!(
            "about {} samples are too many for JSON and CSV, which take {TEXT_SAMPLES_MAX}; use format=columns, \
             limit= with cursor=, or a shorter range",
            plan.estimate
        );
        return Err(ApiError::of(Code::TooLarge, message).into());
    }
    let mut channels = std::mem::take(&mut plan.channels);
    let mut format = format_of(state, &plan, &mut channels, query)?;
    let mut out = Writer::new(output, format.media_type());
    out.head.samples = Some(plan.estimate);
    if !format.tells_problems() {
        tell_ahead(state, &plan, &mut channels, &mut out);
    }
    let mut problems = plan.found.as_ref().map(|found| found.problems.clone()).unwrap_or_default();
    if !format.tells_problems() {
        out.head.problems.append(&mut problems);
    }
    let lent = (query.choice("format") == Some("chunks")).then(Lent::default);
    let mut run = Run { state, plan: &plan, format: &mut *format, lent, problems, durable_until: None };
    run.format.start(&mut out, plan.range)?;
    for planned in channels {
        run.channel(&mut out, planned)?;
    }
    let Run { problems, durable_until, .. } = run;
    format.end(&mut out, &Ending { problems, durable_until })?;
    out.finish()
}

/// What a format without an end must tell in headers: refused channels, known problems, where cut answers go on.
fn tell_ahead(state: &ServerState, plan: &Plan, channels: &mut [Planned], out: &mut Writer<'_>) {
    for planned in channels {
        let known = planned.viewed(state, plan.range, |view| {
            (view.problems(), plan.reading.limit.and_then(|limit| cut(plan, view, limit)))
        });
        match (&planned.target, known) {
            (Target::Refused { name, error }, _) => {
                let message = &error.message;
                out.head.problems.push(
                    json!({"code": error.code.name(), "channel": name, "message": message, "near": error.near}),
                );
            }
            (target @ Target::Known { stored, .. }, Some(Ok((problems, cut)))) => {
                out.head.problems.extend(problems.iter().map(|p| problem(target.name(), p)));
                if let Some(position) = cut {
                    let next = plan.next(stored, position);
                    out.head.next.push(json!({"channel": target.name(), "next": next}));
                }
            }
            (Target::Known { .. }, _) => {}
        }
    }
}

/// An answer in progress.
struct Run<'a> {
    state: &'a ServerState,
    plan: &'a Plan,
    format: &'a mut dyn Format,
    /// What the client has, where it takes chunks.
    lent: Option<Lent>,
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
            let asked_for = self.plan.reading.scan.skip_damaged && found.code == ProblemCode::Damaged;
            if out.started() && !asked_for {
                return Err(Stopped::Broken(ApiError::problem(found)));
            }
            if !out.started() {
                out.head.problems.push(problem);
            }
        }
        Ok(())
    }

    fn failed(&mut self, out: &mut Writer<'_>, name: &str, error: &ReadError) -> Result<(), Stopped> {
        let found = Problem::of(error, self.plan.range);
        self.report(out, name, &found)
    }

    fn channel(&mut self, out: &mut Writer<'_>, mut planned: Planned) -> Result<(), Stopped> {
        let view = planned.take(self.state, self.plan.range);
        let (Target::Known { stored, .. }, Some(view)) = (&planned.target, view) else {
            return self.format.refused(out, &planned.target);
        };
        let name = planned.target.name();
        let view = match view {
            Ok(view) if self.plan.after => view,
            Ok(view) => view.bounded(),
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
        let mut segments = Segments::new(
            &self.state.reader,
            view,
            self.plan.reading,
            self.plan.found.as_ref().map(|found| found.selection.clone()),
        )
        .undecoded(self.lent.clone());
        let mut samples = 0;
        loop {
            match segments.segment() {
                Ok(Some(Piece::Chunks(segment))) => {
                    samples += segment.samples() as u64;
                    out.samples += segment.samples() as u64;
                    if !out.started() && out.sample_bytes == 0 {
                        out.sample_bytes = segment.bytes().div_ceil(segment.samples().max(1)) as u64;
                    }
                    self.format.chunks(out, &segment)?;
                }
                Ok(Some(Piece::Samples(segment))) => {
                    samples += segment.block.len() as u64;
                    out.samples += segment.block.len() as u64;
                    self.measure(out, name, &segment);
                    self.format.segment(out, segment)?;
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

    /// Looks at a few samples of the answer's first segment to tell how large all will be.
    fn measure(&self, out: &mut Writer<'_>, name: &str, segment: &Segment) {
        if out.started() || out.sample_bytes > 0 {
            return;
        }
        let values = &segment.block.values;
        let (mut text, mut written) = (Vec::new(), 0u64);
        for i in 0..values.len().min(MEASURED_SAMPLES) {
            let (elements, column) = (values.elements(i), values.scalars());
            for element in elements.clone().take(MEASURED_ELEMENTS) {
                Numbers::default().scalar(&mut text, column, element);
                text.push(b',');
            }
            let seen = elements.len().clamp(1, MEASURED_ELEMENTS);
            written += text.len() as u64 * elements.len() as u64 / seen as u64;
            text.clear();
        }
        let value_text = written / values.len().clamp(1, MEASURED_SAMPLES) as u64;
        let value_bytes = values.byte_len() as u64 / values.len().max(1) as u64;
        out.sample_bytes = self.format.sample_bytes(name, value_bytes, value_text);
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
