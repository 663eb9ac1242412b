//! The samples of one run beside a time: the last before, the first from there on.

use super::{Part, ReadError, Run, with_parts};
use sample::{TimeRange, Timestamp, ValueType};

/// How far back an edge is looked for before the whole span is listed: an hour, a day.
const EDGE_WINDOWS_NS: [i64; 2] = [3_600_000_000_000, 86_400_000_000_000];

/// The last sample of `run` before `time` (at or before it if `inclusive`).
pub(crate) fn last_before(
    run: &dyn Run,
    time: Timestamp,
    inclusive: bool,
) -> Result<Option<sample::Sample>, ReadError> {
    let to = if inclusive { time.saturating_add(1) } else { time };
    last_part(run, to, |part| {
        // Of a part that ends before, only the last time matters.
        let from = if part.last.time < to.0 { part.last.time } else { part.first.time };
        let block = run.load(part, TimeRange::new(Timestamp(from), to))?;
        let inside = block.indices(TimeRange::new(Timestamp::MIN, to));
        Ok((!inside.is_empty()).then(|| block.get(inside.end - 1)))
    })
}

/// The last part of `run` that begins before `time`, and the type of its values.
pub(super) fn last_type_before(
    run: &dyn Run,
    time: Timestamp,
) -> Result<Option<(Part, ValueType)>, ReadError> {
    last_part(run, time, |part| Ok(Some((*part, run.type_of(part)?))))
}

/// What `of` says of the last part that touches the times before `to` and that it says something of.
fn last_part<T>(
    run: &dyn Run,
    to: Timestamp,
    of: impl Fn(&Part) -> Result<Option<T>, ReadError>,
) -> Result<Option<T>, ReadError> {
    let (first, _) = run.span();
    if first >= to {
        return Ok(None);
    }
    for window in EDGE_WINDOWS_NS.into_iter().chain([i64::MAX]) {
        let from = to.saturating_add(-window).max(first);
        let found = with_parts(run, TimeRange::new(from, to), |parts| {
            parts.iter().rev().find_map(|part| of(part).transpose()).transpose()
        })?;
        if found.is_some() {
            return Ok(found);
        }
        if from == first {
            break;
        }
    }
    Ok(None)
}

/// The earlier of `best` and the first sample of `run` at or after `time`.
pub(super) fn earlier(
    best: Option<sample::Sample>,
    run: &dyn Run,
    time: Timestamp,
) -> Result<Option<sample::Sample>, ReadError> {
    let Some(best) = best else { return first_from(run, time) };
    if best.time < run.span().0 {
        return Ok(Some(best));
    }
    let of_run = first_from(run, time)?;
    let is_earlier = |sample: &sample::Sample| (sample.time, sample.rank) < (best.time, best.rank);
    Ok(Some(of_run.filter(is_earlier).unwrap_or(best)))
}

/// The first sample of `run` at or after `time`.
pub(super) fn first_from(run: &dyn Run, time: Timestamp) -> Result<Option<sample::Sample>, ReadError> {
    let (first, last) = run.span();
    if last < time {
        return Ok(None);
    }
    let (from, end) = (time.max(first), last.saturating_add(1));
    for window in EDGE_WINDOWS_NS.into_iter().chain([i64::MAX]) {
        let to = from.saturating_add(window).min(end);
        let range = TimeRange::new(from, to);
        let first = |part: &Part| {
            let till =
                if part.first.time >= time.0 { Timestamp(part.first.time).saturating_add(1) } else { end };
            let block = run.load(part, TimeRange::new(time, till))?;
            let inside = block.indices(TimeRange::new(time, end));
            Ok((!inside.is_empty()).then(|| block.get(inside.start)))
        };
        let found = with_parts(run, range, |parts| {
            parts.iter().find_map(|part| first(part).transpose()).transpose()
        })?;
        if found.is_some() {
            return Ok(found);
        }
        if to == end {
            break;
        }
    }
    Ok(None)
}
