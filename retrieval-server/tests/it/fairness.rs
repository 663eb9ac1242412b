//! A client that asks for everything at once, and another that asks for little.

use crate::http::{Server, body, memory, until};
use retrieval_server::HttpSettings;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// Who floods, and who does not: both are this machine.
const FLOODING: &str = "127.0.0.2:0";
const OTHER: &str = "127.0.0.3:0";

fn connect(server: &Server, from: &str) -> TcpStream {
    let (from, to) = (from.parse::<SocketAddr>().unwrap(), server.address);
    let stream = server.runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(from).unwrap();
        socket.connect(to).await.unwrap()
    });
    let stream = stream.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream
}

fn ask(stream: &mut TcpStream, path: &str) {
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
}

/// Status, headers in lower case, and the body of a response that says its length.
fn told(stream: &mut BufReader<TcpStream>) -> (u16, String, Vec<u8>) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(stream.read_line(&mut head).unwrap() > 0, "the connection ended behind {head:?}");
    }
    let head = head.to_ascii_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut bytes = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut bytes).unwrap();
    (status, head, bytes)
}

fn metric(server: &Server, name: &str) -> u64 {
    let text = String::from_utf8(body(server.get("/metrics", &[])).unwrap()).unwrap();
    let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Long answers from the flooding address, each drained as fast as it comes.
struct Flood {
    streams: Vec<TcpStream>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Flood {
    fn begin(server: &Server, requests: usize) -> Flood {
        let mut flood = Flood { streams: Vec::new(), threads: Vec::new() };
        for _ in 0..requests {
            let mut stream = connect(server, FLOODING);
            ask(&mut stream, "/api/v1/samples?channel=HUGE&from_ns=0&to_ns=40000000&format=csv");
            flood.streams.push(stream.try_clone().unwrap());
            flood.threads.push(thread::spawn(move || {
                let mut buffer = vec![0; 1 << 16];
                while stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
            }));
        }
        flood
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        for stream in &self.streams {
            let _ = stream.shutdown(Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

/// Ends the flood, also where the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn settings() -> HttpSettings {
    HttpSettings { requests_max: 64, waiting_max: 4, computing_max: 1, ..HttpSettings::default() }
}

#[test]
fn a_flood_waits_and_is_refused_and_nobody_else() {
    let server = Server::start(memory(), settings());
    // A half of the places, those that wait, and three too many.
    let _flood = Flood::begin(&server, 32 + 4 + 3);
    until(|| metric(&server, "varve_http_refused_total") == 3);
    assert_eq!(metric(&server, "varve_http_waiting"), 4);
    let mut other = BufReader::new(connect(&server, OTHER));
    for _ in 0..30 {
        for path in ["samples?channel=A%2BB&from_ns=0&to_ns=9", "at?channel=A%2BB&time_ns=2"] {
            ask(other.get_mut(), &format!("/api/v1/{path}"));
            assert_eq!(told(&mut other).0, 200);
        }
    }
    let mut flooding = BufReader::new(connect(&server, FLOODING));
    ask(flooding.get_mut(), "/api/v1/at?channel=A%2BB");
    let (status, head, bytes) = told(&mut flooding);
    assert!(status == 429 && head.contains("\r\nretry-after: 1\r\n"), "{head}");
    let error: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(error["error"]["code"], "too_many");
    // Those that waited may have waited for too long by now.
    assert!((4..=8).contains(&metric(&server, "varve_http_refused_total")));
}

#[test]
fn clients_compute_in_turns_however_many_answers_one_has() {
    const BINS: &str = "/api/v1/bins?channel=BIG&from_ns=0&to_ns=400000&bins=10";
    let server = Server::start(memory(), settings());
    let (answered, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..32 {
            let mut stream = BufReader::new(connect(&server, FLOODING));
            let (answered, over) = (&answered, &over);
            scope.spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    ask(stream.get_mut(), BINS);
                    assert_eq!(told(&mut stream).0, 200);
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let _end = End(&over);
        until(|| answered.load(Ordering::SeqCst) > 32);
        let mut other = BufReader::new(connect(&server, OTHER));
        let before = answered.load(Ordering::SeqCst);
        let own = 15;
        for _ in 0..own {
            ask(other.get_mut(), BINS);
            assert_eq!(told(&mut other).0, 200);
        }
        let flood = answered.load(Ordering::SeqCst) - before;
        // Were the turns those of answers, the flood would have had 32 times as many.
        assert!(flood < 10 * own, "{flood} answers for the flood, {own} for the other");
    });
}

/// Asks `server` for a stream that goes on.
fn follow(server: &Server, from: &str, user: &str) -> (u16, BufReader<TcpStream>) {
    let mut stream = BufReader::new(connect(server, from));
    let path = "/api/v1/follow?channel=A%2BB&from_ns=0";
    write!(stream.get_mut(), "GET {path} HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {user}\r\n\r\n").unwrap();
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    (line.split(' ').nth(1).unwrap().parse().unwrap(), stream)
}

#[test]
fn users_behind_a_proxy_are_clients_of_their_own() {
    let proxies = vec![FLOODING.parse::<SocketAddr>().unwrap().ip()];
    let server = || {
        let settings = HttpSettings { proxies: proxies.clone(), followers_max: 3, ..HttpSettings::default() };
        Server::start(memory(), settings)
    };
    let statuses =
        |answers: &[(u16, BufReader<TcpStream>)]| answers.iter().map(|(status, _)| *status).collect();
    // Of three places one client has two, if it comes alone.
    let shared = server();
    let users = ["10.1.1.1", "10.1.1.1", "10.1.1.1", "10.1.1.2"].map(|user| follow(&shared, FLOODING, user));
    let found: Vec<u16> = statuses(&users);
    assert_eq!(found, [200, 200, 429, 200]);
    // Nobody else is believed.
    let own = server();
    let lies = ["10.1.1.1", "10.1.1.2", "10.1.1.3"].map(|user| follow(&own, OTHER, user));
    let found: Vec<u16> = statuses(&lies);
    assert_eq!(found, [200, 200, 429]);
}
