//! Nodes of one level, folded from the samples of a table or from the nodes below.

use crate::error::Error;
use crate::read::{Merge, ReadError, Run, Scan};
use crate::table_run::TableRun;
use decimator::bins::{Bin, Empty};
use decimator::fold::{Fold, Folding, Samples, Sink};
use decimator::grid::Grid;
use decimator::holds::Holds;
use decimator::node::{Held, Node};
use decimator::tree::WIDTHS_NS;
use disk::FormatError;
use sample::{ChannelId, TimeRange};
use sstable::{DictionaryRow, Table};
use std::sync::Arc;

/// Whether nodes of `level` hold `least` samples or more on average, in what the rows of one channel's dictionaries tell
/// of; never where values are no numbers.
pub(super) fn enough<'a>(
    rows: impl IntoIterator<Item = &'a DictionaryRow>,
    level: usize,
    least: u64,
) -> bool {
    let scalar = |kind: sample::Kind| kind.width().is_some();
    let (mut samples, mut span) = (0i128, 0i128);
    for row in rows {
        let Some((first, last)) = row.span else { continue };
        // Nodes would be cut by the ends of time.
        let is_cut = first.0 < i64::MIN / 2 || last.0 > i64::MAX / 2;
        if is_cut || !row.types.iter().any(|of| !of.value.array && scalar(of.value.kind)) {
            return false;
        }
        samples += i128::from(row.samples);
        span += i128::from(last.since(first)).max(1);
    }
    let width = i128::from(WIDTHS_NS[level]);
    span >= 2 * width && samples * width >= span * i128::from(least)
}

/// The nodes of `level` that all of a channel's samples in a table make.
pub(super) fn of_samples(table: &Arc<Table>, channel: ChannelId, level: usize) -> Result<Vec<Node>, Error> {
    let mut nodes: Vec<Node> = Vec::new();
    let folding = folding(level);
    let mut fold = Fold::new(&folding);
    let mut sink = |bin: &Bin| nodes.extend(bin.node);
    let folded = fold_samples(&mut fold, &runs(table, channel), TimeRange::ALL, &mut Vec::new(), &mut sink);
    folded.map_err(|error| damage(error, table))?;
    fold.finish(&mut sink);
    Ok(nodes)
}

/// All samples of a channel in a table.
pub(super) fn runs(table: &Arc<Table>, channel: ChannelId) -> [Arc<dyn Run>; 2] {
    [false, true].map(|late| Arc::new(TableRun::whole(table.clone(), channel, late)) as Arc<dyn Run>)
}

/// Folds the samples of a range; `numbers` is room for them.
pub(super) fn fold_samples(
    fold: &mut Fold<'_>,
    runs: &[Arc<dyn Run>],
    range: TimeRange,
    numbers: &mut Vec<f64>,
    sink: Sink<'_>,
) -> Result<(), ReadError> {
    for block in Merge::new(runs, Scan::ascending(range)) {
        let block = block?;
        let are_numbers = block.values.numbers(numbers);
        let numbers = are_numbers.then_some(numbers.as_slice());
        fold.samples(Samples { times: &block.time, numbers, severities: &block.severity }, sink);
    }
    Ok(())
}

/// The nodes of the level above `level`.
pub(super) fn above(nodes: &[Node], level: usize) -> Vec<Node> {
    let mut above = Vec::new();
    let folding = folding(level + 1);
    let mut fold = Fold::new(&folding);
    let mut sink = |bin: &Bin| above.extend(bin.node);
    fold.nodes(level, nodes, &mut sink);
    fold.finish(&mut sink);
    above
}

/// What was read failed: damage keeps its place.
pub(super) fn damage(error: ReadError, table: &Table) -> Error {
    match error {
        ReadError::Damaged { file, offset, what, .. } => FormatError::corrupt(&file, offset, what).into(),
        other => FormatError::corrupt(table.path(), 0, other.to_string()).into(),
    }
}

/// Bins that are the nodes of one level.
pub(super) fn folding(level: usize) -> Folding {
    Folding {
        range: TimeRange::ALL,
        grid: Grid::of_width(WIDTHS_NS[level]),
        holds: Holds::default(),
        exclude_invalid: false,
        empty: Empty::Skip,
        held: Held::Nothing,
    }
}
