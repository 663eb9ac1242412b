//! The protobuf messages of the Archiver Appliance's files, and a line of such a file.

use prost::Message;

/// The first line of a file.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PayloadInfo {
    /// Which message each further line holds.
    #[prost(int32, required, tag = "1")]
    pub(super) payload_type: i32,
    #[prost(string, required, tag = "2")]
    pub(super) pvname: String,
    #[prost(int32, required, tag = "3")]
    pub(super) year: i32,
}

/// A name with what it is, beside a sample.
#[derive(Clone, PartialEq, Message)]
pub(super) struct FieldValue {
    #[prost(string, required, tag = "1")]
    pub(super) name: String,
    #[prost(string, required, tag = "2")]
    pub(super) val: String,
}

/// What all samples have beside their value.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Beside {
    /// Whole seconds since the year began.
    pub(super) seconds: u32,
    /// Nanoseconds behind that.
    pub(super) nano: u32,
    /// Severity and status; those of no alarm are left out.
    pub(super) severity: u8,
    pub(super) status: u16,
    /// What happened before the sample.
    pub(super) fields: Vec<FieldValue>,
}

/// The appliance has a message for each type of value; those that differ in their names only are one here.
macro_rules! sample {
    ($name:ident, $value:ty, $($how:tt)*) => {
        #[derive(Clone, PartialEq, Message)]
        pub(super) struct $name {
            #[prost(uint32, required, tag = "1")]
            secondsintoyear: u32,
            #[prost(uint32, required, tag = "2")]
            nano: u32,
            #[prost($($how)*, tag = "3")]
            val: $value,
            #[prost(int32, optional, tag = "4")]
            severity: Option<i32>,
            #[prost(int32, optional, tag = "5")]
            status: Option<i32>,
            #[prost(message, repeated, tag = "7")]
            fieldvalues: Vec<FieldValue>,
            #[prost(bool, optional, tag = "8")]
            fieldactualchange: Option<bool>,
        }

        impl $name {
            /// The message of one sample, as bytes.
            pub(super) fn bytes(val: $value, beside: Beside) -> Vec<u8> {
                let Beside { seconds, nano, severity, status, fields } = beside;
                let message = $name {
                    secondsintoyear: seconds,
                    nano,
                    val,
                    severity: Some(severity.into()).filter(|severity| *severity != 0),
                    status: Some(status.into()).filter(|status| *status != 0),
                    // Fields of the archiver, not of the record.
                    fieldactualchange: if fields.is_empty() { None } else { Some(false) },
                    fieldvalues: fields,
                };
                message.encode_to_vec()
            }
        }
    };
}

// Texts are bytes: not all of them are UTF-8.
sample!(OfBytes, Vec<u8>, bytes = "vec", required);
sample!(OfShort, i32, sint32, required);
sample!(OfFloat, f32, float, required);
sample!(OfInt, i32, sfixed32, required);
sample!(OfDouble, f64, double, required);
sample!(OfTexts, Vec<Vec<u8>>, bytes = "vec", repeated);
sample!(OfShorts, Vec<i32>, sint32, repeated);
sample!(OfFloats, Vec<f32>, float, repeated);
sample!(OfInts, Vec<i32>, sfixed32, repeated);
sample!(OfDoubles, Vec<f64>, double, repeated);

/// Appends a message as a line: three bytes are escaped, so that there is no end of a line inside.
pub(super) fn line(to: &mut Vec<u8>, message: &[u8]) {
    for byte in message {
        match byte {
            0x1b => to.extend([0x1b, 1]),
            b'\n' => to.extend([0x1b, 2]),
            b'\r' => to.extend([0x1b, 3]),
            other => to.push(*other),
        }
    }
    to.push(b'\n');
}
