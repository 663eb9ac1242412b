//! An engine with its server in this process, fed by hand.

use disk::RealDisk;
use engine::clock::SystemClock;
use engine::config::Config;
use engine::read::{Archive, Member, Reader, Scan};
use engine::source::{Arrival, SimulatedHandle, SimulatedSource};
use engine::{Engine, EngineParts};
use retrieval_server::{HttpSettings, ServerState, archives, router, serve, tail};
use sample::{ChannelName, Metadata, Sample, TimeRange, Timestamp, Value};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The engine's HTTP server; stopped when dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    runtime: Option<tokio::runtime::Runtime>,
    stop: Option<oneshot::Sender<()>>,
}

impl Server {
    /// On a port that was bound already, so that its address can stand in the lock file.
    pub(crate) fn start(listener: std::net::TcpListener, router: axum::Router) -> Server {
        let url = format!("http://{}", listener.local_addr().unwrap());
        listener.set_nonblocking(true).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            serve(listener, router, Duration::from_secs(60), async {
                let _ = stopped.await;
            })
            .await;
        });
        Server { url, runtime: Some(runtime), stop: Some(stop) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        // Whatever still holds the archive lets go of it: its lock is free afterwards.
        self.runtime.take().unwrap().shutdown_timeout(Duration::from_secs(60));
    }
}

/// An engine that archives what a test sends.
pub(crate) struct Machine {
    pub(crate) engine: Arc<Engine>,
    pub(crate) server: Option<Server>,
    source: SimulatedHandle,
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.engine.stop();
    }
}

impl Machine {
    pub(crate) fn start(directory: &Path, channels: &[&str], flush_every: Option<Duration>) -> Machine {
        let (source, handle) = SimulatedSource::new();
        let names: Vec<String> = channels.iter().map(|name| (*name).into()).collect();
        let mut config = Config::without_file(&RealDisk, directory.into(), &names, &[]).unwrap();
        config.archive.sync_interval = Duration::from_millis(50);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let engine = Engine::start(EngineParts {
            config,
            disk: Arc::new(RealDisk),
            clock: Arc::new(SystemClock),
            source: Box::new(source),
            address: format!("http://{}", listener.local_addr().unwrap()),
            flush_every,
        });
        let engine = Arc::new(engine.unwrap());
        let archive = Arc::new(engine.archive());
        let reader = Reader::new(vec![Member { name: "own".into(), priority: 1, archive }]);
        let state = ServerState::new(reader, Some(engine.clone()), HttpSettings::default());
        let router = router(state).merge(tail::routes(engine.archive()));
        let machine = Machine { engine, server: Some(Server::start(listener, router)), source: handle };
        let connected = channels.iter().map(|channel| {
            let host = "ioc:5064".into();
            (name(channel), now(), Arrival::Connected { host, readable: true, metadata_follows: true })
        });
        machine.source.send_all(connected);
        let metadata = Metadata { precision: Some(2), ..Metadata::default() };
        let described = channels
            .iter()
            .map(|channel| (name(channel), now(), Arrival::Metadata(Box::new(metadata.clone()))));
        machine.source.send_all(described);
        machine
    }

    pub(crate) fn url(&self) -> String {
        self.server.as_ref().unwrap().url.clone()
    }

    pub(crate) fn send(&self, channel: &str, samples: impl IntoIterator<Item = Sample>) {
        let received = now();
        let arrivals = samples.into_iter().map(|sample| (name(channel), received, Arrival::Sample(sample)));
        self.source.send_all(arrivals);
    }

    /// Waits until the engine's own reader has `count` samples of a channel.
    pub(crate) fn until_stored(&self, channel: &str, count: usize) {
        let archive: Arc<dyn Archive> = Arc::new(self.engine.archive());
        let started = Instant::now();
        while samples(&archive, channel).len() < count {
            assert!(started.elapsed() < Duration::from_secs(60), "{count} samples never came");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

pub(crate) fn name(text: &str) -> ChannelName {
    ChannelName::stored(text).unwrap()
}

pub(crate) fn now() -> Timestamp {
    use engine::clock::Clock;
    SystemClock.now()
}

/// The directory as another process reads it.
pub(crate) fn foreign(directory: &Path) -> Arc<dyn Archive> {
    let (disk, clock) = (Arc::new(RealDisk), Arc::new(SystemClock));
    Arc::new(archives::directory(disk, clock, directory.into(), None))
}

pub(crate) fn reader(archive: &Arc<dyn Archive>) -> Reader {
    Reader::new(vec![Member { name: "it".into(), priority: 1, archive: archive.clone() }])
}

pub(crate) fn samples(archive: &Arc<dyn Archive>, channel: &str) -> Vec<Sample> {
    let Some(view) = reader(archive).view(&name(channel), TimeRange::ALL).unwrap() else { return Vec::new() };
    let blocks: Vec<_> = view.samples(&Scan::ascending(TimeRange::ALL)).collect::<Result<_, _>>().unwrap();
    blocks.iter().flat_map(|block| (0..block.len()).map(|i| block.get(i))).collect()
}

/// `count` values from `first` on, a millisecond apart behind `base`.
pub(crate) fn counter(base: Timestamp, first: usize, count: usize) -> impl Iterator<Item = Sample> {
    (first..first + count)
        .map(move |i| Sample::new(Timestamp(base.0 + i as i64 * 1_000_000), Value::Float64(i as f64)))
}
