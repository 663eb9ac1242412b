//! What a running engine tells about itself.

use crate::engine::Engine;
use crate::live::LiveArchive;
use crate::read::{Archive, Ledger};
use crate::status::{
    ChannelCounts, ConfigStatus, DiskStatus, IngestStatus, MemtableStatus, Metrics, PartitionStatus,
    ProblemSeverity, ServersStatus, Status, StatusProblem, StatusSource, WalStatus,
};
use disk::Space;
use sample::{ChannelId, Timestamp};
use std::sync::atomic::{AtomicU64, Ordering};

impl Engine {
    fn counts(&self) -> ChannelCounts {
        let archive = LiveArchive::new(self.shared().clone());
        let mut counts = ChannelCounts::default();
        for slot in self.shared().directory().slots.iter().flatten() {
            if slot.id == ChannelId::ARCHIVE {
                continue;
            }
            let state = archive.state_of(&slot.lock()).0;
            *counts.of(state) += 1;
            if state != crate::read::ChannelState::Retired {
                counts.total += 1;
            }
        }
        counts
    }

    /// Samples and value bytes per second over the last minute, all channels.
    fn rates(&self, now: Timestamp) -> (f64, f64) {
        self.shared().directory().slots.iter().flatten().fold((0.0, 0.0), |sum, slot| {
            let state = slot.lock();
            let rates = state.rates.per_second(now, state.ledger.stored, state.stored_bytes);
            (sum.0 + rates.0, sum.1 + rates.1)
        })
    }

    fn ledger(&self) -> Ledger {
        let counters = &self.shared().counters;
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (stored, redelivered) = (load(&counters.stored), load(&counters.redelivered));
        let dropped: [u64; 5] = std::array::from_fn(|i| load(&counters.dropped[i]));
        // The sum, not a counter of its own: the equation holds at every moment (I7).
        Ledger { received: stored + redelivered + dropped.iter().sum::<u64>(), stored, redelivered, dropped }
    }

    #[expect(clippy::cast_precision_loss, reason = "sizes and times are shown")]
    fn disk_status(&self, now: Timestamp) -> DiskStatus {
        let Some(Space { total, free }) = self.keeper().space() else { return DiskStatus::default() };
        let grown = self.keeper().bytes_written() as f64;
        let days = now.since(self.started()) as f64 / 86_400e9;
        let bytes_per_day = (days > 1.0 / 1440.0).then(|| grown / days);
        let days_left = bytes_per_day.filter(|rate| *rate > 0.0).map(|rate| free as f64 / rate);
        DiskStatus { total, free, bytes_per_day, days_left }
    }

    fn problems(&self, disk: &DiskStatus) -> Vec<StatusProblem> {
        let mut problems = Vec::new();
        let mut problem = |since: Timestamp, severity, code, message: String, what_to_do: &str| {
            problems.push(StatusProblem { since, severity, code, message, what_to_do: what_to_do.into() });
        };
        let health = self.shared().health().clone();
        if let Some((since, what)) = health.poisoned {
            let todo = "check the disk (dmesg, smartctl), then restart the engine: what it received since is in memory only";
            problem(since, ProblemSeverity::Error, "poisoned", what, todo);
        }
        if let Some((since, what)) = health.full {
            let todo = "free space on the archive's file system; recording resumes by itself within 10 s";
            problem(since, ProblemSeverity::Error, "disk_full", what, todo);
        }
        if let Some((since, what)) = health.log_restarted {
            let todo = "the disk reported a failed sync; nothing was lost, but check it (dmesg, smartctl)";
            problem(since, ProblemSeverity::Warning, "sync_failed", what, todo);
        }
        if let Some((since, what)) = health.flush_failed {
            let todo = "it is tried again by itself; if this stays, check the archive's directory";
            problem(since, ProblemSeverity::Warning, "flush_failed", what, todo);
        }
        if let Some((since, what)) = health.merge_failed {
            let todo =
                "nothing is lost by this; if a file is named as damaged, check it with archtool verify";
            problem(since, ProblemSeverity::Warning, "merge_failed", what, todo);
        }
        if let Some((since, what)) = health.seal_failed {
            let todo =
                "nothing is lost by this; if a file is named as damaged, check it with archtool verify";
            problem(since, ProblemSeverity::Warning, "seal_failed", what, todo);
        }
        if let Some((since, what)) = health.retention_failed {
            let todo = "weeks stay longer than [[retention]] says; check a named file with archtool verify";
            problem(since, ProblemSeverity::Warning, "retention_failed", what, todo);
        }
        if let Some((since, what)) = health.index_failed {
            let todo = "answers are complete without it; it is made anew by itself unless a table is damaged: archtool verify";
            problem(since, ProblemSeverity::Warning, "index_failed", what, todo);
        }
        let now = self.shared().clock.now();
        if self.gauges().clock_suspect.load(Ordering::Relaxed) {
            let message = "more than half of the servers send stamps from the future".into();
            let todo = "check this machine's clock (chronyc tracking); no sample is dropped for that cause meanwhile";
            problem(now, ProblemSeverity::Warning, "clock_suspect", message, todo);
        }
        let lag = now.since(self.shared().durable_until());
        let allowed =
            i64::try_from(self.config().config.archive.sync_interval.as_nanos()).unwrap_or(i64::MAX);
        if lag > allowed.saturating_add(SLOW_SYNC_NS) && self.shared().durable_until() > Timestamp::MIN {
            let message = format!("nothing was made durable for {:.1} s", lag as f64 / 1e9);
            let todo =
                "the disk does not finish a sync: check its load and health; receiving goes on in memory";
            problem(now.saturating_add(-lag), ProblemSeverity::Warning, "slow_sync", message, todo);
        }
        if disk.total > 0 && disk.free < self.shared().settings.min_free.of(disk.total).saturating_mul(2) {
            let message = format!("{} of {} bytes are free", disk.free, disk.total);
            problem(
                now,
                ProblemSeverity::Warning,
                "disk_low",
                message,
                "free space or move weeks to another file system",
            );
        }
        if let Some(met) = self.shared().view().damage.met() {
            problem(self.started(), ProblemSeverity::Error, "damaged", met.message, met.what_to_do);
        }
        let dropped = self.ledger().dropped_total();
        if dropped > 0 {
            let message = format!("{dropped} samples were dropped since the start");
            let todo = "see /metrics for the causes and archtool why for a channel";
            problem(self.started(), ProblemSeverity::Warning, "dropped", message, todo);
        }
        if let Some(error) = &self.config().pending_error {
            let todo = "mend the file and reload; the old configuration is in force";
            problem(now, ProblemSeverity::Warning, "configuration", error.clone(), todo);
        }
        problems.sort_by_key(|p| std::cmp::Reverse(p.severity));
        problems
    }
}

/// A sync that takes so much longer than the interval is worth a word.
const SLOW_SYNC_NS: i64 = 3_000_000_000;

impl StatusSource for Engine {
    fn status(&self) -> Status {
        let shared = self.shared();
        let now = shared.clock.now();
        let disk = self.disk_status(now);
        let ledger = self.ledger();
        let (samples_per_s, bytes_per_s) = self.rates(now);
        let (bytes, segments) = self.keeper().log_size();
        let poisoned = shared.health().poisoned.is_some();
        let (open, sealed, backlog) = self.keeper().weeks();
        // Let go of before the problems are asked for, which look at the configuration as well.
        let config = {
            let config = self.config();
            ConfigStatus {
                loaded: config.loaded,
                hash: format!("{:08x}", config.config.hash),
                pending_error: config.pending_error.clone(),
            }
        };
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            archive: self.archive().info(),
            uptime_s: now.since(self.started()) as f64 / 1e9,
            ready: !poisoned,
            reasons: if poisoned {
                vec!["nothing is acknowledged: a sync failed".into()]
            } else {
                Vec::new()
            },
            now,
            durable_until: shared.durable_until(),
            config,
            channels: self.counts(),
            ingest: IngestStatus { samples_per_s, bytes_per_s, dropped: ledger.dropped },
            servers: ServersStatus {
                n: self.gauges().servers.load(Ordering::Relaxed),
                clock_offset_max_ms: Some(self.gauges().clock_offset_ns.load(Ordering::Relaxed) as f64 / 1e6),
            },
            wal: WalStatus { bytes, segments, sync_p99_ms: self.sync_times().p99_ms() },
            memtable: MemtableStatus {
                bytes: shared.memory.load(Ordering::Relaxed) as u64,
                limit: shared.settings.memtable_bytes as u64,
            },
            partitions: PartitionStatus { open, sealed, backlog },
            problems: self.problems(&disk),
            disk,
        }
    }

    fn metrics(&self) -> Metrics {
        let shared = self.shared();
        let counters = &shared.counters;
        Metrics {
            ledger: self.ledger(),
            channels: self.counts(),
            disconnects: counters.disconnects.load(Ordering::Relaxed),
            searches: self.gauges().searches.load(Ordering::Relaxed),
            wal_sync: self.sync_times().histogram(),
            durable_lag_s: (shared.clock.now().since(shared.durable_until()) as f64 / 1e9).max(0.0),
            queue_bytes: vec![
                ("source", self.gauges().queue_bytes.load(Ordering::Relaxed)),
                ("log", shared.log.waiting()),
                ("merge", self.keeper().merge_debt()),
            ],
            disk_free_bytes: self.keeper().space().map_or(0, |space| space.free),
            damaged: shared.view().damage.count(),
            config_reload_success: self.config().pending_error.is_none(),
        }
    }
}
