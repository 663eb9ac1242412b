//! Runs the router on a listener: HTTP/1.1 and HTTP/2, with limits on slow clients, until told to stop.

use crate::error::{ApiError, Code};
use crate::fairness::{Client, Places, Share};
use crate::limits::{
    CONNECTION_BYTES_MAX, CONNECTIONS_FACTOR, CONNECTIONS_MAX, HEADER_READ_TIMEOUT, REFUSAL_LINGERS,
    SHUTDOWN_GRACE,
};
use crate::sendfile::SendingStream;
use crate::stream::Stopping;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;
use tower::Layer as _;

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_buf_size(CONNECTION_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(128)
        .keep_alive_interval(Some(HEADER_READ_TIMEOUT))
        .keep_alive_timeout(HEADER_READ_TIMEOUT);
    builder
}

async fn accept(listener: &TcpListener) -> (TcpStream, Client) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => return (stream, address.ip().into()),
            Err(error) => {
                // Too many open files, mostly: others must close theirs first.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Tells a client that has nearly all connections to come back, whatever it wanted to ask.
async fn refuse(mut stream: TcpStream) {
    let message = "your address has as many connections as one client may have; close some";
    let error = ApiError::of(Code::TooMany, message);
    let body = error.body_json();
    let head = format!(
        "HTTP/1.1 {} Too Many Requests\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         retry-after: {}\r\nconnection: close\r\n\r\n",
        error.status,
        body.len(),
        error.retry_after_s().unwrap_or_default()
    );
    let told = async {
        stream.write_all(&[head.as_bytes(), &body].concat()).await?;
        stream.shutdown().await?;
        // Bytes that nobody read would make the system take the answer back.
        let mut request = [0; 4096];
        while stream.read(&mut request).await? > 0 {}
        io::Result::Ok(())
    };
    // Nobody waits for a client that does not listen.
    let _ = tokio::time::timeout(REFUSAL_LINGERS, told).await;
}

/// Listens at `address`. As many connections as are served at once may wait to be accepted: the system lets who comes in
/// a burst beyond that wait for a second.
///
/// # Errors
/// The system's, as when somebody else listens there.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // The port of a process that has just ended is free.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(CONNECTIONS_MAX as u32)
}

/// Serves until `shutdown` resolves, then lets running answers go on for a few seconds.
/// A client that takes nothing for `idle_timeout` is cut.
pub async fn serve(
    listener: TcpListener,
    router: axum::Router,
    idle_timeout: Duration,
    shutdown: impl Future<Output = ()>,
) {
    let builder = builder();
    let graceful = GracefulShutdown::new();
    let (stop, stopping) = watch::channel(false);
    let router = router.layer(axum::Extension(Stopping(stopping)));
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let share =
        Share { places: CONNECTIONS_MAX, factor: CONNECTIONS_FACTOR, waiting: 0, patience: Duration::ZERO };
    let clients = Places::new(share, Gauge::default(), Counter::default());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let place = tokio::select! {
            () = &mut shutdown => break,
            // Done tasks leave the set.
            Some(_) = connections.join_next() => continue,
            place = places.clone().acquire_owned() => place,
        };
        let (stream, client) = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener) => accepted,
        };
        let Some(own_place) = clients.take(client).await else {
            connections.spawn(async move {
                refuse(stream).await;
                drop(place);
            });
            continue;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
        let stream = SendingStream::new(stream);
        let extensions = (axum::Extension(client), axum::Extension(stream.underway()));
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(idle_timeout));
        let service = TowerToHyperService::new(extensions.layer(router.clone()));
        let connection = builder.serve_connection(TokioIo::new(Box::pin(stream)), service).into_owned();
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended");
            }
            drop((place, own_place));
        });
    }
    drop(listener);
    stop.send_replace(true);
    if tokio::time::timeout(SHUTDOWN_GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("answers that still ran were cut");
    }
}
