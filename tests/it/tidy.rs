//! House rules that no compiler checks.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a source file at which to stop and think.
const LINES_MAX: usize = 500;
/// Words that say nothing about what a module is for.
const EMPTY_WORDS: [&str; 10] =
    ["util", "utils", "helper", "helpers", "manager", "common", "misc", "v2", "old", "new"];
/// Packages without the lints of the workspace: their plain functions may unwrap, as tests may.
const UNLINTED: [&str; 2] = ["tests", "benches"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Files of the project with their paths from its root, `/` between components.
fn files() -> Vec<(String, PathBuf)> {
    let (mut found, mut directories) = (Vec::new(), vec![(String::new(), root())]);
    while let Some((name, directory)) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let own = entry.file_name().into_string().unwrap();
            let path = format!("{name}{own}");
            let ignored = own.starts_with('.') && own != ".ci" && own != ".cargo";
            if entry.file_type().unwrap().is_dir() {
                let generated = ["target", "__pycache__"].contains(&own.as_str());
                if !ignored && !generated && path != "fuzz/corpus" && path != "fuzz/artifacts" {
                    directories.push((format!("{path}/"), entry.path()));
                }
            } else if !ignored {
                found.push((path, entry.path()));
            }
        }
    }
    found
}

fn sources() -> impl Iterator<Item = (String, String)> {
    let files = files().into_iter().filter(|(name, _)| name.ends_with(".rs"));
    files.map(|(name, path)| (name, fs::read_to_string(path).unwrap()))
}

fn assert_none(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn every_source_file_says_first_what_it_is_for() {
    let problems: Vec<String> =
        sources().filter(|(_, text)| !text.starts_with("//! ")).map(|(name, _)| name).collect();
    assert_none(&problems);
}

#[test]
fn source_files_stay_short() {
    let mut problems = Vec::new();
    for (name, text) in sources() {
        let lines = text.lines().count();
        if lines > LINES_MAX {
            problems.push(format!("{name} has {lines} lines: split it"));
        }
    }
    assert_none(&problems);
}

#[test]
fn modules_have_names_that_say_something() {
    let empty = |name: &str| {
        let words = name.trim_end_matches(".rs").split(['/', '_', '-']);
        words.into_iter().any(|word| EMPTY_WORDS.contains(&word))
    };
    let problems: Vec<String> = sources().map(|(name, _)| name).filter(|name| empty(name)).collect();
    assert_none(&problems);
}

#[test]
fn no_file_names_a_machine_or_a_registry() {
    // In pieces, so that this file does not hold them.
    let words: Vec<String> = [
        ["/wo", "rk/"],
        ["/tm", "p/"],
        ["/ho", "me/"],
        ["/ro", "ot/"],
        ["/Us", "ers/"],
        ["crates", ".io"],
        ["pypi", ".org"],
        ["npmjs", ".com"],
        ["proxy.golang", ".org"],
    ]
    .map(|[a, b]| format!("{a}{b}"))
    .into();
    let mut problems = Vec::new();
    // Lock files name the registry by themselves.
    for (name, path) in files().into_iter().filter(|(name, _)| !name.ends_with(".lock")) {
        let Ok(text) = String::from_utf8(fs::read(path).unwrap()) else { continue };
        for (number, line) in (1..).zip(text.lines()) {
            for word in words.iter().filter(|word| line.contains(word.as_str())) {
                problems.push(format!("{name}:{number} names {word}"));
            }
        }
    }
    assert_none(&problems);
}

#[test]
fn every_package_has_the_lints_of_the_workspace() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = manifest.split("members = [").nth(1).unwrap().split(']').next().unwrap();
    let members: Vec<&str> = members.split('"').skip(1).step_by(2).collect();
    assert!(members.len() > 10, "{members:?}");
    let mut problems = Vec::new();
    for member in members.into_iter().filter(|member| !UNLINTED.contains(member)) {
        let text = fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
        if !text.contains("[lints]\nworkspace = true") {
            problems.push(format!("{member}/Cargo.toml: [lints] workspace = true is missing"));
        }
    }
    assert_none(&problems);
}

#[test]
fn only_the_disk_names_the_file_system_below_the_programs() {
    let below =
        ["sample/", "disk/", "sstable/", "index/", "decimator/", "engine/src/", "retrieval-server/src/"];
    let word = ["std::", "fs"].concat();
    let problems: Vec<String> = sources()
        .filter(|(name, text)| {
            let inside = below.iter().any(|room| name.starts_with(room));
            inside && !name.starts_with("disk/src/real") && text.contains(&word)
        })
        .filter(|(name, _)| name != "disk/src/lib.rs")
        .map(|(name, _)| name)
        .collect();
    assert_none(&problems);
}

#[test]
fn no_comparison_is_thrown_away() {
    let mut problems = Vec::new();
    for (name, text) in sources() {
        let mut before = ";";
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            let begins = before.ends_with([';', '{', '}']);
            if begins && line.starts_with("matches!(") && line.ends_with(");") {
                problems.push(format!("{name}:{number}: {line}"));
            }
            if !line.is_empty() && !line.starts_with("//") {
                before = line;
            }
        }
    }
    assert_none(&problems);
}
