//! Class d: set points stored on change; one change in ten is a ramp of 20 steps.

use super::{Channel, PARAMETERS, START_NS, TIMES, VALUES};
use crate::generate::Reading;
use sample::Severity;

/// Steps of a ramp, half a second apart.
const RAMP_STEPS: u32 = 20;

pub(super) fn readings(channel: &Channel) -> impl Iterator<Item = Reading> + Send + use<> {
    let mut parameters = channel.random(PARAMETERS);
    let mut values = channel.random(VALUES);
    let mut times = channel.random(TIMES);
    let mean = parameters.octave(60.0, 6);
    let mut t = parameters.uniform() * mean;
    let mut thousandths = (parameters.range(-100.0, 100.0) * 1000.0).round();
    let seconds = channel.mix.seconds as f64;
    let reading = |time_ns: i64, value: f64| Reading {
        time_ns: START_NS + time_ns,
        value,
        severity: Severity::NoAlarm,
        status: 0,
    };
    let changes = std::iter::from_fn(move || {
        if t >= seconds {
            return None;
        }
        let step = (values.normal() * 2000.0).round();
        let mut readings = Vec::with_capacity(RAMP_STEPS as usize);
        if values.uniform() < 0.1 {
            for j in 1..=RAMP_STEPS {
                let value = (thousandths + step * f64::from(j) / f64::from(RAMP_STEPS)).round() / 1000.0;
                let time = (t + 0.5 * f64::from(j)) * 1e9 + 200_000.0 * times.normal();
                readings.push(reading(time.floor() as i64, value));
            }
            t += 11.0;
        } else {
            readings.push(reading((t * 1e9).floor() as i64, (thousandths + step) / 1000.0));
        }
        thousandths += step;
        t += 0.1 + times.exponential(mean);
        Some(readings)
    });
    changes.flatten()
}
