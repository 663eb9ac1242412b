//! One channel at one rate in one partition, as a row of a leaf.

use crate::entry::flags;
use crate::format::STATISTICS_LATE;
use crate::hash_table::Position;
use crate::leaf::build::Row;
use crate::leaf::{Key, Leaf, ordered, signed};
use crate::statistics::Statistics;
use crate::summary::ChannelSummary;
use crate::tree::Cursor;
use disk::{BytesError, Cursor as Bytes, FormatError};
use sample::{ChannelId, Timestamp, Week};

/// What a partition holds of a channel at a rate.
#[derive(Clone, PartialEq, Debug)]
pub struct MasterRow {
    /// The partition's week.
    pub week: Week,
    /// The partition's generation.
    pub generation: u32,
    /// What its index says.
    pub summary: ChannelSummary,
}

impl MasterRow {
    /// What rows are sorted by.
    pub(super) fn key(&self) -> (Key, u32) {
        let week = i64::from(self.week.0);
        (Key(self.summary.rate, self.summary.channel.0, week), self.generation)
    }
}

/// Makes `out` what a leaf takes. Says what is wrong with one that cannot be written.
pub(super) fn encode(row: &MasterRow, out: &mut Row<'_>) -> Result<(), &'static str> {
    let summary = &row.summary;
    let statistics = summary.statistics.as_ref();
    if summary.last < summary.first || statistics.is_some_and(|statistics| statistics.count == 0) {
        return Err("a row that ends before it begins or has statistics of no samples");
    }
    let mut flags = 0;
    if let Some(statistics) = statistics {
        flags = statistics.flags() | if summary.overlapping { STATISTICS_LATE } else { 0 };
        statistics.put(summary.first, summary.last, out.bytes);
    }
    let Key(rate, channel, week) = row.key().0;
    *out.numbers = [
        rate,
        channel,
        ordered(week),
        u64::from(row.generation),
        ordered(summary.first.0),
        summary.last.0.wrapping_sub(summary.first.0) as u64,
        summary.entries,
        summary.position.page,
        u64::from(summary.position.row),
        statistics.map_or(0, |statistics| statistics.count),
        u64::from(flags),
        0,
    ];
    *out.last = summary.last.0;
    Ok(())
}

fn read_row(leaf: &Leaf, row: usize) -> Result<MasterRow, BytesError> {
    let wrong = |what| BytesError { position: 0, what };
    let Key(rate, channel, week) = leaf.key(row);
    let week = i32::try_from(week).map_err(|_| wrong("a week that no time lies in"))?;
    let generation = u32::try_from(leaf.field(row, 3)).map_err(|_| wrong("a number passes 32 bits"))?;
    let first = signed(leaf.field(row, 4));
    let (first, last) = (Timestamp(first), Timestamp(first.wrapping_add(leaf.field(row, 5) as i64)));
    if last < first {
        return Err(wrong("a row ends before it begins"));
    }
    let place = u16::try_from(leaf.field(row, 8)).map_err(|_| wrong("a number passes 16 bits"))?;
    let (mut statistics, mut overlapping) = (None, false);
    let count = leaf.field(row, 9);
    if count > 0 {
        let flags = flags(leaf, row, 10)?;
        overlapping = flags & STATISTICS_LATE != 0;
        let mut bytes = Bytes::new(leaf.bytes(row));
        statistics = Some(Statistics::read(&mut bytes, flags, first, last, count)?);
    }
    let summary = ChannelSummary {
        rate,
        channel: ChannelId(channel),
        position: Position { page: leaf.field(row, 7), row: place },
        entries: leaf.field(row, 6),
        first,
        last,
        overlapping,
        statistics,
    };
    Ok(MasterRow { week: Week(week), generation, summary })
}

/// The rows that a cursor walks. After an error nothing more comes.
pub(super) fn rows(mut cursor: Cursor<'_>) -> impl Iterator<Item = Result<MasterRow, FormatError>> + '_ {
    let mut over = false;
    std::iter::from_fn(move || {
        if over {
            return None;
        }
        let pages = cursor.pages();
        let row = match cursor.step() {
            Ok(true) => {
                let (leaf, row) = cursor.row()?;
                read_row(leaf, row).map_err(|error| pages.damaged(leaf.number(), error.what))
            }
            Ok(false) => return None,
            Err(error) => Err(error),
        };
        over = row.is_err();
        Some(row)
    })
}
