//! One event as a line.

use crate::LogFormat;
use serde_json::{Map, Value, json};
use std::fmt::Write;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// What an event says.
pub(crate) struct Line {
    level: Level,
    target: String,
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Line {
    pub(crate) fn of(event: &Event<'_>) -> Line {
        let metadata = event.metadata();
        let mut line = Line {
            level: *metadata.level(),
            target: metadata.target().to_owned(),
            message: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut line);
        line
    }

    /// Equal for messages that tell the same.
    pub(crate) fn key(&self) -> String {
        let mut key = format!("{}\0{}\0{}", self.level, self.target, self.message);
        for (name, value) in &self.fields {
            let _ = write!(key, "\0{name}={value}");
        }
        key
    }

    /// The line with its newline. `repeated` is how many messages it stands for, 0 for itself alone.
    pub(crate) fn render(&self, format: LogFormat, colour: bool, time: &str, repeated: u64) -> String {
        match format {
            LogFormat::Text => self.text(colour, time, repeated),
            LogFormat::Json => self.json(time, repeated),
        }
    }

    fn text(&self, colour: bool, time: &str, repeated: u64) -> String {
        let (on, off) = match self.level {
            _ if !colour => ("", ""),
            Level::ERROR => ("\x1b[31m", "\x1b[0m"),
            Level::WARN => ("\x1b[33m", "\x1b[0m"),
            Level::INFO => ("\x1b[32m", "\x1b[0m"),
            _ => ("\x1b[2m", "\x1b[0m"),
        };
        let mut line =
            format!("{time} {on}{:5}{off} {}: {}", self.level, self.target, escaped(&self.message));
        for (name, value) in &self.fields {
            let _ = match value {
                Value::String(text) if text.chars().all(plain) && !text.is_empty() => {
                    write!(line, " {name}={text}")
                }
                other => write!(line, " {name}={other}"),
            };
        }
        if repeated > 1 {
            let _ = write!(line, " ({repeated} times)");
        }
        line.push('\n');
        line
    }

    fn json(&self, time: &str, repeated: u64) -> String {
        let mut object = Map::new();
        object.insert("time".to_owned(), json!(time));
        object.insert("level".to_owned(), json!(self.level.as_str().to_lowercase()));
        object.insert("target".to_owned(), json!(self.target));
        object.insert("message".to_owned(), json!(self.message));
        for (name, value) in &self.fields {
            object.insert((*name).to_owned(), value.clone());
        }
        if repeated > 1 {
            object.insert("repeated".to_owned(), json!(repeated));
        }
        format!("{}\n", Value::Object(object))
    }
}

/// Characters that need no quotes.
fn plain(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && c != '"' && c != '='
}

/// Names and texts from the network must not be able to write lines or colours of their own. Line ends inside
/// a message of ours indent the next line.
fn escaped(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    for c in message.chars() {
        match c {
            '\n' => text.push_str("\n    "),
            c if c.is_control() => text.extend(c.escape_default()),
            c => text.push(c),
        }
    }
    text
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.fields.push((field.name(), json!(format!("{value:?}"))));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.fields.push((field.name(), json!(value)));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.fields.push((field.name(), json!(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.fields.push((field.name(), json!(value)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.fields.push((field.name(), json!(value)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.fields.push((field.name(), json!(value)));
    }
}
