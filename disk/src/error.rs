//! Why bytes could not be had from a file.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What went wrong, where, while doing what.
#[derive(Debug, Clone)]
pub struct DiskError {
    /// The operation, for example `write`.
    pub operation: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// The cause.
    pub source: Arc<std::io::Error>,
}

impl DiskError {
    /// An error of `operation` on `path`.
    pub fn new(operation: &'static str, path: &Path, source: std::io::Error) -> DiskError {
        DiskError { operation, path: path.to_path_buf(), source: Arc::new(source) }
    }

    /// Whether the file system had no room (or the quota was reached).
    pub fn is_full(&self) -> bool {
        matches!(self.source.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
    }

    /// Whether the file or directory does not exist.
    pub fn is_missing(&self) -> bool {
        self.source.kind() == std::io::ErrorKind::NotFound
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.operation, self.path.display(), self.source)
    }
}

impl std::error::Error for DiskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}

/// Why a durable file could not be read or written. An I/O error is never reported as corruption, nor
/// corruption as an I/O error.
#[derive(Debug, Clone)]
pub enum FormatError {
    /// The file system refused.
    Io(DiskError),
    /// The bytes are not what was written.
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in the file, in bytes.
        offset: u64,
        /// What was expected there, or what is wrong.
        what: Cow<'static, str>,
    },
    /// The file begins with another magic: it is of another kind.
    WrongKind {
        /// The file.
        path: PathBuf,
        /// The magic that was expected.
        expected: [u8; 8],
        /// The bytes that stand there.
        found: [u8; 8],
    },
    /// A newer program wrote the file.
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its version, major then minor.
        found: (u16, u16),
        /// The newest version this program reads, major then minor.
        supported: (u16, u16),
    },
    /// Something is larger than allowed.
    Limit {
        /// What is limited.
        what: &'static str,
        /// The most that is allowed.
        max: u64,
        /// How much there is.
        found: u64,
    },
}

impl FormatError {
    /// Damage at `offset` bytes into the file.
    pub fn corrupt(path: &Path, offset: u64, what: impl Into<Cow<'static, str>>) -> FormatError {
        FormatError::Corrupt { path: path.to_path_buf(), offset, what: what.into() }
    }

    /// Whether the file's bytes are at fault (not the file system, not a limit, not its version).
    pub fn is_damage(&self) -> bool {
        matches!(self, FormatError::Corrupt { .. } | FormatError::WrongKind { .. })
    }

    /// Whether the file does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(self, FormatError::Io(error) if error.is_missing())
    }
}

impl From<DiskError> for FormatError {
    fn from(error: DiskError) -> FormatError {
        FormatError::Io(error)
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FormatError::Io(error) => error.fmt(f),
            FormatError::Corrupt { path, offset, what } => {
                write!(f, "{} is damaged at byte {offset}: {what}", path.display())
            }
            FormatError::WrongKind { path, expected, found } => write!(
                f,
                "{} is not the kind of file that was expected: it begins with \"{}\", not with \"{}\"",
                path.display(),
                found.escape_ascii(),
                expected.escape_ascii()
            ),
            FormatError::TooNew { path, found, supported } => write!(
                f,
                "{} has format {}.{}, this program reads up to {}.{}: use a newer version of the program",
                path.display(),
                found.0,
                found.1,
                supported.0,
                supported.1
            ),
            FormatError::Limit { what, max, found } => {
                write!(f, "{what}: {found}, at most {max} is allowed")
            }
        }
    }
}

impl std::error::Error for FormatError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            FormatError::Io(error) => error.source(),
            _ => None,
        }
    }
}
