//! Vacuum gauges given by formulas: one sample a period each, by which older archivers were measured.

use super::Reading;
use sample::Severity;

/// First instant of the data, 2024-01-01T00:00:00Z (a Monday), in ns since the Unix epoch.
pub const START_NS: i64 = 1_704_067_200_000_000_000;

/// A set of gauges.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gauges {
    /// Seconds between two samples of a channel.
    pub period_s: i64,
    /// Length in seconds.
    pub seconds: i64,
    /// Seed; 0 is the published data.
    pub seed: u64,
}

/// The name of gauge `number`.
pub fn name(number: u64) -> String {
    format!("SR{:02}C-VA-GAUGE-{number:06}:P", number % 24 + 1)
}

impl Gauges {
    /// The samples of gauge `number` in order of time: an ADC reading, a random walk or steps.
    pub fn readings(self, number: u64) -> impl Iterator<Item = Reading> + Send + use<> {
        let offset_ns = (mixed(number ^ self.seed) % 900_000_000).cast_signed();
        let mut walk = 0.0;
        (0..self.seconds / self.period_s).map(move |i| {
            let index = i.cast_unsigned();
            let h = mixed(((number << 40) ^ index) ^ self.seed);
            let second = i * self.period_s;
            let value = match number % 4 {
                1 => {
                    // 53 random bits as a number in [0, 1).
                    walk += ((h >> 11) as f64 / 9_007_199_254_740_992.0 - 0.5) * 0.01;
                    walk
                }
                2 => (mixed((7919 * number + index / 600) ^ self.seed) % 1000) as f64 * 0.1,
                _ => {
                    let angle = 2.0 * std::f64::consts::PI * second as f64 / 86_400.0 + number as f64;
                    let counts = (32_768.0 + 20_000.0 * libm::sin(angle)).floor();
                    (counts + ((h >> 20) % 17) as f64 - 8.0) * 20.0 / 65_536.0 - 10.0
                }
            };
            Reading {
                time_ns: START_NS + second * 1_000_000_000 + offset_ns + (h % 1000).cast_signed() * 1000,
                value,
                severity: Severity::NoAlarm,
                status: 0,
            }
        })
    }
}

/// The finaliser of splitmix64.
fn mixed(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_follow_the_published_formulas() {
        let gauges = Gauges { period_s: 10, seconds: 86_400, seed: 0 };
        assert_eq!(name(25), "SR02C-VA-GAUGE-000025:P");
        // The splitmix64 generator seeded with 0 gives these first two numbers.
        assert_eq!(mixed(0), 0xE220_A839_7B1D_CDAF);
        assert_eq!(mixed(0x9E37_79B9_7F4A_7C15), 0x6E78_9E6A_A1B9_65F4);
        let adc: Vec<Reading> = gauges.readings(0).collect();
        assert_eq!(adc.len(), 8640);
        // A quarter of a day: the sine's top, 52768 counts and the 17-step noise around it.
        let top = (adc[2160].value + 10.0) * 65_536.0 / 20.0;
        assert!((52_760.0..=52_776.0).contains(&top), "{top}");
        assert!(adc.windows(2).all(|pair| pair[0].time_ns < pair[1].time_ns));
        let steps: Vec<Reading> = gauges.readings(2).take(601).collect();
        assert!(steps[..600].iter().all(|r| r.value == steps[0].value));
        assert_ne!(steps[600].value, steps[0].value);
        let walk: Vec<Reading> = gauges.readings(1).take(1000).collect();
        assert!(walk.windows(2).all(|pair| (pair[1].value - pair[0].value).abs() <= 0.005));
    }
}
