//! IOCs that crash, hang, come back as something else.

use super::*;
use epics_ca::take_messages;
use sample::Value;

const ONE: &str = "record(calc,\"T:a\"){field(SCAN,\".1 second\") field(CALC,\"VAL+1\")}\n\
                   record(ai,\"T:b\"){field(VAL,\"7\") field(PINI,\"YES\")}";
const OTHER: &str = "record(stringin,\"T:a\"){field(VAL,\"text\") field(PINI,\"YES\")}\n\
                     record(waveform,\"T:b\"){field(FTVL,\"DOUBLE\") field(NELM,\"5\") field(INP,[1,2]) field(PINI,\"YES\")}";

fn downs(seen: &[(u64, Seen)]) -> usize {
    count(seen, |seen| matches!(seen, Seen::Down { .. }))
}

#[test]
#[ignore = "needs a C IOC: cargo xtask test"]
fn a_crash_is_told_at_once_and_a_restart_with_other_types_is_followed() {
    let ports = ports();
    let ioc = start(ports, ONE);
    let mut client = Client::new(ports);
    client.monitor(&["T:a", "T:b"], ChannelSettings::default());
    let before = client.until("values", |seen| readings(seen, 0).len() > 5 && !metadata(seen, 1).is_empty());
    assert_eq!(readings(&before, 1)[0].value, Value::Float64(7.0));
    ioc.kill();
    let seen = client.until("two disconnects", |seen| {
        downs(seen) == 2 && seen.last().is_some_and(|s| s.1 == Seen::Access(false))
    });
    let of_b = seen.iter().find_map(|(token, seen)| match seen {
        Seen::Down { last_heard, noticed } if *token == 1 => Some((*last_heard, *noticed)),
        _ => None,
    });
    let (last_heard, noticed) = of_b.unwrap();
    // T:b itself has been silent since it connected; T:a of the same server spoke every 100 ms.
    let silent = noticed.since(last_heard);
    assert!((0..1_000_000_000).contains(&silent), "{silent} ns");
    assert!(client.channels.iter().all(|channel| !channel.connected()));

    let ioc = start(ports, OTHER);
    let seen = client.until("other types", |seen| {
        (0..2).all(|t| !readings(seen, t).is_empty() && !metadata(seen, t).is_empty())
    });
    assert_eq!(readings(&seen, 0)[0].value, Value::text("text"));
    assert_eq!(readings(&seen, 1)[0].value.byte_len(), 16);
    assert!(client.channels.iter().all(Channel::connected));
    ioc.kill();
    client.until("disconnects", |seen| downs(seen) == 2);
    let _ioc = start(ports, ONE);
    let seen =
        client.until("first types", |seen| readings(seen, 0).len() > 1 && !readings(seen, 1).is_empty());
    assert_eq!(
        readings(&seen, 1),
        [Reading { time: readings(&seen, 1)[0].time, ..readings(&before, 1)[0].clone() }]
    );
    assert_eq!(count(&seen, |seen| matches!(seen, Seen::Error(_) | Seen::Refused { .. })), 0);
    let messages = take_messages();
    assert!(messages.list.iter().any(|message| message.text.contains("disconnect")), "{messages:?}");
}

#[test]
#[ignore = "needs a C IOC: cargo xtask test"]
fn a_hung_server_is_down_after_half_a_minute_and_back_when_it_wakes() {
    let ioc = start(ports(), ONE);
    let mut client = Client::new(ioc.ports());
    client.monitor(&["T:a"], ChannelSettings::default());
    client.values(3);
    ioc.hang().unwrap();
    let seen = client.until("a disconnect", |seen| downs(seen) == 1);
    let unknown = seen.iter().find_map(|(_, seen)| match seen {
        Seen::Down { last_heard, noticed } => Some(noticed.since(*last_heard)),
        _ => None,
    });
    assert!(unknown.unwrap() > 20_000_000_000, "{unknown:?}");
    ioc.resume().unwrap();
    client.until("values again", |seen| {
        count(seen, |seen| matches!(seen, Seen::Up { .. })) == 1 && readings(seen, 0).len() > 2
    });
}

#[test]
#[ignore = "needs a C IOC: cargo xtask test"]
fn an_ioc_does_not_outlive_a_program_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.db");
    std::fs::write(&file, ONE).unwrap();
    let test = std::env::current_exe().unwrap();
    let mut program = std::process::Command::new(test)
        .args(["--exact", "outages::starts_an_ioc_for_another_test", "--ignored", "--nocapture"])
        .env("VARVE_TEST_DATABASE", &file)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let output = std::io::BufReader::new(program.stdout.take().unwrap());
    let mut lines = std::io::BufRead::lines(output);
    let pid: i32 = lines.find_map(|line| line.ok()?.split_once("pid ")?.1.parse().ok()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::test_kill_process(pid).unwrap();
    program.kill().unwrap();
    program.wait().unwrap();
    let started = Instant::now();
    while rustix::process::test_kill_process(pid).is_ok() {
        assert!(started.elapsed() < Duration::from_secs(60), "the IOC lives on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The program of the test above. Run as a test of its own it has no database and nothing to do.
#[test]
#[ignore = "needs a C IOC: cargo xtask test"]
fn starts_an_ioc_for_another_test() {
    if let Some(database) = std::env::var_os("VARVE_TEST_DATABASE") {
        let ioc = Ioc::start(Ports::free().unwrap(), database.as_ref()).unwrap();
        println!("pid {}", ioc.pid());
        std::thread::sleep(Duration::from_secs(600));
    }
}

#[test]
#[ignore = "needs a C IOC: cargo xtask test"]
fn a_mistake_in_a_database_is_told_in_the_iocs_words() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.db");
    std::fs::write(&file, "record(nonsense,\"T\"){}").unwrap();
    let error = Ioc::start(ports(), &file).unwrap_err().to_string();
    assert!(error.contains("nonsense"), "{error}");
}
