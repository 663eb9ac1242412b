//! The damaged places of an archive's files that readers have met.

use crate::read::{Problem, ReadError};
use sample::{ChannelId, TimeRange};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Places that are remembered; more are counted no further.
const PLACES_MAX: usize = 4096;

/// A place by file and offset, with what is missing there.
type Places = BTreeMap<(PathBuf, u64), (ChannelId, ReadError)>;

/// What was found damaged since the archive was opened, each place once.
#[derive(Debug, Default)]
pub struct DamageLog(Mutex<Places>);

impl DamageLog {
    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what reading samples of `channel` met, if it is damage.
    pub(crate) fn note(&self, channel: ChannelId, error: &ReadError) {
        let ReadError::Damaged { file, offset, .. } = error else { return };
        let mut places = self.places();
        if places.len() < PLACES_MAX && !places.contains_key(&(file.clone(), *offset)) {
            tracing::error!(%error, "damage found; everything else stays readable");
            places.insert((file.clone(), *offset), (channel, error.clone()));
        }
    }

    /// Damaged places met so far.
    pub fn count(&self) -> u64 {
        self.places().len() as u64
    }

    /// What is known to be missing of a channel in `range`.
    pub(crate) fn problems(&self, channel: ChannelId, range: TimeRange) -> Vec<Problem> {
        let places = self.places();
        let touching = |(of, error): &&(ChannelId, ReadError)| match error {
            ReadError::Damaged { span: Some((first, last)), .. } => {
                *of == channel && range.touches(*first, *last)
            }
            _ => false,
        };
        places.values().filter(touching).map(|(_, error)| Problem::of(error, range)).collect()
    }
}
