//! What a request for raw samples means: range, direction, channels, and about how much it will be.

use super::search::{Found, found};
use crate::cursor::Cursor;
use crate::error::ApiError;
use crate::limits::VIEWS_HELD_MAX;
use crate::names::{self, Target};
use crate::query::Query;
use crate::segments::Reading;
use crate::server::ServerState;
use crate::transform::Transform;
use engine::read::{ChannelView, HeldView, Order, Position, ReadError, Scan};
use sample::{ChannelName, TimeRange, Timestamp};

/// One channel of the answer: planned, not read.
pub(super) struct Planned {
    pub(super) target: Target,
    /// As it was when the answer began; `None` where it is taken when the channel's turn comes.
    view: Option<HeldView>,
}

impl Planned {
    /// The channel's view, which is not held any more; `None` where the target was refused.
    pub(super) fn take(
        &mut self,
        state: &ServerState,
        range: TimeRange,
    ) -> Option<Result<ChannelView, ReadError>> {
        let Target::Known { stored, .. } = &self.target else { return None };
        Some(self.view.take().map_or_else(|| look(state, stored, range), |held| Ok(held.open())))
    }

    /// What `of` says of the channel's view; `None` where the target was refused.
    pub(super) fn viewed<T>(
        &mut self,
        state: &ServerState,
        range: TimeRange,
        of: impl FnOnce(&ChannelView) -> T,
    ) -> Option<Result<T, ReadError>> {
        let held = self.view.is_some();
        let view = match self.take(state, range)? {
            Ok(view) => view,
            Err(error) => return Some(Err(error)),
        };
        let said = of(&view);
        self.view = held.then(|| view.held());
        Some(Ok(said))
    }
}

/// The whole request, understood.
pub(super) struct Plan {
    pub(super) range: TimeRange,
    pub(super) reading: Reading,
    /// Whether this answer goes on where another was cut.
    pub(super) continued: bool,
    pub(super) edge: bool,
    pub(super) after: bool,
    pub(super) channels: Vec<Planned>,
    /// When the condition held, if there is one.
    pub(super) found: Option<Found>,
    /// Samples of the answer, estimated.
    pub(super) estimate: u64,
}

/// Understands a request for samples; one channel that cannot be read is an error.
pub(super) fn plan(state: &ServerState, query: &Query) -> Result<Plan, ApiError> {
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
        found: found(state, query, range)?,
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
                    view = held.then(|| planned.held());
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
    pub(super) fn page(&self, next: Option<Position>) -> TimeRange {
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

    pub(super) fn next(&self, stored: &ChannelName, position: Position) -> String {
        Cursor::new(stored.as_str(), self.range, self.reading.scan.order, position).encode()
    }
}

/// A channel's view of `range`.
pub(super) fn look(
    state: &ServerState,
    stored: &ChannelName,
    range: TimeRange,
) -> Result<ChannelView, ReadError> {
    let gone = || ReadError::Unavailable(format!("{stored} has gone from the archive"));
    state.reader.view(stored, range)?.ok_or_else(gone)
}

/// Where `limit` cuts a channel's answer, found by reading it; an error shows again when it is answered.
pub(super) fn cut(plan: &Plan, view: &ChannelView, limit: u64) -> Option<Position> {
    let mut left = limit;
    let mut last = None;
    let within = plan.found.as_ref().map(|found| found.selection.shared());
    for block in view.samples(&plan.reading.scan).within(within) {
        let mut block = block.ok()?;
        if let Some(found) = &plan.found {
            block = found.selection.of_block(block);
        }
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
