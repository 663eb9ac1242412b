//! Where a setting or a channel comes from.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A line of a file, or another place such as an option on the command line. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Origin {
    place: Arc<str>,
    line: u32,
}

impl Origin {
    /// Something that has no lines, for example the option `--channel`.
    pub fn place(name: &str) -> Origin {
        Origin { place: Arc::from(name), line: 0 }
    }

    /// A whole file.
    pub fn file(path: &Path) -> Origin {
        Origin::place(&path.to_string_lossy())
    }

    /// Line `line` (the first is 1) of the same file.
    pub fn at(&self, line: u32) -> Origin {
        Origin { place: self.place.clone(), line }
    }

    /// The line, from 1; `None` when the whole place is meant.
    pub fn line(&self) -> Option<u32> {
        (self.line > 0).then_some(self.line)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        Ok(())
    }
}
