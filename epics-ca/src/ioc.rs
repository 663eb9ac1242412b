//! Real C IOCs as child processes on loopback, for tests and the demo.
//!
//! The IOC is that of the Python package pvxslibs (`python -m pvxslibs.ioc`). Each takes a block of four
//! ports: CA server, CA repeater, PVA server, PVA search. It ends when its [`Ioc`] is dropped, and when
//! this process ends in whatever way, as it reads its standard input to the end.

use crate::settings::ContextSettings;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// First port of the range from which blocks are taken: below the kernel's own range for outgoing ports.
const PORTS_FROM: u16 = 18_000;
/// Number of blocks in the range.
const BLOCKS: u16 = 3_000;
/// Lines of an IOC's output that are kept.
const LOG_LINES: usize = 200;
/// Longest line of output that is kept whole.
const LINE_BYTES: u64 = 4096;
/// What the IOC says when its records run.
const READY: &str = "iocRun: All init";
/// How long it may take for that; 10,000 records take 2 s on a free machine.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// How long one command may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Why an IOC could not be started or told something.
#[derive(Debug)]
pub enum IocError {
    /// There is no Python with pvxslibs.
    NoPython {
        /// Where it was looked for.
        tried: Vec<PathBuf>,
    },
    /// No block of four ports is free.
    NoPorts,
    /// The operating system refused.
    Io {
        /// What was attempted.
        op: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The IOC ended, took other ports or never became ready.
    NotReady {
        /// The end of what it printed.
        log: String,
    },
    /// The IOC did not carry out a command to its end.
    Silent {
        /// The command.
        command: String,
        /// The end of what it printed.
        log: String,
    },
}

impl fmt::Display for IocError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IocError::NoPython { tried } => {
                writeln!(f, "no Python that can run an IOC was found; looked at:")?;
                for place in tried {
                    writeln!(f, "  {}", place.display())?;
                }
                write!(
                    f,
                    "Install one with `cargo xtask epics`, or name one that has pvxslibs in VARVE_IOC_PYTHON."
                )
            }
            IocError::NoPorts => write!(f, "no four free ports in a row on this machine for an IOC"),
            IocError::Io { op, source } => write!(f, "IOC: {op}: {source}"),
            IocError::NotReady { log } => write!(f, "the IOC did not become ready; it printed:\n{log}"),
            IocError::Silent { command, log } => {
                write!(f, "the IOC did not come to the end of \"{command}\"; it printed:\n{log}")
            }
        }
    }
}

impl std::error::Error for IocError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            IocError::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Makes an [`IocError::Io`].
fn io(op: &'static str) -> impl Fn(io::Error) -> IocError {
    move |source| IocError::Io { op, source }
}

/// Four ports in a row that were free when they were chosen; never chosen twice in one process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ports {
    first: u16,
}

impl Ports {
    /// Finds a free block.
    ///
    /// # Errors
    /// [`IocError::NoPorts`].
    pub fn free() -> Result<Ports, IocError> {
        static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
            let random = RandomState::new().hash_one(std::process::id());
            AtomicU16::new(u16::try_from(random % u64::from(BLOCKS)).unwrap_or(0))
        });
        (0..BLOCKS)
            .map(|_| Ports { first: PORTS_FROM + 4 * (NEXT.fetch_add(1, Relaxed) % BLOCKS) })
            .find(Ports::bindable)
            .ok_or(IocError::NoPorts)
    }

    fn bindable(&self) -> bool {
        let tcp = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        let udp = |port| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok();
        tcp(self.first) && tcp(self.first + 2) && (0..4).all(|i| udp(self.first + i))
    }

    /// Port of the Channel Access server.
    pub fn server(self) -> u16 {
        self.first
    }

    /// Port of the beacon repeater.
    pub fn repeater(self) -> u16 {
        self.first + 1
    }

    fn environment(self) -> Vec<(&'static str, String)> {
        let port = |offset: u16| (self.first + offset).to_string();
        let mut variables = vec![
            ("EPICS_CAS_SERVER_PORT", port(0)),
            ("EPICS_CA_SERVER_PORT", port(0)),
            ("EPICS_CAS_BEACON_PORT", port(1)),
            ("EPICS_CA_REPEATER_PORT", port(1)),
            ("EPICS_PVAS_SERVER_PORT", port(2)),
            ("EPICS_PVAS_BROADCAST_PORT", port(3)),
        ];
        for loopback in [
            "EPICS_CAS_INTF_ADDR_LIST",
            "EPICS_CAS_BEACON_ADDR_LIST",
            "EPICS_CA_ADDR_LIST",
            "EPICS_PVAS_INTF_ADDR_LIST",
            "EPICS_PVAS_BEACON_ADDR_LIST",
        ] {
            variables.push((loopback, Ipv4Addr::LOCALHOST.to_string()));
        }
        for no in
            ["EPICS_CAS_AUTO_BEACON_ADDR_LIST", "EPICS_CA_AUTO_ADDR_LIST", "EPICS_PVAS_AUTO_BEACON_ADDR_LIST"]
        {
            variables.push((no, "NO".into()));
        }
        variables
    }
}

/// Settings of a client that finds the IOCs on these ports, running or not, and nothing else.
/// A process has one set of settings: choose all ports before the first context.
pub fn client_settings(ports: &[Ports]) -> ContextSettings {
    ContextSettings {
        address_list: Some(ports.iter().map(|ports| format!("127.0.0.1:{}", ports.server())).collect()),
        auto_address_list: Some(false),
        name_servers: Some(Vec::new()),
        server_port: ports.first().map(|ports| ports.server()),
        repeater_port: ports.first().map(|ports| ports.repeater()),
    }
}

/// How many values of a subscription the IOC replaced by newer ones in its own queue before it sent them, when
/// this is a line of what `dbel NAME 3` prints: one line a subscription, which ends in `discarded by
/// replacement=N` or a comma and more. Those values never were on the wire.
pub fn replaced(line: &str) -> Option<u64> {
    let (_, told) = line.split_once("discarded by replacement=")?;
    told.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The Python that runs IOCs: `VARVE_IOC_PYTHON`, else that of the checkout this program was built in.
///
/// # Errors
/// [`IocError::NoPython`].
pub fn python() -> Result<PathBuf, IocError> {
    let mut tried = Vec::new();
    if let Some(named) = std::env::var_os("VARVE_IOC_PYTHON").filter(|named| !named.is_empty()) {
        tried.push(named.into());
    } else if let Ok(program) = std::env::current_exe() {
        tried.extend(program.ancestors().skip(1).map(|above| above.join(".epics/venv/bin/python")));
    }
    let found = tried.iter().find(|path: &&PathBuf| path.is_file()).cloned();
    found.ok_or(IocError::NoPython { tried })
}

/// What an IOC printed.
#[derive(Debug, Default)]
struct Heard {
    /// The last lines.
    last: VecDeque<String>,
    /// All lines since a question was put, while one is.
    answer: Option<Vec<String>>,
}

/// A running IOC.
#[derive(Debug)]
pub struct Ioc {
    child: Child,
    input: ChildStdin,
    heard: Arc<Mutex<Heard>>,
    ports: Ports,
    /// How many of [`Ioc::ask`].
    questions: u32,
}

impl Ioc {
    /// Starts an IOC with the records of a database file, waits until they run. To restart one, kill it
    /// and start another on its ports.
    ///
    /// # Errors
    /// [`IocError`]; a mistake in the database is [`IocError::NotReady`] with the IOC's words.
    pub fn start(ports: Ports, database: &Path) -> Result<Ioc, IocError> {
        let (reader, writer) = io::pipe().map_err(io("make a pipe"))?;
        let mut child = Command::new(python()?)
            .args(["-m", "pvxslibs.ioc", "-d"])
            .arg(database)
            .envs(ports.environment())
            .env("PYTHONUNBUFFERED", "1")
            // As an ordinary user has it: root's IOC would run in real time and keep all others off the processors.
            .env("EPICS_ALLOW_POSIX_THREAD_PRIORITY_SCHEDULING", "NO")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(writer.try_clone().map_err(io("clone a pipe"))?)
            .stderr(writer)
            .spawn()
            .map_err(io("start Python"))?;
        let Some(input) = child.stdin.take() else {
            return Err(IocError::NotReady { log: "it has no standard input".into() });
        };
        let heard = Arc::new(Mutex::new(Heard::default()));
        let (tell, ready) = mpsc::channel();
        let ioc = Ioc { child, input, heard: heard.clone(), ports, questions: 0 };
        std::thread::spawn(move || keep(reader, &heard, &tell));
        ioc.wait_until_ready(&ready)?;
        Ok(ioc)
    }

    fn wait_until_ready(&self, ready: &Receiver<()>) -> Result<(), IocError> {
        let told = ready.recv_timeout(START_TIMEOUT);
        let log = self.log();
        match told {
            Ok(()) if !log.contains("unable to bind port") => Ok(()),
            Ok(()) | Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => {
                Err(IocError::NotReady { log })
            }
        }
    }

    /// Its ports.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The last lines that it printed.
    pub fn log(&self) -> String {
        self.heard().last.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs an iocsh command to its end and returns the lines that it printed; all that the IOC printed
    /// meanwhile is among them.
    ///
    /// # Errors
    /// [`IocError::Io`] when the IOC is gone; [`IocError::Silent`] when it does not get to the end in time.
    pub fn ask(&mut self, iocsh: &str) -> Result<Vec<String>, IocError> {
        self.questions += 1;
        let (begin, end) = (format!("begin-{}", self.questions), format!("end-{}", self.questions));
        self.heard().answer = Some(Vec::new());
        for command in [&format!("echo {begin}"), iocsh, &format!("echo {end}")] {
            self.command(command)?;
        }
        let asked = Instant::now();
        while asked.elapsed() < ANSWER_TIMEOUT {
            let mut heard = self.heard();
            // Python still prints what the command returned.
            let recent = heard.answer.iter().flatten().rev().take(3);
            if recent.into_iter().any(|line| line.ends_with(&end)) {
                let answer = heard.answer.take().unwrap_or_default();
                let at = |what: &str| answer.iter().rposition(|line| line.ends_with(what));
                let lines = at(&begin).map_or(0, |at| at + 1)..at(&end).unwrap_or(answer.len());
                return Ok(answer.get(lines).unwrap_or_default().to_vec());
            }
            drop(heard);
            std::thread::sleep(Duration::from_millis(1));
        }
        self.heard().answer = None;
        Err(IocError::Silent { command: iocsh.into(), log: self.log() })
    }

    /// Runs an iocsh command, such as `dbpf X:ai 7`; returns at once.
    ///
    /// # Errors
    /// [`IocError::Io`] when the IOC is gone.
    pub fn command(&mut self, iocsh: &str) -> Result<(), IocError> {
        let quoted = iocsh.replace('\\', r"\\").replace('\'', r"\'").replace('\n', r"\n");
        writeln!(self.input, "from epicscorelibs.ioc import ioc; ioc('{quoted}')")
            .and_then(|()| self.input.flush())
            .map_err(io("write a command"))
    }

    /// Stops it as a hung machine would be: it answers nothing and keeps its connections.
    ///
    /// # Errors
    /// [`IocError::Io`] when it is gone.
    pub fn hang(&self) -> Result<(), IocError> {
        self.signal(Signal::STOP)
    }

    /// Ends [`Ioc::hang`].
    ///
    /// # Errors
    /// [`IocError::Io`] when it is gone.
    pub fn resume(&self) -> Result<(), IocError> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), IocError> {
        kill_process(Pid::from_child(&self.child), signal)
            .map_err(io::Error::from)
            .map_err(io("send a signal"))
    }

    /// Ends it as a crash would (SIGKILL), waits until it is gone.
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for Ioc {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads until the IOC ends; tells `ready` once.
fn keep(output: impl Read, heard: &Mutex<Heard>, ready: &Sender<()>) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        match output.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        let now_ready = text.contains(READY);
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = &mut heard.answer {
            answer.push(text.clone());
        }
        if heard.last.len() >= LOG_LINES {
            heard.last.pop_front();
        }
        heard.last.push_back(text);
        drop(heard);
        if now_ready {
            // Nobody listens any more after the first time.
            let _ = ready.send(());
        }
    }
}
