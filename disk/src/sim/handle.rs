//! The simulated disk as a `Disk`, its open files as `File`s.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use super::directory_node::NodeId;
use super::fault::Fate;
use super::tree::State;
use super::{Operation, SimDisk};
use crate::{Disk, DiskError, Entry, File, Lock, Space};

impl SimDisk {
    fn opened(
        &self,
        operation: Operation,
        path: &Path,
        writable: bool,
        find: impl FnOnce(&mut State) -> io::Result<NodeId>,
    ) -> Result<Arc<dyn File>, DiskError> {
        let (node, epoch) = self.simple(operation, path, None, |state| {
            let node = find(state)?;
            state.file_mut(node)?.handles += 1;
            Ok((node, state.epoch))
        })?;
        let handle = Handle { disk: self.clone(), node, epoch, path: path.to_path_buf(), locks: false };
        Ok(Arc::new(SimFile { handle, writable }))
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path) -> Result<Arc<dyn File>, DiskError> {
        self.opened(Operation::Open, path, false, |state| state.find(path))
    }

    fn open_write(&self, path: &Path) -> Result<Arc<dyn File>, DiskError> {
        self.opened(Operation::Open, path, true, |state| state.find(path))
    }

    fn create(&self, path: &Path) -> Result<Arc<dyn File>, DiskError> {
        self.opened(Operation::Create, path, true, |state| state.create_file(path))
    }

    fn create_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.simple(Operation::CreateDir, path, None, |state| state.create_dir(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.simple(Operation::Rename, from, None, |state| state.rename(from, to))
    }

    fn link(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.simple(Operation::Link, from, None, |state| state.link(from, to))
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.simple(Operation::Remove, path, None, |state| state.remove_file(path))
    }

    fn remove_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.simple(Operation::RemoveDir, path, None, |state| state.remove_dir(path))
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>, DiskError> {
        self.simple(Operation::List, path, None, |state| {
            let node = state.find(path)?;
            let names = &state.directory(node)?.names;
            let entry = |(name, node): (&Arc<str>, &NodeId)| Entry {
                name: name.to_string(),
                is_dir: state.is_directory(*node),
            };
            Ok(names.iter().map(entry).collect())
        })
    }

    fn exists(&self, path: &Path) -> Result<bool, DiskError> {
        self.simple(Operation::Exists, path, None, |state| match state.find(path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        })
    }

    fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.run(Operation::SyncDir, path, None, |state, fate| {
            let node = state.find(path)?;
            state.directory(node)?;
            match fate {
                Fate::Fail(kind) => return Err(kind.into()),
                // The medium may have everything before the answer is given.
                Fate::Crash(_) if state.random.one_in(2) => {}
                Fate::Crash(_) | Fate::Done => state.directory_mut(node)?.sync(),
            }
            Ok(())
        })
    }

    fn space(&self, path: &Path) -> Result<Space, DiskError> {
        self.simple(Operation::Space, path, None, |state| {
            state.find(path)?;
            Ok(Space { total: state.capacity, free: state.room() })
        })
    }

    fn lock(&self, path: &Path) -> Result<Option<Box<dyn Lock>>, DiskError> {
        let taken = self.simple(Operation::Lock, path, None, |state| {
            let node = match state.find(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => state.create_file(path)?,
                other => other?,
            };
            let file = state.file_mut(node)?;
            if file.locked {
                return Ok(None);
            }
            file.locked = true;
            file.handles += 1;
            Ok(Some((node, state.epoch)))
        })?;
        Ok(taken.map(|(node, epoch)| {
            let handle = Handle { disk: self.clone(), node, epoch, path: path.to_path_buf(), locks: true };
            Box::new(SimLock { handle }) as Box<dyn Lock>
        }))
    }

    fn is_locked(&self, path: &Path) -> Result<bool, DiskError> {
        self.simple(Operation::Lock, path, None, |state| match state.find(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            found => Ok(state.file_mut(found?)?.locked),
        })
    }
}

/// A node that is open until this is dropped.
struct Handle {
    disk: SimDisk,
    node: NodeId,
    epoch: u64,
    path: PathBuf,
    locks: bool,
}

impl Handle {
    fn simple<T>(
        &self,
        operation: Operation,
        body: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> Result<T, DiskError> {
        self.disk.simple(operation, &self.path, Some(self.epoch), body)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.disk.run(Operation::Write, &self.path, Some(self.epoch), |state, fate| {
            if let Fate::Fail(kind) = fate {
                let part = state.random.below(bytes.len() as u64 + 1) as usize;
                state.write(self.node, offset, &bytes[..part])?;
                return Err(kind.into());
            }
            state.write(self.node, offset, bytes)
        })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.admit(Some(self.epoch)).is_ok() {
            state.close(self.node, self.locks);
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("path", &self.path).finish_non_exhaustive()
    }
}

impl State {
    /// Writes as much as there is room for.
    fn write(&mut self, node: NodeId, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.change(node, |file, room| {
            let last = file.reserved.saturating_add(room);
            let fitting = last.saturating_sub(offset).min(bytes.len() as u64) as usize;
            if fitting > 0 {
                file.write(offset, &bytes[..fitting]);
            }
            if fitting < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        })
    }

    fn allocate(&mut self, node: NodeId, len: u64) -> io::Result<()> {
        self.change(node, |file, room| {
            if len > file.reserved.saturating_add(room) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            if len > file.content.len() {
                file.set_len(len);
            }
            file.reserved = file.reserved.max(len);
            Ok(())
        })
    }

    fn set_len(&mut self, node: NodeId, len: u64) -> io::Result<()> {
        let capacity = self.capacity;
        self.change(node, |file, _| {
            if len > file.content.len() && len > capacity {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            file.set_len(len);
            Ok(())
        })
    }
}

#[derive(Debug)]
struct SimFile {
    handle: Handle,
    writable: bool,
}

impl SimFile {
    fn writable(&self, operation: Operation) -> Result<(), DiskError> {
        if self.writable {
            return Ok(());
        }
        let error = io::Error::other("the file is open for reading only");
        Err(DiskError::new(operation.name(), &self.handle.path, error))
    }
}

impl File for SimFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        self.handle.simple(Operation::Read, |state| {
            Ok(state.file_mut(self.handle.node)?.content.read(offset, buffer))
        })
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.writable(Operation::Write)?;
        self.handle.write(offset, bytes)
    }

    fn sync(&self) -> Result<(), DiskError> {
        let Handle { disk, node, epoch, path, .. } = &self.handle;
        let hook = disk.sync_hook.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let until = hook.and_then(|hook| {
            let mut state = disk.state();
            state.admit(Some(*epoch)).ok()?;
            let until = state.file_mut(*node).ok()?.changes;
            drop(state);
            hook(path);
            Some(until)
        });
        disk.run(Operation::Sync, path, Some(*epoch), |state, fate| {
            let State { nodes, random, .. } = state;
            let super::tree::Node::File(file) = &mut nodes[*node] else { return Ok(()) };
            match fate {
                Fate::Done => file.sync(until.unwrap_or(file.changes)),
                Fate::Fail(kind) => {
                    file.fail_sync(random);
                    return Err(kind.into());
                }
                // What reached the medium is for the crash to say.
                Fate::Crash(_) => {}
            }
            Ok(())
        })
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.handle.simple(Operation::Len, |state| Ok(state.file_mut(self.handle.node)?.content.len()))
    }

    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        self.writable(Operation::SetLen)?;
        self.handle.simple(Operation::SetLen, |state| state.set_len(self.handle.node, len))
    }

    fn allocate(&self, len: u64) -> Result<(), DiskError> {
        self.writable(Operation::Allocate)?;
        self.handle.simple(Operation::Allocate, |state| state.allocate(self.handle.node, len))
    }

    fn path(&self) -> &Path {
        &self.handle.path
    }
}

#[derive(Debug)]
struct SimLock {
    handle: Handle,
}

impl Lock for SimLock {
    fn write(&self, content: &[u8]) -> Result<(), DiskError> {
        self.handle.simple(Operation::SetLen, |state| state.set_len(self.handle.node, 0))?;
        self.handle.write(0, content)
    }
}
