//! Class g: power from a source of 32-bit floats, widened to doubles.

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
    let base = parameters.octave(1.0, 10);
    let mut x = 0.0;
    (0..channel.mix.seconds).filter_map(move |k| {
        let time = START_NS + k * SECOND_NS + (phase + 1.0e6 * times.normal()).floor() as i64;
        x += -x * 1e-4 + 1e-4 * values.normal();
        let power = (base * (1.0 + x + 1e-3 * values.normal())) as f32;
        outages.pass(Reading {
            time_ns: time,
            value: f64::from(power),
            severity: Severity::NoAlarm,
            status: 0,
        })
    })
}
