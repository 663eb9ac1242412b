//! What `coverage` and `events` share: channels and a range, and rows of what each channel has in it.

use super::{PlaceAndChannels, answered};
use crate::command_line::Outcome;
use crate::failure::Failure;
use crate::print::{JsonOption, Rows, json};
use crate::range::RangeOptions;
use jiff::tz::TimeZone;
use serde_json::Value;

#[derive(clap::Args)]
pub(crate) struct OverRange {
    #[command(flatten)]
    asked: PlaceAndChannels,
    #[command(flatten)]
    range: RangeOptions,
    #[command(flatten)]
    json: JsonOption,
}

impl OverRange {
    /// Prints the answer of `path`: its JSON, or one row for each element of `list` in each channel, whose cells are
    /// made from the channel, the element, the zone and whether people read them.
    pub(super) fn print(
        self,
        path: &'static str,
        list: &str,
        titles: &[&str],
        cells: impl Fn(&Value, &Value, &TimeZone, bool) -> Vec<String>,
    ) -> Result<Outcome, Failure> {
        let (place, mut pairs) = self.asked.open()?;
        pairs.extend(self.range.pairs()?);
        let answer = place.json(path, pairs)?;
        let (channels, outcome) = answered(&answer);
        if self.json.json {
            json(&answer)?;
            return Ok(outcome);
        }
        let zone = self.range.zone.zone()?;
        let mut rows = Rows::new(titles)?;
        for channel in channels {
            for element in channel[list].as_array().map(Vec::as_slice).unwrap_or_default() {
                rows.row(cells(channel, element, &zone, rows.readable()))?;
            }
        }
        rows.finish()?;
        Ok(outcome)
    }
}
