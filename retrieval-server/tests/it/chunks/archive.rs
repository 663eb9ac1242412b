//! An archive whose tables are flushed, merged, sealed and overlapped, of channels of every sort.

use crate::search::Random;
use disk::{Disk, RealDisk, SimDisk};
use engine::clock::ManualClock;
use engine::read::{Member, Reader};
use engine::recovery::{Opening, Recovered, open};
use engine::{LiveArchive, SealStep, StorageSettings};
use retrieval_server::{HttpSettings, ServerState};
use sample::{
    BytesColumn, ChannelId, ChannelName, Column, EventKind, Metadata, Sample, Severity, Timestamp, Value,
    WEEK_NS, Week,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Monday 2025-01-06.
pub(crate) const START: i64 = 1_736_121_600_000_000_000;
const WEEKS: i64 = 3;
pub(crate) const END: i64 = START + WEEKS * WEEK_NS;
/// Doubles; others at their times; others near their times; texts; enums; arrays; types that change.
pub(crate) const NAMES: [&str; 7] = ["F", "G", "N", "T", "E", "A", "M"];

pub(crate) struct Stored {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    clock: ManualClock,
    recovered: Recovered,
    ids: Vec<ChannelId>,
}

fn units(text: String) -> Metadata {
    let states = (0..3).map(|i| format!("{text} {i}").into_bytes().into()).collect();
    Metadata { units: Some(text.into_bytes().into()), states: Some(states), ..Metadata::default() }
}

/// For so long a channel of changing type has one.
fn slot(time: i64) -> i64 {
    time / 100_000_000_000_000
}

fn value(random: &mut Random, name: &str, time: i64) -> Value {
    match name {
        "T" => Value::text(["", "a", "Open", "\u{b5}m"][random.below(4)]),
        "E" => Value::Enum(random.below(4) as u16),
        "A" => {
            let len = if time / WEEK_NS % 2 == 0 { 20 } else { random.below(30) };
            Value::Array(Box::new(Column::Int16((0..len).map(|_| random.below(9) as i16).collect())))
        }
        "M" => match slot(time) % 6 {
            0 => Value::Int32(random.below(1000) as i32),
            1 => Value::Bool(random.below(2) == 0),
            2 => {
                let descriptor = b"descriptor".as_slice().into();
                Value::Structure { descriptor, bytes: vec![7; random.below(5)].into() }
            }
            3 => {
                let mut strings = BytesColumn::default();
                (0..random.below(4)).for_each(|i| strings.push(&b"abc"[..i.min(3)]));
                Value::Array(Box::new(Column::String(strings)))
            }
            4 => Value::Float32(random.below(100) as f32 / 3.0),
            _ => Value::UInt64(u64::MAX - random.below(100) as u64),
        },
        _ if random.below(500) == 0 => Value::Float64(*random.of(&[f64::NAN, f64::INFINITY, -0.0])),
        // Numbers that nothing makes small: chunks have blocks of their own.
        _ => Value::Float64(random.below(1 << 50) as f64 / 7.0),
    }
}

impl Stored {
    fn new(seed: u64) -> Stored {
        Stored::over(Arc::new(SimDisk::new(seed)), "/archive".into())
    }

    fn over(disk: Arc<dyn Disk>, directory: PathBuf) -> Stored {
        let clock = ManualClock::new(Timestamp(START));
        let settings = StorageSettings {
            merge_fan_in: 3,
            reserve_bytes: 0,
            segment_bytes: 64 << 10,
            ..StorageSettings::default()
        };
        let mut recovered = open(Opening {
            disk: disk.clone(),
            clock: Arc::new(clock.clone()),
            directory: directory.clone(),
            create: true,
            pinned: None,
            fresh_id: None,
            settings,
        })
        .unwrap();
        let writer = &mut recovered.writer;
        writer.at(Timestamp(START));
        let register = |name: &&str| {
            let id = writer.register(&ChannelName::stored(name).unwrap());
            writer.event(id, Timestamp(START), EventKind::Started);
            writer.event(id, Timestamp(START), EventKind::Connected { host: "ioc".into() });
            writer.metadata(id, Timestamp(START), units("mm".into()));
            id
        };
        let ids = NAMES.iter().map(register).collect();
        Stored { disk, directory, clock, recovered, ids }
    }

    fn append(&mut self, channel: usize, sample: Sample) {
        self.recovered.writer.append(self.ids[channel], sample, false);
    }

    fn now(&mut self, time: i64) {
        self.clock.set(Timestamp(time));
        self.recovered.writer.at(Timestamp(time));
    }

    fn commit(&mut self) {
        self.recovered.writer.heartbeat();
        self.recovered.writer.commit();
        self.recovered.keeper.write_log().unwrap();
    }

    fn flush(&mut self) {
        self.recovered.keeper.write_log().unwrap();
        if let Some(frozen) = self.recovered.writer.freeze() {
            self.recovered.keeper.flush(frozen).unwrap();
        }
    }

    fn seal(&self, week: Week) {
        while matches!(self.recovered.keeper.seal_week(week, &|| false).unwrap(), SealStep::Written(_)) {}
    }

    /// Of random course, with so many samples of each channel a week: what of it is sealed, merged, flushed or in memory, and what came late.
    pub(crate) fn filled(random: &mut Random, seed: u64, steps_per_week: i64) -> Stored {
        let mut stored = Stored::new(seed);
        let steps = WEEKS * steps_per_week;
        for step in 0..steps {
            let time = START + (END - START) / steps * step;
            stored.now(time + 2_000_000_000);
            // No grid is as short as a reference to the same.
            let shared = random.below(1_000_000_000) as i64;
            for (channel, name) in NAMES.into_iter().enumerate() {
                let jitter = if name == "N" { shared / 1_000_000 * 1_000_000 + 5_000_000 } else { shared };
                let late = step > 10 && random.below(2500) == 0;
                let behind = if late { random.below(3_000_000) as i64 * 100_000_000 } else { 0 };
                let stamp = (time + jitter - behind).max(START);
                let mut sample = Sample::new(Timestamp(stamp), value(random, name, stamp));
                if random.below(300) == 0 {
                    sample.severity = *random.of(&[Severity::Minor, Severity::Invalid]);
                    sample.status.code = random.below(20) as u16;
                }
                sample.metadata_known = step % 4000 != 17;
                if name == "T" && slot(stamp) % 5 == 3 {
                    sample.user_tag = Some(step);
                    sample.message = Some(b"why".as_slice().into());
                }
                stored.append(channel, sample);
                // Times that are equal.
                if random.below(400) == 0 {
                    stored.append(channel, Sample::new(Timestamp(stamp), value(random, name, stamp)));
                }
            }
            if random.below(1500) == 0 {
                let channel = random.below(NAMES.len());
                let id = stored.ids[channel];
                stored.recovered.writer.metadata(id, Timestamp(time), units(format!("unit {step}")));
            }
            if step % 100 == 0 {
                stored.commit();
            }
            if random.below(900) == 0 {
                stored.flush();
                if random.below(2) == 0 {
                    while stored.recovered.keeper.merge(&|| false).unwrap() {}
                }
            }
        }
        stored.commit();
        if !seed.is_multiple_of(3) {
            stored.flush();
            let weeks = (0..WEEKS).take(seed as usize % 4).map(|week| START + week * WEEK_NS);
            stored.now(END + 15 * 86_400_000_000_000);
            for start in weeks {
                stored.seal(Week::containing(Timestamp(start)));
            }
        }
        // What comes late for weeks that are sealed, some of it still in memory.
        for flush in [true, false] {
            for _ in 0..random.below(6) {
                let stamp = START + random.below((END - START) as usize) as i64;
                let channel = random.below(NAMES.len());
                stored.append(channel, Sample::new(Timestamp(stamp), value(random, NAMES[channel], stamp)));
            }
            stored.commit();
            if flush && random.below(2) == 0 {
                stored.flush();
            }
        }
        stored
    }

    /// Doubles at 30 s, two channels of the same stamps, all of it sealed.
    pub(crate) fn steady() -> Stored {
        Stored::new(1).filled_steadily()
    }

    /// The same in a directory of the machine.
    pub(crate) fn steady_in(directory: &Path) -> Stored {
        Stored::over(Arc::new(RealDisk), directory.to_path_buf()).filled_steadily()
    }

    fn filled_steadily(self) -> Stored {
        let mut stored = self;
        let mut random = Random(1);
        for step in 0..(END - START) / 30_000_000_000 {
            let time = START + step * 30_000_000_000;
            stored.now(time + 1_000_000_000);
            // No grid is as short as a reference to the same.
            let jitter = random.below(1_000_000_000) as i64;
            for (channel, name) in NAMES.into_iter().enumerate().take(3) {
                let stamp = if name == "N" { time + 30_000_000 } else { time + jitter };
                stored.append(channel, Sample::new(Timestamp(stamp), value(&mut random, name, time)));
            }
            if step % 500 == 0 {
                stored.commit();
            }
        }
        stored.commit();
        stored.flush();
        stored.now(END + 15 * 86_400_000_000_000);
        for week in 0..WEEKS {
            stored.seal(Week::containing(Timestamp(START + week * WEEK_NS)));
        }
        stored
    }

    pub(crate) fn state(&self) -> ServerState {
        Stored::state_of(&[self])
    }

    /// A server over several archives, the best first.
    pub(crate) fn state_of(archives: &[&Stored]) -> ServerState {
        let member = |(priority, stored): (i32, &&Stored)| {
            let archive = Arc::new(LiveArchive::new(stored.recovered.shared.clone()));
            Member { name: format!("archive {priority}"), priority, archive }
        };
        let members = (1..).zip(archives).map(member).collect();
        ServerState::new(Reader::new(members), None, HttpSettings::default())
    }

    /// Changes a bit of `bytes` in every table that holds them; says in how many.
    pub(crate) fn spoil(&self, bytes: &[u8]) -> usize {
        let mut spoilt = 0;
        for path in files(&*self.disk, &self.directory) {
            let file = self.disk.open_write(&path).unwrap();
            let mut content = vec![0; file.len().unwrap() as usize];
            file.read_at(0, &mut content).unwrap();
            if let Some(at) = content.windows(bytes.len()).position(|window| window == bytes) {
                file.write_at(at as u64, &[content[at] ^ 1]).unwrap();
                spoilt += 1;
            }
        }
        spoilt
    }
}

fn files(disk: &dyn Disk, directory: &Path) -> Vec<PathBuf> {
    let entries = disk.list(directory).unwrap();
    let below = |entry: &disk::Entry| {
        let path = directory.join(&entry.name);
        match entry.is_dir {
            true => files(disk, &path),
            false if entry.name.ends_with(".sst") => vec![path],
            false => Vec::new(),
        }
    };
    entries.iter().flat_map(below).collect()
}
