//! A file's bytes, of which only those up to the last written one take memory.

use std::sync::Arc;

/// Content and length; what lies behind the stored bytes is zeros. Copies share until one is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Image {
    len: u64,
    bytes: Arc<Vec<u8>>,
}

impl Image {
    pub(super) fn new(bytes: &[u8]) -> Image {
        Image { len: bytes.len() as u64, bytes: Arc::new(bytes.to_vec()) }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Copies from `offset`; fewer bytes than the buffer holds only at the end.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let count = self.len.saturating_sub(offset).min(buffer.len() as u64) as usize;
        let stored = self.stored(offset, offset + count as u64);
        buffer[..stored.len()].copy_from_slice(stored);
        buffer[stored.len()..count].fill(0);
        count
    }

    /// The bytes from `from` to `to` as far as they are stored.
    pub(super) fn stored(&self, from: u64, to: u64) -> &[u8] {
        let end = to.min(self.bytes.len() as u64) as usize;
        let start = from.min(end as u64) as usize;
        &self.bytes[start..end]
    }

    /// Writes, extending the length where needed. The caller keeps `offset` within the disk's capacity.
    pub(super) fn write(&mut self, offset: u64, new: &[u8]) {
        if new.is_empty() {
            return;
        }
        let (start, end) = (offset as usize, offset as usize + new.len());
        let bytes = Arc::make_mut(&mut self.bytes);
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[start..end].copy_from_slice(new);
        self.len = self.len.max(end as u64);
    }

    /// Zeros the bytes from `from` to `to` that are stored; the length stays.
    pub(super) fn erase(&mut self, from: u64, to: u64) {
        let end = to.min(self.bytes.len() as u64) as usize;
        let start = from.min(end as u64) as usize;
        if start < end {
            Arc::make_mut(&mut self.bytes)[start..end].fill(0);
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.bytes.len() as u64 {
            Arc::make_mut(&mut self.bytes).truncate(len as usize);
        }
        self.len = len;
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = (*self.bytes).clone();
        bytes.resize(self.len as usize, 0);
        bytes
    }
}
