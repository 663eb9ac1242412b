//! `export`: samples into a file.

use crate::channels;
use crate::command_line::Outcome;
use crate::export::{Format, Part, Plan, Question, directory_of, discard, gather, join, parent};
use crate::failure::Failure;
use crate::place::Place;
use crate::print::{JsonOption, Rows, json, warn};
use crate::range::RangeOptions;
use disk::{Disk, RealDisk};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// Write samples into a file: CSV, Arrow, Parquet, MATLAB's MAT, NeXus, or a directory of the Archiver Appliance's PB files
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Archive directory or address (or VARVE_URL), then channels: names, globs, @FILE, @-
    #[arg(value_name = "[DIR|URL] CHANNEL", required = true)]
    words: Vec<String>,
    /// The file, or the directory of PB files; until it is finished, what there is of it lies in the directory FILE.part
    #[arg(long, value_name = "FILE")]
    to_file: PathBuf,
    /// What kind of file
    #[arg(long, value_enum)]
    format: Format,
    #[command(flatten)]
    range: RangeOptions,
    /// Go on with an interrupted export of the same question, or begin one
    #[arg(long)]
    resume: bool,
    /// Replace a file that is there (a directory never is); without --resume also begin anew in place of an interrupted export
    #[arg(long)]
    force: bool,
    /// Read on around damaged places
    #[arg(long)]
    skip_damaged: bool,
    /// Samples in a row group of Parquet; after so many an interrupted export goes on
    #[arg(long, value_name = "N", default_value_t = 1 << 20, value_parser = clap::value_parser!(u64).range(1..=1 << 26))]
    group_rows: u64,
    #[command(flatten)]
    json: JsonOption,
}

pub(crate) fn run(mut arguments: Arguments) -> Result<Outcome, Failure> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let file = arguments.to_file.clone();
    let is_taken = file.is_dir() && arguments.format != Format::Pb;
    if is_taken || file.file_name().is_none() || !parent(&file).is_dir() {
        let message = format!("{} cannot be a file; name one in a directory that exists", file.display());
        return Err(Failure::Usage(message));
    }
    if !arguments.resume {
        arguments.may_replace()?;
    }
    let (place, words) = Place::take(std::mem::take(&mut arguments.words))?;
    let question = Question {
        place: place.name(),
        channels: channels::names(&place, &words)?,
        time: arguments.range.pairs()?,
        format: arguments.format,
    };
    let begun = if arguments.resume { Part::resume(disk.clone(), &file, &question)? } else { None };
    let part = match begun {
        // It was interrupted behind its last step.
        Some(part) if part.is_published(&file)? => {
            let facts = Facts::of(&part);
            return facts.print(&arguments, part.clear(&file)?);
        }
        Some(part) => {
            arguments.may_replace()?;
            part
        }
        None => {
            arguments.may_replace()?;
            begin(disk, &place, question, &arguments)?
        }
    };
    for channel in &part.plan().refused {
        warn(&Failure::refused(&channel["error"]).to_string());
    }
    finish(&place, part, &arguments).inspect_err(|_| {
        let kept = directory_of(&file);
        warn(&format!("what is finished stays in {}; --resume goes on with it", kept.display()));
    })
}

impl Arguments {
    /// Refuses to replace what is there.
    fn may_replace(&self) -> Result<(), Failure> {
        let may = self.force && self.format != Format::Pb;
        if may || !self.to_file.exists() {
            return Ok(());
        }
        let file = self.to_file.display();
        if self.format == Format::Pb {
            let message = format!("{file} is there already; take another name, or remove it first");
            return Err(Failure::Usage(message));
        }
        Err(Failure::Usage(format!("{file} is there already; take another name, or replace it with --force")))
    }
}

/// An export from its first sample on. Nothing is left behind of a question that is refused.
fn begin(
    disk: Arc<dyn Disk>,
    place: &Place,
    question: Question,
    arguments: &Arguments,
) -> Result<Part, Failure> {
    let file = arguments.to_file.as_path();
    let directory = directory_of(file);
    if directory.exists() && !arguments.resume && !arguments.force {
        return Err(Failure::Usage(format!(
            "{} is there from an interrupted export; go on with --resume, or begin anew with --force",
            directory.display()
        )));
    }
    let plan = Plan::ask(place, question, arguments.skip_damaged)?;
    if plan.channels.is_empty() {
        let messages: Vec<String> =
            plan.refused.iter().map(|channel| Failure::refused(&channel["error"]).to_string()).collect();
        return Err(Failure::Missing(messages.join("; ")));
    }
    discard(&disk, file)?;
    Part::begin(disk, file, plan)
}

fn finish(place: &Place, mut part: Part, arguments: &Arguments) -> Result<Outcome, Failure> {
    // On a terminal only: elsewhere it draws nothing.
    let bar = ProgressBar::new(part.plan().samples.unwrap_or_default());
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {human_pos} samples {elapsed} (eta {eta})") {
        bar.set_style(style);
    }
    let tell = |samples| bar.set_position(samples);
    let gathered = gather(place, &mut part, arguments.group_rows, arguments.skip_damaged, &tell);
    bar.finish_and_clear();
    gathered?;
    arguments.may_replace()?;
    let facts = Facts::of(&part);
    let bytes = join(part, &arguments.to_file)?;
    facts.print(arguments, bytes)
}

/// What an export has become.
struct Facts {
    channels: usize,
    samples: u64,
    outcome: Outcome,
}

impl Facts {
    fn of(part: &Part) -> Facts {
        Facts {
            channels: part.plan().channels.len(),
            samples: part.progress().samples,
            outcome: part.outcome(),
        }
    }

    fn print(self, arguments: &Arguments, bytes: u64) -> Result<Outcome, Failure> {
        let Facts { channels, samples, outcome } = self;
        let file = arguments.to_file.display().to_string();
        if arguments.json.json {
            json(&json!({"file": file, "channels": channels, "samples": samples, "bytes": bytes}))?;
            return Ok(outcome);
        }
        let mut rows = Rows::new(&["file", ">channels", ">samples", ">bytes"])?;
        rows.row(vec![file, channels.to_string(), samples.to_string(), bytes.to_string()])?;
        rows.finish()?;
        Ok(outcome)
    }
}
