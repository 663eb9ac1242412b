//! fjall: bulk ingestion of sorted rows.

use crate::cpu_s;
use crate::index_load::{inside, name};
use crate::index_own::{Figures, LOOK_UPS, RANGE, best_ns, feeding_s, names_asked};
use crate::row::{channel_of, key, key_of, span, value};
use fjall::{Database, KeyspaceCreateOptions};
use std::path::Path;

pub(crate) fn measure(directory: &Path, channels: u64, chunks: u64) -> Figures {
    let path = directory.join("peer.fjall");
    let before = cpu_s();
    let database = Database::builder(&path).cache_size(4 << 30).open().expect("a new directory");
    let table = database.keyspace("entries", KeyspaceCreateOptions::default).expect("a keyspace");
    let mut ingestion = table.start_ingestion().expect("an ingestion");
    let mut build_s = cpu_s() - before;
    build_s += feeding_s(channels, chunks, |entry| {
        ingestion.write(key_of(entry).as_slice(), value(entry).as_slice()).expect("ingested");
    });
    let before = cpu_s();
    ingestion.finish().expect("ingested");
    build_s += cpu_s() - before;
    let bytes = bytes_below(&path);

    let point_ns = best_ns(LOOK_UPS, |random| {
        for _ in 0..LOOK_UPS {
            let (channel, chunk) = (1 + random.below(channels), random.below(chunks));
            let upto = key(0, channel, inside(chunk, chunks).0);
            let found = table.range(key(0, channel, i64::MIN)..=upto).next_back().expect("one");
            let (key, value) = found.into_inner().expect("read");
            assert!(channel_of(&key) == channel && span(&value) > 0);
        }
    });
    let ranges = LOOK_UPS / 10;
    let range_ns = best_ns(ranges, |random| {
        for _ in 0..ranges {
            let from = key(0, 1 + random.below(channels - RANGE as u64), i64::MIN);
            let found = table.range(from..).take(RANGE);
            let spans = found.map(|row| span(&row.into_inner().expect("read").1).min(1));
            assert_eq!(spans.sum::<u64>(), RANGE as u64);
        }
    });
    let name_ns = names(&database, channels);
    Figures { build_s, bytes, point_ns, range_ns, name_ns }
}

fn bytes_below(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).expect("a directory");
    let bytes = |entry: std::fs::DirEntry| {
        let about = entry.metadata().expect("a file");
        // Journals are allocated beforehand; they hold nothing here.
        let journal = entry.path().extension().is_some_and(|extension| extension == "jnl");
        if about.is_dir() { bytes_below(&entry.path()) } else if journal { 0 } else { about.len() }
    };
    entries.map(|entry| bytes(entry.expect("an entry"))).sum()
}

fn names(database: &Database, channels: u64) -> f64 {
    let mut sorted: Vec<_> = (1..=channels).map(|id| (name(id), id)).collect();
    sorted.sort();
    let table = database.keyspace("names", KeyspaceCreateOptions::default).expect("a keyspace");
    let mut ingestion = table.start_ingestion().expect("an ingestion");
    for (name, id) in &sorted {
        ingestion.write(name.as_str(), id.to_le_bytes()).expect("ingested");
    }
    ingestion.finish().expect("ingested");
    let asked = names_asked(channels);
    best_ns(LOOK_UPS, |_| {
        for (name, id) in &asked {
            let found = table.get(name.as_str()).expect("read").expect("known");
            assert_eq!(*found, id.to_le_bytes());
        }
    })
}
