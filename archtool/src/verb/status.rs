//! `status`: how an archive is doing, on one screen.

use crate::command_line::Outcome;
use crate::failure::Failure;
use crate::place::Place;
use crate::print::{JsonOption, cell, json, text};
use crate::table::harmless;
use crate::time::{readable, span};
use engine::config::format_size;
use jiff::tz::TimeZone;
use serde_json::Value;

/// Print how an engine or archive is doing; exit code 4 if there are problems
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Archive directory or address (or VARVE_URL)
    #[arg(value_name = "DIR|URL", num_args = 0..=1)]
    words: Vec<String>,
    #[command(flatten)]
    json: JsonOption,
}

pub(crate) fn run(arguments: Arguments) -> Result<Outcome, Failure> {
    let (place, _) = Place::take(arguments.words)?;
    let answer = place.json("/api/v1/status", Vec::new())?;
    if arguments.json.json {
        json(&answer)?;
    } else {
        text(&screen(&answer))?;
    }
    let problems = answer["problems"].as_array().is_some_and(|problems| !problems.is_empty());
    Ok(if problems { Outcome::Missing } else { Outcome::Done })
}

/// A size for people: three digits at most before the unit.
fn size(value: &Value) -> String {
    const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let Some(bytes) = value.as_u64() else { return cell(value) };
    match UNITS.iter().find(|(_, size)| bytes >= *size) {
        Some((unit, size)) => format!("{:.1} {unit}", bytes as f64 / *size as f64),
        None => format_size(bytes),
    }
}

fn number(value: &Value) -> String {
    value.as_f64().map_or_else(
        || cell(value),
        |number| {
            if number.fract() == 0.0 { format!("{number:.0}") } else { format!("{number:.1}") }
        },
    )
}

/// What is known, a line each; a directory without its engine leaves much out.
fn screen(status: &Value) -> String {
    let mut lines = Vec::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("{name:12} {}", harmless(&value)));
        }
    };
    let archive = &status["archive"];
    line(
        "archive",
        facts(&[
            ("", cell(&archive["path"])),
            ("id", cell(&archive["id"])),
            ("format", cell(&archive["format"])),
        ]),
    );
    let uptime = status["uptime_s"].as_f64().map_or_else(String::new, |s| span((s * 1e9) as i64));
    line(
        "program",
        facts(&[("version", cell(&status["version"])), ("up", uptime), ("ready", cell(&status["ready"]))]),
    );
    for reason in status["reasons"].as_array().into_iter().flatten() {
        line("", cell(reason));
    }
    line("now", time(&status["now_ns"]));
    line("durable", facts(&[("until", time(&status["durable_until_ns"]))]));
    let config = &status["config"];
    line("config", facts(&[("loaded", time(&config["loaded_ns"])), ("hash", cell(&config["hash"]))]));
    line("", facts(&[("a later one was refused:", cell(&config["pending_error"]))]));
    line("channels", numbers(&status["channels"]));
    let ingest = &status["ingest"];
    let bytes_per_s = size(&whole(&ingest["bytes_per_s"]));
    line("ingest", facts(&[("samples/s", number(&ingest["samples_per_s"])), ("bytes/s", bytes_per_s)]));
    line("dropped", numbers(&ingest["dropped"]));
    line("servers", numbers(&status["servers"]));
    let wal = &status["wal"];
    let sync = number(&wal["sync_p99_ms"]);
    line(
        "wal",
        facts(&[("bytes", size(&wal["bytes"])), ("segments", cell(&wal["segments"])), ("sync p99 ms", sync)]),
    );
    let memtable = &status["memtable"];
    line("memtable", facts(&[("bytes", size(&memtable["bytes"])), ("limit", size(&memtable["limit"]))]));
    line("partitions", numbers(&status["partitions"]));
    let disk = &status["disk"];
    let per_day = size(&whole(&disk["bytes_per_day"]));
    let space = [("total", size(&disk["total"])), ("free", size(&disk["free"])), ("a day", per_day)];
    line("disk", facts(&[&space[..], &[("days left", number(&disk["days_left"]))]].concat()));
    let problems = status["problems"].as_array().map(Vec::as_slice).unwrap_or_default();
    line("problems", if problems.is_empty() { "none".to_owned() } else { problems.len().to_string() });
    for problem in problems {
        let (severity, code) = (cell(&problem["severity"]), cell(&problem["code"]));
        line(
            "",
            format!("{severity} {code} since {}: {}", time(&problem["since_ns"]), cell(&problem["message"])),
        );
        line("", format!("  {}", cell(&problem["what_to_do"])));
    }
    lines.join("\n") + "\n"
}

/// Those that are known.
fn facts(facts: &[(&str, String)]) -> String {
    let known = facts.iter().filter(|(_, value)| !value.is_empty());
    known
        .map(|(name, value)| format!("{name} {value}").trim_start().to_owned())
        .collect::<Vec<_>>()
        .join("  ")
}

/// The numbers of an object.
fn numbers(object: &Value) -> String {
    let numbers = object.as_object().into_iter().flatten().filter(|(_, value)| value.is_number());
    numbers
        .map(|(name, value)| format!("{} {}", name.replace('_', " "), number(value)))
        .collect::<Vec<_>>()
        .join("  ")
}

fn time(value: &Value) -> String {
    value.as_i64().map_or_else(String::new, |ns| readable(ns, &TimeZone::UTC))
}

/// A rate without its fraction.
fn whole(value: &Value) -> Value {
    value.as_f64().map_or(Value::Null, |rate| Value::from(rate.max(0.0) as u64))
}
