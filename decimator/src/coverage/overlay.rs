//! Spans laid over a coverage.

use sample::TimeRange;

use super::{Coverage, State};

/// Lays `spans` over the stretches in which samples could have been.
pub(super) fn overlay(coverage: &Coverage, spans: Vec<TimeRange>, state: State) -> Coverage {
    let mut spans = disjoint(spans).into_iter().peekable();
    let mut out = Coverage::default();
    for interval in &coverage.intervals {
        let mut from = interval.range.from;
        let covers = matches!(interval.state, State::Held | State::Unknown | State::Dropped);
        while let Some(span) = spans.peek().filter(|span| span.from < interval.range.to) {
            let (start, end) = (span.from.max(from), span.to.min(interval.range.to));
            if covers && start < end {
                out.push(from, start, interval.state);
                out.push(start, end, state);
                from = end;
            }
            if span.to > interval.range.to {
                break;
            }
            spans.next();
        }
        out.push(from, interval.range.to, interval.state);
    }
    out
}

/// The same instants as spans in order, none touching another, none empty.
fn disjoint(mut spans: Vec<TimeRange>) -> Vec<TimeRange> {
    spans.retain(|span| !span.is_empty());
    spans.sort_unstable_by_key(|span| span.from);
    spans.dedup_by(|next, last| {
        let touches = next.from <= last.to;
        if touches {
            last.to = last.to.max(next.to);
        }
        touches
    });
    spans
}
