//! Asks another process over HTTP.

use super::service::{ANSWERED, FAILED};
use super::wire::{self, Read};
use super::{MEDIA_TYPE, Question, VERSION, path_of};
use disk::{BytesError, Cursor};
use engine::read::ReadError;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(2);
/// Longest wait for an answer from memory.
const FROM_MEMORY: Duration = Duration::from_secs(4);
/// Longest wait for an answer from files.
const FROM_FILES: Duration = Duration::from_secs(60);
/// Longest wait for more of an answer that has begun.
const MORE: Duration = Duration::from_secs(10);
/// How long a process that did not answer is left alone.
const AGAIN: Duration = Duration::from_secs(1);
/// Connections kept for the next requests.
const CONNECTIONS_KEPT: usize = 64;
/// Connections that nobody used for so long are closed; servers keep them for 30 s.
const KEPT_FOR: Duration = Duration::from_secs(15);
/// Bytes of an answer: parts end at a few MiB, one sample may be larger.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// Another process at an address.
pub(super) struct Caller {
    address: String,
    agent: ureq::Agent,
    /// When it did not answer last, and what happened.
    silent: Mutex<Option<(Instant, String)>>,
}

impl Caller {
    /// At `address`, for example `http://127.0.0.1:17669`; nothing is asked yet.
    pub(super) fn new(address: &str) -> Caller {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .user_agent(concat!("varve/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(MORE))
            .max_idle_connections(CONNECTIONS_KEPT)
            .max_idle_connections_per_host(CONNECTIONS_KEPT)
            .max_idle_age(KEPT_FOR)
            .build();
        Caller {
            address: address.trim_end_matches('/').to_string(),
            agent: config.into(),
            silent: Mutex::default(),
        }
    }

    /// Where it is.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Asks, and reads the answer with `read`, which may leave what it does not know at the end.
    ///
    /// # Errors
    /// What the other process failed with; [`ReadError::Unavailable`] where it does not answer.
    pub(super) fn ask<T>(
        &self,
        question: Question,
        request: &[u8],
        read: impl FnOnce(&mut Cursor<'_>) -> Read<T>,
    ) -> Result<T, ReadError> {
        let bytes = self.call(question, request)?;
        let mut from = Cursor::new(&bytes);
        let answer = match from.u8() {
            Ok(ANSWERED) => read(&mut from),
            Ok(FAILED) => match wire::error(&mut from) {
                Ok(error) => return Err(self.placed(error)),
                Err(error) => Err(error),
            },
            Ok(_) => Err(from.error("neither an answer nor a failure")),
            Err(error) => Err(error),
        };
        answer.map_err(|BytesError { position, what }| {
            let name = question.name();
            ReadError::Unavailable(format!(
                "the answer of {} to {name} cannot be read at byte {position}: {what}",
                self.address
            ))
        })
    }

    /// A failure over there, with where that is.
    fn placed(&self, error: ReadError) -> ReadError {
        match error {
            ReadError::Unavailable(what) => ReadError::Unavailable(format!("{}: {what}", self.address)),
            ReadError::NotReady(what) => ReadError::NotReady(format!("{}: {what}", self.address)),
            other => other,
        }
    }

    fn call(&self, question: Question, request: &[u8]) -> Result<Vec<u8>, ReadError> {
        let silent = || self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, what)) = &*silent()
            && since.elapsed() < AGAIN
        {
            return Err(ReadError::Unavailable(what.clone()));
        }
        // A kept connection may have been closed at the other end meanwhile.
        let answered = self.once(question, request).or_else(|error| match error {
            ureq::Error::Timeout(_) => Err(error),
            _ => self.once(question, request),
        });
        match answered {
            Ok((200, bytes)) => {
                *silent() = None;
                Ok(bytes)
            }
            Ok((status, bytes)) => {
                let text = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).trim().to_string();
                Err(ReadError::Unavailable(format!(
                    "{} answers {} (internal v{VERSION}) with status {status}: {text}; is another program or release there?",
                    self.address,
                    question.name()
                )))
            }
            Err(error) => {
                let what = format!("{} does not answer: {error}", self.address);
                *silent() = Some((Instant::now(), what.clone()));
                Err(ReadError::Unavailable(what))
            }
        }
    }

    fn once(&self, question: Question, request: &[u8]) -> Result<(u16, Vec<u8>), ureq::Error> {
        let patience = match question {
            Question::Hello | Question::Resolve | Question::Near | Question::Why | Question::Tail => {
                FROM_MEMORY
            }
            Question::Channels
            | Question::Channel
            | Question::Snapshot
            | Question::Parts
            | Question::Load
            | Question::Types
            | Question::Behind => FROM_FILES,
        };
        let url = format!("{}{}", self.address, path_of(question));
        let response = self
            .agent
            .post(url)
            .config()
            .timeout_recv_response(Some(patience))
            .build()
            .header("content-type", MEDIA_TYPE)
            .send(request)?;
        let status = response.status().as_u16();
        let body = response.into_body().into_with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
        Ok((status, body))
    }
}
