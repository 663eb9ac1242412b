//! Where questions go: an archive directory, or the address of an engine or server.

use crate::answer::{Answer, Pairs};
use crate::failure::Failure;
use disk::RealDisk;
use engine::clock::SystemClock;
use engine::layout::Layout;
use engine::read::{Member, Reader};
use retrieval_server::{HttpSettings, ServerState};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The variable that stands in for `DIR|URL`.
pub(crate) const VARIABLE: &str = "VARVE_URL";
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An archive or several behind one door.
pub(crate) enum Place {
    /// A directory, answered in this process.
    Directory {
        /// Where it lies, from the root.
        path: PathBuf,
        /// What answers.
        state: Box<ServerState>,
    },
    /// A server.
    Server {
        /// Connections.
        agent: ureq::Agent,
        /// Its address, without a slash at the end.
        url: String,
    },
}

impl Place {
    /// Takes the place from the front of `words`, or from `VARVE_URL` where the first word names none.
    pub(crate) fn take(mut words: Vec<String>) -> Result<(Place, Vec<String>), Failure> {
        let variable = std::env::var(VARIABLE).ok().filter(|value| !value.is_empty());
        match (words.first(), variable) {
            (Some(first), _) if is_url(first) || Path::new(first).is_dir() => {
                let first = words.remove(0);
                Ok((Place::open(&first)?, words))
            }
            (_, Some(variable)) => Ok((Place::open(&variable)?, words)),
            (Some(first), None) => Err(Failure::Usage(format!(
                "{first} is neither a directory nor an address such as http://127.0.0.1:17669; begin with one, or \
                 set {VARIABLE}"
            ))),
            (None, None) => {
                Err(Failure::Usage(format!("name an archive directory or an address, or set {VARIABLE}")))
            }
        }
    }

    /// The place that `text` names.
    fn open(text: &str) -> Result<Place, Failure> {
        if text.starts_with("https://") {
            return Err(Failure::Usage(format!(
                "{text}: this program speaks http:// only; ask the engine or server itself instead of a proxy"
            )));
        }
        if !is_url(text) {
            let path = std::path::absolute(text).map_err(Failure::io(format!("find {text}")))?;
            return Ok(Place::Directory { path, state: Box::new(open_directory(Path::new(text))?) });
        }
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            // Archives are asked on the control network, never through a web proxy.
            .proxy(None)
            .user_agent(concat!("archtool/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Place::Server { agent, url: text.trim_end_matches('/').to_owned() })
    }

    /// What names it from everywhere on this machine.
    pub(crate) fn name(&self) -> String {
        match self {
            Place::Directory { path, .. } => path.display().to_string(),
            Place::Server { url, .. } => url.clone(),
        }
    }

    /// Asks for `path` with these parameters.
    pub(crate) fn ask(&self, path: &'static str, pairs: Pairs) -> Result<Answer, Failure> {
        match self {
            Place::Directory { state, .. } => Answer::local(state, path, pairs),
            Place::Server { agent, url } => Answer::remote(agent, url, path, &pairs),
        }
    }

    /// Asks for `path` and reads the whole answer.
    pub(crate) fn json(&self, path: &'static str, pairs: Pairs) -> Result<Value, Failure> {
        self.ask(path, pairs)?.json()
    }
}

/// The archive in a directory; an engine that runs on it is asked for what is in its memory.
fn open_directory(path: &Path) -> Result<ServerState, Failure> {
    // A directory without an archive is said at once, not with every channel.
    crate::stock::identity(&Layout::new(path))?;
    let archive = retrieval_server::archives::directory(
        Arc::new(RealDisk),
        Arc::new(SystemClock),
        path.to_path_buf(),
        None,
    );
    let member = Member { name: path.display().to_string(), priority: 1, archive: Arc::new(archive) };
    Ok(ServerState::new(Reader::new(vec![member]), None, HttpSettings::default()))
}

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// A directory argument of a verb that works on directories alone.
pub(crate) fn directory(text: &str) -> Result<PathBuf, Failure> {
    if is_url(text) {
        return Err(Failure::Usage(format!("{text} is an address; this verb needs the archive's directory")));
    }
    let path = PathBuf::from(text);
    if !path.is_dir() {
        return Err(Failure::Usage(format!("{text} is no directory")));
    }
    Ok(path)
}
