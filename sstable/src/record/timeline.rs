//! What a table holds of a channel beside samples, repeated where its carry-in stands.

use super::field::{Fields, put_field};
use super::{decode_events, decode_metadata};
use crate::format::CarryInField;
use disk::{BytesError, Cursor, put_bytes};
use sample::{Event, Metadata, Timestamp};

/// Events and metadata of one channel in one table.
#[derive(Clone, Debug, Default)]
pub struct ChannelTimeline {
    /// All events, as their records have them.
    pub events: Vec<Event>,
    /// All changes of metadata, each with the time from which it holds.
    pub metadata: Vec<(Timestamp, Metadata)>,
}

/// A carry-in's payload with `records`, the payloads of the channel's only records of events and of metadata (empty where
/// it has none), or without a timeline. What does not read as fields stays as it is.
pub(crate) fn with_timeline(mut payload: Vec<u8>, records: Option<[&[u8]; 2]>) -> Vec<u8> {
    if let Ok(Some(rest)) = without_timeline(&payload) {
        payload = rest;
    }
    if let Some([events, metadata]) = records {
        let mut content = Vec::with_capacity(events.len() + metadata.len() + 4);
        put_bytes(&mut content, events);
        put_bytes(&mut content, metadata);
        put_field(&mut payload, CarryInField::Timeline as u8, &content);
    }
    payload
}

/// The payload without its timeline; `None` where it has none.
fn without_timeline(payload: &[u8]) -> Result<Option<Vec<u8>>, BytesError> {
    let (mut rest, mut found) = (Vec::new(), false);
    let mut fields = Fields::new(Cursor::new(payload));
    while let Some(mut field) = fields.next()? {
        if field.tag == CarryInField::Timeline as u8 {
            found = true;
        } else {
            put_field(&mut rest, field.tag, field.content.rest());
        }
    }
    Ok(found.then_some(rest))
}

/// The timeline in a carry-in's payload, if there is one.
///
/// # Errors
/// When the bytes are damaged.
pub(crate) fn decode_timeline(payload: &[u8]) -> Result<Option<ChannelTimeline>, BytesError> {
    let mut fields = Fields::new(Cursor::new(payload));
    while let Some(mut field) = fields.next()? {
        if field.tag != CarryInField::Timeline as u8 {
            continue;
        }
        let mut timeline = ChannelTimeline::default();
        let (events, metadata) = (field.content.counted_bytes()?, field.content.counted_bytes()?);
        field.content.finish()?;
        if !events.is_empty() {
            timeline.events = decode_events(events)?;
        }
        if !metadata.is_empty() {
            timeline.metadata = decode_metadata(metadata)?;
        }
        return Ok(Some(timeline));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus;
    use crate::record::{decode_carry_in, encode_carry_in, encode_events, encode_metadata};
    use sample::ChannelId;

    #[test]
    fn a_timeline_comes_back_and_takes_the_place_of_another() {
        let events = encode_events(&corpus::events()).unwrap();
        let metadata = encode_metadata(&[(Timestamp(3), corpus::metadata())]);
        for carry_in in corpus::carry_ins() {
            let plain = encode_carry_in(ChannelId(5), &carry_in).unwrap();
            assert!(decode_timeline(&plain).unwrap().is_none());
            let full = with_timeline(plain.clone(), Some([&events, &metadata]));
            let told = decode_timeline(&full).unwrap().unwrap();
            assert_eq!((told.events, told.metadata.len()), (corpus::events(), 1));
            assert!(told.metadata[0].1.same_bits(&corpus::metadata()));
            // The rest is what it was, for who does not look for it, too.
            let debug = |bytes: &[u8]| format!("{:?}", decode_carry_in(bytes).unwrap());
            assert_eq!(debug(&full), debug(&plain));
            let none = with_timeline(full.clone(), Some([&[], &[]]));
            let told = decode_timeline(&none).unwrap().unwrap();
            assert!(told.events.is_empty() && told.metadata.is_empty());
            assert_eq!(with_timeline(full, None), plain);
        }
    }

    #[test]
    fn a_damaged_timeline_is_an_error_and_other_bytes_stay_as_they_are() {
        let mut cut = Vec::new();
        put_field(&mut cut, CarryInField::Timeline as u8, &[9, 1]);
        assert!(decode_timeline(&cut).is_err());
        let mut behind = Vec::new();
        put_field(&mut behind, CarryInField::Timeline as u8, &[0, 0, 7]);
        assert!(decode_timeline(&behind).is_err());
        assert_eq!(with_timeline(vec![6, 200], None), [6, 200]);
    }
}
