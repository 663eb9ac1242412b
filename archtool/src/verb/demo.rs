//! `demo`: a complete archiver to try.

use crate::command_line::Outcome;
use crate::demo::{Demo, Machine};
use crate::failure::Failure;
use crate::print::{text, warn};
use engine::config::ENGINE_PORT;
use engine::status::{Status, StatusSource};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// How often the status line changes.
const TICK: Duration = Duration::from_millis(500);

/// Try Varve: archive a simulated machine (a real C IOC over Channel Access, on this computer only)
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Keep the archive in this directory; without it the archive is removed at the end
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Port of the HTTP server; if it is in use, a free one is taken
    #[arg(long, value_name = "N", default_value_t = ENGINE_PORT, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// How many channels
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    channels: u32,
    /// Stop after so many seconds
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let machine = Machine::new(arguments.channels as usize);
    let demo = Demo::start(&machine, arguments.dir.as_deref(), arguments.port)?;
    let address = demo.running().address();
    if address.port() != arguments.port {
        warn(&format!("port {} is in use; this demonstration listens on {}", arguments.port, address.port()));
    }
    text(&introduction(&demo, arguments))?;
    wait(&demo, arguments.seconds.map(Duration::from_secs))?;
    let status = demo.running().engine().status();
    let (connected, total) = (status.channels.connected, status.channels.total);
    let stored = demo.running().engine().metrics().ledger.stored;
    text(&format!("{stored} samples of {connected} of {total} channels were archived.\n"))?;
    Ok(if connected == total { Outcome::Done } else { Outcome::Missing })
}

fn introduction(demo: &Demo, arguments: &Arguments) -> String {
    let url = format!("http://{}", demo.running().address());
    let folder = demo.folder().display();
    let fate = if arguments.dir.is_some() { "" } else { " (removed at the end; --dir keeps it)" };
    let end = match arguments.seconds {
        Some(seconds) => format!("It stops after {seconds} seconds."),
        None => "Ctrl-C stops it.".to_owned(),
    };
    format!(
        "Archiving {} channels of a simulated storage ring.\n\
         archive  {folder}{fate}\n\
         server   {url}\n\
         Try, in another terminal:\n  \
         curl '{url}/api/v1/samples?channel=SR:DCCT:CURRENT&from=-10s&format=csv'\n  \
         curl '{url}/api/v1/channels?match=SR:C01:*'\n  \
         archtool list {url} 'SR:C01:*'\n  \
         archtool get {url} SR:DCCT:CURRENT --last 10s\n  \
         archtool why {url} SR:DCCT:CURRENT\n  \
         archtool status {url}\n\
         {end}\n",
        arguments.channels
    )
}

/// One line that changes, on a terminal only, until the time is over or a signal says stop.
fn wait(demo: &Demo, limit: Option<Duration>) -> Result<(), Failure> {
    let line = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        line.set_style(style);
    }
    let began = Instant::now();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::io("wait"))?;
    runtime.block_on(async {
        let listen = |kind| signal(kind).map_err(Failure::io("listen to signals"));
        let (mut stop, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        while limit.is_none_or(|limit| began.elapsed() < limit) {
            let left = limit.map_or(TICK, |limit| limit.saturating_sub(began.elapsed()).min(TICK));
            tokio::select! {
                _ = stop.recv() => break,
                _ = interrupt.recv() => break,
                () = tokio::time::sleep(left) => {}
            }
            line.set_message(summary(&demo.running().engine().status()));
            line.tick();
        }
        line.finish_and_clear();
        Ok(())
    })
}

fn summary(status: &Status) -> String {
    format!(
        "{} of {} channels connected, {:.0} samples/s, {:.1} MiB in memory, {} problems",
        status.channels.connected,
        status.channels.total,
        status.ingest.samples_per_s,
        status.memtable.bytes as f64 / f64::from(1 << 20),
        status.problems.len()
    )
}
