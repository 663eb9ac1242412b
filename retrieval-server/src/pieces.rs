//! Bytes in pieces as they leave: what is written is never moved as it becomes more.

use std::io::{self, Write};

/// Collects what is written in pieces of one size.
#[derive(Debug)]
pub(crate) struct Pieces {
    piece_bytes: usize,
    full: Vec<Vec<u8>>,
    last: Vec<u8>,
}

impl Pieces {
    /// None yet, of so many bytes each; at least one.
    pub(crate) fn of(piece_bytes: usize) -> Pieces {
        Pieces { piece_bytes, full: Vec::new(), last: Vec::new() }
    }

    /// Takes those behind which more was written.
    pub(crate) fn take_full(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.full)
    }

    /// Takes all, none of them empty.
    pub(crate) fn take(&mut self) -> Vec<Vec<u8>> {
        let mut all = self.take_full();
        all.extend(Some(std::mem::take(&mut self.last)).filter(|last| !last.is_empty()));
        all
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.last.len() >= self.piece_bytes {
            self.full.push(std::mem::take(&mut self.last));
        }
        if self.last.is_empty() {
            self.last.reserve_exact(self.piece_bytes);
        }
        let count = bytes.len().min(self.piece_bytes - self.last.len());
        self.last.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_of_one_size_and_all_that_was_written() {
        let written: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let mut pieces = Pieces::of(64);
        let mut taken = Vec::new();
        for part in written.chunks(37) {
            pieces.write_all(part).unwrap();
            taken.extend(pieces.take_full());
        }
        assert!(taken.iter().all(|piece| piece.len() == 64 && piece.capacity() == 64));
        assert_eq!(taken.len(), 15);
        taken.extend(pieces.take());
        assert_eq!(taken.concat(), written);
        assert!(pieces.take().is_empty());
    }
}
