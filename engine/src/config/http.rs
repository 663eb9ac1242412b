//! The `[http]` section: where a server listens, who may read.

use super::section::Section;
use super::value;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Port on which an engine listens when nothing else is said.
pub const ENGINE_PORT: u16 = 17669;
/// Port on which an archive server listens when nothing else is said.
pub const SERVER_PORT: u16 = 17668;

/// How a server listens.
#[derive(Clone, PartialEq, Debug)]
pub struct HttpSettings {
    /// Address and port.
    pub listen: SocketAddr,
    /// Whether machines other than this one may read.
    pub open_reading: bool,
    /// Web origins whose pages may read; `*` means all.
    pub cors_origins: Vec<String>,
    /// Proxies that are believed who asks through them.
    pub proxies: Vec<IpAddr>,
    /// A client that takes nothing for so long is cut.
    pub idle_timeout: Duration,
    /// Requests answered at the same time, by all clients.
    pub max_answers: usize,
    /// Requests of one client that wait.
    pub max_waiting: usize,
}

/// Requests answered at the same time when nothing else is said.
const ANSWERS: usize = 64;
/// Requests of one client that wait when nothing else is said.
const WAITING: usize = 1024;
/// Each answer has a thread.
const ANSWERS_MAX: i64 = 400;
/// Who waits has a connection.
const WAITING_MAX: i64 = 10_000;

impl HttpSettings {
    /// The defaults, on `port` of the loopback interface.
    pub fn new(port: u16) -> HttpSettings {
        HttpSettings {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
            open_reading: false,
            cors_origins: vec!["*".to_owned()],
            proxies: Vec::new(),
            idle_timeout: Duration::from_secs(60),
            max_answers: ANSWERS,
            max_waiting: WAITING,
        }
    }

    /// Reads the section. Listening beyond loopback without `open_reading = true` is an error.
    pub(super) fn read(mut section: Section<'_, '_>, port: u16) -> HttpSettings {
        let mut settings = HttpSettings::new(port);
        section.set("listen", &mut settings.listen, value::listen_address);
        section.set("open_reading", &mut settings.open_reading, value::flag);
        if let Some(origins) = section.entries("cors_origins", value::cors_origin) {
            settings.cors_origins = origins.into_iter().map(|(origin, _)| origin).collect();
        }
        if let Some(proxies) = section.entries("proxies", value::address) {
            settings.proxies = proxies.into_iter().map(|(proxy, _)| proxy).collect();
        }
        section.set("idle_timeout", &mut settings.idle_timeout, value::positive_duration);
        // A client may have as many as are free: with one place there would be none beside it.
        for (key, least, most, setting) in [
            ("max_answers", 2, ANSWERS_MAX, &mut settings.max_answers),
            ("max_waiting", 0, WAITING_MAX, &mut settings.max_waiting),
        ] {
            let mut number = i64::try_from(*setting).unwrap_or(most);
            section.set(key, &mut number, value::integer(least, most));
            *setting = usize::try_from(number).unwrap_or(*setting);
        }
        if !settings.listen.ip().is_loopback() && !settings.open_reading {
            let offset = section.value("listen").map_or(section.offset(), |v| v.span().start);
            let what = format!(
                "{} can be reached from other machines, which would read without a password; \
                 add open_reading = true to [http] if that is meant, or listen on 127.0.0.1:{}",
                settings.listen,
                settings.listen.port()
            );
            section.wrong("listen", offset, what);
        }
        section.finish();
        settings
    }
}
