//! Class b: beam positions at 10 Hz during a run of 48 hours; both planes of a monitor share their stamps.

use super::{Channel, PARAMETERS, SECOND_NS, START_NS, VALUES};
use crate::generate::Reading;
use sample::Severity;

/// The run, in seconds from the start.
const RUN: (i64, i64) = (48 * 3600, 96 * 3600);
/// Streams of monitors begin here.
const MONITOR: u64 = 2_000_000;

pub(super) fn readings(channel: &Channel) -> impl Iterator<Item = Reading> + Send + use<> {
    let monitor = channel.index / 2;
    let mut parameters = channel.random(PARAMETERS);
    let mut values = channel.random(VALUES);
    let mut times = channel.shared_random(MONITOR, monitor);
    // Even monitors are stamped by the event system (8 ns ticks, 1 us rms), odd ones by Linux (150 us rms).
    let (jitter, granularity) = if monitor.is_multiple_of(2) { (1_000.0, 8) } else { (150_000.0, 1) };
    let phase = times.range(0.01e9, 0.09e9);
    let ppm = times.range(-1.0, 1.0);
    let scale = (10.0 / 32768.0) * parameters.range(0.9, 1.1);
    let mean = parameters.range(-8000.0, 8000.0);
    let deviation = parameters.octave(10.0, 4);
    let (mut x, mut drift) = (0.0, 0.0);
    let to = RUN.1.min(channel.mix.seconds);
    (RUN.0 * 10..to * 10).map(move |k| {
        drift += ppm * 100.0 + 5.0 * times.normal();
        let time = START_NS + k * (SECOND_NS / 10) + (phase + drift + jitter * times.normal()).floor() as i64;
        x += -x * 1e-4 + 0.005 * deviation * values.normal();
        let counts = (mean + x + deviation * values.normal()).round().clamp(-32768.0, 32767.0);
        Reading {
            time_ns: time - time.rem_euclid(granularity),
            value: counts * scale,
            severity: Severity::NoAlarm,
            status: 0,
        }
    })
}
