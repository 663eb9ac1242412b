//! Holds an opened archive against the model.

use super::life::{MONDAY, name};
use super::model::{Channel, Expected, Given, Model};
use crate::decimating;
use disk::sim::Random;
use disk::{Disk, SimDisk};
use engine::LiveArchive;
use engine::read::{Archive, ChannelView, Member, Merge, Reader, Scan};
use engine::recovery::Recovered;
use sample::{EventKind, Metadata, Sample, TimeRange, Timestamp};
use std::fmt::Debug;
use std::sync::Arc;

const HOUR: i64 = 3_600_000_000_000;

/// What an archive holds of one channel.
#[derive(Debug, Default)]
struct Found {
    samples: Vec<Sample>,
    events: Vec<(Timestamp, EventKind)>,
    metadata: Vec<(Timestamp, Arc<Metadata>)>,
    /// Samples that the channel is said to have.
    counted: u64,
}

impl Found {
    fn holds(&self, given: &Given) -> bool {
        match given {
            Given::Sample(sample) => self.samples.contains(sample),
            Given::Event(time, kind) => self.events.iter().any(|found| (found.0, &found.1) == (*time, kind)),
            Given::Metadata(time, m) => self.metadata.iter().any(|found| (found.0, &*found.1) == (*time, m)),
        }
    }

    /// How many things are there that could not be gone.
    fn certain(&self, expected: &Expected<'_>) -> usize {
        let optional: Vec<(Timestamp, u32)> =
            expected.samples.iter().filter(|(_, gone)| *gone).map(|(s, _)| (s.time, s.rank)).collect();
        let events: Vec<Timestamp> =
            expected.events.iter().filter(|(_, gone)| *gone).map(|((time, _), _)| *time).collect();
        let metadata: Vec<Timestamp> =
            expected.metadata.iter().filter(|(_, gone)| *gone).map(|((time, _), _)| *time).collect();
        let samples = self.samples.iter().filter(|s| optional.binary_search(&(s.time, s.rank)).is_err());
        let events = self.events.iter().filter(|(time, _)| !events.contains(time));
        let metadata = self.metadata.iter().filter(|(time, _)| !metadata.contains(time));
        samples.count() + events.count() + metadata.count()
    }
}

fn collect(
    blocks: impl Iterator<Item = Result<sample::SampleBlock, engine::read::ReadError>>,
) -> Result<Vec<Sample>, String> {
    let mut samples = Vec::new();
    for block in blocks {
        let block = block.map_err(|error| error.to_string())?;
        samples.extend((0..block.len()).map(|i| block.get(i)));
    }
    Ok(samples)
}

fn find(archive: &LiveArchive, channel: usize) -> Result<Found, String> {
    let snapshot = archive.snapshot(&name(channel), TimeRange::ALL).map_err(|error| error.to_string())?;
    let Some(snapshot) = snapshot else { return Ok(Found::default()) };
    let samples = collect(Merge::new(&snapshot.runs, Scan::ascending(TimeRange::ALL)))?;
    let mut events = Vec::new();
    let mut last = 0;
    // Those without a number stand for what a carry-in says.
    for event in snapshot.events.iter().filter(|event| event.sequence > 0) {
        if event.sequence <= last {
            return Err(format!("two events have number {last} (or they are out of order): {event:?}"));
        }
        last = event.sequence;
        if !matches!(event.kind, EventKind::EngineDown { .. }) {
            events.push((event.time, event.kind.clone()));
        }
    }
    let detail = archive.channel(&name(channel), Timestamp(MONDAY)).map_err(|error| error.to_string())?;
    let counted = detail.map_or(0, |detail| detail.summary.samples);
    Ok(Found { samples, events, metadata: snapshot.metadata, counted })
}

/// Compares everything; returns how many batches are there.
pub fn whole(recovered: &Recovered, model: &Model) -> Result<usize, String> {
    whole_from(recovered, model, 0)
}

/// [`whole`] of an archive that promised the first `least` batches.
pub fn whole_from(recovered: &Recovered, model: &Model, least: usize) -> Result<usize, String> {
    let archive = LiveArchive::new(recovered.shared.clone());
    let found: Vec<Found> =
        (0..model.channels.len()).map(|channel| find(&archive, channel)).collect::<Result<_, _>>()?;
    let all = model.expected(model.batches.len());
    let total = found.iter().zip(&all).map(|(found, expected)| found.certain(expected)).sum();
    let Some(batches) = model.batches_of(total, least, |channel, given| found[channel].holds(given)) else {
        return Err(format!(
            "{total} things are there, no number of batches holds so many: {}",
            differ(&found, &all)
        ));
    };
    for (at, (found, expected)) in found.iter().zip(&model.expected(batches)).enumerate() {
        let there = found.samples.len() as u64;
        let most = if model.surplus { 2 * there } else { there };
        let counted = (there..=most).contains(&found.counted) || !model.counted;
        let checked = same(found, expected).and_then(|()| match counted {
            true => Ok(()),
            false => Err(format!("{} samples are counted, {} are there", found.counted, found.samples.len())),
        });
        checked
            .map_err(|what| format!("channel {at}, {batches} of {} batches: {what}", model.batches.len()))?;
    }
    Ok(batches)
}

/// After a failed sync the log repeats everything channel by channel: what a crash leaves of that need not be
/// the first so many batches. Checks that the first `least` batches are there whole, nothing was invented, all
/// once; returns what is there.
pub fn parts(recovered: &Recovered, model: &Model, least: usize) -> Result<Model, String> {
    let archive = LiveArchive::new(recovered.shared.clone());
    let mut left: Vec<Vec<Given>> = Vec::new();
    for channel in 0..model.channels.len() {
        let found = find(&archive, channel)?;
        let mut all: Vec<Given> = found.samples.into_iter().map(Given::Sample).collect();
        all.extend(found.events.into_iter().map(|(time, kind)| Given::Event(time, kind)));
        all.extend(found.metadata.into_iter().map(|(time, m)| Given::Metadata(time, (*m).clone())));
        left.push(all);
    }
    let mut there = model.clone();
    let promised: usize = model.batches[..least].iter().map(|batch| batch.given.len()).sum();
    let (mut met, mut lost) = (0, Vec::new());
    there.retain(|channel, given| {
        met += 1;
        let at = left[channel].iter().position(|found| found == given);
        if at.is_none() && met <= promised {
            lost.push((channel, given.clone()));
        }
        at.map(|at| left[channel].remove(at)).is_some()
    });
    if !lost.is_empty() {
        return Err(format!("lost though promised: {lost:?}"));
    }
    match left.iter().flatten().next() {
        Some(given) => Err(format!("invented or double: {given:?}")),
        None => Ok(there),
    }
}

/// Where what was found first differs from everything that was given.
fn differ(found: &[Found], expected: &[Expected<'_>]) -> String {
    let each = found.iter().zip(expected).enumerate();
    let lines: Vec<String> = each
        .filter_map(|(at, (found, expected))| Some(format!("channel {at}: {}", same(found, expected).err()?)))
        .collect();
    lines.join("; ")
}

fn same(found: &Found, expected: &Expected<'_>) -> Result<(), String> {
    let position = |sample: &Sample| (sample.time.0, sample.rank);
    if let Some(twice) = found.samples.windows(2).find(|pair| position(&pair[0]) >= position(&pair[1])) {
        return Err(format!("double or out of order: {twice:?}"));
    }
    each_in_turn("samples", found.samples.iter(), &expected.samples)?;
    each_in_turn("events", found.events.iter().map(|(time, kind)| (*time, kind)), &expected.events)?;
    each_in_turn("metadata", found.metadata.iter().map(|(time, m)| (*time, &**m)), &expected.metadata)
}

/// Whether `found` is `expected`, some of which may be gone.
fn each_in_turn<T: PartialEq + Debug>(
    what: &str,
    found: impl Iterator<Item = T>,
    expected: &[(T, bool)],
) -> Result<(), String> {
    let mut found = found.peekable();
    for (wanted, may_be_gone) in expected {
        if found.next_if_eq(wanted).is_none() && !may_be_gone {
            return Err(format!("{what}: {wanted:?} is lost, there is {:?}", found.peek()));
        }
    }
    match found.next() {
        Some(left) => Err(format!("{what}: {left:?} is invented")),
        None => Ok(()),
    }
}

/// Asks for some stretch of each channel, its edge and its metadata: what carry-in and overrides answer.
pub fn stretches(recovered: &Recovered, model: &Model, random: &mut Random) -> Result<(), String> {
    let archive: Arc<dyn Archive> = Arc::new(LiveArchive::new(recovered.shared.clone()));
    let reader = Reader::new(vec![Member { name: "a".into(), priority: 1, archive }]);
    for (at, truth) in model.channels.iter().enumerate() {
        let from = match random.below(3) {
            0 => MONDAY,
            1 => MONDAY - random.below(8 * HOUR as u64) as i64,
            _ => MONDAY + random.below(8 * HOUR as u64) as i64,
        };
        let from = match model.kept_from() {
            Some(kept) if random.one_in(2) => kept.0,
            Some(kept) => from.max(kept.0),
            None => from,
        };
        let range = TimeRange::new(Timestamp(from), Timestamp(from + random.below(2 * HOUR as u64) as i64));
        let view = reader.view(&name(at), range).map_err(|error| error.to_string())?;
        let Some(view) = view else { continue };
        stretch(&view, truth, range).map_err(|what| format!("channel {at}, {range:?}: {what}"))?;
    }
    Ok(())
}

fn stretch(view: &ChannelView, truth: &Channel, range: TimeRange) -> Result<(), String> {
    let samples = collect(view.samples(&Scan::ascending(range)))?;
    let all = truth.by_time();
    let expected: Vec<&Sample> = all.iter().copied().filter(|sample| range.contains(sample.time)).collect();
    if samples.iter().ne(expected.iter().copied()) {
        return Err(format!("samples {samples:?}, expected {expected:?}"));
    }
    let edge = view.last_before(range.from, false).map_err(|error| error.to_string())?;
    let expected = all.iter().copied().take_while(|sample| sample.time < range.from).last();
    if edge.as_ref() != expected {
        return Err(format!("before it stands {edge:?}, expected {expected:?}"));
    }
    decimating::same_bins(view, range)?;
    let metadata = view.metadata_at(range.from).map(|(time, metadata)| (*time, (**metadata).clone()));
    let expected = truth.metadata.iter().rfind(|(time, _)| *time <= range.from).cloned();
    if metadata != expected {
        return Err(format!("metadata {metadata:?}, expected {expected:?}"));
    }
    Ok(())
}

/// Every index file that the manifest names is sound and says what the tables say.
pub fn indexes(disk: &SimDisk, recovered: &Recovered) -> Result<(), String> {
    let (view, layout) = (recovered.shared.view(), &recovered.shared.layout);
    let manifest = &view.manifest;
    for of in &manifest.partition_indexes {
        engine::verify_partition_index(disk, layout, manifest, of, true).map_err(|e| e.to_string())?;
    }
    for of in &manifest.master_segments {
        engine::verify_master_segment(disk, layout, manifest, of, true).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// Damages or removes some index files; says how many. They are derived: nothing is lost by that.
pub fn lose_indexes(disk: &SimDisk, random: &mut Random) -> u64 {
    let of_archive = |path: &std::path::PathBuf| {
        path.starts_with("/archive") && path.extension().is_some_and(|extension| extension == "index")
    };
    let mut lost = 0;
    for path in disk.files().into_iter().filter(of_archive) {
        let len = disk.content(&path).map_or(0, |content| content.len() as u64);
        let done = match random.below(4) {
            0 => disk.remove(&path),
            1 => disk.truncate(&path, random.below(len.max(1))),
            2 if len > 0 => disk.flip(&path, random.below(len), 1 << random.below(8)),
            _ => continue,
        };
        lost += u64::from(done.is_ok());
    }
    lost
}
