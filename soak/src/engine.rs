//! An `archengine` or `archserver` process in a temporary folder.

use crate::http::Client;
use crate::process::{Guarded, command};
use crate::{Failure, Programs};
use epics_ca::ioc::Ports;
use std::fmt::Write;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How it is configured.
pub(crate) struct Setup<'a> {
    /// Folder of archive, configuration and log.
    pub(crate) folder: &'a Path,
    /// Where its IOC is or will be.
    pub(crate) ports: Ports,
    /// Further addresses to search.
    pub(crate) addresses: Vec<String>,
    /// Text of the list of channels.
    pub(crate) channels: String,
    /// Further lines of `[archive]`.
    pub(crate) archive: &'a str,
}

/// A configured engine, running or not.
pub(crate) struct Engine {
    program: PathBuf,
    config: PathBuf,
    log: PathBuf,
    /// The archive.
    pub(crate) archive: PathBuf,
    /// Its address.
    pub(crate) url: String,
    environment: Vec<(&'static str, String)>,
    mount: Option<String>,
    process: Option<Guarded>,
}

/// A TCP port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

impl Engine {
    /// Writes the configuration.
    pub(crate) fn configure(programs: &Programs, setup: Setup<'_>) -> Result<Engine, Failure> {
        let Setup { folder, ports, addresses, channels, archive: more } = setup;
        fs::create_dir_all(folder)?;
        let (archive, config, list) =
            (folder.join("archive"), folder.join("engine.toml"), folder.join("channels.txt"));
        fs::write(&list, channels)?;
        let port = free_port()?;
        let mut text = format!("[archive]\ndirectory = {:?}\n{more}\n", archive.display().to_string());
        writeln!(text, "[http]\nlisten = \"127.0.0.1:{port}\"\n[channel_access]")?;
        let mut all = vec![format!("127.0.0.1:{}", ports.server())];
        all.extend(addresses);
        writeln!(text, "address_list = {all:?}\nauto_address_list = false\nname_servers = []")?;
        writeln!(text, "server_port = {}\nrepeater_port = {}", ports.server(), ports.repeater())?;
        writeln!(text, "[[channels]]\nfile = \"channels.txt\"\n")?;
        fs::write(&config, text)?;
        Ok(Engine {
            program: programs.path("archengine")?,
            config,
            log: folder.join("engine.log"),
            archive,
            url: format!("http://127.0.0.1:{port}"),
            environment: Vec::new(),
            mount: None,
            process: None,
        })
    }

    /// Has later starts keep the archive in `directory`.
    pub(crate) fn move_archive(&mut self, directory: &Path) -> Result<(), Failure> {
        let quoted = |path: &Path| format!("directory = {:?}", path.display().to_string());
        let text = fs::read_to_string(&self.config)?;
        fs::write(&self.config, text.replacen(&quoted(&self.archive), &quoted(directory), 1))?;
        self.archive = directory.to_path_buf();
        Ok(())
    }

    /// Sets an environment variable of later starts.
    pub(crate) fn environment(&mut self, name: &'static str, value: &str) {
        self.environment.push((name, value.to_owned()));
    }

    /// Has a shell command mount something in the engine's own mount namespace at later starts.
    pub(crate) fn mount(&mut self, shell: String) {
        self.mount = Some(shell);
    }

    /// Starts it, waits until it answers; how long that took. Call from a thread that lives on.
    pub(crate) fn start(&mut self) -> Result<Duration, Failure> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = match &self.mount {
            None => command(&self.program),
            Some(shell) => {
                let mut command = command(Path::new("unshare"));
                let script = format!("{shell} && exec \"$@\"");
                command.args(["--mount", "sh", "-c", &script, "sh"]).arg(&self.program);
                command
            }
        };
        command.arg("--config").arg(&self.config).envs(self.environment.iter().cloned()).stderr(log);
        let began = Instant::now();
        self.process = Some(Guarded::start(&mut command)?);
        let client = self.client();
        loop {
            if client.status().is_ok() {
                return Ok(began.elapsed());
            }
            let ended = self.process.as_mut().and_then(Guarded::ended);
            if ended.is_some() || began.elapsed() > Duration::from_secs(180) {
                return Err(
                    format!("the engine does not answer ({ended:?}):\n{}", self.last_lines(20)).into()
                );
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until `count` channels are connected; how long that took from the call.
    pub(crate) fn wait_connected(&self, count: u64, limit: Duration) -> Result<Duration, Failure> {
        let began = Instant::now();
        let client = self.client();
        loop {
            let connected = client.status()?["channels"]["connected"].as_u64().unwrap_or(0);
            if connected >= count {
                return Ok(began.elapsed());
            }
            if began.elapsed() > limit {
                return Err(format!(
                    "{connected} of {count} channels connected after {limit:?}:\n{}",
                    self.last_lines(20)
                )
                .into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A client of it.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url)
    }

    /// Its process id, 0 when it does not run.
    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().map_or(0, Guarded::pid)
    }

    /// Lets it run no further, until it is killed.
    pub(crate) fn halt(&self) {
        if let Some(process) = &self.process {
            process.halt();
        }
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// Stops it; how long that took.
    pub(crate) fn stop(&mut self) -> Result<Duration, Failure> {
        let limit = Duration::from_secs(20);
        let mut process = self.process.take().ok_or("the engine does not run")?;
        process.terminate(limit).ok_or_else(|| format!("the engine did not stop within {limit:?}").into())
    }

    /// Lines of its log so far.
    pub(crate) fn log_lines(&self) -> usize {
        fs::read(&self.log).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count()
    }

    /// The end of its log.
    pub(crate) fn last_lines(&self, count: usize) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}

/// An `archserver` over the archive in `directory`, with its configuration and log in `folder`; its address.
pub(crate) fn archserver(
    programs: &Programs,
    folder: &Path,
    directory: &Path,
) -> Result<(Guarded, String), Failure> {
    let port = free_port()?;
    let config = folder.join("server.toml");
    let directory = directory.display().to_string();
    fs::write(
        &config,
        format!(
            "[http]\nlisten = \"127.0.0.1:{port}\"\n[[archives]]\nname = \"soak\"\ndirectory = {directory:?}\n"
        ),
    )?;
    let log = fs::File::create(folder.join("server.log"))?;
    let mut server =
        Guarded::start(command(&programs.path("archserver")?).arg("--config").arg(&config).stderr(log))?;
    let url = format!("http://127.0.0.1:{port}");
    let (client, began) = (Client::new(&url), Instant::now());
    while client.status().is_err() {
        if server.ended().is_some() || began.elapsed() > Duration::from_secs(60) {
            let log = fs::read_to_string(folder.join("server.log")).unwrap_or_default();
            return Err(format!("archserver does not answer: {log}").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok((server, url))
}
