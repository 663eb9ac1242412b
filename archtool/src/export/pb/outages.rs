//! Connections that were lost and regained, as the appliance notes them beside the first sample afterwards.

use super::message::FieldValue;
use serde_json::Value;

const SECOND_NS: i64 = 1_000_000_000;

/// A time without a connection, between times with one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Outage {
    lost_ns: i64,
    regained_ns: i64,
    /// Whether the archiver itself was away, which the appliance notes in other words.
    restarted: bool,
}

/// The outages of a channel that no sample was seen behind yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Outages {
    /// The next one last.
    waiting: Vec<Outage>,
}

impl Outages {
    /// Those among the gaps of a channel in a range that begins at `from_ns`. What was never connected before, or not
    /// inside the range, has not lost its connection there.
    pub(super) fn of(gaps: &Value, from_ns: i64) -> Outages {
        let mut outages: Vec<Outage> = Vec::new();
        let mut behind = Some(from_ns);
        for gap in gaps.as_array().map(Vec::as_slice).unwrap_or_default() {
            let (Some(from), Some(to)) = (gap["from_ns"].as_i64(), gap["to_ns"].as_i64()) else { continue };
            let state = gap["state"].as_str().unwrap_or_default();
            let adjoins = behind == Some(from);
            behind = Some(to);
            let restarted = state == "engine_down";
            if !restarted && state != "disconnected" && state != "unknown" {
                continue;
            }
            match outages.last_mut() {
                Some(outage) if adjoins && outage.regained_ns == from => {
                    outage.regained_ns = to;
                    outage.restarted |= restarted;
                }
                _ if adjoins => {}
                _ => outages.push(Outage { lost_ns: from, regained_ns: to, restarted }),
            }
        }
        outages.reverse();
        Outages { waiting: outages }
    }

    /// What stands beside the next sample, of this time.
    pub(super) fn before(&mut self, time_ns: i64) -> Vec<FieldValue> {
        let mut last = None;
        while let Some(outage) = self.waiting.last()
            && outage.lost_ns < time_ns
        {
            last = self.waiting.pop();
        }
        let Some(Outage { lost_ns, regained_ns, restarted }) = last else { return Vec::new() };
        let lost = if restarted { 0 } else { lost_ns.div_euclid(SECOND_NS) };
        let mut fields = vec![
            ("cnxlostepsecs", lost.to_string()),
            ("cnxregainedepsecs", regained_ns.div_euclid(SECOND_NS).to_string()),
        ];
        if restarted {
            fields.push(("startup", true.to_string()));
        }
        fields.into_iter().map(|(name, val)| FieldValue { name: name.to_owned(), val }).collect()
    }
}
