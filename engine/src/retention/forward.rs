//! What later weeks need of tables that go, as tables of the first week that stays.

use crate::carry_in;
use crate::error::Error;
use crate::flush::class_number;
use crate::limits::{LATE_RANK_FIRST, MERGE_CACHE_BYTES};
use crate::manifest::{Manifest, TableEntry};
use crate::merge;
use crate::read::{Merge, Run, Scan};
use crate::shared::Shared;
use crate::slot::Slot;
use crate::table_contents::{ChannelFacts, ChannelPart, Contents, Section, Share};
use crate::table_file::{self, Place, Written};
use crate::table_run::TableRun;
use crate::view::View;
use sample::{ChannelId, SampleBlock, TimeRange, Timestamp, Week};
use sstable::{BlockCache, CarriedSample, CarryIn, Key, Lineage, Table};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Channels by id, sorted into retention classes.
type Parts = BTreeMap<Arc<str>, BTreeMap<ChannelId, ChannelPart>>;

/// Writes tables of `week` that make up for `gone`: what their dictionaries know of channels; what held at the
/// week's begin, where it has no carry-in yet; large samples that its carry-in only names.
pub(super) fn write(
    shared: &Shared,
    view: &Arc<View>,
    manifest: &mut Manifest,
    gone: &[TableEntry],
    week: Week,
) -> Result<Vec<Written>, Error> {
    let cache = BlockCache::new(MERGE_CACHE_BYTES);
    let gone = gone.iter().map(|entry| merge::open(shared, entry, &cache).map(Arc::new));
    let gone = gone.collect::<Result<Vec<Arc<Table>>, _>>()?;
    let (mut parts, mut facts) = (Parts::new(), HashMap::new());
    for rows in merge::Rows::new(&gone, ChannelId(0)..=ChannelId(u64::MAX)) {
        let row = merge::joined_row(&gone, &rows?);
        let Some(slot) = shared.directory().slot(row.channel).cloned() else { continue };
        part(&mut parts, &mut facts, &slot).known = Some(Box::new(row));
    }
    let mut carried = if view.is_open(week) {
        carried_samples(view, week)?
    } else {
        open_week(shared, view, week, &mut parts, &mut facts)?
    };
    carried.retain(|_, sample| matches!(sample, CarriedSample::There { .. }));
    for (channel, sample) in carried {
        let Some(slot) = shared.directory().slot(channel).cloned() else { continue };
        if let Some(block) = large_sample(&gone, channel, &sample)? {
            let late = block.rank[0] >= LATE_RANK_FIRST;
            part(&mut parts, &mut facts, &slot);
            let class = slot.lock().retention.clone();
            let parts = parts.entry(class).or_default().entry(channel).or_default();
            parts.blocks.push((Arc::new(block), late));
        }
    }
    let known_until = gone.iter().map(|table| table.info().known_until).max().unwrap_or(Timestamp::MIN);
    write_tables(shared, manifest, week, known_until, &parts, &facts)
}

/// Writes tables of a past week with the carry-in that it never got.
pub(super) fn open(
    shared: &Shared,
    view: &Arc<View>,
    manifest: &mut Manifest,
    week: Week,
) -> Result<Vec<Written>, Error> {
    let (mut parts, mut facts) = (Parts::new(), HashMap::new());
    open_week(shared, view, week, &mut parts, &mut facts)?;
    let tables = view.manifest.tables.iter().zip(&view.tables);
    let of_week = tables.filter(|(entry, _)| entry.week == week).map(|(_, table)| table.info().known_until);
    write_tables(shared, manifest, week, of_week.max().unwrap_or(Timestamp::MIN), &parts, &facts)
}

fn write_tables(
    shared: &Shared,
    manifest: &mut Manifest,
    week: Week,
    known_until: Timestamp,
    parts: &Parts,
    facts: &HashMap<ChannelId, ChannelFacts>,
) -> Result<Vec<Written>, Error> {
    let mut tables: Vec<Written> = Vec::new();
    let made = Lineage {
        through: manifest.wal_from.saturating_sub(1),
        next_channel: manifest.next_channel,
        next_sequence: manifest.next_sequence,
        group: parts.keys().map(|_| shared.next_table.fetch_add(1, Ordering::Relaxed)).collect(),
        ..Lineage::default()
    };
    for ((class, parts), id) in parts.iter().zip(made.group.iter().copied()) {
        let class = (class_number(manifest, class), &**class);
        let contents = Forwarded::new(parts, facts);
        let place = Place { id, week, directory: manifest.flushed_to(week), class, known_until, made: &made };
        let directory = place.directory_in(&shared.layout);
        let written = table_file::write(shared, &place, &contents).and_then(|written| {
            // I3. A killed process may have made the directory and not synced it.
            shared.disk.sync_dir(&directory)?;
            shared.disk.sync_dir(&shared.layout.weeks())?;
            Ok(written)
        });
        match written {
            Ok(written) => tables.push(written),
            Err(error) => {
                merge::remove(shared, &place.path_in(&shared.layout));
                tables.iter().for_each(|t| merge::remove(shared, &t.entry.path(&shared.layout)));
                return Err(error);
            }
        }
    }
    Ok(tables)
}

/// What one table carries forward.
struct Forwarded<'p> {
    parts: &'p BTreeMap<ChannelId, ChannelPart>,
    facts: &'p HashMap<ChannelId, ChannelFacts>,
    shares: Vec<Share>,
}

impl<'p> Forwarded<'p> {
    fn new(
        parts: &'p BTreeMap<ChannelId, ChannelPart>,
        facts: &'p HashMap<ChannelId, ChannelFacts>,
    ) -> Forwarded<'p> {
        let share = |(channel, part): (&ChannelId, &ChannelPart)| {
            let samples = (!part.blocks.is_empty()).then_some(Section::Samples);
            let carry_in = part.carry_in.is_some().then_some(Section::CarryIn);
            Share::new(*channel, samples.into_iter().chain(carry_in))
        };
        Forwarded { parts, facts, shares: parts.iter().map(share).collect() }
    }
}

impl Contents for Forwarded<'_> {
    fn shares(&self) -> &[Share] {
        &self.shares
    }

    fn value_bytes(&self) -> u64 {
        let blocks = self.parts.values().flat_map(|part| &part.blocks);
        blocks.map(|(block, _)| block.values.byte_len() as u64).sum()
    }

    fn sequences(&self) -> (u64, u64) {
        (0, 0)
    }

    fn part(&self, channel: ChannelId, section: Section) -> Result<ChannelPart, Error> {
        let Some(part) = self.parts.get(&channel) else { return Ok(ChannelPart::default()) };
        Ok(match section {
            Section::Samples => ChannelPart { blocks: part.blocks.clone(), ..ChannelPart::default() },
            Section::CarryIn => ChannelPart { carry_in: part.carry_in.clone(), ..ChannelPart::default() },
            Section::Events | Section::Metadata | Section::Records => ChannelPart::default(),
        })
    }

    fn facts(&self, channel: ChannelId) -> Option<ChannelFacts> {
        self.facts.get(&channel).cloned()
    }
}

/// The facts of a channel that gets a row.
fn part<'a>(
    parts: &mut Parts,
    facts: &'a mut HashMap<ChannelId, ChannelFacts>,
    slot: &Slot,
) -> &'a mut ChannelFacts {
    let state = slot.lock();
    parts.entry(state.retention.clone()).or_default().entry(slot.id).or_default();
    facts.entry(slot.id).or_insert_with(|| ChannelFacts {
        name: state.name.clone(),
        archiving: state.flushed_archiving,
        metadata: None,
        first_sample: state.first_sample.filter(|_| state.flushed_samples > 0),
        known: None,
    })
}

/// Gives every channel its carry-in of `week`; returns the samples in it.
fn open_week(
    shared: &Shared,
    view: &Arc<View>,
    week: Week,
    parts: &mut Parts,
    facts: &mut HashMap<ChannelId, ChannelFacts>,
) -> Result<BTreeMap<ChannelId, CarriedSample>, Error> {
    let mut carried = BTreeMap::new();
    let slots: Vec<Arc<Slot>> = shared.directory().slots.iter().flatten().cloned().collect();
    for slot in slots.iter().filter(|slot| slot.id != ChannelId::ARCHIVE) {
        let carry_in: CarryIn = carry_in::from_files(shared, view, slot, week)?;
        carried.extend(carry_in.sample.clone().map(|sample| (slot.id, sample)));
        part(parts, facts, slot);
        let class = slot.lock().retention.clone();
        parts.entry(class).or_default().entry(slot.id).or_default().carry_in = Some(Box::new(carry_in));
    }
    Ok(carried)
}

/// The newest carried sample of each channel at the begin of an open week.
fn carried_samples(view: &View, week: Week) -> Result<BTreeMap<ChannelId, CarriedSample>, Error> {
    let mut newest: BTreeMap<ChannelId, CarriedSample> = BTreeMap::new();
    let tables = view.manifest.tables.iter().zip(&view.tables);
    for (_, table) in tables.filter(|(entry, _)| entry.holds_carry_in && entry.week == week) {
        let entries = table.entries_from(Key::least(Key::CARRY_IN, ChannelId(0)));
        for entry in entries {
            let entry = entry?;
            if entry.key.rate != Key::CARRY_IN {
                break;
            }
            let carry_in = sstable::decode_carry_in(&table.payload(&entry)?)
                .map_err(|error| error.in_file(table.path(), entry.locator.offset))?;
            let Some(sample) = carry_in.sample else { continue };
            let known = newest.get(&entry.key.channel);
            if known.is_none_or(|known| carry_in::position(known) < carry_in::position(&sample)) {
                newest.insert(entry.key.channel, sample);
            }
        }
    }
    Ok(newest)
}

/// The sample that a carry-in names, if it lies in a table that goes.
fn large_sample(
    gone: &[Arc<Table>],
    channel: ChannelId,
    named: &CarriedSample,
) -> Result<Option<SampleBlock>, Error> {
    let (time, rank) = carry_in::position(named);
    let runs: Vec<Arc<dyn Run>> = gone
        .iter()
        .flat_map(|table| [false, true].map(|late| TableRun::whole(table.clone(), channel, late)))
        .map(|run| Arc::new(run) as Arc<dyn Run>)
        .collect();
    let range = TimeRange::new(time, time.saturating_add(1));
    for block in Merge::new(&runs, Scan::ascending(range)) {
        let block = block.map_err(Error::Read)?;
        if let Some(at) = (0..block.len()).find(|at| block.position(*at) == (time.0, rank)) {
            return Ok(Some(block.slice(at, at + 1)));
        }
    }
    Ok(None)
}
