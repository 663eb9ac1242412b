//! Files of text, read whole with a limit.

use crate::config::{ConfigError, Origin, Problem};
use disk::Disk;
use std::path::Path;

/// Largest configuration or list file that is read: a million names of 60 bytes.
pub const CONFIG_FILE_BYTES_MAX: u64 = 64 << 20;

/// The text of a file without its byte order mark.
pub(super) fn read(disk: &dyn Disk, path: &Path) -> Result<String, ConfigError> {
    let wrong = |problem| ConfigError { origin: Some(Origin::file(path)), problem };
    // The disk's own error names the file, so no origin is put before it.
    let unreadable = |error| ConfigError { origin: None, problem: Problem::Unreadable(error) };
    let file = disk.open(path).map_err(unreadable)?;
    // To the end of what is there: the length may be unknown or change while it is read.
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        let count = file.read_at(bytes.len() as u64, &mut piece).map_err(unreadable)?;
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(&piece[..count]);
        if bytes.len() as u64 > CONFIG_FILE_BYTES_MAX {
            return Err(wrong(Problem::TooLarge { bytes: bytes.len() as u64, max: CONFIG_FILE_BYTES_MAX }));
        }
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = line_of(&error.as_bytes()[..at]);
        ConfigError {
            origin: Some(Origin::file(path).at(line)),
            problem: Problem::Syntax("the text is not UTF-8; save the file as UTF-8".to_owned()),
        }
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// The line, from 1, on which the byte behind `before` stands.
fn line_of(before: &[u8]) -> u32 {
    let lines = before.iter().filter(|b| **b == b'\n').count();
    u32::try_from(lines).unwrap_or(u32::MAX - 1) + 1
}

/// Where the lines of a text begin, to turn byte offsets into line numbers.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn of(text: &str) -> Lines {
        Lines(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at).collect())
    }

    /// The line, from 1, that holds byte `offset`.
    pub(super) fn line(&self, offset: usize) -> u32 {
        u32::try_from(self.0.partition_point(|newline| *newline < offset) + 1).unwrap_or(u32::MAX)
    }
}
