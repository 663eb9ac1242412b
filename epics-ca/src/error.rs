//! What can go wrong between a program and libca.

use std::fmt;
use std::path::PathBuf;

/// Why a call failed.
#[derive(Debug)]
pub enum Error {
    /// No libca was found: every place looked at with the reason it was no use.
    NoLibrary {
        /// Place and reason.
        tried: Vec<(PathBuf, String)>,
    },
    /// A library was opened and is not a usable libca.
    Library {
        /// The library's file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A setting cannot be passed to libca.
    Setting {
        /// The `EPICS_CA_*` variable it would become.
        variable: &'static str,
        /// What is wrong.
        what: String,
    },
    /// libca reads its environment once: a second context must have the settings of the first.
    SettingsDiffer,
    /// A channel name is empty or holds a NUL.
    Name(String),
    /// libca refused a call.
    Ca {
        /// The C function.
        call: &'static str,
        /// Its `ECA_*` status.
        status: i32,
        /// libca's words for it.
        message: String,
    },
    /// Bytes from a server are not what their type says.
    Malformed {
        /// The DBR type number.
        dbr: u16,
        /// What is wrong.
        what: &'static str,
        /// Bytes that the type and count ask for.
        expected: usize,
        /// Bytes present.
        found: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoLibrary { tried } => {
                writeln!(f, "the Channel Access library libca was not found; looked at:")?;
                for (place, reason) in tried {
                    writeln!(f, "  {}: {reason}", place.display())?;
                }
                write!(
                    f,
                    "Name it in the configuration ([channel_access] library = ..) or in VARVE_LIBCA, set EPICS_BASE, \
                     or install one: `apt-get install libca4.13.5`, or in a checkout `cargo xtask epics`."
                )
            }
            Error::Library { path, what } => {
                write!(f, "{} is not a usable libca: {what}; EPICS 7 is expected", path.display())
            }
            Error::Setting { variable, what } => write!(f, "{variable}: {what}"),
            Error::SettingsDiffer => write!(
                f,
                "libca reads its settings once per process: all contexts must be created with those of the first"
            ),
            Error::Name(name) => write!(f, "{name:?} is not a channel name: it is empty or holds a NUL"),
            Error::Ca { call, status, message } => write!(f, "{call} failed: {message} (status {status})"),
            Error::Malformed { dbr, what, expected, found } => {
                write!(f, "a value of DBR type {dbr} {what}: {expected} bytes expected, {found} present")
            }
        }
    }
}

impl std::error::Error for Error {}
