//! Reads counters back and looks for what is missing or double.

use crate::Failure;
use crate::http::Client;
use crate::records::{counts, counts_in_text};
use retrieval_server::columns::Batch;
use sample::Column;
use std::collections::BTreeMap;

/// What is stored of one counter.
#[derive(Default)]
pub(crate) struct Series {
    /// ns since 1970.
    pub(crate) times: Vec<i64>,
    /// Counts.
    pub(crate) values: Vec<i64>,
    /// ns since 1970, where stored.
    pub(crate) received: Vec<i64>,
}

/// What is wrong with counters.
#[derive(Default)]
pub(crate) struct Faults {
    /// Counters looked at.
    pub(crate) channels: u64,
    /// Samples looked at, of channels that do not count too.
    pub(crate) samples: u64,
    /// Values between two neighbours that are not there, although the IOC sent them.
    pub(crate) missing: u64,
    /// Values between two neighbours that the IOC says it replaced by newer ones before it sent them.
    pub(crate) replaced: u64,
    /// Steps of strings that are not 1; the IOC queues none of their values.
    pub(crate) unqueued: u64,
    /// Values that do not rise; of strings, that fall.
    pub(crate) doubled: u64,
    /// Stamps that do not rise.
    pub(crate) disordered: u64,
    /// The first fault in words.
    pub(crate) first: Option<String>,
}

impl Faults {
    /// Whether there is none.
    pub(crate) fn none(&self) -> bool {
        self.missing == 0 && self.doubled == 0 && self.disordered == 0
    }

    /// Looks at one counter, of which the IOC replaced `replaced` values by newer ones before it sent them.
    pub(crate) fn look(&mut self, name: &str, series: &Series, replaced: u64) {
        self.channels += 1;
        let mut absent = 0;
        for i in 1..series.values.len() {
            let step = series.values[i] - series.values[i - 1];
            let rises = series.times[i] > series.times[i - 1];
            if step != 1 || !rises {
                let place = format!(
                    "{name}: {} after {} at {}",
                    series.values[i],
                    series.values[i - 1],
                    series.times[i]
                );
                self.first.get_or_insert(place);
            }
            absent += u64::try_from(step - 1).unwrap_or(0);
            self.doubled += u64::from(step <= 0);
            self.disordered += u64::from(!rises);
        }
        self.missing += absent.saturating_sub(replaced);
        self.replaced += absent.min(replaced);
    }

    /// Looks at a counter in a string: it never falls.
    pub(crate) fn look_at_text(&mut self, series: &Series) {
        for i in 1..series.values.len() {
            let step = series.values[i] - series.values[i - 1];
            self.unqueued += u64::from(step != 1);
            self.doubled += u64::from(step < 0);
            self.disordered += u64::from(series.times[i] <= series.times[i - 1]);
        }
    }
}

impl std::fmt::Display for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Faults { channels, samples, missing, replaced, unqueued, doubled, disordered, first } = self;
        write!(
            f,
            "{missing} missing, {doubled} double, {disordered} out of order; {samples} samples read, {channels} counters checked"
        )?;
        if *replaced > 0 {
            write!(f, "; {replaced} more that the IOC replaced by newer ones before it sent them (dbel)")?;
        }
        if *unqueued > 0 {
            write!(f, "; {unqueued} steps of other than 1 in strings, which the IOC does not queue")?;
        }
        first.iter().try_for_each(|first| write!(f, "; first: {first}"))
    }
}

/// The counters of an answer; names of those that do not count have only their number of samples.
pub(crate) fn series(batches: &[Batch]) -> Result<BTreeMap<String, Series>, Failure> {
    let mut all: BTreeMap<String, Series> = BTreeMap::new();
    for batch in batches {
        let series = all.entry(batch.name.clone()).or_default();
        series.times.extend(&batch.block.time);
        series.received.extend(&batch.block.received);
        if counts(&batch.name) || counts_in_text(&batch.name) {
            integers(&batch.block.values, &mut series.values).ok_or_else(|| {
                format!("{}: a value that is no count in {:?}", batch.name, batch.block.values.kind())
            })?;
        }
    }
    Ok(all)
}

fn integers(column: &Column, into: &mut Vec<i64>) -> Option<()> {
    match column {
        Column::Float64(values) => {
            for value in values {
                if value.fract() != 0.0 {
                    return None;
                }
                into.push(*value as i64);
            }
        }
        Column::Int32(values) => into.extend(values.iter().map(|value| i64::from(*value))),
        Column::String(values) => {
            for i in 0..values.len() {
                into.push(std::str::from_utf8(values.get(i)).ok()?.parse().ok()?);
            }
        }
        _ => return None,
    }
    Some(())
}

/// Everything stored of `groups` groups since `from`, each channel handed to `look`.
pub(crate) fn read_back(
    client: &Client,
    groups: u64,
    from: i64,
    mut look: impl FnMut(&str, &Series) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for group in 0..groups {
        let batches = client.samples(&format!("match=T:{group:04}:*&from_ns={from}"))?;
        for (name, series) in series(&batches)? {
            look(&name, &series)?;
        }
    }
    Ok(())
}
