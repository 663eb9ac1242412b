//! Structures in files, as lists of fields.

/// Whether fields (name, offset, length in bytes) follow each other without a hole up to `len`, the end of the
/// structure: for assertions beside the constants.
pub const fn contiguous(fields: &[(&str, usize, usize)], len: usize) -> bool {
    let (mut at, mut i) = (0, 0);
    while i < fields.len() {
        if fields[i].1 != at {
            return false;
        }
        at += fields[i].2;
        i += 1;
    }
    at == len
}
