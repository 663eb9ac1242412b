//! One table of a sealed week: a stretch of channels of one retention class.

use super::Work;
use super::verification::{self, Verified};
use crate::error::Error;
use crate::limits::MERGE_CACHE_BYTES;
use crate::manifest::TableEntry;
use crate::merge::{self, Copied, Joined, Portion, Taken};
use crate::planted::{Bug, planted};
use crate::shared::Shared;
use disk::create_dir_durable;
use sample::{ChannelId, Timestamp};
use sstable::{BlockCache, Lineage, Profile, Table, TableInfo, TableKind, TableWriter};
use std::path::Path;
use std::sync::atomic::Ordering;

/// A finished table.
pub(super) struct Output {
    /// What the manifest will say of it.
    pub(super) entry: TableEntry,
    /// What it took from the inputs at each place.
    pub(super) taken: Vec<(usize, Taken)>,
}

/// Writes, syncs and verifies the table of `class` that begins with channel `from`; `None` when `stop` asked
/// for the end.
pub(super) fn write(
    shared: &Shared,
    work: &Work,
    class: u16,
    from: ChannelId,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Output>, Error> {
    let places: Vec<usize> = work.of_class(class).map(|(at, _)| at).collect();
    let entries: Vec<&TableEntry> = places.iter().map(|at| &work.inputs[*at]).collect();
    let Some(first) = entries.first() else { return Ok(None) };
    let template = TableEntry {
        id: shared.next_table.fetch_add(1, Ordering::Relaxed),
        generation: work.generation,
        sealed: true,
        beside: false,
        tier: entries.iter().map(|entry| entry.tier).max().unwrap_or(0).saturating_add(1),
        ..(*first).clone()
    };
    let path = template.path(&shared.layout);
    let before = work.outputs.iter().filter(|output| output.class == class).map(|output| output.id);
    let group = before.chain([template.id]).collect();
    let written = write_file(shared, &entries, &template, group, from, stop);
    let (joined, verified) = match written {
        Ok(Some(written)) => written,
        other => {
            merge::remove(shared, &path);
            return other.map(|_| None);
        }
    };
    let highest = entries.iter().map(|entry| entry.channel_span.1).max().unwrap_or_default();
    let sequences = || entries.iter().map(|entry| entry.sequence_span).filter(|span| *span != (0, 0));
    let entry = TableEntry {
        holds_carry_in: verified.carry_in,
        value_bytes: verified.value_bytes,
        // Up to the highest of the inputs when nothing is left: there the next one of the class would begin.
        channel_span: (verified.lowest.unwrap_or(from), joined.through.unwrap_or(highest)),
        sequence_span: (
            sequences().map(|span| span.0).min().unwrap_or(0),
            sequences().map(|span| span.1).max().unwrap_or(0),
        ),
        ..template.holding(&joined.summary)
    };
    Ok(Some(Output { entry, taken: places.into_iter().zip(joined.taken).collect() }))
}

fn write_file(
    shared: &Shared,
    entries: &[&TableEntry],
    template: &TableEntry,
    group: Vec<u64>,
    from: ChannelId,
    stop: &dyn Fn() -> bool,
) -> Result<Option<(Joined, Verified)>, Error> {
    let cache = BlockCache::new(MERGE_CACHE_BYTES);
    let inputs =
        entries.iter().map(|entry| merge::open(shared, entry, &cache)).collect::<Result<Vec<Table>, _>>()?;
    let copied: Vec<Copied> =
        entries.iter().map(|entry| if entry.sealed { Copied::Full } else { Copied::Nothing }).collect();
    let info = TableInfo {
        archive: shared.identity.id.0,
        table: template.id,
        week: template.week,
        class: u32::from(template.class),
        class_name: inputs.first().map_or_else(String::new, |table| table.info().class_name.clone()),
        kind: TableKind::Raw,
        known_until: inputs.iter().map(|table| table.info().known_until).max().unwrap_or(Timestamp::MIN),
        tier: template.tier,
    };
    let path = template.path(&shared.layout);
    let directory = path.parent().unwrap_or(Path::new("."));
    create_dir_durable(&*shared.disk, directory)?;
    let mut writer = TableWriter::create(&*shared.disk, &path, &info)?.for_profile(Profile::Cold);
    // With the last one of a class the group stands in the place of the inputs.
    writer.descend(&Lineage { group, ..merge::joined_lineage(entries, &inputs)? })?;
    let portion =
        Portion { inputs: &inputs, copied: &copied, from, bytes_max: shared.settings.seal_table_bytes };
    let Some(joined) = merge::join_portion(&portion, writer, stop)? else { return Ok(None) };
    if !planted(Bug::NoDirectorySync) {
        // I3. A killed process may have made the directory and not synced it.
        shared.disk.sync_dir(directory)?;
        shared.disk.sync_dir(&shared.layout.weeks())?;
    }
    let channels = from..=joined.through.unwrap_or(ChannelId(u64::MAX));
    let verified = verification::verify(shared, entries, &path, channels, stop)?;
    Ok(verified.map(|verified| (joined, verified)))
}
