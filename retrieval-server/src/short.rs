//! Short answers, made on the thread that read the request.
//!
//! Handing a request to another thread and its answer back wakes two threads. Where the processors are busy,
//! each of them waits for its turn: most of what a question about a few channels takes.

use crate::answer::answer_route;
use crate::limits::{SHORT_BYTES_MAX, SHORT_NAMES_MAX};
use crate::output::{Head, Output, Stopped};
use crate::parameters::Pairs;
use crate::routes::{Request, Route};
use crate::server::ServerState;
use crate::validator::{Validation, Validator};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::runtime::{Handle, RuntimeFlavor};

/// An answer that is whole.
pub(crate) struct Short {
    pub(crate) head: Head,
    pub(crate) bytes: Vec<u8>,
    /// It got longer than a short one may be.
    outgrown: bool,
    validation: Validation,
}

impl Short {
    fn outgrow(&mut self) -> io::Result<()> {
        self.outgrown = true;
        Err(io::ErrorKind::FileTooLarge.into())
    }
}

impl Output for Short {
    fn validate(&mut self, validator: &mut dyn FnMut() -> Option<Validator>) -> bool {
        self.validation.check(validator())
    }

    fn incomplete(&mut self) {
        self.validation.spoil();
    }

    fn head(&mut self, head: &Head) -> io::Result<()> {
        // Only what is there whole leaves with its hash.
        if head.whole.is_none() {
            return self.outgrow();
        }
        self.head = head.clone();
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn listens(&mut self, pending: usize) -> bool {
        pending <= SHORT_BYTES_MAX || self.outgrow().is_ok()
    }
}

/// Whether a request may have a short answer, by what little is known of it: trying costs what is thrown away. One
/// value may be as large as values are, and is read once only.
fn may_be_short(route: &Route, pairs: &Pairs) -> bool {
    let names = || pairs.iter().filter(|(name, _)| name == "channel").count();
    let by_pattern = || pairs.iter().any(|(name, _)| name == "match");
    // Bins and tables are small for many samples; following has no end.
    let dear = matches!(
        route.request,
        Request::Channels | Request::At | Request::Bins | Request::Table | Request::Search | Request::Follow
    );
    let dear = dear || pairs.iter().any(|(name, _)| name == "where");
    !dear && names() <= SHORT_NAMES_MAX && !by_pattern()
}

/// The answer or the refusal, if it is short; `None` where it has to be made on a thread of its own, from its
/// begin. May block: other connections are served meanwhile.
pub(crate) fn answer(
    state: &ServerState,
    route: &'static Route,
    pairs: &Pairs,
    if_none_match: Option<&str>,
) -> Option<Result<Short, Stopped>> {
    let threads = Handle::try_current().map(|handle| handle.runtime_flavor());
    if !may_be_short(route, pairs) || threads.ok() != Some(RuntimeFlavor::MultiThread) {
        return None;
    }
    let validation = state.validation(if_none_match);
    let mut short = Short { head: Head::default(), bytes: Vec::new(), outgrown: false, validation };
    let made = || answer_route(state, route, pairs, &mut short);
    // One that panics does so again on a thread of its own, where nothing goes down with it.
    let answered = tokio::task::block_in_place(|| catch_unwind(AssertUnwindSafe(made))).ok()?;
    if short.outgrown {
        return None;
    }
    short.head.validator = short.validation.given;
    match answered {
        // The client has the bytes.
        Ok(()) | Err(Stopped::Unchanged) => Some(Ok(short)),
        Err(stopped) => Some(Err(stopped)),
    }
}
