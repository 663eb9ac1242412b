//! The `[[channels]]` blocks: which channels are archived, how.

use super::list_file;
use super::section::{Parsed, Section, describe};
use super::value;
use crate::config::{ConfigError, Origin, Problem};
use disk::Disk;
use sample::ChannelName;
use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use toml::de::DeValue;

/// Most elements of an array that a configuration may admit.
pub const ELEMENTS_MAX: i64 = 1 << 30;
/// The retention class that needs no block.
pub const DEFAULT_RETENTION: &str = "default";

/// When samples are taken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mode {
    /// Every update.
    Monitor,
    /// The newest value of each period, not again if unchanged.
    Scan {
        /// Length of a period; not zero.
        period: Duration,
    },
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mode::Monitor => f.write_str("monitor"),
            Mode::Scan { period } => write!(f, "scan {}", super::format_duration(*period)),
        }
    }
}

/// What kinds of update the source is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct EventMask {
    /// Changes beyond the record's archive dead band (`DBE_LOG`).
    pub archive: bool,
    /// Changes of the alarm state (`DBE_ALARM`).
    pub alarm: bool,
    /// Changes beyond the record's monitor dead band (`DBE_VALUE`).
    pub value: bool,
}

impl fmt::Display for EventMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [(self.archive, "archive"), (self.alarm, "alarm"), (self.value, "value")];
        let names: Vec<&str> = kinds.into_iter().filter(|(on, _)| *on).map(|(_, name)| name).collect();
        f.write_str(&names.join(","))
    }
}

/// Which stamps are replaced by the receive time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StampRule {
    /// Only unset ones; future ones are dropped.
    Ioc,
    /// Unset and future ones.
    IocElseReceive,
    /// All.
    Receive,
}

impl StampRule {
    const ALL: [(&'static str, StampRule); 3] = [
        ("ioc", StampRule::Ioc),
        ("ioc-else-receive", StampRule::IocElseReceive),
        ("receive", StampRule::Receive),
    ];

    /// As the configuration writes it.
    pub fn name(self) -> &'static str {
        match self {
            StampRule::Ioc => "ioc",
            StampRule::IocElseReceive => "ioc-else-receive",
            StampRule::Receive => "receive",
        }
    }
}

/// How a channel is archived.
#[derive(Clone, PartialEq, Debug)]
pub struct ChannelSettings {
    /// When samples are taken.
    pub mode: Mode,
    /// What the source is asked for.
    pub events: EventMask,
    /// Updates that differ less from the last stored value are left out; in the channel's units.
    pub deadband: Option<f64>,
    /// Whose time a sample carries.
    pub timestamps: StampRule,
    /// Value bytes per second above which samples are dropped.
    pub max_bytes_per_second: u64,
    /// Longest array that is taken.
    pub max_elements: u32,
    /// Name of the retention class.
    pub retention: Arc<str>,
}

impl Default for ChannelSettings {
    fn default() -> ChannelSettings {
        ChannelSettings {
            mode: Mode::Monitor,
            events: EventMask { archive: true, alarm: true, value: false },
            deadband: None,
            timestamps: StampRule::Ioc,
            max_bytes_per_second: 10 << 20,
            max_elements: 4_194_304,
            retention: Arc::from(DEFAULT_RETENTION),
        }
    }
}

impl ChannelSettings {
    /// Names of the settings in which both differ, as the configuration writes them.
    pub fn differences(&self, other: &ChannelSettings) -> Vec<&'static str> {
        let ChannelSettings {
            mode,
            events,
            deadband,
            timestamps,
            max_bytes_per_second,
            max_elements,
            retention,
        } = self;
        let differs = [
            ("mode", *mode != other.mode),
            ("events", *events != other.events),
            ("deadband", deadband.map(f64::to_bits) != other.deadband.map(f64::to_bits)),
            ("timestamps", *timestamps != other.timestamps),
            ("max_bytes_per_second", *max_bytes_per_second != other.max_bytes_per_second),
            ("max_elements", *max_elements != other.max_elements),
            ("retention", *retention != other.retention),
        ];
        differs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }
}

/// A channel that the configuration asks for.
#[derive(Clone, PartialEq, Debug)]
pub struct ConfiguredChannel {
    /// Its name.
    pub name: ChannelName,
    /// How it is archived.
    pub settings: Arc<ChannelSettings>,
    /// Where the configuration names it.
    pub origin: Origin,
}

/// Channels in the order of the configuration, each once.
#[derive(Default)]
pub(super) struct ChannelSet {
    pub(super) channels: Vec<ConfiguredChannel>,
    places: HashMap<ChannelName, usize>,
    /// How often a name came again with the same settings.
    pub(super) repeated: usize,
}

impl ChannelSet {
    /// Takes a channel. Named again with equal settings it counts once; with other settings it is an error,
    /// because whichever of the two won, someone would find the wrong one archived.
    pub(super) fn insert(&mut self, channel: ConfiguredChannel) -> Result<(), ConfigError> {
        let Some(at) = self.places.get(&channel.name) else {
            self.places.insert(channel.name.clone(), self.channels.len());
            self.channels.push(channel);
            return Ok(());
        };
        let first = &self.channels[*at];
        let settings = first.settings.differences(&channel.settings);
        if settings.is_empty() {
            self.repeated += 1;
            return Ok(());
        }
        let problem = Problem::Conflict { name: channel.name, first: first.origin.clone(), settings };
        Err(ConfigError { origin: Some(channel.origin), problem })
    }
}

/// Reads one block into `set`; list files are found from `base`.
pub(super) fn read(
    mut section: Section<'_, '_>,
    disk: &dyn Disk,
    base: &Path,
    retention_classes: &[&str],
    set: &mut ChannelSet,
) {
    let names = section.entries("names", value::text);
    let file = section.read("file", |v| value::text(v).map(|text| base.join(text)));
    let settings = Arc::new(settings(&mut section, retention_classes));
    let given =
        (section.value("names").map(|v| v.span().start), section.value("file").map(|v| v.span().start));
    match given {
        (Some(at), Some(_)) => {
            section.wrong("names", at, "names and file stand in one block; make two blocks of it".to_owned());
        }
        (None, None) => section.missing("names = [\"...\"] or file = \"...\""),
        _ => {}
    }
    if names.as_ref().is_some_and(Vec::is_empty) && given.1.is_none() {
        section.wrong("names", given.0.unwrap_or(section.offset()), "the list is empty".to_owned());
    }
    let offset = section.offset();
    let document = section.document();
    for (text, at) in names.unwrap_or_default() {
        match ChannelName::parse(&text) {
            Ok(name) => {
                let channel =
                    ConfiguredChannel { name, settings: settings.clone(), origin: document.origin(at) };
                document.errors.extend(set.insert(channel).err());
            }
            Err(error) => document.error(at, Problem::Name(error)),
        }
    }
    if let (Some(path), None) = (file, given.0) {
        match list_file::read(disk, &path, &settings) {
            Ok(channels) => {
                for channel in channels {
                    document.errors.extend(set.insert(channel).err());
                }
            }
            Err(errors) => {
                for mut error in errors {
                    let here = document.origin(given.1.unwrap_or(offset));
                    error.origin.get_or_insert(here);
                    document.errors.push(error);
                }
            }
        }
    }
    section.finish();
}

/// The settings of a block.
fn settings(section: &mut Section<'_, '_>, retention_classes: &[&str]) -> ChannelSettings {
    let mut settings = ChannelSettings::default();
    section.set("mode", &mut settings.mode, mode);
    section.set("events", &mut settings.events, events);
    settings.deadband = section.read("deadband", value::magnitude);
    section.set("timestamps", &mut settings.timestamps, value::choice(&StampRule::ALL));
    section.set("max_bytes_per_second", &mut settings.max_bytes_per_second, value::size(1));
    section.set("max_elements", &mut settings.max_elements, |v| {
        value::integer(1, ELEMENTS_MAX)(v).map(|count| u32::try_from(count).unwrap_or(u32::MAX))
    });
    section.set("retention", &mut settings.retention, |v| {
        let class = value::text(v)?;
        if retention_classes.contains(&class.as_str()) {
            return Ok(Arc::from(class));
        }
        Err(format!(
            "there is no class \"{}\"; expected one of {}, or a [[retention]] block that defines it",
            class.escape_debug(),
            retention_classes.join(", ")
        ))
    });
    settings
}

fn mode(value: &DeValue<'_>) -> Parsed<Mode> {
    if value.as_str() == Some("monitor") {
        return Ok(Mode::Monitor);
    }
    let scan = value.as_table().filter(|table| table.len() == 1).and_then(|table| {
        table.iter().find(|(key, _)| key.get_ref() == "scan").map(|(_, period)| period.get_ref())
    });
    match scan {
        Some(period) => Ok(Mode::Scan { period: value::positive_duration(period)? }),
        None => Err(format!("expected \"monitor\" or {{ scan = \"10s\" }}, found {}", describe(value))),
    }
}

fn events(value: &DeValue<'_>) -> Parsed<EventMask> {
    const EXPECTED: &str = "expected a list of \"archive\", \"alarm\", \"value\"";
    let array = value.as_array().ok_or_else(|| format!("{EXPECTED}, found {}", describe(value)))?;
    let mut mask = EventMask { archive: false, alarm: false, value: false };
    for entry in array {
        match entry.get_ref().as_str() {
            Some("archive") => mask.archive = true,
            Some("alarm") => mask.alarm = true,
            Some("value") => mask.value = true,
            Some("property") => {
                return Err(format!("{EXPECTED}; property changes are always recorded as metadata"));
            }
            _ => return Err(format!("{EXPECTED}, found {}", describe(entry.get_ref()))),
        }
    }
    if mask == (EventMask { archive: false, alarm: false, value: false }) {
        return Err(format!("{EXPECTED}, found an empty list"));
    }
    Ok(mask)
}
