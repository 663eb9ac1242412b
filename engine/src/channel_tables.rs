//! What one channel has in the live tables of one moment, as runs.

use crate::pyramid::TableRows;
use crate::read::{ReadError, Rows, Run, Tables};
use crate::table_run::TableRun;
use crate::view::View;
use crate::week_sums::WeekSums;
use sample::{ChannelId, TimeRange};
use std::sync::Arc;

/// The tables of a moment, asked about one channel and one range.
pub(crate) struct ChannelTables {
    view: Arc<View>,
    channel: ChannelId,
    range: TimeRange,
    sums: Option<Arc<WeekSums>>,
}

impl ChannelTables {
    /// Those of `view`; nothing is read.
    pub(crate) fn new(view: &Arc<View>, channel: ChannelId, range: TimeRange) -> ChannelTables {
        let sums = view.week_sums(channel, range);
        ChannelTables { view: view.clone(), channel, range, sums }
    }

    /// The late samples of a table, if it has any, and those in order.
    fn runs_of(&self, table: usize) -> impl Iterator<Item = Arc<dyn Run>> + use<> {
        let entry = &self.view.manifest.tables[table];
        let indexed = self.view.indexed(table);
        let run = |table, late| TableRun::new(table, entry, self.channel, late, &self.view.damage);
        let late = entry.late.then(|| Arc::new(run(indexed.clone(), true)) as Arc<dyn Run>);
        let sum = self.sums.as_ref().and_then(|sums| self.view.week_sum(sums, table, self.channel));
        let in_order = Arc::new(run(indexed, false).summed_up_by(sum)) as Arc<dyn Run>;
        late.into_iter().chain([in_order])
    }
}

impl Tables for ChannelTables {
    fn runs(&self) -> Vec<Arc<dyn Run>> {
        self.view.tables_for(self.channel, self.range).flat_map(|table| self.runs_of(table)).collect()
    }

    /// The channel's rows in decimated tables whose sources may have samples in the range.
    fn rows(&self) -> Vec<Arc<dyn Rows>> {
        let tables = &self.view.manifest.tables;
        let mut rows: Vec<Arc<dyn Rows>> = Vec::new();
        for (at, entry) in tables.iter().enumerate().filter(|(_, entry)| entry.decimated) {
            // A decimated table says of a span what its sources do.
            let Some(span) = entry.samples_span else { continue };
            let (least, greatest) = entry.channel_span;
            if least <= self.channel && self.channel <= greatest && self.range.touches(span.0, span.1) {
                rows.push(Arc::new(TableRows::new(self.view.indexed(at), entry, self.channel, span)));
            }
        }
        rows
    }

    fn behind(&self) -> Box<dyn Iterator<Item = Result<Arc<dyn Run>, ReadError>> + '_> {
        let tables = self.view.tables_behind(self.channel, self.range).into_iter();
        Box::new(tables.flat_map(|table| self.runs_of(table)).map(Ok))
    }
}
