//! A complete archiver with a simulated machine, on this computer alone.

mod machine;

pub(crate) use machine::Machine;

use crate::failure::Failure;
use archengine::{Running, StartError};
use disk::{Disk, RealDisk};
use engine::config::{ChannelSettings, Config, ConfiguredChannel, HostEntry, Origin};
use engine::source::ChannelAccessSource;
use epics_ca::ioc::{Ioc, Ports};
use sample::ChannelName;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A running demonstration. Dropping it stops everything and removes what it made.
pub(crate) struct Demo {
    /// The archiver; before the IOC, so that it is stopped first.
    running: Running,
    _ioc: Ioc,
    folder: PathBuf,
    /// Holds what goes at the end: the IOC's database, and the archive unless it was to stay.
    _scratch: tempfile::TempDir,
}

impl Demo {
    /// Starts IOC and archiver; `directory` keeps the archive, else it goes at the end.
    pub(crate) fn start(machine: &Machine, directory: Option<&Path>, port: u16) -> Result<Demo, Failure> {
        let scratch = tempfile::tempdir().map_err(Failure::io("make a temporary directory"))?;
        let database = scratch.path().join("machine.db");
        RealDisk
            .create(&database)
            .and_then(|file| file.write_at(0, machine.database().as_bytes()))
            .map_err(engine::error::Error::from)?;
        let ports = Ports::free().map_err(Failure::demo)?;
        let folder = directory.map_or_else(|| scratch.path().join("archive"), Path::to_path_buf);
        let config = configuration(machine, &folder, port, ports)?;
        // libca takes its settings from the environment: before any thread is started.
        let source = ChannelAccessSource::open(&config.channel_access).map_err(Failure::demo)?;
        let ioc = Ioc::start(ports, &database).map_err(Failure::demo)?;
        let running = Running::start(config, Box::new(source)).map_err(|error| match error {
            StartError::Engine(error) => Failure::Engine(error),
            other => Failure::demo(other),
        })?;
        Ok(Demo { running, _ioc: ioc, folder, _scratch: scratch })
    }

    /// The archiver.
    pub(crate) fn running(&self) -> &Running {
        &self.running
    }

    /// Where it archives.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The port if it is free, else any that is.
fn free_address(port: u16) -> SocketAddr {
    let address = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let free = TcpListener::bind(address(port)).is_ok();
    address(if free { port } else { 0 })
}

/// Every setting of Channel Access is given, so that the environment has none: only this machine is searched.
fn configuration(machine: &Machine, folder: &Path, port: u16, ports: Ports) -> Result<Config, Failure> {
    let mut config = Config::new(folder.to_path_buf());
    config.http.listen = free_address(port);
    let origin = Origin::place("demo");
    let access = &mut config.channel_access;
    let host = format!("{}:{}", Ipv4Addr::LOCALHOST, ports.server());
    access.address_list = Some(vec![HostEntry { host, origin: origin.clone() }]);
    access.name_servers = Some(Vec::new());
    access.auto_address_list = Some(false);
    access.server_port = Some(ports.server());
    access.repeater_port = Some(ports.repeater());
    let settings = Arc::new(ChannelSettings::default());
    for name in machine.channels() {
        let name = ChannelName::parse(&name).map_err(|error| Failure::Usage(error.to_string()))?;
        config.channels.push(ConfiguredChannel { name, settings: settings.clone(), origin: origin.clone() });
    }
    Ok(config)
}
