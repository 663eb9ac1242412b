//! `/status` and readiness.

use super::channel::dropped;
use crate::server::ServerState;
use engine::read::{ArchiveInfo, ChannelFilter, ChannelState};
use engine::status::{ChannelCounts, Status};
use serde_json::{Value, json};

fn archive(info: &ArchiveInfo) -> Value {
    json!({"id": info.id, "path": info.path, "created_ns": info.created.0, "format": info.format})
}

fn channels(counts: &ChannelCounts) -> Value {
    json!({
        "total": counts.total,
        "connected": counts.connected,
        "disconnected": counts.disconnected,
        "never_connected": counts.never_connected,
        "paused": counts.paused,
        "silent": counts.silent,
        "retired": counts.retired,
    })
}

/// What `/status` says.
pub(super) fn status(state: &ServerState) -> Value {
    match &state.status {
        Some(source) => of_engine(&source.status()),
        None => of_readers(state),
    }
}

fn of_engine(status: &Status) -> Value {
    let problem = |p: &engine::status::StatusProblem| {
        json!({
            "since_ns": p.since.0,
            "severity": p.severity.name(),
            "code": p.code,
            "message": p.message,
            "what_to_do": p.what_to_do,
        })
    };
    let Status { config, ingest, servers, wal, memtable, partitions, disk, .. } = status;
    json!({
        "version": status.version,
        "archive": archive(&status.archive),
        "uptime_s": status.uptime_s,
        "ready": status.ready,
        "reasons": status.reasons,
        "now_ns": status.now.0,
        "durable_until_ns": status.durable_until.0,
        "config": {
            "loaded_ns": config.loaded.0,
            "hash": config.hash,
            "pending_error": config.pending_error,
        },
        "channels": channels(&status.channels),
        "ingest": {
            "samples_per_s": ingest.samples_per_s,
            "bytes_per_s": ingest.bytes_per_s,
            "dropped": dropped(ingest.dropped),
        },
        "servers": {"n": servers.n, "clock_offset_max_ms": servers.clock_offset_max_ms},
        "wal": {"bytes": wal.bytes, "segments": wal.segments, "sync_p99_ms": wal.sync_p99_ms},
        "memtable": {"bytes": memtable.bytes, "limit": memtable.limit},
        "partitions": {
            "open": partitions.open,
            "sealed": partitions.sealed,
            "backlog": partitions.backlog,
        },
        "disk": {
            "total": disk.total,
            "free": disk.free,
            "bytes_per_day": disk.bytes_per_day,
            "days_left": disk.days_left,
        },
        "problems": status.problems.iter().map(problem).collect::<Vec<_>>(),
    })
}

/// Where no engine runs in this process: the same keys, null where nobody here can know.
fn of_readers(state: &ServerState) -> Value {
    let members = state.reader.members();
    let archives: Vec<Value> = members
        .iter()
        .map(|member| {
            let mut object = archive(&member.archive.info());
            object["name"] = json!(member.name);
            object["priority"] = json!(member.priority);
            object
        })
        .collect();
    let (ready, reasons) = ready(state);
    let mut counts = ChannelCounts::default();
    let listed =
        state.reader.channels(&ChannelFilter { matches: &|_| true, state: None, after: None, limit: 0 });
    for row in listed.iter().flatten().filter(|row| row.alias_of.is_none()) {
        counts.total += u64::from(row.state != ChannelState::Retired);
        *counts.of(row.state) += 1;
    }
    let mut problems = Vec::new();
    for reason in &reasons {
        problems.push(json!({
            "since_ns": state.reader.now().0,
            "severity": "error",
            "code": "archive_unavailable",
            "message": reason,
            "what_to_do": "see that the archive's directory is mounted and readable, or that its engine runs",
        }));
    }
    for member in members {
        if let Some(met) = member.archive.damage() {
            problems.push(json!({
                "since_ns": state.reader.now().saturating_add(-uptime_ns(state)).0,
                "severity": "error",
                "code": "damaged",
                "message": format!("archive {}: {}", member.name, met.message),
                "what_to_do": met.what_to_do,
            }));
        }
    }
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "archive": if let [only] = archives.as_slice() { only.clone() } else { Value::Null },
        "archives": archives,
        "uptime_s": state.started.elapsed().as_secs_f64(),
        "ready": ready,
        "reasons": reasons,
        "now_ns": state.reader.now().0,
        "durable_until_ns": null,
        "config": null,
        "channels": channels(&counts),
        "ingest": null,
        "servers": null,
        "wal": null,
        "memtable": null,
        "partitions": null,
        "disk": null,
        "problems": problems,
    })
}

fn uptime_ns(state: &ServerState) -> i64 {
    i64::try_from(state.started.elapsed().as_nanos()).unwrap_or(i64::MAX)
}

/// Whether requests are answered, and why not.
fn ready(state: &ServerState) -> (bool, Vec<String>) {
    if let Some(source) = &state.status {
        let status = source.status();
        return (status.ready, status.reasons);
    }
    let reasons: Vec<String> = state
        .reader
        .members()
        .iter()
        .filter_map(|member| {
            // A name that is not there: the cheapest question that needs the archive.
            let error = member.archive.resolve("").err()?;
            Some(format!("archive {}: {error}", member.name))
        })
        .collect();
    (reasons.is_empty(), reasons)
}

/// What `/health/ready` says, and whether it is 200.
pub(crate) fn readiness(state: &ServerState) -> (bool, Value) {
    let (ready, reasons) = ready(state);
    (ready, json!({"ready": ready, "reasons": reasons}))
}
