//! The demonstration, with a real IOC.
#![expect(clippy::unwrap_used, reason = "tests may")]

use assert_cmd::Command;
use serde_json::Value;

fn archtool(words: &[&str]) -> (i32, String, String) {
    let mut command = Command::cargo_bin("archtool").unwrap();
    // A network that must not be searched.
    command.args(words).env("EPICS_CA_ADDR_LIST", "192.0.2.1").env("EPICS_CA_AUTO_ADDR_LIST", "YES");
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
#[ignore = "needs a C IOC: cargo xtask test"]
fn it_archives_a_simulated_machine_and_ends_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("archive");
    let directory = directory.to_str().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, out, err) =
        archtool(&["demo", "--channels", "80", "--seconds", "8", "--dir", directory, "--port", &port]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("80 of 80 channels"), "{out}");
    assert!(err.contains(&format!("port {port} is in use")), "{err}");

    let (_, list, _) = archtool(&["list", directory, "--json"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    let channels = list["channels"].as_array().unwrap();
    assert_eq!(channels.len(), 80);
    for (name, kind) in [
        ("SR:DCCT:CURRENT", "float64"),
        ("SR:MODE", "enum"),
        ("SR:MESSAGE", "string"),
        ("SR:C01:BPM1:ORBIT", "float64[]"),
    ] {
        let channel = channels.iter().find(|channel| channel["name"] == name).unwrap();
        assert_eq!(channel["type"], kind, "{name}");
        assert!(channel["samples"].as_u64().unwrap() > 0, "{name}");
    }
    let counter = archtool(&["get", directory, "SR:TIMING:TRIGGERS", "--last", "1h", "--format", "csv"]).1;
    let counts: Vec<f64> =
        counter.lines().skip(1).map(|line| line.split(',').nth(2).unwrap().parse().unwrap()).collect();
    assert!(counts.len() > 20, "{counts:?}");
    assert!(counts.windows(2).all(|pair| pair[1] == pair[0] + 1.0), "{counts:?}");
    let (code, _, err) = archtool(&["verify", directory, "--deep"]);
    assert_eq!(code, 0, "{err}");
}

#[test]
fn what_is_missing_is_said_with_the_command_that_installs_it() {
    for (variable, word) in [("VARVE_LIBCA", "libca"), ("VARVE_IOC_PYTHON", "cargo xtask epics")] {
        let mut command = Command::cargo_bin("archtool").unwrap();
        let output =
            command.args(["demo", "--seconds", "1"]).env(variable, "/nowhere/at/all").output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{err}");
        // Without libca the second is never reached; then the first is what is said.
        assert!(err.contains(word) || err.contains("cargo xtask epics"), "{variable}: {err}");
    }
}
