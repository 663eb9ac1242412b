//! One reader of a soak: reads counters of an archive directory beside its engine, over and over, and says
//! whether every answer was a prefix of the truth.
//!
//! `prefix_reader DIR SECONDS CHANNEL..`: the values of each channel count up by 1. Prints one line of JSON;
//! exit 1 when an answer was wrong or incomplete.
#![expect(clippy::unwrap_used, reason = "whoever starts it wants to see it fail")]

#[path = "../tests/processes/prefix.rs"]
mod prefix;

use disk::{Disk, RealDisk};
use engine::clock::{Clock, SystemClock};
use engine::read::{Member, Reader, Scan};
use prefix::Prefix;
use retrieval_server::archives;
use sample::{ChannelName, TimeRange};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().unwrap();
    let seconds: f64 = arguments.next().unwrap().parse().unwrap();
    let mut channels: Vec<(ChannelName, Prefix)> =
        arguments.map(|name| (ChannelName::parse(&name).unwrap(), Prefix::default())).collect();
    let (disk, clock): (Arc<dyn Disk>, Arc<dyn Clock>) = (Arc::new(RealDisk), Arc::new(SystemClock));
    let archive = Arc::new(archives::directory(disk, clock, directory.into(), None));
    let reader = Reader::new(vec![Member { name: "soak".into(), priority: 1, archive }]);
    let (mut answers, mut errors) = (0_u64, Vec::new());
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs_f64(seconds) {
        for (name, prefix) in &mut channels {
            if let Err(error) = one(&reader, name, prefix) {
                errors.push(format!("{name}: {error}"));
            }
            answers += 1;
        }
    }
    let samples: usize = channels.iter().map(|(_, prefix)| prefix.count()).sum();
    println!("{}", serde_json::json!({"answers": answers, "samples": samples, "errors": errors}));
    if errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn one(reader: &Reader, name: &ChannelName, prefix: &mut Prefix) -> Result<(), String> {
    let view = reader.view(name, TimeRange::ALL).map_err(|error| error.to_string())?;
    let Some(view) = view else { return prefix.take(&[]) };
    let blocks: Result<Vec<_>, _> = view.samples(&Scan::ascending(TimeRange::ALL)).collect();
    prefix.take(&blocks.map_err(|error| error.to_string())?)?;
    match view.problems().first() {
        Some(problem) => Err(problem.message.clone()),
        None => Ok(()),
    }
}
