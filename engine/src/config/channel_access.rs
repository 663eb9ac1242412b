//! The `[channel_access]` section: where channels are searched for.

use super::section::Section;
use super::value;
use crate::config::Origin;
use std::path::{Path, PathBuf};

/// A host to ask, with where the configuration names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostEntry {
    /// `HOST` or `HOST:PORT`.
    pub host: String,
    /// Where it stands.
    pub origin: Origin,
}

/// How Channel Access searches; what is `None` is taken from the `EPICS_CA_*` variables.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ChannelAccessSettings {
    /// Hosts and broadcast addresses to search, else `EPICS_CA_ADDR_LIST`.
    pub address_list: Option<Vec<HostEntry>>,
    /// Name servers to ask over TCP, else `EPICS_CA_NAME_SERVERS`.
    pub name_servers: Option<Vec<HostEntry>>,
    /// Whether every broadcast address of this machine is searched too, else `EPICS_CA_AUTO_ADDR_LIST`.
    pub auto_address_list: Option<bool>,
    /// UDP and TCP port of servers, else `EPICS_CA_SERVER_PORT`.
    pub server_port: Option<u16>,
    /// Port of the repeater, else `EPICS_CA_REPEATER_PORT`.
    pub repeater_port: Option<u16>,
    /// The libca to open, else it is looked for.
    pub library: Option<PathBuf>,
}

impl ChannelAccessSettings {
    /// Reads the section; relative paths start at `base`.
    pub(super) fn read(mut section: Section<'_, '_>, base: &Path) -> ChannelAccessSettings {
        let mut hosts = |key| {
            let entries = section.entries(key, value::host)?;
            let placed = |(host, offset)| HostEntry { host, origin: section.document().origin(offset) };
            Some(entries.into_iter().map(placed).collect())
        };
        let address_list = hosts("address_list");
        let name_servers = hosts("name_servers");
        let settings = ChannelAccessSettings {
            address_list,
            name_servers,
            auto_address_list: section.read("auto_address_list", value::flag),
            server_port: section.read("server_port", value::port),
            repeater_port: section.read("repeater_port", value::port),
            library: section.read("library", |v| value::text(v).map(|text| base.join(text))),
        };
        section.finish();
        settings
    }

    /// What is searched when `environment` gives the values of variables.
    pub fn effective(&self, environment: impl Fn(&str) -> Option<String>) -> EffectiveChannelAccess {
        let variable = |name: &str| environment(name).filter(|value| !value.trim().is_empty());
        let hosts = |configured: &Option<Vec<HostEntry>>, name: &str| match configured {
            Some(entries) => entries.clone(),
            None => variable(name).map_or_else(Vec::new, |list| {
                let entry = |host: &str| HostEntry { host: host.to_owned(), origin: Origin::place(name) };
                list.split_whitespace().map(entry).collect()
            }),
        };
        let port = |configured: Option<u16>, name: &str, default: u16| match configured {
            Some(port) => (port, Origin::place(CONFIGURED)),
            None => match variable(name).and_then(|text| text.trim().parse().ok()) {
                Some(port) => (port, Origin::place(name)),
                None => (default, Origin::place(DEFAULT)),
            },
        };
        let auto_address_list = match self.auto_address_list {
            Some(auto) => (auto, Origin::place(CONFIGURED)),
            None => match variable("EPICS_CA_AUTO_ADDR_LIST") {
                // libca takes anything that holds "no" for NO.
                Some(text) => (!text.to_lowercase().contains("no"), Origin::place("EPICS_CA_AUTO_ADDR_LIST")),
                None => (true, Origin::place(DEFAULT)),
            },
        };
        EffectiveChannelAccess {
            address_list: hosts(&self.address_list, "EPICS_CA_ADDR_LIST"),
            name_servers: hosts(&self.name_servers, "EPICS_CA_NAME_SERVERS"),
            auto_address_list,
            server_port: port(self.server_port, "EPICS_CA_SERVER_PORT", 5064),
            repeater_port: port(self.repeater_port, "EPICS_CA_REPEATER_PORT", 5065),
        }
    }
}

const CONFIGURED: &str = "[channel_access]";
const DEFAULT: &str = "default";

/// What Channel Access searches, each part with where it comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EffectiveChannelAccess {
    /// Hosts and broadcast addresses.
    pub address_list: Vec<HostEntry>,
    /// Name servers.
    pub name_servers: Vec<HostEntry>,
    /// Whether the broadcast addresses of this machine are searched too.
    pub auto_address_list: (bool, Origin),
    /// Port of servers.
    pub server_port: (u16, Origin),
    /// Port of the repeater.
    pub repeater_port: (u16, Origin),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_beats_the_environment_and_each_entry_names_its_source() {
        let environment = |name: &str| {
            let value = match name {
                "EPICS_CA_ADDR_LIST" => " 10.0.0.1  10.0.0.2:6064 ",
                "EPICS_CA_NAME_SERVERS" => "gateway",
                "EPICS_CA_AUTO_ADDR_LIST" => "no",
                "EPICS_CA_SERVER_PORT" => "6064",
                "EPICS_CA_REPEATER_PORT" => " ",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let effective = ChannelAccessSettings::default().effective(environment);
        let hosts: Vec<String> =
            effective.address_list.iter().map(|e| format!("{} {}", e.host, e.origin)).collect();
        assert_eq!(hosts, ["10.0.0.1 EPICS_CA_ADDR_LIST", "10.0.0.2:6064 EPICS_CA_ADDR_LIST"]);
        assert_eq!(effective.auto_address_list, (false, Origin::place("EPICS_CA_AUTO_ADDR_LIST")));
        assert_eq!(effective.server_port, (6064, Origin::place("EPICS_CA_SERVER_PORT")));
        assert_eq!(effective.repeater_port, (5065, Origin::place("default")));

        let line = Origin::place("vacuum.toml").at(3);
        let configured = ChannelAccessSettings {
            address_list: Some(vec![HostEntry { host: "ioc1".to_owned(), origin: line }]),
            name_servers: Some(Vec::new()),
            auto_address_list: Some(true),
            ..ChannelAccessSettings::default()
        };
        let effective = configured.effective(environment);
        assert_eq!(effective.address_list[0].origin.to_string(), "vacuum.toml:3");
        assert!(effective.name_servers.is_empty() && effective.auto_address_list.0);
        assert_eq!(effective.server_port.0, 6064);
    }
}
