//! An engine's configuration file, read as a whole.

use super::archive::ArchiveSettings;
use super::channel::{self, ChannelSet, ConfiguredChannel};
use super::channel_access::ChannelAccessSettings;
use super::http::{ENGINE_PORT, HttpSettings};
use super::list_file;
use super::retention::RetentionClass;
use super::section::{Document, Section};
use super::text;
use crate::config::{ChannelSettings, ConfigError, ConfigErrors, DEFAULT_RETENTION, Origin, Problem};
use disk::Disk;
use sample::ChannelName;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Everything an engine is told.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// The archive itself.
    pub archive: ArchiveSettings,
    /// The embedded server.
    pub http: HttpSettings,
    /// Where channels are searched for.
    pub channel_access: ChannelAccessSettings,
    /// The channels in the order of the configuration, each once.
    pub channels: Vec<ConfiguredChannel>,
    /// The retention classes; `default` is always among them.
    pub retention: Vec<RetentionClass>,
    /// How often a channel was named again with equal settings.
    pub repeated: usize,
    /// CRC-32 of what was read, to tell configurations apart in the status.
    pub hash: u32,
}

impl Config {
    /// The defaults for an archive in `directory`, without channels.
    pub fn new(directory: PathBuf) -> Config {
        Config {
            archive: ArchiveSettings::new(directory),
            http: HttpSettings::new(ENGINE_PORT),
            channel_access: ChannelAccessSettings::default(),
            channels: Vec::new(),
            retention: vec![RetentionClass::forever(DEFAULT_RETENTION)],
            repeated: 0,
            hash: 0,
        }
    }

    /// Reads the file at `path` with the list files that it names; relative paths in it start at its folder.
    /// Every error found is returned.
    pub fn load(disk: &dyn Disk, path: &Path) -> Result<Config, ConfigErrors> {
        let text = text::read(disk, path).map_err(|error| ConfigErrors(vec![error]))?;
        Config::parse(disk, &text, path)
    }

    /// Reads `text` as if it were the content of the file at `path`.
    pub fn parse(disk: &dyn Disk, text: &str, path: &Path) -> Result<Config, ConfigErrors> {
        let base = path.parent().unwrap_or(Path::new(""));
        let (mut document, table) = Document::parse(Origin::file(path), text);
        if !document.errors.is_empty() {
            return Err(ConfigErrors(document.errors));
        }
        let mut top = Section::new(&mut document, "the top level", 0, &table);
        let mut config = Config::new(PathBuf::new());
        match section(&mut top, "archive") {
            Some((offset, table)) => {
                let section = Section::new(top.document(), "[archive]", offset, table);
                config.archive = ArchiveSettings::read(section, base);
            }
            None if top.value("archive").is_none() => top.missing("[archive] with directory = \"...\""),
            None => {}
        }
        if let Some((offset, table)) = section(&mut top, "http") {
            let section = Section::new(top.document(), "[http]", offset, table);
            config.http = HttpSettings::read(section, ENGINE_PORT);
        }
        if let Some((offset, table)) = section(&mut top, "channel_access") {
            let section = Section::new(top.document(), "[channel_access]", offset, table);
            config.channel_access = ChannelAccessSettings::read(section, base);
        }
        let mut classes = Vec::new();
        for (offset, table) in blocks(&mut top, "retention") {
            let section = Section::new(top.document(), "[[retention]]", offset, table);
            classes.extend(RetentionClass::read(section, &classes));
        }
        if classes.iter().all(|class| class.class != DEFAULT_RETENTION) {
            classes.insert(0, RetentionClass::forever(DEFAULT_RETENTION));
        }
        let names: Vec<&str> = classes.iter().map(|class| class.class.as_str()).collect();
        let mut set = ChannelSet::default();
        for (offset, table) in blocks(&mut top, "channels") {
            let section = Section::new(top.document(), "[[channels]]", offset, table);
            channel::read(section, disk, base, &names, &mut set);
        }
        top.finish();
        if !document.errors.is_empty() {
            let mut errors = document.errors;
            errors.sort_by(|a, b| a.origin.cmp(&b.origin));
            return Err(ConfigErrors(errors));
        }
        config.retention = classes;
        config.take(set, text);
        Ok(config)
    }

    /// A configuration without a file: defaults for `directory` with `names` as they stand on the command
    /// line and the channels of the list files in `lists`.
    pub fn without_file(
        disk: &dyn Disk,
        directory: PathBuf,
        names: &[String],
        lists: &[PathBuf],
    ) -> Result<Config, ConfigErrors> {
        let settings = Arc::new(ChannelSettings::default());
        let origin = Origin::place("--channel");
        let mut errors = Vec::new();
        let mut set = ChannelSet::default();
        for name in names {
            match ChannelName::parse(name) {
                Ok(name) => {
                    let channel =
                        ConfiguredChannel { name, settings: settings.clone(), origin: origin.clone() };
                    errors.extend(set.insert(channel).err());
                }
                Err(error) => {
                    errors.push(ConfigError { origin: Some(origin.clone()), problem: Problem::Name(error) });
                }
            }
        }
        for path in lists {
            match list_file::read(disk, path, &settings) {
                Ok(channels) => {
                    for channel in channels {
                        errors.extend(set.insert(channel).err());
                    }
                }
                Err(found) => errors.extend(found),
            }
        }
        if !errors.is_empty() {
            return Err(ConfigErrors(errors));
        }
        let mut config = Config::new(directory);
        config.take(set, "");
        Ok(config)
    }

    fn take(&mut self, set: ChannelSet, text: &str) {
        let mut sum = disk::Checksum::new();
        sum.update(text.as_bytes());
        for channel in &set.channels {
            sum.update(channel.name.as_str().as_bytes());
            sum.update(channel.settings.mode.to_string().as_bytes());
        }
        self.hash = sum.finish();
        self.channels = set.channels;
        self.repeated = set.repeated;
    }
}

/// The table `[key]`, with its byte offset.
pub(super) fn section<'t>(top: &mut Section<'_, 't>, key: &'static str) -> Option<(usize, &'t DeTable<'t>)> {
    let value = top.value(key)?;
    table_of(top, key, value, &format!("expected the section [{key}]"))
}

/// The tables `[[key]]`, each with its byte offset.
pub(super) fn blocks<'t>(top: &mut Section<'_, 't>, key: &'static str) -> Vec<(usize, &'t DeTable<'t>)> {
    let Some(value) = top.value(key) else { return Vec::new() };
    let expected = format!("expected blocks [[{key}]] in double brackets");
    match value.get_ref().as_array() {
        Some(array) => array.iter().filter_map(|entry| table_of(top, key, entry, &expected)).collect(),
        None => {
            top.wrong(key, value.span().start, expected);
            Vec::new()
        }
    }
}

fn table_of<'t>(
    top: &mut Section<'_, 't>,
    key: &'static str,
    value: &'t Spanned<DeValue<'t>>,
    expected: &str,
) -> Option<(usize, &'t DeTable<'t>)> {
    let table = value.get_ref().as_table();
    if table.is_none() {
        top.wrong(key, value.span().start, expected.to_owned());
    }
    table.map(|table| (value.span().start, table))
}
