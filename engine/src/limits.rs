//! Every limit of the engine, named once.

/// Samples of one block that readers hand over.
pub const BLOCK_SAMPLES_MAX: usize = 8192;
/// Value bytes after which a block that readers hand over ends (plus one sample).
pub const BLOCK_VALUE_BYTES_MAX: usize = 1 << 20;
