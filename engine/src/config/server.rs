//! An archive server's configuration file.

use super::http::{HttpSettings, SERVER_PORT};
use super::load::{blocks, section};
use super::section::{Document, Section};
use super::text;
use super::value;
use crate::config::{ConfigErrors, Origin};
use disk::Disk;
use std::path::{Path, PathBuf};

/// Where an archive is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Location {
    /// A directory on this machine.
    Directory(PathBuf),
    /// The address of an engine or of another server.
    Url(String),
}

/// One archive of a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServedArchive {
    /// Its name in answers and logs.
    pub name: String,
    /// Where it is.
    pub location: Location,
    /// Address of the engine with the freshest samples, else found through the directory's lock file.
    pub live: Option<String>,
    /// At equal time the archive with the lower number wins.
    pub priority: i32,
    /// Where the configuration names it.
    pub origin: Origin,
}

/// Everything an archive server is told.
#[derive(Clone, PartialEq, Debug)]
pub struct ServerConfig {
    /// Where it listens.
    pub http: HttpSettings,
    /// What it serves; at least one.
    pub archives: Vec<ServedArchive>,
}

impl ServerConfig {
    /// Reads the file at `path`; relative paths in it start at its folder. Every error found is returned.
    pub fn load(disk: &dyn Disk, path: &Path) -> Result<ServerConfig, ConfigErrors> {
        let text = text::read(disk, path).map_err(|error| ConfigErrors(vec![error]))?;
        ServerConfig::parse(&text, path)
    }

    /// Reads `text` as if it were the content of the file at `path`.
    pub fn parse(text: &str, path: &Path) -> Result<ServerConfig, ConfigErrors> {
        let base = path.parent().unwrap_or(Path::new(""));
        let (mut document, table) = Document::parse(Origin::file(path), text);
        if !document.errors.is_empty() {
            return Err(ConfigErrors(document.errors));
        }
        let mut top = Section::new(&mut document, "the top level", 0, &table);
        let mut http = HttpSettings::new(SERVER_PORT);
        if let Some((offset, table)) = section(&mut top, "http") {
            http = HttpSettings::read(Section::new(top.document(), "[http]", offset, table), SERVER_PORT);
        }
        let mut archives = Vec::new();
        let blocks = blocks(&mut top, "archives");
        for (offset, table) in &blocks {
            let section = Section::new(top.document(), "[[archives]]", *offset, table);
            archives.extend(read(section, base, &archives));
        }
        if blocks.is_empty() {
            top.missing("an [[archives]] block with name and directory (or url)");
        }
        top.finish();
        if !document.errors.is_empty() {
            let mut errors = document.errors;
            errors.sort_by(|a, b| a.origin.cmp(&b.origin));
            return Err(ConfigErrors(errors));
        }
        Ok(ServerConfig { http, archives })
    }
}

fn read(mut section: Section<'_, '_>, base: &Path, others: &[ServedArchive]) -> Option<ServedArchive> {
    if section.value("name").is_none() {
        section.missing("name = \"...\"");
    }
    let name = section.read("name", |v| {
        let name = value::text(v)?;
        match others.iter().find(|other| other.name == name) {
            Some(other) => Err(format!("\"{name}\" is the name of the archive at {} already", other.origin)),
            None => Ok(name),
        }
    });
    let directory = section.read("directory", |v| value::text(v).map(|text| base.join(text)));
    let url = section.read("url", value::asked_url);
    let live = section.read("live", value::asked_url);
    let priority = section
        .read("priority", value::integer(i64::from(i32::MIN), i64::from(i32::MAX)))
        .and_then(|priority| i32::try_from(priority).ok())
        .unwrap_or(1);
    let at = |value: Option<&toml::Spanned<toml::de::DeValue<'_>>>| value.map(|v| v.span().start);
    match (at(section.value("directory")), at(section.value("url")), at(section.value("live"))) {
        (None, None, _) => section.missing("directory = \"...\" or url = \"...\""),
        (Some(_), Some(url), _) => {
            section.wrong(
                "url",
                url,
                "directory and url stand in one block; name the archive once".to_owned(),
            );
        }
        (None, Some(_), Some(live)) => {
            section.wrong("live", live, "only an archive with a directory has a live address".to_owned());
        }
        _ => {}
    }
    let offset = section.offset();
    let origin = section.document().origin(offset);
    section.finish();
    let location = directory.map(Location::Directory).or(url.map(Location::Url));
    Some(ServedArchive { name: name?, location: location?, live, priority, origin })
}
