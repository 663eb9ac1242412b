//! Whether answers about a counter are prefixes of one truth, each at least as long as the one before.

use sample::{SampleBlock, Value};
use std::hash::{DefaultHasher, Hash, Hasher};

/// What the answers about one channel said so far.
#[derive(Default)]
pub(crate) struct Prefix {
    count: usize,
    digest: u64,
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Float64(value) => Some(*value),
        Value::Int32(value) => Some(f64::from(*value)),
        _ => None,
    }
}

impl Prefix {
    /// Samples of the longest answer so far.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Takes a whole answer: every sample of a channel whose values count up by 1 from the first one.
    ///
    /// # Errors
    /// What no prefix of the truth can look like: a value missing or twice, times out of order, fewer
    /// samples than before, other ones than before.
    pub(crate) fn take(&mut self, blocks: &[SampleBlock]) -> Result<(), String> {
        let mut hasher = DefaultHasher::new();
        let mut former = (self.count == 0).then_some(0);
        let (mut count, mut last) = (0, None);
        for sample in blocks.iter().flat_map(|block| (0..block.len()).map(|i| block.get(i))) {
            let value = number(&sample.value).ok_or_else(|| format!("{:?} is no count", sample.value))?;
            let position = (sample.time, sample.rank);
            if let Some((before, counted)) = last {
                if position <= before {
                    return Err(format!("sample {count} at {position:?} follows {before:?}"));
                }
                if value != counted + 1.0 {
                    return Err(format!("sample {count}: {value} follows {counted}"));
                }
            }
            last = Some((position, value));
            count += 1;
            (sample.time.0, sample.rank, value.to_bits()).hash(&mut hasher);
            if count == self.count {
                former = Some(hasher.finish());
            }
        }
        if count < self.count {
            return Err(format!("{count} samples, {} before", self.count));
        }
        if self.count > 0 && former != Some(self.digest) {
            return Err(format!("the first {} samples are not those of the answer before", self.count));
        }
        (self.count, self.digest) = (count, hasher.finish());
        Ok(())
    }
}
