//! Class e: valve states, three of five channels stored on change, the others scanned every 5 seconds.

use super::random::Random;
use super::{Channel, PARAMETERS, SECOND_NS, START_NS, TIMES, VALUES};
use crate::generate::Reading;
use sample::Severity;

/// Seconds between two scans.
const SCAN_S: i64 = 5;
/// CA status STATE.
const STATE: u16 = 7;

pub(super) fn readings(channel: &Channel) -> Box<dyn Iterator<Item = Reading> + Send> {
    if channel.index % 5 < 3 { Box::new(on_change(channel)) } else { Box::new(scanned(channel)) }
}

/// Every third valve has 8 states, the others 2.
fn next_state(index: usize, values: &mut Random, state: f64) -> f64 {
    if index % 3 == 2 { (values.uniform() * 8.0).floor() } else { 1.0 - state }
}

fn reading(index: usize, time_ns: i64, state: f64) -> Reading {
    let alarm = state == 0.0 && index.is_multiple_of(2);
    Reading {
        time_ns: START_NS + time_ns,
        value: state,
        severity: if alarm { Severity::Major } else { Severity::NoAlarm },
        status: if alarm { STATE } else { 0 },
    }
}

fn on_change(channel: &Channel) -> impl Iterator<Item = Reading> + Send + use<> {
    let index = channel.index;
    let mut parameters = channel.random(PARAMETERS);
    let mut values = channel.random(VALUES);
    let mut times = channel.random(TIMES);
    let mean = parameters.octave(60.0, 5);
    let mut t = parameters.uniform() * mean;
    let seconds = channel.mix.seconds as f64;
    let mut state = 1.0;
    std::iter::from_fn(move || {
        if t >= seconds {
            return None;
        }
        state = next_state(index, &mut values, state);
        let reading = reading(index, (t * 1e9).floor() as i64, state);
        t += 0.05 + times.exponential(mean);
        Some(reading)
    })
}

fn scanned(channel: &Channel) -> impl Iterator<Item = Reading> + Send + use<> {
    let index = channel.index;
    let mut parameters = channel.random(PARAMETERS);
    let mut values = channel.random(VALUES);
    let mut times = channel.random(TIMES);
    let phase = parameters.range(0.05e9, 4.9e9);
    let mut next = values.exponential(3600.0);
    let mut state = 1.0;
    (0..channel.mix.seconds / SCAN_S).map(move |k| {
        let time = k * SCAN_S * SECOND_NS + (phase + 1.0e6 * times.normal()).floor() as i64;
        let second = (k * SCAN_S) as f64;
        if second >= next {
            state = next_state(index, &mut values, state);
            next = second + values.exponential(3600.0);
        }
        reading(index, time, state)
    })
}
