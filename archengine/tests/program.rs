//! The built program: arguments, checks, signals, reload.
#![expect(clippy::unwrap_used, reason = "tests may")]

use assert_cmd::Command;
use disk::{Disk, RealDisk};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

struct Run {
    code: i32,
    out: String,
    err: String,
}

fn command(words: &[&str]) -> Command {
    let mut command = Command::cargo_bin("archengine").unwrap();
    command.args(words);
    for variable in ["ADDR_LIST", "NAME_SERVERS", "AUTO_ADDR_LIST", "SERVER_PORT", "REPEATER_PORT"] {
        command.env_remove(format!("EPICS_CA_{variable}"));
    }
    command
}

fn run(words: &[&str]) -> Run {
    let output = command(words).output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn write(path: &Path, text: &str) {
    let _ = RealDisk.remove(path);
    RealDisk.create(path).unwrap().write_at(0, text.as_bytes()).unwrap();
}

/// A configuration that searches this machine's port 9 alone, listens on a free port.
fn configuration(folder: &Path, rest: &str) -> String {
    let path = folder.join("engine.toml");
    let text = format!(
        "[archive]\ndirectory = \"archive\"\nreserve_bytes = \"1MiB\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [channel_access]\naddress_list = [\"127.0.0.1:9\"]\nauto_address_list = false\nname_servers = []\n{rest}"
    );
    write(&path, &text);
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_default_configuration_is_printed_and_valid() {
    let folder = tempfile::tempdir().unwrap();
    let printed = run(&["--print-config"]);
    assert_eq!(printed.code, 0);
    let path = folder.path().join("a.toml");
    write(&path, &printed.out);
    let checked = run(&["--config", path.to_str().unwrap(), "--check"]);
    assert_eq!(checked.code, 0, "{}", checked.err);
    let archive = folder.path().join("archive");
    assert!(
        checked.out.contains(&format!("{}, which would be created", archive.display())),
        "{}",
        checked.out
    );
    assert!(!RealDisk.exists(&archive).unwrap(), "a check must not make anything");
}

#[test]
fn every_mistake_is_told_and_exits_with_two() {
    let folder = tempfile::tempdir().unwrap();
    let path = configuration(folder.path(), "librari = \"x\"\n[[channels]]\nfile = \"gone.txt\"\n");
    for words in [&["--config", &path][..], &["--config", &path, "--check"]] {
        let run = run(words);
        assert_eq!(run.code, 2);
        assert!(
            run.err.contains("engine.toml:10: unknown key \"librari\" in [channel_access]"),
            "{}",
            run.err
        );
        assert!(run.err.contains("\"library\"") && run.err.contains("gone.txt"), "{}", run.err);
    }
    for words in
        [&[][..], &["--frobnicate"], &["--config", "/nowhere/a.toml"], &["--dir", "x", "--channel", ".VAL"]]
    {
        let run = run(words);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{words:?}: {}", run.err);
        assert!(!run.err.is_empty());
    }
    assert_eq!(run(&["--version"]).code, 0);
    assert_eq!(run(&["--help"]).code, 0);
}

#[test]
fn a_check_names_the_source_of_every_address() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.toml");
    write(
        &path,
        "[archive]\ndirectory = \"a\"\n[channel_access]\nname_servers = [\n  \"gateway:5064\",\n]\n",
    );
    let mut check = command(&["--config", path.to_str().unwrap(), "--check"]);
    let output = check
        .env("EPICS_CA_ADDR_LIST", "10.0.0.255 ioc7")
        .env("EPICS_CA_SERVER_PORT", "6064")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let squeezed: Vec<String> =
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "address list 10.0.0.255 from EPICS_CA_ADDR_LIST",
        "address list ioc7 from EPICS_CA_ADDR_LIST",
        &format!("name servers gateway:5064 from {}:5", path.display()),
        "searched beside every broadcast address of this machine from default",
        "server port 6064 from EPICS_CA_SERVER_PORT",
        "repeater port 5065 from default",
    ] {
        assert!(squeezed.iter().any(|found| found == line), "{line} is not in\n{text}");
    }
}

#[test]
fn a_check_says_where_an_engine_would_refuse_to_start() {
    let folder = tempfile::tempdir().unwrap();
    let id = "00112233445566778899aabbccddeeff";
    let path = folder.path().join("a.toml");
    for (settings, contents, word) in [
        (format!("id = \"{id}\""), None, "is the file system mounted?"),
        ("create = false".to_owned(), None, "create = false"),
        (String::new(), Some("photo.jpg"), "neither an archive nor empty"),
    ] {
        let directory = folder.path().join(format!("archive-{}", word.len()));
        RealDisk.create_dir(&directory).unwrap();
        if let Some(name) = contents {
            write(&directory.join(name), "x");
        }
        write(&path, &format!("[archive]\ndirectory = \"{}\"\n{settings}\n", directory.display()));
        let checked = run(&["--config", path.to_str().unwrap(), "--check"]);
        assert_eq!(checked.code, 1, "{}", checked.out);
        assert!(checked.out.contains(word), "{}", checked.out);
    }
}

/// A running program whose log is read line by line.
struct Engine {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
}

impl Engine {
    fn start(words: &[&str]) -> Engine {
        let command = command(words);
        let mut child = std::process::Command::new(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Engine { child, log }
    }

    /// Reads the log up to a line that holds `text`.
    fn until(&mut self, text: &str) -> String {
        let mut all = String::new();
        loop {
            let mut line = String::new();
            assert!(self.log.read_line(&mut line).unwrap() > 0, "the log ended before {text:?}:\n{all}");
            all.push_str(&line);
            if line.contains(text) {
                return line;
            }
        }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// The exit code, and the rest of the log.
    fn end(mut self) -> (i32, String) {
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code().unwrap(), rest)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(address: &str, path: &str) -> String {
    use std::io::Write;
    let host = address.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// Asks until the answer holds `text`: a reload is carried out beside the request.
fn until_answered(address: &str, path: &str, text: &str) {
    let began = Instant::now();
    while !get(address, path).contains(text) {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{path} never says {text}: {}",
            get(address, path)
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[ignore = "needs libca: cargo xtask test"]
fn it_reloads_on_hangup_refuses_bad_files_whole_and_stops_on_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let channels = |names: &str| format!("[[channels]]\nnames = [{names}]\n");
    let path = configuration(folder.path(), &channels("\"A\", \"B\""));
    let mut engine = Engine::start(&["--config", &path, "--log-format", "json"]);
    let line: serde_json::Value = serde_json::from_str(&engine.until("\"archiving\"")).unwrap();
    let address = line["address"].as_str().unwrap().to_owned();
    until_answered(&address, "/api/v1/channels", "\"A\"");

    configuration(folder.path(), &channels("\"A\", \"B\", \"C\""));
    engine.signal(rustix::process::Signal::HUP);
    let line: serde_json::Value = serde_json::from_str(&engine.until("read again")).unwrap();
    assert_eq!((&line["added"], &line["removed"]), (&1.into(), &0.into()));
    until_answered(&address, "/api/v1/channels", "\"C\"");

    // Two of three channels would go; then a key is wrong; then another directory is named.
    for (rest, word) in [
        (channels("\"A\""), "2 of 3 channels"),
        (channels("\"A\", \"B\", \"C\"") + "mod = \"monitor\"\n", "unknown key"),
    ] {
        configuration(folder.path(), &rest);
        engine.signal(rustix::process::Signal::HUP);
        assert!(engine.until("stays").contains(word));
        let status: serde_json::Value = serde_json::from_str(&get(&address, "/api/v1/status")).unwrap();
        assert_eq!(status["channels"]["total"], 3);
        assert!(status["config"]["pending_error"].as_str().unwrap().contains(word));
    }

    // A second engine on the directory is refused and disturbs nobody.
    configuration(folder.path(), &channels("\"A\", \"B\", \"C\""));
    let second = run(&["--config", &path]);
    assert_eq!(second.code, 1, "{}", second.err);
    assert!(second.err.contains("LOCK") || second.err.contains("engine"), "{}", second.err);
    until_answered(&address, "/api/v1/channels", "\"C\"");

    let began = Instant::now();
    engine.signal(rustix::process::Signal::TERM);
    let (code, log) = engine.end();
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("\"stopped\""), "{log}");
    assert!(began.elapsed() < Duration::from_secs(10), "the promise is ten seconds");
}

#[test]
#[ignore = "needs libca: cargo xtask test"]
fn a_port_in_use_leaves_the_archive_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let directory = folder.path().join("archive");
    let refused = run(&["--dir", directory.to_str().unwrap(), "--channel", "A", "--port", &port]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains(&port) && refused.err.contains("in use"), "{}", refused.err);
    assert!(!RealDisk.exists(&directory).unwrap());
}
