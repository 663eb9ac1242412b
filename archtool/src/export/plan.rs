//! What an export is asked for, with what is known of its answer before the first sample.

use super::{nexus, pb};
use crate::answer::Pairs;
use crate::failure::Failure;
use crate::place::Place;
use crate::verb::broken;
use arrow_ipc::reader::StreamReader;
use arrow_schema::ArrowError;
use retrieval_server::columns::value_type;
use retrieval_server::{ARROW_METADATA_KEY, ArrowRows};
use sample::ValueType;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::{self, BufReader};

/// What the file is to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// One line a sample, as the HTTP interface
    Csv,
    /// An Arrow IPC file (Feather)
    Arrow,
    /// Parquet, with zstd
    Parquet,
    /// A MAT-file of MATLAB 7, for MATLAB, GNU Octave and SciPy: a struct a channel, as varve.samples returns it
    Mat,
    /// A directory of files as the Archiver Appliance keeps them, NAME/WITH/SLASHES:YEAR.pb, one a channel and year
    Pb,
    /// NeXus in HDF5: an NXlog a channel, with time, value, severity and status
    Nexus,
}

/// What tells one export from another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Question {
    /// Whom it asks.
    pub(crate) place: String,
    /// The channels, in order.
    pub(crate) channels: Vec<String>,
    /// The range in the words that were given, which may be relative.
    pub(crate) time: Pairs,
    /// The kind of file.
    pub(crate) format: Format,
}

impl Question {
    /// In what `other` is another question, if it is one.
    pub(crate) fn difference(&self, other: &Question) -> Option<String> {
        let words = |time: &Pairs| match time.as_slice() {
            [] => "the last hour".to_owned(),
            some => some.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(" "),
        };
        if self.place != other.place {
            return Some(format!("asks {}, not {}", other.place, self.place));
        }
        if self.format != other.format {
            return Some(format!("is {:?}, not {:?}", other.format, self.format).to_lowercase());
        }
        if self.time != other.time {
            return Some(format!("is of {}, not of {}", words(&other.time), words(&self.time)));
        }
        let lacks =
            |a: &Question, b: &Question| a.channels.iter().find(|name| !b.channels.contains(name)).cloned();
        match (lacks(self, other), lacks(other, self)) {
            (Some(name), _) => Some(format!("is without the channel {name}")),
            (None, Some(name)) => Some(format!("has the channel {name}, too")),
            (None, None) if self.channels != other.channels => {
                Some("has the same channels in another order".to_owned())
            }
            (None, None) => None,
        }
    }
}

/// A question with all that its answer needs known before the first sample; it stays as it is for the whole export.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The question.
    pub(crate) question: Question,
    /// First instant.
    pub(crate) from_ns: i64,
    /// First instant behind the range.
    pub(crate) to_ns: i64,
    /// About how many samples there are.
    pub(crate) samples: Option<u64>,
    /// The channels that are known, as the Arrow schema's metadata describes them.
    pub(crate) channels: Vec<Value>,
    /// What is said of those that are not.
    pub(crate) refused: Vec<Value>,
}

impl Plan {
    /// Asks what the answer will be. What is known to be damaged is a failure unless `skip_damaged`.
    pub(crate) fn ask(place: &Place, question: Question, skip_damaged: bool) -> Result<Plan, Failure> {
        let channels = question.channels.iter().map(|name| ("channel".to_owned(), name.clone()));
        let mut pairs: Pairs = channels.chain(question.time.iter().cloned()).collect();
        pairs.push(("format".to_owned(), "arrow".to_owned()));
        if skip_damaged {
            pairs.push(("damaged".to_owned(), "skip".to_owned()));
        }
        let answer = place.ask("/api/v1/samples", pairs)?;
        // Of unknown channels the description tells, too, and without a limit.
        let serious = |problem: &&Value| match problem["code"].as_str() {
            Some("unknown_channel" | "limit") => false,
            Some("damaged") => !skip_damaged,
            _ => true,
        };
        if let Some(problem) = answer.problems.iter().find(serious) {
            return Err(Failure::refused(problem));
        }
        let samples = answer.samples;
        // The schema is all that is read of this answer.
        let reader = StreamReader::try_new(BufReader::new(answer), None).map_err(unread)?;
        let schema = reader.schema();
        let told = schema.metadata().get(ARROW_METADATA_KEY).map(String::as_str).unwrap_or_default();
        let told: Value =
            serde_json::from_str(told).map_err(|_| foreign("its schema does not describe it"))?;
        let ns = |key: &str| told[key].as_i64().ok_or_else(|| foreign("its schema does not say its range"));
        let all = told["channels"].as_array().map(Vec::as_slice).unwrap_or_default();
        let (refused, channels): (Vec<Value>, Vec<Value>) =
            all.iter().cloned().partition(|channel| channel["error"].is_object());
        // A name that nobody knows is left out; a channel that cannot be read now is not.
        if let Some(channel) = refused.iter().find(|channel| channel["error"]["code"] != "unknown_channel") {
            return Err(Failure::refused(&channel["error"]));
        }
        let plan =
            Plan { from_ns: ns("from_ns")?, to_ns: ns("to_ns")?, samples, question, channels, refused };
        plan.types()?;
        match plan.question.format {
            Format::Pb => pb::check(&plan)?,
            Format::Nexus => nexus::check(&plan)?,
            Format::Csv | Format::Arrow | Format::Parquet | Format::Mat => {}
        }
        Ok(plan)
    }

    /// The names of the channels, as they were asked for.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = |channel: &Value| channel["name"].as_str().unwrap_or_default().to_owned();
        self.channels.iter().map(name).collect()
    }

    /// The types of all values.
    fn types(&self) -> Result<Vec<ValueType>, Failure> {
        let mut types = Vec::new();
        for channel in &self.channels {
            for known in types_of(channel)? {
                if !types.contains(&known) {
                    types.push(known);
                }
            }
        }
        Ok(types)
    }

    /// What makes record batches; its schema says everything about the channels if it is `described`.
    pub(crate) fn rows(&self, described: bool) -> Result<ArrowRows, Failure> {
        let told = match described {
            true => {
                serde_json::json!({"from_ns": self.from_ns, "to_ns": self.to_ns, "channels": self.channels})
            }
            false => Value::Null,
        };
        Ok(ArrowRows::new(self.names(), self.types()?, false, told.to_string()))
    }
}

/// The types of the values of a channel of the plan.
pub(super) fn types_of(channel: &Value) -> Result<Vec<ValueType>, Failure> {
    let own = channel["types"].as_array();
    let own = own.ok_or_else(|| foreign("it does not say which types its values have"))?;
    let known = own.iter().map(|name| name.as_str().and_then(value_type));
    known.map(|known| known.ok_or_else(|| foreign("it has values of an unknown type"))).collect()
}

fn foreign(what: &str) -> Failure {
    let what = format!("{what}: is it the answer of an older server?");
    Failure::Io { what: "understand the answer".to_owned(), source: io::Error::other(what) }
}

fn unread(error: ArrowError) -> Failure {
    match error {
        ArrowError::IoError(_, source) => broken(source),
        other => Failure::Io { what: "understand the answer".to_owned(), source: io::Error::other(other) },
    }
}
