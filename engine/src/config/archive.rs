//! The `[archive]` section: where the archive lies, how much it may use, how late data may come.

use super::section::Section;
use super::value;
use crate::config::Percent;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Least `memtable_bytes`.
pub const MEMTABLE_BYTES_MIN: u64 = 1 << 20;
/// Least `reserve_bytes`.
pub const RESERVE_BYTES_MIN: u64 = 1 << 20;

/// How one archive is kept.
#[derive(Clone, PartialEq, Debug)]
pub struct ArchiveSettings {
    /// The archive's directory.
    pub directory: PathBuf,
    /// Whether a missing or empty directory becomes a fresh archive.
    pub create: bool,
    /// The only archive that is accepted here: 32 hexadecimal digits.
    pub id: Option<String>,
    /// Longest time between two syncs of the WAL; zero: every batch is synced.
    pub sync_interval: Duration,
    /// Bytes that samples may hold in memory before they are flushed.
    pub memtable_bytes: u64,
    /// Free share of the file system below which merging stops; twice it warns.
    pub min_free: Percent,
    /// Bytes kept allocated for the day the disk is full.
    pub reserve_bytes: u64,
    /// How much older than a channel's newest sample a live sample may be.
    pub late_limit: Duration,
    /// How far ahead of the engine's clock a sample may be.
    pub future_limit: Duration,
    /// How long files that no manifest names stay.
    pub grace: Duration,
    /// Share of the channels that one reload may remove.
    pub max_removed: Percent,
    /// Whether every sample keeps the engine's receive time.
    pub receive_time: bool,
}

impl ArchiveSettings {
    /// The defaults for an archive in `directory`.
    pub fn new(directory: PathBuf) -> ArchiveSettings {
        const MINUTE: u64 = 60;
        const DAY: u64 = 86_400;
        ArchiveSettings {
            directory,
            create: true,
            id: None,
            sync_interval: Duration::from_secs(1),
            memtable_bytes: 256 << 20,
            min_free: Percent::new(5),
            reserve_bytes: 64 << 20,
            late_limit: Duration::from_secs(7 * DAY),
            future_limit: Duration::from_secs(30 * MINUTE),
            grace: Duration::from_secs(10 * MINUTE),
            max_removed: Percent::new(10),
            receive_time: false,
        }
    }

    /// Reads the section; relative paths start at `base`.
    pub(super) fn read(mut section: Section<'_, '_>, base: &Path) -> ArchiveSettings {
        let mut settings = ArchiveSettings::new(PathBuf::new());
        if section.value("directory").is_none() {
            section.missing("directory = \"...\", where the archive lies");
        }
        section.set("directory", &mut settings.directory, |v| value::text(v).map(|text| base.join(text)));
        section.set("create", &mut settings.create, value::flag);
        settings.id = section.read("id", |v| {
            let id = value::text(v)?;
            let fits = id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            if fits {
                Ok(id)
            } else {
                Err("expected the archive's id, 32 hexadecimal digits in lower case".to_owned())
            }
        });
        section.set("sync_interval", &mut settings.sync_interval, value::duration);
        section.set("memtable_bytes", &mut settings.memtable_bytes, value::size(MEMTABLE_BYTES_MIN));
        section.set("min_free", &mut settings.min_free, value::percent);
        section.set("reserve_bytes", &mut settings.reserve_bytes, value::size(RESERVE_BYTES_MIN));
        section.set("late_limit", &mut settings.late_limit, value::duration);
        section.set("future_limit", &mut settings.future_limit, value::duration);
        section.set("grace", &mut settings.grace, value::duration);
        section.set("max_removed", &mut settings.max_removed, value::percent);
        section.set("receive_time", &mut settings.receive_time, value::flag);
        section.finish();
        settings
    }
}
