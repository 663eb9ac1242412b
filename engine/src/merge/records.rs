//! Events, metadata, carry-in and channel records of several tables as those of one.

use super::Taken;
use crate::limits::MERGE_RECORD_BYTES;
use disk::{BytesError, FormatError};
use sample::{ChannelId, Timestamp};
use sstable::{
    CarriedSample, CarryIn, Entry, Key, Table, TableWriter, decode_carry_in, decode_channel_records,
    decode_events, decode_metadata, encode_carry_in, encode_channel_records, encode_events, encode_metadata,
};
use std::ops::RangeInclusive;

/// Every channel that there may be.
const ALL_CHANNELS: RangeInclusive<ChannelId> = ChannelId(0)..=ChannelId(u64::MAX);
/// What tables of samples hold beside samples.
const RATES: [u64; 4] = [Key::EVENTS, Key::METADATA, Key::CARRY_IN, Key::CHANNELS];

type Entries<'a> = Box<dyn Iterator<Item = Result<Entry, FormatError>> + 'a>;

/// One record with the table that it lies in.
type Record<'a> = (&'a Table, Entry);

/// Writes the records of some channels; `false` when asked to stop.
pub(super) fn join(
    inputs: &[Table],
    channels: RangeInclusive<ChannelId>,
    writer: &mut TableWriter,
    taken: &mut [Taken],
    stop: &dyn Fn() -> bool,
) -> Result<bool, FormatError> {
    let mut rest: Vec<Entries<'_>> =
        inputs.iter().map(|table| of_channels(table, channels.clone())).collect();
    let mut heads: Vec<Option<Entry>> = Vec::with_capacity(inputs.len());
    for entries in &mut rest {
        heads.push(entries.next().transpose()?);
    }
    while let Some((rate, channel)) = heads.iter().flatten().map(|e| (e.key.rate, e.key.channel)).min() {
        if stop() {
            return Ok(false);
        }
        let mut records: Vec<Record<'_>> = Vec::new();
        for at in 0..inputs.len() {
            while let Some(entry) = heads[at].take_if(|e| (e.key.rate, e.key.channel) == (rate, channel)) {
                taken[at].records += 1;
                records.push((&inputs[at], entry));
                heads[at] = rest[at].next().transpose()?;
            }
        }
        // What is equally old keeps the order of the tables.
        records.sort_by_key(|(_, entry)| entry.key.bin);
        write(writer, rate, channel, &records)?;
    }
    Ok(true)
}

/// A table's records of some channels, in the order of their keys; of all channels those of unknown rates, too.
fn of_channels(table: &Table, channels: RangeInclusive<ChannelId>) -> Entries<'_> {
    if channels == ALL_CHANNELS {
        return Box::new(table.entries_from(Key::least(Key::EVENTS, ChannelId(0))));
    }
    let of_rate = move |rate| {
        let inside = channels.clone();
        let rest = table.entries_from(Key::least(rate, *channels.start()));
        rest.take_while(move |entry| {
            entry.as_ref().is_ok_and(|e| e.key.rate == rate && inside.contains(&e.key.channel))
                || entry.is_err()
        })
    };
    Box::new(RATES.into_iter().flat_map(of_rate))
}

/// Writes one channel's records of one rate: joined, as long as that gives no large ones.
fn write(
    writer: &mut TableWriter,
    rate: u64,
    channel: ChannelId,
    records: &[Record<'_>],
) -> Result<(), FormatError> {
    let mut group: Vec<(&Record<'_>, Vec<u8>)> = Vec::new();
    let mut bytes = 0;
    for record in records {
        let payload = record.0.payload(&record.1)?;
        if !group.is_empty() && bytes + payload.len() > MERGE_RECORD_BYTES {
            write_group(writer, rate, channel, &std::mem::take(&mut group))?;
            bytes = 0;
        }
        bytes += payload.len();
        group.push((record, payload));
    }
    write_group(writer, rate, channel, &group)
}

fn write_group(
    writer: &mut TableWriter,
    rate: u64,
    channel: ChannelId,
    group: &[(&Record<'_>, Vec<u8>)],
) -> Result<(), FormatError> {
    if let [((_, entry), payload)] = group {
        return writer.add_record(entry.key, entry.last, payload.clone());
    }
    let last = group.iter().map(|((_, entry), _)| entry.last).max().unwrap_or(Timestamp::MIN);
    let Some(((table, entry), _)) = group.first() else { return Ok(()) };
    let key = entry.key;
    match rate {
        Key::EVENTS => {
            let mut events = decoded(group, decode_events)?;
            events.sort_by_key(|event| event.sequence);
            events.dedup_by(|a, b| a.sequence == b.sequence && a.sequence > 0);
            writer.add_record(key, last, encode_events(&events)?)
        }
        Key::METADATA => {
            let mut changes = decoded(group, decode_metadata)?;
            changes.sort_by_key(|(time, _)| *time);
            changes.dedup_by(|(later, a), (earlier, b)| later == earlier && a.same_bits(b));
            writer.add_record(key, last, encode_metadata(&changes))
        }
        Key::CARRY_IN => {
            let known = decoded(group, |bytes| decode_carry_in(bytes).map(|one| vec![one]))?;
            for carry_in in carried(known) {
                writer.add_record(key, last, encode_carry_in(channel, &carry_in)?)?;
            }
            Ok(())
        }
        Key::CHANNELS => {
            let records = decoded(group, decode_channel_records)?;
            writer.add_record(key, last, encode_channel_records(&records))
        }
        _ => {
            let what = format!("records of rate {rate} were not expected in a table of samples");
            Err(FormatError::corrupt(table.path(), entry.locator.offset, what))
        }
    }
}

/// The items of all records, in their order.
fn decoded<T>(
    group: &[(&Record<'_>, Vec<u8>)],
    decode: impl Fn(&[u8]) -> Result<Vec<T>, BytesError>,
) -> Result<Vec<T>, FormatError> {
    let mut items = Vec::new();
    for ((table, entry), payload) in group {
        let found = decode(payload);
        items.extend(
            found.map_err(|error| FormatError::corrupt(table.path(), entry.locator.offset, error.what))?,
        );
    }
    Ok(items)
}

/// A carry-in with its overrides: of what they carry the newest counts.
fn carried(known: Vec<CarryIn>) -> Vec<CarryIn> {
    let mut joined: Vec<CarryIn> = Vec::new();
    for carry_in in known {
        let is_override = carry_in == CarryIn { sample: carry_in.sample.clone(), ..CarryIn::default() };
        match joined.last_mut() {
            Some(base) if is_override && !base.original => {
                if position(base) < position(&carry_in) {
                    base.sample = carry_in.sample;
                }
            }
            _ => joined.push(carry_in),
        }
    }
    joined
}

fn position(carry_in: &CarryIn) -> Option<(Timestamp, u32)> {
    Some(match carry_in.sample.as_ref()? {
        CarriedSample::Here(sample) => (sample.time, sample.rank),
        CarriedSample::There { time, rank, .. } => (*time, *rank),
    })
}
