//! What is wrong with a configuration: where it stands, what was expected, what to do.

use crate::config::Origin;
use disk::DiskError;
use sample::{ChannelName, NameError};
use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct ConfigError {
    /// Where it stands; `None` where no line is at fault.
    pub origin: Option<Origin>,
    /// What it is.
    pub problem: Problem,
}

/// What is wrong.
#[derive(Clone, Debug)]
pub enum Problem {
    /// A file cannot be read.
    Unreadable(DiskError),
    /// A file is too large to be what it should be.
    TooLarge {
        /// Its size in bytes.
        bytes: u64,
        /// The most that is read.
        max: u64,
    },
    /// The text is not TOML, or not UTF-8: what the parser says.
    Syntax(String),
    /// A key that this place does not have.
    UnknownKey {
        /// The section as it is written in the file, for example `[archive]`.
        section: &'static str,
        /// The key.
        key: String,
        /// The most similar key that the section has.
        nearest: &'static str,
    },
    /// A key that must be there is not.
    Missing {
        /// The section as it is written in the file.
        section: &'static str,
        /// What is missing, for example `directory = "..."`.
        what: &'static str,
    },
    /// A key has a value that it cannot have.
    Value {
        /// The key.
        key: String,
        /// What was found and what was expected.
        what: String,
    },
    /// A text is not a channel name.
    Name(NameError),
    /// A line of a list file is not `NAME` or `NAME monitor|scan PERIOD`.
    ListLine(String),
    /// A list file names no channel.
    EmptyList,
    /// Two blocks ask for one channel with different settings.
    Conflict {
        /// The channel.
        name: ChannelName,
        /// Where it stands first.
        first: Origin,
        /// The settings that differ.
        settings: Vec<&'static str>,
    },
    /// A reload would remove more channels than `max_removed` allows.
    Removal {
        /// How many it would remove.
        removed: usize,
        /// How many there are.
        channels: usize,
        /// The limit as it is configured.
        limit: String,
        /// The first few of them.
        examples: Vec<ChannelName>,
    },
    /// A reload would change what is fixed while the engine runs.
    Fixed {
        /// The setting, for example `archive.directory`.
        setting: &'static str,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Unreadable(error) => error.fmt(f),
            Problem::TooLarge { bytes, max } => {
                write!(f, "the file has {bytes} bytes, at most {max} are read: is it the right file?")
            }
            Problem::Syntax(what) => write!(f, "{what}"),
            Problem::UnknownKey { section, key, nearest } => {
                write!(f, "unknown key \"{}\" in {section}; did you mean \"{nearest}\"?", key.escape_debug())
            }
            Problem::Missing { section, what } => write!(f, "{section} needs {what}"),
            Problem::Value { key, what } => write!(f, "{key}: {what}"),
            Problem::Name(error) => error.fmt(f),
            Problem::ListLine(what) => {
                write!(f, "{what}; expected NAME, or NAME monitor, or NAME scan PERIOD such as 10s")
            }
            Problem::EmptyList => {
                write!(
                    f,
                    "the list names no channel; is it complete? Remove its [[channels]] block if it is meant so"
                )
            }
            Problem::Conflict { name, first, settings } => write!(
                f,
                "channel {name} stands already at {first} with other settings ({}); name it once",
                settings.join(", ")
            ),
            Problem::Removal { removed, channels, limit, examples } => {
                let examples: Vec<&str> = examples.iter().map(ChannelName::as_str).collect();
                write!(
                    f,
                    "{removed} of {channels} channels would be removed ({}{}), more than archive.max_removed = \
                     \"{limit}\"; raise max_removed if that is meant",
                    examples.join(", "),
                    if examples.len() < *removed { ", .." } else { "" }
                )
            }
            Problem::Fixed { setting } => {
                write!(f, "{setting} cannot change while the engine runs; put it back, or restart the engine")
            }
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        self.problem.fmt(f)
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            Problem::Unreadable(error) => Some(error),
            Problem::Name(error) => Some(error),
            _ => None,
        }
    }
}

/// Everything that is wrong with a configuration, in the order of the file; never empty.
#[derive(Clone, Debug)]
pub struct ConfigErrors(pub Vec<ConfigError>);

/// At most so many are printed; the rest is a number.
const PRINTED_MAX: usize = 50;

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().take(PRINTED_MAX).enumerate() {
            write!(f, "{}{error}", if i == 0 { "" } else { "\n" })?;
        }
        if self.0.len() > PRINTED_MAX {
            write!(f, "\n(and {} more errors)", self.0.len() - PRINTED_MAX)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
