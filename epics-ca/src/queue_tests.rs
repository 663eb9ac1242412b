//! Tests of the queue.

use super::*;
use crate::Access;
use crate::dbr::FieldType;
use proptest::prelude::*;
use std::time::Instant;

const SLOT: usize = size_of::<Slot>();

fn sent(token: u64, received: i64) -> Sent {
    Sent { token, received: Timestamp(received), lost_total: 0, server: None }
}

fn value(count: usize) -> Stored {
    Stored::Value { dbr: 18, count: u32::try_from(count).unwrap(), scalar: false }
}

fn down() -> Stored {
    Stored::Down { last_heard: Timestamp(0) }
}

#[test]
fn a_full_queue_still_takes_states() {
    let (sender, mut receiver) = queue(64 << 10);
    let mut values = 0;
    while sender.push(sent(values, 0), value(8), &[7; 8]).queued {
        values += 1;
    }
    let room = (64 << 10) - (64 << 10) / QUEUE_RESERVE_SHARE;
    assert_eq!(values as usize, room / (SLOT + 8));
    let mut states = 0;
    while sender.push(sent(states, 0), down(), &[]).queued {
        states += 1;
    }
    assert!(states as usize >= (64 << 10) / QUEUE_RESERVE_SHARE / SLOT, "{states}");
    let figures = receiver.figures();
    assert_eq!((figures.values_lost, figures.states_lost), (1, 1));
    assert!(figures.high_bytes <= figures.limit_bytes && figures.bytes == figures.high_bytes);
    assert_eq!(receiver.drain(|_| ()) as u64, values + states);
    assert!(sender.push(sent(0, 0), value(8), &[7; 8]).queued);
    assert_eq!(receiver.drain(|_| ()), 1);
    assert_eq!(receiver.drain(|_| ()), 0);
}

#[test]
fn an_entry_larger_than_the_queue_is_refused() {
    let (sender, receiver) = queue(64 << 10);
    assert!(!sender.push(sent(1, 0), value(64 << 10), &vec![0; 64 << 10]).queued);
    assert_eq!(receiver.figures().values_lost, 1);
    assert!(sender.push(sent(1, 0), value(1), &[0]).queued);
}

#[test]
fn buffers_never_grow_beyond_their_first_size() {
    let (sender, mut receiver) = queue(64 << 10);
    let room = receiver.back.bytes.capacity();
    for _ in 0..3 {
        while sender.push(sent(0, 0), value(100), &[0; 100]).queued {}
        while sender.push(sent(0, 0), down(), &[]).queued {}
        receiver.drain(|_| ());
        assert_eq!(receiver.back.bytes.capacity(), room);
        assert_eq!(receiver.back.entries.capacity(), (64 << 10) / SLOT);
    }
}

#[test]
fn a_disconnect_tells_when_the_server_was_last_heard() {
    let (sender, mut receiver) = queue(64 << 10);
    let (a, b) = (sender.server("a:5064", Timestamp(0)), sender.server("b:5064", Timestamp(0)));
    assert_eq!(sender.server("a:5064", Timestamp(1)), a);
    let from = |server, token, received| Sent { server: Some(server), ..sent(token, received) };
    let up = Stored::Up {
        field: FieldType::Double,
        elements: 1,
        access: Access { read: true, write: false },
        server: b,
    };
    sender.push(from(b, 2, 5), up, &[]);
    sender.push(from(a, 1, 10), value(1), &[0]);
    sender.push(from(b, 2, 20), value(1), &[0]);
    sender.push(from(a, 1, 30), down(), &[]);
    sender.push(from(a, 3, 31), down(), &[]);
    let mut seen = Vec::new();
    receiver.drain(|entry| match entry.kind {
        EntryKind::Down { last_heard } => seen.push((entry.token, last_heard.0)),
        EntryKind::Up { host, .. } => assert_eq!(host, "b:5064"),
        _ => {}
    });
    assert_eq!(seen, [(1, 10), (3, 10)]);
    assert_eq!(receiver.last_heard("b:5064"), Some(Timestamp(20)));
    assert_eq!(receiver.last_heard("c:5064"), None);
    receiver.drain(|_| ());
    assert_eq!(receiver.servers.len(), 2);
}

#[test]
fn a_server_known_by_its_address_turns_out_to_be_a_named_one() {
    let (sender, mut receiver) = queue(64 << 10);
    let address = sender.server("10.0.0.1:5064", Timestamp(0));
    let name = sender.server("ioc:5064", Timestamp(0));
    let from = |server, received| Sent { server: Some(server), ..sent(1, received) };
    let second = 1_000_000_000;
    assert!(!sender.push(from(address, 1), value(1), &[0]).ask);
    let asks = (0..3600).filter(|i| sender.push(from(address, i * second), value(1), &[0]).ask).count();
    assert!((5..20).contains(&asks), "{asks}");
    sender.server_is(address, "10.0.0.1:5064", Timestamp(0));
    sender.push(from(name, 4000 * second), value(1), &[0]);
    sender.push(from(address, 4001 * second), down(), &[]);
    sender.server_is(address, "ioc:5064", Timestamp(0));
    sender.push(from(address, 4002 * second), down(), &[]);
    let mut heard = Vec::new();
    receiver.drain(|entry| {
        if let EntryKind::Down { last_heard } = entry.kind {
            heard.push(last_heard.0 / second);
        }
    });
    assert_eq!(heard, [3599, 4000]);
    assert!(!sender.push(from(address, 9000 * second), value(1), &[0]).ask);
    assert_eq!(receiver.last_heard("ioc:5064"), Some(Timestamp(9000 * second)));
}

#[test]
fn a_blocked_reader_wakes_for_an_entry_or_a_waker() {
    let (sender, mut receiver) = queue(64 << 10);
    assert!(!receiver.wait(Duration::ZERO));
    let waker = receiver.waker();
    let thread = std::thread::spawn(move || {
        let woken = receiver.wait(Duration::from_secs(600));
        let drained = receiver.drain(|_| ());
        let empty = receiver.wait(Duration::from_secs(600));
        (woken, drained, empty)
    });
    while !sender.shared.lock().waiting {
        std::thread::yield_now();
    }
    sender.push(sent(1, 0), value(1), &[0]);
    while !thread.is_finished() {
        waker.wake();
        std::thread::yield_now();
    }
    assert_eq!(thread.join().unwrap(), (true, 1, false));
}

#[test]
fn two_senders_lose_nothing_uncounted() {
    let (sender, mut receiver) = queue(64 << 10);
    let each = 200_000u64;
    let send = |token: u64| {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let mut lost = 0;
            for i in 0..each {
                let bytes = i.to_le_bytes().repeat(1 + (i % 7) as usize);
                let sent = Sent { lost_total: lost, ..sent(token, i64::try_from(i).unwrap()) };
                lost += u64::from(!sender.push(sent, value(bytes.len()), &bytes).queued);
            }
            lost
        })
    };
    let threads = [send(0), send(1)];
    let (mut next, mut got, mut lost_seen) = ([0i64; 2], [0u64; 2], [0u64; 2]);
    let started = Instant::now();
    loop {
        let done = threads.iter().all(std::thread::JoinHandle::is_finished);
        let drained = receiver.drain(|entry| {
            let EntryKind::Value(raw) = entry.kind else { panic!("{entry:?}") };
            let token = usize::try_from(entry.token).unwrap();
            let i = u64::try_from(entry.received.0).unwrap();
            assert!(raw.bytes.chunks(8).all(|chunk| chunk == i.to_le_bytes()), "bytes of another entry");
            let missing = u64::try_from(entry.received.0 - next[token]).expect("in order");
            assert_eq!(entry.lost_total - lost_seen[token], missing, "the gap is the loss told");
            lost_seen[token] = entry.lost_total;
            next[token] = entry.received.0 + 1;
            got[token] += 1;
        });
        if done && drained == 0 {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(600), "hangs");
        receiver.wait(Duration::from_millis(1));
    }
    let lost: Vec<u64> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!([got[0] + lost[0], got[1] + lost[1]], [each; 2]);
    assert_eq!(receiver.figures().values_lost, lost[0] + lost[1]);
}

proptest! {
    #[test]
    fn entries_come_out_as_they_went_in(steps in proptest::collection::vec((any::<bool>(), 0usize..3000, any::<bool>()), 0..200)) {
        let (sender, mut receiver) = queue(64 << 10);
        let mut expected = std::collections::VecDeque::new();
        for (i, (is_value, length, drain)) in steps.into_iter().enumerate() {
            let bytes = vec![i.to_le_bytes()[0]; length];
            let kind = if is_value { value(length) } else { Stored::Metadata { dbr: 34 } };
            if sender.push(sent(i as u64, 0), kind, &bytes).queued {
                expected.push_back((i as u64, is_value, bytes));
            }
            if drain {
                let mut wrong = 0;
                receiver.drain(|entry| {
                    let bytes = match entry.kind {
                        EntryKind::Value(raw) => (true, raw.bytes.to_vec()),
                        EntryKind::Metadata(raw) => (false, raw.bytes.to_vec()),
                        other => panic!("{other:?}"),
                    };
                    wrong += usize::from(expected.pop_front() != Some((entry.token, bytes.0, bytes.1)));
                });
                prop_assert_eq!(wrong, 0);
                prop_assert!(expected.is_empty());
            }
        }
    }
}
