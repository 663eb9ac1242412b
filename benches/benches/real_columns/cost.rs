//! Bytes and decoding time of a column beside those of pco.

use benches::best_cpu_s;
use pco::data_types::Number;
use sample::{ChannelId, Column, SampleBlock};
use sstable::{ColumnChoices, Profile};
use std::hint::black_box;

const CHUNK: usize = sstable::CHUNK_SAMPLES_MAX;
const ROUNDS: usize = 5;

#[derive(Clone, Copy, Default)]
pub struct Cost {
    pub samples: u64,
    pub sealed_bytes: u64,
    pub sealed_s: f64,
    pub pco_bytes: u64,
    pub pco_s: f64,
}

impl Cost {
    pub fn add(&mut self, other: Cost) {
        self.samples += other.samples;
        self.sealed_bytes += other.sealed_bytes;
        self.sealed_s += other.sealed_s;
        self.pco_bytes += other.pco_bytes;
        self.pco_s += other.pco_s;
    }
}

/// Each column of a run with its name.
pub fn measure(block: &SampleBlock) -> Vec<(String, Cost)> {
    let mut columns = vec![("time".to_string(), Part::Time), ("severity".to_string(), Part::Severity)];
    columns.push(("status".to_string(), Part::Status));
    columns.push((format!("value {:?}", block.run.value.kind), Part::Value));
    columns.into_iter().map(|(name, part)| (name, part.measure(block))).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Time,
    Value,
    Severity,
    Status,
}

impl Part {
    fn measure(self, block: &SampleBlock) -> Cost {
        let mut cost = Cost { samples: block.len() as u64, ..Cost::default() };
        let mut choices = ColumnChoices::default();
        for from in (0..block.len()).step_by(CHUNK) {
            let chunk = block.slice(from, (from + CHUNK).min(block.len()));
            let alone = encoded(&self.alone(&chunk, false), &mut choices);
            let empty = encoded(&self.alone(&chunk, true), &mut ColumnChoices::default());
            cost.sealed_bytes += (alone.len() - empty.len().min(alone.len())) as u64;
            let decode = |bytes: &[u8]| {
                best_cpu_s(ROUNDS, || {
                    black_box(sstable::decode(black_box(bytes)).expect("it comes back"));
                })
            };
            cost.sealed_s += (decode(&alone) - decode(&empty)).max(1e-9);
            let (bytes, seconds) = self.pco(&chunk);
            cost.pco_bytes += bytes;
            cost.pco_s += seconds;
        }
        cost
    }

    /// The chunk with everything but this column constant; with this one, too, if `constant`.
    fn alone(self, chunk: &SampleBlock, constant: bool) -> SampleBlock {
        let mut alone = chunk.clone();
        let keep = |part: Part| part == self && !constant;
        if !keep(Part::Time) {
            alone.time = (0..chunk.len() as i64).map(|i| chunk.time[0] + i * 1_000_000_000).collect();
        }
        if self != Part::Time || constant {
            alone.rank.fill(0);
        }
        if !keep(Part::Severity) {
            alone.severity.fill(chunk.severity[0]);
        }
        if !keep(Part::Status) {
            alone.status.fill(chunk.status[0]);
        }
        if !keep(Part::Value) {
            let first = chunk.get(0).value;
            alone.values = chunk.slice(0, 1).values;
            (1..chunk.len()).for_each(|_| assert!(alone.values.push(&first), "values of one type"));
        }
        alone
    }

    /// Bytes and seconds of pco on the raw column.
    fn pco(self, chunk: &SampleBlock) -> (u64, f64) {
        match self {
            Part::Time if chunk.rank.iter().all(|rank| *rank == 0) => pco(&chunk.time),
            // Ranks belong to stamps that are equal.
            Part::Time => {
                let (time, rank) = (pco(&chunk.time), pco(&chunk.rank));
                (time.0 + rank.0, time.1 + rank.1)
            }
            Part::Severity => pco(&wide(&chunk.severity)),
            Part::Status => pco(&chunk.status),
            Part::Value => match &chunk.values {
                Column::Bool(v) | Column::UInt8(v) => pco(&wide(v)),
                Column::Int8(v) => pco(&v.iter().map(|v| i16::from(*v)).collect::<Vec<_>>()),
                Column::Int16(v) => pco(v),
                Column::Int32(v) => pco(v),
                Column::Int64(v) => pco(v),
                Column::Enum(v) | Column::UInt16(v) => pco(v),
                Column::UInt32(v) => pco(v),
                Column::UInt64(v) => pco(v),
                Column::Float32(v) => pco(v),
                Column::Float64(v) => pco(v),
                Column::String(_) | Column::Structure(_) | Column::Array { .. } => {
                    unreachable!("only numbers were taken")
                }
            },
        }
    }
}

fn wide(codes: &[u8]) -> Vec<u16> {
    codes.iter().map(|code| u16::from(*code)).collect()
}

fn encoded(chunk: &SampleBlock, choices: &mut ColumnChoices) -> Vec<u8> {
    let bytes = sstable::encode_next(ChannelId(1), chunk, false, None, Profile::Cold, choices);
    bytes.expect("it is encoded")
}

fn pco<T: Number>(values: &[T]) -> (u64, f64) {
    let config = pco::ChunkConfig::default().with_compression_level(8);
    let small = pco::standalone::simple_compress(values, &config).expect("it is compressed");
    let seconds = best_cpu_s(ROUNDS, || {
        // As pages are checked before they are decoded.
        black_box(disk::checksum(black_box(&small)));
        black_box(pco::standalone::simple_decompress::<T>(black_box(&small)).expect("it comes back"));
    });
    (small.len() as u64, seconds)
}
