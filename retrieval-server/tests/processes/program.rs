//! The program `archserver` as operators run it.

use crate::machine::{Machine, counter, now};
use sample::Timestamp;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

fn archserver(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_archserver")).args(arguments).output().unwrap()
}

fn get(url: &str) -> serde_json::Value {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let bytes = agent.get(url).call().unwrap().into_body().read_to_vec().unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// The server and the address that it logged.
fn start(config: &std::path::Path) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_archserver"))
        .args(["--log-format", "json", "--config"])
        .arg(config)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = lines.by_ref().find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        line["address"].as_str().map(String::from)
    });
    std::thread::spawn(move || lines.for_each(drop));
    (child, address.unwrap())
}

#[test]
fn it_serves_until_told_to_stop() {
    let directory = tempfile::tempdir().unwrap();
    let machine = Machine::start(&directory.path().join("a"), &["A"], None);
    machine.send("A", counter(Timestamp(now().0 - 10_000_000_000), 0, 10));
    machine.until_stored("A", 10);
    let config = directory.path().join("archserver.toml");
    let text = "[http]\nlisten = \"127.0.0.1:0\"\n[[archives]]\nname = \"a\"\ndirectory = \"a\"\n\
                [[archives]]\nname = \"b\"\ndirectory = \"b\"\n";
    RealFile::write(&config, text);
    let checked = archserver(&["--check", "--config", config.to_str().unwrap()]);
    let report = String::from_utf8(checked.stdout).unwrap();
    assert!(
        checked.status.success() && report.contains("can be read") && report.contains("cannot"),
        "{report}"
    );
    let (mut child, address) = start(&config);
    let answer = get(&format!("{address}/api/v1/samples?channel=A&from=-1h"));
    assert_eq!(answer["channels"][0]["segments"][0]["value"].as_array().unwrap().len(), 10);
    assert_eq!(answer["complete"], false);
    assert_eq!(answer["problems"][0]["code"], "archive_unavailable");
    let status = get(&format!("{address}/api/v1/status"));
    assert!(status["problems"][0]["message"].as_str().unwrap().contains('b'), "{status}");
    let stopped = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    assert!(child.wait().unwrap().success());
}

#[test]
fn wrong_usage_is_exit_code_two() {
    assert_eq!(archserver(&[]).status.code(), Some(2));
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("x.toml");
    RealFile::write(&config, "[[archive]]\nname = \"a\"\n");
    let refused = archserver(&["--config", config.to_str().unwrap()]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("x.toml:1"), "{said}");
    assert!(archserver(&["--help"]).status.success());
    assert!(archserver(&["--version"]).status.success());
}

/// Writes files through the seam.
struct RealFile;

impl RealFile {
    fn write(path: &std::path::Path, text: &str) {
        use disk::Disk;
        disk::RealDisk.create(path).unwrap().write_at(0, text.as_bytes()).unwrap();
    }
}
