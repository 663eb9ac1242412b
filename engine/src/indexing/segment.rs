//! Segments of the master index: one of each partition index, then fewer of several.

use super::swap;
use crate::error::Error;
use crate::indexed_table::small_chunk;
use crate::limits::INDEX_NAMES_AT_ONCE;
use crate::manifest::{Manifest, MasterSegmentEntry, PartitionIndexEntry};
use crate::shared::Shared;
use disk::{FormatError, create_dir_durable};
use index::{MasterInfo, MasterRow, MasterSummary, MasterWriter, NamedChannel, PartitionIndex};
use sample::{ChannelId, ChannelName};
use sstable::Key;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

/// Adds a segment of what a partition index holds; `false` when `stop` asked for the end. Segments in `lost` go.
pub(super) fn add(
    shared: &Shared,
    publishing: &Mutex<()>,
    of: PartitionIndexEntry,
    lost: &BTreeSet<u64>,
    stop: &dyn Fn() -> bool,
) -> Result<bool, Error> {
    // One that has become unreadable is made anew first.
    let Some(index) = shared.indexes.partition(&of) else { return Ok(true) };
    let (id, info) = next(shared)?;
    let path = shared.layout.master_segment(id);
    let summary = match write(shared, &index, &path, info, stop) {
        Ok(Some(summary)) => summary,
        Ok(None) => {
            swap::remove(shared, &path);
            return Ok(false);
        }
        Err(error) => {
            swap::remove(shared, &path);
            match &error {
                Error::Format(damage) if damage.is_damage() => {
                    shared.indexes.give_up(of.id, damage);
                    return Ok(true);
                }
                _ => return Err(error),
            }
        }
    };
    swap::publish_file(shared, publishing, &path, |manifest| {
        swap::drop_named(manifest, lost);
        manifest.master_segments.push(entry(id, &summary, vec![of.id]));
        manifest.partition_indexes.iter().any(|live| live.id == of.id)
    })
}

/// Makes one segment of several neighbours.
pub(super) fn merge(shared: &Shared, publishing: &Mutex<()>, ids: &[u64]) -> Result<bool, Error> {
    let view = shared.view();
    let manifest = &view.manifest;
    let inputs: Vec<_> = manifest.master_segments.iter().filter(|of| ids.contains(&of.id)).collect();
    let Some(masters) = inputs.iter().map(|of| shared.indexes.master(of)).collect::<Option<Vec<_>>>() else {
        return Ok(true);
    };
    let live = |week, generation| {
        manifest.partition_indexes.iter().any(|of| (of.week, of.generation) == (week, generation))
    };
    let (id, info) = next(shared)?;
    let path = shared.layout.master_segment(id);
    let segments: Vec<_> = masters.iter().map(|master| &**master).collect();
    let merged = index::merge(&*shared.disk, &path, info, &segments, live);
    let merged = merged.and_then(|summary| {
        shared.disk.sync_dir(&shared.layout.index())?;
        Ok(summary)
    });
    let summary = match merged {
        Ok(summary) => summary,
        Err(error) => {
            swap::remove(shared, &path);
            let damaged = |error: &FormatError| match error {
                FormatError::Corrupt { path, .. } => masters.iter().position(|of| of.path() == path),
                _ => None,
            };
            let Some(at) = damaged(&error) else { return Err(error.into()) };
            shared.indexes.give_up(inputs[at].id, &error);
            return Ok(true);
        }
    };
    let indexes: BTreeSet<u64> = inputs.iter().flat_map(|of| of.indexes.iter().copied()).collect();
    let merged = entry(id, &summary, indexes.into_iter().collect());
    swap::publish_file(shared, publishing, &path, |manifest| replace(manifest, ids, merged))
}

/// Puts `merged` where the segments `ids` were; `false` where they are not there any more.
fn replace(manifest: &mut Manifest, ids: &[u64], merged: MasterSegmentEntry) -> bool {
    let at = manifest.master_segments.iter().position(|of| ids.contains(&of.id));
    let before = manifest.master_segments.len();
    manifest.master_segments.retain(|of| !ids.contains(&of.id));
    let Some(at) = at.filter(|_| manifest.master_segments.len() + ids.len() == before) else { return false };
    manifest.master_segments.insert(at, merged);
    true
}

/// The number of the next segment.
fn next(shared: &Shared) -> Result<(u64, MasterInfo), Error> {
    create_dir_durable(&*shared.disk, &shared.layout.index())?;
    let segment = shared.next_table.fetch_add(1, Ordering::Relaxed);
    Ok((segment, MasterInfo { archive: shared.identity.id.0, segment }))
}

fn entry(id: u64, summary: &MasterSummary, indexes: Vec<u64>) -> MasterSegmentEntry {
    let MasterSummary { bytes: len, footer_crc, names, rows } = *summary;
    MasterSegmentEntry { id, len, footer_crc, rows, names, indexes }
}

/// Writes the channels of a partition with their names. Rows are of samples and bins alone: nobody asks over many
/// weeks for anything else.
fn write(
    shared: &Shared,
    index: &PartitionIndex,
    path: &Path,
    info: MasterInfo,
    stop: &dyn Fn() -> bool,
) -> Result<Option<MasterSummary>, Error> {
    let partition = index.info();
    let mut writer = MasterWriter::create(&*shared.disk, path, info)?;
    let mut known = Channels::default();
    let view = shared.view();
    let summaries = index.channels(|entry| small_chunk(index, &view.tables, entry))?;
    for summary in summaries {
        if stop() {
            return Ok(None);
        }
        let summary = summary?;
        if !known.insert(summary.channel) {
            let what = "an entry is of a channel that nothing can name";
            return Err(FormatError::corrupt(index.path(), 0, what).into());
        }
        if summary.rate == Key::SAMPLES || summary.rate > Key::CHANNELS {
            let (week, generation) = (partition.week, partition.generation);
            writer.add_row(&MasterRow { week, generation, summary })?;
        }
    }
    let mut after: Option<ChannelName> = None;
    loop {
        if stop() {
            return Ok(None);
        }
        // A few at a time: who registers a channel waits for no more.
        let names: Vec<(ChannelName, ChannelId)> = shared
            .directory()
            .names
            .after(after.as_ref().map(ChannelName::as_str))
            .take(INDEX_NAMES_AT_ONCE)
            .map(|(name, named)| (name.clone(), named.id))
            .collect();
        for (name, id) in names.iter().filter(|(_, id)| known.contains(*id)) {
            writer.add_name(name, &NamedChannel { id: *id, alias_of: None })?;
        }
        match names.into_iter().next_back() {
            Some((last, _)) => after = Some(last),
            None => break,
        }
    }
    let summary = writer.finish()?;
    shared.disk.sync_dir(&shared.layout.index())?;
    Ok(Some(summary))
}

/// A set of channels: a bit each.
#[derive(Default)]
struct Channels {
    words: Vec<u64>,
}

impl Channels {
    fn place(channel: ChannelId) -> Option<(usize, u64)> {
        let id = usize::try_from(channel.0).ok().filter(|_| channel.0 < crate::limits::CHANNELS_MAX)?;
        Some((id / 64, 1 << (id % 64)))
    }

    /// Adds one; `false` where no channel can have that id.
    fn insert(&mut self, channel: ChannelId) -> bool {
        let Some((word, bit)) = Channels::place(channel) else { return false };
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= bit;
        true
    }

    fn contains(&self, channel: ChannelId) -> bool {
        let place = Channels::place(channel);
        place.is_some_and(|(word, bit)| self.words.get(word).is_some_and(|of| of & bit != 0))
    }
}
