//! What verbs that read print of an archive or an engine.

use super::*;

#[test]
fn samples_come_back_exactly_and_in_order() {
    let (_folder, archive) = archive();
    let all = run(&[&["get", archive.as_str(), "SR0?C*"], &DAY[..]].concat());
    assert_eq!((all.code, all.err.as_str()), (DONE, ""));
    let set = DataSet { channels: 5, days: 1, ..DataSet::of(Preset::Va) };
    let mut lines = all.out.lines();
    assert_eq!(lines.next(), Some("channel,time,value,severity,status"));
    for channel in set.channels() {
        for reading in channel.readings {
            let line: Vec<&str> = lines.next().unwrap().split(',').collect();
            assert_eq!((line[0], line[3], line[4]), (channel.name.as_str(), "NO_ALARM", "NO_ALARM"));
            let time: jiff::Timestamp = line[1].parse().unwrap();
            assert_eq!(time.as_nanosecond(), i128::from(reading.time_ns));
            assert_eq!(line[2].parse::<f64>().unwrap().to_bits(), reading.value.to_bits());
        }
    }
    assert_eq!(lines.next(), None);
}

#[test]
fn ranges_limits_and_zones_work_as_written() {
    let (_folder, archive) = archive();
    let newest = run(&["get", &archive, FIRST, "-n", "3"]);
    let times: Vec<&str> = newest.out.lines().skip(1).map(|line| line.split(',').nth(1).unwrap()).collect();
    assert_eq!(times.len(), 3);
    assert!(times[0] > times[1] && times[0].starts_with("2024-01-01T23:59:5"), "{times:?}");
    // Nothing of the archive lies in the last hour; an empty answer is an answer.
    for words in [["--from", "-1h"], ["--last", "1h"]] {
        let recent = run(&[&["get", archive.as_str(), FIRST], &words[..]].concat());
        assert_eq!((recent.code, recent.out.lines().count()), (DONE, 1), "{}", recent.err);
    }
    let local = ["--from", "2024-01-01 01:00:00", "--to", "2024-01-01 01:00:20", "--tz", "Europe/Berlin"];
    let zoned = run(&[&["get", archive.as_str(), FIRST], &local[..]].concat());
    assert!(zoned.out.lines().nth(1).unwrap().contains("2024-01-01T00:00:00."), "{}", zoned.out);
    let table = run(&[&["get", archive.as_str(), FIRST, "--format", "table"], &local[..]].concat());
    assert!(table.out.lines().nth(1).unwrap().contains("2024-01-01 01:00:00."), "{}", table.out);
    assert_eq!(run(&["get", &archive, FIRST, "--from", "2024-01-01 00:00"]).code, USAGE);
    assert_eq!(run(&["get", &archive, FIRST, "--from", "5"]).code, USAGE);
    assert_eq!(run(&["get", &archive, FIRST, "--last", "5"]).code, USAGE);
}

#[test]
fn channels_come_from_names_globs_files_and_standard_input() {
    let (folder, archive) = archive();
    let list = folder.path().join("list.txt");
    let text =
        "\u{feff}# gauges\r\nSR02C-VA-GAUGE-000001:P scan 10s\r\n\r\nSR03C-VA-GAUGE-000002:P # slow\r\n";
    RealDisk.create(&list).unwrap().write_at(0, text.as_bytes()).unwrap();
    let from_file = format!("@{}", list.display());
    let at = ["--time", "2024-01-01T12:00:00Z"];
    for (words, input, expected) in [
        (vec![FIRST], "", 1),
        (vec!["*GAUGE*"], "", 5),
        (vec![&*from_file], "", 2),
        (vec!["@-"], text, 2),
        (vec![FIRST, "*00:P", FIRST], "", 1),
    ] {
        let words = [&["at", archive.as_str()], &words[..], &at[..]].concat();
        let run = run_with(&words, input, None);
        assert_eq!((run.code, run.out.lines().count()), (DONE, expected + 1), "{words:?}: {}", run.err);
    }
    // The variable stands in for the place; a place given beats it.
    for (words, variable) in
        [(vec!["at", FIRST], &*archive), (vec!["at", &*archive, FIRST], "http://127.0.0.1:9")]
    {
        assert_eq!(run_with(&[&words[..], &at[..]].concat(), "", Some(variable)).code, DONE);
    }
}

#[test]
fn what_is_not_there_is_said_and_exits_with_four() {
    let (_folder, archive) = archive();
    let alone = run(&["get", &archive, "SR01C-VA-GAUGE-000000:Q"]);
    assert_eq!((alone.code, alone.out.as_str()), (MISSING, ""));
    assert!(alone.err.contains(FIRST), "no near name in {}", alone.err);
    for format in [&["--format", "csv"][..], &["--json"], &["--format", "table"]] {
        let among = run(&[&["get", archive.as_str(), FIRST, "NOPE"], format, &DAY[..]].concat());
        assert_eq!(among.code, MISSING, "{format:?}");
        assert!(among.out.contains(FIRST) && among.err.contains("NOPE"), "{format:?}: {}", among.err);
    }
    for verb in ["at", "events", "coverage"] {
        let among = run(&[verb, &archive, FIRST, "NOPE"]);
        assert_eq!(among.code, MISSING, "{verb}");
        assert!(among.err.contains("NOPE"), "{verb}: {}", among.err);
    }
    assert_eq!(run(&["get", &archive, "NO*"]).code, MISSING);
    assert_eq!(run(&["list", &archive, "NO*"]).code, MISSING);
    assert_eq!(run(&["why", &archive, "NOPE"]).code, MISSING);
}

#[test]
fn wrong_usage_exits_with_two() {
    let (_folder, archive) = archive();
    for words in [
        &["frobnicate"][..],
        &["get"],
        &["get", &archive],
        &["get", "/nowhere/at/all", FIRST],
        &["get", "https://example.invalid", FIRST],
        &["list", &archive, "a", "b"],
        &["list", &archive, "--state", "sleepy"],
        &["get", &archive, FIRST, "--from", "now", "--last", "1h"],
        &["get", &archive, FIRST, "--from", "now", "--to", "-1h"],
        &["stat", "http://127.0.0.1:9"],
        &["--log", "loud", "list", &archive],
        &["man", "frobnicate"],
    ] {
        let run = run(words);
        assert_eq!((run.code, run.out.as_str()), (USAGE, ""), "{words:?}: {}", run.err);
        assert!(!run.err.is_empty(), "{words:?}");
    }
    let refused = run(&["list", "http://127.0.0.1:9"]);
    assert_eq!(refused.code, FAILED);
    assert!(refused.err.contains("http://127.0.0.1:9"), "{}", refused.err);
    // An empty directory is no archive.
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(run(&["list", empty.path().to_str().unwrap()]).code, FAILED);
}

#[test]
fn facts_are_json_when_asked_for() {
    let (_folder, archive) = archive();
    for words in [
        &["list", &*archive][..],
        &["at", &archive, FIRST],
        &["events", &archive, FIRST],
        &["coverage", &archive, FIRST],
        &["status", &archive],
        &["stat", &archive],
        &["verify", &archive],
        &["get", &archive, FIRST, "-n", "2"],
        &["why", &archive, FIRST],
    ] {
        let run = run(&[words, &["--json"]].concat());
        let parsed: Json =
            serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{words:?}: {error}"));
        assert!(parsed.is_object(), "{words:?}");
    }
    let list: Json = serde_json::from_str(&run(&["list", &archive, "--json"]).out).unwrap();
    assert_eq!(list["channels"].as_array().unwrap().len(), 5);
    assert_eq!(list["channels"][0]["samples"], 8640);
}

#[test]
fn coverage_fills_the_range() {
    let (_folder, archive) = archive();
    let run = run(&[&["coverage", archive.as_str(), FIRST], &DAY[..]].concat());
    let total: i64 =
        run.out.lines().skip(1).map(|line| line.split(',').nth(3).unwrap().parse::<i64>().unwrap()).sum();
    assert_eq!(total, 86_400_000_000_000, "{}", run.out);
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let (_folder, archive) = archive();
    let program = Command::cargo_bin("archtool").unwrap().get_program().to_owned();
    for words in
        [&["get", &*archive, "*", "--from", "2024-01-01T00:00:00Z"][..], &["man"], &["completions", "bash"]]
    {
        let mut child = std::process::Command::new(&program)
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut some = [0; 10];
        child.stdout.take().unwrap().read_exact(&mut some).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(DONE), "{words:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
    }
}

#[test]
fn completions_and_manual_name_every_verb() {
    let man = run(&["man"]).out;
    let bash = run(&["completions", "bash"]).out;
    for verb in [
        "demo", "list", "get", "at", "events", "coverage", "why", "status", "stat", "verify", "dump",
        "generate", "reindex", "snapshot", "export",
    ] {
        assert!(man.contains(verb) && bash.contains(verb), "{verb}");
        assert!(run(&["man", verb]).out.contains(verb), "{verb}");
    }
    assert_eq!(run(&["--help"]).code, DONE);
    assert_eq!(run(&["--version"]).code, DONE);
}

#[test]
fn a_server_and_its_directory_give_the_same_answers() {
    let (folder, running, names) = engine();
    let url = format!("http://{}/", running.address());
    let directory = folder.path().join("archive");
    let directory = directory.to_str().unwrap();
    for name in &names {
        let over_http = run(&["get", &url, name, "-n", "1"]);
        assert_eq!((over_http.code, over_http.out.lines().count()), (DONE, 2), "{name}: {}", over_http.err);
        let in_process = run(&["get", directory, name, "-n", "1"]);
        assert_eq!(over_http.out, in_process.out, "{name}");
    }
    // The directory is answered by its engine while that runs.
    let (list, beside) = (run(&["list", &url]), run(&["list", directory]));
    assert_eq!(list.out, beside.out);
    assert!(beside.out.contains(",connected,"), "{}", beside.out);
    let never = run(&["list", &url, "--state", "never_connected"]);
    assert_eq!(never.out.lines().count(), 2, "{}", never.out);
    assert!(never.out.contains("\nNEVER,"), "{}", never.out);
    assert_eq!(run(&["why", &url, "NEVER"]).code, MISSING);
    let why = run(&["why", &url, "A/B"]);
    assert_eq!(why.code, DONE, "{}{}", why.out, why.err);
    assert!(why.out.starts_with("A/B: archived\n"), "{}", why.out);
    assert_eq!(run_with(&["get", "NOPE"], "", Some(&url)).code, MISSING);
    assert_eq!(run(&["get", &url, "A/B", "--from", "yesterday"]).code, USAGE);
    let status = run(&["status", &url]);
    assert!(status.out.contains("connected 8") && status.out.contains("never connected 1"), "{}", status.out);
    running.stop();
    let after = run(&["list", directory]);
    assert_eq!(after.out.lines().count(), 10, "{}", after.out);
    assert!(!after.out.contains(",connected,"), "{}", after.out);
}
