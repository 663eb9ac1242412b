//! Bytes changed the way hostile or broken writers do.

use disk::sim::Random;

/// Numbers that lengths, counts and offsets are overwritten with.
const NUMBERS: [u64; 16] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x2000,
    0xffff,
    1 << 20,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 62,
    0x7fff_ffff_ffff_ffff,
    1 << 63,
    u64::MAX,
];

/// One to four changes of one of `corpus`.
pub(super) fn mutated(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let pick = |random: &mut Random| &corpus[random.below(corpus.len() as u64) as usize];
    let mut bytes = pick(random).clone();
    for _ in 0..=random.below(4) {
        change(&mut bytes, pick(random), random);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let len = bytes.len() as u64;
    let at = random.below(len) as usize;
    let number = match random.below(4) {
        0 => random.bits() >> random.below(64),
        1 => len.wrapping_add(random.below(5)).wrapping_sub(2),
        _ => NUMBERS[random.below(NUMBERS.len() as u64) as usize],
    };
    match random.below(9) {
        0..=2 if len > 0 => bytes[at] ^= 1 << random.below(8),
        3 if len > 0 => bytes[at] = number as u8,
        4 => {
            // Fields stand at even places more often than not.
            let at = if random.one_in(2) { at & !3 } else { at };
            let width = [2, 4, 8][random.below(3) as usize];
            if let Some(field) = bytes.get_mut(at..at + width) {
                field.copy_from_slice(&number.to_le_bytes()[..width]);
            }
        }
        5 => {
            let mut varint = Vec::new();
            disk::put_varint(&mut varint, number);
            let replaced = at..(at + random.below(3) as usize).min(bytes.len());
            bytes.splice(replaced, varint);
        }
        6 => bytes.truncate(at),
        7 => {
            let end = at + random.below(len - at as u64) as usize;
            bytes.drain(at..end);
        }
        _ if !other.is_empty() => {
            let from = random.below(other.len() as u64) as usize;
            let to = from + random.below((other.len() - from) as u64 + 1) as usize;
            let end = if random.one_in(2) { (at + to - from).min(bytes.len()) } else { at };
            bytes.splice(at..end, other[from..to].iter().copied());
        }
        _ => {}
    }
}
