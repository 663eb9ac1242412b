//! What a server holds for clients that take next to nothing of a long answer: bytes allocated in this process.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod allocated;
#[expect(dead_code, reason = "the other tests use all of it")]
#[path = "../it/memory.rs"]
mod memory;

use memory::{Channel, Memory};
use retrieval_server::{HttpSettings, columns, router, serve};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

const CLIENTS: usize = 12;
/// As many as ten weeks at 1 Hz: far more than sockets hold.
const SAMPLES: usize = 6_000_000;
/// How much further than the one before it each client reads before it stands still: where in a batch the kernel stopped
/// taking decides what is held, and clients that all stop alike would measure one place, another on each machine.
const STRIDE: usize = 333_333;
/// What a client may hold in each format and encoding, a third more than it does over all those places, and less than was
/// held when a batch was copied on its way out: with the stack of its thread and what lies between blocks of memory a
/// client is about 1 MiB.
///
/// A batch of `columns` comes as 24, 64 and 64 KiB. At worst the connection has three of these, of the first all but sent;
/// the body one of 64, the queue one of 64, and the batch that is being written is whole: 432 KiB, and some 80 for the
/// list of stored parts, the writer's buffer and the connection itself. Other formats differ in the size of their parts.
const BOUNDS: [(&str, &str, usize); 7] = [
    ("columns", "identity", 620 << 10),
    ("chunks", "identity", 620 << 10),
    ("arrow", "identity", 540 << 10),
    ("csv", "identity", 900 << 10),
    ("json", "identity", 920 << 10),
    ("columns", "gzip", 980 << 10),
    // What zstd itself holds, about 200 kB, is allocated elsewhere.
    ("columns", "zstd", 600 << 10),
];

/// A client that has read the first bytes of a long answer.
fn slow_client(address: SocketAddr, query: &str, encoding: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "GET /api/v1/samples?channel=X&from_ns=0&{query} HTTP/1.1\r\nhost: x\r\naccept-encoding: {encoding}\r\n\r\n"
    );
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

/// Runs `ask` beside a server on a free port.
fn served(ask: impl FnOnce(SocketAddr)) {
    let channel = Channel { generated: Some(SAMPLES), ..Channel::default() };
    let state = Memory::of([("X", channel)]).state_with(HttpSettings::default());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = runtime.spawn(serve(listener, router(state), Duration::from_secs(600), async {
        let _ = stopped.await;
    }));
    ask(address);
    let _ = stop.send(());
    runtime.block_on(running).unwrap();
}

/// Both look at what the process has allocated, or change it.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn a_client_that_stood_still_gets_the_whole_answer() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    served(|address| {
        let mut stream = TcpStream::connect(address).unwrap();
        // Without chunks of HTTP the body is what follows the head.
        let target = format!("/api/v1/samples?channel=X&from_ns=0&to_ns={SAMPLES}&format=columns");
        stream.write_all(format!("GET {target} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
        let mut answer = vec![0; 1 << 20];
        for _ in 0..4 {
            let at = answer.len() - (1 << 20);
            stream.read_exact(&mut answer[at..]).unwrap();
            answer.resize(answer.len() + (1 << 20), 0);
            std::thread::sleep(Duration::from_millis(300));
        }
        answer.truncate(answer.len() - (1 << 20));
        stream.read_to_end(&mut answer).unwrap();
        let body = answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
        let (batches, end) = columns::decode(&answer[body..]).unwrap();
        assert_eq!(end.samples, SAMPLES as u64);
        assert!(batches.iter().flat_map(|batch| &batch.block.time).copied().eq(0..SAMPLES as i64));
    });
}

#[test]
fn a_slow_client_holds_at_most_a_mebibyte() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    served(hold);
}

fn hold(address: SocketAddr) {
    for (format, encoding, bound) in BOUNDS {
        let query = format!("to_ns={SAMPLES}&format={format}");
        drop(slow_client(address, &query, encoding));
        let before = settled();
        let mut clients: Vec<TcpStream> =
            (0..CLIENTS).map(|_| slow_client(address, &query, encoding)).collect();
        for (place, client) in clients.iter_mut().enumerate() {
            client.read_exact(&mut vec![0; place * STRIDE]).unwrap();
        }
        let held = settled().saturating_sub(before) / CLIENTS;
        println!("{format}, {encoding}: {held} bytes a client");
        assert!(
            held <= bound,
            "{format}, {encoding}: each of {CLIENTS} slow clients holds {held} bytes, {bound} are right"
        );
        // They are all still being answered.
        for client in &mut clients {
            client.read_exact(&mut [0]).unwrap();
        }
    }
}
