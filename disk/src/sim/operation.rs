//! The kinds of operations a disk executes.

use std::fmt;

/// What a program asked of the disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Operation {
    /// `Disk::create`.
    Create,
    /// `Disk::open` or `Disk::open_write`.
    Open,
    /// `File::read_at`.
    Read,
    /// `File::write_at` or `Lock::write`.
    Write,
    /// `File::allocate`.
    Allocate,
    /// `File::set_len`.
    SetLen,
    /// `File::len`.
    Len,
    /// `File::sync`.
    Sync,
    /// `Disk::rename`.
    Rename,
    /// `Disk::link`.
    Link,
    /// `Disk::remove`.
    Remove,
    /// `Disk::create_dir`.
    CreateDir,
    /// `Disk::remove_dir`.
    RemoveDir,
    /// `Disk::list`.
    List,
    /// `Disk::exists`.
    Exists,
    /// `Disk::sync_dir`.
    SyncDir,
    /// `Disk::space`.
    Space,
    /// `Disk::lock`.
    Lock,
}

impl Operation {
    /// Every kind, in order.
    pub const ALL: [Operation; 18] = [
        Operation::Create,
        Operation::Open,
        Operation::Read,
        Operation::Write,
        Operation::Allocate,
        Operation::SetLen,
        Operation::Len,
        Operation::Sync,
        Operation::Rename,
        Operation::Link,
        Operation::Remove,
        Operation::CreateDir,
        Operation::RemoveDir,
        Operation::List,
        Operation::Exists,
        Operation::SyncDir,
        Operation::Space,
        Operation::Lock,
    ];

    /// A verb for error messages.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Create => "create",
            Operation::Open => "open",
            Operation::Read => "read",
            Operation::Write => "write",
            Operation::Allocate => "reserve space for",
            Operation::SetLen => "set the length of",
            Operation::Len => "ask the length of",
            Operation::Sync => "sync",
            Operation::Rename => "rename",
            Operation::Link => "link",
            Operation::Remove => "remove",
            Operation::CreateDir => "create directory",
            Operation::RemoveDir => "remove directory",
            Operation::List => "list",
            Operation::Exists => "look for",
            Operation::SyncDir => "sync directory",
            Operation::Space => "ask the free space of",
            Operation::Lock => "lock",
        }
    }
}

/// How often each kind was executed, and how often a crash or a fault met it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    executed: [u64; Operation::ALL.len()],
    crashed: [u64; Operation::ALL.len()],
    failed: [u64; Operation::ALL.len()],
}

impl Counters {
    /// Operations of this kind, the crashed and failed ones included.
    pub fn executed(&self, operation: Operation) -> u64 {
        self.executed[operation as usize]
    }

    /// Operations of this kind during which a scheduled crash came.
    pub fn crashed(&self, operation: Operation) -> u64 {
        self.crashed[operation as usize]
    }

    /// Operations of this kind that an injected fault met.
    pub fn failed(&self, operation: Operation) -> u64 {
        self.failed[operation as usize]
    }

    /// Operations of all kinds.
    pub fn total(&self) -> u64 {
        self.executed.iter().sum()
    }

    /// Adds another disk's counts.
    pub fn add(&mut self, other: &Counters) {
        for at in 0..Operation::ALL.len() {
            self.executed[at] += other.executed[at];
            self.crashed[at] += other.crashed[at];
            self.failed[at] += other.failed[at];
        }
    }

    pub(super) fn count_executed(&mut self, operation: Operation) {
        self.executed[operation as usize] += 1;
    }

    pub(super) fn count_crashed(&mut self, operation: Operation) {
        self.crashed[operation as usize] += 1;
    }

    pub(super) fn count_failed(&mut self, operation: Operation) {
        self.failed[operation as usize] += 1;
    }
}

impl fmt::Display for Counters {
    /// One line per kind that occurred.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<10} {:>12} {:>9} {:>9}", "operation", "executed", "crashed", "failed")?;
        for operation in Operation::ALL.into_iter().filter(|kind| self.executed(*kind) > 0) {
            writeln!(
                f,
                "{:<10} {:>12} {:>9} {:>9}",
                format!("{operation:?}"),
                self.executed(operation),
                self.crashed(operation),
                self.failed(operation)
            )?;
        }
        Ok(())
    }
}
