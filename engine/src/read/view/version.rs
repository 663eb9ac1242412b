//! What tells two states of a channel apart without reading its samples.

use super::{ChannelView, Kept, Snapshot};
use sample::{TimeRange, Timestamp, Week};
use std::fmt::{self, Debug, Write as _};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The state of a channel as far as an answer about a range can depend on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Version {
    /// Another one where the answer is another one; perhaps also where it is the same (after a merge, for example).
    pub state: u64,
    /// Whether everything lies in sealed weeks: only an import, a repair or a retention rule changes it.
    pub sealed: bool,
}

/// Hashes what prints itself.
struct Printed(DefaultHasher);

impl fmt::Write for Printed {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

impl Printed {
    fn add(&mut self, value: &dyn Debug) {
        // Hashing does not fail.
        let _ = write!(self, "{value:?};");
    }
}

impl ChannelView {
    /// The version of what this view, taken of `range`, says about `range` and the last sample before it (not about
    /// the first behind it). `None` where something is missing, or where a version cannot be had without reading.
    pub fn version(&self, range: TimeRange) -> Option<Version> {
        // Of one instant its samples are asked for.
        let range = TimeRange::new(range.from, range.to.max(range.from.saturating_add(1)));
        if !self.problems().is_empty() {
            return None;
        }
        let mut state = Printed(DefaultHasher::new());
        let mut sealed = true;
        for snapshot in &self.snapshots {
            sealed &= add(snapshot, range, &mut state)?;
        }
        Some(Version { state: state.0.finish(), sealed })
    }
}

/// Adds what an answer about `range` can depend on; whether all of it lies in sealed weeks.
fn add(snapshot: &Snapshot, range: TimeRange, state: &mut Printed) -> Option<bool> {
    let (mut sealed_until, mut others, mut grows) = (Timestamp::MIN, false, false);
    for run in &snapshot.runs {
        let (first, last) = run.span();
        if first >= range.to {
            continue;
        }
        let version = run.version(range)?;
        version.state.hash(&mut state.0);
        match version.kept {
            Kept::Sealed => sealed_until = sealed_until.max(Week::containing(last).end()),
            Kept::Table => others |= last >= range.from,
            Kept::Memory => grows = true,
        }
    }
    // Where the runs end and the events begin.
    u8::MAX.hash(&mut state.0);
    for event in snapshot.events.iter().filter(|event| event.begins() < range.to) {
        state.add(event);
    }
    let changes = &snapshot.metadata;
    // Of stamps before all changes the first one holds.
    let known = changes.partition_point(|(from, _)| *from < range.to).max(1).min(changes.len());
    for change in &changes[..known] {
        state.add(change);
    }
    state.add(&snapshot.first_sample);
    // Later than the range it does not matter when.
    let ends = snapshot.knowledge_ends.min(range.to);
    (ends, ends < range.to && snapshot.running).hash(&mut state.0);
    if grows {
        // What a crash took from memory, other samples may replace; the answer says what is durable.
        snapshot.durable_until.hash(&mut state.0);
    }
    Some(!grows && !others && range.to <= sealed_until)
}
