//! `/status` and `/metrics` with and without an engine in the process.

use crate::ask::{ask, json, text};
use crate::memory::{Channel, Memory};
use engine::read::{ArchiveInfo, ChannelState, Ledger, Member, Reader};
use engine::status::{
    ChannelCounts, ConfigStatus, DiskStatus, DurationHistogram, IngestStatus, MemtableStatus, Metrics,
    PartitionStatus, ProblemSeverity, ServersStatus, Status, StatusProblem, StatusSource, WalStatus,
};
use retrieval_server::{HttpSettings, ServerState};
use sample::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;

struct Engine;

impl StatusSource for Engine {
    fn status(&self) -> Status {
        let archive = ArchiveInfo {
            id: "ab".into(),
            path: "/archive".into(),
            created: Timestamp(1),
            format: "1.0".into(),
        };
        Status {
            version: "0.0.0".into(),
            archive,
            uptime_s: 1.5,
            ready: true,
            reasons: vec![],
            now: Timestamp(10),
            durable_until: Timestamp(9),
            config: ConfigStatus { loaded: Timestamp(2), hash: "ff".into(), pending_error: None },
            channels: ChannelCounts { total: 3, connected: 2, silent: 1, ..ChannelCounts::default() },
            ingest: IngestStatus { samples_per_s: 2.5, bytes_per_s: 20.0, dropped: [1, 2, 3, 4, 5] },
            servers: ServersStatus { n: 1, clock_offset_max_ms: None },
            wal: WalStatus { bytes: 4096, segments: 1, sync_p99_ms: Some(3.5) },
            memtable: MemtableStatus { bytes: 10, limit: 20 },
            partitions: PartitionStatus { open: 1, sealed: 0, backlog: 0 },
            disk: DiskStatus { total: 100, free: 50, bytes_per_day: None, days_left: None },
            problems: vec![StatusProblem {
                since: Timestamp(3),
                severity: ProblemSeverity::Warning,
                code: "disk_low",
                message: "little space".into(),
                what_to_do: "make some".into(),
            }],
        }
    }

    fn metrics(&self) -> Metrics {
        let mut wal_sync = DurationHistogram::new(&[0.001, 0.01]);
        [0.0005, 0.005, 0.005, 5.0].into_iter().for_each(|seconds| wal_sync.observe(seconds));
        let mut channels = ChannelCounts::default();
        *channels.of(ChannelState::Connected) = 7;
        Metrics {
            ledger: Ledger { received: 100, stored: 80, redelivered: 5, dropped: [1, 2, 3, 4, 5] },
            channels,
            disconnects: 6,
            searches: 8,
            wal_sync,
            durable_lag_s: 0.25,
            queue_bytes: vec![("ca", 9)],
            disk_free_bytes: u64::MAX,
            damaged: 2,
            config_reload_success: true,
        }
    }
}

fn with_engine() -> ServerState {
    let archive = Arc::new(Memory::of([("X", Channel::default())]));
    let member = Member { name: "memory".into(), priority: 1, archive };
    ServerState::new(Reader::new(vec![member]), Some(Arc::new(Engine)), HttpSettings::default())
}

#[test]
fn status_has_every_key_of_the_interface() {
    let status = json(&with_engine(), "/api/v1/status", "");
    let expected = serde_json::json!({
        "version": "0.0.0",
        "archive": {"id": "ab", "path": "/archive", "created_ns": 1, "format": "1.0"},
        "uptime_s": 1.5, "ready": true, "reasons": [], "now_ns": 10, "durable_until_ns": 9,
        "config": {"loaded_ns": 2, "hash": "ff", "pending_error": null},
        "channels": {
            "total": 3, "connected": 2, "disconnected": 0, "never_connected": 0, "paused": 0, "silent": 1,
            "retired": 0,
        },
        "ingest": {
            "samples_per_s": 2.5, "bytes_per_s": 20.0,
            "dropped": {"future": 1, "late": 2, "rate": 3, "memory": 4, "disk_full": 5},
        },
        "servers": {"n": 1, "clock_offset_max_ms": null},
        "wal": {"bytes": 4096, "segments": 1, "sync_p99_ms": 3.5},
        "memtable": {"bytes": 10, "limit": 20},
        "partitions": {"open": 1, "sealed": 0, "backlog": 0},
        "disk": {"total": 100, "free": 50, "bytes_per_day": null, "days_left": null},
        "problems": [{
            "since_ns": 3, "severity": "warning", "code": "disk_low", "message": "little space",
            "what_to_do": "make some",
        }],
    });
    assert_eq!(status, expected);
    // Without an engine the same keys, what nobody here knows null.
    let alone = json(&Memory::of([("X", Channel::default())]).state(), "/api/v1/status", "");
    for key in expected.as_object().unwrap().keys() {
        assert!(alone.get(key).is_some(), "{key}");
    }
    assert_eq!(alone["channels"]["never_connected"], 1);
    assert_eq!(alone["archives"][0]["name"], "memory");
    assert_eq!(alone["ready"], true);
}

/// Samples of Prometheus text: name with labels to value.
fn samples(text: &str) -> HashMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap()).map(|(n, v)| (n, v.parse().unwrap())).collect()
}

#[test]
fn metrics_have_the_names_of_the_interface() {
    let state = with_engine();
    ask(&state, "/api/v1/at", "channel=X");
    let text = text(&state, "/metrics", "");
    assert!(text.ends_with("# EOF\n"));
    let found = samples(&text);
    for (name, value) in [
        ("varve_samples_received_total", 100.0),
        ("varve_samples_stored_total", 80.0),
        ("varve_samples_redelivered_total", 5.0),
        ("varve_samples_dropped_total{cause=\"future\"}", 1.0),
        ("varve_samples_dropped_total{cause=\"disk_full\"}", 5.0),
        ("varve_channels{state=\"connected\"}", 7.0),
        ("varve_channels{state=\"retired\"}", 0.0),
        ("varve_disconnects_total", 6.0),
        ("varve_searches_total", 8.0),
        ("varve_wal_sync_seconds_bucket{le=\"0.001\"}", 1.0),
        ("varve_wal_sync_seconds_bucket{le=\"0.01\"}", 3.0),
        ("varve_wal_sync_seconds_bucket{le=\"+Inf\"}", 4.0),
        ("varve_wal_sync_seconds_count", 4.0),
        ("varve_durable_lag_seconds", 0.25),
        ("varve_queue_bytes{queue=\"ca\"}", 9.0),
        ("varve_damaged_total", 2.0),
        ("varve_config_reload_success", 1.0),
        ("varve_build_info{version=\"0.0.0\"}", 1.0),
        ("varve_http_in_flight", 0.0),
    ] {
        assert_eq!(found.get(name), Some(&value), "{name} in\n{text}");
    }
    assert!(found["varve_disk_free_bytes"] > 9e18);
    let dropped: f64 =
        found.iter().filter(|(n, _)| n.starts_with("varve_samples_dropped")).map(|(_, v)| v).sum();
    assert_eq!(found["varve_samples_received_total"], 80.0 + 5.0 + dropped);
}
