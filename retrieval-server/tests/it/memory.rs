//! An archive in memory: what the tests put in is what a reader sees.

use engine::read::{
    Archive, ArchiveInfo, ChannelDetail, ChannelFilter, ChannelState, ChannelSummary, Enough, Evidence,
    Facts, Kept, Live, Member, MetDamage, Numbers, Part, Piece, Position, ReadError, Reader, Run, RunVersion,
    Scope, Snapshot, Verdict, Why,
};
use retrieval_server::{HttpSettings, ServerState};
use sample::{
    ChannelName, Event, Metadata, Sample, SampleBlock, Severity, TimeRange, Timestamp, Value, ValueType,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Samples that a block of the archive holds at most; small, so that answers are made of many.
const BLOCK_SAMPLES: usize = 5;
/// Samples of a piece of a block.
const PIECE_SAMPLES: usize = 2;
/// Blocks of a run at most: the token of a piece is that of its block, and so many for each piece before and itself.
const BLOCKS_MAX: u64 = 1 << 20;

/// One channel.
#[derive(Clone, Default)]
pub(crate) struct Channel {
    pub samples: Vec<Sample>,
    /// Late ones, by time and rank: a run of their own.
    pub late: Vec<Sample>,
    pub metadata: Vec<(Timestamp, Arc<Metadata>)>,
    pub events: Vec<Event>,
    /// Number of the block whose bytes do not check.
    pub damaged: Option<usize>,
    /// How often reading a block finds its file gone.
    pub vanish: usize,
    /// Endless samples at 1 ns from 0 on in place of `samples`, so many.
    pub generated: Option<usize>,
    /// Where the samples are said to be kept; runs without it have no version.
    pub kept: Option<Kept>,
}

/// The archive.
#[derive(Default)]
pub(crate) struct Memory {
    pub channels: BTreeMap<String, Channel>,
    pub aliases: BTreeMap<String, String>,
    pub now: Timestamp,
    pub not_ready: bool,
    vanished: Mutex<BTreeMap<String, usize>>,
    /// Blocks that were loaded.
    pub loads: Arc<AtomicUsize>,
    /// Those of generated samples that another thread made ahead of the scan.
    pub loads_ahead: Arc<AtomicUsize>,
    /// What each thread does before it loads a block.
    pub before_load: Option<Arc<dyn Fn() + Send + Sync>>,
}

struct Blocks {
    name: String,
    parts: Vec<SampleBlock>,
    damaged: Option<usize>,
    vanish: bool,
    kept: Option<Kept>,
    loads: Arc<AtomicUsize>,
    before_load: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// What samples have in common, sample by sample. Bounds are what a coarser number could say.
fn facts(samples: &[Sample], run: Option<(ValueType, bool)>) -> Facts {
    let severities = || samples.iter().map(|sample| sample.severity);
    let worst = severities().max().unwrap();
    let least = if severities().all(|s| s == Severity::Invalid) { worst } else { Severity::NoAlarm };
    let number = |sample: &Sample| match sample.value {
        Value::Float64(value) => Some(value),
        Value::Int32(value) => Some(f64::from(value)),
        Value::Enum(index) => Some(f64::from(index)),
        _ => None,
    };
    let numbers: Option<Vec<f64>> = samples.iter().map(number).collect();
    let numbers = numbers.map(|values| {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let bounds = (finite().reduce(f64::min), finite().reduce(f64::max));
        let coarse = |(lower, upper): (f64, f64)| (lower.floor(), upper.ceil());
        Numbers {
            bounds: bounds.0.zip(bounds.1).map(coarse),
            nan: values.iter().any(|value| value.is_nan()),
            positive_infinite: values.contains(&f64::INFINITY),
            negative_infinite: values.contains(&f64::NEG_INFINITY),
        }
    });
    Facts {
        scope: if run.is_some() { Scope::Pages } else { Scope::Chunk },
        run,
        severity: (least, worst),
        numbers,
    }
}

fn rows(block: &SampleBlock) -> Vec<Sample> {
    (0..block.len()).map(|i| block.get(i)).collect()
}

fn position(block: &SampleBlock, i: usize) -> Position {
    let (time, rank) = block.position(i);
    Position { time, rank }
}

impl Run for Blocks {
    fn span(&self) -> (Timestamp, Timestamp) {
        (self.parts[0].first(), self.parts[self.parts.len() - 1].last())
    }

    fn version(&self, _range: TimeRange) -> Option<RunVersion> {
        let state = self.parts.iter().map(|block| block.len() as u64).sum();
        self.kept.map(|kept| RunVersion { state, kept })
    }

    fn types(&self) -> Result<Vec<(Timestamp, ValueType)>, ReadError> {
        Ok(self.parts.iter().map(|block| (block.first(), block.run.value)).collect())
    }

    fn parts(&self, range: TimeRange) -> Result<Vec<Part>, ReadError> {
        let part = |(token, block): (usize, &SampleBlock)| Part {
            first: position(block, 0),
            last: position(block, block.len() - 1),
            count: block.len() as u32,
            token: token as u64,
        };
        let touches = |(_, b): &(usize, &SampleBlock)| b.first() < range.to && range.from <= b.last();
        Ok(self.parts.iter().enumerate().filter(touches).map(part).collect())
    }

    fn facts(&self, part: &Part) -> Option<Facts> {
        Some(facts(&rows(&self.parts[part.token as usize]), None))
    }

    fn whole(&self) -> Option<(Part, Facts)> {
        let (first, last) = (self.parts.first()?, self.parts.last()?);
        let alike = self.parts.iter().all(|block| block.run.value == first.run.value);
        let samples: Vec<Sample> = self.parts.iter().flat_map(rows).collect();
        let part = Part {
            first: Position { time: first.first().0, rank: 0 },
            last: Position { time: last.last().0, rank: u32::MAX },
            count: samples.len() as u32,
            token: Part::JOINED,
        };
        alike.then(|| (part, Facts { scope: Scope::Joined, ..facts(&samples, None) }))
    }

    fn pieces(&self, part: &Part, enough: &mut Enough<'_>) -> Result<Vec<Piece>, ReadError> {
        let block = &self.parts[part.token as usize];
        let mut pieces = Vec::new();
        for (at, samples) in rows(block).chunks(PIECE_SAMPLES).enumerate() {
            // The rank of the last sample is not known, nor that of the first.
            let part = Part {
                first: Position { time: samples[0].time.0, rank: 0 },
                last: Position { time: samples[samples.len() - 1].time.0, rank: u32::MAX },
                count: samples.len() as u32,
                token: part.token + (at as u64 + 1) * BLOCKS_MAX,
            };
            let facts = facts(samples, Some((block.run.value, block.run.metadata_known)));
            pieces.push(if enough(&part, &facts) { Piece::Known(part, facts) } else { Piece::Wanted(part) });
        }
        Ok(if pieces.iter().any(|piece| matches!(piece, Piece::Known(..))) { pieces } else { Vec::new() })
    }

    fn load(&self, part: &Part, range: TimeRange) -> Result<SampleBlock, ReadError> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.before_load.iter().for_each(|before| before());
        let number = (part.token % BLOCKS_MAX) as usize;
        let mut block = &self.parts[number];
        let piece;
        if let Some(at) = (part.token / BLOCKS_MAX).checked_sub(1) {
            let begin = at as usize * PIECE_SAMPLES;
            piece = block.slice(begin, begin + part.count as usize);
            block = &piece;
        }
        if self.damaged == Some(number) {
            return Err(ReadError::Damaged {
                file: format!("weeks/{}", self.name).into(),
                offset: 77,
                what: "the checksum does not fit".into(),
                span: Some((block.first(), block.last())),
            });
        }
        if self.vanish && number == 1 {
            return Err(ReadError::Vanished("weeks/gone".into()));
        }
        let inside = block.indices(range);
        Ok(block.slice(inside.start, inside.end))
    }
}

/// Doubles at every nanosecond from 0 on, made when they are read.
struct Generated {
    count: usize,
    loads: Arc<AtomicUsize>,
    loads_ahead: Arc<AtomicUsize>,
}

const GENERATED_BLOCK: usize = 8192;

impl Run for Generated {
    fn span(&self) -> (Timestamp, Timestamp) {
        (Timestamp(0), Timestamp(self.count as i64 - 1))
    }

    fn types(&self) -> Result<Vec<(Timestamp, ValueType)>, ReadError> {
        Ok(vec![(Timestamp(0), ValueType::scalar(sample::Kind::Float64))])
    }

    fn parts(&self, _range: TimeRange) -> Result<Vec<Part>, ReadError> {
        Ok((0..self.count.div_ceil(GENERATED_BLOCK))
            .map(|i| {
                let last = ((i + 1) * GENERATED_BLOCK).min(self.count);
                let at = |i: usize| Position { time: i as i64, rank: 0 };
                let (first, count) = (i * GENERATED_BLOCK, last - i * GENERATED_BLOCK);
                Part { first: at(first), last: at(last - 1), count: count as u32, token: i as u64 }
            })
            .collect())
    }

    fn load(&self, part: &Part, range: TimeRange) -> Result<SampleBlock, ReadError> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        if std::thread::current().name() == Some("ahead") {
            self.loads_ahead.fetch_add(1, Ordering::SeqCst);
        }
        let run = sample::RunType::plain(ValueType::scalar(sample::Kind::Float64));
        let mut block = SampleBlock::new(run);
        for time in part.first.time..=part.last.time {
            if range.contains(Timestamp(time)) {
                block.push(&Sample::new(Timestamp(time), sample::Value::Float64(time as f64 / 7.0)));
            }
        }
        Ok(block)
    }
}

impl Channel {
    fn blocks(samples: &[Sample]) -> Vec<SampleBlock> {
        let mut blocks: Vec<SampleBlock> = Vec::new();
        for sample in samples {
            let fits = blocks.last_mut().is_some_and(|b| b.len() < BLOCK_SAMPLES && b.push(sample));
            if !fits {
                let mut block = SampleBlock::new(sample.run_type());
                assert!(block.push(sample));
                blocks.push(block);
            }
        }
        blocks
    }

    fn summary(&self, name: &str) -> ChannelSummary {
        ChannelSummary {
            name: ChannelName::stored(name).unwrap(),
            alias_of: None,
            value_type: self.samples.last().map(|s| s.value.value_type()),
            first: self.samples.first().map(|s| s.time),
            last: self.samples.last().map(|s| s.time),
            samples: self.samples.len() as u64,
            bytes: 8 * self.samples.len() as u64,
            connected: Some(!self.samples.is_empty()),
            state: if self.samples.is_empty() {
                ChannelState::NeverConnected
            } else {
                ChannelState::Connected
            },
            reason: String::new(),
            origin: "list.txt:1".into(),
        }
    }
}

impl Archive for Memory {
    fn info(&self) -> ArchiveInfo {
        ArchiveInfo {
            id: "00112233445566778899aabbccddeeff".into(),
            path: "/memory".into(),
            created: Timestamp(5),
            format: "1.0".into(),
        }
    }

    fn resolve(&self, name: &str) -> Result<Option<ChannelName>, ReadError> {
        if self.not_ready {
            return Err(ReadError::NotReady("the log is being replayed".into()));
        }
        let stored = self.aliases.get(name).map_or(name, String::as_str);
        Ok(self.channels.contains_key(stored).then(|| ChannelName::stored(stored).unwrap()))
    }

    fn near(&self, name: &str, most: usize) -> Vec<String> {
        let same_start = |known: &&String| known.chars().next() == name.chars().next();
        self.channels.keys().filter(same_start).take(most).cloned().collect()
    }

    fn channels(&self, filter: &ChannelFilter<'_>) -> Result<Vec<ChannelSummary>, ReadError> {
        let mut rows: Vec<ChannelSummary> = self.channels.iter().map(|(n, c)| c.summary(n)).collect();
        for (alias, stored) in &self.aliases {
            let alias_of = Some(ChannelName::stored(stored).unwrap());
            let name = ChannelName::stored(alias).unwrap();
            rows.push(ChannelSummary { name, alias_of, ..self.channels[stored].summary(stored) });
        }
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        let limit = if filter.limit == 0 { usize::MAX } else { filter.limit };
        let wanted = |row: &ChannelSummary| {
            (filter.matches)(row.name.as_str())
                && filter.state.is_none_or(|state| state == row.state)
                && filter.after.is_none_or(|after| row.name.as_str() > after)
        };
        Ok(rows.into_iter().filter(wanted).take(limit).collect())
    }

    fn channel(&self, name: &ChannelName, time: Timestamp) -> Result<Option<ChannelDetail>, ReadError> {
        let Some(channel) = self.channels.get(name.as_str()) else { return Ok(None) };
        let mut types: Vec<(Timestamp, ValueType)> = Vec::new();
        for sample in &channel.samples {
            if types.last().is_none_or(|(_, t)| *t != sample.value.value_type()) {
                types.push((sample.time, sample.value.value_type()));
            }
        }
        let before = channel.metadata.iter().rev().find(|(from, _)| *from <= time);
        Ok(Some(ChannelDetail {
            summary: channel.summary(name.as_str()),
            types,
            metadata: before.cloned(),
            live: Some(Live { connected: true, host: Some("ioc:5064".into()), ..Live::default() }),
            retention: "default".into(),
        }))
    }

    fn why(&self, name: &str) -> Result<Why, ReadError> {
        let known = self.channels.contains_key(name);
        Ok(Why {
            verdict: if known { Verdict::Archived } else { Verdict::NotRequested },
            evidence: vec![
                ("searches".into(), Evidence::Number(3.0)),
                ("last_sample".into(), Evidence::Time(Timestamp(9))),
                ("host".into(), Evidence::Text("ioc:5064".into())),
                ("configured".into(), Evidence::Flag(known)),
            ],
        })
    }

    fn snapshot(&self, name: &ChannelName, _range: TimeRange) -> Result<Option<Snapshot>, ReadError> {
        let Some(channel) = self.channels.get(name.as_str()) else { return Ok(None) };
        let (parts, before_load) = (Channel::blocks(&channel.samples), &self.before_load);
        let mut runs: Vec<Arc<dyn Run>> = Vec::new();
        if let Some(count) = channel.generated {
            let (loads, loads_ahead) = (self.loads.clone(), self.loads_ahead.clone());
            runs.push(Arc::new(Generated { count, loads, loads_ahead }));
        } else if !parts.is_empty() {
            let mut vanished = self.vanished.lock().unwrap();
            let times = vanished.entry(name.to_string()).or_default();
            *times += 1;
            let vanish = *times <= channel.vanish;
            let (name, damaged, loads) = (name.to_string(), channel.damaged, self.loads.clone());
            let kept = channel.kept;
            let before_load = before_load.clone();
            runs.push(Arc::new(Blocks { name, parts, damaged, vanish, kept, loads, before_load }));
        }
        let late = Channel::blocks(&channel.late);
        if !late.is_empty() {
            let (name, loads) = (name.to_string(), self.loads.clone());
            let kept = channel.kept.map(|_| Kept::Table);
            runs.push(Arc::new(Blocks {
                name,
                parts: late,
                damaged: None,
                vanish: false,
                kept,
                loads,
                before_load: before_load.clone(),
            }));
        }
        Ok(Some(Snapshot {
            rows: Vec::new(),
            name: name.clone(),
            kept_runs: runs.len(),
            runs,
            tables: None,
            events: channel.events.clone(),
            metadata: channel.metadata.clone(),
            first_sample: channel
                .samples
                .first()
                .map(|s| s.time)
                .or(channel.generated.map(|_| Timestamp(0)))
                .map(Into::into),
            knowledge_ends: self.now,
            running: true,
            durable_until: Timestamp(self.now.0 - 1),
            problems: Vec::new(),
        }))
    }

    fn damage(&self) -> Option<MetDamage> {
        let places = self.channels.values().filter(|channel| channel.damaged.is_some()).count() as u64;
        let met = MetDamage { places, message: "a place".into(), what_to_do: "mend it" };
        (places > 0).then_some(met)
    }

    fn now(&self) -> Timestamp {
        self.now
    }
}

/// An archive that the test goes on filling.
#[derive(Clone)]
pub(crate) struct Growing(pub Arc<Mutex<Memory>>);

impl Growing {
    pub(crate) fn of(memory: Memory) -> Growing {
        Growing(Arc::new(Mutex::new(memory)))
    }

    /// A server over it.
    pub(crate) fn state(&self, settings: HttpSettings) -> ServerState {
        let member = Member { name: "memory".into(), priority: 1, archive: Arc::new(self.clone()) };
        ServerState::new(Reader::new(vec![member]), None, settings)
    }

    /// Appends an in-order sample behind the newest of a channel.
    pub(crate) fn push(&self, channel: &str, mut sample: Sample) {
        let mut memory = self.0.lock().unwrap();
        let samples = &mut memory.channels.get_mut(channel).unwrap().samples;
        if let Some(last) = samples.last() {
            assert!(last.time <= sample.time);
            sample.rank = if last.time == sample.time { last.rank + 1 } else { 0 };
        }
        samples.push(sample);
    }
}

impl Archive for Growing {
    fn info(&self) -> ArchiveInfo {
        self.0.lock().unwrap().info()
    }

    fn resolve(&self, name: &str) -> Result<Option<ChannelName>, ReadError> {
        self.0.lock().unwrap().resolve(name)
    }

    fn near(&self, name: &str, most: usize) -> Vec<String> {
        self.0.lock().unwrap().near(name, most)
    }

    fn channels(&self, filter: &ChannelFilter<'_>) -> Result<Vec<ChannelSummary>, ReadError> {
        self.0.lock().unwrap().channels(filter)
    }

    fn channel(&self, name: &ChannelName, time: Timestamp) -> Result<Option<ChannelDetail>, ReadError> {
        self.0.lock().unwrap().channel(name, time)
    }

    fn why(&self, name: &str) -> Result<Why, ReadError> {
        self.0.lock().unwrap().why(name)
    }

    fn snapshot(&self, name: &ChannelName, range: TimeRange) -> Result<Option<Snapshot>, ReadError> {
        self.0.lock().unwrap().snapshot(name, range)
    }

    fn now(&self) -> Timestamp {
        self.0.lock().unwrap().now
    }
}

impl Memory {
    /// With one channel of these samples; it is always "now" a minute after 2026-11-21T08:00:00Z.
    pub(crate) fn of(channels: impl IntoIterator<Item = (&'static str, Channel)>) -> Memory {
        let channels = channels.into_iter().map(|(name, channel)| (name.to_string(), channel)).collect();
        Memory { channels, now: Timestamp(1_795_248_060_000_000_000), ..Memory::default() }
    }

    /// A server over it.
    pub(crate) fn state(self) -> ServerState {
        self.state_with(HttpSettings::default())
    }

    /// A server over it and a worse one.
    pub(crate) fn state_beside(self, worse: Memory) -> ServerState {
        let member = |priority, memory: Memory| Member {
            name: format!("memory {priority}"),
            priority,
            archive: Arc::new(memory),
        };
        let reader = Reader::new(vec![member(1, self), member(2, worse)]);
        ServerState::new(reader, None, HttpSettings::default())
    }

    pub(crate) fn state_with(self, settings: HttpSettings) -> ServerState {
        let member = Member { name: "memory".into(), priority: 1, archive: Arc::new(self) };
        ServerState::new(Reader::new(vec![member]), None, settings)
    }
}

/// Settings of impatient tests.
pub(crate) fn impatient() -> HttpSettings {
    HttpSettings { idle_timeout: std::time::Duration::from_millis(200), ..HttpSettings::default() }
}
