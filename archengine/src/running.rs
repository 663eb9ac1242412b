//! A whole engine in this process: the archive's threads with the HTTP server on it.

use crate::seam;
use engine::clock::SystemClock;
use engine::config::{Config, ConfigErrors, Plan};
use engine::read::{Member, Reader};
use engine::source::Source;
use engine::{Engine, EngineParts};
use retrieval_server::{HttpSettings, Opening, ServerState, listen, router, serve};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long running answers may take to end when the engine stops; the archive itself stops beside them.
const SERVER_STOP: Duration = Duration::from_secs(8);

/// Why an engine could not be started.
#[derive(Debug)]
pub enum StartError {
    /// The address to listen on cannot be had.
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The threads of the server cannot be started.
    Runtime(io::Error),
    /// The archive cannot be opened.
    Engine(engine::error::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Listen { address, source } if source.kind() == io::ErrorKind::AddrInUse => write!(
                f,
                "port {} on {} is in use, perhaps by another engine; choose another with --port or [http] listen",
                address.port(),
                address.ip()
            ),
            StartError::Listen { address, source } => write!(f, "cannot listen on {address}: {source}"),
            StartError::Runtime(source) => write!(f, "cannot start the HTTP server: {source}"),
            StartError::Engine(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Listen { source, .. } | StartError::Runtime(source) => Some(source),
            StartError::Engine(error) => Some(error),
        }
    }
}

/// A running engine with its server. Dropping it stops both.
pub struct Running {
    engine: Arc<Engine>,
    address: SocketAddr,
    runtime: Option<Runtime>,
    shutdown: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
}

impl Running {
    /// Listens, opens the archive, starts recording what `source` delivers, serves. Whoever asks before the
    /// archive is open is told that it is not yet.
    ///
    /// # Errors
    /// The address is in use, the archive cannot be opened; nothing was changed then.
    pub fn start(config: Config, source: Box<dyn Source>) -> Result<Running, StartError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .max_blocking_threads(retrieval_server::limits::BLOCKING_THREADS_MAX)
            .on_thread_start(engine::schedule::prompt_turns)
            .build()
            .map_err(StartError::Runtime)?;
        let wanted = config.http.listen;
        let unheard = |source| StartError::Listen { address: wanted, source };
        // First of all: a port in use must leave the archive untouched.
        let listener = runtime.block_on(async { listen(wanted) }).map_err(unheard)?;
        let address = listener.local_addr().map_err(unheard)?;
        let idle_timeout = config.http.idle_timeout;
        let settings = HttpSettings::from(&config.http);
        let parts = EngineParts {
            config,
            disk: seam::disk(),
            clock: Arc::new(SystemClock),
            source,
            address: format!("http://{}", reachable(address)),
            flush_every: seam::flush_every(),
        };
        let opening = Opening::default();
        let (shutdown, told) = oneshot::channel();
        let server = runtime.spawn(serve(listener, opening.router(), idle_timeout, async {
            // A dropped sender tells the same.
            let _ = told.await;
        }));
        let engine = Arc::new(Engine::start(parts).map_err(StartError::Engine)?);
        let archive = Arc::new(engine.archive());
        let reader = Reader::new(vec![Member { name: String::new(), priority: 1, archive }]);
        // Other processes that read the archive ask here for what is in memory only.
        let router = router(ServerState::new(reader, Some(engine.clone()), settings))
            .merge(retrieval_server::tail::routes(engine.archive()));
        opening.opened(router);
        Ok(Running {
            engine,
            address,
            runtime: Some(runtime),
            shutdown: Some(shutdown),
            server: Some(server),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Takes over another configuration whole, or refuses it whole.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn reload(&self, next: Result<Config, ConfigErrors>) -> Result<Plan, ConfigErrors> {
        self.engine.reload(next)
    }

    /// Stops recording and serving, within ten seconds whatever is in memory or under way.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        drop(self.shutdown.take());
        // Recording ends at once; answers that run get a little longer.
        self.engine.stop();
        if let Some(server) = self.server.take() {
            let ended = runtime.block_on(async { tokio::time::timeout(SERVER_STOP, server).await });
            if ended.is_err() {
                tracing::warn!("answers under way were cut");
            }
        }
        // Answers run on threads that cannot be interrupted: they end with the process.
        runtime.shutdown_background();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// An address that others can use where the engine listens on all of them.
fn reachable(address: SocketAddr) -> SocketAddr {
    if !address.ip().is_unspecified() {
        return address;
    }
    let loopback: std::net::IpAddr = match address {
        SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(loopback, address.port())
}
