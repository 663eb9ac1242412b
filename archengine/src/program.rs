//! The program from its arguments to its exit code.

use crate::arguments::Arguments;
use crate::check;
use crate::running::Running;
use clap::Parser;
use engine::config::{Config, DEFAULT_TEXT};
use engine::source::ChannelAccessSource;
use std::io::Write;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

const FAILED: u8 = 1;
const USAGE: u8 = 2;

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
    if arguments.print_config {
        return print(DEFAULT_TEXT);
    }
    let config = match arguments.configuration() {
        Ok(config) => config,
        Err(errors) => return fail(&errors, USAGE),
    };
    if arguments.check {
        let (report, startable) = check::report(&config, &arguments.source());
        let printed = print(&report);
        return if startable { printed } else { ExitCode::from(FAILED) };
    }
    arguments.log.start();
    match run(&arguments, config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&*error, FAILED),
    }
}

fn print(text: &str) -> ExitCode {
    // Whoever closes the pipe has read enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn fail(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "archengine: {error}");
    ExitCode::from(code)
}

/// Records until a signal says stop.
fn run(arguments: &Arguments, config: Config) -> Result<(), Box<dyn std::error::Error>> {
    // Before any thread starts: libca takes its settings from the process's environment.
    let source = ChannelAccessSource::open(&config.channel_access)?;
    let signals = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Listened to from here on: a signal during recovery is not lost.
    let (mut stop, mut interrupt, mut again) = signals.block_on(async {
        Ok::<_, std::io::Error>((
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::hangup())?,
        ))
    })?;
    let (channels, directory) = (config.channels.len(), config.archive.directory.display().to_string());
    let running = Running::start(config, Box::new(source))?;
    tracing::info!(address = %format_args!("http://{}", running.address()), channels, directory, "archiving");
    let name = loop {
        let name = signals.block_on(async {
            tokio::select! {
                _ = stop.recv() => Some("SIGTERM"),
                _ = interrupt.recv() => Some("SIGINT"),
                _ = again.recv() => None,
            }
        });
        match name {
            Some(name) => break name,
            None => reload(arguments, &running),
        }
    };
    tracing::info!("{name}: stopping");
    running.stop();
    tracing::info!("stopped");
    Ok(())
}

fn reload(arguments: &Arguments, running: &Running) {
    match running.reload(arguments.configuration()) {
        Ok(plan) => tracing::info!(
            added = plan.added.len(),
            removed = plan.removed.len(),
            changed = plan.changed.len(),
            "configuration read again"
        ),
        Err(errors) => tracing::error!("the configuration in force stays, the new one has errors:\n{errors}"),
    }
}
