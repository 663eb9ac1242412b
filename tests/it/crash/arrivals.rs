//! What an archive receives: readings, events and metadata as chance has them.

use super::life::{CHANNELS, DAY, Life, MINUTE, Stop, name};
use super::model::Given;
use crate::readings::{any_type, reading};
use engine::Outcome;
use engine::clock::Clock;
use engine::recovery::Recovered;
use sample::{EventKind, Metadata, Timestamp, Week};
use sstable::ChannelChange;

impl Life {
    /// Receives a few things and commits them.
    pub fn batch(&mut self, recovered: &mut Recovered) -> Result<(), Stop> {
        let before = Week::containing(self.clock.now());
        let pause = [MINUTE / 60, MINUTE, 20 * MINUTE][self.random.below(3) as usize];
        self.clock.advance(1 + self.random.below(pause as u64) as i64);
        self.happened.week_changes += u64::from(Week::containing(self.clock.now()) != before);
        let received = recovered.writer.at(self.clock.now());
        self.model.begin(received);
        let channel = self.random.below(CHANNELS as u64) as usize;
        self.sample(recovered, channel)?;
        for _ in 0..self.random.below(6) {
            let channel = self.random.below(CHANNELS as u64) as usize;
            match self.random.below(12) {
                0 => self.event(recovered, channel, received),
                1 => self.metadata(recovered, channel, received),
                2 => {
                    let class = ["default", "short", "long"][self.random.below(3) as usize];
                    let id = recovered.writer.register(&name(channel));
                    recovered.writer.record(id, ChannelChange::Retention(class.into()));
                }
                3 => recovered.writer.heartbeat(),
                _ => self.sample(recovered, channel)?,
            }
        }
        recovered.writer.commit();
        Ok(())
    }

    fn event(&mut self, recovered: &mut Recovered, channel: usize, time: Timestamp) {
        let host = format!("ioc{}:5064", self.random.below(3));
        let kind = match self.random.below(6) {
            0 | 1 => EventKind::Connected { host: host.into() },
            2 => EventKind::Disconnected { last_heard: Timestamp(time.0 - MINUTE) },
            3 => EventKind::Started,
            4 => EventKind::Paused,
            _ => EventKind::TimeReplaced { original: Timestamp(0) },
        };
        let id = recovered.writer.register(&name(channel));
        recovered.writer.event(id, time, kind.clone());
        self.model.give(channel, Given::Event(time, kind));
    }

    fn metadata(&mut self, recovered: &mut Recovered, channel: usize, time: Timestamp) {
        let metadata = Metadata {
            units: Some(Box::from(&b"mA"[..self.random.below(3) as usize])),
            display_low: self.random.one_in(2).then_some(-0.0),
            states: self.random.one_in(3).then(|| vec![Box::from(&b"off"[..]), Box::from(&b""[..])]),
            ..Metadata::default()
        };
        let id = recovered.writer.register(&name(channel));
        recovered.writer.metadata(id, time, metadata.clone());
        let time = match self.model.channels[channel].metadata.last() {
            Some((_, known)) if known.same_bits(&metadata) => return,
            Some((since, _)) => time.max(Timestamp(since.0 + 1)),
            None => time,
        };
        self.model.give(channel, Given::Metadata(time, metadata));
    }

    /// When the next sample of `channel` is stamped, and whether it is the first since a connect.
    fn stamp(&mut self, channel: usize) -> (Timestamp, bool) {
        let now = self.clock.now();
        let newest = self.model.channels[channel].newest().map(|newest| newest.time);
        let week = Week::containing(now).start();
        let back = 1 + self.random.below(12 * 60 * MINUTE as u64) as i64;
        match (self.random.below(10), newest) {
            (0, Some(newest)) => (newest, false),
            (1, Some(newest)) if now.0 - newest.0 < DAY => (Timestamp(newest.0 - back), false),
            (2, Some(newest)) if newest < week => {
                (Timestamp(newest.0 + self.random.below((week.0 - newest.0) as u64) as i64), true)
            }
            (0..=4, None) => (Timestamp(now.0 - self.random.below(1 << 60) as i64), true),
            (3, _) => (Timestamp(now.0 + self.random.below(20 * MINUTE as u64) as i64), false),
            (4, _) => (Timestamp(now.0 - self.random.below(MINUTE as u64) as i64), true),
            _ => (now, false),
        }
    }

    fn sample(&mut self, recovered: &mut Recovered, channel: usize) -> Result<(), Stop> {
        if self.random.one_in(8) {
            let former = std::mem::replace(&mut self.types[channel], any_type(&mut self.random));
            self.happened.type_changes += u64::from(former != self.types[channel]);
        }
        let (time, first) = self.stamp(channel);
        let mut sample = reading(&mut self.random, self.types[channel], time);
        let truth = &self.model.channels[channel];
        if truth.newest().is_some_and(|newest| newest.same_reading(&sample)) {
            sample.status.code ^= 1;
        }
        sample.rank = truth.next_rank(time);
        self.happened.equal += u64::from((1..1 << 31).contains(&sample.rank));
        self.happened.late += u64::from(sample.rank >= 1 << 31);
        self.happened.old_first += u64::from(first && time < Week::containing(self.clock.now()).start());
        self.happened.stored += 1;
        let id = recovered.writer.register(&name(channel));
        let outcome = recovered.writer.append(id, sample::Sample { rank: 0, ..sample.clone() }, first);
        if outcome != Outcome::Stored {
            return Err(Stop::Wrong(format!("a sample was {outcome:?}: {sample:?}")));
        }
        self.model.give(channel, Given::Sample(sample));
        Ok(())
    }
}
