//! Random numbers that are the same everywhere: xoshiro256++ seeded by splitmix64.

/// 2^-53
const UNIT: f64 = 1.0 / 9_007_199_254_740_992.0;

/// A stream of random numbers.
pub(super) struct Random {
    state: [u64; 4],
    /// The second of two normal numbers that come together.
    spare: Option<f64>,
}

impl Random {
    /// The stream of one channel (or group) for one purpose.
    pub(super) fn new(seed: u64, stream: u64, purpose: u64) -> Random {
        let mut x = seed ^ stream.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (purpose << 56);
        Random { state: std::array::from_fn(|_| split_mix(&mut x)), spare: None }
    }

    /// 64 random bits.
    pub(super) fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Uniform in [0, 1), 53 bits.
    pub(super) fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * UNIT
    }

    /// Uniform in [from, to).
    pub(super) fn range(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.uniform()
    }

    /// In [from, from * 2^octaves): an octave, then uniform inside it.
    pub(super) fn octave(&mut self, from: f64, octaves: u32) -> f64 {
        let doublings = (self.uniform() * f64::from(octaves)).floor();
        let mut x = from;
        for _ in 0..doublings as u32 {
            x *= 2.0;
        }
        x * (1.0 + self.uniform())
    }

    /// Normal, mean 0, deviation 1 (Marsaglia's polar method).
    pub(super) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let a = 2.0 * self.uniform() - 1.0;
            let b = 2.0 * self.uniform() - 1.0;
            let s = a * a + b * b;
            if s < 1.0 && s > 0.0 {
                let factor = (-2.0 * logarithm(s) / s).sqrt();
                self.spare = Some(b * factor);
                return a * factor;
            }
        }
    }

    /// Exponential with this mean.
    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * logarithm(1.0 - self.uniform())
    }
}

fn split_mix(x: &mut u64) -> u64 {
    *x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *x;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Natural logarithm of a positive normal double from + - * / alone: x = m * 2^e with m in [1/sqrt 2, sqrt 2).
fn logarithm(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = ((bits >> 52) & 0x7ff).cast_signed() - 1023;
    let mut m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000);
    if m >= std::f64::consts::SQRT_2 {
        m *= 0.5;
        exponent += 1;
    }
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    // Horner's scheme of 1 + z/3 + z^2/5 + .. + z^9/19.
    let mut p = 1.0 / 19.0;
    for odd in [17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0] {
        p = 1.0 / odd + z * p;
    }
    p = 1.0 + z * p;
    2.0 * s * p + exponent as f64 * std::f64::consts::LN_2
}
