//! The name directory: names and aliases to channel ids, in bytewise order.

use sample::{ChannelId, ChannelName};
use std::collections::BTreeMap;
use std::ops::Bound;

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Named {
    /// The channel.
    pub id: ChannelId,
    /// Whether the name is an alias and not the stored name.
    pub alias: bool,
}

/// Names and aliases of one archive.
#[derive(Clone, Debug, Default)]
pub struct Names {
    by_name: BTreeMap<ChannelName, Named>,
}

/// Names further away than this share of their length are no suggestion.
const NEAR_SIMILARITY_MIN: f64 = 0.7;
/// Names compared for one suggestion; above it only those that share a prefix are looked at.
const NEAR_SCAN_MAX: usize = 200_000;

impl Names {
    /// Enters a name; the entry that stood there before is returned.
    pub fn insert(&mut self, name: ChannelName, named: Named) -> Option<Named> {
        self.by_name.insert(name, named)
    }

    /// What `name` stands for.
    pub fn get(&self, name: &str) -> Option<Named> {
        self.by_name.get(name).copied()
    }

    /// Number of names and aliases.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Every name behind `after`, in bytewise order.
    pub fn after<'a>(&'a self, after: Option<&str>) -> impl Iterator<Item = (&'a ChannelName, Named)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_name.range::<str, _>((from, Bound::Unbounded)).map(|(name, named)| (name, *named))
    }

    /// Up to `most` known names that look like `name`, the nearest first.
    pub fn near(&self, name: &str, most: usize) -> Vec<String> {
        let mut scored: Vec<(f64, &str)> = self
            .by_name
            .keys()
            .map(ChannelName::as_str)
            .filter(|known| known.len().abs_diff(name.len()) * 3 <= name.len().max(3))
            .take(NEAR_SCAN_MAX)
            .map(|known| (strsim::normalized_damerau_levenshtein(name, known), known))
            .filter(|(similarity, _)| *similarity >= NEAR_SIMILARITY_MIN)
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        scored.into_iter().take(most).map(|(_, known)| known.to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Names {
        let mut names = Names::default();
        for (id, text) in (1..).zip(texts) {
            names.insert(ChannelName::stored(text).unwrap(), Named { id: ChannelId(id), alias: false });
        }
        names
    }

    #[test]
    fn listing_is_bytewise_and_resumes_behind_a_name() {
        let names = names(&["b", "a", "é", "a:1", "Z"]);
        let all: Vec<&str> = names.after(None).map(|(name, _)| name.as_str()).collect();
        assert_eq!(all, ["Z", "a", "a:1", "b", "é"]);
        let rest: Vec<&str> = names.after(Some("a")).map(|(name, _)| name.as_str()).collect();
        assert_eq!(rest, ["a:1", "b", "é"]);
        assert_eq!(names.after(Some("zz")).count(), 1);
    }

    #[test]
    fn near_names_come_nearest_first() {
        let names = names(&["SR:DCCT:CURRENT", "SR:DCCT:CURRENTS", "LI:GUN:VOLT"]);
        assert_eq!(names.near("SR:DCCT:CURENT", 5), ["SR:DCCT:CURRENT", "SR:DCCT:CURRENTS"]);
        assert!(names.near("completely:other", 5).is_empty());
    }
}
