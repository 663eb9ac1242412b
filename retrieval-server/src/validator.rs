//! Validators of answers: what a client that has one is asked before it is made again.

use crate::limits::SPOILT_MAX;
use crate::negotiate;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

/// Tells two states of an answer apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validator {
    /// Another one where the answer is another one.
    pub state: u64,
    /// Whether all of it lies in sealed weeks.
    pub sealed: bool,
}

/// The validators that this process gives.
///
/// They are of this process: one that begins anew may not know which answers broke off before it.
pub(crate) struct Validators {
    seed: RandomState,
    /// Of answers in which something was found missing only after their head had left: a client that has such an
    /// answer does not have the answer.
    spoilt: Mutex<HashSet<u64>>,
}

impl Validators {
    pub(crate) fn new() -> Validators {
        Validators { seed: RandomState::new(), spoilt: Mutex::default() }
    }

    /// The tag of `state` in this process.
    pub(crate) fn seeded(&self, state: impl std::hash::Hash) -> u64 {
        self.seed.hash_one(state)
    }

    fn is_spoilt(&self, state: u64) -> bool {
        let spoilt = self.spoilt.lock().unwrap_or_else(PoisonError::into_inner);
        // One too many: none can be trusted any more.
        spoilt.len() > SPOILT_MAX || spoilt.contains(&state)
    }

    fn spoil(&self, state: u64) {
        let mut spoilt = self.spoilt.lock().unwrap_or_else(PoisonError::into_inner);
        if spoilt.len() <= SPOILT_MAX {
            spoilt.insert(state);
        }
    }
}

/// One request's side of it.
pub(crate) struct Validation {
    pub(crate) validators: Arc<Validators>,
    pub(crate) if_none_match: Option<String>,
    /// What the head says.
    pub(crate) given: Option<Validator>,
}

impl Validation {
    /// Takes note of the answer's validator; `false` where the client has the answer.
    pub(crate) fn check(&mut self, validator: Option<Validator>) -> bool {
        self.given = validator.filter(|validator| !self.validators.is_spoilt(validator.state));
        let tag = self.given.map(|validator| negotiate::tag(validator.state));
        tag.is_none_or(|tag| !negotiate::has_already(self.if_none_match.as_deref(), &tag))
    }

    /// Something was found missing: whoever has this answer is to ask again.
    pub(crate) fn spoil(&mut self) {
        if let Some(validator) = self.given.take() {
            self.validators.spoil(validator.state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validation(validators: &Arc<Validators>, if_none_match: Option<String>) -> Validation {
        Validation { validators: validators.clone(), if_none_match, given: None }
    }

    #[test]
    fn an_answer_that_lacked_something_is_made_again() {
        let validators = Arc::new(Validators::new());
        let validator = Some(Validator { state: 7, sealed: true });
        let mut first = validation(&validators, None);
        assert!(first.check(validator));
        assert_eq!(first.given, validator);
        assert!(!validation(&validators, Some(negotiate::tag(7))).check(validator));
        first.spoil();
        let mut again = validation(&validators, Some(negotiate::tag(7)));
        assert!(again.check(validator));
        assert_eq!(again.given, None);
    }

    #[test]
    fn too_many_spoilt_answers_end_all_validators() {
        let validators = Arc::new(Validators::new());
        for state in 0..=SPOILT_MAX as u64 {
            validators.spoil(state);
        }
        let mut other = validation(&validators, None);
        assert!(other.check(Some(Validator { state: u64::MAX, sealed: true })));
        assert_eq!(other.given, None);
        assert_ne!(Validators::new().seeded(5), Validators::new().seeded(5));
    }
}
