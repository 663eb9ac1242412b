//! The `tracing` layer that writes lines.

use crate::LogFormat;
use crate::fold::Fold;
use crate::line::Line;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Writes each event as one line, repeats folded.
pub(crate) struct LineLayer {
    format: LogFormat,
    colour: bool,
    state: Mutex<State>,
}

struct State {
    fold: Fold<Line>,
    output: Box<dyn Write + Send>,
}

impl LineLayer {
    pub(crate) fn new(format: LogFormat, colour: bool, output: Box<dyn Write + Send>) -> LineLayer {
        LineLayer { format, colour, state: Mutex::new(State { fold: Fold::new(), output }) }
    }
}

impl<S: Subscriber> Layer<S> for LineLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line = Line::of(event);
        let time = format!("{:.3}", jiff::Timestamp::now());
        let mut text = String::new();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { fold, output } = &mut *state;
        fold.pass(line.key(), line, Instant::now(), &mut |line, repeated| {
            text.push_str(&line.render(self.format, self.colour, &time, repeated));
        });
        // Nobody can be told that stderr is closed.
        let _ = output.write_all(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, log: impl FnOnce()) -> String {
        let sink = Sink::default();
        let layer = LineLayer::new(format, false, Box::new(sink.clone()));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn events_become_lines_and_repeats_are_folded() {
        let text = logged(LogFormat::Text, || {
            for _ in 0..100 {
                tracing::warn!(server = "10.0.0.1:5064", channels = 3, "connection lost");
            }
            tracing::warn!(server = "10.0.0.2:5064", channels = 3, "connection lost");
            tracing::info!(name = "a b\x1b[31m\nc", "odd\x07");
        });
        let lines: Vec<&str> = text.lines().map(|line| line.split_once(' ').unwrap().1).collect();
        assert_eq!(
            lines,
            [
                "WARN  logging::layer::tests: connection lost server=10.0.0.1:5064 channels=3",
                "WARN  logging::layer::tests: connection lost server=10.0.0.2:5064 channels=3",
                "INFO  logging::layer::tests: odd\\u{7} name=\"a b\\u001b[31m\\nc\"",
            ]
        );
    }

    #[test]
    fn json_lines_are_json() {
        let text = logged(LogFormat::Json, || tracing::error!(bytes = 12_u64, ok = false, "full: \"x\""));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["level"], "error");
        assert_eq!(value["message"], "full: \"x\"");
        assert_eq!((&value["bytes"], &value["ok"]), (&serde_json::json!(12), &serde_json::json!(false)));
    }
}
