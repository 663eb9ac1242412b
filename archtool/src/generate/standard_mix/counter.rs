//! Class f: 32-bit counters that wrap around.

use super::outage::Outages;
use super::{Channel, PARAMETERS, SECOND_NS, START_NS, TIMES, VALUES};
use crate::generate::Reading;
use sample::Severity;

pub(super) fn readings(channel: &Channel) -> impl Iterator<Item = Reading> + Send + use<> {
    let mut parameters = channel.random(PARAMETERS);
    let mut values = channel.random(VALUES);
    let mut times = channel.random(TIMES);
    let mut outages = Outages::of(channel);
    let phase = parameters.range(0.05e9, 0.9e9);
    let rate = parameters.octave(50.0, 10);
    let deviation = rate.sqrt();
    let mut count = parameters.bits() as u32;
    (0..channel.mix.seconds).filter_map(move |k| {
        let time = START_NS + k * SECOND_NS + (phase + 1.0e6 * times.normal()).floor() as i64;
        let increment = (rate + deviation * values.normal()).round().max(0.0) as u32;
        count = count.wrapping_add(increment);
        outages.pass(Reading {
            time_ns: time,
            value: f64::from(count),
            severity: Severity::NoAlarm,
            status: 0,
        })
    })
}
