//! Which columns of a channel pco writes smaller, as far as that was tried.

use super::columns::EncodedColumn;
use crate::format::{CHUNK_SAMPLES_MAX, ColumnCodec, ColumnTag};
use pco::DeltaSpec;
use sample::{ChannelId, Kind};

/// Columns of fewer bytes are not tried.
const TRIED_BYTES_MIN: usize = 24;
/// Stamps on a grid of fewer bytes are not tried: they are near it.
const GRID_BYTES_MIN: usize = 2 * CHUNK_SAMPLES_MAX;
/// Chunks between the first trials of a column; four times as many after each that ends as the one before, up to the
/// most.
const WAIT_FIRST: u32 = 4;
const WAIT_MAX: u32 = 64;

/// Where the two differ by less than one part in so many, the next chunk may turn it: both are written of each.
const NEAR: usize = 400;

/// What was learnt about the columns of a channel while its chunks were written one after the other. Only the cold
/// profile looks at it.
#[derive(Debug, Default)]
pub struct ColumnChoices {
    of: Option<(ChannelId, Kind)>,
    columns: [Choice; COLUMNS],
}

/// How pco writes a column smallest, looked for at a trial only.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    /// The differences that it takes.
    pub(super) delta: DeltaSpec,
    /// Whether one page is to hold all, where that was tried.
    pub(super) whole: Option<bool>,
    /// Whether zstd is to write the bytes in its place, where that was tried.
    pub(super) copied: Option<bool>,
}

/// Tags of columns are below this.
const COLUMNS: usize = ColumnTag::ALL.len() + 1;

#[derive(Clone, Debug, Default)]
struct Choice {
    /// Bytes of our own column and of pco's, where both were written last.
    compared: Option<(usize, usize)>,
    /// How pco wrote it last.
    written: Written,
    /// Chunks until the next trial.
    wait: u32,
    /// How many there were before the last one.
    waited: u32,
}

impl Choice {
    /// Whether pco was smaller.
    fn is_pco(&self) -> bool {
        self.compared.is_some_and(|(own, pco)| pco < own)
    }

    /// Whether both are written of the next chunk: the other was hardly larger, or what zstd copied may never come again.
    fn is_open(&self) -> bool {
        self.written.copied == Some(true)
            || self.compared.is_some_and(|(own, pco)| pco.abs_diff(own) < own / NEAR)
    }
}

impl ColumnChoices {
    /// Forgets what belongs to another channel or type of values.
    pub(super) fn expect(&mut self, channel: ChannelId, kind: Kind) {
        if self.of != Some((channel, kind)) {
            *self = ColumnChoices { of: Some((channel, kind)), ..ColumnChoices::default() };
        }
    }

    /// How much larger than `bytes` pco would write a column that is not pco's, as far as that was tried; `None` where it
    /// was not.
    pub(super) fn spare(&self, tag: ColumnTag, bytes: usize) -> Option<usize> {
        let (own, pco) = self.columns.get(tag as usize)?.compared?;
        Some(bytes * pco.saturating_sub(own) / own.max(1))
    }

    /// The smaller of `own` and `pco`, which are both asked only where it is not known which it is.
    pub(super) fn choose(
        &mut self,
        tag: ColumnTag,
        own: impl FnOnce() -> EncodedColumn,
        pco: impl FnOnce(&mut Written) -> Option<EncodedColumn>,
    ) -> EncodedColumn {
        let Some(choice) = self.columns.get_mut(tag as usize) else { return own() };
        let trial = choice.wait == 0;
        if !trial {
            choice.wait -= 1;
            if !choice.is_open() {
                return if choice.is_pco() { pco(&mut choice.written).unwrap_or_else(own) } else { own() };
            }
        }
        let own = own();
        // Near a grid nothing is left for pco to find.
        let grid = matches!(own.codec, ColumnCodec::Grid | ColumnCodec::GridStrays);
        if own.bytes() < if grid { GRID_BYTES_MIN } else { TRIED_BYTES_MIN } {
            return own;
        }
        if trial {
            choice.written = Written::default();
        }
        let was_pco = choice.is_pco();
        let pco = pco(&mut choice.written);
        choice.compared = pco.as_ref().map(|pco| (own.bytes(), pco.bytes()));
        if trial {
            let same = choice.waited > 0 && choice.is_pco() == was_pco;
            choice.waited = if same { (choice.waited * 4).min(WAIT_MAX) } else { WAIT_FIRST };
            choice.wait = choice.waited;
        }
        pco.filter(|_| choice.is_pco()).unwrap_or(own)
    }
}
