//! Why a verb failed, with the exit code that says so.

use serde_json::Value;
use std::fmt;
use std::io;

/// Everything asked for was done.
pub(crate) const DONE: u8 = 0;
/// It failed.
pub(crate) const FAILED: u8 = 1;
/// Wrong usage.
pub(crate) const USAGE: u8 = 2;
/// Damage was found.
pub(crate) const DAMAGE: u8 = 3;
/// Answered, but something asked for is not there.
pub(crate) const MISSING: u8 = 4;

/// Why a verb failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line asks for something that cannot be.
    Usage(String),
    /// What was asked for is not there.
    Missing(String),
    /// A server (or this process in its place) refused; its words.
    Refused {
        /// The code of the HTTP interface.
        code: String,
        /// In words.
        message: String,
        /// Names that are nearly the one asked for.
        near: Vec<String>,
    },
    /// Reading or writing failed.
    Io {
        /// What was attempted.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// A part of the demonstration could not be started.
    Demo(Box<dyn std::error::Error + Send + Sync>),
    /// The archive cannot be opened or written.
    Engine(engine::error::Error),
    /// Whoever reads the output has left.
    Gone,
}

impl Failure {
    /// A failure to do `what`; a closed pipe is none.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Failure {
        |source| match source.kind() {
            io::ErrorKind::BrokenPipe => Failure::Gone,
            _ => Failure::Io { what: what.into(), source },
        }
    }

    /// A part of the demonstration could not be started.
    pub(crate) fn demo(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
        Failure::Demo(Box::new(error))
    }

    /// From an error object of the HTTP interface.
    pub(crate) fn refused(error: &Value) -> Failure {
        let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        let near = error["near"].as_array().map_or_else(Vec::new, |names| {
            names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
        });
        Failure::Refused { code: text("code"), message: text("message"), near }
    }

    /// What the process exits with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Failure::Usage(_) => USAGE,
            Failure::Missing(_) => MISSING,
            Failure::Refused { code, .. } => match code.as_str() {
                "bad_parameter" | "bad_time" => USAGE,
                "unknown_channel" => MISSING,
                "damaged" => DAMAGE,
                _ => FAILED,
            },
            Failure::Io { .. } | Failure::Demo(_) | Failure::Engine(_) => FAILED,
            Failure::Gone => DONE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(what) | Failure::Missing(what) => f.write_str(what),
            Failure::Refused { code, message, near } => {
                f.write_str(if message.is_empty() { code } else { message })?;
                // Some messages name them themselves.
                let untold: Vec<&str> =
                    near.iter().map(String::as_str).filter(|name| !message.contains(name)).collect();
                if !untold.is_empty() {
                    write!(f, "; did you mean {}?", untold.join(" or "))?;
                }
                Ok(())
            }
            Failure::Io { what, source } => write!(f, "cannot {what}: {source}"),
            Failure::Demo(error) => error.fmt(f),
            Failure::Engine(error) => error.fmt(f),
            Failure::Gone => f.write_str("the output was closed"),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Failure::Io { source, .. } => Some(source),
            Failure::Demo(error) => Some(&**error),
            Failure::Engine(error) => Some(error),
            _ => None,
        }
    }
}

impl From<engine::error::Error> for Failure {
    fn from(error: engine::error::Error) -> Failure {
        Failure::Engine(error)
    }
}
