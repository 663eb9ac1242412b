//! `generate`: a synthetic archive.

use crate::command_line::Outcome;
use crate::failure::Failure;
use crate::generate::fill::fill;
use crate::generate::{DataSet, Preset};
use crate::print::{JsonOption, Rows, json};
use crate::stock::Stock;
use cpu_time::ProcessTime;
use engine::StorageSettings;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

/// Steps of the progress bar.
const STEPS: u64 = 1000;

/// Write a reproducible synthetic archive; print samples per second and CPU seconds
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where the archive goes; missing or empty
    directory: PathBuf,
    /// What kind: standard-mix is 200 channels of a light source, one week; di is 300 channels at 1 Hz, one week;
    /// va is 20 channels at 0.1 Hz, two years
    #[arg(long, value_enum, default_value = "standard-mix")]
    preset: PresetName,
    /// Another number of channels
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    channels: Option<u32>,
    /// Another length in days
    #[arg(long, value_name = "D", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: Option<u32>,
    /// Another seed
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    #[command(flatten)]
    json: JsonOption,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum PresetName {
    StandardMix,
    Di,
    Va,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let mut set = DataSet::of(match arguments.preset {
        PresetName::StandardMix => Preset::StandardMix,
        PresetName::Di => Preset::Di,
        PresetName::Va => Preset::Va,
    });
    set.channels = arguments.channels.map_or(set.channels, |channels| channels as usize);
    set.days = arguments.days.unwrap_or(set.days);
    set.seed = arguments.seed.unwrap_or(set.seed);
    // On a terminal only: elsewhere it draws nothing.
    let bar = ProgressBar::new(STEPS);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent}% {elapsed} (eta {eta})") {
        bar.set_style(style);
    }
    let (began, used) = (Instant::now(), ProcessTime::now());
    let filled = fill(&set, &arguments.directory, StorageSettings::default(), &mut |part| {
        bar.set_position((part * STEPS as f64) as u64);
    })?;
    let (wall_s, cpu_s) = (began.elapsed().as_secs_f64(), used.elapsed().as_secs_f64());
    bar.finish_and_clear();
    let bytes = Stock::take(&arguments.directory)?.table_bytes();
    let per_sample = bytes as f64 / filled.samples.max(1) as f64;
    if arguments.json.json {
        json(&json!({
            "channels": filled.channels, "samples": filled.samples, "stored": filled.stored, "wall_s": wall_s,
            "cpu_s": cpu_s, "samples_per_s": filled.samples as f64 / wall_s, "table_bytes": bytes,
            "bytes_per_sample": per_sample,
        }))?;
        return Ok(Outcome::Done);
    }
    let mut rows = Rows::new(&[
        ">channels",
        ">samples",
        ">stored",
        ">wall_s",
        ">cpu_s",
        ">samples/s",
        ">table_bytes",
        ">bytes/sample",
    ])?;
    rows.row(vec![
        filled.channels.to_string(),
        filled.samples.to_string(),
        filled.stored.to_string(),
        format!("{wall_s:.2}"),
        format!("{cpu_s:.2}"),
        format!("{:.0}", filled.samples as f64 / wall_s),
        bytes.to_string(),
        format!("{per_sample:.3}"),
    ])?;
    rows.finish()?;
    Ok(Outcome::Done)
}
