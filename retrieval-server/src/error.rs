//! What a client is told when a request cannot be answered.

use crate::limits::RETRY_AFTER;
use engine::read::{Problem, ProblemCode, ReadError};
use serde_json::{Value, json};
use std::fmt;

/// Stable names of what went wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    /// A parameter is unknown, malformed or does not fit the others.
    BadParameter,
    /// A time cannot be understood.
    BadTime,
    /// No archive here knows the channel.
    UnknownChannel,
    /// Body or answer would be too large.
    TooLarge,
    /// Too many requests at once.
    TooMany,
    /// The archive is starting.
    NotReady,
    /// Stored bytes do not check.
    Damaged,
    /// Archive or file system cannot be reached.
    Unavailable,
}

impl Code {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Code::BadParameter => "bad_parameter",
            Code::BadTime => "bad_time",
            Code::UnknownChannel => "unknown_channel",
            Code::TooLarge => "too_large",
            Code::TooMany => "too_many",
            Code::NotReady => "not_ready",
            Code::Damaged => "damaged",
            Code::Unavailable => "unavailable",
        }
    }

    /// The HTTP status that usually goes with it.
    fn status(self) -> u16 {
        match self {
            Code::BadParameter | Code::BadTime => 400,
            Code::UnknownChannel => 404,
            Code::TooLarge => 422,
            Code::TooMany => 429,
            Code::Damaged => 500,
            Code::NotReady | Code::Unavailable => 503,
        }
    }
}

/// A refusal: everything that the client is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiError {
    /// What kind.
    pub code: Code,
    /// HTTP status.
    pub status: u16,
    /// What is wrong, in words.
    pub message: String,
    /// The channel concerned.
    pub channel: Option<String>,
    /// The first bad parameter.
    pub parameter: Option<String>,
    /// Names that may have been meant.
    pub near: Option<Vec<String>>,
}

impl ApiError {
    /// What breaks an answer whose format cannot tell of a problem.
    pub(crate) fn problem(found: &Problem) -> ApiError {
        let code = match found.code {
            ProblemCode::Damaged => Code::Damaged,
            ProblemCode::ArchiveUnavailable => Code::Unavailable,
            ProblemCode::Limit => Code::TooLarge,
        };
        ApiError::of(code, found.message.clone())
    }

    /// An error with the status that usually goes with `code`.
    pub fn of(code: Code, message: impl Into<String>) -> ApiError {
        let (status, message) = (code.status(), message.into());
        ApiError { code, status, message, channel: None, parameter: None, near: None }
    }

    /// A bad parameter.
    pub fn parameter(name: &str, message: impl Into<String>) -> ApiError {
        ApiError { parameter: Some(name.into()), ..ApiError::of(Code::BadParameter, message) }
    }

    /// No such path.
    pub fn no_route(path: &str) -> ApiError {
        let message = format!("there is no request {path}; /openapi.json lists those there are");
        ApiError { status: 404, ..ApiError::of(Code::BadParameter, message) }
    }

    /// A request's body is larger than `max` bytes.
    pub fn body(max: usize) -> ApiError {
        let message = format!("the body is larger than {max} bytes; ask in several requests");
        ApiError { status: 413, ..ApiError::of(Code::TooLarge, message) }
    }

    /// A channel that no archive here knows.
    pub fn unknown_channel(name: &str, near: Vec<String>) -> ApiError {
        let hint = match near.first() {
            Some(first) => format!("; nearest name: {first}"),
            None => String::new(),
        };
        let mut error = ApiError::of(Code::UnknownChannel, format!("no archive here knows {name}{hint}"));
        error.channel = Some(name.into());
        error.near = Some(near);
        error
    }

    /// A failed read, of `channel` if one is concerned.
    pub fn read(error: &ReadError, channel: Option<&str>) -> ApiError {
        let code = match error {
            ReadError::Damaged { .. } => Code::Damaged,
            ReadError::NotReady(_) => Code::NotReady,
            ReadError::Vanished(_) | ReadError::Io(_) | ReadError::Unavailable(_) => Code::Unavailable,
        };
        ApiError { channel: channel.map(Into::into), ..ApiError::of(code, error.to_string()) }
    }

    /// The object behind the key `error`.
    pub fn object(&self) -> Value {
        let mut object = json!({"code": self.code.name(), "message": self.message});
        if let Some(channel) = &self.channel {
            object["channel"] = json!(channel);
        }
        if let Some(parameter) = &self.parameter {
            object["parameter"] = json!(parameter);
        }
        if let Some(near) = &self.near {
            object["near"] = json!(near);
        }
        object
    }

    /// The whole body.
    pub fn body_json(&self) -> Vec<u8> {
        let mut body = json!({"error": self.object()}).to_string().into_bytes();
        body.push(b'\n');
        body
    }

    /// Seconds after which trying again makes sense.
    pub fn retry_after_s(&self) -> Option<u64> {
        matches!(self.status, 429 | 503).then_some(RETRY_AFTER.as_secs())
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}
