//! Channel names and ids.

use std::fmt;
use std::sync::Arc;

/// Longest channel name in bytes.
pub const CHANNEL_NAME_BYTES_MAX: usize = 1024;

/// A channel's number inside one archive, issued in order of registration, never reused.
/// 0 is the archive's own channel, which carries engine-wide events.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ChannelId(pub u64);

impl ChannelId {
    /// The archive's own channel.
    pub const ARCHIVE: ChannelId = ChannelId(0);
}

/// Why a text is not a channel name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NameError {
    /// Nothing is left after stripping blanks, scheme and `.VAL`.
    Empty,
    /// More than [`CHANNEL_NAME_BYTES_MAX`] bytes.
    TooLong(usize),
    /// A control character stands at this byte.
    Control(usize),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Empty => write!(f, "a channel name is empty"),
            NameError::TooLong(bytes) => {
                write!(f, "a channel name has {bytes} bytes, at most {CHANNEL_NAME_BYTES_MAX} are allowed")
            }
            NameError::Control(at) => write!(f, "a channel name holds a control character at byte {at}"),
        }
    }
}

impl std::error::Error for NameError {}

/// A PV name: 1 to 1024 bytes of UTF-8 without control characters, compared bytewise. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelName(Arc<str>);

impl ChannelName {
    /// From text that comes in from a person or a program: `ca://`, `pva://` and a trailing `.VAL` go.
    pub fn parse(text: &str) -> Result<ChannelName, NameError> {
        let text = text.trim();
        let text = text.strip_prefix("ca://").or_else(|| text.strip_prefix("pva://")).unwrap_or(text);
        ChannelName::stored(text.strip_suffix(".VAL").unwrap_or(text))
    }

    /// From a name as it is stored: checked, nothing stripped.
    pub fn stored(text: &str) -> Result<ChannelName, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > CHANNEL_NAME_BYTES_MAX {
            return Err(NameError::TooLong(text.len()));
        }
        if let Some((at, _)) = text.char_indices().find(|(_, c)| c.is_control()) {
            return Err(NameError::Control(at));
        }
        Ok(ChannelName(Arc::from(text)))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::borrow::Borrow<str> for ChannelName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_and_val_are_stripped_and_the_rest_kept() {
        for (text, name) in [
            ("ca://SR:C01{BPM:1}X-I.VAL", "SR:C01{BPM:1}X-I"),
            (" pva://A/B ", "A/B"),
            ("A+B", "A+B"),
            ("é", "é"),
            ("X.HOPR", "X.HOPR"),
        ] {
            assert_eq!(ChannelName::parse(text).unwrap().as_str(), name);
        }
        assert_eq!(ChannelName::parse(".VAL"), Err(NameError::Empty));
        assert_eq!(ChannelName::parse("a\nb"), Err(NameError::Control(1)));
        assert!(ChannelName::parse(&"x".repeat(1024)).is_ok());
        assert_eq!(ChannelName::parse(&"x".repeat(1025)), Err(NameError::TooLong(1025)));
    }
}
