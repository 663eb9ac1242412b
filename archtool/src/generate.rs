//! Synthetic data sets: reproducible samples of many channels, in order of time.

pub mod fill;
pub mod gauge;
pub mod standard_mix;
mod timeline;

pub use timeline::Timeline;

use gauge::Gauges;
use sample::{Metadata, Sample, Severity, Status, Timestamp, Value};
use standard_mix::{Class, Mix};

/// One generated sample.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Reading {
    /// Stamp in ns since the Unix epoch.
    pub time_ns: i64,
    /// Value.
    pub value: f64,
    /// Alarm severity.
    pub severity: Severity,
    /// CA status code.
    pub status: u16,
}

impl Reading {
    /// As a sample that a source would deliver.
    pub fn sample(&self) -> Sample {
        let mut sample = Sample::new(Timestamp(self.time_ns), Value::Float64(self.value));
        sample.severity = self.severity;
        sample.status = Status::ca(self.status);
        sample
    }
}

/// A kind of data set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Preset {
    /// Everything that a light source has, see [`standard_mix`].
    StandardMix,
    /// Gauges at 1 Hz.
    Di,
    /// Gauges at 0.1 Hz.
    Va,
}

/// A data set: which samples there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DataSet {
    /// What kind.
    pub preset: Preset,
    /// Number of channels.
    pub channels: usize,
    /// Length in days of 24 h.
    pub days: u32,
    /// Seed of everything random in it.
    pub seed: u64,
}

/// A channel of a data set.
pub struct GeneratedChannel {
    /// Its name.
    pub name: String,
    /// What describes its values.
    pub metadata: Metadata,
    /// Its samples in order of time.
    pub readings: Box<dyn Iterator<Item = Reading> + Send>,
}

impl DataSet {
    /// The data set that is meant by the preset's name alone.
    pub fn of(preset: Preset) -> DataSet {
        match preset {
            Preset::StandardMix => DataSet {
                preset,
                channels: standard_mix::CHANNELS,
                days: standard_mix::DAYS,
                seed: standard_mix::SEED,
            },
            Preset::Di => DataSet { preset, channels: 300, days: 7, seed: 0 },
            Preset::Va => DataSet { preset, channels: 20, days: 730, seed: 0 },
        }
    }

    /// First instant of its first day.
    pub fn start(&self) -> Timestamp {
        Timestamp(match self.preset {
            Preset::StandardMix => standard_mix::START_NS,
            Preset::Di | Preset::Va => gauge::START_NS,
        })
    }

    /// Its channels, to be consumed once.
    pub fn channels(&self) -> Vec<GeneratedChannel> {
        let seconds = i64::from(self.days) * 86_400;
        let gauges = |period_s| -> Vec<GeneratedChannel> {
            let set = Gauges { period_s, seconds, seed: self.seed };
            let gauge = |number| GeneratedChannel {
                name: gauge::name(number),
                metadata: metadata("mbar", 3, 10.0),
                readings: Box::new(set.readings(number)),
            };
            (0..self.channels as u64).map(gauge).collect()
        };
        match self.preset {
            Preset::StandardMix => {
                let mix = Mix { channels: self.channels, seconds, seed: self.seed };
                let channels = mix.channels();
                let generated = channels.iter().map(|channel| GeneratedChannel {
                    name: channel.name(),
                    metadata: mix_metadata(channel.class),
                    readings: channel.readings(),
                });
                generated.collect()
            }
            Preset::Di => gauges(1),
            Preset::Va => gauges(10),
        }
    }
}

fn mix_metadata(class: Class) -> Metadata {
    match class {
        Class::Thermocouple => metadata("degC", 2, 100.0),
        Class::Position => metadata("um", 3, 10.0),
        Class::BeamCurrent => metadata("mA", 3, 300.0),
        Class::SetPoint => metadata("A", 3, 200.0),
        Class::Valve => metadata("", 0, 8.0),
        Class::Counter => metadata("counts", 0, f64::from(u32::MAX)),
        Class::Power => metadata("kW", 3, 1000.0),
        Class::Noise => metadata("V", 6, 5.0),
    }
}

fn metadata(units: &str, precision: i16, limit: f64) -> Metadata {
    Metadata {
        units: Some(units.as_bytes().into()),
        precision: Some(precision),
        display_low: Some(-limit),
        display_high: Some(limit),
        ..Metadata::default()
    }
}
