//! A segment of the log as text.

use super::parts::{channel_record, event, metadata, typed_sample};
use super::{Read, planted};
use crate::golden::{ARCHIVE, logs};
use engine::wal::{Entry, replay};
use std::fmt::Write;
use std::path::Path;

pub(super) fn text(bytes: &[u8]) -> Read<String> {
    let disk = planted(logs::SEGMENT, bytes)?;
    let (mut text, mut record) = (String::new(), 0);
    let found = replay(&disk, Path::new(logs::DIRECTORY), ARCHIVE, 1, &mut |head, entry| {
        if record != head.sequence {
            record = head.sequence;
            let _ = writeln!(text, "record {record} received {} durable {}", head.received.0, head.durable);
        }
        let _ = writeln!(text, "  {}", line(&entry));
    })?;
    if let Some(cut) = found.cut_bytes.first() {
        return Err(cut.to_string().into());
    }
    writeln!(
        text,
        "{} records up to {}, durable up to {}",
        found.records, found.last_sequence, found.durable_note
    )?;
    Ok(text)
}

fn line(entry: &Entry) -> String {
    match entry {
        Entry::Sample { channel, placement, sample } => {
            format!("sample of {} {placement:?} {}", channel.0, typed_sample(sample))
        }
        Entry::Event { channel, event: of } => format!("event of {} {}", channel.0, event(of)),
        Entry::Metadata { channel, time, metadata: of } => {
            format!("metadata of {} {}", channel.0, metadata(*time, of))
        }
        Entry::Channel { channel, record } => format!("channel {} {}", channel.0, channel_record(record)),
        Entry::Heartbeat { time } => format!("heartbeat {}", time.0),
    }
}
