//! `--check`: what an engine with this configuration would do.

use disk::{Disk, RealDisk};
use engine::config::{Config, EffectiveChannelAccess, Keep, Mode, format_duration};
use engine::identity::Identity;
use engine::layout::Layout;
use epics_ca::{Library, LibraryPlaces};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The report, and whether an engine could start.
pub(crate) fn report(config: &Config, source: &str) -> (String, bool) {
    let mut lines = Vec::new();
    let mut line = |name: &str, text: String| lines.push(format!("{name:16}{text}"));
    line("configuration", format!("{source}: no errors"));
    let (archive, startable) = archive(config);
    line("archive", archive);
    line("listens on", listen(config));
    line("channels", channels(config));
    for class in &config.retention {
        line(
            "retention",
            format!("{}: raw {}, decimated {}", class.class, keep(class.raw), keep(class.decimated)),
        );
    }
    let library = match Library::open(&LibraryPlaces::of_this_process(config.channel_access.library.clone()))
    {
        Ok(library) => format!("{} ({})", library.path().display(), library.version()),
        Err(error) => format!("not found, so no channel can be archived: {error}"),
    };
    line("libca", library);
    let variable = |name: &str| std::env::var(name).ok();
    search(&config.channel_access.effective(variable), &mut line);
    (lines.join("\n") + "\n", startable)
}

/// What lies in the directory, and whether an engine may use it.
fn archive(config: &Config) -> (String, bool) {
    let settings = &config.archive;
    let directory = settings.directory.display();
    let layout = Layout::new(&settings.directory);
    let pinned = settings.id.as_deref();
    match Identity::load(&RealDisk, &layout) {
        Ok(Some(identity)) => {
            let id = identity.id.to_string();
            if pinned.is_some_and(|pinned| pinned != id) {
                return (
                    format!("{directory} is archive {id}, not the pinned one: the engine would refuse it"),
                    false,
                );
            }
            (format!("{directory}, id {id}"), true)
        }
        Ok(None) => match (RealDisk.list(&settings.directory), pinned) {
            (_, Some(pinned)) => (
                format!("{directory} is not the pinned archive {pinned}: is the file system mounted?"),
                false,
            ),
            (Ok(names), None) if !names.is_empty() => {
                (format!("{directory} is neither an archive nor empty: the engine would refuse it"), false)
            }
            (Err(error), None) if !error.is_missing() => (error.to_string(), false),
            (_, None) if !settings.create => {
                (format!("{directory} is no archive, and create = false"), false)
            }
            (_, None) => (format!("{directory}, which would be created"), true),
        },
        Err(error) => (error.to_string(), false),
    }
}

fn listen(config: &Config) -> String {
    let readers = if config.http.listen.ip().is_loopback() {
        "read from this machine only"
    } else {
        "open_reading: everyone who reaches it may read"
    };
    format!("http://{} ({readers})", config.http.listen)
}

fn channels(config: &Config) -> String {
    let mut modes: BTreeMap<String, usize> = BTreeMap::new();
    for channel in &config.channels {
        let mode = match channel.settings.mode {
            Mode::Monitor => "monitor".to_owned(),
            Mode::Scan { period } => format!("scan {}", format_duration(period)),
        };
        *modes.entry(mode).or_default() += 1;
    }
    let modes: Vec<String> = modes.into_iter().map(|(mode, count)| format!("{count} {mode}")).collect();
    let mut text = config.channels.len().to_string();
    if !modes.is_empty() {
        let _ = write!(text, " ({})", modes.join(", "));
    }
    if config.repeated > 0 {
        let _ = write!(text, "; {} repeated names are archived once", config.repeated);
    }
    text
}

fn keep(keep: Keep) -> String {
    match keep {
        Keep::Forever => "forever".to_owned(),
        Keep::For(duration) => format_duration(duration),
    }
}

fn search(access: &EffectiveChannelAccess, line: &mut dyn FnMut(&str, String)) {
    for (name, hosts) in [("address list", &access.address_list), ("name servers", &access.name_servers)] {
        if hosts.is_empty() {
            line(name, "none".to_owned());
        }
        for entry in hosts {
            line(name, format!("{:32} from {}", entry.host, entry.origin));
        }
    }
    let (auto, origin) = &access.auto_address_list;
    let every = if *auto { "every broadcast address of this machine" } else { "nothing" };
    line("searched beside", format!("{every:32} from {origin}"));
    for (name, (port, origin)) in
        [("server port", &access.server_port), ("repeater port", &access.repeater_port)]
    {
        line(name, format!("{port:<32} from {origin}"));
    }
}
