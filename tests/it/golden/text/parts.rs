//! Samples, events, metadata, names as text.

use sample::*;
use sstable::{Archiving, CarriedSample, CarryIn, ChannelChange, ChannelRecord, Connection};
use std::fmt::Write;

/// Elements of an array that are shown.
const ELEMENTS_SHOWN: usize = 64;
/// Bytes of a text that are shown.
const BYTES_SHOWN: usize = 200;

/// Bytes as ASCII; of many bytes, number and checksum.
pub(super) fn escaped(bytes: &[u8]) -> String {
    if bytes.len() > BYTES_SHOWN && bytes.len() > 1000 {
        return format!("{} bytes with checksum {:08x}", bytes.len(), disk::checksum(bytes));
    }
    format!("\"{}\"", bytes.escape_ascii())
}

pub(super) fn double(value: f64) -> String {
    if value.is_nan() { format!("NaN:{:016x}", value.to_bits()) } else { format!("{value:?}") }
}

pub(super) fn value(value: &Value) -> String {
    match value {
        Value::Bool(v) => v.to_string(),
        Value::Enum(v) | Value::UInt16(v) => v.to_string(),
        Value::Int8(v) => v.to_string(),
        Value::Int16(v) => v.to_string(),
        Value::Int32(v) => v.to_string(),
        Value::Int64(v) => v.to_string(),
        Value::UInt8(v) => v.to_string(),
        Value::UInt32(v) => v.to_string(),
        Value::UInt64(v) => v.to_string(),
        Value::Float32(v) if v.is_nan() => format!("NaN:{:08x}", v.to_bits()),
        Value::Float32(v) => format!("{v:?}"),
        Value::Float64(v) => double(*v),
        Value::String(bytes) => escaped(bytes),
        Value::Structure { descriptor, bytes } => format!("{} {}", escaped(descriptor), escaped(bytes)),
        Value::Array(elements) => array(elements),
    }
}

fn array(elements: &Column) -> String {
    let shown: Vec<String> = (0..elements.len()).map(|i| self::value(&elements.get(i, None))).collect();
    if shown.len() <= ELEMENTS_SHOWN {
        return format!("[{}]", shown.join(", "));
    }
    let all = shown.join("\n");
    format!("[{}, ..: {} with checksum {:08x}]", shown[0], shown.len(), disk::checksum(all.as_bytes()))
}

/// A sample in one line without its type.
pub(super) fn sample(sample: &Sample) -> String {
    let mut text = format!("{} {} {}", sample.time.0, sample.rank, value(&sample.value));
    let domain = if sample.status.domain == StatusDomain::Pva { "pva" } else { "ca" };
    let _ = write!(text, " {} {domain}:{}", sample.severity.name(), sample.status.code);
    if let Some(tag) = sample.user_tag {
        let _ = write!(text, " tag={tag}");
    }
    if let Some(message) = &sample.message {
        let _ = write!(text, " message={}", escaped(message));
    }
    if let Some(received) = sample.received {
        let _ = write!(text, " received={}", received.0);
    }
    if !sample.metadata_known {
        text.push_str(" metadata_unknown");
    }
    text
}

/// A sample with its type, in one line.
pub(super) fn typed_sample(of: &Sample) -> String {
    format!("{} {}", of.value.value_type().name(), sample(of))
}

pub(super) fn event(event: &Event) -> String {
    let mut text = format!("{} {} {}", event.time.0, event.sequence, event.kind.name());
    let _ = match &event.kind {
        EventKind::Connected { host } => write!(text, " host={host}"),
        EventKind::Disconnected { last_heard } => write!(text, " last_heard={}", last_heard.0),
        EventKind::EngineDown { until } => write!(text, " until={}", until.0),
        EventKind::TimeReplaced { original } => write!(text, " original={}", original.0),
        EventKind::Dropped { to, count, cause, last } => {
            let last = last.as_ref().map_or("none".to_string(), |last| typed_sample(last));
            write!(text, " to={} count={count} cause={} last={last}", to.0, cause.name())
        }
        EventKind::Started
        | EventKind::Stopped
        | EventKind::Paused
        | EventKind::Resumed
        | EventKind::Retired => Ok(()),
    };
    text
}

pub(super) fn metadata(since: Timestamp, metadata: &Metadata) -> String {
    let mut text = format!("{}", since.0);
    let mut put = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = write!(text, " {key}={value}");
        }
    };
    let bytes = |bytes: &Option<Box<[u8]>>| bytes.as_ref().map(|bytes| escaped(bytes));
    put("units", bytes(&metadata.units));
    put("precision", metadata.precision.map(|digits| digits.to_string()));
    put("display_low", metadata.display_low.map(double));
    put("display_high", metadata.display_high.map(double));
    put("alarm_low", metadata.alarm_low.map(double));
    put("alarm_high", metadata.alarm_high.map(double));
    put("warning_low", metadata.warning_low.map(double));
    put("warning_high", metadata.warning_high.map(double));
    put("control_low", metadata.control_low.map(double));
    put("control_high", metadata.control_high.map(double));
    let states = |states: &Vec<Box<[u8]>>| {
        format!("[{}]", states.iter().map(|state| escaped(state)).collect::<Vec<_>>().join(", "))
    };
    put("states", metadata.states.as_ref().map(states));
    put("description", bytes(&metadata.description));
    put("host", bytes(&metadata.host));
    put("settings", bytes(&metadata.settings));
    text
}

pub(super) fn channel_record(record: &ChannelRecord) -> String {
    let (what, text) = match &record.change {
        ChannelChange::Named(name) => ("named", name.as_str()),
        ChannelChange::Alias(name) => ("alias", name.as_str()),
        ChannelChange::Retention(class) => ("retention", &**class),
        ChannelChange::Settings(settings) => ("settings", &**settings),
    };
    format!("{} {what} {}", record.time.0, escaped(text.as_bytes()))
}

pub(super) fn archiving(state: Archiving) -> &'static str {
    match state {
        Archiving::Started => "started",
        Archiving::Paused => "paused",
        Archiving::Stopped => "stopped",
        Archiving::Retired => "retired",
    }
}

/// A carry-in, a line for each thing that it holds.
pub(super) fn carry_in(carried: &CarryIn) -> Vec<String> {
    let mut lines = Vec::new();
    match &carried.sample {
        None => {}
        Some(CarriedSample::Here(here)) => lines.push(format!("sample {}", typed_sample(here))),
        Some(CarriedSample::There { week, time, rank }) => {
            lines.push(format!("sample in week {} at {} {rank}", week.0, time.0));
        }
    }
    if carried.original {
        lines.push("original".to_string());
    }
    if let Some(Connection { host, since, last_heard }) = &carried.connection {
        let host = host.as_deref().unwrap_or("none");
        let heard = last_heard.map_or("none".to_string(), |time| time.0.to_string());
        lines.push(format!("connection host={host} since={} last_heard={heard}", since.0));
    }
    if let Some((state, since)) = carried.archiving {
        lines.push(format!("archiving {} since={}", archiving(state), since.0));
    }
    if let Some((since, of)) = &carried.metadata {
        lines.push(format!("metadata {}", metadata(*since, of)));
    }
    lines.extend(carried.names.iter().map(|record| format!("name {}", channel_record(record))));
    lines.push(format!("last_sequence {}", carried.last_sequence));
    lines
}
