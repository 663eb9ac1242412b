//! Where a block is cut into chunks.

use crate::format::{CHUNK_ELEMENTS_MAX, CHUNK_SAMPLES_MAX, CHUNK_VALUE_BYTES_MAX};
use sample::{Column, SampleBlock};
use std::ops::Range;

/// Ranges of samples that each fit one chunk: at most 8192 samples and 1 MiB of raw values (messages
/// counted); a larger sample stands alone.
pub fn split(block: &SampleBlock) -> Vec<Range<usize>> {
    let (bytes, elements) = total_size(block);
    let small = bytes <= CHUNK_VALUE_BYTES_MAX && elements <= CHUNK_ELEMENTS_MAX;
    if small && (1..=CHUNK_SAMPLES_MAX).contains(&block.len()) {
        return std::iter::once(0..block.len()).collect();
    }
    let mut ranges = Vec::new();
    let (mut start, mut bytes, mut elements) = (0, 0usize, 0usize);
    for i in 0..block.len() {
        let (more_bytes, more_elements) = size(block, i);
        let full = i - start >= CHUNK_SAMPLES_MAX
            || bytes + more_bytes > CHUNK_VALUE_BYTES_MAX
            || elements + more_elements > CHUNK_ELEMENTS_MAX;
        if full && i > start {
            ranges.push(start..i);
            (start, bytes, elements) = (i, 0, 0);
        }
        bytes += more_bytes;
        elements += more_elements;
    }
    if start < block.len() {
        ranges.push(start..block.len());
    }
    ranges
}

/// Raw bytes and array elements of sample `i`.
fn size(block: &SampleBlock, i: usize) -> (usize, usize) {
    let message = if block.run.message { block.message.get(i).len() } else { 0 };
    let span = |ends: &[u32]| (if i == 0 { 0 } else { ends[i - 1] as usize }, ends[i] as usize);
    let (bytes, elements) = match &block.values {
        Column::String(texts) | Column::Structure(texts) => (texts.get(i).len(), 1),
        Column::Array { ends, elements } => {
            let (from, to) = span(ends);
            let bytes = match (&**elements, elements.kind().width()) {
                (_, Some(width)) => (to - from) * width,
                (Column::String(texts) | Column::Structure(texts), None) => {
                    let end = |i: usize| if i == 0 { 0 } else { texts.ends[i - 1] as usize };
                    end(to) - end(from)
                }
                _ => 0,
            };
            (bytes, to - from)
        }
        scalar => (scalar.kind().width().unwrap_or(0), 1),
    };
    (bytes + message, elements)
}

/// Raw bytes of values and messages, and array elements of all samples.
pub(super) fn total_size(block: &SampleBlock) -> (usize, usize) {
    let elements = match &block.values {
        Column::Array { elements, .. } => elements.len(),
        scalar => scalar.len(),
    };
    (block.values.byte_len() + block.message.data.len(), elements)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sample::{Kind, RunType, Sample, Timestamp, Value, ValueType};

    #[test]
    fn samples_bytes_and_elements_each_close_a_chunk() {
        let scalar = |i| Sample::new(Timestamp(i), Value::UInt8(1));
        let mut block = SampleBlock::new(RunType::plain(ValueType::scalar(Kind::UInt8)));
        (0..CHUNK_SAMPLES_MAX as i64 + 1).for_each(|i| assert!(block.push(&scalar(i))));
        assert_eq!(split(&block), [0..CHUNK_SAMPLES_MAX, CHUNK_SAMPLES_MAX..CHUNK_SAMPLES_MAX + 1]);

        let array =
            |i, len: usize| Sample::new(Timestamp(i), Value::Array(Box::new(Column::UInt8(vec![7; len]))));
        let mut block = SampleBlock::new(RunType::plain(ValueType::array(Kind::UInt8)));
        let half = CHUNK_VALUE_BYTES_MAX / 2;
        for (i, len) in [half, half, 1, 4 * half, 0].into_iter().enumerate() {
            assert!(block.push(&array(i as i64, len)));
        }
        assert_eq!(split(&block), [0..2, 2..3, 3..4, 4..5]);
        assert!(split(&SampleBlock::new(RunType::plain(ValueType::scalar(Kind::Bool)))).is_empty());
    }
}
