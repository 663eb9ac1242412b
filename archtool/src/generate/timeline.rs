//! Many channels' samples brought into order of time, a window at a time.

use super::{GeneratedChannel, Reading};
use std::iter::Peekable;

type Readings = Box<dyn Iterator<Item = Reading> + Send>;

/// The samples of all channels of a data set, window by window: memory holds one window.
pub struct Timeline {
    channels: Vec<Peekable<Readings>>,
    window_ns: i64,
}

impl Timeline {
    /// The timeline of `channels` in windows of `window_ns`, which begin at multiples of it.
    pub fn new(channels: Vec<GeneratedChannel>, window_ns: i64) -> Timeline {
        Timeline { channels: channels.into_iter().map(|c| c.readings.peekable()).collect(), window_ns }
    }

    /// Fills `batch` with the samples of the next window that has any, each with its channel's position: channel
    /// after channel, in order of time inside a channel. Returns the window's end, `None` behind the last sample.
    pub fn next_window(&mut self, batch: &mut Vec<(usize, Reading)>) -> Option<i64> {
        batch.clear();
        let first = self.channels.iter_mut().filter_map(|c| c.peek().map(|r| r.time_ns)).min()?;
        let end = first - first.rem_euclid(self.window_ns) + self.window_ns;
        for (position, readings) in self.channels.iter_mut().enumerate() {
            while let Some(reading) = readings.next_if(|reading| reading.time_ns < end) {
                batch.push((position, reading));
            }
        }
        Some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::{DataSet, Preset};

    #[test]
    fn windows_hold_every_sample_once_in_order() {
        for preset in [Preset::StandardMix, Preset::Di, Preset::Va] {
            let set = DataSet { channels: 40, days: 3, ..DataSet::of(preset) };
            let set = if preset == Preset::Va { set } else { DataSet { days: 1, channels: 8, ..set } };
            let expected: Vec<Vec<Reading>> =
                set.channels().into_iter().map(|c| c.readings.collect()).collect();
            let mut timeline = Timeline::new(set.channels(), 10_000_000_000);
            let mut found = vec![Vec::new(); expected.len()];
            let (mut batch, mut end) = (Vec::new(), i64::MIN);
            while let Some(next) = timeline.next_window(&mut batch) {
                assert!(next > end && !batch.is_empty());
                for (channel, reading) in &batch {
                    assert!(reading.time_ns >= end && reading.time_ns < next);
                    found[*channel].push(*reading);
                }
                end = next;
            }
            assert_eq!(found, expected);
        }
    }
}
