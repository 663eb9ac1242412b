//! Models that a channel's columns were written with last: most often they suit the next chunk as well.

use super::columns::EncodedColumn;
use crate::codec::time::TimeModel;
use crate::codec::{Profile, ValueModel};
use sample::Kind;

/// Columns that are written with a known model until all models are tried again.
const TRUSTED_COLUMNS: u8 = 16;
/// Columns of fewer values tell nothing of the next one.
const TELLING_VALUES_MIN: usize = 16;
/// A column may be larger than the last one by one part in so many before another model is looked for,
const WORSE_SHARE: usize = 8;
/// and by so many bytes, whatever its length.
const SLACK_BYTES: usize = 16;
/// Values whose bytes tell how well a model did.
const RATED_VALUES: usize = 64;

/// What is known of a channel's columns.
#[derive(Clone, Default, Debug)]
pub(crate) struct ColumnModels {
    pub(super) times: Option<Known<TimeModel>>,
    /// Of values of this kind.
    pub(super) values: Option<(Kind, Known<ValueModel>)>,
}

impl ColumnModels {
    /// Whether nothing is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.times.is_none() && self.values.is_none()
    }
}

/// A model that a column was written with, and how well it did.
#[derive(Clone, Debug)]
pub(super) struct Known<M> {
    chosen: Chosen<M>,
    /// Bytes of 64 values.
    rate: u32,
    /// Columns written since all models were tried.
    used: u8,
}

/// A model with the form of its integers that won.
#[derive(Clone, Debug)]
pub(super) struct Chosen<M> {
    pub(super) model: M,
    /// Differences, not the integers themselves.
    pub(super) deltas: bool,
}

/// Writes a column of `count` values with the model that is known, `again`, where that suits and does as well as it
/// did; else with one that is found by trials, `fitted`. Remembers what did best. The cold profile, which is to
/// be dense, always tries.
pub(super) fn write<M: Clone>(
    known: &mut Option<Known<M>>,
    profile: Profile,
    count: usize,
    again: impl FnOnce(&Chosen<M>) -> Option<EncodedColumn>,
    fitted: impl FnOnce() -> (EncodedColumn, Chosen<M>),
) -> EncodedColumn {
    if profile == Profile::Cold {
        return fitted().0;
    }
    let trusted = known.as_mut().filter(|known| known.used < TRUSTED_COLUMNS);
    let written = trusted.and_then(|known| Some((again(&known.chosen)?, known)));
    let written = written.map(|(column, known)| {
        known.used += 1;
        let expected = known.rate as usize * count / RATED_VALUES;
        let well = column.data.len() <= expected + expected / WORSE_SHARE + SLACK_BYTES;
        (column, well)
    });
    if let Some((column, true)) = written {
        return column;
    }
    let (column, chosen) = fitted();
    if count >= TELLING_VALUES_MIN {
        let rate = u32::try_from(column.data.len() * RATED_VALUES / count).unwrap_or(u32::MAX);
        *known = Some(Known { chosen, rate, used: 0 });
    }
    match written {
        Some((before, _)) if before.data.len() <= column.data.len() => before,
        _ => column,
    }
}
