//! The answer to a request, read piece by piece wherever it is made.

use crate::failure::Failure;
use retrieval_server::{Head, Output, ServerState, Stopped};
use serde_json::Value;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::sync::mpsc;
use std::thread::JoinHandle;

/// Names of parameters with their values.
pub(crate) type Pairs = Vec<(String, String)>;

/// An answer under way. Reading fails where the answer broke off, so that a short one never looks whole.
pub(crate) struct Answer {
    /// What is known to be missing before the first byte, in formats that cannot say it themselves.
    pub(crate) problems: Vec<Value>,
    /// About how many samples it has, where that is known.
    pub(crate) samples: Option<u64>,
    body: Box<dyn Read>,
}

impl Read for Answer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.body.read(buffer)
    }
}

impl Answer {
    /// Has the request answered in this process, on a thread of its own.
    pub(crate) fn local(state: &ServerState, path: &'static str, pairs: Pairs) -> Result<Answer, Failure> {
        let (reader, writer) = io::pipe().map_err(Failure::io("make a pipe"))?;
        let (head, heads) = mpsc::sync_channel(1);
        let state = state.clone();
        let thread = std::thread::Builder::new()
            .name("answer".to_owned())
            .spawn(move || {
                let mut output = PipeOutput { head: Some(head), pipe: writer };
                retrieval_server::answer(&state, path, &pairs, &mut output)
            })
            .map_err(Failure::io("start a thread"))?;
        let mut body = PipeBody { pipe: reader, thread: Some(thread) };
        match heads.recv() {
            Ok(head) => Ok(Answer { problems: head.problems, samples: head.samples, body: Box::new(body) }),
            // No head: refused before the first byte.
            Err(_) => match body.outcome() {
                Some(Stopped::Refused(error) | Stopped::Broken(error)) => {
                    Err(Failure::refused(&error.object()))
                }
                Some(Stopped::Gone(source)) => Err(Failure::io("answer")(source)),
                Some(Stopped::Unchanged) | None => {
                    Ok(Answer { problems: Vec::new(), samples: None, body: Box::new(io::empty()) })
                }
            },
        }
    }

    /// Has the request answered by the server at `url`.
    pub(crate) fn remote(
        agent: &ureq::Agent,
        url: &str,
        path: &str,
        pairs: &Pairs,
    ) -> Result<Answer, Failure> {
        let address = format!("{url}{path}");
        let sent = if pairs.is_empty() {
            agent.get(&address).call()
        } else {
            agent.post(&address).send_form(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
        };
        let mut response = sent.map_err(|error| Failure::io(format!("ask {address}"))(error.into_io()))?;
        if !response.status().is_success() {
            let status = response.status();
            let body = response
                .body_mut()
                .with_config()
                .limit(REFUSAL_BYTES_MAX)
                .read_to_string()
                .unwrap_or_default();
            return Err(match serde_json::from_str::<Value>(&body) {
                Ok(value) if value["error"].is_object() => Failure::refused(&value["error"]),
                _ => Failure::Refused {
                    code: status.to_string(),
                    message: format!("{address} answers {status}: is a Varve server there?"),
                    near: Vec::new(),
                },
            });
        }
        let header = |name: &str| response.headers().get(name).map(|value| value.as_bytes());
        let problems =
            header("Varve-Problems").and_then(|value| serde_json::from_slice(value).ok()).unwrap_or_default();
        let samples = header("Varve-Samples").and_then(|value| serde_json::from_slice(value).ok());
        Ok(Answer { problems, samples, body: Box::new(response.into_body().into_reader()) })
    }

    /// The whole answer as JSON.
    pub(crate) fn json(self) -> Result<Value, Failure> {
        serde_json::from_reader(io::BufReader::new(self))
            .map_err(|error| Failure::io("read the answer")(error.into()))
    }
}

/// Most bytes of an error that are read.
const REFUSAL_BYTES_MAX: u64 = 1 << 20;

/// The answering end of a pipe.
struct PipeOutput {
    head: Option<mpsc::SyncSender<Head>>,
    pipe: PipeWriter,
}

impl Output for PipeOutput {
    fn head(&mut self, head: &Head) -> io::Result<()> {
        if let Some(heads) = self.head.take() {
            // A reader that has left shows in the first write.
            let _ = heads.send(head.clone());
        }
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pipe.write_all(bytes)
    }

    fn listens(&mut self, _pending: usize) -> bool {
        true
    }
}

/// The reading end of a pipe.
struct PipeBody {
    pipe: PipeReader,
    thread: Option<JoinHandle<Result<(), Stopped>>>,
}

impl PipeBody {
    /// How the answering ended; `None`: well.
    fn outcome(&mut self) -> Option<Stopped> {
        let result = self.thread.take()?.join();
        match result {
            Ok(outcome) => outcome.err(),
            Err(_) => Some(Stopped::Gone(io::Error::other("the answering thread panicked"))),
        }
    }
}

impl Read for PipeBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.pipe.read(buffer)?;
        if count == 0
            && !buffer.is_empty()
            && let Some(stopped) = self.outcome()
        {
            return Err(io::Error::other(stopped));
        }
        Ok(count)
    }
}
