//! Communication outages: two days apart on average, 10 to 600 seconds long.

use super::{Channel, OUTAGES, START_NS};
use crate::generate::Reading;
use sample::Severity;

/// CA status COMM.
const COMM: u16 = 9;

/// Passes the samples of one channel through its outages.
pub(super) struct Outages {
    /// Half-open spans in ns since the Unix epoch.
    spans: Vec<(i64, i64)>,
    next: usize,
    inside: bool,
    last_value: Option<f64>,
}

impl Outages {
    /// The outages of a channel.
    pub(super) fn of(channel: &Channel) -> Outages {
        let mut random = channel.random(OUTAGES);
        let mut spans = Vec::new();
        let mut t = 0.0;
        loop {
            t += random.exponential(172_800.0);
            if t >= channel.mix.seconds as f64 {
                return Outages { spans, next: 0, inside: false, last_value: None };
            }
            let length = random.range(10.0, 600.0);
            spans.push((START_NS + (t * 1e9) as i64, START_NS + ((t + length) * 1e9) as i64));
            t += length;
        }
    }

    /// What the archive gets instead of `reading`: itself outside, once the last value with COMM inside.
    pub(super) fn pass(&mut self, reading: Reading) -> Option<Reading> {
        while self.spans.get(self.next).is_some_and(|(_, to)| reading.time_ns >= *to) {
            self.next += 1;
            self.inside = false;
        }
        if self.spans.get(self.next).is_none_or(|(from, _)| reading.time_ns < *from) {
            self.last_value = Some(reading.value);
            return Some(reading);
        }
        if self.inside {
            return None;
        }
        self.inside = true;
        let value = self.last_value?;
        Some(Reading { time_ns: reading.time_ns, value, severity: Severity::Invalid, status: COMM })
    }
}
