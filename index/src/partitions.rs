//! Which SSTables may hold a channel's entries of a time range.

use sample::{ChannelId, TimeRange, Timestamp, Week};

/// What the manifest says about one SSTable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableSpan {
    /// Position of the table in the list it was made from.
    pub table: usize,
    /// Its partition.
    pub week: Week,
    /// Times of its earliest and latest sample (carried-in samples included), inclusive; `None` without samples.
    pub samples: Option<(Timestamp, Timestamp)>,
    /// Lowest and highest channel id, inclusive.
    pub channels: (ChannelId, ChannelId),
}

/// The tables of an archive by week.
#[derive(Clone, Debug, Default)]
pub struct Partitions {
    /// Sorted by week, then by place in the list.
    tables: Vec<TableSpan>,
}

impl Partitions {
    /// From the spans of all live tables, in any order.
    pub fn new(mut tables: Vec<TableSpan>) -> Partitions {
        tables.sort_by_key(|span| (span.week, span.table));
        Partitions { tables }
    }

    /// The weeks that have a partition, in order, each once.
    pub fn weeks(&self) -> Vec<Week> {
        let mut weeks: Vec<Week> = self.tables.iter().map(|span| span.week).collect();
        weeks.dedup();
        weeks
    }

    /// Tables of `week` that may hold `channel`.
    pub fn of_week(&self, week: Week, channel: ChannelId) -> impl Iterator<Item = &TableSpan> {
        self.week(week).iter().filter(move |span| holds(span, channel))
    }

    /// Tables of `week`.
    pub fn week(&self, week: Week) -> &[TableSpan] {
        let from = self.tables.partition_point(|span| span.week < week);
        let to = self.tables.partition_point(|span| span.week <= week);
        &self.tables[from..to]
    }

    /// Tables whose samples may touch `range` for `channel`, of any week.
    pub fn touching(&self, channel: ChannelId, range: TimeRange) -> impl Iterator<Item = &TableSpan> {
        self.tables.iter().filter(move |span| {
            holds(span, channel) && span.samples.is_some_and(|(first, last)| range.touches(first, last))
        })
    }

    /// Every table, by week.
    pub fn all(&self) -> &[TableSpan] {
        &self.tables
    }
}

fn holds(span: &TableSpan, channel: ChannelId) -> bool {
    span.channels.0 <= channel && channel <= span.channels.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn touching_finds_what_a_scan_finds(
            spans in prop::collection::vec((0i32..5, 0i64..50, 0i64..20, 1u64..9, 0u64..5), 0..40),
            from in 0i64..60, len in 0i64..30, channel in 1u64..12,
        ) {
            let tables: Vec<TableSpan> = spans.iter().enumerate().map(|(table, s)| TableSpan {
                table,
                week: Week(s.0),
                samples: Some((Timestamp(s.1), Timestamp(s.1 + s.2))),
                channels: (ChannelId(s.3), ChannelId(s.3 + s.4)),
            }).collect();
            let partitions = Partitions::new(tables.clone());
            let mut found: Vec<usize> = partitions
                .touching(ChannelId(channel), TimeRange::new(Timestamp(from), Timestamp(from + len)))
                .map(|span| span.table).collect();
            found.sort_unstable();
            let expected: Vec<usize> = spans.iter().enumerate().filter(|(_, s)| {
                len > 0 && s.1 < from + len && s.1 + s.2 >= from && s.3 <= channel && channel <= s.3 + s.4
            }).map(|(i, _)| i).collect();
            prop_assert_eq!(found, expected);
            for week in partitions.weeks() {
                prop_assert!(partitions.of_week(week, ChannelId(channel)).all(|s| s.week == week));
            }
        }
    }
}
