//! What archives tell about themselves with their channels, as bytes between processes.

use super::wire::{
    Read, flag, list, name, option, put_list, put_name, put_option, put_tag, put_time, put_type, tag, time,
    value_type,
};
use disk::{Cursor, put_f64, put_str, put_u8, put_u64};
use engine::read::{
    ArchiveInfo, ChannelDetail, ChannelState, ChannelSummary, Evidence, Ledger, Live, Verdict, Why,
};
use sample::{Metadata, Timestamp};
use std::borrow::Cow;
use std::sync::Arc;

pub(super) fn put_info(out: &mut Vec<u8>, info: &ArchiveInfo) {
    put_str(out, &info.id);
    put_str(out, &info.path);
    put_time(out, info.created);
    put_str(out, &info.format);
}

pub(super) fn info(from: &mut Cursor<'_>) -> Read<ArchiveInfo> {
    Ok(ArchiveInfo {
        id: from.counted_str()?.into(),
        path: from.counted_str()?.into(),
        created: time(from)?,
        format: from.counted_str()?.into(),
    })
}

/// Least bytes of a row.
pub(super) const ROW_BYTES: usize = 24;

pub(super) fn put_row(out: &mut Vec<u8>, row: &ChannelSummary) {
    put_name(out, &row.name);
    put_option(out, row.alias_of.as_ref(), put_name);
    put_option(out, row.value_type, put_type);
    put_option(out, row.first, put_time);
    put_option(out, row.last, put_time);
    put_u64(out, row.samples);
    put_u64(out, row.bytes);
    put_option(out, row.connected, |out, connected| put_u8(out, u8::from(connected)));
    put_tag(out, &ChannelState::ALL, row.state);
    put_str(out, &row.reason);
    put_str(out, &row.origin);
}

pub(super) fn row(from: &mut Cursor<'_>) -> Read<ChannelSummary> {
    Ok(ChannelSummary {
        name: name(from)?,
        alias_of: option(from, name)?,
        value_type: option(from, value_type)?,
        first: option(from, time)?,
        last: option(from, time)?,
        samples: from.u64()?,
        bytes: from.u64()?,
        connected: option(from, flag)?,
        state: tag(from, &ChannelState::ALL)?,
        reason: from.counted_str()?.into(),
        origin: from.counted_str()?.into(),
    })
}

/// Metadata by time.
pub(super) type Changes = Vec<(Timestamp, Arc<Metadata>)>;

pub(super) fn put_metadata(out: &mut Vec<u8>, changes: &[(Timestamp, Arc<Metadata>)]) {
    let changes: Vec<(Timestamp, Metadata)> = changes.iter().map(|(t, m)| (*t, (**m).clone())).collect();
    disk::put_bytes(out, &sstable::encode_metadata(&changes));
}

pub(super) fn metadata(from: &mut Cursor<'_>) -> Read<Changes> {
    let changes = sstable::decode_metadata(from.counted_bytes()?)?;
    Ok(changes.into_iter().map(|(time, metadata)| (time, Arc::new(metadata))).collect())
}

pub(super) fn put_detail(out: &mut Vec<u8>, detail: &ChannelDetail) {
    put_row(out, &detail.summary);
    put_list(out, &detail.types, |out, (time, value_type)| {
        put_time(out, *time);
        put_type(out, *value_type);
    });
    put_metadata(out, detail.metadata.as_slice());
    put_option(out, detail.live.as_ref(), put_live);
    put_str(out, &detail.retention);
}

pub(super) fn detail(from: &mut Cursor<'_>) -> Read<ChannelDetail> {
    Ok(ChannelDetail {
        summary: row(from)?,
        types: list(from, 10, |from| Ok((time(from)?, value_type(from)?)))?,
        metadata: metadata(from)?.into_iter().next(),
        live: option(from, live)?,
        retention: from.counted_str()?.into(),
    })
}

fn put_live(out: &mut Vec<u8>, live: &Live) {
    put_u8(out, u8::from(live.connected));
    put_option(out, live.host.as_deref(), put_str);
    put_option(out, live.since, put_time);
    let Ledger { received, stored, redelivered, dropped } = live.ledger;
    put_list(out, &[received, stored, redelivered], |out, count| put_u64(out, *count));
    put_list(out, &dropped, |out, count| put_u64(out, *count));
    put_f64(out, live.samples_per_s);
    put_f64(out, live.bytes_per_s);
}

fn live(from: &mut Cursor<'_>) -> Read<Live> {
    let connected = flag(from)?;
    let host = option(from, |from| from.counted_str().map(String::from))?;
    let since = option(from, time)?;
    let counts = list(from, 8, Cursor::u64)?;
    let dropped = list(from, 8, Cursor::u64)?;
    let ledger = match (counts.as_slice(), <[u64; 5]>::try_from(dropped)) {
        (&[received, stored, redelivered], Ok(dropped)) => Ledger { received, stored, redelivered, dropped },
        _ => return Err(from.error("a ledger has other counts than this program knows")),
    };
    Ok(Live { connected, host, since, ledger, samples_per_s: from.f64()?, bytes_per_s: from.f64()? })
}

/// What a piece of evidence is, on the wire.
const TEXT: u8 = 1;
const NUMBER: u8 = 2;
const TIME: u8 = 3;
const FLAG: u8 = 4;

pub(super) fn put_why(out: &mut Vec<u8>, why: &Why) {
    put_tag(out, &Verdict::ALL, why.verdict);
    put_list(out, &why.evidence, |out, (key, evidence)| {
        put_str(out, key);
        match evidence {
            Evidence::Text(text) => {
                put_u8(out, TEXT);
                put_str(out, text);
            }
            Evidence::Number(number) => {
                put_u8(out, NUMBER);
                put_f64(out, *number);
            }
            Evidence::Time(time) => {
                put_u8(out, TIME);
                put_time(out, *time);
            }
            Evidence::Flag(flag) => {
                put_u8(out, FLAG);
                put_u8(out, u8::from(*flag));
            }
        }
    });
}

pub(super) fn why(from: &mut Cursor<'_>) -> Read<Why> {
    let verdict = tag(from, &Verdict::ALL)?;
    let evidence = list(from, 3, |from| {
        let key = Cow::Owned(from.counted_str()?.to_string());
        let evidence = match from.u8()? {
            TEXT => Evidence::Text(from.counted_str()?.into()),
            NUMBER => Evidence::Number(from.f64()?),
            TIME => Evidence::Time(time(from)?),
            FLAG => Evidence::Flag(flag(from)?),
            _ => return Err(from.error("an unknown kind of evidence")),
        };
        Ok((key, evidence))
    })?;
    Ok(Why { verdict, evidence })
}
