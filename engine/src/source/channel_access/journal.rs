//! The log lines of the Channel Access source.

use super::digest::Digest;
use super::limits::{LOG_KINDS_MAX, MESSAGE_KINDS_MAX};
use sample::ChannelName;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

/// What may go wrong with a channel, each kind one log line for all channels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Trouble {
    /// libca refuses the name.
    Refused,
    /// A value whose bytes do not fit its type.
    Value,
    /// Metadata whose bytes do not fit their type.
    Metadata,
    /// The array is longer than `max_elements`.
    TooLong,
    /// An `ECA_*` status.
    Status(i32),
    /// Values that found no room in the queue.
    ValuesLost,
    /// States that found no room in the queue.
    StatesLost,
    /// A second server answers for the name.
    TwoServers,
}

/// An example of a trouble: the channel, and details.
pub(super) struct Example {
    pub(super) channel: Option<ChannelName>,
    pub(super) detail: String,
}

/// What is to be logged: one line a server and transition, one a kind of trouble, each with a count.
pub(super) struct Journal {
    hosts: HashSet<Arc<str>>,
    hosts_kept: usize,
    connections: Digest<(Arc<str>, bool), ()>,
    troubles: Digest<Trouble, Example>,
    messages: Digest<String, ()>,
}

/// Names of servers kept before those of forgotten ones are looked for.
const HOSTS_KEPT_LEAST: usize = 1024;

impl Journal {
    pub(super) fn new() -> Journal {
        Journal {
            hosts: HashSet::new(),
            hosts_kept: HOSTS_KEPT_LEAST,
            connections: Digest::new(LOG_KINDS_MAX),
            troubles: Digest::new(LOG_KINDS_MAX),
            messages: Digest::new(MESSAGE_KINDS_MAX),
        }
    }

    /// A channel was found on `host`; returns the name that all channels of that server share.
    pub(super) fn connected(&mut self, host: &str, now: Instant) -> Arc<str> {
        let host = match self.hosts.get(host) {
            Some(known) => known.clone(),
            None => self.keep(host),
        };
        self.connections.note((host.clone(), true), 1, (), now);
        host
    }

    fn keep(&mut self, host: &str) -> Arc<str> {
        if self.hosts.len() >= self.hosts_kept {
            self.hosts.retain(|host| Arc::strong_count(host) > 1);
            self.hosts_kept = HOSTS_KEPT_LEAST.max(2 * self.hosts.len());
        }
        let host: Arc<str> = host.into();
        self.hosts.insert(host.clone());
        host
    }

    /// A channel lost its server.
    pub(super) fn disconnected(&mut self, host: Arc<str>, now: Instant) {
        self.connections.note((host, false), 1, (), now);
    }

    /// Something is wrong with a channel.
    pub(super) fn trouble(
        &mut self,
        trouble: Trouble,
        count: u64,
        channel: Option<ChannelName>,
        detail: String,
        now: Instant,
    ) {
        self.troubles.note(trouble, count, Example { channel, detail }, now);
    }

    /// libca has something to say.
    pub(super) fn message(&mut self, text: String, count: u64, now: Instant) {
        self.messages.note(text, count, (), now);
    }

    /// Logs what is due; `status_text` puts a status into words.
    pub(super) fn write(&mut self, now: Instant, status_text: impl Fn(i32) -> String) {
        let more = self.connections.tell(now, |(server, up), channels, ()| {
            if *up {
                tracing::info!(%server, channels, "channels connected");
            } else {
                tracing::warn!(%server, channels, "connection lost");
            }
        });
        if more > 0 {
            tracing::warn!(transitions = more, "connections of further servers changed");
        }
        self.troubles.tell(now, |trouble, count, Example { channel, detail }| {
            let what = words(*trouble, &status_text);
            match channel {
                Some(channel) => tracing::warn!(count, example = %channel, detail, "{what}"),
                None => tracing::warn!(count, detail, "{what}"),
            }
        });
        let more = self.messages.tell(now, |text, count, ()| tracing::warn!(count, "libca: {text}"));
        if more > 0 {
            tracing::warn!(count = more, "further messages of libca");
        }
    }
}

fn words(trouble: Trouble, status_text: &impl Fn(i32) -> String) -> String {
    match trouble {
        Trouble::Refused => "libca refuses a channel name; check the configuration".into(),
        Trouble::Value => "a server sent values that cannot be read; they are counted as lost".into(),
        Trouble::Metadata => "a server sent metadata that cannot be read".into(),
        Trouble::TooLong => "an array is longer than max_elements and not archived".into(),
        Trouble::Status(status) => format!("a server or libca reports: {}", status_text(status)),
        Trouble::ValuesLost => "values came faster than they could be taken and are lost".into(),
        Trouble::StatesLost => "connection states were lost; the channels are searched again".into(),
        Trouble::TwoServers => "a second server answers for a channel; its values are ignored".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::channel_access::limits::{LOG_DELAY, LOG_PAUSE};

    #[test]
    fn names_of_servers_without_channels_are_forgotten() {
        let now = Instant::now();
        let mut journal = Journal::new();
        let kept = journal.connected("kept", now);
        for i in 0..10_000 {
            journal.connected(&format!("10.0.0.1:{i}"), now);
            let later = now + (LOG_DELAY + LOG_PAUSE) * 2 * i;
            journal.write(later, |_| String::new());
            journal.write(later + LOG_PAUSE, |_| String::new());
        }
        assert!(journal.hosts.len() <= 2 * HOSTS_KEPT_LEAST, "{}", journal.hosts.len());
        assert!(Arc::ptr_eq(&kept, &journal.connected("kept", now)));
    }
}
