//! Asks a server in process, without HTTP.

use retrieval_server::{ApiError, Head, Output, ServerState, Stopped, answer};
use serde_json::Value;
use std::io;

/// An answer as it came.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub head: Head,
    pub bytes: Vec<u8>,
}

impl Output for Answer {
    fn head(&mut self, head: &Head) -> io::Result<()> {
        assert!(self.bytes.is_empty(), "the head comes first");
        self.head = head.clone();
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn listens(&mut self, _pending: usize) -> bool {
        true
    }
}

pub(crate) fn stopped(state: &ServerState, path: &str, query: &str) -> (Answer, Option<Stopped>) {
    let pairs = retrieval_server::from_query(query).unwrap();
    let mut output = Answer::default();
    let stopped = answer(state, path, &pairs, &mut output).err();
    (output, stopped)
}

pub(crate) fn ask(state: &ServerState, path: &str, query: &str) -> Answer {
    let (answer, stopped) = stopped(state, path, query);
    assert!(stopped.is_none(), "{path}?{query}: {stopped:?}");
    answer
}

pub(crate) fn json(state: &ServerState, path: &str, query: &str) -> Value {
    serde_json::from_slice(&ask(state, path, query).bytes).unwrap()
}

pub(crate) fn text(state: &ServerState, path: &str, query: &str) -> String {
    String::from_utf8(ask(state, path, query).bytes).unwrap()
}

pub(crate) fn refused(state: &ServerState, path: &str, query: &str) -> ApiError {
    match retrieval_server::from_query(query) {
        Err(error) => error,
        Ok(_) => match stopped(state, path, query) {
            (answer, Some(Stopped::Refused(error))) => {
                assert!(answer.bytes.is_empty());
                error
            }
            other => panic!("{path}?{query} was not refused: {other:?}"),
        },
    }
}
