//! Lists in JSON, written piece by piece.

use crate::output::{Stopped, Writer};

/// Rows between two looks at the buffer.
pub(super) const ROWS_BETWEEN: usize = 1024;

/// Writes `count` elements, each by `write` with its place.
///
/// # Errors
/// When nobody listens any more.
pub(super) fn list(
    out: &mut Writer<'_>,
    count: usize,
    mut write: impl FnMut(&mut Vec<u8>, usize),
) -> Result<(), Stopped> {
    out.buffer.push(b'[');
    for i in 0..count {
        if i > 0 {
            out.buffer.push(b',');
        }
        write(&mut out.buffer, i);
        if i % ROWS_BETWEEN == 0 {
            out.settle()?;
        }
    }
    out.buffer.push(b']');
    Ok(())
}
