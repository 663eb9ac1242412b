//! Turns of computing: as many long answers compute at once as there are processors, clients one after another.
//!
//! A thread that makes an answer holds a turn while it computes, not while it waits for a client that reads slowly.
//! Between blocks of samples it passes the turn on when somebody waits and it has had it for long enough. Who waits
//! is served client by client: a client with thirty answers under way gets as many turns as one with a single one.

use super::Client;
use crate::limits::TURN;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Instant;

thread_local! {
    /// What the answer made on this thread computes with.
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// The turns.
pub(crate) struct Turns {
    state: Mutex<State>,
    /// Threads in queues.
    waiting: AtomicUsize,
}

struct State {
    free: usize,
    /// Clients whose threads wait, the next to be served first; none has an empty queue.
    queues: VecDeque<(Client, VecDeque<Arc<Waiter>>)>,
}

struct Waiter {
    thread: Thread,
    given: AtomicBool,
}

struct Held {
    turns: Arc<Turns>,
    client: Client,
    since: Instant,
}

impl Turns {
    /// So many at once.
    pub(crate) fn new(turns: usize) -> Arc<Turns> {
        let state = State { free: turns.max(1), queues: VecDeque::new() };
        Arc::new(Turns { state: Mutex::new(state), waiting: AtomicUsize::new(0) })
    }

    /// Runs `work` for `client` when its turn has come.
    pub(crate) fn run<T>(self: &Arc<Turns>, client: Client, work: impl FnOnce() -> T) -> T {
        /// Gives the turn back also when `work` panics.
        struct End;
        impl Drop for End {
            fn drop(&mut self) {
                if let Some(held) = HELD.take() {
                    held.turns.give();
                }
            }
        }
        self.take(client);
        HELD.set(Some(Held { turns: self.clone(), client, since: Instant::now() }));
        let _end = End;
        work()
    }

    /// A turn that nobody waits for, until it is dropped.
    pub(crate) fn spare(self: &Arc<Turns>) -> Option<SpareTurn> {
        let mut state = self.state();
        state.free = state.free.checked_sub(1)?;
        Some(SpareTurn(self.clone()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, client: Client) {
        let waiter = {
            let mut state = self.state();
            if state.free > 0 {
                state.free -= 1;
                return;
            }
            let waiter = Arc::new(Waiter { thread: thread::current(), given: AtomicBool::new(false) });
            match state.queues.iter_mut().find(|(waiting, _)| *waiting == client) {
                Some((_, queue)) => queue.push_back(waiter.clone()),
                None => state.queues.push_back((client, VecDeque::from([waiter.clone()]))),
            }
            self.waiting.fetch_add(1, Ordering::Relaxed);
            waiter
        };
        while !waiter.given.load(Ordering::Acquire) {
            thread::park();
        }
    }

    fn give(&self) {
        let mut state = self.state();
        let Some((client, mut queue)) = state.queues.pop_front() else {
            state.free += 1;
            return;
        };
        let next = queue.pop_front();
        if !queue.is_empty() {
            state.queues.push_back((client, queue));
        }
        drop(state);
        if let Some(next) = next {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            next.given.store(true, Ordering::Release);
            next.thread.unpark();
        }
    }
}

/// A turn that is to be given back when somebody waits.
pub(crate) struct SpareTurn(Arc<Turns>);

impl SpareTurn {
    /// Whether nobody waits.
    pub(crate) fn may_be_kept(&self) -> bool {
        self.0.waiting.load(Ordering::Relaxed) == 0
    }
}

impl Drop for SpareTurn {
    fn drop(&mut self) {
        self.0.give();
    }
}

/// Lets others have the turn of this thread, if they wait and it has had it for long enough. The caller holds no lock.
pub(crate) fn pass_on() {
    let due = HELD.with_borrow(|held| {
        let due =
            |held: &&Held| held.turns.waiting.load(Ordering::Relaxed) > 0 && held.since.elapsed() >= TURN;
        held.as_ref().filter(due).map(|held| (held.turns.clone(), held.client))
    });
    if let Some((turns, client)) = due {
        turns.give();
        turns.take(client);
        HELD.with_borrow_mut(|held| held.iter_mut().for_each(|held| held.since = Instant::now()));
    }
}

/// Does without the turn while `wait` waits for something else than a processor.
pub(crate) fn rest<T>(wait: impl FnOnce() -> T) -> T {
    let Some(held) = HELD.take() else { return wait() };
    held.turns.give();
    let done = wait();
    held.turns.take(held.client);
    HELD.set(Some(Held { since: Instant::now(), ..held }));
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn client(number: u8) -> Client {
        IpAddr::from(Ipv4Addr::new(127, 0, 0, number)).into()
    }

    fn until(condition: impl Fn() -> bool) {
        while !condition() {
            thread::yield_now();
        }
    }

    #[test]
    fn clients_have_turns_one_after_another_however_many_threads_they_have() {
        let turns = Turns::new(1);
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut threads = Vec::new();
        turns.run(client(9), || {
            for number in [1, 1, 1, 1, 2, 2] {
                let before = turns.waiting.load(Ordering::Relaxed);
                let (turns, order) = (turns.clone(), order.clone());
                let own = turns.clone();
                threads.push(thread::spawn(move || {
                    own.run(client(number), || order.lock().unwrap().push(number));
                }));
                until(|| turns.waiting.load(Ordering::Relaxed) > before);
            }
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [1, 2, 1, 2, 1, 1]);
        assert_eq!((turns.state().free, turns.waiting.load(Ordering::Relaxed)), (1, 0));
    }

    #[test]
    fn a_turn_is_passed_on_between_blocks_and_while_waiting_and_comes_back() {
        let turns = Turns::new(1);
        let other = |done: Arc<AtomicBool>| {
            let turns = turns.clone();
            thread::spawn(move || turns.run(client(2), || done.store(true, Ordering::SeqCst)))
        };
        turns.run(client(1), || {
            let done = Arc::new(AtomicBool::new(false));
            let thread = other(done.clone());
            until(|| turns.waiting.load(Ordering::Relaxed) > 0);
            assert!(!done.load(Ordering::SeqCst));
            until(|| {
                pass_on();
                done.load(Ordering::SeqCst)
            });
            thread.join().unwrap();
            let done = Arc::new(AtomicBool::new(false));
            let thread = other(done.clone());
            rest(|| thread.join().unwrap());
            assert!(done.load(Ordering::SeqCst) && turns.state().free == 0);
        });
        assert_eq!(turns.state().free, 1);
    }

    #[test]
    fn a_turn_that_nobody_waits_for_is_lent_and_wanted_back() {
        let turns = Turns::new(1);
        let spare = turns.spare().unwrap();
        assert!(turns.spare().is_none() && spare.may_be_kept());
        let other = turns.clone();
        let thread = thread::spawn(move || other.run(client(1), || 5));
        until(|| !spare.may_be_kept());
        drop(spare);
        assert_eq!(thread.join().unwrap(), 5);
        assert_eq!(turns.state().free, 1);
    }

    #[test]
    fn a_panic_gives_the_turn_back() {
        let turns = Turns::new(1);
        let own = turns.clone();
        assert!(thread::spawn(move || own.run(client(1), || panic!("on purpose"))).join().is_err());
        assert_eq!(turns.run(client(2), || 5), 5);
        pass_on();
        assert_eq!(rest(|| 6), 6);
    }
}
