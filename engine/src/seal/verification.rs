//! Compares a table with those that it was made from, the way readers read them.

use crate::error::Error;
use crate::limits::MERGE_CACHE_BYTES;
use crate::manifest::TableEntry;
use crate::merge::{self, Rows};
use crate::read::{Merge, ReadError, Run, Scan};
use crate::shared::Shared;
use crate::table_run::TableRun;
use disk::FormatError;
use sample::{ChannelId, Event, Metadata, SampleBlock, TimeRange, Timestamp};
use sstable::{BlockCache, CarriedSample, CarryIn, ChannelRecord, DictionaryRow, Key, Table};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

/// What a verified table holds beside what its footer says.
pub(super) struct Verified {
    /// Bytes of the values before encoding.
    pub(super) value_bytes: u64,
    /// Whether it holds carry-in.
    pub(super) carry_in: bool,
    /// The first channel in it.
    pub(super) lowest: Option<ChannelId>,
}

/// Reads some channels of the table at `path` and of those that it was made from, from the disk; `None` when
/// `stop` asked for the end.
///
/// # Errors
/// [`FormatError::Corrupt`] that names the new table where they differ; the disk's; damage.
pub(super) fn verify(
    shared: &Shared,
    inputs: &[&TableEntry],
    path: &Path,
    channels: RangeInclusive<ChannelId>,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Verified>, Error> {
    let cache = BlockCache::new(MERGE_CACHE_BYTES);
    let inputs = inputs.iter().map(|entry| merge::open(shared, entry, &cache).map(Arc::new));
    let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    let output = [Arc::new(Table::open(&*shared.disk, path, &cache)?)];
    let mut found = Verified { value_bytes: 0, carry_in: false, lowest: None };
    let mut rows = output[0].dictionary();
    let mut samples = 0;
    for expected in Rows::new(&inputs, channels) {
        let expected = expected?;
        let row = rows.next().transpose()?;
        let channel = check_row(&expected, row.as_ref()).map_err(|what| differs(path, what))?;
        found.lowest.get_or_insert(channel);
        let of: Vec<Arc<Table>> = expected.iter().map(|(at, _)| inputs[*at].clone()).collect();
        let Some(compared) = compare_samples(&of, &output, channel, stop)? else { return Ok(None) };
        samples += compared.samples;
        found.value_bytes += compared.value_bytes;
        let facts = Facts::read(&output, channel)?;
        found.carry_in |= facts.carry_in.is_some();
        if Facts::read(&of, channel)? != facts {
            let what = format!("events, metadata, carry-in or names of channel {}", channel.0);
            return Err(differs(path, &what));
        }
    }
    if rows.next().is_some() || samples != output[0].summary().samples {
        return Err(differs(path, "the number of channels or samples"));
    }
    Ok(Some(found))
}

fn differs(path: &Path, what: &str) -> Error {
    let what =
        format!("{what} in this table differ from what it was made from; its sources stay as they are");
    FormatError::corrupt(path, 0, what).into()
}

/// Whether the row of the new table says what those of its sources say.
fn check_row<'a>(
    expected: &[(usize, DictionaryRow)],
    row: Option<&'a DictionaryRow>,
) -> Result<ChannelId, &'a str> {
    let row = row.ok_or("the channels")?;
    let newest = expected.iter().filter_map(|(_, row)| row.newest).max_by_key(|n| (n.time, n.rank));
    let late = expected.iter().map(|(_, row)| row.next_late_rank).max();
    let same = expected.iter().all(|(_, source)| source.channel == row.channel)
        && newest == row.newest
        && late == Some(row.next_late_rank)
        && expected.iter().any(|(_, source)| source.name == row.name)
        && expected.iter().any(|(_, source)| source.first_sample.is_some()) == row.first_sample.is_some();
    if same { Ok(row.channel) } else { Err("rows of the dictionary") }
}

struct Compared {
    samples: u64,
    value_bytes: u64,
}

fn compare_samples(
    sources: &[Arc<Table>],
    output: &[Arc<Table>; 1],
    channel: ChannelId,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Compared>, Error> {
    let (mut expected, mut found) = (Samples::of(sources, channel), Samples::of(output, channel));
    let mut compared = Compared { samples: 0, value_bytes: 0 };
    loop {
        if stop() {
            return Ok(None);
        }
        let count = expected.available()?.min(found.available()?);
        if count == 0 {
            break;
        }
        let block = found.take(count);
        if expected.take(count) != block {
            let (from, to) = (block.first().0, block.last().0);
            let what = format!("samples of channel {} between {from} and {to} ns", channel.0);
            return Err(differs(output[0].path(), &what));
        }
        compared.samples += count as u64;
        compared.value_bytes += block.values.byte_len() as u64;
    }
    if expected.available()? + found.available()? > 0 {
        return Err(differs(output[0].path(), &format!("the number of samples of channel {}", channel.0)));
    }
    Ok(Some(compared))
}

/// Samples of a channel in the order of readers.
struct Samples {
    merge: Merge,
    /// What was read ahead.
    rest: Option<SampleBlock>,
}

impl Samples {
    fn of(tables: &[Arc<Table>], channel: ChannelId) -> Samples {
        let lanes = tables.iter().flat_map(|table| {
            let late = (table.summary().late_chunks > 0).then_some(true);
            let lanes = [Some(false), late].into_iter().flatten();
            lanes.map(|late| Arc::new(TableRun::whole(table.clone(), channel, late)) as Arc<dyn Run>)
        });
        Samples { merge: Merge::new(&lanes.collect::<Vec<_>>(), Scan::ascending(TimeRange::ALL)), rest: None }
    }

    /// How many samples can be taken now; 0 at the end only.
    fn available(&mut self) -> Result<usize, Error> {
        if self.rest.is_none() {
            self.rest = self.merge.next().transpose().map_err(unread)?;
        }
        Ok(self.rest.as_ref().map_or(0, SampleBlock::len))
    }

    fn take(&mut self, count: usize) -> SampleBlock {
        let Some(block) = self.rest.take() else { unreachable!("samples were available") };
        if count == block.len() {
            return block;
        }
        self.rest = Some(block.slice(count, block.len()));
        block.slice(0, count)
    }
}

fn unread(error: ReadError) -> Error {
    match error {
        ReadError::Damaged { file, offset, what, .. } => FormatError::corrupt(&file, offset, what).into(),
        other => Error::Read(other),
    }
}

/// What tables say of a channel beside samples, as readers understand it.
#[derive(PartialEq)]
struct Facts {
    events: Vec<Event>,
    /// Encoded, for not-a-numbers are not equal.
    metadata: Vec<u8>,
    /// Encoded; with the newest of the carried samples.
    carry_in: Option<Vec<Vec<u8>>>,
    records: Vec<ChannelRecord>,
}

impl Facts {
    fn read(tables: &[Arc<Table>], channel: ChannelId) -> Result<Facts, Error> {
        let mut events: Vec<Event> = items(tables, Key::EVENTS, channel, sstable::decode_events)?;
        events.sort_by_key(|event| event.sequence);
        events.dedup_by(|a, b| a.sequence == b.sequence && a.sequence > 0);
        let mut metadata: Vec<(Timestamp, Metadata)> =
            items(tables, Key::METADATA, channel, sstable::decode_metadata)?;
        metadata.sort_by_key(|(time, _)| *time);
        metadata.dedup_by(|(later, a), (earlier, b)| later == earlier && a.same_bits(b));
        let carried =
            items(tables, Key::CARRY_IN, channel, |bytes| Ok(vec![sstable::decode_carry_in(bytes)?]))?;
        let mut records: Vec<ChannelRecord> =
            items(tables, Key::CHANNELS, channel, sstable::decode_channel_records)?;
        records.sort_by_key(|record| record.time);
        Ok(Facts {
            events,
            metadata: sstable::encode_metadata(&metadata),
            carry_in: if carried.is_empty() { None } else { Some(in_force(channel, carried)?) },
            records,
        })
    }
}

/// The newest carried sample, and what else was carried.
fn in_force(channel: ChannelId, carried: Vec<CarryIn>) -> Result<Vec<Vec<u8>>, Error> {
    let position = |sample: &CarriedSample| match sample {
        CarriedSample::Here(sample) => (sample.time, sample.rank),
        CarriedSample::There { time, rank, .. } => (*time, *rank),
    };
    let newest = carried.iter().filter_map(|carry_in| carry_in.sample.clone()).max_by_key(position);
    let newest = CarryIn { sample: newest, ..CarryIn::default() };
    let others = carried.into_iter().map(|carry_in| CarryIn { sample: None, ..carry_in });
    let others = others.filter(|carry_in| *carry_in != CarryIn::default());
    std::iter::once(newest).chain(others).map(|one| Ok(sstable::encode_carry_in(channel, &one)?)).collect()
}

/// The items of all records of a channel at one rate.
fn items<T>(
    tables: &[Arc<Table>],
    rate: u64,
    channel: ChannelId,
    decode: impl Fn(&[u8]) -> Result<Vec<T>, disk::BytesError>,
) -> Result<Vec<T>, Error> {
    let mut records = Vec::new();
    for table in tables {
        for entry in table.entries(rate, channel, TimeRange::ALL) {
            let entry = entry?;
            let found = decode(&table.payload(&entry)?);
            let found = found.map_err(|error| error.in_file(table.path(), entry.locator.offset))?;
            records.push((entry.key.bin, found));
        }
    }
    // What is equally old keeps the order of the tables.
    records.sort_by_key(|(bin, _)| *bin);
    Ok(records.into_iter().flat_map(|(_, items)| items).collect())
}
