//! A record's payload unpacked into entries.

use super::encoder::DESCRIPTORS_MAX;
use super::entry::{Entry, Placement};
use super::format::{
    ARRAY, CARRY_IN, HAS_ALARM, HAS_PARTS, HAS_RANK, HAS_TYPE, LATE, MESSAGE, METADATA_UNKNOWN, PVA_STATUS,
    RECEIVED, SAMPLE_PARTS, TAG_CHANNEL, TAG_EVENT, TAG_HEARTBEAT, TAG_MASK, TAG_METADATA, TAG_SAMPLE,
    USER_TAG,
};
use super::value;
use disk::{BytesError, Cursor};
use sample::{ChannelId, Kind, Sample, Severity, Status, StatusDomain, Timestamp, ValueType};
use sstable::{decode_channel_records, decode_events, decode_metadata};
use std::sync::Arc;

/// Every bit of the parts byte that means something.
const PARTS_MASK: u8 = {
    let (mut mask, mut at) = (0, 0);
    while at < SAMPLE_PARTS.len() {
        mask |= SAMPLE_PARTS[at].1;
        at += 1;
    }
    mask
};

/// Iterates over the entries of a payload. Bytes are hostile: after the first error nothing follows, and no
/// allocation is larger than what the bytes present can hold.
#[derive(Debug)]
pub struct BatchDecoder<'a> {
    cursor: Cursor<'a>,
    channel: u64,
    time: i64,
    value_type: Option<ValueType>,
    descriptors: Vec<Arc<[u8]>>,
    failed: bool,
}

impl<'a> BatchDecoder<'a> {
    /// Over a whole payload.
    pub fn new(payload: &'a [u8]) -> BatchDecoder<'a> {
        BatchDecoder {
            cursor: Cursor::new(payload),
            channel: 0,
            time: 0,
            value_type: None,
            descriptors: Vec::new(),
            failed: false,
        }
    }

    fn entry(&mut self) -> Result<Entry, BytesError> {
        let at = self.cursor.position();
        let error = |what| BytesError { position: at, what };
        let first = self.cursor.u8()?;
        let tag = first & TAG_MASK;
        if tag != TAG_SAMPLE && first != tag {
            return Err(error("an entry has flags that this program does not know"));
        }
        match tag {
            TAG_SAMPLE if first & 0x80 == 0 => self.sample(first),
            TAG_SAMPLE => Err(error("a sample has flags that this program does not know")),
            TAG_EVENT => {
                let (channel, event) = self.payload(decode_events)?;
                Ok(Entry::Event { channel, event })
            }
            TAG_METADATA => {
                let (channel, (time, metadata)) = self.payload(decode_metadata)?;
                let metadata = Arc::new(metadata);
                Ok(Entry::Metadata { channel, time, metadata })
            }
            TAG_CHANNEL => {
                let (channel, record) = self.payload(decode_channel_records)?;
                Ok(Entry::Channel { channel, record })
            }
            TAG_HEARTBEAT => Ok(Entry::Heartbeat { time: self.date()? }),
            _ => Err(error("an entry has a tag that this program does not know")),
        }
    }

    fn sample(&mut self, first: u8) -> Result<Entry, BytesError> {
        if first & HAS_TYPE != 0 {
            let error = self.cursor.error("a value type that this program does not know");
            let byte = self.cursor.u8()?;
            let kind = Kind::from_tag(byte & !ARRAY).ok_or(error)?;
            self.value_type = Some(ValueType { kind, array: byte & ARRAY != 0 });
        }
        let value_type =
            self.value_type.ok_or_else(|| self.cursor.error("the first sample without a type"))?;
        let channel = self.place()?;
        let time = self.date()?;
        let rank = if first & HAS_RANK != 0 { self.narrow("a rank beyond 32 bits")? } else { 0 };
        let (severity, code) = if first & HAS_ALARM != 0 { self.alarm()? } else { (Severity::NoAlarm, 0) };
        let parts = if first & HAS_PARTS != 0 { self.parts()? } else { 0 };
        let user_tag = if parts & USER_TAG != 0 { Some(self.cursor.varint_signed()?) } else { None };
        let received = if parts & RECEIVED != 0 {
            Some(Timestamp(time.0.wrapping_add(self.cursor.varint_signed()?)))
        } else {
            None
        };
        let message = if parts & MESSAGE != 0 { Some(self.cursor.counted_bytes()?.into()) } else { None };
        let structure = value_type == ValueType::scalar(Kind::Structure);
        let descriptor = if structure { Some(self.descriptor()?) } else { None };
        let value = value::get(&mut self.cursor, value_type, descriptor)?;
        let domain = if parts & PVA_STATUS != 0 { StatusDomain::Pva } else { StatusDomain::Ca };
        let sample = Sample {
            time,
            rank,
            value,
            severity,
            status: Status { domain, code },
            user_tag,
            message,
            received,
            metadata_known: parts & METADATA_UNKNOWN == 0,
        };
        let placement = match parts & (LATE | CARRY_IN) {
            LATE => Placement::Late,
            CARRY_IN => Placement::CarryIn,
            _ => Placement::InOrder,
        };
        Ok(Entry::Sample { channel, placement, sample })
    }

    fn alarm(&mut self) -> Result<(Severity, u16), BytesError> {
        let error = self.cursor.error("a severity above 3");
        let severity = Severity::from_code(u16::from(self.cursor.u8()?)).ok_or(error)?;
        Ok((severity, self.narrow("a status beyond 16 bits")?))
    }

    fn parts(&mut self) -> Result<u8, BytesError> {
        let error = self.cursor.error("a sample has parts that this program does not know");
        let parts = self.cursor.u8()?;
        let placement = parts & (LATE | CARRY_IN);
        if parts & !PARTS_MASK != 0 || placement == LATE | CARRY_IN { Err(error) } else { Ok(parts) }
    }

    fn descriptor(&mut self) -> Result<Arc<[u8]>, BytesError> {
        let error = self.cursor.error("a structure's descriptor is not among those before it");
        let known = self.cursor.varint()?;
        if known > 0 {
            let at = usize::try_from(known - 1).map_err(|_| error)?;
            return self.descriptors.get(at).cloned().ok_or(error);
        }
        let descriptor: Arc<[u8]> = self.cursor.counted_bytes()?.into();
        if self.descriptors.len() < DESCRIPTORS_MAX {
            self.descriptors.push(Arc::clone(&descriptor));
        }
        Ok(descriptor)
    }

    /// The channel of an entry that is no sample, with the one item of its payload.
    fn payload<T>(
        &mut self,
        decode: impl FnOnce(&[u8]) -> Result<Vec<T>, BytesError>,
    ) -> Result<(ChannelId, T), BytesError> {
        let channel = self.place()?;
        let payload = self.cursor.counted_bytes()?;
        let start = self.cursor.position() - payload.len();
        let inside = |error: BytesError| BytesError { position: start + error.position, what: error.what };
        let mut items = decode(payload).map_err(inside)?.into_iter();
        match (items.next(), items.next()) {
            (Some(item), None) => Ok((channel, item)),
            _ => Err(BytesError { position: start, what: "an entry holds other than one item" }),
        }
    }

    fn place(&mut self) -> Result<ChannelId, BytesError> {
        let difference = self.cursor.varint_signed()?;
        self.channel = self.channel.wrapping_add(difference.cast_unsigned());
        Ok(ChannelId(self.channel))
    }

    fn date(&mut self) -> Result<Timestamp, BytesError> {
        self.time = self.time.wrapping_add(self.cursor.varint_signed()?);
        Ok(Timestamp(self.time))
    }

    fn narrow<T: TryFrom<u64>>(&mut self, what: &'static str) -> Result<T, BytesError> {
        let error = self.cursor.error(what);
        T::try_from(self.cursor.varint()?).map_err(|_| error)
    }
}

impl Iterator for BatchDecoder<'_> {
    type Item = Result<Entry, BytesError>;

    fn next(&mut self) -> Option<Result<Entry, BytesError>> {
        if self.failed || self.cursor.is_empty() {
            return None;
        }
        let entry = self.entry();
        self.failed = entry.is_err();
        Some(entry)
    }
}
