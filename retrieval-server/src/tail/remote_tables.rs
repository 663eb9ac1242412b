//! Runs behind the range of a snapshot that another process holds, asked for as they are needed.

use super::Question;
use super::caller::Caller;
use super::remote_run::RemoteRun;
use super::snapshots::{ArrivedRun, behind};
use disk::{put_u32, put_u64};
use engine::read::{ReadError, Rows, Run, Tables};
use std::collections::VecDeque;
use std::sync::Arc;

/// Runs of one channel; who names more is in error.
const RUNS_MAX: u32 = 1 << 20;

/// The tables of a snapshot over there.
pub(super) struct RemoteTables {
    pub(super) caller: Arc<Caller>,
    pub(super) handle: u64,
    /// How many runs the snapshot itself has: those behind have numbers from there on.
    pub(super) runs: u32,
}

impl RemoteTables {
    /// Some runs from number `first` on; none behind the last.
    fn from(&self, first: u32) -> Result<VecDeque<ArrivedRun>, ReadError> {
        let mut request = Vec::new();
        put_u64(&mut request, self.handle);
        put_u32(&mut request, first);
        self.caller.ask(Question::Behind, &request, |from| {
            let runs = behind(from)?;
            let fit = runs.len() <= (RUNS_MAX - first.min(RUNS_MAX)) as usize;
            if fit { Ok(runs.into()) } else { Err(from.error("a channel has too many runs")) }
        })
    }
}

impl Tables for RemoteTables {
    /// None: what was listed of them would have to be asked for again.
    fn runs(&self) -> Vec<Arc<dyn Run>> {
        Vec::new()
    }

    fn rows(&self) -> Vec<Arc<dyn Rows>> {
        Vec::new()
    }

    fn behind(&self) -> Box<dyn Iterator<Item = Result<Arc<dyn Run>, ReadError>> + '_> {
        let (mut next, mut ready, mut ended) = (self.runs, VecDeque::new(), false);
        Box::new(std::iter::from_fn(move || {
            if ready.is_empty() && !ended {
                match self.from(next) {
                    Ok(found) => ready = found,
                    Err(error) => {
                        ended = true;
                        return Some(Err(error));
                    }
                }
            }
            let Some(arrived) = ready.pop_front() else {
                ended = true;
                return None;
            };
            let run = RemoteRun::new(self.caller.clone(), self.handle, next, arrived);
            next += 1;
            Some(Ok(Arc::new(run) as Arc<dyn Run>))
        }))
    }
}
