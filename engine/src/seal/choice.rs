//! Which weeks are to be sealed.

use crate::limits::{RESEAL_QUIET_NS, RESEAL_SHARE};
use crate::view::View;
use sample::{Timestamp, Week};
use std::collections::BTreeMap;

/// The tables of a week.
#[derive(Clone, Copy, Debug)]
struct Stock {
    sealed: bool,
    /// Bytes of sealed tables.
    sealed_bytes: u64,
    /// Bytes of the others, and their number.
    open_bytes: u64,
    open_tables: usize,
    /// When the newest of the others was written.
    written: Timestamp,
}

/// The weeks that ended before `now`, the oldest first.
fn past(view: &View, now: Timestamp) -> BTreeMap<Week, Stock> {
    let mut weeks = BTreeMap::new();
    let none =
        Stock { sealed: false, sealed_bytes: 0, open_bytes: 0, open_tables: 0, written: Timestamp::MIN };
    for (entry, table) in view.manifest.tables.iter().zip(&view.tables) {
        if entry.decimated || entry.week.end() > now {
            continue;
        }
        let stock = weeks.entry(entry.week).or_insert(none);
        if entry.sealed {
            stock.sealed = true;
            stock.sealed_bytes += entry.len;
        } else {
            stock.open_bytes += entry.len;
            stock.open_tables += 1;
            stock.written = stock.written.max(table.info().known_until);
        }
    }
    weeks
}

/// Past weeks with anything that is not sealed.
pub(crate) fn sealable(view: &View, now: Timestamp) -> Vec<Week> {
    past(view, now).into_iter().filter(|(_, stock)| stock.open_tables > 0).map(|(week, _)| week).collect()
}

/// Weeks that it is time to seal: `late_limit` after their end; again when what came late has grown to a share
/// of the week and nothing has been added to it for a while.
pub(crate) fn due(view: &View, now: Timestamp, late_limit_ns: i64) -> Vec<Week> {
    let due = |week: Week, stock: Stock| match stock.sealed {
        false => now.since(week.end()) >= late_limit_ns,
        true => {
            let grown = stock.open_bytes.saturating_mul(RESEAL_SHARE) >= stock.sealed_bytes;
            grown && now.since(stock.written) >= RESEAL_QUIET_NS
        }
    };
    let past = past(view, now).into_iter().filter(|(_, stock)| stock.open_tables > 0);
    past.filter(|(week, stock)| due(*week, *stock)).map(|(week, _)| week).collect()
}

/// Numbers of weeks that are open, sealed, and due.
pub(crate) fn backlog(view: &View, now: Timestamp, late_limit_ns: i64) -> (u64, u64, u64) {
    let weeks = view.partitions.weeks();
    let is_sealed = |week: &&Week| view.manifest.tables.iter().any(|t| t.sealed && t.week == **week);
    let sealed = weeks.iter().filter(is_sealed).count();
    ((weeks.len() - sealed) as u64, sealed as u64, due(view, now, late_limit_ns).len() as u64)
}
