//! Several segments into one.

use super::{Master, MasterInfo, MasterRow, MasterSummary, MasterWriter, NamedChannel};
use disk::{Disk, FormatError};
use sample::{ChannelName, Week};
use std::path::Path;

/// Writes one segment that holds what several hold, in one pass over them in memory that does not grow with them.
/// The oldest segment comes first: where a name or a row stands in several, that of the latest holds. Rows of
/// partitions of which `keep` says no go.
///
/// # Errors
/// When the disk refuses or a segment is damaged; then the file is unfinished, for the caller to remove.
pub fn merge(
    disk: &dyn Disk,
    path: &Path,
    info: MasterInfo,
    segments: &[&Master],
    keep: impl Fn(Week, u32) -> bool,
) -> Result<MasterSummary, FormatError> {
    let mut writer = MasterWriter::create(disk, path, info)?;
    let rows = segments.iter().map(|segment| segment.all_rows()).collect::<Result<Vec<_>, _>>()?;
    merge_sorted(rows, MasterRow::key, |row: MasterRow| {
        if keep(row.week, row.generation) { writer.add_row(&row) } else { Ok(()) }
    })?;
    let names = segments.iter().map(|segment| segment.names_from("")).collect::<Result<Vec<_>, _>>()?;
    merge_sorted(
        names,
        |(name, _): &(ChannelName, NamedChannel)| name.clone(),
        |(name, named)| writer.add_name(&name, &named),
    )?;
    writer.finish()
}

/// Hands on the items of sorted sources in order; of those with equal keys the one of the last source.
fn merge_sorted<T, K: Ord>(
    mut sources: Vec<impl Iterator<Item = Result<T, FormatError>>>,
    key: impl Fn(&T) -> K,
    mut take: impl FnMut(T) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    let mut heads = Vec::with_capacity(sources.len());
    for source in &mut sources {
        heads.push(source.next().transpose()?);
    }
    loop {
        let Some(least) = heads.iter().flatten().map(&key).min() else { return Ok(()) };
        let mut latest = None;
        for (head, source) in heads.iter_mut().zip(&mut sources) {
            if head.as_ref().is_some_and(|head| key(head) == least) {
                latest = std::mem::replace(head, source.next().transpose()?);
            }
        }
        if let Some(latest) = latest {
            take(latest)?;
        }
    }
}
