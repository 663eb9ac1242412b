//! What libca says when a second server answers for a name.

use super::limits::MESSAGE_NAME_BYTES;
use sample::{ChannelId, ChannelName};

/// A name, cut as libca cuts it, with the servers.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct TwoServers<'a> {
    name: &'a str,
    /// libca's words: `Connecting to: a:5064, Ignored: b:5064`.
    pub(super) servers: &'a str,
}

/// Reads a message such as `Identical process variable names on multiple servers (Channel: "N", Connecting
/// to: a:5064, Ignored: b:5064)`; `None` for any other.
pub(super) fn parse(text: &str) -> Option<TwoServers<'_>> {
    let (_, told) = text.split_once("Channel: \"")?;
    let at = told.rfind("\", Connecting to: ").filter(|_| told.contains("Ignored: "))?;
    let servers = told[at..].trim_start_matches("\", ").trim_end_matches(')');
    Some(TwoServers { name: &told[..at], servers })
}

impl TwoServers<'_> {
    /// Whose name it is; `None` when several channels have one that is cut to this.
    pub(super) fn channel<'n>(
        &self,
        names: impl Iterator<Item = (ChannelId, &'n ChannelName)>,
    ) -> Option<(ChannelId, &'n ChannelName)> {
        // The cut may have gone through a character.
        let known = self.name.trim_end_matches(char::REPLACEMENT_CHARACTER);
        let cut = self.name.len() >= MESSAGE_NAME_BYTES;
        let is = |name: &str| if cut { name.starts_with(known) } else { name == self.name };
        let mut found = names.filter(|(_, name)| is(name.as_str()));
        found.next().filter(|_| found.next().is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<(ChannelId, ChannelName)> {
        let name = |text: &&str| ChannelName::stored(text).unwrap();
        (1..).map(ChannelId).zip(texts.iter().map(name)).collect()
    }

    fn channel(text: &str, texts: &[&str]) -> Option<u64> {
        let names = names(texts);
        let found = parse(text)?;
        found.channel(names.iter().map(|(id, name)| (*id, name))).map(|(id, _)| id.0)
    }

    #[test]
    fn the_channel_and_the_servers_are_found_in_the_message() {
        let text = "Identical process variable names on multiple servers \
                    (Channel: \"a\"b\", Connecting to: h:5064, Ignored: 10.0.0.2:5064)";
        assert_eq!(
            parse(text),
            Some(TwoServers { name: "a\"b", servers: "Connecting to: h:5064, Ignored: 10.0.0.2:5064" })
        );
        assert_eq!(channel(text, &["a", "a\"b", "a\"bc"]), Some(2));
        assert_eq!(channel(text, &["a"]), None);
        assert_eq!(parse("Virtual circuit disconnect (h:5064)"), None);
        assert_eq!(parse("Channel: \"x\", Connecting to: h"), None);
    }

    #[test]
    fn a_cut_name_counts_when_it_can_be_only_one() {
        let long = "x".repeat(63) + "é1";
        let cut = "x".repeat(63) + "\u{FFFD}";
        let text = format!("Channel: \"{cut}\", Connecting to: a, Ignored: b");
        assert_eq!(channel(&text, &["x", &long]), Some(2));
        assert_eq!(channel(&text, &[&long, &(long.clone() + "2")]), None);
    }
}
