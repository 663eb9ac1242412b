//! Class a: thermocouples, ten an IOC, whose scan thread's jitter they share.

use super::outage::Outages;
use super::{Channel, PARAMETERS, SECOND_NS, START_NS, TIMES, VALUES};
use crate::generate::Reading;
use sample::Severity;

/// Jitter of a scan, ns rms.
const JITTER_NS: f64 = 1.0e6;
/// Streams of IOCs begin here.
const IOC: u64 = 1_000_000;
/// CA status HIGH.
const HIGH: u16 = 4;

pub(super) fn readings(channel: &Channel) -> impl Iterator<Item = Reading> + Send + use<> {
    let index = channel.index;
    let mut parameters = channel.random(PARAMETERS);
    let mut values = channel.random(VALUES);
    let mut times = channel.random(TIMES);
    let mut scan = channel.shared_random(IOC, index / 10);
    let mut outages = Outages::of(channel);
    let position = (index % 10) as f64;
    let phase = scan.range(0.05e9, 0.9e9);
    let ppm = scan.range(-1.0, 1.0);
    let granularity: i64 = match index % 10 {
        0..=6 => 1,
        7 | 8 => 1_000,
        _ => 1_000_000,
    };
    let mean = parameters.range(20.0, 60.0);
    let noise = [0.005, 0.01, 0.02, 0.04][index % 4];
    let (mut x, mut drift) = (mean, 0.0);
    (0..channel.mix.seconds).filter_map(move |k| {
        drift += ppm * 1000.0 + 20.0 * scan.normal();
        let common = phase + drift + JITTER_NS * scan.normal();
        let offset = position * 7_000.0 + 2_000.0 * times.normal().abs();
        let time = START_NS + k * SECOND_NS + (common + offset).floor() as i64;
        x += (mean - x) * 1e-4 + 0.01 * values.normal();
        let hundredths = ((x + noise * values.normal()) * 100.0).round();
        let high = x > mean + 1.5;
        outages.pass(Reading {
            time_ns: time - time.rem_euclid(granularity),
            // Two ways of dividing by a hundred, as devices have them: the bits differ.
            value: if index.is_multiple_of(2) { hundredths / 100.0 } else { hundredths * 0.01 },
            severity: if high { Severity::Minor } else { Severity::NoAlarm },
            status: if high { HIGH } else { 0 },
        })
    })
}
