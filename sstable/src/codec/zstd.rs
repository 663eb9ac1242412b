//! zstd with the contexts kept, which cost more than the bytes of a small block.

use std::cell::RefCell;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::CParameter;

/// Level for what is written in passing, and for symbols.
pub(crate) const LEVEL_FAST: i32 = 1;
/// Level for what is written once and kept.
pub(crate) const LEVEL_DENSE: i32 = 9;

/// Least bytes of a repetition among symbols that have few repetitions but those by chance, which cost more than they
/// save.
const SYMBOL_MATCH: u32 = 7;

thread_local! {
    static SYMBOLS: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The bytes as a zstd frame; `None` when zstd refuses.
pub(crate) fn compress(bytes: &[u8], level: i32) -> Option<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|kept| {
        if kept.is_none() {
            *kept = Compressor::new(level).ok();
        }
        let compressor = kept.as_mut()?;
        compressor.set_compression_level(level).ok()?;
        compressor.compress(bytes).ok()
    })
}

/// Bytes that their frequencies make smaller as a zstd frame; `None` when zstd refuses.
pub(crate) fn compress_symbols(bytes: &[u8]) -> Option<Vec<u8>> {
    SYMBOLS.with_borrow_mut(|kept| {
        if kept.is_none() {
            let mut compressor = Compressor::new(LEVEL_FAST).ok()?;
            compressor.set_parameter(CParameter::MinMatch(SYMBOL_MATCH)).ok()?;
            *kept = Some(compressor);
        }
        kept.as_mut()?.compress(bytes).ok()
    })
}

/// The `len` bytes of a zstd frame; `None` when it is damaged or holds another number of bytes. The caller
/// has checked `len` against a limit.
pub(crate) fn decompress(frame: &[u8], len: usize) -> Option<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|kept| {
        if kept.is_none() {
            *kept = Decompressor::new().ok();
        }
        kept.as_mut()?.decompress(frame, len).ok().filter(|bytes| bytes.len() == len)
    })
}
