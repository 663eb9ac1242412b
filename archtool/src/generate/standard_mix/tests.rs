//! The mix against the hashes that the published tool prints.

use super::*;

fn summary(channel: &Channel) -> (usize, u64) {
    let mut hash = Hash::default();
    let count = channel.readings().inspect(|reading| hash.reading(reading)).count();
    (count, hash.finish())
}

/// One or two channels of each class, all branches of the generators: number, name, samples, hash.
const CHANNELS_EXPECTED: [(usize, &str, usize, u64); 10] = [
    (9, "SR00:TC009:Temp", 603_985, 0x6586_63b9_354f_8257),
    (73, "SR:BPM001:Y", 1_728_000, 0xe17f_1321_c102_0ce6),
    (90, "SR:DCCT000:Current", 603_628, 0xb1af_9511_8a81_5814),
    (100, "SR:PS000:SetPt", 1_480, 0xd78c_7054_ad85_4bc2),
    (109, "SR:PS009:SetPt", 9_271, 0x5b4d_6f3d_4e83_91a1),
    (152, "SR:VLV002:Status", 2_248, 0xf877_d9f4_4760_cd96),
    (153, "SR:VLV003:Status", 120_960, 0x5f4d_85ca_2a27_7334),
    (180, "LI:CNT000:Count", 603_585, 0x5481_d3d1_d7d7_2640),
    (190, "SR:RF000:Power", 603_768, 0x7f26_3f05_c2ec_da7b),
    (198, "SR:NZ000:Noise", 604_800, 0x7c4f_1f40_e2ba_fbad),
];

#[test]
fn channels_of_each_class_are_those_of_the_published_tool() {
    let channels = Mix::STANDARD.channels();
    assert_eq!(channels.len(), CHANNELS);
    for (number, name, samples, hash) in CHANNELS_EXPECTED {
        assert_eq!(channels[number].number, number);
        assert_eq!(channels[number].name(), name);
        assert_eq!(summary(&channels[number]), (samples, hash), "{name}");
    }
}

#[test]
#[ignore = "generates 96,726,352 samples, about a minute unoptimised: cargo xtask soak"]
fn the_whole_mix_is_that_of_the_published_tool() {
    let mut hash = Hash::default();
    let mut samples = 0;
    for channel in Mix::STANDARD.channels() {
        let (count, channel_hash) = summary(&channel);
        samples += count as u64;
        hash.word(channel_hash);
    }
    assert_eq!((samples, hash.finish()), (SAMPLES, HASH));
}

#[test]
fn times_strictly_increase() {
    for channel in Mix::STANDARD.channels().iter().step_by(37) {
        let mut last = i64::MIN;
        for reading in channel.readings() {
            assert!(reading.time_ns > last, "{}", channel.name());
            last = reading.time_ns;
        }
    }
}

#[test]
fn another_seed_is_another_mix() {
    let mix = Mix { channels: 20, seconds: 1000, seed: SEED };
    let (a, b) = (mix.channels(), Mix { seed: 1, ..mix }.channels());
    assert_eq!(a.len(), 20);
    assert_eq!(a[0].name(), b[0].name());
    assert_ne!(summary(&a[0]).1, summary(&b[0]).1);
}
