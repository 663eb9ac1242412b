//! What a reload would change.

use crate::config::{ChannelSettings, Config, ConfigError, ConfigErrors, ConfiguredChannel, Problem};
use sample::ChannelName;
use std::collections::HashMap;
use std::sync::Arc;

/// A channel whose settings become others.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// The settings until now.
    pub before: Arc<ChannelSettings>,
    /// The channel with its settings from now on.
    pub channel: ConfiguredChannel,
}

/// The way from one configuration to another.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Plan {
    /// Channels that come, in the order of the new configuration.
    pub added: Vec<ConfiguredChannel>,
    /// Channels that go, in the order of the present configuration; their data stay.
    pub removed: Vec<ChannelName>,
    /// Channels whose settings change.
    pub changed: Vec<Change>,
    /// Channels that only stand elsewhere in the files now.
    pub moved: Vec<ConfiguredChannel>,
    /// Retention classes differ.
    pub retention_changed: bool,
    /// Settings that differ but are fixed while the engine runs.
    pub fixed: Vec<&'static str>,
}

/// How many examples an error names.
const EXAMPLES: usize = 3;

impl Plan {
    /// What `next` changes against `present`.
    pub fn between(present: &Config, next: &Config) -> Plan {
        let mut before: HashMap<&ChannelName, &ConfiguredChannel> =
            present.channels.iter().map(|channel| (&channel.name, channel)).collect();
        let mut plan = Plan {
            retention_changed: present.retention != next.retention,
            fixed: fixed_differences(present, next),
            ..Plan::default()
        };
        for channel in &next.channels {
            match before.remove(&channel.name) {
                None => plan.added.push(channel.clone()),
                Some(old) if !old.settings.differences(&channel.settings).is_empty() => {
                    plan.changed.push(Change { before: old.settings.clone(), channel: channel.clone() });
                }
                Some(old) if old.origin != channel.origin => plan.moved.push(channel.clone()),
                Some(_) => {}
            }
        }
        let gone = |channel: &&ConfiguredChannel| before.contains_key(&channel.name);
        plan.removed = present.channels.iter().filter(gone).map(|channel| channel.name.clone()).collect();
        plan
    }

    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        *self == Plan::default()
    }

    /// Whether the running engine may go this way: nothing fixed changes, not too many channels go.
    /// `max_removed` of the new configuration counts, so that one edit can allow what it does.
    pub fn check(&self, present: &Config, next: &Config) -> Result<(), ConfigErrors> {
        let mut errors: Vec<ConfigError> = Vec::new();
        for setting in &self.fixed {
            errors.push(ConfigError { origin: None, problem: Problem::Fixed { setting } });
        }
        let (removed, channels) = (self.removed.len(), present.channels.len());
        if next.archive.max_removed.is_exceeded_by(removed as u64, channels as u64) {
            let problem = Problem::Removal {
                removed,
                channels,
                limit: next.archive.max_removed.to_string(),
                examples: self.removed.iter().take(EXAMPLES).cloned().collect(),
            };
            errors.push(ConfigError { origin: None, problem });
        }
        if errors.is_empty() { Ok(()) } else { Err(ConfigErrors(errors)) }
    }
}

/// Settings that a running engine cannot change.
fn fixed_differences(present: &Config, next: &Config) -> Vec<&'static str> {
    let (a, b) = (&present.archive, &next.archive);
    let (x, y) = (&present.http, &next.http);
    let differs = [
        ("archive.directory", a.directory != b.directory),
        ("archive.id", b.id.is_some() && a.id != b.id),
        ("archive.sync_interval", a.sync_interval != b.sync_interval),
        ("archive.memtable_bytes", a.memtable_bytes != b.memtable_bytes),
        ("archive.min_free", a.min_free != b.min_free),
        ("archive.reserve_bytes", a.reserve_bytes != b.reserve_bytes),
        ("archive.late_limit", a.late_limit != b.late_limit),
        ("archive.future_limit", a.future_limit != b.future_limit),
        ("archive.grace", a.grace != b.grace),
        ("archive.receive_time", a.receive_time != b.receive_time),
        ("http.listen", x.listen != y.listen),
        ("http.open_reading", x.open_reading != y.open_reading),
        ("http.cors_origins", x.cors_origins != y.cors_origins),
        ("http.proxies", x.proxies != y.proxies),
        ("http.idle_timeout", x.idle_timeout != y.idle_timeout),
        ("http.max_answers", x.max_answers != y.max_answers),
        ("http.max_waiting", x.max_waiting != y.max_waiting),
        ("channel_access", !same_search(present, next)),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(setting, _)| setting).collect()
}

/// Whether both search alike, whatever lines say so.
fn same_search(present: &Config, next: &Config) -> bool {
    let hosts = |entries: &Option<Vec<super::HostEntry>>| {
        entries.as_ref().map(|entries| entries.iter().map(|entry| entry.host.clone()).collect::<Vec<_>>())
    };
    let (a, b) = (&present.channel_access, &next.channel_access);
    hosts(&a.address_list) == hosts(&b.address_list)
        && hosts(&a.name_servers) == hosts(&b.name_servers)
        && a.auto_address_list == b.auto_address_list
        && a.server_port == b.server_port
        && a.repeater_port == b.repeater_port
        && a.library == b.library
}
