//! What describes a channel's values from some time on.

/// Metadata of a channel; every part is absent when unknown. Text is bytes as the source sent them.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Metadata {
    /// Engineering units.
    pub units: Option<Box<[u8]>>,
    /// Digits after the decimal point.
    pub precision: Option<i16>,
    /// Lower display limit.
    pub display_low: Option<f64>,
    /// Upper display limit.
    pub display_high: Option<f64>,
    /// Lower alarm limit (LOLO).
    pub alarm_low: Option<f64>,
    /// Upper alarm limit (HIHI).
    pub alarm_high: Option<f64>,
    /// Lower warning limit (LOW).
    pub warning_low: Option<f64>,
    /// Upper warning limit (HIGH).
    pub warning_high: Option<f64>,
    /// Lower control limit.
    pub control_low: Option<f64>,
    /// Upper control limit.
    pub control_high: Option<f64>,
    /// Enum state names by index.
    pub states: Option<Vec<Box<[u8]>>>,
    /// Description.
    pub description: Option<Box<[u8]>>,
    /// `host:port` of the server.
    pub host: Option<Box<[u8]>>,
    /// Archive settings in force, as text (mode, event mask, dead band).
    pub settings: Option<Box<[u8]>>,
}

impl Metadata {
    /// Whether both are equal to the bit (NaN limits included).
    pub fn same_bits(&self, other: &Metadata) -> bool {
        let limits = |m: &Metadata| {
            [
                m.display_low,
                m.display_high,
                m.alarm_low,
                m.alarm_high,
                m.warning_low,
                m.warning_high,
                m.control_low,
                m.control_high,
            ]
            .map(|limit| limit.map(f64::to_bits))
        };
        limits(self) == limits(other)
            && self.units == other.units
            && self.precision == other.precision
            && self.states == other.states
            && self.description == other.description
            && self.host == other.host
            && self.settings == other.settings
    }
}
