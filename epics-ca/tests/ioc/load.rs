//! Many channels at 10 Hz: nothing lost, nothing stuck.

use super::*;
use epics_ca::EventMask;
use sample::Value;

/// Records that count by one ten times a second.
fn counters(count: usize) -> String {
    (0..count)
        .map(|i| format!("record(calc,\"T:{i:05}\"){{field(SCAN,\".1 second\") field(CALC,\"VAL+1\")}}\n"))
        .collect()
}

const VALUES: ChannelSettings =
    ChannelSettings { events: EventMask { value: true, archive: false, alarm: false }, max_elements: 1 };

/// Checks that each channel counts by one.
#[derive(Default)]
struct Counts {
    newest: std::collections::HashMap<u64, f64>,
    updates: u64,
    missing: u64,
}

impl Counts {
    fn add(&mut self, entry: &Entry<'_>) {
        let EntryKind::Value(raw) = &entry.kind else { return };
        let Value::Float64(value) = raw.decode().unwrap().value else { panic!("no double") };
        self.updates += 1;
        if let Some(before) = self.newest.insert(entry.token, value) {
            self.missing += u64::from(value != before + 1.0);
        }
    }
}

#[test]
#[ignore = "needs a C IOC: cargo xtask test"]
fn channels_come_and_go_under_load_without_a_hang_or_a_gap() {
    const CHANNELS: usize = 2_000;
    let ioc = start(ports(), &counters(CHANNELS));
    let (sender, mut receiver) = queue(64 << 20);
    let context = context(sender);
    let create = |i: usize, token: u64| {
        context.channel(&own(ioc.ports(), &format!("T:{i:05}")), token, VALUES).unwrap()
    };
    let mut channels: Vec<Channel> = (0..CHANNELS).map(|i| create(i, i as u64)).collect();
    context.flush();
    let mut counts = Counts::default();
    let started = Instant::now();
    while counts.newest.len() < CHANNELS {
        assert!(started.elapsed() < Duration::from_secs(60), "only {} connected", counts.newest.len());
        receiver.wait(Duration::from_millis(10));
        receiver.drain(|entry| counts.add(&entry));
    }
    let mut token = CHANNELS as u64;
    for _ in 0..99 {
        for (i, channel) in channels.iter_mut().enumerate().take(200) {
            token += 1;
            *channel = create(i, token);
        }
        context.flush();
        receiver.drain(|entry| counts.add(&entry));
        std::thread::sleep(Duration::from_millis(20));
    }
    let all_back =
        |counts: &Counts| channels.iter().all(|channel| counts.newest.contains_key(&channel.token()));
    while !all_back(&counts) {
        assert!(started.elapsed() < Duration::from_secs(90), "channels stay away");
        receiver.wait(Duration::from_millis(10));
        receiver.drain(|entry| counts.add(&entry));
    }
    assert_eq!((counts.missing, receiver.figures().values_lost, receiver.figures().states_lost), (0, 0, 0));
    // Dropping everything from several threads at once, under load.
    let rest = channels.split_off(CHANNELS / 2);
    std::thread::scope(|scope| {
        scope.spawn(|| drop(channels));
        scope.spawn(|| drop(rest));
    });
    receiver.drain(|_| ());
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(receiver.drain(|_| ()), 0, "entries after the last drop");
}

#[test]
#[ignore = "needs a C IOC: cargo xtask test"]
fn a_stalled_reader_costs_counted_values_only() {
    const CHANNELS: usize = 500;
    let ioc = start(ports(), &counters(CHANNELS));
    let (sender, mut receiver) = queue(64 << 10);
    let context = context(sender);
    let channels: Vec<Channel> = (0..CHANNELS)
        .map(|i| context.channel(&own(ioc.ports(), &format!("T:{i:05}")), i as u64, VALUES).unwrap())
        .collect();
    context.flush();
    let mut values = vec![Vec::new(); CHANNELS];
    let read = |receiver: &mut Receiver, values: &mut Vec<Vec<(u64, f64)>>| {
        receiver.drain(|entry| {
            if let EntryKind::Value(raw) = &entry.kind {
                let Value::Float64(value) = raw.decode().unwrap().value else { panic!("no double") };
                values[usize::try_from(entry.token).unwrap()].push((entry.lost_total, value));
            }
        });
    };
    let started = Instant::now();
    let mut rounds = 0;
    while rounds < 40 || values.iter().any(Vec::is_empty) {
        assert!(started.elapsed() < Duration::from_secs(60), "not all connected");
        receiver.wait(Duration::from_millis(100));
        read(&mut receiver, &mut values);
        rounds += 1;
    }
    let stall = Instant::now();
    while receiver.figures().values_lost < 2 * CHANNELS as u64 {
        assert!(stall.elapsed() < Duration::from_secs(60), "nothing is lost");
        std::thread::sleep(Duration::from_millis(100));
    }
    ioc.kill();
    while channels.iter().any(Channel::connected) {
        assert!(stall.elapsed() < Duration::from_secs(60), "still connected");
        std::thread::sleep(Duration::from_millis(10));
    }
    read(&mut receiver, &mut values);
    for (channel, values) in channels.iter().zip(&values) {
        for pair in values.windows(2) {
            let (lost, step) = (pair[1].0 - pair[0].0, pair[1].1 - pair[0].1);
            assert_eq!(step, 1.0 + lost as f64, "{pair:?}");
        }
        // The channel never speaks again: what it lost last stands in its counter only.
        assert!(channel.losses().values >= values.last().unwrap().0);
    }
    let total: u64 = channels.iter().map(|channel| channel.losses().values).sum();
    let figures = receiver.figures();
    assert_eq!(figures.values_lost, total);
    assert!(figures.high_bytes <= figures.limit_bytes);
}
