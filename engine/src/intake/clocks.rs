//! What stamps tell of clocks: those of servers, the engine's own.

use sample::Timestamp;
use std::collections::HashMap;

/// Servers that must look future before the engine's own clock is suspected.
const SUSPECT_SERVERS_MIN: usize = 3;
/// The server of a channel that was never connected.
pub(super) const NO_SERVER: u32 = u32::MAX;

/// What is known of one server's clock.
#[derive(Debug)]
struct Server {
    channels: usize,
    future: bool,
    offset_ns: i64,
}

/// The clocks of all servers.
#[derive(Debug)]
pub(super) struct Clocks {
    servers: Vec<Server>,
    server_of: HashMap<Box<str>, u32>,
    future_limit_ns: i64,
}

impl Clocks {
    /// Stamps further ahead of the engine's clock than the limit are future ones.
    pub(super) fn new(future_limit_ns: i64) -> Clocks {
        Clocks { servers: Vec::new(), server_of: HashMap::new(), future_limit_ns }
    }

    /// The number of the server at `host`.
    pub(super) fn server(&mut self, host: &str) -> u32 {
        *self.server_of.entry(host.into()).or_insert_with(|| {
            self.servers.push(Server { channels: 0, future: false, offset_ns: 0 });
            u32::try_from(self.servers.len() - 1).unwrap_or(NO_SERVER)
        })
    }

    /// One more channel of a server is connected.
    pub(super) fn join(&mut self, server: u32) {
        if let Some(server) = self.servers.get_mut(server as usize) {
            server.channels += 1;
        }
    }

    /// One channel fewer of a server is connected.
    pub(super) fn leave(&mut self, server: u32) {
        if let Some(server) = self.servers.get_mut(server as usize) {
            server.channels = server.channels.saturating_sub(1);
            if server.channels == 0 {
                server.future = false;
                server.offset_ns = 0;
            }
        }
    }

    /// Whether a stamp is too far ahead; notes what it says about its server's clock.
    #[inline]
    pub(super) fn is_future(&mut self, server: u32, time: Timestamp, received: Timestamp) -> bool {
        let ahead = time.since(received);
        let future = ahead > self.future_limit_ns;
        if let Some(server) = self.servers.get_mut(server as usize) {
            server.future = future;
            if ahead > 0 {
                server.offset_ns = ahead;
            }
        }
        future && !self.suspect()
    }

    /// Whether more than half of the servers (at least three) look future: the engine's own clock is suspect.
    pub(super) fn suspect(&self) -> bool {
        let connected = self.servers.iter().filter(|server| server.channels > 0).count();
        let future = self.servers.iter().filter(|server| server.future).count();
        future >= SUSPECT_SERVERS_MIN && future * 2 > connected
    }

    /// Connected servers, and the greatest known distance of a server's clock ahead of the engine's in ns.
    pub(super) fn connected(&self) -> (usize, i64) {
        let connected = self.servers.iter().filter(|server| server.channels > 0);
        connected.fold((0, 0), |(n, offset), server| (n + 1, offset.max(server.offset_ns)))
    }
}
