//! One reader process: asks, and holds every answer against the truth.

use crate::Failure;
use crate::counters::{Series, series};
use crate::http::Client;
use retrieval_server::columns::decode;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// Pause between two questions.
const PAUSE: Duration = Duration::from_millis(400);
const PLACES: [&str; 3] = ["engine", "server", "directory"];

/// What was found.
#[derive(Default)]
struct Found {
    answers: [u64; 3],
    samples: u64,
    wrong: u64,
    errors: u64,
    first: Option<String>,
    /// The longest answer of each channel.
    truth: HashMap<String, Series>,
    /// Length of the last answer by place and channel.
    last: HashMap<(usize, String), usize>,
}

impl Found {
    /// Holds one channel of an answer against the truth.
    fn look(&mut self, place: usize, name: &str, answer: Series) {
        self.samples += answer.times.len() as u64;
        let mut fault = None;
        for i in 1..answer.values.len() {
            if answer.values[i] != answer.values[i - 1] + 1 {
                fault = Some(format!("{} after {}", answer.values[i], answer.values[i - 1]));
                break;
            }
        }
        let count = answer.times.len();
        let before = self.last.insert((place, name.to_owned()), count).unwrap_or(0);
        if count < before {
            fault.get_or_insert(format!("{count} samples after an answer of {before}"));
        }
        let truth = self.truth.entry(name.to_owned()).or_default();
        let both = count.min(truth.times.len());
        if answer.times[..both] != truth.times[..both] || answer.values[..both] != truth.values[..both] {
            fault.get_or_insert("another beginning than an earlier answer".to_owned());
        } else if count > truth.times.len() {
            *truth = answer;
        }
        if let Some(fault) = fault {
            self.wrong += 1;
            self.first.get_or_insert(format!("{} about {name}: {fault}", PLACES[place]));
        }
    }

    fn failed(&mut self, place: usize, error: &Failure) {
        self.errors += 1;
        self.first.get_or_insert(format!("{}: {error}", PLACES[place]));
    }
}

/// Reads as `task` (JSON) says, prints what was found as JSON.
pub(crate) fn main(task: &str) -> ExitCode {
    let told = serde_json::from_str::<Value>(task).map_err(Failure::from).and_then(|task| read(&task));
    match told {
        Ok(found) => {
            println!("{found}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("reader: {error}");
            ExitCode::FAILURE
        }
    }
}

fn read(task: &Value) -> Result<Value, Failure> {
    let text =
        |key: &str| task[key].as_str().map(str::to_owned).ok_or_else(|| format!("the task has no {key}"));
    let number = |key: &str| task[key].as_u64().ok_or_else(|| format!("the task has no {key}"));
    let servers = [Client::new(&text("engine")?), Client::new(&text("server")?)];
    let (archtool, directory) = (text("archtool")?, text("directory")?);
    let (from, groups, seed) = (number("from_ns")?, number("groups")?, number("seed")?);
    let until = Instant::now() + Duration::from_secs(number("seconds")?);
    let mut found = Found::default();
    let mut round = seed;
    while Instant::now() < until {
        let place = usize::try_from(round % 3)?;
        // Each place is asked for the same two channels three rounds in a row, then for others.
        let step = seed + round / 12;
        let names = [
            format!("T:{:04}:ai{}", step % groups, step % 8),
            format!("T:{:04}:li{}", (step + 1) % groups, step % 4),
        ];
        let answer = match servers.get(place) {
            Some(client) => client
                .samples(&format!("edge=false&channel={}&channel={}&from_ns={from}", names[0], names[1])),
            None => get(&archtool, &directory, &names),
        };
        match answer.and_then(|batches| series(&batches)) {
            Ok(answer) => {
                found.answers[place] += 1;
                let mut answer: BTreeMap<String, Series> = answer;
                for name in names {
                    found.look(place, &name, answer.remove(&name).unwrap_or_default());
                }
            }
            Err(error) => found.failed(place, &error),
        }
        round += 1;
        std::thread::sleep(PAUSE);
    }
    Ok(json!({
        "engine": found.answers[0], "server": found.answers[1], "directory": found.answers[2],
        "samples": found.samples, "wrong": found.wrong, "errors": found.errors, "first": found.first,
    }))
}

/// `archtool get DIR`, of a day: the archive is younger.
fn get(
    archtool: &str,
    directory: &str,
    names: &[String],
) -> Result<Vec<retrieval_server::columns::Batch>, Failure> {
    let output = Command::new(archtool)
        .args(["get", directory, "--format", "columns", "--from", "-1d"])
        .args(names)
        .output()?;
    if !output.status.success() {
        return Err(
            format!("archtool get: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into()
        );
    }
    let (batches, end) = decode(&output.stdout)?;
    if !end.complete {
        return Err(format!("archtool get: incomplete: {}", end.json["problems"]).into());
    }
    Ok(batches)
}
