//! Opening what may not be opened, or only carefully: a clear refusal, and nothing is changed.

use crate::ledger::{engine, live, until};
use crate::rig::{HOUR, MONDAY, Rig, double, name, reader_of, samples_of};
use disk::{Disk, SimDisk};
use engine::clock::{Clock, SystemClock};
use engine::config::Config;
use engine::error::Error;
use engine::recovery::open_read_only;
use engine::source::Arrival;
use engine::status::StatusSource;
use sample::TimeRange;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NOW: i64 = MONDAY + HOUR;

fn filled() -> Rig {
    let mut rig = Rig::with(NOW, &["A"]);
    rig.sample("A", NOW, 1.0);
    rig.flush();
    rig.sample("A", NOW + 1, 2.0);
    rig.sync();
    rig
}

type Contents = Vec<(PathBuf, Vec<u8>)>;

fn contents(disk: &SimDisk) -> Contents {
    let files = disk.files().into_iter().filter(|path| !path.ends_with("LOCK"));
    files.map(|path| (path.clone(), disk.content(&path).unwrap())).collect()
}

/// Opening fails, changes nothing, and says all of `words`.
fn refused(rig: &mut Rig, words: &[&str]) -> Error {
    let before = contents(&rig.disk);
    let Err(error) = rig.try_open() else { panic!("opened, expected {words:?}") };
    assert_eq!(contents(&rig.disk), before);
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{text:?} lacks {word:?}");
    }
    error
}

#[test]
fn a_second_engine_is_refused_and_told_who_is_there() {
    let disk = SimDisk::new(1);
    let (first, _) = engine(&disk, &[name("A")], |_| {});
    let mut second = Rig::new(1, NOW);
    second.disk = disk.clone();
    let Err(error) = second.try_open() else { panic!("opened twice") };
    assert!(matches!(error, Error::Locked { .. }));
    let (text, pid) = (error.to_string(), std::process::id().to_string());
    assert!(text.contains(&pid) && text.contains("127.0.0.1:1") && text.contains("/archive/LOCK"), "{text}");
    drop(first);
    second.clock.set(SystemClock.now());
    second.open();
}

#[test]
fn a_pinned_archive_is_told_from_an_empty_mount_point_and_from_another() {
    let mut rig = filled();
    let id = rig.shared().identity.id.to_string();
    rig.close();
    rig.config.archive.id = Some(id.clone());
    rig.open();
    rig.close();
    let other = "0123456789abcdef0123456789abcdef".to_string();
    rig.config.archive.id = Some(other.clone());
    refused(&mut rig, &[&other, &id, "/archive", "mounted"]);
    let mut empty = Rig::new(1, NOW);
    empty.config.archive.id = Some(id.clone());
    refused(&mut empty, &[&id, "no archive", "mounted"]);
    assert!(empty.disk.files().is_empty());
}

#[test]
fn an_archive_is_created_only_where_it_may_be() {
    let mut rig = Rig::new(1, NOW);
    rig.config.archive.create = false;
    let error = refused(&mut rig, &["/archive", "create = true"]);
    assert!(matches!(error, Error::NoArchive(_)));
    rig.disk.plant(Path::new("/archive/holiday.jpg"), b"x").unwrap();
    rig.config.archive.create = true;
    assert!(matches!(refused(&mut rig, &["/archive", "not empty"]), Error::NotEmpty(_)));
    rig.disk.remove(Path::new("/archive/holiday.jpg")).unwrap();
    rig.open();
}

#[test]
fn an_archive_that_lost_its_identity_is_not_taken_for_an_empty_place() {
    let mut rig = filled();
    rig.close();
    rig.disk.remove(Path::new("/archive/ARCHIVE")).unwrap();
    assert!(matches!(refused(&mut rig, &["/archive"]), Error::NotEmpty(_)));
    if rig.disk.exists(Path::new("/archive/RESERVE")).unwrap() {
        rig.disk.remove(Path::new("/archive/RESERVE")).unwrap();
    }
    assert!(matches!(refused(&mut rig, &["/archive"]), Error::NotEmpty(_)));
}

#[test]
fn damage_and_newer_formats_are_named_with_file_and_offset() {
    for file in ["ARCHIVE", "MANIFEST"] {
        let path = Path::new("/archive").join(file);
        let mut rig = filled();
        rig.close();
        let len = rig.disk.content(&path).unwrap().len() as u64;
        for offset in 0..len {
            rig.disk.flip(&path, offset, 1 << (offset % 8)).unwrap();
            let error = refused(&mut rig, &[file]);
            assert!(matches!(error, Error::Format(_) | Error::NewerMinor { .. }), "{offset}: {error:?}");
            rig.disk.flip(&path, offset, 1 << (offset % 8)).unwrap();
        }
        for len in 0..len {
            let whole = rig.disk.content(&path).unwrap();
            rig.disk.truncate(&path, len).unwrap();
            refused(&mut rig, &[file]);
            rig.disk.plant(&path, &whole).unwrap();
        }
        // A missing manifest is damage, not an archive without tables.
        if file == "MANIFEST" {
            let whole = rig.disk.content(&path).unwrap();
            rig.disk.remove(&path).unwrap();
            refused(&mut rig, &[file, "missing"]);
            rig.disk.plant(&path, &whole).unwrap();
        }
        rig.open();
        assert_eq!(rig.doubles("A"), [(NOW, 1.0), (NOW + 1, 2.0)]);
    }
}

#[test]
fn what_an_interrupted_flush_left_is_removed_and_nothing_else() {
    let mut rig = filled();
    rig.close();
    let table =
        rig.disk.files().into_iter().find(|path| path.extension().is_some_and(|e| e == "sst")).unwrap();
    let stray = table.with_file_name("00000000000000aa.sst");
    let others = table.with_file_name("notes.txt");
    rig.disk.plant(&stray, b"half a table").unwrap();
    rig.disk.plant(&others, b"a person's").unwrap();
    rig.open();
    assert_eq!(rig.report().removed, std::slice::from_ref(&stray));
    assert!(!rig.disk.exists(&stray).unwrap() && rig.disk.exists(&others).unwrap());
    assert_eq!(rig.doubles("A").len(), 2);
}

#[test]
fn an_archive_is_read_beside_its_running_engine() {
    let disk = SimDisk::new(1);
    let names = [name("A")];
    let (engine, handle) = engine(&disk, &names, |_| {});
    let begin = SystemClock.now();
    for k in 1..=200_u64 {
        let now = SystemClock.now();
        handle.send(&names[0], now, Arrival::Sample(double(begin.0 + k as i64, k as f64)));
        if k % 50 == 0 {
            until(|| live(&engine, &names[0]).stored == k);
            until(|| engine.shared().durable_until() >= now);
            let opened = open_read_only(Arc::new(disk.clone()), Arc::new(SystemClock), "/archive".into());
            let (shared, _) = opened.unwrap();
            let view = reader_of(&shared).view(&names[0], TimeRange::ALL).unwrap().unwrap();
            let found: Vec<_> =
                samples_of(&view, TimeRange::ALL).iter().map(|s| s.value.as_f64().unwrap()).collect();
            let expected: Vec<_> = (1..=k).map(|k| k as f64).collect();
            assert_eq!(found, expected);
        }
    }
}

fn parse(disk: &SimDisk, text: &str) -> Result<Config, engine::config::ConfigErrors> {
    Config::parse(disk, text, Path::new("/etc/varve.toml"))
}

#[test]
fn a_reload_is_taken_whole_or_not_at_all() {
    let disk = SimDisk::new(1);
    let head = "[archive]\ndirectory = \"/archive\"\nmax_removed = \"60%\"\n";
    let first = format!("{head}[[channels]]\nnames = [\"A\", \"B\"]\n");
    let parsed = parse(&disk, &first).unwrap();
    let (engine, handle) = engine(&disk, &[], |config| *config = parsed);
    let asked = || {
        let mut names: Vec<_> = handle.channels().iter().map(ToString::to_string).collect();
        names.sort();
        names
    };
    assert_eq!(asked(), ["A", "B"]);
    let hash = engine.status().config.hash;
    for wrong in [
        format!("{head}[[channels]]\nnames = [\"C\", \"A\"]\nmode = \"sometimes\"\n"),
        format!("{head}speed = 9\n[[channels]]\nnames = [\"C\"]\n"),
        format!("{head}memtable_bytes = \"8MiB\"\n[[channels]]\nnames = [\"A\", \"B\", \"C\"]\n"),
        format!("{head}[[channels]]\nfile = \"missing.txt\"\n"),
    ] {
        let errors = engine.reload(parse(&disk, &wrong)).unwrap_err();
        let status = engine.status();
        assert_eq!(status.config.pending_error, Some(errors.to_string()));
        assert_eq!(status.config.hash, hash, "the former one is in force");
        assert!(status.problems.iter().any(|p| p.code == "configuration"));
        assert!(!engine.metrics().config_reload_success);
        assert_eq!(asked(), ["A", "B"]);
    }
    let next = format!("{head}\n[[channels]]\nnames = [\"B\", \"C\"]\n");
    engine.reload(parse(&disk, &next)).unwrap();
    until(|| asked() == ["B", "C"]);
    assert_eq!(engine.status().config.pending_error, None);
    let origin = |channel: &str| {
        let detail = reader_of(engine.shared()).channel(&name(channel), SystemClock.now()).unwrap();
        detail.unwrap().summary.origin
    };
    until(|| origin("B") == "/etc/varve.toml:6" && origin("C") == "/etc/varve.toml:6");
    let state =
        reader_of(engine.shared()).channel(&name("A"), SystemClock.now()).unwrap().unwrap().summary.state;
    assert_eq!(state, engine::read::ChannelState::Retired);
}
