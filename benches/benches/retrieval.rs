//! What answers over HTTP cost: DI, one channel's year, VA, many small queries.
//!
//! `cargo bench -p benches --bench retrieval [-- DAYS]`: archives of the presets DI (300 channels at 1 Hz for DAYS, 7)
//! and VA (20 channels at 0.1 Hz for 104 times as long), and one channel at 1 Hz for 52 times as long, each asked as it
//! was flushed and merged (the current week) and sealed, warm. The server is this program once more, as `archserver`;
//! its CPU time is what the kernel's scheduler counts for its threads. Answers are drained over loopback TCP by a
//! thread of this process; the same connection carrying zeros is the limit beside them, in the same run. Chunks of VA are
//! told beside its sealed tables sent by sendfile, turn by turn.

use archtool::generate::{DataSet, Preset, fill::fill};
use benches::archive::reopened;
use engine::{SealStep, StorageSettings};
use sample::{Timestamp, Week};
use sstable::TableKind;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Barrier;
use std::time::{Duration, Instant};

const DAY_NS: i64 = 86_400_000_000_000;
const RUNS: usize = 7;
const SMALL_QUERIES: usize = 1000;
const ZEROS: usize = 2 << 30;
const PIECE: usize = 256 << 10;

/// As in `archengine` and `archserver`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--config") {
        return retrieval_server::main();
    }
    let days = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(7);
    let loopback = (0..3).map(|_| loopback()).fold(0.0, f64::max);
    println!("loopback TCP carries {:.2} GB/s", loopback / 1e9);
    di(days);
    year(days);
    va(days, loopback);
    ExitCode::SUCCESS
}

/// Bytes a second that one connection carries to a reader that throws them away.
fn loopback() -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().expect("a client");
            let zeros = vec![0; PIECE];
            for _ in 0..ZEROS / PIECE {
                stream.write_all(&zeros).expect("sent");
            }
        });
        let mut stream = TcpStream::connect(address).expect("listening");
        let begun = Instant::now();
        let bytes = drain(&mut stream);
        bytes as f64 / begun.elapsed().as_secs_f64()
    })
}

fn drain(stream: &mut impl Read) -> u64 {
    let mut buffer = vec![0; PIECE];
    let mut bytes = 0;
    loop {
        match stream.read(&mut buffer).expect("the answer goes on") {
            0 => return bytes,
            count => bytes += count as u64,
        }
    }
}

/// An archive of `set` as an engine leaves the current week: flushed, merged, decimated.
fn archive(set: &DataSet) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let settings = StorageSettings::default();
    let filled = fill(set, directory.path(), settings.clone(), &mut |_| {}).expect("a fresh archive");
    println!("{} samples of {} channels", filled.stored, filled.channels);
    let recovered = reopened(directory.path(), Timestamp(set.start().0 + DAY_NS), settings);
    while recovered.keeper.merge(&|| false).expect("a merge") {}
    while recovered.keeper.decimate(&|| false).expect("rows") {}
    directory
}

/// Seals all of it; the tables of what was received.
fn seal(set: &DataSet, directory: &Path) -> Vec<PathBuf> {
    let end = set.start().0 + i64::from(set.days) * DAY_NS;
    let recovered = reopened(directory, Timestamp(end + 15 * DAY_NS), StorageSettings::default());
    let mut week = Week::containing(set.start());
    while week.start().0 < end {
        while matches!(recovered.keeper.seal_week(week, &|| false).expect("a seal"), SealStep::Written(_)) {}
        week = week.next();
    }
    while recovered.keeper.decimate(&|| false).expect("rows") {}
    let tables = recovered.shared.view().tables.clone();
    let raw = tables.iter().filter(|table| table.info().kind == TableKind::Raw);
    raw.map(|table| table.path().to_path_buf()).collect()
}

/// Wall time of sending `files` over a connection of their own with sendfile, s, and their bytes.
fn sendfile(files: &[PathBuf]) -> (f64, u64) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (stream, _) = listener.accept().expect("a client");
            for path in files {
                let file = File::open(path).expect("a table");
                let mut left = file.metadata().expect("its length").len() as usize;
                while left > 0 {
                    left -= rustix::fs::sendfile(&stream, &file, None, left).expect("sent");
                }
            }
        });
        let begun = Instant::now();
        let mut stream = TcpStream::connect(address).expect("listening");
        let bytes = drain(&mut stream);
        (begun.elapsed().as_secs_f64(), bytes)
    })
}

/// This program as `archserver` over one archive.
struct Server {
    process: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start(directory: &Path) -> Server {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("bound");
        drop(free);
        let config = folder.path().join("server.toml");
        let text = format!(
            "[http]\nlisten = \"{address}\"\n[[archives]]\nname = \"a\"\ndirectory = \"{}\"\n",
            directory.display()
        );
        std::fs::write(&config, text).expect("a configuration");
        let program = std::env::current_exe().expect("this program");
        let mut process = Command::new(program);
        process.arg("--config").arg(&config).stderr(Stdio::null()).stdout(Stdio::null());
        let server = Server { process: process.spawn().expect("a server"), address, _folder: folder };
        while TcpStream::connect(address).is_err() {
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// A connection on which `path` was asked for, and nothing else will be.
    fn asked(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).expect("the server listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: varve\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("the server reads");
        stream
    }

    /// The length of the answer's body.
    fn get(&self, path: &str) -> u64 {
        let mut answer = BufReader::with_capacity(PIECE, self.asked(path));
        let mut line = String::new();
        answer.read_line(&mut line).expect("a status");
        assert!(line.contains(" 200 "), "{path}: {line}");
        while line != "\r\n" {
            line.clear();
            answer.read_line(&mut line).expect("headers");
        }
        drain(&mut answer)
    }

    /// As [`Server::get`], again when the server is told to be busy.
    fn patient(&self, path: &str) {
        loop {
            let mut answer = Vec::new();
            self.asked(path).read_to_end(&mut answer).expect("an answer");
            if answer.starts_with(b"HTTP/1.1 200") {
                return;
            }
            let busy = answer.starts_with(b"HTTP/1.1 503") || answer.starts_with(b"HTTP/1.1 429");
            assert!(busy, "{path}: {}", String::from_utf8_lossy(&answer[..answer.len().min(200)]));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// CPU time of its threads so far, s.
    fn cpu_s(&self) -> f64 {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.process.id())).expect("a process");
        let ns = threads.filter_map(|thread| {
            let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<f64>().ok()
        });
        ns.sum::<f64>() / 1e9
    }

    /// Best wall and CPU time of some runs, s, and the bytes of an answer; the first run is not counted.
    fn best(&self, path: &str) -> (f64, f64, u64) {
        let mut bytes = self.get(path);
        let (mut wall, mut cpu) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..RUNS {
            let (before, begun) = (self.cpu_s(), Instant::now());
            bytes = self.get(path);
            wall = wall.min(begun.elapsed().as_secs_f64());
            // The server's threads are through when they wait again.
            std::thread::sleep(Duration::from_millis(2));
            cpu = cpu.min(self.cpu_s() - before);
        }
        (wall, cpu, bytes)
    }

    fn tell(&self, what: &str, path: &str) {
        let (wall, cpu, bytes) = self.best(path);
        println!("  {what}: {:.1} ms, {:.1} ms of CPU, {bytes} bytes", wall * 1e3, cpu * 1e3);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn range(set: &DataSet) -> String {
    let from = set.start().0;
    format!("from_ns={from}&to_ns={}", from + i64::from(set.days) * DAY_NS)
}

fn di(days: u32) {
    let set = DataSet { days, ..DataSet::of(Preset::Di) };
    let directory = archive(&set);
    let path = format!("/api/v1/bins?match=*&{}&format=columns", range(&set));
    for state in ["the current week", "sealed"] {
        println!("DI, {state}");
        let server = Server::start(directory.path());
        server.tell("1000 bins", &format!("{path}&bins=1000"));
        server.tell("bins of 1 h", &format!("{path}&width=1h"));
        server.tell("bins of 7 min", &format!("{path}&width=7m"));
        if state == "sealed" {
            small_queries(&server, &set);
        } else {
            drop(server);
            seal(&set, directory.path());
        }
    }
}

/// An hour of one channel each, all at once.
fn small_queries(server: &Server, set: &DataSet) {
    let names: Vec<String> = set.channels().into_iter().map(|channel| channel.name).collect();
    let hours = i64::from(set.days) * 24;
    let barrier = Barrier::new(SMALL_QUERIES + 1);
    let before = server.cpu_s();
    let (wall, mut latencies) = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..SMALL_QUERIES)
            .map(|i| {
                let name = &names[i % names.len()];
                let from = set.start().0 + (i as i64 * 7 % hours) * DAY_NS / 24;
                let path =
                    format!("/api/v1/samples?channel={name}&from_ns={from}&to_ns={}", from + DAY_NS / 24);
                let path = format!("{path}&format=columns");
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    let begun = Instant::now();
                    server.patient(&path);
                    begun.elapsed().as_secs_f64()
                })
            })
            .collect();
        barrier.wait();
        let begun = Instant::now();
        let latencies: Vec<f64> =
            clients.into_iter().map(|client| client.join().expect("an answer")).collect();
        (begun.elapsed().as_secs_f64(), latencies)
    });
    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize] * 1e3;
    println!(
        "  {SMALL_QUERIES} queries of an hour at once: {:.0} ms in all, p50 {:.0} ms, p99 {:.0} ms, {:.2} ms of CPU each",
        wall * 1e3,
        at(0.5),
        at(0.99),
        (server.cpu_s() - before) * 1e3 / SMALL_QUERIES as f64
    );
}

fn year(days: u32) {
    let set = DataSet { days: days * 52, channels: 1, ..DataSet::of(Preset::Di) };
    let directory = archive(&set);
    seal(&set, directory.path());
    println!("one channel at 1 Hz for {} days, sealed", set.days);
    let server = Server::start(directory.path());
    let path = format!("/api/v1/bins?match=*&{}&format=columns", range(&set));
    server.tell("1000 bins", &format!("{path}&bins=1000"));
    for width in ["9h", "10h", "1d", "31600s", "33333s"] {
        server.tell(&format!("bins of {width}"), &format!("{path}&width={width}"));
    }
}

fn va(days: u32, loopback: f64) {
    let set = DataSet { days: days * 104, ..DataSet::of(Preset::Va) };
    let directory = archive(&set);
    let files = seal(&set, directory.path());
    println!("VA, sealed");
    let server = Server::start(directory.path());
    let samples = set.channels as f64 * f64::from(set.days) * 8640.0;
    let path = format!("/api/v1/samples?match=*&{}&format=columns", range(&set));
    let (wall, cpu, bytes) = server.best(&path);
    println!(
        "  raw columns: {:.1} M samples/s ({:.0} ns of CPU a sample), {:.0} % of loopback, {:.1} bytes a sample",
        samples / wall / 1e6,
        cpu * 1e9 / samples,
        bytes as f64 / wall / loopback * 100.0,
        bytes as f64 / samples
    );
    server.tell("1000 bins", &path.replace("samples?", "bins?bins=1000&"));
    chunks(&server, &path.replace("format=columns", "format=chunks"), &files);
}

/// Chunks and the files that they stand in, in turns.
fn chunks(server: &Server, path: &str, files: &[PathBuf]) {
    let (mut sent, mut served) = ((f64::INFINITY, 0), (f64::INFINITY, 0));
    let mut cpu = f64::INFINITY;
    for run in 0..=RUNS {
        let of_files = sendfile(files);
        let (before, begun) = (server.cpu_s(), Instant::now());
        let bytes = server.get(path);
        let wall = begun.elapsed().as_secs_f64();
        std::thread::sleep(Duration::from_millis(2));
        // The first run is not counted.
        if run > 0 {
            sent = (of_files.0.min(sent.0), of_files.1);
            served = (wall.min(served.0), bytes);
            cpu = cpu.min(server.cpu_s() - before);
        }
    }
    println!(
        "  raw chunks: {:.1} ms, {:.1} ms of CPU, {} bytes; their tables by sendfile: {:.1} ms, {} bytes; ratio {:.2}",
        served.0 * 1e3,
        cpu * 1e3,
        served.1,
        sent.0 * 1e3,
        sent.1,
        served.0 / sent.0
    );
}
