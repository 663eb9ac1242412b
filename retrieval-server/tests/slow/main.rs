//! What a server holds for clients that take next to nothing of a long answer: bytes allocated in this process.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod allocated;
#[expect(dead_code, reason = "the other tests use all of it")]
#[path = "../it/memory.rs"]
mod memory;

use memory::{Channel, Memory};
use retrieval_server::{HttpSettings, router, serve};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

const CLIENTS: usize = 12;
/// As many as ten weeks at 1 Hz: far more than sockets hold.
const SAMPLES: usize = 6_000_000;
/// What a client may hold.
const BOUND: usize = 1 << 20;

/// A client that has read the first bytes of a long answer.
fn slow_client(address: SocketAddr, query: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET /api/v1/samples?channel=X&from_ns=0&{query} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = [0; 15];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    stream
}

/// The least that is allocated while nothing changes for a while.
fn settled() -> usize {
    let (mut least, mut since) = (allocated::bytes(), Instant::now());
    while since.elapsed() < Duration::from_millis(1500) {
        std::thread::sleep(Duration::from_millis(50));
        let now = allocated::bytes();
        // What comes and goes with the runtime is less than this.
        if now.abs_diff(least) > 64 << 10 {
            (least, since) = (now, Instant::now());
        }
        least = least.min(now);
    }
    least
}

#[test]
fn a_slow_client_holds_at_most_a_mebibyte() {
    let channel = Channel { generated: Some(SAMPLES), ..Channel::default() };
    let state = Memory::of([("X", channel)]).state_with(HttpSettings::default());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = runtime.spawn(serve(listener, router(state), Duration::from_secs(600), async {
        let _ = stopped.await;
    }));
    for format in ["columns", "arrow", "csv", "json"] {
        let query = format!("to_ns={SAMPLES}&format={format}");
        drop(slow_client(address, &query));
        let before = settled();
        let mut clients: Vec<TcpStream> = (0..CLIENTS).map(|_| slow_client(address, &query)).collect();
        let held = settled().saturating_sub(before) / CLIENTS;
        println!("{format}: {held} bytes a client");
        assert!(held <= BOUND, "{format}: each of {CLIENTS} slow clients holds {held} bytes");
        // They are all still being answered.
        for client in &mut clients {
            client.read_exact(&mut [0]).unwrap();
        }
    }
    let _ = stop.send(());
    runtime.block_on(running).unwrap();
}
