//! What one channel has in the live tables of one moment, as runs.

use crate::read::{ReadError, Run, Tables};
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

    /// Runs that may hold samples of the range, or the last one before it.
    pub(crate) fn runs(&self) -> Vec<Arc<dyn Run>> {
        self.view.tables_for(self.channel, self.range).flat_map(|table| self.runs_of(table)).collect()
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
    fn behind(&self) -> Box<dyn Iterator<Item = Result<Arc<dyn Run>, ReadError>> + '_> {
        let tables = self.view.tables_behind(self.channel, self.range).into_iter();
        Box::new(tables.flat_map(|table| self.runs_of(table)).map(Ok))
    }
}
