//! Processors with nothing to do, lent to scans for a while.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Work for another thread. It asks between two pieces whether it may go on, and ends soon when it may not.
pub type Work = Box<dyn FnOnce(&dyn Fn() -> bool) + Send>;

/// Who knows whether a processor has nothing to do.
pub trait Spare: Send + Sync {
    /// Runs `work` on another thread if a processor has nothing to do now; whether it does.
    fn lend(&self, work: Work) -> bool;
}

/// Threads that work for whoever asks first. They begin when there is work for them and end with it.
pub struct Crew {
    /// Threads that wait for work.
    idle: Arc<AtomicUsize>,
    work: Arc<Mutex<Receiver<Work>>>,
    hired: Mutex<Hired>,
}

struct Hired {
    sender: Sender<Work>,
    /// Threads that may still begin.
    left: usize,
}

impl Crew {
    /// At most so many threads.
    pub fn new(threads: usize) -> Crew {
        let (sender, receiver) = channel();
        let hired = Mutex::new(Hired { sender, left: threads });
        Crew { idle: Arc::default(), work: Arc::new(Mutex::new(receiver)), hired }
    }

    /// One more thread, which has been promised work.
    fn hire(&self) -> std::io::Result<()> {
        let (idle, work) = (self.idle.clone(), self.work.clone());
        let serve = move || {
            while let Some(work) = next(&work) {
                // Who asked for it finds that it was not done.
                let _ = catch_unwind(AssertUnwindSafe(|| work(&|| true)));
                idle.fetch_add(1, Ordering::Release);
            }
        };
        thread::Builder::new().name("ahead".into()).spawn(serve).map(drop)
    }
}

fn next(work: &Mutex<Receiver<Work>>) -> Option<Work> {
    work.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

impl Spare for Crew {
    fn lend(&self, work: Work) -> bool {
        let mut hired = self.hired.lock().unwrap_or_else(PoisonError::into_inner);
        let take = |idle: usize| idle.checked_sub(1);
        if self.idle.fetch_update(Ordering::Acquire, Ordering::Relaxed, take).is_err() {
            let Some(left) = hired.left.checked_sub(1) else { return false };
            hired.left = left;
            if let Err(error) = self.hire() {
                tracing::warn!(%error, "answers decode on fewer processors than there are");
                return false;
            }
        }
        hired.sender.send(work).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_taken_while_a_thread_has_nothing_to_do_even_after_a_panic() {
        let crew = Crew::new(1);
        let (sender, receiver) = channel::<()>();
        let until = |idle| {
            while crew.idle.load(Ordering::Acquire) != idle {
                thread::yield_now();
            }
        };
        assert!(crew.lend(Box::new(move |_| assert!(receiver.recv().is_err()))));
        assert!(!crew.lend(Box::new(|_| {})), "the only thread is at work");
        drop(sender);
        until(1);
        assert!(crew.lend(Box::new(|_| panic!("on purpose"))));
        until(1);
        let done = Arc::new(AtomicUsize::new(0));
        let counted = done.clone();
        assert!(crew.lend(Box::new(move |_| counted.store(1, Ordering::Release))));
        until(1);
        assert_eq!(done.load(Ordering::Acquire), 1);
        assert!(!Crew::new(0).lend(Box::new(|_| {})));
    }
}
