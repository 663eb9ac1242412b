//! Facts as a table on a terminal, as CSV in a pipe, as JSON when asked for.

use crate::failure::Failure;
use crate::table::Table;
use serde_json::Value;
use std::io::{BufWriter, IsTerminal, StdoutLock, Write};

/// `--json`.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct JsonOption {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Whether a person looks at the output.
pub(crate) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Standard output with a buffer.
pub(crate) fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::with_capacity(64 * 1024, std::io::stdout().lock())
}

/// Prints a JSON value on one line.
pub(crate) fn json(value: &Value) -> Result<(), Failure> {
    text(&format!("{value}\n"))
}

/// Prints text as it stands.
pub(crate) fn text(text: &str) -> Result<(), Failure> {
    let mut output = stdout();
    output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(Failure::io("write the output"))
}

/// Rows in the form that fits where they go.
pub(crate) enum Rows {
    /// For a person.
    Table(Table<BufWriter<StdoutLock<'static>>>),
    /// For a program.
    Csv(Box<csv::Writer<StdoutLock<'static>>>),
}

impl Rows {
    /// With these titles (`>`: to the right).
    pub(crate) fn new(titles: &[&str]) -> Result<Rows, Failure> {
        if is_terminal() {
            return Ok(Rows::Table(Table::new(stdout(), titles)));
        }
        let mut writer = csv::Writer::from_writer(std::io::stdout().lock());
        writer.write_record(titles.iter().map(|title| title.trim_start_matches('>'))).map_err(unwritten)?;
        Ok(Rows::Csv(Box::new(writer)))
    }

    /// Whether times and sizes are to be readable rather than exact.
    pub(crate) fn readable(&self) -> bool {
        matches!(self, Rows::Table(_))
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, row: Vec<String>) -> Result<(), Failure> {
        match self {
            Rows::Table(table) => table.row(row),
            Rows::Csv(writer) => writer.write_record(row).map_err(unwritten),
        }
    }

    /// Ends the output.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self {
            Rows::Table(table) => table.finish(),
            Rows::Csv(mut writer) => writer.flush().map_err(Failure::io("write the output")),
        }
    }
}

fn unwritten(error: csv::Error) -> Failure {
    let source = match error.into_kind() {
        csv::ErrorKind::Io(source) => source,
        other => std::io::Error::other(format!("{other:?}")),
    };
    Failure::io("write the output")(source)
}

/// Prints a warning beside the output.
pub(crate) fn warn(message: &str) {
    // Nobody can be told that stderr is closed.
    let _ = writeln!(std::io::stderr(), "archtool: {}", crate::table::harmless(message));
}

/// A JSON scalar as a cell; null is empty.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
