//! Holds an opened archive against the model.

use super::life::{MONDAY, name};
use super::model::{Channel, Given, Model};
use disk::sim::Random;
use engine::LiveArchive;
use engine::read::{Archive, ChannelView, Member, Merge, Reader, Scan};
use engine::recovery::Recovered;
use sample::{EventKind, Metadata, Sample, TimeRange, Timestamp};
use std::sync::Arc;

const HOUR: i64 = 3_600_000_000_000;

/// What an archive holds of one channel.
#[derive(Debug, Default)]
struct Found {
    samples: Vec<Sample>,
    events: Vec<(Timestamp, EventKind)>,
    metadata: Vec<(Timestamp, Arc<Metadata>)>,
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
    for event in &snapshot.events {
        if event.sequence <= last {
            return Err(format!("two events have number {last} (or they are out of order): {event:?}"));
        }
        last = event.sequence;
        if !matches!(event.kind, EventKind::EngineDown { .. }) {
            events.push((event.time, event.kind.clone()));
        }
    }
    Ok(Found { samples, events, metadata: snapshot.metadata })
}

/// Compares everything; returns how many batches are there.
pub fn whole(recovered: &Recovered, model: &Model) -> Result<usize, String> {
    let archive = LiveArchive::new(recovered.shared.clone());
    let found: Vec<Found> =
        (0..model.channels.len()).map(|channel| find(&archive, channel)).collect::<Result<_, _>>()?;
    let total = found.iter().map(|f| f.samples.len() + f.events.len() + f.metadata.len()).sum();
    let Some(batches) = model.batches_of(total) else {
        return Err(format!(
            "{total} things are there, no number of batches holds so many: {}",
            differ(&found, model)
        ));
    };
    let mut truth = model.clone();
    truth.truncate(batches);
    for (at, (found, truth)) in found.iter().zip(&truth.channels).enumerate() {
        same(found, truth)
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
fn differ(found: &[Found], model: &Model) -> String {
    let each = found.iter().zip(&model.channels).enumerate();
    let lines: Vec<String> = each
        .filter_map(|(at, (found, truth))| Some(format!("channel {at}: {}", same(found, truth).err()?)))
        .collect();
    lines.join("; ")
}

fn same(found: &Found, truth: &Channel) -> Result<(), String> {
    let expected = truth.by_time();
    let position = |sample: &Sample| (sample.time.0, sample.rank);
    if let Some(twice) = found.samples.windows(2).find(|pair| position(&pair[0]) >= position(&pair[1])) {
        return Err(format!("double or out of order: {twice:?}"));
    }
    let invented = found.samples.iter().find(|sample| !expected.contains(sample));
    let lost = expected.iter().find(|sample| !found.samples.contains(sample));
    if invented.is_some() || lost.is_some() {
        let counts = (found.samples.len(), expected.len());
        return Err(format!("{counts:?} samples found and expected; invented: {invented:?}; lost: {lost:?}"));
    }
    if found.events != truth.events {
        return Err(format!("events {:?}, expected {:?}", found.events, truth.events));
    }
    let changes = found.metadata.iter().map(|(time, m)| (*time, (**m).clone())).collect::<Vec<_>>();
    if changes != truth.metadata {
        return Err(format!("metadata {changes:?}, expected {:?}", truth.metadata));
    }
    Ok(())
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
    let metadata = view.metadata_at(range.from).map(|(time, metadata)| (*time, (**metadata).clone()));
    let expected = truth.metadata.iter().rfind(|(time, _)| *time <= range.from).cloned();
    if metadata != expected {
        return Err(format!("metadata {metadata:?}, expected {expected:?}"));
    }
    Ok(())
}
