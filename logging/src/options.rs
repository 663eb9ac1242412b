//! The options `--log` with `--log-format`.

use crate::layer::LineLayer;
use std::io::IsTerminal;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What every program can be told about its log.
#[derive(Clone, Debug, clap::Args)]
pub struct LogOptions {
    /// What is logged on stderr: error, warn, info, debug, trace or off, also per part: info,engine=debug
    /// [default: info in servers, warn in tools]
    #[arg(id = "log_level", long = "log", value_name = "LEVEL", global = true, value_parser = levels)]
    level: Option<Levels>,
    /// How log lines look
    #[arg(id = "log_format", long = "log-format", value_enum, default_value = "text", global = true)]
    format: LogFormat,
}

/// A checked `--log`.
#[derive(Clone, Debug)]
struct Levels(Targets);

fn levels(text: &str) -> Result<Levels, String> {
    // A bare word would be taken for the name of a part that logs everything.
    let are_levels = text.split(',').all(|part| {
        let level = part.split_once('=').map_or(part, |(_, level)| level);
        !level.trim().is_empty() && level.trim().parse::<LevelFilter>().is_ok()
    });
    match text.parse() {
        Ok(targets) if are_levels => Ok(Levels(targets)),
        _ => {
            Err("expected error, warn, info, debug, trace or off, or a list such as info,engine=debug"
                .to_owned())
        }
    }
}

impl LogOptions {
    /// Begins to log as a server does: what happens, unless `--log` says otherwise. A second call in one
    /// process changes nothing.
    pub fn start(&self) {
        self.start_at(LevelFilter::INFO);
    }

    /// Begins to log as a hand tool does: only what is wrong, unless `--log` says otherwise.
    pub fn start_quiet(&self) {
        self.start_at(LevelFilter::WARN);
    }

    fn start_at(&self, default: LevelFilter) {
        let targets = match &self.level {
            Some(Levels(targets)) => targets.clone(),
            None => Targets::new().with_default(default),
        };
        let stderr = std::io::stderr();
        let colour =
            stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let layer = LineLayer::new(self.format, colour, Box::new(stderr));
        // It fails only where a subscriber is set already, which then goes on.
        let _ = tracing_subscriber::registry().with(targets).with(layer).try_init();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_words_of_the_list() {
        for text in ["info", "OFF", "warn,engine=debug", "engine=trace"] {
            assert!(levels(text).is_ok(), "{text}");
        }
        for text in ["", "loud", "engine=loud", "info,,", "engine"] {
            assert!(levels(text).is_err(), "{text}");
        }
    }
}
