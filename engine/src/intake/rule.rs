//! What the rules of one channel make of its samples.

use super::clocks::{Clocks, NO_SERVER};
use crate::config::{ChannelSettings, Mode, StampRule};
use crate::limits::HELD_BACK_SAMPLES_MAX;
use crate::writer::{Outcome, Writer};
use sample::{ChannelId, DropCause, EventKind, Metadata, Sample, Severity, Status, Timestamp, Value, Week};
use std::sync::Arc;

/// Stamps before 1991-01-01T00:00:00Z are unset: the record was never processed.
const UNSET_BEFORE: Timestamp = Timestamp(662_688_000 * 1_000_000_000);
const SECOND_NS: i64 = 1_000_000_000;

/// Where the samples of a channel go.
pub(super) struct Passage<'a> {
    pub(super) writer: &'a mut Writer,
    pub(super) clocks: &'a mut Clocks,
    pub(super) channel: ChannelId,
    /// Whether samples keep the time of their receipt.
    pub(super) receive_time: bool,
}

/// Rules and running state of one channel.
///
/// One cache line, with everything rare behind a pointer: every sample of every channel passes its rule.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Rule {
    pub(super) settings: Arc<ChannelSettings>,
    /// The next sample is the first since a connect.
    pub(super) first: bool,
    /// Values held back until the metadata of the connection is there; `None` when it is.
    #[expect(clippy::box_collection, reason = "a rule is one cache line")]
    pub(super) held_back: Option<Box<Vec<(Timestamp, Sample)>>>,
    pub(super) metadata_known: bool,
    /// Metadata with their receipt, not recorded yet: the next sample may carry an older stamp and be the
    /// first that they describe.
    pub(super) described: Option<Box<(Timestamp, Metadata)>>,
    /// Last value that was stored, with its alarm, where there is a dead band.
    pub(super) passed: Option<Box<Passed>>,
    /// Newest sample of the current scan period.
    pub(super) scanned: Option<Box<(Timestamp, Sample)>>,
    /// Reading of the last sample whose unset stamp was replaced.
    replaced: Option<Box<u64>>,
    /// The current second of receipt (its low bits) with the value bytes in it.
    second: (u32, u32),
    pub(super) server: u32,
}

const _: () = assert!(size_of::<Option<Rule>>() == 64);

/// A number with its alarm.
type Passed = (f64, Severity, Status);

impl Rule {
    /// Of a channel that was not connected yet.
    pub(super) fn new(settings: Arc<ChannelSettings>) -> Rule {
        Rule {
            settings,
            first: true,
            held_back: None,
            described: None,
            metadata_known: false,
            passed: None,
            scanned: None,
            replaced: None,
            second: (0, 0),
            server: NO_SERVER,
        }
    }

    /// Whether a sample lies so near to the last stored one that it is left out.
    fn within_dead_band(&self, band: f64, reading: Passed) -> bool {
        let near = |last: f64| (last - reading.0).abs() < band || last.to_bits() == reading.0.to_bits();
        !self.first
            && self
                .passed
                .as_ref()
                .is_some_and(|last| (last.1, last.2) == (reading.1, reading.2) && near(last.0))
    }

    /// Takes a sample; what is left of it means nothing.
    pub(super) fn arrive(&mut self, passage: &mut Passage<'_>, received: Timestamp, sample: &mut Sample) {
        if let Some(held) = &mut self.held_back {
            if held.len() < HELD_BACK_SAMPLES_MAX {
                held.push((received, taken(sample)));
                return;
            }
            self.release_held_back(passage);
        }
        self.sample(passage, received, sample);
    }

    /// Lets samples through that waited for metadata.
    pub(super) fn release_held_back(&mut self, passage: &mut Passage<'_>) {
        let Some(held) = self.held_back.take() else { return };
        for (received, mut sample) in *held {
            self.sample(passage, received, &mut sample);
        }
    }

    /// Lets the newest sample of a scan period through.
    pub(super) fn take_scanned(&mut self, passage: &mut Passage<'_>) {
        if let Some((received, mut sample)) = self.scanned.take().map(|scanned| *scanned) {
            self.pass(passage, received, &mut sample);
        }
    }

    /// Records metadata that wait for a sample: they hold from `sample` on, if that is a new one stamped
    /// before their receipt, and never for a sample that was stored before. They begin in the present week at
    /// the earliest, as does all that is carried into it.
    pub(super) fn date_metadata(&mut self, passage: &mut Passage<'_>, sample: Option<Timestamp>) {
        let Some(described) = self.described.take() else { return };
        let (received, metadata) = *described;
        let Passage { writer, channel, .. } = passage;
        let newest = writer.slot(*channel).and_then(|slot| slot.lock().newest).map(|newest| newest.time);
        let first = sample.filter(|time| newest.is_none_or(|newest| *time > newest));
        let from = first.map_or(received, |first| first.min(received));
        let earliest = newest.map_or(Timestamp::MIN, |newest| newest.saturating_add(1));
        writer.metadata(*channel, from.max(earliest).max(Week::containing(received).start()), metadata);
    }

    fn sample(&mut self, passage: &mut Passage<'_>, received: Timestamp, sample: &mut Sample) {
        if matches!(self.settings.mode, Mode::Scan { .. }) && !self.first {
            let scanned = (received, taken(sample));
            match &mut self.scanned {
                Some(kept) => **kept = scanned,
                None => self.scanned = Some(Box::new(scanned)),
            }
            return;
        }
        self.pass(passage, received, sample);
    }

    /// Behind `scan`: dead band, then everything that counts as received.
    fn pass(&mut self, passage: &mut Passage<'_>, received: Timestamp, sample: &mut Sample) {
        let reading = self
            .settings
            .deadband
            .and_then(|band| Some((band, (sample.value.as_f64()?, sample.severity, sample.status))));
        if reading.is_some_and(|(band, reading)| self.within_dead_band(band, reading)) {
            return;
        }
        sample.metadata_known = self.metadata_known;
        sample.received = passage.receive_time.then_some(received);
        let first = std::mem::replace(&mut self.first, false);
        let outcome = self.stamp(passage, received, sample, first);
        if !matches!(outcome, Outcome::Dropped(_)) {
            self.passed = reading.map(|(_, reading)| Box::new(reading));
        }
    }

    /// Gives a received sample the time that the channel's rule asks for, and hands it to the writer.
    fn stamp(
        &mut self,
        passage: &mut Passage<'_>,
        received: Timestamp,
        sample: &mut Sample,
        first: bool,
    ) -> Outcome {
        let channel = passage.channel;
        let original = sample.time;
        let unset = original < UNSET_BEFORE;
        let future = !unset && passage.clocks.is_future(self.server, original, received);
        let always = self.settings.timestamps == StampRule::Receive;
        let wrong = match self.settings.timestamps {
            StampRule::Ioc => unset,
            StampRule::IocElseReceive => unset || future,
            StampRule::Receive => false,
        };
        if wrong && self.is_again(passage, sample, first) {
            passage.writer.append_redelivered(channel);
            return Outcome::Redelivered;
        }
        if wrong || always {
            sample.time = received;
        } else if future {
            passage.writer.append_dropped(channel, DropCause::Future, sample);
            return Outcome::Dropped(DropCause::Future);
        }
        if self.is_too_much(received, sample.value.byte_len()) {
            passage.writer.append_dropped(channel, DropCause::Rate, sample);
            return Outcome::Dropped(DropCause::Rate);
        }
        if self.described.is_some() {
            self.date_metadata(passage, Some(sample.time));
        }
        let outcome = passage.writer.append_in_place(channel, sample, first);
        if wrong && outcome == Outcome::Stored {
            passage.writer.event(channel, received, EventKind::TimeReplaced { original });
        }
        outcome
    }

    /// Whether a sample whose stamp is to be replaced was stored before under the time of its receipt then.
    fn is_again(&mut self, passage: &Passage<'_>, sample: &Sample, first: bool) -> bool {
        let reading = sstable::fingerprint(sample);
        let again = self.replaced.replace(Box::new(reading)).is_some_and(|before| *before == reading);
        // What a server sends on connecting was stored under the time of an earlier receipt.
        again || (first && passage.writer.is_newest_reading(passage.channel, sample))
    }

    /// Whether a value of so many bytes is more than the channel may send in this second.
    fn is_too_much(&mut self, received: Timestamp, bytes: usize) -> bool {
        #[expect(clippy::cast_possible_truncation, reason = "low bits tell one second from the next")]
        let second = received.0.div_euclid(SECOND_NS).cast_unsigned() as u32;
        if self.second.0 != second {
            self.second = (second, 0);
        }
        self.second.1 = self.second.1.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        u64::from(self.second.1) > self.settings.max_bytes_per_second
    }
}

/// The sample, taken, not copied: arrays may be long.
fn taken(sample: &mut Sample) -> Sample {
    let nothing = Sample::new(sample.time, Value::Bool(false));
    std::mem::replace(sample, nothing)
}
