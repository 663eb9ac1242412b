//! The damaged places of an archive's files that readers have met.

use crate::read::{MetDamage, Problem, ReadError};
use sample::{ChannelId, TimeRange, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Places that are remembered; more are counted no further.
const PLACES_MAX: usize = 4096;

/// A place by file, offset and channel, with what is missing there.
type Places = BTreeMap<(PathBuf, u64, ChannelId), ReadError>;

/// What whoever looks after an archive does about it.
const WHAT_TO_DO: &str = "everything else stays readable; archtool verify names all damage, archtool reindex salvages what it left";

/// What was found damaged since the archive was opened, each place once for each channel that it concerns.
#[derive(Debug, Default)]
pub struct DamageLog {
    places: Mutex<Places>,
    /// Who hears of it, too.
    heard_by: OnceLock<Arc<DamageLog>>,
}

impl DamageLog {
    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `other` hears of what was and will be noted here; the first one only.
    pub(crate) fn tell(&self, other: Arc<DamageLog>) {
        let other = self.heard_by.get_or_init(|| other);
        for ((_, _, channel), error) in self.places().iter() {
            other.add(*channel, error);
        }
    }

    /// Adds a place; `false` if it is known or there are too many.
    fn add(&self, channel: ChannelId, error: &ReadError) -> bool {
        let ReadError::Damaged { file, offset, .. } = error else { return false };
        let mut places = self.places();
        let place = (file.clone(), *offset, channel);
        let is_new = places.len() < PLACES_MAX && !places.contains_key(&place);
        if is_new {
            places.insert(place, error.clone());
        }
        is_new
    }

    /// Forgets the places in files that are not there any more: they were replaced. Who reads does not wait while they are
    /// looked for.
    pub(crate) fn keep_files(&self, is_there: impl Fn(&Path) -> bool) {
        let files: BTreeSet<PathBuf> = self.places().keys().map(|(file, ..)| file.clone()).collect();
        let gone: BTreeSet<PathBuf> = files.into_iter().filter(|file| !is_there(file)).collect();
        self.places().retain(|(file, ..), _| !gone.contains(file));
    }

    /// Notes what reading of `channel` met, if it is damage. What is met under the archive's own channel concerns
    /// all.
    pub(crate) fn note(&self, channel: ChannelId, error: &ReadError) {
        if self.add(channel, error) {
            tracing::error!(%error, channel = channel.0, "damage found; everything else stays readable");
            if let Some(other) = self.heard_by.get() {
                other.add(channel, error);
            }
        }
    }

    /// The same for whoever asks how the archive is; `None` while nothing was met.
    pub(crate) fn met(&self) -> Option<MetDamage> {
        Some(MetDamage { places: self.count(), message: self.told()?, what_to_do: WHAT_TO_DO })
    }

    /// Damaged places met so far.
    pub fn count(&self) -> u64 {
        let places = self.places();
        let mut met: Vec<_> = places.keys().map(|(file, offset, _)| (file, offset)).collect();
        met.dedup();
        met.len() as u64
    }

    /// How many places were met and what is wrong with one of them; `None` while there is none.
    pub(crate) fn told(&self) -> Option<String> {
        let one = self.places().values().next().map(ToString::to_string)?;
        Some(match self.count() {
            1 => format!("a damaged place was met since the start: {one}"),
            count => format!("{count} damaged places were met since the start, one of them: {one}"),
        })
    }

    /// Damage that keeps back what was before `time`, if any was met.
    pub(crate) fn met_before(&self, channel: ChannelId, time: Timestamp) -> Option<ReadError> {
        let places = self.places();
        let before = |error: &&ReadError| match error {
            ReadError::Damaged { span: Some((first, _)), .. } => *first < time,
            _ => false,
        };
        let of = places.iter().filter(|((_, _, of), _)| [channel, ChannelId::ARCHIVE].contains(of));
        of.map(|(_, error)| error).find(before).cloned()
    }

    /// What is known to be missing of a channel in `range`.
    pub(crate) fn problems(&self, channel: ChannelId, range: TimeRange) -> Vec<Problem> {
        let places = self.places();
        let touching = |((_, _, of), error): &(&(PathBuf, u64, ChannelId), &ReadError)| match error {
            ReadError::Damaged { span: Some((first, last)), .. } => {
                (*of == channel || *of == ChannelId::ARCHIVE) && range.touches(*first, *last)
            }
            _ => false,
        };
        places.iter().filter(touching).map(|(_, error)| Problem::of(error, range)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_and_counted_once_whatever_channels_they_concern() {
        let log = DamageLog::default();
        assert_eq!(log.told(), None);
        let at = |offset| ReadError::Damaged {
            file: "weeks/2024-01-01.2/1.sst".into(),
            offset,
            what: "the checksum does not fit".into(),
            span: None,
        };
        [5, 6, 5].into_iter().for_each(|channel| log.note(ChannelId(channel), &at(77)));
        log.note(ChannelId(5), &ReadError::Vanished("weeks/gone".into()));
        let one = at(77).to_string();
        assert_eq!(log.told(), Some(format!("a damaged place was met since the start: {one}")));
        log.note(ChannelId(5), &at(99));
        assert_eq!(
            log.told(),
            Some(format!("2 damaged places were met since the start, one of them: {one}"))
        );
    }
}
