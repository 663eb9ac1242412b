//! Moves buffered records into segment files.

use super::Buffer;
use super::format::{SEGMENT_BYTES_DEFAULT, SEGMENT_HEADER_BYTES};
use super::frame;
use super::segment::{SegmentHeader, salt};
use super::sync::{Durable, SyncTicket};
use crate::error::Error;
use crate::identity::ArchiveId;
use crate::layout::segment_name;
use disk::{Checksum, Disk, DiskError, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Memory that the writer keeps between two writes.
const IDLE_BYTES: usize = 4 << 20;

/// How the log is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Pre-allocated length of a segment in bytes. A record that is larger gets a segment of its own.
    pub segment_bytes: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { segment_bytes: SEGMENT_BYTES_DEFAULT }
    }
}

/// The segment that is being written.
#[derive(Debug)]
struct Active {
    file: Arc<dyn File>,
    salt: Checksum,
    /// Where the next record goes.
    offset: u64,
    /// Allocated length.
    len: u64,
    last_sequence: u64,
    /// Whether something was written since the last ticket.
    dirty: bool,
}

impl Active {
    fn room(&self) -> u64 {
        self.len - self.offset
    }
}

/// A segment that is not written any more.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) path: PathBuf,
    pub(super) len: u64,
    pub(super) last_sequence: u64,
}

/// Where a writer begins.
pub(super) struct Start {
    pub(super) number: u64,
    pub(super) life: u64,
    pub(super) sequence: u64,
    pub(super) durable: Durable,
}

/// The log's files. Owned by whoever does its I/O.
#[derive(Debug)]
pub struct Writer {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    archive: ArchiveId,
    settings: Settings,
    /// Oldest first.
    pub(super) closed: Vec<Closed>,
    active: Option<Active>,
    /// Records taken from the buffer; those before `cursor` are written.
    pending: Vec<u8>,
    cursor: usize,
    next_number: u64,
    pub(super) life: u64,
    /// Sequence of the first record that this writer gets.
    first_sequence: u64,
    /// What is with the operating system.
    written: Durable,
    pub(super) durable: Durable,
    /// Closed files with bytes that no ticket has taken.
    dirty: Vec<Arc<dyn File>>,
    dir_dirty: bool,
    syncing: bool,
    pub(super) failed: bool,
}

impl Writer {
    /// A writer without a segment yet.
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        dir: &Path,
        archive: ArchiveId,
        settings: Settings,
        start: &Start,
    ) -> Writer {
        Writer {
            disk,
            dir: dir.to_path_buf(),
            archive,
            settings,
            closed: Vec::new(),
            active: None,
            pending: Vec::new(),
            cursor: 0,
            next_number: start.number,
            life: start.life,
            first_sequence: start.sequence,
            written: start.durable,
            durable: start.durable,
            dirty: Vec::new(),
            dir_dirty: false,
            syncing: false,
            failed: false,
        }
    }

    /// Hands all buffered records to the operating system, beginning new segments as needed.
    ///
    /// # Errors
    /// The disk's: what was not written stays, and a later call goes on with the record that failed, at the
    /// same place. [`Error::is_full`] tells a full file system. [`Error::LogFailed`] until
    /// [`Writer::restart`] after a failed sync.
    pub fn write(&mut self, buffer: &Buffer) -> Result<(), Error> {
        self.check()?;
        self.pending.drain(..self.cursor);
        self.cursor = 0;
        let received = buffer.take(&mut self.pending);
        while self.cursor < self.pending.len() {
            let before = self.cursor;
            self.write_run()?;
            buffer.written((self.cursor - before) as u64);
        }
        self.pending.clear();
        self.cursor = 0;
        if self.pending.capacity() > IDLE_BYTES {
            self.pending = Vec::new();
        }
        self.written.received = self.written.received.max(received);
        Ok(())
    }

    fn check(&self) -> Result<(), Error> {
        if self.failed { Err(Error::LogFailed { dir: self.dir.clone() }) } else { Ok(()) }
    }

    /// Writes as many pending records as the active segment takes, at least one.
    fn write_run(&mut self) -> Result<(), Error> {
        let (first_sequence, first_bytes) = frame::peek(&self.pending[self.cursor..]);
        let mut active = match self.active.take() {
            Some(active) if first_bytes as u64 <= active.room() => active,
            former => {
                self.close(former);
                self.begin_segment(first_sequence, first_bytes)?
            }
        };
        let mut end = self.cursor;
        let mut last_sequence = first_sequence;
        while end < self.pending.len() {
            let (sequence, bytes) = frame::peek(&self.pending[end..]);
            if (end - self.cursor + bytes) as u64 > active.room() {
                break;
            }
            frame::seal(&mut self.pending[end..end + bytes], &active.salt, self.durable.sequence);
            end += bytes;
            last_sequence = sequence;
        }
        // Even a write that fails may have changed the file.
        active.dirty = true;
        let result = active.file.write_at(active.offset, &self.pending[self.cursor..end]);
        if result.is_ok() {
            active.offset += (end - self.cursor) as u64;
            active.last_sequence = last_sequence;
            self.written.sequence = last_sequence;
            self.cursor = end;
        }
        self.active = Some(active);
        Ok(result?)
    }

    fn begin_segment(&mut self, first_sequence: u64, record_bytes: usize) -> Result<Active, Error> {
        let number = self.next_number;
        let path = self.dir.join(segment_name(number));
        let len = self.settings.segment_bytes.max((SEGMENT_HEADER_BYTES + record_bytes) as u64);
        let header = SegmentHeader { archive: self.archive, number, life: self.life, first_sequence };
        // W4: also a number whose file could not be made is used up.
        self.next_number += 1;
        let file = self.disk.create(&path)?;
        if let Err(error) = file.allocate(len).and_then(|()| file.write_at(0, &header.encode())) {
            // The first error is the one to report; replay passes over a segment without records.
            let _ = self.disk.remove(&path);
            return Err(error.into());
        }
        self.dir_dirty = true;
        Ok(Active {
            file,
            salt: salt(self.archive, number),
            offset: SEGMENT_HEADER_BYTES as u64,
            len,
            last_sequence: first_sequence - 1,
            dirty: true,
        })
    }

    fn close(&mut self, active: Option<Active>) {
        let Some(active) = active else { return };
        let path = active.file.path().to_path_buf();
        self.closed.push(Closed { path, len: active.len, last_sequence: active.last_sequence });
        if active.dirty {
            self.dirty.push(active.file);
        }
    }

    /// What has to be synced so that all that is written becomes durable. `None` when nothing has, when
    /// another ticket is under way, or after a failed sync.
    pub fn begin_sync(&mut self) -> Option<SyncTicket> {
        if self.failed || self.syncing {
            return None;
        }
        let mut files = std::mem::take(&mut self.dirty);
        if let Some(active) = self.active.as_mut().filter(|active| active.dirty) {
            active.dirty = false;
            files.push(Arc::clone(&active.file));
        }
        if files.is_empty() && !self.dir_dirty {
            // Nothing was written since the last sync: only the water mark may have moved.
            self.durable = self.written;
            return None;
        }
        let dir = self.dir_dirty.then(|| (Arc::clone(&self.disk), self.dir.clone()));
        self.dir_dirty = false;
        self.syncing = true;
        Some(SyncTicket { files, dir, target: self.written, life: self.life })
    }

    /// Takes a ticket back with the result of [`SyncTicket::run`]; returns what is durable now.
    ///
    /// # Errors
    /// That of the sync: the log has failed, and [`Writer::restart`] is all that can be done with it. A
    /// ticket from before a restart changes nothing.
    pub fn finish_sync(
        &mut self,
        ticket: SyncTicket,
        result: Result<(), DiskError>,
    ) -> Result<Durable, Error> {
        if ticket.life != self.life {
            return Ok(self.durable);
        }
        self.syncing = false;
        if let Err(error) = result {
            self.failed = true;
            return Err(error.into());
        }
        self.durable = ticket.target;
        Ok(self.durable)
    }

    /// Begins a new life of the log after a failed sync: no file written so far is trusted or written again
    /// (W3), and what waits in `buffer` is forgotten. The caller then appends anew all that is not in synced
    /// SSTables, what waited included, so it holds the lock under which `buffer` and memory are filled
    /// together until it has decided what to repeat; it calls [`Buffer::finish_repeat`] after the last such
    /// record, and stores a manifest whose `wal_from` is the returned sequence once all of them are durable.
    /// Until `finish_repeat` the promise [`Durable::received`] stands still.
    pub fn restart(&mut self, buffer: &Buffer) -> u64 {
        let active = self.active.take();
        self.close(active);
        self.dirty.clear();
        self.dir_dirty = false;
        self.pending = Vec::new();
        self.cursor = 0;
        self.written = self.durable;
        self.life = buffer.restart(self.durable);
        self.syncing = false;
        self.failed = false;
        self.life
    }

    /// Removes the segments whose records all have sequences up to `through`. A synced manifest must say
    /// `wal_from` > `through`. The segment being written stays.
    ///
    /// # Errors
    /// The disk's; segments that were not removed are tried again by the next call.
    pub fn release(&mut self, through: u64) -> Result<(), Error> {
        while self.closed.first().is_some_and(|closed| closed.last_sequence <= through) {
            match self.disk.remove(&self.closed[0].path) {
                Err(error) if !error.is_missing() => return Err(error.into()),
                _ => self.closed.remove(0),
            };
        }
        Ok(())
    }

    /// The sequence that the first record after [`Writer::resume`] gets: what the buffer begins with.
    pub fn first_sequence(&self) -> u64 {
        self.first_sequence
    }

    /// What is durable.
    pub fn durable(&self) -> Durable {
        self.durable
    }

    /// What is with the operating system: it survives the process, not the machine.
    pub fn written(&self) -> Durable {
        self.written
    }

    /// Whether a sync failed, so that [`Writer::restart`] has to come before anything else.
    pub fn needs_restart(&self) -> bool {
        self.failed
    }

    /// Number of segment files.
    pub fn segments(&self) -> u64 {
        (self.closed.len() + usize::from(self.active.is_some())) as u64
    }

    /// Allocated bytes of all segment files.
    pub fn bytes(&self) -> u64 {
        self.closed.iter().map(|closed| closed.len).sum::<u64>()
            + self.active.as_ref().map_or(0, |active| active.len)
    }

    /// The log's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}
