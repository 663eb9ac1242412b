//! Runs other programs for a chore.

use crate::epics::Epics;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// Why a chore failed.
#[derive(Debug)]
pub(crate) enum Error {
    /// A program could not be started.
    Start { program: String, advice: &'static str, source: io::Error },
    /// A program said no.
    Failed { program: String, advice: &'static str, status: ExitStatus },
    /// A file of the checkout could not be touched.
    File { op: &'static str, path: PathBuf, source: io::Error },
    /// An installation is not what it should be.
    Missing { path: PathBuf, advice: &'static str },
}

impl Error {
    /// That of the program that failed, else 1.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Error::Failed { status, .. } => {
                status.code().and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0).unwrap_or(1)
            }
            _ => 1,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let advice = match self {
            Error::Start { program, advice, source } => {
                write!(f, "cannot start `{program}`: {source}")?;
                advice
            }
            Error::Failed { program, advice, status } => {
                write!(f, "`{program}` failed ({status})")?;
                advice
            }
            Error::File { op, path, source } => return write!(f, "cannot {op} {}: {source}", path.display()),
            Error::Missing { path, advice } => {
                write!(f, "{} is missing", path.display())?;
                advice
            }
        };
        if advice.is_empty() { Ok(()) } else { write!(f, ". {advice}") }
    }
}

/// The checkout's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Runs a program to its end, its output going where ours goes.
pub(crate) fn run(command: &mut Command, advice: &'static str) -> Result<(), Error> {
    let program = shown(command);
    match command.current_dir(root()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::Failed { program, advice, status }),
        Err(source) => Err(Error::Start { program, advice, source }),
    }
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The cargo that runs us.
pub(crate) fn cargo(epics: &Epics) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    epics.tell(&mut command);
    command
}
