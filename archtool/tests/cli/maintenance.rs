//! Counting, checking, rebuilding, sealing: verbs for whoever looks after an archive.

use super::*;

#[test]
fn stat_counts_what_generate_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("a");
    let path = directory.to_str().unwrap();
    let made = run(&["generate", path, "--channels", "20", "--days", "1", "--seed", "7", "--json"]);
    assert_eq!(made.code, DONE, "{}", made.err);
    let made: Json = serde_json::from_str(&made.out).unwrap();
    let stat: Json = serde_json::from_str(&run(&["stat", path, "--json"]).out).unwrap();
    assert_eq!(made["samples"], stat["samples_in_tables"]);
    assert_eq!(made["table_bytes"], stat["table_bytes"]);
    assert!(made["samples"].as_u64().unwrap() > 500_000);
    assert_eq!(stat["partitions"][0]["name"], "weeks/2026-01-05.1");
    let again = run(&["generate", path]);
    assert_eq!(again.code, FAILED, "an archive must not be written over");
}

#[test]
fn verify_names_damage_and_dump_reads_every_file() {
    let (_folder, archive) = archive();
    index(&archive);
    let deep = run(&["verify", &archive, "--deep", "--json"]);
    assert_eq!(deep.code, DONE, "{}", deep.err);
    let report: Json = serde_json::from_str(&deep.out).unwrap();
    assert_eq!(report["samples"], 43_200);
    let week = Path::new(&archive).join("weeks/2024-01-01.1");
    let mut tables = RealDisk.list(&week).unwrap();
    tables.retain(|entry| entry.name.ends_with(".sst"));
    assert!(tables.len() > 1, "several tables were expected");
    let table = week.join(&tables[0].name);
    for file in [Path::new(&archive).join("ARCHIVE"), Path::new(&archive).join("MANIFEST"), table.clone()] {
        let dumped = run(&["dump", file.to_str().unwrap(), "--json"]);
        assert_eq!(dumped.code, DONE, "{}", dumped.err);
        assert!(
            dumped.out.lines().all(|line| serde_json::from_str::<Json>(line).unwrap()["kind"].is_string())
        );
    }
    let wal = Path::new(&archive).join("wal");
    for segment in RealDisk.list(&wal).unwrap() {
        assert_eq!(run(&["dump", wal.join(segment.name).to_str().unwrap()]).code, DONE);
    }
    assert_eq!(run(&["dump", "/etc/hostname"]).code, FAILED);

    // One bit in each index file: nothing is lost by it.
    let indexes = index_files(Path::new(&archive));
    assert_eq!(indexes.len(), 2);
    assert!(report["index_rows"].as_u64().unwrap() > 10);
    let stat: Json = serde_json::from_str(&run(&["stat", &archive, "--json"]).out).unwrap();
    assert_eq!(stat["index"]["files"], 2);
    for index in &indexes {
        let dumped = run(&["dump", index.to_str().unwrap(), "--json"]);
        assert_eq!(dumped.code, DONE, "{}", dumped.err);
        let kinds: Vec<Json> = dumped
            .out
            .lines()
            .map(|line| serde_json::from_str::<Json>(line).unwrap()["kind"].clone())
            .collect();
        assert!(
            kinds[0] == "partition_index" && kinds[1] == "entry"
                || kinds[0] == "master_segment" && kinds[1] == "name"
        );
        assert!(kinds.len() > 5, "{kinds:?}");
        flip(index, 20_000);
        assert_eq!(run(&["dump", index.to_str().unwrap()]).code, DAMAGE);
    }
    let damaged = run(&["verify", &archive, "--json"]);
    assert_eq!(damaged.code, DAMAGE, "{}", damaged.err);
    let report: Json = serde_json::from_str(&damaged.out).unwrap();
    assert_eq!(report["damage"].as_array().unwrap().len(), 2);
    let read = run(&[&["get", archive.as_str(), "*"], &DAY[..]].concat());
    assert_eq!((read.code, read.out.lines().count()), (DONE, 43_201), "{}", read.err);
    indexes.iter().for_each(|index| flip(index, 20_000));

    // One bit in the middle of a table.
    let at = RealDisk.open(&table).unwrap().len().unwrap() / 2;
    flip(&table, at);
    let damaged = run(&["verify", &archive, "--json"]);
    assert_eq!(damaged.code, DAMAGE, "{}", damaged.err);
    let report: Json = serde_json::from_str(&damaged.out).unwrap();
    let name = format!("weeks/2024-01-01.1/{}", tables[0].name);
    assert_eq!(report["damage"][0]["file"], name.as_str());
    let offset = report["damage"][0]["offset"].as_u64().unwrap();
    assert!(offset > 0 && offset <= at, "{offset} {at}");
    for format in ["csv", "table", "json"] {
        let read = run(&[&["get", archive.as_str(), "*", "--format", format], &DAY[..]].concat());
        assert_eq!(read.code, DAMAGE, "{format}");
        assert!(read.err.contains(&tables[0].name), "{format}: {}", read.err);
    }
    let around =
        run(&[&["get", archive.as_str(), "*", "--format", "json", "--skip-damaged"], &DAY[..]].concat());
    assert_eq!(around.code, DAMAGE);
    let around: Json = serde_json::from_str(&around.out).unwrap();
    let of = |channel: &Json| -> usize {
        channel["segments"].as_array().unwrap().iter().map(|s| s["time_ns"].as_array().unwrap().len()).sum()
    };
    let left: usize = around["channels"].as_array().unwrap().iter().map(of).sum();
    assert!(left > 30_000 && left < 43_200, "{left}");
}

/// Makes the index files of an archive whose weeks are long over.
fn index(archive: &str) {
    let opened = engine::recovery::open(engine::recovery::Opening {
        disk: std::sync::Arc::new(RealDisk),
        clock: std::sync::Arc::new(engine::clock::SystemClock),
        directory: archive.into(),
        create: false,
        pinned: None,
        fresh_id: None,
        settings: StorageSettings::default(),
    })
    .unwrap();
    while opened.keeper.index(&|| false).unwrap() {}
    opened.keeper.write_log().unwrap();
    opened.keeper.sync_log().unwrap();
}

/// Flips a bit.
fn flip(path: &Path, at: u64) {
    let file = RealDisk.open_write(path).unwrap();
    let mut byte = [0];
    assert_eq!(file.read_at(at, &mut byte).unwrap(), 1);
    file.write_at(at, &[byte[0] ^ 1]).unwrap();
}

fn index_files(archive: &Path) -> Vec<PathBuf> {
    let inside = |folder: PathBuf| -> Vec<PathBuf> {
        let names = RealDisk.list(&folder).unwrap().into_iter().map(|entry| entry.name);
        names.filter(|name| name.ends_with(".index")).map(|name| folder.join(name)).collect()
    };
    [inside(archive.join("weeks/2024-01-01.1")), inside(archive.join("index"))].concat()
}

#[test]
fn a_copy_without_its_manifest_is_rebuilt_and_damage_costs_what_it_says() {
    let (folder, archive) = archive();
    let copy = folder.path().join("copy").to_str().unwrap().to_owned();
    for linked in [true, false] {
        let made = run(&["snapshot", &archive, &copy, "--json"]);
        assert_eq!(made.code, DONE, "{}", made.err);
        let made: Json = serde_json::from_str(&made.out).unwrap();
        assert_eq!(made["linked"].as_u64().unwrap() > 0, linked, "{made}");
    }
    assert_eq!(run(&["snapshot", &archive, &archive]).code, FAILED);
    let asked = |archive: &str| run(&[&["get", archive, "*", "--format", "csv"], &DAY[..]].concat()).out;
    let whole = asked(&archive);
    assert_eq!(asked(&copy), whole);
    RealDisk.remove(&Path::new(&copy).join("MANIFEST")).unwrap();
    let verified = run(&["verify", &copy]);
    assert_eq!(verified.code, DAMAGE);
    assert!(
        verified.err.contains("MANIFEST") && verified.err.contains("archtool reindex"),
        "{}",
        verified.err
    );
    assert_eq!(run(&["reindex", &copy]).code, DONE);
    assert_eq!(run(&["verify", &copy, "--deep"]).code, DONE);
    assert_eq!(asked(&copy), whole);
    // The table is the archive's, too: it is one file under two names.
    let week = Path::new(&copy).join("weeks/2024-01-01.1");
    let table = RealDisk.list(&week).unwrap().remove(0).name;
    let file = RealDisk.open_write(&week.join(&table)).unwrap();
    let mut byte = [0];
    file.read_at(400, &mut byte).unwrap();
    file.write_at(400, &[byte[0] ^ 1]).unwrap();
    let mended = run(&["reindex", &copy, "--partition", "2024-01-01"]);
    assert_eq!(mended.code, DAMAGE, "{}", mended.err);
    assert!(
        mended.err.contains("lost: weeks/2024-01-01.1") && mended.err.contains(".damaged"),
        "{}",
        mended.err
    );
    assert_eq!(run(&["verify", &copy, "--deep"]).code, DONE);
    let left = asked(&copy).lines().count();
    assert!(left < whole.lines().count() && left > whole.lines().count() / 2, "{left}");
    assert_eq!(run(&["reindex", &copy, "--partition", "soon"]).code, USAGE);
}

#[test]
fn what_an_engine_has_is_not_sealed_beside_it() {
    let (folder, _running, _) = engine();
    let archive = folder.path().join("archive");
    for verb in ["seal", "compact"] {
        let refused = run(&[verb, archive.to_str().unwrap()]);
        assert_eq!((refused.code, refused.out.as_str()), (USAGE, ""));
        assert!(refused.err.contains("running engine") && refused.err.contains("stop it"), "{}", refused.err);
    }
}

/// Data of years ago, and of now.
#[test]
fn retention_rules_are_applied_where_the_configuration_is_named() {
    let (folder, archive) = archive();
    let mut config = Config::without_file(&RealDisk, PathBuf::from(&archive), &["NOW".into()], &[]).unwrap();
    config.http.listen.set_port(0);
    let (source, handle) = SimulatedSource::new();
    let running = Running::start(config, Box::new(source)).unwrap();
    let (name, now) = (ChannelName::parse("NOW").unwrap(), SystemClock.now());
    handle.send(&name, now, Arrival::Sample(Sample::new(now, Value::Float64(1.0))));
    while running.engine().shared().heard_until() < now || handle.waiting() > 0 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    running.stop();
    let weeks = || -> Vec<Json> {
        let stat: Json = serde_json::from_str(&run(&["stat", &archive, "--json"]).out).unwrap();
        stat["partitions"].as_array().unwrap().iter().map(|week| week["name"].clone()).collect()
    };
    let configured = |verb: &str, of: &str, raw: &str| {
        let path = folder.path().join(format!("{verb}-{of}-{raw}-engine.toml"));
        let rule = "[[retention]]\nclass = \"default\"";
        let text =
            format!("[archive]\ndirectory = \"{of}\"\n{rule}\nraw = \"{raw}\"\ndecimated = \"{raw}\"\n");
        RealDisk.create(&path).unwrap().write_at(0, text.as_bytes()).unwrap();
        run(&[verb, &archive, "--config", path.to_str().unwrap(), "--json"])
    };
    let removed =
        |run: &Run| serde_json::from_str::<Json>(&run.out).unwrap()["tables_removed"].as_u64().unwrap();
    let sealed = run(&["seal", &archive, "--json"]);
    assert_eq!((sealed.code, removed(&sealed)), (DONE, 0), "{}", sealed.err);
    let before = weeks();
    assert_eq!(before.len(), 2, "{before:?}");
    let kept = configured("seal", "archive", "10000w");
    assert_eq!((kept.code, removed(&kept)), (DONE, 0), "{}", kept.err);
    for (of, raw) in [(".", "30d"), ("elsewhere", "30d"), ("archive", "x")] {
        let refused = configured("seal", of, raw);
        assert_eq!((refused.code, refused.out.as_str()), (USAGE, ""), "{}", refused.err);
        assert!(refused.err.contains("engine.toml"), "{}", refused.err);
    }
    assert_eq!(weeks(), before);
    let applied = configured("compact", "archive", "30d");
    assert_eq!((applied.code, removed(&applied) > 0), (DONE, true), "{}", applied.err);
    // What later weeks need of it stands in the first one that stays.
    let left = weeks();
    assert!(!left.contains(&before[0]) && left.last() == before.last(), "{left:?}");
    assert_eq!(removed(&configured("seal", "archive", "30d")), 0);
    assert_eq!(run(&["verify", &archive, "--deep"]).code, DONE);
}

/// An archive of a week that is long over, sealed and merged by hand.
#[test]
fn seal_and_compact_change_no_answer() {
    // As many tables as are merged at once, and some.
    let (_folder, archive) = archive_flushed_at(1 << 17);
    let all = || run(&[&["get", archive.as_str(), "*"], &DAY[..]].concat()).out;
    let coverage = || run(&[&["coverage", archive.as_str(), FIRST], &DAY[..]].concat()).out;
    let stat = || -> Json { serde_json::from_str(&run(&["stat", &archive, "--json"]).out).unwrap() };
    let (before, covered) = (all(), coverage());
    assert_eq!(stat()["weeks"], serde_json::json!({"open": 1, "sealed": 0, "backlog": 1}));
    let compacted = run(&["compact", &archive, "--json"]);
    assert_eq!((compacted.code, compacted.err.as_str()), (DONE, ""));
    let compacted: Json = serde_json::from_str(&compacted.out).unwrap();
    assert!(compacted["merges"].as_u64().unwrap() > 0, "{compacted}");
    assert_eq!(before, all());
    for wrong in ["2024-01-02", "monday"] {
        assert_eq!(run(&["seal", &archive, "--partition", wrong]).code, USAGE);
    }
    assert_eq!(run(&["seal", &archive, "--partition", "2024-01-08"]).code, MISSING);
    let sealed = run(&["seal", &archive, "--partition", "2024-01-01", "--json"]);
    assert_eq!((sealed.code, sealed.err.as_str()), (DONE, ""));
    let sealed: Json = serde_json::from_str(&sealed.out).unwrap();
    assert_eq!(sealed["sealed"][0]["samples"], 43_200);
    assert_eq!(stat()["weeks"], serde_json::json!({"open": 0, "sealed": 1, "backlog": 0}));
    assert_eq!(stat()["partitions"][0]["name"], "weeks/2024-01-01.2");
    assert_eq!(stat()["partitions"][0]["state"], "sealed");
    assert_eq!((before, covered), (all(), coverage()), "nobody ran, nobody stopped");
    let explained = |words: &[&str]| -> Json {
        let run = run(&[&["get", archive.as_str(), FIRST, "--explain"], words, &DAY[..]].concat());
        assert_eq!((run.code, run.err.as_str()), (DONE, ""));
        serde_json::from_str(&run.out).unwrap()
    };
    let of_samples = explained(&[]);
    assert_eq!(of_samples["request"], "/api/v1/samples");
    assert_eq!(of_samples["read"]["samples"], 8_640);
    assert_eq!(of_samples["read"]["files"], 1, "{of_samples}");
    let used = &of_samples["channels"][0]["used"][0];
    assert!(used["origin"].as_str().unwrap().starts_with("weeks/2024-01-01.2/"), "{of_samples}");
    assert!(used["bytes"].as_u64().unwrap() > 8_640 && used["pages"].as_u64().unwrap() > 1, "{used}");
    let of_bins = explained(&["--width", "6h"]);
    assert_eq!(of_bins["read"]["nodes"], serde_json::json!({"3600s": 24}), "{of_bins}");
    assert_eq!(of_bins["read"]["samples"], 0, "{of_bins}");
    // Nothing is left to do, and that is no failure.
    for words in [vec!["seal", &*archive], vec!["seal", &*archive, "--partition", "2024-01-01"]] {
        assert_eq!(run(&words).code, DONE);
    }
    assert_eq!(run(&["verify", &archive, "--deep"]).code, DONE);
}
