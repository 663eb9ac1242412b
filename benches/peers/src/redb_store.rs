//! redb: one transaction of sorted inserts.

use crate::cpu_s;
use crate::index_load::{inside, name};
use crate::index_own::{Figures, LOOK_UPS, RANGE, best_ns, feeding_s, names_asked};
use crate::row::{channel_of, key, key_of, span, value};
use redb::{Database, ReadableDatabase, TableDefinition};
use std::path::Path;

const ENTRIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("entries");
const NAMES: TableDefinition<'_, &str, u64> = TableDefinition::new("names");

pub(crate) fn measure(directory: &Path, channels: u64, chunks: u64) -> Figures {
    let path = directory.join("peer.redb");
    let before = cpu_s();
    let database = Database::builder().set_cache_size(4 << 30).create(&path).expect("a new file");
    let transaction = database.begin_write().expect("a transaction");
    let mut build_s = cpu_s() - before;
    {
        let mut table = transaction.open_table(ENTRIES).expect("a table");
        build_s += feeding_s(channels, chunks, |entry| {
            table.insert(key_of(entry).as_slice(), value(entry).as_slice()).expect("inserted");
        });
    }
    let before = cpu_s();
    transaction.commit().expect("committed");
    build_s += cpu_s() - before;
    let bytes = std::fs::metadata(&path).expect("a file").len();

    let transaction = database.begin_read().expect("a transaction");
    let table = transaction.open_table(ENTRIES).expect("a table");
    let point_ns = best_ns(LOOK_UPS, |random| {
        for _ in 0..LOOK_UPS {
            let (channel, chunk) = (1 + random.below(channels), random.below(chunks));
            let upto = key(0, channel, inside(chunk, chunks).0);
            let mut found = table.range(..=upto.as_slice()).expect("a range");
            let (key, value) = found.next_back().expect("one").expect("read");
            assert!(channel_of(key.value()) == channel && span(value.value()) > 0);
        }
    });
    let ranges = LOOK_UPS / 10;
    let range_ns = best_ns(ranges, |random| {
        for _ in 0..ranges {
            let from = key(0, 1 + random.below(channels - RANGE as u64), i64::MIN);
            let found = table.range(from.as_slice()..).expect("a range").take(RANGE);
            assert_eq!(found.map(|row| span(row.expect("read").1.value()).min(1)).sum::<u64>(), RANGE as u64);
        }
    });
    let name_ns = names(&database, channels);
    Figures { build_s, bytes, point_ns, range_ns, name_ns }
}

fn names(database: &Database, channels: u64) -> f64 {
    let mut sorted: Vec<_> = (1..=channels).map(|id| (name(id), id)).collect();
    sorted.sort();
    let transaction = database.begin_write().expect("a transaction");
    {
        let mut table = transaction.open_table(NAMES).expect("a table");
        for (name, id) in &sorted {
            table.insert(name.as_str(), id).expect("inserted");
        }
    }
    transaction.commit().expect("committed");
    let transaction = database.begin_read().expect("a transaction");
    let table = transaction.open_table(NAMES).expect("a table");
    let asked = names_asked(channels);
    best_ns(LOOK_UPS, |_| {
        for (name, id) in &asked {
            assert_eq!(table.get(name.as_str()).expect("read").expect("known").value(), *id);
        }
    })
}
