//! `get`: samples or bins.

use super::{PlaceAndChannels, told, worse};
use crate::answer::Answer;
use crate::command_line::Outcome;
use crate::failure::Failure;
use crate::print::{JsonOption, is_terminal, stdout, warn};
use crate::range::RangeOptions;
use crate::table::Table;
use retrieval_server::Stopped;
use serde::Deserialize;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use std::fmt;
use std::io::{self, Read, Write};

/// Print samples, or with --bins or --width statistics in bins of time
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    asked: PlaceAndChannels,
    #[command(flatten)]
    range: RangeOptions,
    /// Statistics in at most N bins
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "width")]
    bins: Option<u64>,
    /// Statistics in bins of this width: 60s, 10m, 1d; with --tz also a local 1d, 1w, 1mo, 1y
    #[arg(long, value_name = "W")]
    width: Option<String>,
    #[command(flatten)]
    of_bins: BinOptions,
    /// The newest N samples of each channel, newest first; of all time unless a range is given
    #[arg(short = 'n', value_name = "N", conflicts_with_all = ["bins", "width"], value_parser = clap::value_parser!(u64).range(1..))]
    newest: Option<u64>,
    /// Also the last sample before the range
    #[arg(long, conflicts_with_all = ["bins", "width"])]
    edge: bool,
    /// Read on around damaged places
    #[arg(long)]
    skip_damaged: bool,
    /// Print what answering reads and how long it takes in place of the answer
    #[arg(long)]
    explain: bool,
    /// How samples are printed [default: table on a terminal, csv in a pipe]
    #[arg(long, value_enum, conflicts_with = "json")]
    format: Option<Format>,
    #[command(flatten)]
    json: JsonOption,
}

/// What else may be said of bins.
#[derive(clap::Args)]
struct BinOptions {
    /// Only these columns, with commas between, for example mean,min,max; states for enums
    #[arg(long, value_name = "COLUMNS")]
    stats: Option<String>,
    /// Also bins without samples in which a value was held
    #[arg(long)]
    fill: bool,
    /// Also all other bins without samples
    #[arg(long)]
    empty: bool,
    /// Leave out samples of severity INVALID
    #[arg(long)]
    exclude_invalid: bool,
}

impl BinOptions {
    fn pairs(&self) -> Vec<(&'static str, &str)> {
        let flags = [
            (self.fill, ("fill", "hold")),
            (self.empty, ("empty", "true")),
            (self.exclude_invalid, ("exclude", "invalid")),
        ];
        let stats = self.stats.iter().map(|stats| ("stats", stats.as_str()));
        stats.chain(flags.into_iter().filter(|(given, _)| *given).map(|(_, pair)| pair)).collect()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(super) enum Format {
    /// Aligned, for people
    Table,
    /// One line a row
    Csv,
    /// As the HTTP interface
    Json,
    /// Binary, as the HTTP interface
    Columns,
    /// An Arrow stream, as the HTTP interface
    Arrow,
}

impl Format {
    /// The one that was asked for, else what suits who reads.
    pub(super) fn chosen(asked: Option<Format>, json: &JsonOption) -> Format {
        match asked {
            Some(format) => format,
            None if json.json => Format::Json,
            None if is_terminal() => Format::Table,
            None => Format::Csv,
        }
    }

    /// What the HTTP interface calls that which it is made from.
    pub(super) fn requested(self) -> &'static str {
        match self {
            Format::Table | Format::Csv => "csv",
            Format::Json => "json",
            Format::Columns => "columns",
            Format::Arrow => "arrow",
        }
    }
}

pub(crate) fn run(arguments: Arguments) -> Result<Outcome, Failure> {
    let format = Format::chosen(arguments.format, &arguments.json);
    let (place, mut pairs) = arguments.asked.open()?;
    pairs.extend(arguments.range.pairs()?);
    let mut add = |name: &str, value: &str| pairs.push((name.to_owned(), value.to_owned()));
    if let Some(newest) = arguments.newest {
        add("limit", &newest.to_string());
        add("order", "desc");
        if !arguments.range.is_given() {
            add("from_ns", &i64::MIN.to_string());
            add("to_ns", &i64::MAX.to_string());
        }
    }
    if arguments.edge {
        add("edge", "true");
    }
    if arguments.skip_damaged {
        add("damaged", "skip");
    }
    add("format", format.requested());
    if arguments.explain {
        add("explain", "true");
    }
    let width = match (arguments.bins, &arguments.width) {
        (Some(bins), _) => Some(("bins", bins.to_string())),
        (None, Some(width)) => Some(("width", width.clone())),
        (None, None) => None,
    };
    let path = if let Some((name, value)) = width {
        add(name, &value);
        arguments.of_bins.pairs().into_iter().for_each(|(name, value)| add(name, value));
        "/api/v1/bins"
    } else if let Some((name, _)) = arguments.of_bins.pairs().first() {
        let message = format!("{name} says something of bins; give --bins N or --width W with it");
        return Err(Failure::Usage(message));
    } else {
        "/api/v1/samples"
    };
    let answer = place.ask(path, pairs)?;
    let problems = told(&answer.problems);
    let printed = match format {
        _ if arguments.explain => copy(answer)?,
        Format::Table => table(answer, &arguments.range)?,
        Format::Csv | Format::Columns | Format::Arrow => copy(answer)?,
        Format::Json => json(answer)?,
    };
    Ok(worse(problems, printed))
}

pub(super) fn copy(mut answer: Answer) -> Result<Outcome, Failure> {
    let mut output = stdout();
    transfer(&mut answer, &mut output)?;
    output.flush().map_err(Failure::io("write the output"))?;
    Ok(Outcome::Done)
}

/// Copies, telling apart which side failed.
fn transfer(input: &mut dyn Read, output: &mut dyn Write) -> Result<(), Failure> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = input.read(&mut buffer).map_err(broken)?;
        if count == 0 {
            return Ok(());
        }
        output.write_all(&buffer[..count]).map_err(Failure::io("write the output"))?;
    }
}

/// The answer broke off; that is no closed output, whatever the kind of the error. An answer made in this
/// process says why.
pub(crate) fn broken(source: io::Error) -> Failure {
    match source.get_ref().and_then(|error| error.downcast_ref::<Stopped>()) {
        Some(Stopped::Broken(error) | Stopped::Refused(error)) => Failure::refused(&error.object()),
        _ => Failure::Io { what: "read the answer to its end".to_owned(), source },
    }
}

pub(super) fn table(answer: Answer, range: &RangeOptions) -> Result<Outcome, Failure> {
    let zone = range.zone.zone()?;
    let mut reader = csv::Reader::from_reader(answer);
    let unread = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(source) => broken(source),
        other => broken(io::Error::other(format!("{other:?}"))),
    };
    let titles: Vec<String> = reader.headers().map_err(unread)?.iter().map(str::to_owned).collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    let mut table = Table::new(stdout(), &titles);
    for record in reader.records() {
        let record = record.map_err(unread)?;
        let cells = record.iter().zip(&titles).map(|(cell, title)| match *title {
            "time" => cell.parse::<jiff::Timestamp>().map_or_else(
                |_| cell.to_owned(),
                |time| {
                    let ns = i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX);
                    crate::time::readable(ns, &zone)
                },
            ),
            "start_ns" | "min_ns" | "max_ns" | "first_ns" | "last_ns" => {
                cell.parse().map_or_else(|_| cell.to_owned(), |ns| crate::time::readable(ns, &zone))
            }
            _ => cell.to_owned(),
        });
        table.row(cells.collect())?;
    }
    table.finish()?;
    Ok(Outcome::Done)
}

/// Passes JSON on and reads along whether it says that something is missing.
pub(super) fn json(mut answer: Answer) -> Result<Outcome, Failure> {
    let mut output = stdout();
    let mut failed = None;
    let mut passing = Passing { input: &mut answer, output: &mut output, failed: &mut failed };
    let summary =
        serde_json::from_reader::<_, Summary>(io::BufReader::with_capacity(64 * 1024, &mut passing));
    if let Some(failure) = failed {
        return Err(failure);
    }
    let summary = summary.map_err(|error| broken(error.into()))?;
    output.flush().map_err(Failure::io("write the output"))?;
    for name in &summary.channels.refused {
        warn(&format!("{name} cannot be answered, see \"error\" in its place"));
    }
    let complete = if summary.complete { Outcome::Done } else { told(&summary.problems) };
    let refused = if summary.channels.refused.is_empty() { Outcome::Done } else { Outcome::Missing };
    Ok(worse(complete, refused))
}

/// Copies what is read through it.
struct Passing<'a> {
    input: &'a mut dyn Read,
    output: &'a mut dyn Write,
    /// Why writing failed.
    failed: &'a mut Option<Failure>,
}

impl Read for Passing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        if let Err(error) = self.output.write_all(&buffer[..count]) {
            *self.failed = Some(Failure::io("write the output")(error));
            return Err(io::Error::other("the output failed"));
        }
        Ok(count)
    }
}

/// What matters of a JSON answer besides its samples, which are read past.
#[derive(Deserialize)]
struct Summary {
    channels: Channels,
    complete: bool,
    problems: Vec<serde_json::Value>,
}

struct Channels {
    refused: Vec<String>,
}

impl<'de> Deserialize<'de> for Channels {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Channels, D::Error> {
        #[derive(Deserialize)]
        struct Channel {
            name: String,
            error: Option<IgnoredAny>,
        }
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Channels;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of channels")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Channels, A::Error> {
                let mut refused = Vec::new();
                while let Some(channel) = list.next_element::<Channel>()? {
                    if channel.error.is_some() {
                        refused.push(channel.name);
                    }
                }
                Ok(Channels { refused })
            }
        }
        deserializer.deserialize_seq(List)
    }
}
