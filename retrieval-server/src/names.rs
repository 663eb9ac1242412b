//! Which channels a request means.

use crate::error::{ApiError, Code};
use crate::limits::{MATCH_CHANNELS_MAX, NAMES_MAX, NEAR_NAMES_MAX};
use crate::query::Query;
use engine::read::{ChannelFilter, Reader};
use sample::ChannelName;
use serde_json::{Value, json};
use std::collections::HashSet;

/// One channel of a request, in its place.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// A known one.
    Known {
        /// As it was asked for, stripped.
        name: ChannelName,
        /// As it is stored.
        stored: ChannelName,
    },
    /// One that cannot be answered.
    Refused {
        /// As it was asked for.
        name: String,
        /// Why.
        error: ApiError,
    },
}

impl Target {
    /// As it was asked for.
    pub(crate) fn name(&self) -> &str {
        match self {
            Target::Known { name, .. } => name.as_str(),
            Target::Refused { name, .. } => name,
        }
    }

    /// The name as it is stored where that is another one.
    pub(crate) fn channel(&self) -> Option<&str> {
        match self {
            Target::Known { name, stored } if name != stored => Some(stored.as_str()),
            _ => None,
        }
    }

    /// The first keys of the channel's object in an answer.
    pub(crate) fn object(&self) -> Value {
        let mut object = json!({"name": self.name()});
        if let Some(channel) = self.channel() {
            object["channel"] = json!(channel);
        }
        if let Target::Refused { error, .. } = self {
            object["error"] = error.object();
            object["error"].as_object_mut().map(|error| error.shift_remove("channel"));
        }
        object
    }
}

/// The name asked for and the stored one: without scheme and `.VAL`; blanks may have been plus signs. A name
/// that no archive knows is unavailable where one that might know it does not answer.
pub(crate) fn resolve(reader: &Reader, text: &str) -> Result<Target, ApiError> {
    let name = ChannelName::parse(text)
        .map_err(|error| ApiError::parameter("channel", format!("channel {text:?}: {error}")))?;
    let plus = text.contains(' ').then(|| ChannelName::parse(&text.replace(' ', "+")).ok()).flatten();
    let mut error = ApiError::unknown_channel(name.as_str(), Vec::new());
    for candidate in [Some(name.clone()), plus].into_iter().flatten() {
        match reader.resolve(candidate.as_str()) {
            Ok(Some(stored)) => return Ok(Target::Known { name: candidate, stored }),
            Ok(None) => {}
            Err(failure) => error = ApiError::read(&failure, Some(text)),
        }
    }
    Ok(Target::Refused { name: name.to_string(), error })
}

/// The channels of a request in its order, each name once; one unknown name alone is an error, and unknown
/// ones among others carry near names. It is an error, too, when no archive answers.
pub(crate) fn targets(reader: &Reader, query: &Query) -> Result<Vec<Target>, ApiError> {
    let mut targets = asked(reader, query)?;
    let unknown = targets.iter_mut().filter_map(|target| match target {
        Target::Refused { name, error } if error.code == Code::UnknownChannel => Some((name, error)),
        Target::Refused { .. } | Target::Known { .. } => None,
    });
    for (name, error) in unknown.take(NEAR_NAMES_MAX) {
        *error = ApiError::unknown_channel(name, reader.near(name));
    }
    if let [Target::Refused { error, .. }] = targets.as_slice() {
        return Err(error.clone());
    }
    let known = targets.iter().any(|target| matches!(target, Target::Known { .. }));
    let silent = targets.iter().find_map(|target| match target {
        Target::Refused { error, .. } if error.code != Code::UnknownChannel => Some(error.clone()),
        _ => None,
    });
    match silent {
        Some(error) if !known => Err(error),
        _ => Ok(targets),
    }
}

/// The channels of a request in its order, each name once; unknown ones are no error here.
pub(crate) fn asked(reader: &Reader, query: &Query) -> Result<Vec<Target>, ApiError> {
    let mut targets = Vec::new();
    let mut seen = HashSet::new();
    for text in query.channels() {
        let target = resolve(reader, text)?;
        if seen.insert(target.name().to_string()) {
            targets.push(target);
        }
        if targets.len() > NAMES_MAX {
            let message = format!("more than {NAMES_MAX} names; ask in several requests");
            return Err(ApiError { parameter: Some("channel".into()), ..too_large(message) });
        }
    }
    if query.pattern("match").is_some() {
        for target in matching(reader, query)? {
            if seen.insert(target.name().to_string()) {
                targets.push(target);
            }
        }
    } else if targets.is_empty() {
        let message = "channel is missing: name one with channel=, or several with match=";
        return Err(ApiError::parameter("channel", message));
    }
    Ok(targets)
}

fn too_large(message: String) -> ApiError {
    ApiError::of(Code::TooLarge, message)
}

fn matching(reader: &Reader, query: &Query) -> Result<Vec<Target>, ApiError> {
    let matches = |name: &str| query.pattern("match").is_some_and(|pattern| pattern.matches(name));
    let filter = ChannelFilter { matches: &matches, state: None, after: None, limit: MATCH_CHANNELS_MAX + 1 };
    let rows = reader.channels(&filter).map_err(|error| ApiError::read(&error, None))?;
    if rows.len() > MATCH_CHANNELS_MAX {
        let message = format!(
            "match means more than {MATCH_CHANNELS_MAX} channels; narrow it, or list them with \
             /api/v1/channels and ask in several requests"
        );
        return Err(ApiError { parameter: Some("match".into()), ..too_large(message) });
    }
    let target = |row: engine::read::ChannelSummary| Target::Known {
        stored: row.alias_of.unwrap_or_else(|| row.name.clone()),
        name: row.name,
    };
    Ok(rows.into_iter().map(target).collect())
}
