//! `reindex`: everything derived is made anew from the tables.

use crate::command_line::Outcome;
use crate::failure::Failure;
use crate::place::directory;
use crate::print::{JsonOption, Rows, json, warn};
use crate::stock::inside;
use disk::RealDisk;
use engine::clock::SystemClock;
use engine::layout::{Layout, parse_week, parse_week_dir};
use engine::reindex::{Mended, Reindexed, Reindexing, reindex};
use indicatif::{ProgressBar, ProgressStyle};
use sample::Week;
use serde_json::{Value, json};
use sstable::Loss;
use std::sync::Arc;

/// Rebuild every derived file from the SSTables; save what is left of damaged ones. Exit code 3 if something is lost
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Archive directory; no engine may run on it
    #[arg(value_name = "DIR")]
    directory: String,
    /// Only this week, for example 2026-11-16
    #[arg(long, value_name = "P", value_parser = week)]
    partition: Option<Week>,
    #[command(flatten)]
    json: JsonOption,
}

fn week(text: &str) -> Result<Week, String> {
    let known = parse_week(text).or_else(|| parse_week_dir(text).map(|(week, _)| week));
    known.ok_or_else(|| "a partition is called after its Monday, for example 2026-11-16".to_string())
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let directory = directory(&arguments.directory)?;
    // On a terminal only: elsewhere it draws nothing.
    let bar = ProgressBar::no_length();
    if let Ok(style) =
        ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} (eta {eta})")
    {
        bar.set_style(style);
    }
    let done = reindex(&Reindexing {
        disk: Arc::new(RealDisk),
        clock: Arc::new(SystemClock),
        directory: directory.clone(),
        partition: arguments.partition,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        progress: &|done, of| {
            bar.set_length(of);
            bar.set_position(done);
        },
    })?;
    bar.finish_and_clear();
    let layout = Layout::new(directory);
    tell(&done, &layout);
    if arguments.json.json {
        json(&document(&done, &layout))?;
    } else {
        table(&done)?;
    }
    Ok(if done.lost_something() { Outcome::Damage } else { Outcome::Done })
}

fn shown(layout: &Layout, path: &std::path::Path) -> String {
    inside(layout, path).display().to_string()
}

/// Everything that an operator has to know, on stderr.
fn tell(done: &Reindexed, layout: &Layout) {
    if done.adopted {
        warn(&format!("the directory is archive {} now, as its tables say", done.archive));
    }
    if let Some(why) = &done.manifest_lost {
        warn(&format!("the former manifest could not be used: {why}"));
    }
    for (path, span) in &done.missing {
        let times = span.map_or(String::new(), |(first, last)| {
            format!(" with samples from {} to {}", crate::time::iso(first.0), crate::time::iso(last.0))
        });
        warn(&format!("{} is missing{times}: restore it from a copy and reindex again", shown(layout, path)));
    }
    for (path, archive) in &done.foreign {
        warn(&format!(
            "{} is of archive {archive} and was left out: move its week into an empty directory of its own, reindex \
             that, and let archserver serve both",
            shown(layout, path)
        ));
    }
    for mended in &done.mended {
        told(mended, layout);
    }
}

fn told(mended: &Mended, layout: &Layout) {
    let saved = match &mended.saved {
        Some(path) => format!("{} samples are saved in {}", mended.samples, shown(layout, path)),
        None if mended.lost.is_empty() => "all that it held stands in other tables".to_string(),
        None => "nothing of it could be saved".to_string(),
    };
    warn(&format!("{}; {saved}; the damaged file is kept as {}", mended.what, shown(layout, &mended.kept)));
    for (loss, names) in &mended.lost {
        let channels = match loss.channels {
            None => "no data".to_string(),
            Some((least, most)) if names.is_empty() => format!("channels {} to {}", least.0, most.0),
            Some((least, most)) => {
                let more =
                    if most.0 - least.0 + 1 > names.len() as u64 { " and others up to that id" } else { "" };
                let names: Vec<&str> = names.iter().map(sample::ChannelName::as_str).collect();
                format!("{}{more}", names.join(", "))
            }
        };
        let times = loss.span.map_or(String::new(), |(first, last)| {
            format!(", from {} to {}", crate::time::iso(first.0), crate::time::iso(last.0))
        });
        warn(&format!(
            "lost: {} bytes {} to {}: {channels}{times} ({})",
            shown(layout, &mended.kept),
            loss.offset,
            loss.offset + loss.len,
            loss.what
        ));
    }
    for (channel, name) in &mended.nameless {
        warn(&format!(
            "the dictionary's row of channel {} is lost; it is called {}",
            channel.0,
            name.as_str()
        ));
    }
}

fn table(done: &Reindexed) -> Result<(), Failure> {
    let mut rows =
        Rows::new(&[">tables", ">bytes", ">samples", ">salvaged", ">missing", ">foreign", ">superfluous"])?;
    let samples: u64 = done.manifest.tables.iter().map(|table| table.samples).sum();
    let counts = [
        done.manifest.tables.len() as u64,
        done.bytes,
        samples,
        done.mended.len() as u64,
        done.missing.len() as u64,
        done.foreign.len() as u64,
        done.superfluous.len() as u64,
    ];
    rows.row(counts.map(|count| count.to_string()).to_vec())?;
    rows.finish()
}

fn document(done: &Reindexed, layout: &Layout) -> Value {
    let lost = |(loss, names): &(Loss, Vec<sample::ChannelName>)| {
        json!({
            "offset": loss.offset, "bytes": loss.len, "message": loss.what,
            "first_channel": loss.channels.map(|(least, _)| least.0),
            "last_channel": loss.channels.map(|(_, most)| most.0),
            "channels": names.iter().map(sample::ChannelName::as_str).collect::<Vec<_>>(),
            "from_ns": loss.span.map(|(first, _)| first.0), "to_ns": loss.span.map(|(_, last)| last.0),
        })
    };
    let mended = |mended: &Mended| {
        json!({
            "file": shown(layout, &mended.file), "kept": shown(layout, &mended.kept), "message": mended.what,
            "saved": mended.saved.as_ref().map(|path| shown(layout, path)), "samples": mended.samples,
            "lost": mended.lost.iter().map(lost).collect::<Vec<_>>(),
            "nameless": mended.nameless.iter().map(|(channel, name)| {
                json!({"channel": channel.0, "name": name.as_str()})
            }).collect::<Vec<_>>(),
        })
    };
    json!({
        "archive": done.archive.to_string(), "adopted": done.adopted, "manifest_lost": done.manifest_lost,
        "generation": done.manifest.generation, "tables": done.manifest.tables.len(), "bytes": done.bytes,
        "samples": done.manifest.tables.iter().map(|table| table.samples).sum::<u64>(),
        "salvaged": done.mended.iter().map(mended).collect::<Vec<_>>(),
        "missing": done.missing.iter().map(|(path, span)| json!({
            "file": shown(layout, path), "from_ns": span.map(|(first, _)| first.0),
            "to_ns": span.map(|(_, last)| last.0),
        })).collect::<Vec<_>>(),
        "foreign": done.foreign.iter().map(|(path, archive)| {
            json!({"file": shown(layout, path), "archive": archive.to_string()})
        }).collect::<Vec<_>>(),
        "superfluous": done.superfluous.iter().map(|path| shown(layout, path)).collect::<Vec<_>>(),
    })
}
