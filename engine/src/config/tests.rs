//! Whole configurations: what is accepted, what each mistake is answered with, what a reload would change.

use super::server::{Location, ServerConfig};
use super::*;
use disk::{Disk, RealDisk};
use proptest::prelude::*;
use sample::ChannelName;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn parse(text: &str) -> Result<Config, Vec<String>> {
    Config::parse(&RealDisk, text, Path::new("/nowhere/vacuum.toml")).map_err(messages)
}

fn messages(errors: ConfigErrors) -> Vec<String> {
    errors.0.iter().map(ToString::to_string).collect()
}

/// A configuration with `rest` behind the least that is needed.
fn with(rest: &str) -> String {
    format!("[archive]\ndirectory = \"a\"\n{rest}")
}

fn write(path: &Path, text: &str) {
    let file = RealDisk.create(path).unwrap();
    file.write_at(0, text.as_bytes()).unwrap();
}

#[test]
fn the_printed_default_reads_back_as_the_defaults() {
    let mut config = parse(DEFAULT_TEXT).unwrap();
    config.hash = 0;
    assert_eq!(config, Config::new(PathBuf::from("/nowhere/archive")));
}

#[test]
fn the_printed_default_with_its_comments_opened_names_the_defaults() {
    let opened: String = DEFAULT_TEXT
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.contains(" = ") || rest.starts_with("[[") => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let config = parse(&opened).unwrap();
    let default = Config::new(PathBuf::from("/nowhere/archive"));
    let archive = ArchiveSettings { id: config.archive.id.clone(), ..default.archive.clone() };
    assert_eq!(config.archive, archive);
    assert!(config.archive.id.is_some());
    assert_eq!(config.http, default.http);
    assert_eq!(config.retention, default.retention);
    assert_eq!(config.channels.len(), 2);
    let settings = ChannelSettings { deadband: Some(0.1), ..ChannelSettings::default() };
    assert_eq!(*config.channels[1].settings, settings);
    // Every key that is valid anywhere stands in the text: opened, it leaves nothing at None.
    let search = config.channel_access;
    assert!(
        search.address_list.is_some() && search.name_servers == Some(Vec::new()) && search.library.is_some()
    );
    assert_eq!(
        (search.auto_address_list, search.server_port, search.repeater_port),
        (Some(true), Some(5064), Some(5065))
    );
}

#[test]
fn settings_are_read() {
    let text = with(
        "sync_interval = \"0\"\nmin_free = \"2.5%\"\nid = \"00112233445566778899aabbccddeeff\"\n\
         [http]\nlisten = \"localhost:8000\"\n\
         [[retention]]\nclass = \"short\"\nraw = \"52w\"\n\
         [[channels]]\nnames = [\"ca://A.VAL\",\n  \"B\"]\nmode = { scan = \"10s\" }\nevents = [\"value\"]\n\
         deadband = 1\ntimestamps = \"receive\"\nretention = \"short\"\nmax_elements = 10\n",
    );
    let config = parse(&text).unwrap();
    assert_eq!(config.archive.directory, Path::new("/nowhere/a"));
    assert_eq!(config.archive.sync_interval, Duration::ZERO);
    assert_eq!(config.archive.min_free.to_string(), "2.5%");
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8000");
    assert_eq!(config.retention[0].class, "default");
    assert_eq!(config.retention[1].raw, Keep::For(Duration::from_secs(52 * 7 * 86_400)));
    let names: Vec<String> = config.channels.iter().map(|c| format!("{} {}", c.name, c.origin)).collect();
    assert_eq!(names, ["A /nowhere/vacuum.toml:12", "B /nowhere/vacuum.toml:13"].map(str::to_owned));
    let settings = &config.channels[0].settings;
    assert_eq!(settings.mode, Mode::Scan { period: Duration::from_secs(10) });
    assert_eq!(settings.events, EventMask { archive: false, alarm: false, value: true });
    assert_eq!(settings.deadband, Some(1.0));
    assert_eq!(settings.timestamps, StampRule::Receive);
    assert_eq!((&*settings.retention, settings.max_elements), ("short", 10));
}

/// Each mistake: what stands behind `[archive] directory`, the line at fault, words of the answer.
const MISTAKES: &[(&str, u32, &[&str])] = &[
    ("sync_intervall = \"1s\"", 3, &["unknown key \"sync_intervall\" in [archive]", "\"sync_interval\""]),
    ("[htpp]\nlisten = \"127.0.0.1:1\"", 3, &["unknown key \"htpp\"", "\"http\""]),
    ("[http]\nopen_read = true", 4, &["unknown key \"open_read\" in [http]", "\"open_reading\""]),
    ("[channel_access]\naddr_list = []", 4, &["\"addr_list\" in [channel_access]", "\"address_list\""]),
    ("[[channels]]\nnames = [\"A\"]\nmodus = \"monitor\"", 5, &["\"modus\" in [[channels]]", "\"mode\""]),
    ("[[retention]]\nclass = \"x\"\nrow = \"1d\"", 5, &["\"row\" in [[retention]]", "\"raw\""]),
    ("sync_interval = 1", 3, &["sync_interval", "bare number 1", "\"10s\""]),
    ("sync_interval = \"1\"", 3, &["sync_interval", "no unit"]),
    ("late_limit = \"7 days\"", 3, &["late_limit", "unknown unit", "ns us ms s m h d w"]),
    ("memtable_bytes = 268435456", 3, &["memtable_bytes", "bare number", "\"256MiB\""]),
    ("memtable_bytes = \"1kB\"", 3, &["memtable_bytes", "at least 1MiB"]),
    ("min_free = 5", 3, &["min_free", "\"5%\""]),
    ("max_removed = \"110%\"", 3, &["max_removed", "0 to 100"]),
    ("create = \"yes\"", 3, &["create", "true or false", "\"yes\""]),
    ("id = \"42\"", 3, &["id", "32 hexadecimal digits"]),
    ("[http]\nlisten = \"0.0.0.0:17669\"", 4, &["listen", "other machines", "open_reading = true"]),
    ("[http]\nlisten = 17669", 4, &["listen", "text in quotes"]),
    ("[http]\nlisten = \"arch07\"", 4, &["listen", "IP:PORT"]),
    ("[http]\nidle_timeout = \"0s\"", 4, &["idle_timeout", "above zero"]),
    ("[http]\ncors_origins = [\"panel.lab\"]", 4, &["cors_origins", "panel.lab"]),
    ("[http]\nproxies = [\"web.lab\"]", 4, &["proxies", "web.lab", "IP address"]),
    ("[channel_access]\naddress_list = [\"10.0.0.1 10.0.0.2\"]", 4, &["address_list", "one a text"]),
    ("[channel_access]\naddress_list = [\n\"ok\",\n\"ioc:70000\"]", 6, &["address_list", "ioc:70000"]),
    ("[channel_access]\nserver_port = 0", 4, &["server_port", "1 to 65535"]),
    ("[channels]\nnames = [\"A\"]", 3, &["channels", "[[channels]]"]),
    ("[[channels]]\nmode = \"monitor\"", 3, &["[[channels]]", "names", "file"]),
    ("[[channels]]\nnames = [\"A\"]\nfile = \"x\"", 4, &["names and file"]),
    ("[[channels]]\nnames = []", 4, &["empty"]),
    ("[[channels]]\nnames = \"A\"", 4, &["list in [ ]"]),
    ("[[channels]]\nnames = [\"A\",\n\".VAL\"]", 5, &["channel name is empty"]),
    ("[[channels]]\nnames = [\"A\"]\nmode = \"scan\"", 5, &["mode", "scan = \"10s\""]),
    ("[[channels]]\nnames = [\"A\"]\nmode = { scan = 10 }", 5, &["mode", "bare number 10"]),
    ("[[channels]]\nnames = [\"A\"]\nmode = { scan = \"0s\" }", 5, &["mode", "above zero"]),
    ("[[channels]]\nnames = [\"A\"]\nevents = [\"property\"]", 5, &["events", "always recorded"]),
    ("[[channels]]\nnames = [\"A\"]\nevents = []", 5, &["events", "empty"]),
    ("[[channels]]\nnames = [\"A\"]\ndeadband = -1.0", 5, &["deadband", "not negative"]),
    ("[[channels]]\nnames = [\"A\"]\ndeadband = nan", 5, &["deadband"]),
    ("[[channels]]\nnames = [\"A\"]\ntimestamps = \"ico\"", 5, &["timestamps", "did you mean \"ioc\""]),
    ("[[channels]]\nnames = [\"A\"]\nmax_elements = \"4\"", 5, &["max_elements", "whole number"]),
    ("[[channels]]\nnames = [\"A\"]\nmax_bytes_per_second = 10", 5, &["max_bytes_per_second"]),
    ("[[channels]]\nnames = [\"A\"]\nretention = \"short\"", 5, &["retention", "short", "default"]),
    ("[[retention]]\nraw = \"1d\"", 3, &["[[retention]]", "class"]),
    ("[[retention]]\nclass = \"a\"\n[[retention]]\nclass = \"a\"", 6, &["defined twice"]),
    ("[[retention]]\nclass = \"a\"\nraw = 5", 5, &["raw", "forever"]),
    ("[[channels]]\nfile = \"gone.txt\"", 4, &["/nowhere/gone.txt", "open"]),
    (
        "[[channels]]\nnames = [\"A\"]\n[[channels]]\nnames = [\"A\"]\ndeadband = 2.0",
        6,
        &["channel A", "/nowhere/vacuum.toml:4", "deadband"],
    ),
    ("create = ", 3, &[""]),
    ("create = true\ncreate = true", 4, &["duplicate"]),
];

#[test]
fn each_mistake_names_file_line_and_remedy() {
    for (text, line, words) in MISTAKES {
        let errors = parse(&with(text)).expect_err(text);
        assert_eq!(errors.len(), 1, "{text}: {errors:?}");
        let place = format!("/nowhere/vacuum.toml:{line}: ");
        assert!(errors[0].starts_with(&place), "{text}\n{}\nis not on line {line}", errors[0]);
        for word in *words {
            assert!(errors[0].contains(word), "{text}\n{}\ndoes not say {word}", errors[0]);
        }
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let text = "[archive]\nsync_interval = 5\nmin_fre = \"5%\"\n[http]\nlisten = \"x\"\n\
                [[channels]]\nnames = [\"\", \"B\", 7]\n[server]\n";
    let errors = parse(text).unwrap_err();
    let lines: Vec<&str> = errors.iter().map(|e| e.split(": ").next().unwrap()).collect();
    let expected = [1, 2, 3, 5, 7, 7, 8].map(|line| format!("/nowhere/vacuum.toml:{line}"));
    assert_eq!(lines, expected, "{errors:#?}");
}

#[test]
fn nothing_at_all_asks_for_a_directory() {
    assert!(parse("").unwrap_err()[0].contains("[archive] with directory"));
    assert!(parse("[archive]\n").unwrap_err()[0].contains("directory"));
}

#[test]
fn lists_start_at_the_configuration_file_and_names_count_once() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("vacuum.txt"), "\u{feff}A\r\nB scan 10s\r\nA\r\n");
    write(
        &folder.path().join("a.toml"),
        &with("[[channels]]\nfile = \"vacuum.txt\"\n[[channels]]\nnames = [\"A\"]\n"),
    );
    let config = Config::load(&RealDisk, &folder.path().join("a.toml")).unwrap();
    let names: Vec<&str> = config.channels.iter().map(|c| c.name.as_str()).collect();
    assert_eq!((names, config.repeated), (vec!["A", "B"], 2));
    assert_eq!(config.archive.directory, folder.path().join("a"));
    let list = folder.path().join("vacuum.txt");
    assert_eq!(config.channels[1].origin.to_string(), format!("{}:2", list.display()));

    // One name with two modes: both places are named.
    write(
        &folder.path().join("b.toml"),
        &with("[[channels]]\nfile = \"vacuum.txt\"\n[[channels]]\nnames = [\"B\"]\n"),
    );
    let errors = Config::load(&RealDisk, &folder.path().join("b.toml")).unwrap_err().to_string();
    assert!(
        errors.contains("b.toml:6: channel B") && errors.contains("vacuum.txt:2") && errors.contains("mode")
    );
}

#[test]
fn an_empty_list_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("none.txt"), "# all gone\n");
    write(&folder.path().join("a.toml"), &with("[[channels]]\nfile = \"none.txt\"\n"));
    let errors = Config::load(&RealDisk, &folder.path().join("a.toml")).unwrap_err().to_string();
    assert!(errors.contains("none.txt: the list names no channel"), "{errors}");
}

#[test]
fn text_that_is_not_utf8_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("latin1.toml");
    RealDisk.create(&path).unwrap().write_at(0, b"# a\n# \xb5m\n").unwrap();
    let errors = Config::load(&RealDisk, &path).unwrap_err().to_string();
    assert!(errors.contains("latin1.toml:2: ") && errors.contains("UTF-8"), "{errors}");
}

#[test]
fn fifty_thousand_names_are_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let list: String = (0..50_000).map(|i| format!("SR:C{:02}:DEV{i:05}:VALUE\r\n", i % 30)).collect();
    write(&folder.path().join("all.txt"), &list);
    write(&folder.path().join("a.toml"), &with("[[channels]]\nfile = \"all.txt\"\n"));
    let config = Config::load(&RealDisk, &folder.path().join("a.toml")).unwrap();
    assert_eq!(config.channels.len(), 50_000);
    assert_eq!(config.channels[49_999].name.as_str(), "SR:C19:DEV49999:VALUE");
    assert_eq!(config.channels[49_999].origin.line(), Some(50_000));
}

#[test]
fn the_command_line_makes_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("l.txt");
    write(&list, "B\nC scan 1m\n");
    let names = ["A".to_owned(), "A".to_owned()];
    let config =
        Config::without_file(&RealDisk, PathBuf::from("d"), &names, std::slice::from_ref(&list)).unwrap();
    let channels: Vec<String> =
        config.channels.iter().map(|c| format!("{} {}", c.name, c.settings.mode)).collect();
    assert_eq!(channels, ["A monitor", "B monitor", "C scan 1m"]);
    assert_eq!(config.channels[0].origin.to_string(), "--channel");
    let bad = [String::new(), "x".repeat(1025)];
    let errors = Config::without_file(&RealDisk, PathBuf::from("d"), &bad, &[]).unwrap_err();
    assert_eq!(errors.0.len(), 2);
}

fn channels(names: &[&str], deadband: &str) -> String {
    format!("[[channels]]\nnames = {names:?}\n{deadband}\n")
}

#[test]
fn a_plan_holds_what_comes_goes_and_changes() {
    let present = parse(&with(&(channels(&["A", "B"], "") + &channels(&["C", "D"], "")))).unwrap();
    let next = parse(&with(&(channels(&["A"], "") + &channels(&["D", "E"], "deadband = 1.0")))).unwrap();
    let plan = Plan::between(&present, &next);
    let added: Vec<&str> = plan.added.iter().map(|c| c.name.as_str()).collect();
    let removed: Vec<&str> = plan.removed.iter().map(ChannelName::as_str).collect();
    let changed: Vec<&str> = plan.changed.iter().map(|c| c.channel.name.as_str()).collect();
    assert_eq!((added, removed, changed), (vec!["E"], vec!["B", "C"], vec!["D"]));
    assert_eq!(plan.changed[0].before.deadband, None);
    assert!(Plan::between(&present, &present).is_empty());
    let error = plan.check(&present, &next).unwrap_err().to_string();
    assert!(
        error.contains("2 of 4 channels") && error.contains("B, C") && error.contains("\"10%\""),
        "{error}"
    );
    let mut allowed = next.clone();
    allowed.archive.max_removed = Percent::new(50);
    plan.check(&present, &allowed).unwrap();
}

#[test]
fn a_plan_refuses_what_is_fixed_while_the_engine_runs() {
    let present = parse(&with("")).unwrap();
    let next =
        parse("[archive]\ndirectory = \"b\"\nmax_removed = \"20%\"\n[http]\nlisten = \"127.0.0.1:1\"\n")
            .unwrap();
    let error = Plan::between(&present, &next).check(&present, &next).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.0.len(), 2, "{text}");
    assert!(text.contains("archive.directory") && text.contains("http.listen") && text.contains("restart"));
}

proptest! {
    /// Applying a plan to the present channels gives the next ones.
    #[test]
    fn a_plan_leads_from_one_configuration_to_the_other(
        present in prop::collection::btree_map(0u8..30, 0u8..3, 0..20),
        next in prop::collection::btree_map(0u8..30, 0u8..3, 0..20),
    ) {
        let config = |map: &std::collections::BTreeMap<u8, u8>| {
            let blocks: String = map.iter()
                .map(|(name, deadband)| channels(&[&format!("CH{name}")], &format!("deadband = {deadband}.0")))
                .collect();
            parse(&with(&blocks)).unwrap()
        };
        let (a, b) = (config(&present), config(&next));
        let plan = Plan::between(&a, &b);
        let mut result: std::collections::BTreeMap<_, _> =
            a.channels.iter().map(|c| (c.name.clone(), c.settings.deadband)).collect();
        for name in &plan.removed { prop_assert!(result.remove(name).is_some()); }
        for c in &plan.added { prop_assert!(result.insert(c.name.clone(), c.settings.deadband).is_none()); }
        for c in &plan.changed {
            prop_assert_eq!(result.insert(c.channel.name.clone(), c.channel.settings.deadband), Some(c.before.deadband));
        }
        let expected: std::collections::BTreeMap<_, _> =
            b.channels.iter().map(|c| (c.name.clone(), c.settings.deadband)).collect();
        prop_assert_eq!(result, expected);
        let limit = a.channels.len() / 10;
        prop_assert_eq!(plan.check(&a, &b).is_ok(), plan.removed.len() <= limit);
    }

    #[test]
    fn any_text_gets_an_answer(text in "(?s)(\\[archive\\]\n)?.{0,120}") {
        let _ = parse(&text).is_ok();
    }
}

fn parse_server(text: &str) -> Result<ServerConfig, Vec<String>> {
    ServerConfig::parse(text, Path::new("/nowhere/server.toml")).map_err(messages)
}

#[test]
fn a_server_is_told_its_archives() {
    let config = parse_server(
        "[[archives]]\nname = \"vacuum\"\ndirectory = \"vac\"\nlive = \"http://127.0.0.1:17669/\"\n\
         [[archives]]\nname = \"rf\"\nurl = \"http://arch07:17669\"\npriority = 2\n",
    )
    .unwrap();
    assert_eq!(config.http, HttpSettings::new(SERVER_PORT));
    assert_eq!(config.archives[0].location, Location::Directory(PathBuf::from("/nowhere/vac")));
    assert_eq!(config.archives[0].live.as_deref(), Some("http://127.0.0.1:17669"));
    assert_eq!(config.archives[1].location, Location::Url("http://arch07:17669".to_owned()));
    assert_eq!((config.archives[0].priority, config.archives[1].priority), (1, 2));
}

#[test]
fn a_servers_mistakes_name_their_lines() {
    for (text, line, word) in [
        ("", 1, "[[archives]]"),
        ("[[archives]]\nname = \"a\"", 1, "directory"),
        ("[[archives]]\ndirectory = \"a\"", 1, "name"),
        ("[[archives]]\nname = \"a\"\nurl = \"arch07\"", 3, "http://"),
        ("[[archives]]\nname = \"a\"\nurl = \"https://arch07\"", 3, "over http:// only"),
        ("[[archives]]\nname = \"a\"\nurl = \"http://x\"\nlive = \"http://y\"", 4, "directory"),
        ("[[archives]]\nname = \"a\"\nurl = \"http://x\"\ndirectory = \"y\"", 3, "directory and url"),
        (
            "[[archives]]\nname = \"a\"\nurl = \"http://x\"\n[[archives]]\nname = \"a\"\nurl = \"http://y\"",
            5,
            ":1",
        ),
        ("[[archives]]\nname = \"a\"\nurl = \"http://x\"\nprio = 3", 4, "\"priority\""),
        ("[[archives]]\nname = \"a\"\nurl = \"http://x\"\npriority = \"1\"", 4, "whole number"),
    ] {
        let errors = parse_server(text).expect_err(text);
        assert_eq!(errors.len(), 1, "{text}: {errors:?}");
        assert!(errors[0].starts_with(&format!("/nowhere/server.toml:{line}: ")), "{text}\n{}", errors[0]);
        assert!(errors[0].contains(word), "{text}\n{}", errors[0]);
    }
}
