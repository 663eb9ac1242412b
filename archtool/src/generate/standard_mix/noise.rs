//! Class h: noise without any pattern.

use super::{Channel, PARAMETERS, SECOND_NS, START_NS, TIMES, VALUES};
use crate::generate::Reading;
use sample::Severity;

pub(super) fn readings(channel: &Channel) -> impl Iterator<Item = Reading> + Send + use<> {
    let mut values = channel.random(VALUES);
    let mut times = channel.random(TIMES);
    let phase = channel.random(PARAMETERS).range(0.05e9, 0.9e9);
    (0..channel.mix.seconds).map(move |k| Reading {
        time_ns: START_NS + k * SECOND_NS + (phase + 1.0e6 * times.normal()).floor() as i64,
        value: values.normal(),
        severity: Severity::NoAlarm,
        status: 0,
    })
}
