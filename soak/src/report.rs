//! What a run measured, bar by bar, as rows of a Markdown table.

use std::fmt::Display;

/// Prints rows as they are known; remembers whether a bar was missed.
pub(crate) struct Report {
    run: &'static str,
    missed: u32,
}

impl Report {
    /// Begins the block of a run.
    pub(crate) fn begin(run: &'static str, how: &str) -> Report {
        println!("\n### {run}\n\n{how}\n\n| run | what | measured | bar | |\n|---|---|---|---|---|");
        Report { run, missed: 0 }
    }

    /// A figure without a bar.
    pub(crate) fn figure(&mut self, what: &str, measured: impl Display) {
        println!("| {} | {what} | {measured} | | |", self.run);
    }

    /// A figure with a bar.
    pub(crate) fn bar(&mut self, what: &str, measured: impl Display, bar: &str, met: bool) {
        let verdict = if met { "PASS" } else { "MISS" };
        println!("| {} | {what} | {measured} | {bar} | {verdict} |", self.run);
        self.missed += u32::from(!met);
    }

    /// A figure whose bar is judged in full release runs only.
    pub(crate) fn bar_if(&mut self, judged: bool, what: &str, measured: impl Display, bar: &str, met: bool) {
        if judged { self.bar(what, measured, bar, met) } else { self.figure(what, measured) }
    }

    /// Whether every bar was met.
    pub(crate) fn passed(&self) -> bool {
        self.missed == 0
    }
}
