//! Coverage equals what a script says happened, through flushes, week changes and restarts.

use crate::rig::{DAY, HOUR, MINUTE, MONDAY, Rig, SECOND, WEEK};
use decimator::coverage::{Interval, State};
use disk::sim::Random;
use sample::{TimeRange, Timestamp};

const CHANNELS: [&str; 2] = ["A", "B"];

/// What the rules say of one channel, worked out from the script alone.
#[derive(Default)]
struct Expected {
    /// Times from which states hold.
    changes: Vec<(i64, State)>,
    started: bool,
    paused: bool,
    connected: bool,
    sampled: bool,
}

impl Expected {
    fn change(&mut self, time: i64, state: State) {
        let (effect, present) = self.changes.last().copied().unwrap_or((i64::MIN, State::NotArchived));
        if state != present {
            self.changes.push((time.max(effect), state));
        }
    }

    fn stand(&mut self, time: i64) {
        let state = if !self.started {
            State::NotArchived
        } else if self.paused {
            State::Paused
        } else if !self.connected {
            State::Disconnected
        } else if self.sampled {
            State::Held
        } else {
            State::Unknown
        };
        self.change(time, state);
    }

    fn start(&mut self, now: i64) {
        self.started = true;
        self.stand(now);
    }

    fn connect(&mut self, now: i64) {
        self.connected = true;
        self.stand(now);
    }

    fn disconnect(&mut self, last_heard: i64, now: i64) {
        if self.connected && !self.paused {
            self.change(last_heard, State::Unknown);
        }
        self.connected = false;
        self.stand(now);
    }

    fn sample(&mut self, stamp: i64) {
        if !self.sampled {
            self.sampled = true;
            self.stand(stamp);
        }
    }

    fn pause(&mut self, paused: bool, now: i64) {
        self.paused = paused;
        self.stand(now);
    }

    fn down(&mut self, from: i64, until: i64) {
        self.connected = false;
        self.change(from, State::EngineDown);
        self.stand(until);
    }

    /// The states in a range, `unknown` behind what an engine that runs knows.
    fn cut(&self, range: TimeRange, knowledge_ends: i64) -> Vec<Interval> {
        let mut changes = self.changes.clone();
        let (effect, present) = *changes.last().unwrap();
        if present != State::Unknown {
            changes.push((effect.max(knowledge_ends), State::Unknown));
        }
        let mut out: Vec<Interval> = Vec::new();
        let mut edges = vec![range.from.0];
        edges.extend(changes.iter().map(|(time, _)| *time).filter(|t| range.contains(Timestamp(*t))));
        edges.push(range.to.0);
        for pair in edges.windows(2).filter(|pair| pair[0] < pair[1]) {
            let state =
                changes.iter().rev().find(|(time, _)| *time <= pair[0]).map_or(State::NotArchived, |c| c.1);
            match out.last_mut() {
                Some(last) if last.state == state => last.range.to = Timestamp(pair[1]),
                _ => {
                    let range = TimeRange::new(Timestamp(pair[0]), Timestamp(pair[1]));
                    out.push(Interval { range, state });
                }
            }
        }
        out
    }
}

struct Script {
    random: Random,
    rig: Rig,
    expected: [Expected; 2],
    /// How far the clocks of the two servers are off.
    offset: [i64; 2],
    /// Time of the last batch: what a killed engine knows.
    known: i64,
}

impl Script {
    fn new(seed: u64) -> Script {
        let mut random = Random::new(seed);
        // Often close to a change of weeks.
        let begin = MONDAY + WEEK - between(&mut random, 0, 2 * HOUR);
        let mut script = Script {
            random,
            rig: Rig::with(begin, &CHANNELS),
            expected: Default::default(),
            offset: [0; 2],
            known: begin,
        };
        script.expected.iter_mut().for_each(|e| e.start(begin));
        script
    }

    fn between(&mut self, from: i64, to: i64) -> i64 {
        between(&mut self.random, from, to)
    }

    fn step(&mut self) {
        let pause = match self.between(0, 10) {
            0 => self.between(HOUR, 2 * DAY),
            1..=3 => self.between(MINUTE, HOUR),
            _ => self.between(SECOND / 1000, MINUTE),
        };
        self.rig.advance(pause);
        let now = self.rig.now();
        let at = usize::try_from(self.between(0, 2)).unwrap();
        let channel = CHANNELS[at];
        match self.between(0, 14) {
            0..=2 => self.connect(at),
            3..=4 => self.disconnect(at),
            5..=8 if !self.expected[at].paused => {
                let stamp = now + self.offset[at];
                self.rig.sample(channel, stamp, now as f64);
                self.expected[at].sample(stamp);
            }
            9 => self.pause(at),
            10 | 11 => self.rig.flush(),
            12 => self.restart(),
            _ => {
                self.rig.tick();
                self.known = now;
            }
        }
        if self.known != now {
            self.rig.tick();
            self.known = now;
        }
    }

    fn connect(&mut self, at: usize) {
        let now = self.rig.now();
        if self.expected[at].paused {
            return;
        }
        self.offset[at] = self.between(-4 * MINUTE, 4 * MINUTE + 1);
        if self.expected[at].connected {
            return;
        }
        self.rig.connect(CHANNELS[at], "ioc:5064");
        self.expected[at].connect(now);
        if self.between(0, 2) == 0 {
            let stamp = now + self.offset[at];
            self.rig.sample(CHANNELS[at], stamp, 0.5);
            self.expected[at].sample(stamp);
        }
    }

    fn disconnect(&mut self, at: usize) {
        if !self.expected[at].connected {
            return;
        }
        let now = self.rig.now();
        let last_heard = now - self.between(0, 30 * SECOND);
        self.rig.disconnect(CHANNELS[at], last_heard);
        self.expected[at].disconnect(last_heard, now);
    }

    fn pause(&mut self, at: usize) {
        self.disconnect(at);
        let now = self.rig.now();
        let paused = !self.expected[at].paused;
        let kind = if paused { sample::EventKind::Paused } else { sample::EventKind::Resumed };
        let id = self.rig.shared().directory().names.get(CHANNELS[at]).unwrap().id;
        if !paused {
            let settings = engine::config::ChannelSettings::default();
            self.rig.ingest().source.add(id, &crate::rig::name(CHANNELS[at]), &settings);
        }
        let writer = &mut self.rig.ingest().writer;
        let time = writer.at(Timestamp(now));
        writer.event(id, time, kind);
        writer.commit();
        self.expected[at].pause(paused, time.0);
    }

    fn restart(&mut self) {
        self.rig.tick();
        let from = self.rig.shared().heard_until().0;
        if self.between(0, 2) == 0 {
            self.rig.close();
        } else {
            self.rig.keeper().write_log().unwrap();
            self.rig.kill();
        }
        let down =
            if self.between(0, 8) == 0 { self.between(DAY, 9 * DAY) } else { self.between(SECOND, HOUR) };
        self.rig.advance(down);
        let until = self.rig.now();
        self.rig.open();
        self.rig.tick();
        for expected in &mut self.expected {
            expected.down(from, until);
        }
        self.known = until;
    }

    fn check(&mut self, seed: u64) {
        let now = self.rig.now();
        let ends = self.rig.shared().heard_until().0;
        let begin = MONDAY + WEEK - 3 * HOUR;
        let mut ranges =
            vec![(begin, now + HOUR), (MONDAY - DAY, now + WEEK), (MONDAY + WEEK, MONDAY + 2 * WEEK)];
        for _ in 0..6 {
            let from = self.between(begin, now + HOUR);
            ranges.push((from, self.between(from, now + 2 * HOUR)));
        }
        for (at, channel) in CHANNELS.into_iter().enumerate() {
            for (from, to) in &ranges {
                let range = TimeRange::new(Timestamp(*from), Timestamp(*to));
                let found = self.rig.view(channel, range).coverage(range);
                let total: i64 = found.totals_ns().iter().map(|(_, ns)| ns).sum();
                assert_eq!(total, to - from, "seed {seed}");
                let found: Vec<_> = found.intervals.iter().map(|i| about(*i, range)).collect();
                let expected = self.expected[at].cut(range, ends);
                let expected: Vec<_> = expected.into_iter().map(|i| about(i, range)).collect();
                let show = |i: &(i64, i64, State)| (i.0 - MONDAY, i.1 - MONDAY, i.2);
                let (found, expected): (Vec<_>, Vec<_>) =
                    (thick(&found).iter().map(show).collect(), thick(&expected).iter().map(show).collect());
                assert_eq!(
                    found,
                    expected,
                    "seed {seed}, channel {channel}, range {}..{}",
                    from - MONDAY,
                    to - MONDAY
                );
            }
        }
    }
}

fn between(random: &mut Random, from: i64, to: i64) -> i64 {
    from + i64::try_from(random.below(u64::try_from((to - from).max(1)).unwrap())).unwrap()
}

/// Times of receipt are told apart by a nanosecond each within one moment of the test's clock.
fn about(interval: Interval, range: TimeRange) -> (i64, i64, State) {
    let round = |time: Timestamp| {
        if time == range.from || time == range.to { time.0 } else { (time.0 + 500) / 1000 * 1000 }
    };
    (round(interval.range.from), round(interval.range.to), interval.state)
}

/// Without intervals that are shorter than what the rounding hides.
fn thick(intervals: &[(i64, i64, State)]) -> Vec<(i64, i64, State)> {
    let mut out: Vec<(i64, i64, State)> = Vec::new();
    for interval in intervals.iter().filter(|(from, to, _)| to - from > 2000) {
        match out.last_mut() {
            Some(last) if last.2 == interval.2 => last.1 = interval.1,
            Some(last) => {
                last.1 = interval.0;
                out.push(*interval);
            }
            None => out.push(*interval),
        }
    }
    out
}

#[test]
fn a_thousand_scripts_of_outages_are_covered_as_they_happened() {
    for seed in 0..1000 {
        let mut script = Script::new(seed);
        let steps = script.between(5, 45);
        for _ in 0..steps {
            script.step();
        }
        script.check(seed);
        script.rig.flush();
        script.check(seed);
        script.restart();
        script.check(seed);
    }
}
