//! The program `archserver` from its arguments to its exit code.

use crate::archives;
use crate::limits::BLOCKING_THREADS_MAX;
use crate::{HttpSettings, ServerState, listen, router, serve, tail};
use clap::Parser;
use disk::{Disk, RealDisk};
use engine::clock::{Clock, SystemClock};
use engine::config::server::{Location, ServerConfig};
use engine::read::Archive;
use std::fmt::{self, Write as _};
use std::future::Future;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

const FAILED: u8 = 1;
const USAGE: u8 = 2;

/// Answers questions about many archives over HTTP as if they were one
#[derive(Debug, Parser)]
#[command(
    name = "archserver",
    version,
    after_help = "SIGTERM and SIGINT stop within 10 seconds.\n\
                  Exit codes: 0 stopped when told to, 1 failed, 2 wrong usage or invalid configuration."
)]
struct Arguments {
    /// Configuration file (docs/configuration.md)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Check the configuration, print which archives can be read now, exit
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    log: logging::LogOptions,
}

/// Why a server could not run.
#[derive(Debug)]
enum RunError {
    /// Threads or signals cannot be had.
    Start(io::Error),
    /// The address to listen on cannot be had.
    Listen { address: SocketAddr, source: io::Error },
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Start(source) => write!(f, "cannot start: {source}"),
            RunError::Listen { address, source } if source.kind() == io::ErrorKind::AddrInUse => write!(
                f,
                "port {} on {} is in use, perhaps by another server; choose another with [http] listen",
                address.port(),
                address.ip()
            ),
            RunError::Listen { address, source } => write!(f, "cannot listen on {address}: {source}"),
        }
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RunError::Start(source) | RunError::Listen { source, .. } => Some(source),
        }
    }
}

/// Runs the program on the arguments of this process.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // A reader of --help may leave early.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    let config = match ServerConfig::load(&RealDisk, &arguments.config) {
        Ok(config) => config,
        Err(errors) => return fail(&errors, USAGE),
    };
    if arguments.check {
        // Whoever closes the pipe has read enough.
        let _ = io::stdout().write_all(report(&config).as_bytes());
        return ExitCode::SUCCESS;
    }
    arguments.log.start();
    match run(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, FAILED),
    }
}

fn fail(error: &dyn fmt::Display, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "archserver: {error}");
    ExitCode::from(code)
}

/// What a server with this configuration would do, and which of its archives answer now.
fn report(config: &ServerConfig) -> String {
    let mut text = format!("configuration  no errors\nlistens on     http://{}\n", config.http.listen);
    let reader = archives(config);
    for served in &config.archives {
        let place = match &served.location {
            Location::Directory(path) => path.display().to_string(),
            Location::Url(url) => url.clone(),
        };
        let member = reader.members().iter().find(|member| member.name == served.name);
        let state = match member.map(|member| member.archive.resolve("")) {
            Some(Err(error)) => format!("cannot be read now: {error}"),
            _ => "can be read".to_string(),
        };
        let _ =
            writeln!(text, "archive        {} (priority {}): {place}: {state}", served.name, served.priority);
    }
    text
}

fn archives(config: &ServerConfig) -> engine::read::Reader {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    archives::reader(&disk, &clock, &config.archives)
}

/// Serves until a signal says stop.
fn run(config: &ServerConfig) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build()
        .map_err(RunError::Start)?;
    let served = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Start)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Start)?;
        serve_until(config, async move {
            tokio::select! {
                _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
                _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
            }
        })
        .await
    });
    // Answers run on threads that cannot be interrupted: they end with the process.
    runtime.shutdown_background();
    if served.is_ok() {
        tracing::info!("stopped");
    }
    served
}

async fn serve_until(config: &ServerConfig, stop: impl Future<Output = ()>) -> Result<(), RunError> {
    let address = config.http.listen;
    let unheard = |source| RunError::Listen { address, source };
    let listener = listen(address).map_err(unheard)?;
    let reader = archives(config);
    let idle_timeout = config.http.idle_timeout;
    let settings = HttpSettings::from(&config.http);
    let state = ServerState::new(reader.clone(), None, settings);
    let router = router(state).merge(tail::served(reader.clone()));
    let heard = listener.local_addr().map_err(unheard)?;
    tracing::info!(address = %format_args!("http://{heard}"), archives = config.archives.len(), "serving");
    tokio::task::spawn_blocking(move || announce(&reader));
    serve(listener, router, idle_timeout, stop).await;
    Ok(())
}

/// Says once which archives cannot be read at the start; `/status` always says it.
fn announce(reader: &engine::read::Reader) {
    for member in reader.members() {
        if let Err(error) = Archive::resolve(&*member.archive, "") {
            tracing::warn!(archive = member.name, %error, "cannot be read; it is tried again with every request");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
