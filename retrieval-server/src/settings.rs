//! How a server answers.

use crate::limits::{DATA_REQUESTS_MAX, FOLLOW_BEHIND_MAX, FOLLOWERS_MAX, WAITING_MAX};
use engine::config::HttpSettings as Configured;
use std::net::IpAddr;
use std::num::NonZero;
use std::time::Duration;

/// The part of the configuration that concerns HTTP.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Origins whose pages may read answers; `*` is any.
    pub cors_origins: Vec<String>,
    /// Proxies that are believed who asks through them.
    pub proxies: Vec<IpAddr>,
    /// A client that takes nothing for so long is cut.
    pub idle_timeout: Duration,
    /// Requests answered at the same time, by all clients; one client has at most as many as are free.
    pub requests_max: usize,
    /// Requests of one client that wait for a place; one more is told to come back.
    pub waiting_max: usize,
    /// Long answers that compute at the same time.
    pub computing_max: usize,
    /// Streams that follow channels at the same time; one more is told to come back.
    pub followers_max: usize,
    /// Samples of one channel that a follower which had caught up may be behind before it is told what it missed.
    pub follow_behind_max: u64,
}

impl Default for HttpSettings {
    fn default() -> HttpSettings {
        HttpSettings {
            cors_origins: vec!["*".into()],
            proxies: Vec::new(),
            idle_timeout: Duration::from_secs(60),
            requests_max: DATA_REQUESTS_MAX,
            waiting_max: WAITING_MAX,
            computing_max: std::thread::available_parallelism().map_or(1, NonZero::get),
            followers_max: FOLLOWERS_MAX,
            follow_behind_max: FOLLOW_BEHIND_MAX,
        }
    }
}

/// As a configuration says.
impl From<&Configured> for HttpSettings {
    fn from(configured: &Configured) -> HttpSettings {
        HttpSettings {
            cors_origins: configured.cors_origins.clone(),
            proxies: configured.proxies.clone(),
            idle_timeout: configured.idle_timeout,
            requests_max: configured.max_answers,
            waiting_max: configured.max_waiting,
            ..HttpSettings::default()
        }
    }
}
