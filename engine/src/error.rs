//! Why the engine's files could not be opened, read or written.

use crate::wal::BufferFull;
use disk::{DiskError, FormatError};
use sample::Timestamp;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What went wrong with an archive's own files.
#[derive(Debug, Clone)]
pub enum Error {
    /// Another engine writes to the archive.
    Locked {
        /// The lock file.
        path: PathBuf,
        /// Who has it.
        holder: crate::identity::Holder,
    },
    /// Another archive, or none, is where the configuration pins one.
    Pinned {
        /// The archive's directory.
        directory: PathBuf,
        /// The id that must be there.
        pinned: String,
        /// The one that is.
        found: Option<crate::identity::ArchiveId>,
    },
    /// There is no archive, and none may be created.
    NoArchive(PathBuf),
    /// There is no archive, and the directory holds other things.
    NotEmpty(PathBuf),
    /// The operating system gave no randomness.
    Random(Arc<std::io::Error>),
    /// Stored samples could not be read.
    Read(crate::read::ReadError),
    /// The file system refused, bytes are damaged, too new or too large.
    Format(FormatError),
    /// A newer program of the same major version wrote the file: it may be read, never written.
    NewerMinor {
        /// The file.
        path: PathBuf,
        /// Its version, major then minor.
        found: (u16, u16),
        /// The newest version that this program writes.
        supported: (u16, u16),
    },
    /// The file belongs to another archive.
    ForeignFile {
        /// The file.
        path: PathBuf,
        /// The archive that was opened.
        expected: crate::identity::ArchiveId,
        /// The archive that the file names.
        found: crate::identity::ArchiveId,
    },
    /// The log's buffer did not take a record.
    LogBuffer(BufferFull),
    /// Nothing is acknowledged any more: the log failed and could not be begun anew.
    Poisoned {
        /// Since when.
        since: Timestamp,
        /// What happened.
        what: String,
    },
    /// A setting is so small that the engine cannot work with it.
    TooSmall {
        /// Its name.
        setting: &'static str,
        /// What was asked for.
        found: u64,
        /// The least that works.
        least: u64,
    },
    /// A thread could not be started.
    Thread(Arc<std::io::Error>),
    /// The manifest is older than the engine that writes the archive says.
    Behind {
        /// The manifest.
        path: PathBuf,
        /// The generation that it has at the engine.
        generation: u64,
    },
    /// A part of an archive cannot be rebuilt without the rest.
    WholeArchive {
        /// The week that was asked for.
        week: sample::Week,
        /// Why the others have to be looked at, too.
        why: String,
    },
    /// Tables of several archives lie in one directory, which does not say which of them it is.
    SeveralArchives {
        /// The directory.
        directory: PathBuf,
        /// The archives.
        archives: Vec<crate::identity::ArchiveId>,
    },
    /// An archive cannot be copied there.
    Destination {
        /// The directory.
        directory: PathBuf,
        /// Why not.
        why: &'static str,
    },
    /// There is an archive already where one was to be created.
    Exists(PathBuf),
    /// A sync of the write-ahead log failed earlier: nothing is written before the log is restarted.
    LogFailed {
        /// The log's directory.
        dir: PathBuf,
    },
}

impl Error {
    /// Damage at `offset` bytes into the file.
    pub fn corrupt(path: &Path, offset: u64, what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        Error::Format(FormatError::corrupt(path, offset, what))
    }

    /// Whether the file system had no room: the same call may succeed later.
    pub fn is_full(&self) -> bool {
        matches!(self, Error::Format(FormatError::Io(error)) if error.is_full())
    }

    /// Whether the file does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(self, Error::Format(error) if error.is_missing())
    }

    /// Whether a file's bytes are at fault.
    pub fn is_damage(&self) -> bool {
        matches!(self, Error::Format(error) if error.is_damage())
    }
}

impl From<DiskError> for Error {
    fn from(error: DiskError) -> Error {
        Error::Format(FormatError::Io(error))
    }
}

impl From<FormatError> for Error {
    fn from(error: FormatError) -> Error {
        Error::Format(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Locked { path, holder } => write!(
                f,
                "{} is held by process {} on {} ({}): another engine writes to this archive; stop it first",
                path.display(),
                holder.pid,
                holder.host,
                holder.address
            ),
            Error::Pinned { directory, pinned, found: None } => write!(
                f,
                "{} holds no archive, expected archive {pinned}: is the file system mounted?",
                directory.display()
            ),
            Error::Pinned { directory, pinned, found: Some(found) } => write!(
                f,
                "{} holds archive {found}, expected archive {pinned}: is the file system mounted?",
                directory.display()
            ),
            Error::NoArchive(directory) => write!(
                f,
                "{} holds no archive: check the path, or set create = true to make one there",
                directory.display()
            ),
            Error::NotEmpty(directory) => write!(
                f,
                "{} holds no archive and is not empty: choose a missing or empty directory for a new one",
                directory.display()
            ),
            Error::LogBuffer(error) => error.fmt(f),
            Error::Poisoned { since, what } => {
                write!(
                    f,
                    "nothing is acknowledged since {} ns: {what}; check the disk, then restart",
                    since.0
                )
            }
            Error::TooSmall { setting, found, least } => {
                write!(f, "{setting} = {found} is too small: at least {least} are needed")
            }
            Error::Thread(error) => write!(f, "cannot start a thread: {error}"),
            Error::Random(source) => write!(f, "the operating system gives no random numbers: {source}"),
            Error::Read(error) => error.fmt(f),
            Error::Format(error) => error.fmt(f),
            Error::NewerMinor { path, found, supported } => write!(
                f,
                "{} has format {}.{}, this program writes up to {}.{}: it can be read, but use a newer version \
                 of the program to write to this archive",
                path.display(),
                found.0,
                found.1,
                supported.0,
                supported.1
            ),
            Error::ForeignFile { path, expected, found } => write!(
                f,
                "{} belongs to archive {found}, not to {expected}: move it to its own archive",
                path.display()
            ),
            Error::Behind { path, generation } => write!(
                f,
                "{} is older than generation {generation}, which its engine has: the file system is behind; \
                 check the mount",
                path.display()
            ),
            Error::WholeArchive { week, why } => write!(
                f,
                "week {} cannot be rebuilt alone: {why}; leave --partition out",
                crate::layout::week_name(*week)
            ),
            Error::SeveralArchives { directory, archives } => {
                let archives: Vec<String> = archives.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "{} has no sound ARCHIVE file and holds tables of archives {}: give each a directory of its own",
                    directory.display(),
                    archives.join(", ")
                )
            }
            Error::Destination { directory, why } => write!(
                f,
                "{} cannot take the copy: {why}; choose a missing or empty directory",
                directory.display()
            ),
            Error::Exists(path) => {
                write!(f, "{} exists: there is an archive already; choose an empty directory", path.display())
            }
            Error::LogFailed { dir } => write!(
                f,
                "the last sync of the write-ahead log in {} failed: nothing more is written to its segments, \
                 a new one has to be begun; check the disk",
                dir.display()
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Format(error) => Some(error),
            Error::LogBuffer(error) => Some(error),
            Error::Thread(error) => Some(&**error),
            _ => None,
        }
    }
}
