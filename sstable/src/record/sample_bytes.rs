//! One sample as a chunk of its own.

use crate::chunk::{ChunkHeader, decode, encode};
use crate::codec::Profile;
use disk::{BytesError, FormatError};
use sample::{ChannelId, Sample, SampleBlock};

/// A chunk that holds one sample.
///
/// # Errors
/// [`FormatError::Limit`] as [`crate::encode`].
pub fn encode_sample(channel: ChannelId, sample: &Sample) -> Result<Vec<u8>, FormatError> {
    let mut block = SampleBlock::new(sample.run_type());
    block.push(sample);
    encode(channel, &block, false, None, Profile::Hot)
}

/// Reads a chunk that holds one sample.
///
/// # Errors
/// When the bytes are damaged or hold another number of samples.
pub fn decode_sample(bytes: &[u8]) -> Result<(ChannelId, Sample), BytesError> {
    let header = ChunkHeader::parse(bytes)?;
    if header.count() != 1 {
        return Err(BytesError { position: 0, what: "one sample was expected here" });
    }
    Ok((header.channel, decode(bytes)?.get(0)))
}
