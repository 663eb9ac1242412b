//! The operating system's file system.

mod mapping;

pub use mapping::Mapping;

use std::fs::{self, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::fs::{FallocateFlags, SeekFrom};
use rustix::io::Errno;

use crate::{Disk, DiskError, Entry, File, Lock, Space};

/// The file system of this machine. Holds nothing; every value is the same disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

/// Bytes written at once where a file system cannot reserve blocks.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Pauses after which a taken lock is tried again, and after the last one given up.
const LOCK_PAUSES: [Duration; 3] =
    [Duration::from_millis(1), Duration::from_millis(5), Duration::from_millis(0)];

fn opened(operation: &'static str, path: &Path, options: &OpenOptions) -> Result<Arc<dyn File>, DiskError> {
    let file = options.open(path).map_err(|error| DiskError::new(operation, path, error))?;
    Ok(Arc::new(RealFile { file: Arc::new(file), path: path.to_path_buf() }))
}

impl Disk for RealDisk {
    fn open(&self, path: &Path) -> Result<Arc<dyn File>, DiskError> {
        opened("open", path, OpenOptions::new().read(true))
    }

    fn open_write(&self, path: &Path) -> Result<Arc<dyn File>, DiskError> {
        opened("open for writing", path, OpenOptions::new().read(true).write(true))
    }

    fn create(&self, path: &Path) -> Result<Arc<dyn File>, DiskError> {
        opened("create", path, OpenOptions::new().read(true).write(true).create_new(true))
    }

    fn create_dir(&self, path: &Path) -> Result<(), DiskError> {
        fs::create_dir_all(path).map_err(|error| DiskError::new("create directory", path, error))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        fs::rename(from, to).map_err(|error| DiskError::new("rename", from, error))
    }

    fn link(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        fs::hard_link(from, to).map_err(|error| DiskError::new("link", from, error))
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        fs::remove_file(path).map_err(|error| DiskError::new("remove", path, error))
    }

    fn remove_dir(&self, path: &Path) -> Result<(), DiskError> {
        fs::remove_dir(path).map_err(|error| DiskError::new("remove directory", path, error))
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>, DiskError> {
        let read = || -> io::Result<Vec<Entry>> {
            let mut entries = Vec::new();
            for entry in fs::read_dir(path)? {
                let entry = entry?;
                // A dangling link is a name that is no directory; a name that is not UTF-8 is none of ours.
                let is_dir = fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_dir());
                entries.push(Entry { name: entry.file_name().to_string_lossy().into_owned(), is_dir });
            }
            entries.sort();
            Ok(entries)
        };
        read().map_err(|error| DiskError::new("list", path, error))
    }

    fn exists(&self, path: &Path) -> Result<bool, DiskError> {
        fs::exists(path).map_err(|error| DiskError::new("look for", path, error))
    }

    fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        fs::File::open(path)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| DiskError::new("sync directory", path, error))
    }

    fn space(&self, path: &Path) -> Result<Space, DiskError> {
        let found = rustix::fs::statvfs(path)
            .map_err(|error| DiskError::new("ask the free space of", path, error.into()))?;
        Ok(Space {
            total: found.f_blocks.saturating_mul(found.f_frsize),
            free: found.f_bavail.saturating_mul(found.f_frsize),
        })
    }

    fn lock(&self, path: &Path) -> Result<Option<Box<dyn Lock>>, DiskError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| DiskError::new("open lock file", path, error))?;
        for pause in LOCK_PAUSES {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Box::new(RealLock { file, path: path.to_path_buf() }))),
                // Perhaps only somebody who looks whether it is locked.
                Err(TryLockError::WouldBlock) => std::thread::sleep(pause),
                Err(TryLockError::Error(error)) => return Err(DiskError::new("lock", path, error)),
            }
        }
        Ok(None)
    }

    fn is_locked(&self, path: &Path) -> Result<bool, DiskError> {
        let file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(DiskError::new("open lock file", path, error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(DiskError::new("look at the lock of", path, error)),
        }
    }
}

#[derive(Debug)]
struct RealFile {
    file: Arc<fs::File>,
    path: PathBuf,
}

impl RealFile {
    fn checked<T>(&self, operation: &'static str, result: io::Result<T>) -> Result<T, DiskError> {
        result.map_err(|error| DiskError::new(operation, &self.path, error))
    }
}

/// Holes of a file that are looked for; one with more is taken for written up to its end.
const EXTENTS_MAX: usize = 1000;

impl File for RealFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        let mut done = 0;
        while done < buffer.len() {
            match self.file.read_at(&mut buffer[done..], offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.checked("read", Err(error)),
            }
        }
        Ok(done)
    }

    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, DiskError> {
        // Filling the room with zeros first would take longer than the copying of what is in the page cache.
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let from = offset.saturating_add(bytes.len() as u64);
            match rustix::io::pread(&self.file, spare_capacity(&mut bytes), from) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return self.checked("read", Err(error.into())),
            }
        }
        bytes.truncate(len);
        Ok(bytes)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.checked("write", self.file.write_all_at(bytes, offset))
    }

    fn sync(&self) -> Result<(), DiskError> {
        self.checked("sync", self.file.sync_data())
    }

    fn map(&self) -> Option<Mapping> {
        Mapping::of(&self.file)
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.checked("ask the length of", self.file.metadata().map(|metadata| metadata.len()))
    }

    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        self.checked("set the length of", self.file.set_len(len))
    }

    fn content_end(&self) -> Result<u64, DiskError> {
        // Where the file stands is nobody's business: all reads and writes say where.
        let seek = |to| rustix::fs::seek(&self.file, to);
        let mut end = 0;
        for _ in 0..EXTENTS_MAX {
            match seek(SeekFrom::Data(end)).and_then(|data| seek(SeekFrom::Hole(data))) {
                Ok(hole) if hole > end => end = hole,
                Err(Errno::NXIO) => return Ok(end),
                _ => break,
            }
        }
        self.len()
    }

    fn allocate(&self, len: u64) -> Result<(), DiskError> {
        if len == 0 {
            return Ok(());
        }
        let result = match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, len) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(&self.file, len),
            other => other.map_err(io::Error::from),
        };
        self.checked("reserve space for", result)
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

/// Reserves blocks up to `len` bytes where the file system cannot: by writing zeros behind the end.
fn write_zeros(file: &fs::File, len: u64) -> io::Result<()> {
    let mut at = file.metadata()?.len();
    while at < len {
        let count = usize::try_from(len - at).unwrap_or(usize::MAX).min(ZEROS.len());
        file.write_all_at(&ZEROS[..count], at)?;
        at += count as u64;
    }
    Ok(())
}

#[derive(Debug)]
struct RealLock {
    file: fs::File,
    path: PathBuf,
}

impl Lock for RealLock {
    fn write(&self, content: &[u8]) -> Result<(), DiskError> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.write_all_at(content, 0))
            .and_then(|()| self.file.sync_data())
            .map_err(|error| DiskError::new("write lock file", &self.path, error))
    }
}

impl Drop for RealLock {
    /// Closing the file would not do: a process that another thread is starting has it open until it runs its program.
    fn drop(&mut self) {
        // The lock goes with the last copy of the file at the latest.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests;
