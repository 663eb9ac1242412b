//! Turns that nobody waits for, lent to answers that decode ahead.

use super::Turns;
use engine::read::{Crew, Spare, Work};
use std::sync::Arc;

/// Threads that work while a turn is free.
pub(crate) struct SpareTurns {
    turns: Arc<Turns>,
    crew: Crew,
}

impl SpareTurns {
    /// As many threads as could be lent a turn at once: one has it that asks.
    pub(crate) fn new(turns: Arc<Turns>, most: usize) -> SpareTurns {
        SpareTurns { turns, crew: Crew::new(most.saturating_sub(1)) }
    }
}

impl Spare for SpareTurns {
    fn lend(&self, work: Work) -> bool {
        let Some(turn) = self.turns.spare() else { return false };
        self.crew.lend(Box::new(move |may_go_on| work(&|| may_go_on() && turn.may_be_kept())))
    }
}
