//! From the parameters of a request to a checked query.

use crate::cursor::Cursor;
use crate::error::{ApiError, Code};
use crate::parameters::Pairs;
use crate::pattern::Pattern;
use crate::routes::{Kind, Parameter, Route};
use crate::time::{self, TimeContext};
use crate::width::{self, Width};
use jiff::tz::TimeZone;
use sample::{TimeRange, Timestamp};

/// Default length of a range, from its end backwards: an hour.
const RANGE_DEFAULT_NS: i64 = 3_600_000_000_000;

/// A parameter's value after the check.
#[derive(Clone, Debug)]
enum Checked {
    Text(String),
    Time(Timestamp),
    Count(u64),
    Flag(bool),
    Choice(&'static str),
    Slice(Option<u64>, Option<u64>),
    Width(Width),
    Duration(i64),
    Words(Vec<&'static str>),
    Pattern(Pattern),
    Cursor(Box<Cursor>),
}

/// A request whose every parameter is known and well formed.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    /// The one `now` of the request.
    pub now: Timestamp,
    /// The zone of `tz=`, if given.
    pub zone: Option<TimeZone>,
    values: Vec<(&'static str, Checked)>,
}

/// One bad parameter.
struct Fault {
    parameter: String,
    code: Code,
    message: String,
    near: Vec<String>,
}

impl Query {
    /// Checks `pairs`; the error names every bad parameter.
    pub(crate) fn check(route: &Route, pairs: &Pairs, now: Timestamp) -> Result<Query, ApiError> {
        let mut faults = Vec::new();
        let context = TimeContext { now, zone: zone(pairs, &mut faults) };
        let mut query = Query { now, zone: context.zone.clone(), values: Vec::new() };
        for (name, text) in pairs {
            let Some(parameter) = route.parameters.iter().find(|p| p.name == name) else {
                faults.push(unknown(route, name));
                continue;
            };
            if parameter.kind == Kind::Zone {
                continue;
            }
            if parameter.kind != Kind::Channel && query.values.iter().any(|(n, _)| *n == parameter.name) {
                faults.push(Fault::of(parameter.name, "is given twice".into()));
                continue;
            }
            match value(parameter, text, &context) {
                Ok(value) => query.values.push((parameter.name, value)),
                Err((code, message)) => {
                    faults.push(Fault { code, ..Fault::of(parameter.name, message) });
                }
            }
        }
        for (text, ns) in [("from", "from_ns"), ("to", "to_ns"), ("time", "time_ns")] {
            if query.get(text).is_some() && query.get(ns).is_some() {
                faults.push(Fault::of(ns, format!("and {text} are both given; one is enough")));
            }
        }
        if faults.is_empty() { Ok(query) } else { Err(refusal(faults)) }
    }

    fn get(&self, name: &str) -> Option<&Checked> {
        self.values.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// Every `channel=` as it came.
    pub(crate) fn channels(&self) -> impl Iterator<Item = &str> {
        self.values.iter().filter_map(|(name, value)| match value {
            Checked::Text(text) if *name == "channel" => Some(text.as_str()),
            _ => None,
        })
    }

    /// The text of a parameter.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Checked::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A time, from the parameter `name` or `name_ns`.
    pub(crate) fn time(&self, name: &str) -> Option<Timestamp> {
        let ns = format!("{name}_ns");
        match self.get(name).or_else(|| self.get(&ns)) {
            Some(Checked::Time(time)) => Some(*time),
            _ => None,
        }
    }

    /// A count; 0 was written for all.
    pub(crate) fn count(&self, name: &str) -> Option<u64> {
        match self.get(name) {
            Some(Checked::Count(count)) => Some(*count),
            _ => None,
        }
    }

    /// A flag.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name) {
            Some(Checked::Flag(flag)) => Some(*flag),
            _ => None,
        }
    }

    /// A choice.
    pub(crate) fn choice(&self, name: &str) -> Option<&'static str> {
        match self.get(name) {
            Some(Checked::Choice(choice)) => Some(choice),
            _ => None,
        }
    }

    /// Bounds of `elements=`: first element, first element behind.
    pub(crate) fn elements(&self) -> Option<(usize, usize)> {
        let index = |bound: Option<u64>, open: usize| {
            bound.map_or(open, |index| usize::try_from(index).unwrap_or(usize::MAX))
        };
        match self.get("elements") {
            Some(Checked::Slice(first, behind)) => Some((index(*first, 0), index(*behind, usize::MAX))),
            _ => None,
        }
    }

    /// The width of bins.
    pub(crate) fn width(&self) -> Option<Width> {
        match self.get("width") {
            Some(Checked::Width(width)) => Some(*width),
            _ => None,
        }
    }

    /// A duration in ns.
    pub(crate) fn duration(&self, name: &str) -> Option<i64> {
        match self.get(name) {
            Some(Checked::Duration(ns)) => Some(*ns),
            _ => None,
        }
    }

    /// A list of words, in the order of the table.
    pub(crate) fn words(&self, name: &str) -> Option<&[&'static str]> {
        match self.get(name) {
            Some(Checked::Words(words)) => Some(words),
            _ => None,
        }
    }

    /// A glob or regular expression.
    pub(crate) fn pattern(&self, name: &str) -> Option<&Pattern> {
        match self.get(name) {
            Some(Checked::Pattern(pattern)) => Some(pattern),
            _ => None,
        }
    }

    /// The cursor.
    pub(crate) fn cursor(&self) -> Option<Cursor> {
        match self.get("cursor") {
            Some(Checked::Cursor(cursor)) => Some(**cursor),
            _ => None,
        }
    }

    /// The range asked for: `to` is now and `from` an hour before it unless given.
    pub(crate) fn range(&self) -> Result<TimeRange, ApiError> {
        if let Some(cursor) = self.cursor() {
            return Ok(cursor.range);
        }
        let to = self.time("to").unwrap_or(self.now);
        let from = self.time("from").unwrap_or(to.saturating_add(-RANGE_DEFAULT_NS));
        if from > to {
            let message = format!(
                "from ({}) lies after to ({}); a range runs forward, and to is now unless given",
                iso(from),
                iso(to)
            );
            let error = ApiError::of(Code::BadTime, message);
            return Err(ApiError { parameter: Some("from".into()), ..error });
        }
        Ok(TimeRange::new(from, to))
    }
}

impl Fault {
    fn of(parameter: &str, message: String) -> Fault {
        Fault { parameter: parameter.into(), code: Code::BadParameter, message, near: Vec::new() }
    }
}

/// A time in words.
pub(crate) fn iso(time: Timestamp) -> String {
    let mut out = Vec::new();
    time::IsoWriter::default().write(&mut out, time.0);
    String::from_utf8_lossy(&out).into_owned()
}

/// All faults in one error; its code and parameter are those of the first.
fn refusal(faults: Vec<Fault>) -> ApiError {
    let message: Vec<String> = faults.iter().map(|f| format!("{} {}", f.parameter, f.message)).collect();
    let near: Vec<String> = faults.iter().flat_map(|f| f.near.clone()).collect();
    let code = faults.first().map_or(Code::BadParameter, |f| f.code);
    let mut error = ApiError::of(code, message.join("; "));
    error.parameter = faults.into_iter().next().map(|f| f.parameter);
    error.near = (!near.is_empty()).then_some(near);
    error
}

fn zone(pairs: &Pairs, faults: &mut Vec<Fault>) -> Option<TimeZone> {
    let mut zones = pairs.iter().filter(|(name, _)| name == "tz");
    let (_, text) = zones.next()?;
    if zones.next().is_some() {
        faults.push(Fault::of("tz", "is given twice".into()));
    }
    match TimeZone::get(text) {
        Ok(zone) => Some(zone),
        Err(_) => {
            let message = format!("{text:?} is no time zone; expected a name like Europe/London or UTC");
            faults.push(Fault::of("tz", message));
            // Times without a zone are not at fault then.
            Some(TimeZone::UTC)
        }
    }
}

fn unknown(route: &Route, name: &str) -> Fault {
    let nearest = route
        .parameters
        .iter()
        .map(|p| (strsim::damerau_levenshtein(p.name, &name.to_lowercase()), p.name))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, nearest)| nearest);
    let hint = match nearest {
        Some(nearest) => format!("; did you mean {nearest}?"),
        None if route.parameters.is_empty() => "; it takes none".into(),
        None => {
            let all: Vec<&str> = route.parameters.iter().map(|p| p.name).collect();
            format!("; it takes {}", all.join(", "))
        }
    };
    let near = nearest.map(Into::into).into_iter().collect();
    Fault { near, ..Fault::of(name, format!("is not a parameter of {}{hint}", route.path)) }
}

fn value(parameter: &Parameter, text: &str, context: &TimeContext) -> Result<Checked, (Code, String)> {
    let bad = |message: String| (Code::BadParameter, message);
    match parameter.kind {
        Kind::Channel | Kind::After | Kind::Zone | Kind::Text => Ok(Checked::Text(text.into())),
        Kind::Time => {
            time::parse(text, context).map(Checked::Time).map_err(|error| (Code::BadTime, error.to_string()))
        }
        Kind::Nanoseconds => text.trim().parse().map(|ns| Checked::Time(Timestamp(ns))).map_err(|_| {
            (Code::BadTime, format!("{text:?} is not a 64-bit integer of nanoseconds since 1970"))
        }),
        Kind::Count => text
            .parse()
            .map(Checked::Count)
            .map_err(|_| bad(format!("{text:?} is not a count; expected an integer, 0 for all"))),
        Kind::Flag => match text {
            "true" | "1" => Ok(Checked::Flag(true)),
            "false" | "0" => Ok(Checked::Flag(false)),
            _ => Err(bad(format!("{text:?} is neither true nor false"))),
        },
        Kind::Choice(choices) => {
            choices.iter().find(|choice| **choice == text).map(|choice| Checked::Choice(choice)).ok_or_else(
                || bad(format!("{text:?} is not available here; there is {}", choices.join(", "))),
            )
        }
        Kind::Slice => slice(text)
            .ok_or_else(|| bad(format!("{text:?} is no slice; expected FIRST:BEHIND, for example 0:16"))),
        Kind::Width => Width::parse(text).map(Checked::Width).ok_or_else(|| {
            bad(format!("{text:?} is no width; expected N and one of ns us ms s m h d w, or 1mo or 1y"))
        }),
        Kind::Duration => width::duration(text).map(Checked::Duration).ok_or_else(|| {
            bad(format!("{text:?} is no duration; expected N and one of ns us ms s m h d w, for example 10s"))
        }),
        Kind::Words(words) => list(text, words).map(Checked::Words).map_err(bad),
        Kind::Glob => Pattern::glob(text).map(Checked::Pattern).map_err(bad),
        Kind::Regex => Pattern::regex(text).map(Checked::Pattern).map_err(bad),
        Kind::Cursor => {
            Cursor::decode(text).map(|cursor| Checked::Cursor(Box::new(cursor))).ok_or_else(|| {
                bad("is not one that an answer gave; pass its next unchanged, with that one channel".into())
            })
        }
    }
}

/// Words of a list with commas between, each once, in the order of `words`.
fn list(text: &str, words: &'static [&'static str]) -> Result<Vec<&'static str>, String> {
    let asked: Vec<&str> = text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    if let Some(other) = asked.iter().find(|word| !words.contains(word)) {
        return Err(format!("{other:?} is not one of {}", words.join(" ")));
    }
    if asked.is_empty() {
        return Err(format!("is empty; there is {}", words.join(" ")));
    }
    Ok(words.iter().filter(|word| asked.contains(word)).copied().collect())
}

fn slice(text: &str) -> Option<Checked> {
    let (first, behind) = text.split_once(':')?;
    let bound = |text: &str| if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) };
    let (first, behind) = (bound(first)?, bound(behind)?);
    let forward = first.unwrap_or(0) <= behind.unwrap_or(u64::MAX);
    forward.then_some(Checked::Slice(first, behind))
}
