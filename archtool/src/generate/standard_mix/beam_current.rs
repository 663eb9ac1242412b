//! Class c: beam current with decay, top-up, dumps, noise in every bit of the mantissa.

use super::outage::Outages;
use super::{Channel, PARAMETERS, SECOND_NS, START_NS, TIMES, VALUES};
use crate::generate::Reading;
use sample::Severity;

/// CA status LOW.
const LOW: u16 = 6;

pub(super) fn readings(channel: &Channel) -> impl Iterator<Item = Reading> + Send + use<> {
    let mut parameters = channel.random(PARAMETERS);
    let mut values = channel.random(VALUES);
    let mut times = channel.random(TIMES);
    let mut outages = Outages::of(channel);
    let phase = parameters.range(0.05e9, 0.9e9);
    let lifetime = parameters.range(30_000.0, 60_000.0);
    let mut current = 300.0;
    let mut down_until = 0;
    let mut next_dump = parameters.exponential(172_800.0);
    (0..channel.mix.seconds).filter_map(move |k| {
        let time = START_NS + k * SECOND_NS + (phase + 1.0e6 * times.normal()).floor() as i64;
        if k as f64 >= next_dump {
            current = 0.0;
            down_until = k + 1200 + (parameters.uniform() * 2400.0) as i64;
            next_dump = down_until as f64 + 600.0 + parameters.exponential(172_800.0);
        }
        if k >= down_until {
            if current < 290.0 {
                current += 0.5;
            } else {
                current -= current / lifetime;
                if current < 299.7 {
                    current += 0.3 + 0.02 * values.normal();
                }
            }
        }
        let low = current < 290.0;
        outages.pass(Reading {
            time_ns: time,
            value: current + 0.002 * values.normal(),
            severity: if low { Severity::Minor } else { Severity::NoAlarm },
            status: if low { LOW } else { 0 },
        })
    })
}
