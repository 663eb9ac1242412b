//! Which columns of a channel pco writes smaller, as far as that was tried.

use super::columns::EncodedColumn;
use crate::format::{ColumnCodec, ColumnTag};
use pco::DeltaSpec;
use sample::{ChannelId, Kind};

/// Columns of fewer bytes are not tried.
const TRIED_BYTES_MIN: usize = 24;
/// Chunks between the first trials of a column; four times as many after each that ends as the one before, up to the
/// most.
const WAIT_FIRST: u32 = 4;
const WAIT_MAX: u32 = 64;

/// What pco writes decodes more slowly: it has to be smaller than what does not by more than one part in so many.
const GAIN: usize = 256;

/// What was learnt about the columns of a channel while its chunks were written one after the other. Only the cold
/// profile looks at it.
#[derive(Debug, Default)]
pub struct ColumnChoices {
    of: Option<(ChannelId, Kind)>,
    columns: [Choice; COLUMNS],
}

/// Tags of columns are below this.
const COLUMNS: usize = ColumnTag::ALL.len() + 1;

#[derive(Clone, Debug, Default)]
struct Choice {
    pco: bool,
    /// The differences that pco took last, looked for at a trial only.
    delta: DeltaSpec,
    /// Chunks until the next trial.
    wait: u32,
    /// How many there were before the last one.
    waited: u32,
}

impl ColumnChoices {
    /// Forgets what belongs to another channel or type of values.
    pub(super) fn expect(&mut self, channel: ChannelId, kind: Kind) {
        if self.of != Some((channel, kind)) {
            *self = ColumnChoices { of: Some((channel, kind)), ..ColumnChoices::default() };
        }
    }

    /// The smaller of `own` and `pco`, which are both asked only where it is not known which it is.
    pub(super) fn choose(
        &mut self,
        tag: ColumnTag,
        own: impl FnOnce() -> EncodedColumn,
        pco: impl FnOnce(&mut DeltaSpec) -> Option<EncodedColumn>,
    ) -> EncodedColumn {
        let Some(choice) = self.columns.get_mut(tag as usize) else { return own() };
        if choice.wait > 0 {
            choice.wait -= 1;
            return if choice.pco { pco(&mut choice.delta).unwrap_or_else(own) } else { own() };
        }
        let own = own();
        // Near a grid nothing is left for pco to find.
        let grid = matches!(own.codec, ColumnCodec::Grid | ColumnCodec::GridStrays);
        if own.bytes() < TRIED_BYTES_MIN || grid {
            return own;
        }
        let gain = if own.pco { 0 } else { own.bytes() / GAIN };
        choice.delta = DeltaSpec::Auto;
        let pco = pco(&mut choice.delta).filter(|pco| pco.bytes() + gain < own.bytes());
        let same = choice.waited > 0 && choice.pco == pco.is_some();
        choice.pco = pco.is_some();
        choice.waited = if same { (choice.waited * 4).min(WAIT_MAX) } else { WAIT_FIRST };
        choice.wait = choice.waited;
        pco.unwrap_or(own)
    }
}
