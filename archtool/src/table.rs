//! Aligned columns on a terminal.

use crate::failure::Failure;
use std::io::Write;
use unicode_width::UnicodeWidthStr;

/// Rows that decide how wide the columns are.
const ROWS_MEASURED: usize = 200;
/// A column gets no wider than this; longer texts stand out of it.
const WIDTH_MAX: usize = 48;

/// A table that is printed while its rows come.
pub(crate) struct Table<W> {
    output: W,
    /// Columns whose texts are put to the right.
    right: Vec<bool>,
    widths: Vec<usize>,
    /// Rows that wait until enough have come; `None` once they are printed.
    waiting: Option<Vec<Vec<String>>>,
}

impl<W: Write> Table<W> {
    /// With these titles; a title that begins with `>` is that of a column put to the right.
    pub(crate) fn new(output: W, titles: &[&str]) -> Table<W> {
        let right = titles.iter().map(|title| title.starts_with('>')).collect();
        let titles: Vec<String> =
            titles.iter().map(|title| title.trim_start_matches('>').to_uppercase()).collect();
        Table { output, right, widths: vec![0; titles.len()], waiting: Some(vec![titles]) }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, row: Vec<String>) -> Result<(), Failure> {
        match &mut self.waiting {
            Some(rows) => {
                rows.push(row);
                if rows.len() > ROWS_MEASURED {
                    self.settle()?;
                }
                Ok(())
            }
            None => self.print(&row),
        }
    }

    /// Prints what waits.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        self.settle()?;
        self.output.flush().map_err(Failure::io("write the output"))
    }

    fn settle(&mut self) -> Result<(), Failure> {
        let rows = self.waiting.take().unwrap_or_default();
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(harmless(cell).width()).min(WIDTH_MAX);
            }
        }
        rows.iter().try_for_each(|row| self.print(row))
    }

    fn print(&mut self, row: &[String]) -> Result<(), Failure> {
        let mut line = String::new();
        for (i, cell) in row.iter().enumerate() {
            let cell = harmless(cell);
            let blanks = " ".repeat(self.widths.get(i).copied().unwrap_or(0).saturating_sub(cell.width()));
            if i > 0 {
                line.push_str("  ");
            }
            if self.right.get(i) == Some(&true) {
                line.push_str(&blanks);
                line.push_str(&cell);
            } else {
                line.push_str(&cell);
                line.push_str(&blanks);
            }
        }
        writeln!(self.output, "{}", line.trim_end()).map_err(Failure::io("write the output"))
    }
}

/// Text from the archive must not be able to steer the terminal.
pub(crate) fn harmless(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = c.is_control();
            let kept = (!escaped).then_some(c);
            kept.into_iter().chain(escaped.then(|| c.escape_default()).into_iter().flatten())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_texts_cannot_steer() {
        let mut bytes = Vec::new();
        let mut table = Table::new(&mut bytes, &["name", ">samples", "state"]);
        for (name, samples, state) in [("A", "5", "held"), ("Ärger", "12345", "\x1b[2Jx"), ("", "", "")] {
            table.row([name, samples, state].map(str::to_owned).to_vec()).unwrap();
        }
        table.finish().unwrap();
        let expected = "NAME   SAMPLES  STATE\nA            5  held\nÄrger    12345  \\u{1b}[2Jx\n\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn rows_beyond_the_measured_ones_are_printed_at_once() {
        let mut bytes = Vec::new();
        let mut table = Table::new(&mut bytes, &["a"]);
        for i in 0..ROWS_MEASURED + 2 {
            table.row(vec![format!("{i}")]).unwrap();
        }
        assert!(table.waiting.is_none());
        table.finish().unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap().lines().count(), ROWS_MEASURED + 3);
    }
}
