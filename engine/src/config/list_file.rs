//! List files: one channel a line.

use super::text;
use crate::config::channel::{ChannelSettings, ConfiguredChannel, Mode};
use crate::config::{ConfigError, Origin, Problem, parse_duration};
use disk::Disk;
use sample::ChannelName;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// The channels of the list file at `path`, in its order; repeated names are still repeated.
///
/// A line is `NAME`, `NAME monitor` or `NAME scan PERIOD`; without a mode `settings` say how. A comment begins
/// with `#` at the start of a line or behind a blank: `A#1` is a name. Every error of the file is returned.
pub(super) fn read(
    disk: &dyn Disk,
    path: &Path,
    settings: &Arc<ChannelSettings>,
) -> Result<Vec<ConfiguredChannel>, Vec<ConfigError>> {
    let text = text::read(disk, path).map_err(|error| vec![error])?;
    parse(&text, &Origin::file(path), settings)
}

fn parse(
    text: &str,
    origin: &Origin,
    settings: &Arc<ChannelSettings>,
) -> Result<Vec<ConfiguredChannel>, Vec<ConfigError>> {
    let mut modes = Modes { block: settings.clone(), of: HashMap::new() };
    let mut channels = Vec::new();
    let mut errors = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        match parse_line(line, &mut modes) {
            Ok(None) => {}
            Ok(Some((name, settings))) => {
                channels.push(ConfiguredChannel { name, settings, origin: origin.at(number) });
            }
            Err(problem) => errors.push(ConfigError { origin: Some(origin.at(number)), problem }),
        }
    }
    if channels.is_empty() && errors.is_empty() {
        errors.push(ConfigError { origin: Some(origin.clone()), problem: Problem::EmptyList });
    }
    if errors.is_empty() { Ok(channels) } else { Err(errors) }
}

/// The block's settings with other modes, each made once.
struct Modes {
    block: Arc<ChannelSettings>,
    of: HashMap<Mode, Arc<ChannelSettings>>,
}

impl Modes {
    fn settings(&mut self, mode: Mode) -> Arc<ChannelSettings> {
        if mode == self.block.mode {
            return self.block.clone();
        }
        let block = &self.block;
        self.of
            .entry(mode)
            .or_insert_with(|| Arc::new(ChannelSettings { mode, ..ChannelSettings::clone(block) }))
            .clone()
    }
}

fn parse_line(line: &str, modes: &mut Modes) -> Result<Option<(ChannelName, Arc<ChannelSettings>)>, Problem> {
    // A byte order mark may stand inside where files were joined.
    let line = line.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let mut words = line.split_whitespace().take_while(|word| !word.starts_with('#'));
    let Some(name) = words.next() else { return Ok(None) };
    let name = ChannelName::parse(name).map_err(Problem::Name)?;
    let mode = match (words.next(), words.next()) {
        (None, _) => modes.block.mode,
        (Some("monitor"), None) => Mode::Monitor,
        (Some("scan"), Some(period)) => {
            let period = parse_duration(period).map_err(|error| Problem::ListLine(error.to_string()))?;
            if period.is_zero() {
                return Err(Problem::ListLine("the period is zero".to_owned()));
            }
            Mode::Scan { period }
        }
        (Some("scan"), None) => return Err(Problem::ListLine("scan has no period".to_owned())),
        (Some("monitor"), Some(word)) | (Some(word), _) => return Err(unexpected(word)),
    };
    match words.next() {
        Some(word) => Err(unexpected(word)),
        None => Ok(Some((name, modes.settings(mode)))),
    }
}

fn unexpected(word: &str) -> Problem {
    let short: String = word.chars().take(60).collect();
    Problem::ListLine(format!("unexpected \"{}\"", short.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn read(text: &str) -> Result<Vec<(String, String)>, Vec<String>> {
        let settings = Arc::new(ChannelSettings::default());
        match parse(text, &Origin::place("vacuum.txt"), &settings) {
            Ok(channels) => Ok(channels
                .iter()
                .map(|c| (format!("{} {}", c.name, c.settings.mode), c.origin.to_string()))
                .collect()),
            Err(errors) => Err(errors.iter().map(ToString::to_string).collect()),
        }
    }

    #[test]
    fn a_list_is_read_as_people_write_it() {
        let text =
            "# pumps\r\n  SR:C01{BPM:1}X-I  \r\n\r\nA#1\tscan 10s # slow\r\nA;B monitor\nca://é.VAL\n#A+B";
        let expected = [
            ("SR:C01{BPM:1}X-I monitor", "vacuum.txt:2"),
            ("A#1 scan 10s", "vacuum.txt:4"),
            ("A;B monitor", "vacuum.txt:5"),
            ("é monitor", "vacuum.txt:6"),
        ]
        .map(|(channel, origin)| (channel.to_owned(), origin.to_owned()));
        assert_eq!(read(text).unwrap(), expected);
    }

    #[test]
    fn every_wrong_line_is_named() {
        let errors =
            read("A 10 Monitor\nB scan\nC scan 10\nD monitor now\nE\nF scan 0s\nG scan 1s 2s\n.VAL\n")
                .unwrap_err();
        let expected = [
            "vacuum.txt:1: unexpected \"10\"",
            "vacuum.txt:2: scan has no period",
            "vacuum.txt:3: \"10\" has no unit",
            "vacuum.txt:4: unexpected \"now\"",
            "vacuum.txt:6: the period is zero",
            "vacuum.txt:7: unexpected \"2s\"",
            "vacuum.txt:8: a channel name is empty",
        ];
        assert_eq!(errors.len(), expected.len(), "{errors:?}");
        for (error, expected) in errors.iter().zip(expected) {
            assert!(error.starts_with(expected), "{error}");
        }
        assert!(read("# nothing\n\n").unwrap_err()[0].contains("names no channel"));
    }

    #[test]
    fn channels_with_one_mode_share_their_settings() {
        let settings = Arc::new(ChannelSettings::default());
        let list = parse("A scan 1s\nB scan 1s\nC\n", &Origin::place("x"), &settings).unwrap();
        assert!(Arc::ptr_eq(&list[0].settings, &list[1].settings));
        assert!(Arc::ptr_eq(&list[2].settings, &settings));
        assert_eq!(list[0].settings.mode, Mode::Scan { period: Duration::from_secs(1) });
    }

    proptest! {
        #[test]
        fn any_text_gets_an_answer(text in "(?s).{0,200}") {
            let _ = read(&text).is_ok();
        }

        #[test]
        fn names_come_back_in_order(names in prop::collection::vec("[A-Za-z][-A-Za-z0-9:{}+;,<>/#\\[\\]^.]{0,30}[0-9]", 1..40)) {
            let text = names.join("\r\n");
            let read: Vec<String> = read(&text).unwrap().into_iter().map(|(channel, _)| channel).collect();
            let expected: Vec<String> = names.iter().map(|name| format!("{name} monitor")).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
