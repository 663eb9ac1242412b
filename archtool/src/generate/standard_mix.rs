//! The standard mix: 200 realistic channels over one week, bit-identical on every machine.
//!
//! Storage figures are compared on this data set, so nothing in it may ever change: arithmetic is
//! + - * /, square roots and rounding of doubles only, with a logarithm of its own.

mod beam_current;
mod counter;
mod noise;
mod outage;
mod position;
mod power;
mod random;
mod set_point;
mod thermocouple;
mod valve;

use super::Reading;
use random::Random;

/// First instant of the data, 2026-01-05T00:00:00Z, in ns since the Unix epoch.
pub const START_NS: i64 = 1_767_571_200_000_000_000;
/// The seed of the standard data set.
pub const SEED: u64 = 0x5EED_A2C4_1BE5_2026;
/// Channels of the standard data set.
pub const CHANNELS: usize = 200;
/// Days of the standard data set.
pub const DAYS: u32 = 7;
/// Samples of the standard data set.
pub const SAMPLES: u64 = 96_726_352;
/// [`struct@Hash`] over the hashes of its channels.
pub const HASH: u64 = 0x0745_1162_d7cf_63dc;

const SECOND_NS: i64 = 1_000_000_000;

/// What a channel measures. The letters are those of the published class shares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// a: thermocouples at 1 Hz, ten an IOC.
    Thermocouple,
    /// b: beam positions at 10 Hz during a run.
    Position,
    /// c: beam current at 1 Hz.
    BeamCurrent,
    /// d: set points, on change.
    SetPoint,
    /// e: valve states, on change or scanned.
    Valve,
    /// f: 32-bit counters at 1 Hz.
    Counter,
    /// g: 32-bit floats widened to doubles, 1 Hz.
    Power,
    /// h: noise without any pattern, 1 Hz.
    Noise,
}

/// Classes with their shares in percent; a class ends at the floor of the channels times the shares so far.
const SHARES: [(Class, usize); 8] = [
    (Class::Thermocouple, 35),
    (Class::Position, 10),
    (Class::BeamCurrent, 5),
    (Class::SetPoint, 25),
    (Class::Valve, 15),
    (Class::Counter, 5),
    (Class::Power, 4),
    (Class::Noise, 1),
];

/// A data set of this kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mix {
    /// Number of channels.
    pub channels: usize,
    /// Length in seconds.
    pub seconds: i64,
    /// Seed of every random number in it.
    pub seed: u64,
}

impl Mix {
    /// The standard data set.
    pub const STANDARD: Mix = Mix { channels: CHANNELS, seconds: DAYS as i64 * 86_400, seed: SEED };

    /// The channels in order.
    pub fn channels(&self) -> Vec<Channel> {
        let mut channels = Vec::with_capacity(self.channels);
        let (mut percent, mut from) = (0, 0);
        for (class, share) in SHARES {
            percent += share;
            let to = self.channels * percent / 100;
            channels.extend((from..to).map(|number| Channel {
                mix: *self,
                number,
                class,
                index: number - from,
            }));
            from = to;
        }
        channels
    }
}

/// One channel of a mix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Channel {
    mix: Mix,
    /// Position among all channels.
    pub number: usize,
    /// What it measures.
    pub class: Class,
    /// Position among the channels of its class.
    pub index: usize,
}

impl Channel {
    /// Its name.
    pub fn name(&self) -> String {
        let index = self.index;
        match self.class {
            Class::Thermocouple => format!("SR{:02}:TC{index:03}:Temp", index / 10),
            Class::Position => {
                format!("SR:BPM{:03}:{}", index / 2, if index.is_multiple_of(2) { 'X' } else { 'Y' })
            }
            Class::BeamCurrent => format!("SR:DCCT{index:03}:Current"),
            Class::SetPoint => format!("SR:PS{index:03}:SetPt"),
            Class::Valve => format!("SR:VLV{index:03}:Status"),
            Class::Counter => format!("LI:CNT{index:03}:Count"),
            Class::Power => format!("SR:RF{index:03}:Power"),
            Class::Noise => format!("SR:NZ{index:03}:Noise"),
        }
    }

    /// Its samples in order of time; times strictly increase.
    pub fn readings(&self) -> Box<dyn Iterator<Item = Reading> + Send> {
        match self.class {
            Class::Thermocouple => Box::new(thermocouple::readings(self)),
            Class::Position => Box::new(position::readings(self)),
            Class::BeamCurrent => Box::new(beam_current::readings(self)),
            Class::SetPoint => Box::new(set_point::readings(self)),
            Class::Valve => valve::readings(self),
            Class::Counter => Box::new(counter::readings(self)),
            Class::Power => Box::new(power::readings(self)),
            Class::Noise => Box::new(noise::readings(self)),
        }
    }

    /// The channel's own numbers for one purpose.
    fn random(&self, purpose: u64) -> Random {
        Random::new(self.mix.seed, self.number as u64, purpose)
    }

    /// Numbers that a group of channels (an IOC, a monitor's two planes) have in common.
    fn shared_random(&self, kind: u64, group: usize) -> Random {
        Random::new(self.mix.seed, kind + group as u64, SHARED)
    }
}

/// Purposes of a channel's random numbers: fixed parameters, values, time stamps, shared jitter, outages.
const PARAMETERS: u64 = 1;
const VALUES: u64 = 2;
const TIMES: u64 = 3;
const SHARED: u64 = 4;
const OUTAGES: u64 = 9;

/// The hash that names a data set: over 24-byte rows of time, value, severity, status, zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hash(u64);

impl Default for Hash {
    fn default() -> Hash {
        Hash(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    /// Adds one word.
    pub fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(27);
    }

    /// Adds one sample.
    pub fn reading(&mut self, reading: &Reading) {
        self.word(reading.time_ns.cast_unsigned());
        self.word(reading.value.to_bits());
        self.word(u64::from(reading.severity as u8) | u64::from(reading.status) << 16);
    }

    /// The hash so far.
    pub fn finish(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests;
