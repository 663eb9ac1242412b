//! Making the log whole after a replay, before anything is written behind it.

use super::format::{SEGMENT_HEADER, SEGMENT_HEADER_BYTES};
use super::reader::{Replay, SegmentSpan};
use super::sync::Durable;
use super::writer::{Closed, Settings, Start, Writer};
use crate::error::Error;
use crate::identity::ArchiveId;
use crate::planted::{Bug, planted};
use disk::{Disk, DiskError, create_dir_durable};
use sample::Timestamp;
use std::path::Path;
use std::sync::Arc;

impl Writer {
    /// Goes on behind what [`super::replay`] found in `dir`: removes the torn tail durably, syncs all that
    /// was replayed, and only then calls it durable. New records go to a new segment. A crash in between
    /// leaves a log that replays the same.
    ///
    /// The first new record gets `replay.next_sequence`, or `next_sequence` if that is higher (the
    /// manifest's). Make the [`super::Buffer`] with [`Writer::first_sequence`].
    ///
    /// When a sync of what was replayed fails, the writer comes back with [`Writer::needs_restart`]: then
    /// all that was replayed has to be repeated, as after any failed sync.
    ///
    /// # Errors
    /// The disk's while the torn tail is removed; [`Error::NewerMinor`].
    pub fn resume(
        disk: Arc<dyn Disk>,
        dir: &Path,
        archive: ArchiveId,
        settings: Settings,
        replay: &Replay,
        next_sequence: u64,
    ) -> Result<Writer, Error> {
        if let Some((segment, minor)) =
            replay.segments.iter().find_map(|segment| Some((segment, segment.newer_minor?)))
        {
            return Err(Error::NewerMinor {
                path: segment.path.clone(),
                found: (SEGMENT_HEADER.major, minor),
                supported: (SEGMENT_HEADER.major, SEGMENT_HEADER.minor),
            });
        }
        create_dir_durable(&*disk, dir)?;
        let kept = cut_torn_tail(&*disk, dir, replay)?;
        let synced = sync_replayed(&*disk, dir, kept.get(replay.read_from.min(kept.len())..).unwrap_or(&[]));

        let next_sequence = next_sequence.max(replay.next_sequence);
        let continues = next_sequence == replay.last_sequence + 1;
        let life = if continues && replay.life > 0 { replay.life } else { next_sequence };
        let durable = match synced {
            Ok(()) => Durable { sequence: replay.last_sequence, received: replay.last_received },
            Err(_) => Durable { sequence: replay.durable_note, received: Timestamp::MIN },
        };
        // W4: numbers of segments that were cut off are not used again.
        let number = replay.segments.last().map_or(1, |segment| segment.number + 1);
        let start = Start { number, life, sequence: next_sequence, durable };
        let mut writer = Writer::new(disk, dir, archive, settings, &start);
        writer.closed = kept
            .iter()
            .map(|segment| Closed {
                path: segment.path.clone(),
                len: segment.len,
                last_sequence: segment.last_sequence.min(next_sequence - 1),
            })
            .collect();
        writer.failed = synced.is_err();
        Ok(writer)
    }
}

/// Removes the torn tail durably; returns the segments that stay.
fn cut_torn_tail(disk: &dyn Disk, dir: &Path, replay: &Replay) -> Result<Vec<SegmentSpan>, Error> {
    let mut kept = replay.segments.clone();
    let Some((first, offset)) = replay.torn.filter(|_| !planted(Bug::TornTailNotCut)) else {
        return Ok(kept);
    };
    let whole = if offset <= SEGMENT_HEADER_BYTES as u64 { first } else { first + 1 };
    // From the end: what is left at any moment is a log with a shorter torn tail.
    for segment in kept.drain(whole..).rev() {
        disk.remove(&segment.path)?;
    }
    disk.sync_dir(dir)?;
    if let Some(segment) = kept.get_mut(first) {
        let file = disk.open_write(&segment.path)?;
        file.set_len(offset)?;
        file.sync()?;
        segment.len = offset;
    }
    Ok(kept)
}

/// Syncs everything that was replayed, with the names: a killed process leaves records that only the
/// operating system has.
fn sync_replayed(disk: &dyn Disk, dir: &Path, segments: &[SegmentSpan]) -> Result<(), DiskError> {
    if planted(Bug::ReplayedCalledDurable) {
        return Ok(());
    }
    for segment in segments {
        disk.open_write(&segment.path)?.sync()?;
    }
    disk.sync_dir(dir)
}
