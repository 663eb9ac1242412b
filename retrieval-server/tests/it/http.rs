//! Real HTTP through a socket: streaming, slow and leaving clients, compression, HTTP/2.

use crate::memory::{Channel, Memory, impatient};
use retrieval_server::{HttpSettings, ServerState, columns, listen, router, serve};
use sample::{Sample, Timestamp, Value};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// A server on a free port, stopped when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) loads: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    running: Option<tokio::task::JoinHandle<()>>,
    pub(crate) runtime: tokio::runtime::Runtime,
}

impl Server {
    pub(crate) fn start(memory: Memory, settings: HttpSettings) -> Server {
        let loads = memory.loads.clone();
        let mut server = Server::over(memory.state_with(settings));
        server.loads = loads;
        server
    }

    pub(crate) fn over(state: ServerState) -> Server {
        let loads = Arc::default();
        let idle_timeout = state.settings.idle_timeout;
        let router = router(state);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = runtime.spawn(serve(listener, router, idle_timeout, async {
            let _ = stopped.await;
        }));
        Server { address, loads, stop: Some(stop), running: Some(running), runtime }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn agent() -> ureq::Agent {
        ureq::Agent::config_builder().http_status_as_error(false).build().into()
    }

    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> ureq::http::Response<ureq::Body> {
        let mut request = Server::agent().get(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.call().unwrap()
    }

    fn in_flight(&self) -> u64 {
        let text = body(self.get("/metrics", &[])).unwrap();
        let text = String::from_utf8(text).unwrap();
        let line = text.lines().find(|line| line.starts_with("varve_http_in_flight ")).unwrap();
        // This one is being answered itself.
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap() - 1
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
        self.runtime.block_on(self.running.take().unwrap()).unwrap();
    }
}

pub(crate) fn body(response: ureq::http::Response<ureq::Body>) -> Result<Vec<u8>, ureq::Error> {
    response.into_body().into_with_config().limit(u64::MAX).read_to_vec()
}

pub(crate) fn header<'a>(response: &'a ureq::http::Response<ureq::Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

pub(crate) fn memory() -> Memory {
    let samples = |count| (0..count).map(|i| Sample::new(Timestamp(i), Value::Int64(i))).collect();
    let mut memory = Memory::of([
        ("A/B", Channel { samples: samples(3), ..Channel::default() }),
        ("A+B", Channel { samples: samples(3), ..Channel::default() }),
        ("BAD", Channel { samples: samples(20_000), damaged: Some(3_500), ..Channel::default() }),
        ("é", Channel { samples: samples(20), damaged: Some(1), ..Channel::default() }),
        ("BIG", Channel { generated: Some(400_000), ..Channel::default() }),
        ("HUGE", Channel { generated: Some(40_000_000), ..Channel::default() }),
    ]);
    memory.now = Timestamp(100_000_000);
    memory
}

const SMALL: &str = "/api/v1/samples?channel=A%2BB&from_ns=0&to_ns=9";

/// Waits until `condition` holds; gives up after a time far beyond any that it can take.
pub(crate) fn until(condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(60), "it never happened");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_small_answer_comes_whole_with_its_headers() {
    let server = Server::start(memory(), HttpSettings::default());
    let response = server.get(SMALL, &[("origin", "http://site")]);
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "content-type"), Some("application/json"));
    assert_eq!(header(&response, "cache-control"), Some("no-cache"));
    assert_eq!(header(&response, "varve-samples"), Some("3"));
    assert_eq!(header(&response, "access-control-allow-origin"), Some("*"));
    assert_eq!(header(&response, "content-encoding"), None);
    assert_eq!(header(&response, "content-length"), header(&response, "varve-bytes-estimate"));
    let tag = header(&response, "etag").unwrap().to_string();
    let again = server.get(SMALL, &[("if-none-match", &tag)]);
    assert_eq!(again.status(), 304);
    assert_eq!(server.get(&SMALL.replace("to_ns=9", "to_ns=1"), &[("if-none-match", &tag)]).status(), 200);
    let csv = server.get(SMALL, &[("accept", "text/csv")]);
    assert_eq!(header(&csv, "content-type"), Some("text/csv; charset=utf-8"));
    let json = server.get(&format!("{SMALL}&format=json"), &[("accept", "text/csv")]);
    assert_eq!(header(&json, "content-type"), Some("application/json"));
    let problems = server.get("/api/v1/samples?channel=%C3%A9&from_ns=0&to_ns=9&format=csv", &[]);
    let problems: serde_json::Value =
        serde_json::from_str(header(&problems, "varve-problems").unwrap()).unwrap();
    assert_eq!(problems[0]["channel"], "é");
}

#[test]
fn get_post_and_path_ask_the_same() {
    let server = Server::start(memory(), HttpSettings::default());
    let get = body(server.get(SMALL, &[])).unwrap();
    let post = |content_type: &str, text: &str| {
        let request =
            Server::agent().post(server.url("/api/v1/samples")).header("content-type", content_type);
        body(request.send(text).unwrap()).unwrap()
    };
    assert_eq!(post("application/json", r#"{"channel":["A+B"],"from_ns":0,"to_ns":9}"#), get);
    assert_eq!(post("application/x-www-form-urlencoded", "channel=A%2BB&from_ns=0&to_ns=9"), get);
    for (path, name) in [("A%2FB", "A/B"), ("A/B", "A/B"), ("A+B", "A+B"), ("ca://A%2FB.VAL", "A/B")] {
        let response = server.get(&format!("/api/v1/channels/{path}"), &[]);
        let detail: serde_json::Value = serde_json::from_slice(&body(response).unwrap()).unwrap();
        assert_eq!(detail["name"], name);
    }
}

#[test]
fn every_refusal_is_json_with_its_status() {
    let server = Server::start(memory(), HttpSettings::default());
    for (path, status, code) in [
        ("/api/v1/samples?channel=A", 404, "unknown_channel"),
        ("/api/v1/samples?channel=A%2BB&from=x", 400, "bad_time"),
        ("/api/v1/table?channel=A%2BB&grid=1s&format=arrow", 400, "bad_parameter"),
        ("/api/v1/samples?channel=%ff", 400, "bad_parameter"),
        ("/api/v1/channels/%ff", 400, "bad_parameter"),
        ("/api/v1/boxes?channel=A%2BB", 404, "bad_parameter"),
        ("/api/v1/at?channel=%C3%A9&time_ns=7", 500, "damaged"),
    ] {
        let response = server.get(path, &[]);
        assert_eq!(response.status(), status, "{path}");
        let error: serde_json::Value = serde_json::from_slice(&body(response).unwrap()).unwrap();
        assert_eq!(error["error"]["code"], code, "{path}");
    }
    let agent = Server::agent();
    let large = agent.post(server.url("/api/v1/at")).send(vec![b' '; (16 << 20) + 1].as_slice()).unwrap();
    assert_eq!(large.status(), 413);
    let fits = agent.post(server.url("/api/v1/at")).send(vec![b' '; 16 << 20].as_slice()).unwrap();
    assert_eq!(fits.status(), 400);
    let put = agent.put(server.url("/api/v1/at")).send_empty().unwrap();
    assert_eq!(put.status(), 405);
    let metrics = agent.post(server.url("/metrics")).send_empty().unwrap();
    assert_eq!(metrics.status(), 405);
    let none = HttpSettings { requests_max: 0, ..HttpSettings::default() };
    let server = Server::start(memory(), none);
    let busy = server.get(SMALL, &[]);
    assert_eq!((busy.status().as_u16(), header(&busy, "retry-after")), (429, Some("1")));
    assert_eq!(server.get("/api/v1/status", &[]).status(), 200);
    let mut starting = memory();
    starting.not_ready = true;
    let server = Server::start(starting, HttpSettings::default());
    let starting = server.get(SMALL, &[]);
    assert_eq!((starting.status().as_u16(), header(&starting, "retry-after")), (503, Some("1")));
    assert_eq!(server.get("/health/ready", &[]).status(), 503);
    assert_eq!(server.get("/health/live", &[]).status(), 200);
}

#[test]
fn large_answers_stream_and_compress_to_the_same_bytes() {
    let server = Server::start(memory(), HttpSettings::default());
    for format in ["json", "csv", "columns"] {
        let path = format!("/api/v1/samples?channel=BIG&from_ns=0&to_ns=400000&format={format}");
        let plain = server.get(&path, &[]);
        assert_eq!(header(&plain, "content-length"), None);
        assert_eq!(header(&plain, "varve-samples"), Some("400000"));
        let estimate: f64 = header(&plain, "varve-bytes-estimate").unwrap().parse().unwrap();
        let plain = body(plain).unwrap();
        let ratio = estimate / plain.len() as f64;
        // Times near 1970 are shorter than those of today, for which JSON is estimated.
        assert!((0.8..1.6).contains(&ratio), "{format} {ratio}");
        let zstd = server.get(&path, &[("accept-encoding", "zstd, gzip")]);
        assert_eq!(header(&zstd, "content-encoding"), Some("zstd"));
        let zstd = body(zstd).unwrap();
        assert!(zstd.len() < plain.len());
        assert!(zstd::decode_all(&zstd[..]).unwrap() == plain, "{format}");
        let gzip = body(server.get(&path, &[("accept-encoding", "gzip")])).unwrap();
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == plain, "{format}");
        match format {
            "columns" => assert_eq!(columns::decode(&plain).unwrap().1.samples, 400_000),
            "csv" => assert_eq!(plain.iter().filter(|b| **b == b'\n').count(), 400_001),
            _ => assert!(serde_json::from_slice::<serde_json::Value>(&plain).is_ok()),
        }
    }
}

/// Asks and reads only the first bytes.
fn first_bytes(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).unwrap();
    let request =
        "GET /api/v1/samples?channel=HUGE&from_ns=0&to_ns=40000000&format=csv HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = [0; 15];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    stream
}

/// Blocks of the channel HUGE.
const HUGE_BLOCKS: usize = 40_000_000 / 8192;

#[test]
fn a_slow_client_holds_little_and_is_cut() {
    let server = Server::start(memory(), impatient());
    let mut stream = first_bytes(&server);
    until(|| server.in_flight() == 0);
    // What was read fits into the queue and the sockets' buffers.
    let loads = server.loads.load(Ordering::SeqCst);
    assert!(loads < HUGE_BLOCKS / 10, "{loads} of {HUGE_BLOCKS} blocks were read");
    // What is left in the buffers comes, then the connection ends before the answer does.
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(!rest.ends_with(b"0\r\n\r\n"));
}

#[test]
fn work_stops_when_the_client_leaves() {
    let server = Server::start(memory(), HttpSettings::default());
    drop(first_bytes(&server));
    until(|| server.in_flight() == 0);
    let loads = server.loads.load(Ordering::SeqCst);
    assert!(loads < HUGE_BLOCKS / 10, "{loads} of {HUGE_BLOCKS} blocks were read");
}

#[test]
fn a_csv_answer_that_meets_damage_never_looks_whole() {
    let server = Server::start(memory(), HttpSettings::default());
    let path = "/api/v1/samples?channel=BAD&from_ns=0&to_ns=20000";
    for encoding in ["identity", "zstd", "gzip"] {
        let response = server.get(&format!("{path}&format=csv"), &[("accept-encoding", encoding)]);
        assert_eq!(response.status(), 200);
        assert!(body(response).is_err());
    }
    let json = body(server.get(path, &[])).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["complete"], false);
}

#[test]
fn a_burst_of_connections_waits_for_nobody() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // Nobody accepts.
    let listener = runtime.block_on(async { listen("127.0.0.1:0".parse().unwrap()) }).unwrap();
    let address = listener.local_addr().unwrap();
    let patience = Duration::from_millis(900);
    let connected = |_| TcpStream::connect_timeout(&address, patience).unwrap();
    // No more than the system lets wait anywhere.
    let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap_or(128);
    let all: Vec<TcpStream> = (0..700.min(most)).map(connected).collect();
    drop((all, listener));
}

#[test]
fn http_2_answers_the_same() {
    let server = Server::start(memory(), HttpSettings::default());
    let expected = body(server.get(SMALL, &[])).unwrap();
    let url = server.url(SMALL);
    let received = server.runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(stream);
        let executor = hyper_util::rt::TokioExecutor::new();
        let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
        tokio::spawn(connection);
        let request = hyper::Request::get(url).body(axum::body::Body::empty()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.version(), hyper::Version::HTTP_2);
        assert_eq!(response.headers()["varve-samples"], "3");
        axum::body::to_bytes(axum::body::Body::new(response.into_body()), usize::MAX).await.unwrap()
    });
    assert_eq!(&received[..], &expected[..]);
}

#[test]
fn a_server_told_to_stop_does_so_with_a_client_that_takes_nothing() {
    let server = Server::start(memory(), HttpSettings::default());
    let stream = first_bytes(&server);
    drop(server);
    drop(stream);
}

#[test]
fn an_answer_is_the_same_whichever_thread_makes_it() {
    let server = Server::start(memory(), HttpSettings::default());
    // A pattern is always answered on a thread of its own, a name on the one that read the request while the
    // answer is short.
    for count in [0, 1, 300, 1_000, 2_000, 4_000, 40_000] {
        for format in ["json", "csv", "columns"] {
            for encoding in ["identity", "gzip", "zstd"] {
                let ask = |channel: &str| {
                    let path = format!("/api/v1/samples?{channel}&from_ns=0&to_ns={count}&format={format}");
                    let response = server.get(&path, &[("accept-encoding", encoding)]);
                    let told: Vec<Option<String>> =
                        ["content-type", "etag", "varve-samples", "varve-problems"]
                            .map(|name| header(&response, name).map(String::from))
                            .into();
                    (response.status(), told, body(response).unwrap())
                };
                let (named, found) = (ask("channel=BIG"), ask("match=BIG"));
                assert!(named == found, "{count} samples as {format}, {encoding}");
            }
        }
    }
}

#[test]
fn the_page_and_its_files_are_sent_with_a_strict_policy() {
    let server = Server::start(memory(), HttpSettings::default());
    for (path, media) in [
        ("/", "text/html; charset=utf-8"),
        ("/page/page.css", "text/css; charset=utf-8"),
        ("/page/main.js", "text/javascript; charset=utf-8"),
    ] {
        let response = server.get(path, &[]);
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["content-type"], media);
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{policy}");
        assert!(!body(response).unwrap().is_empty());
    }
    for path in ["/page/none.js", "/page/", "/page/..%2FCargo.toml", "/page/index.html"] {
        assert_eq!(server.get(path, &[]).status(), 404, "{path}");
    }
}
