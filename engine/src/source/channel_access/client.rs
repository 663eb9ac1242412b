//! What the source asks of a Channel Access library.

use epics_ca::{Channel, ChannelSettings, Context, ContextSettings, Error, Library, Losses, Sender};

/// Where a name is searched: libca slows down all searches of a context in which names stay unanswered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Room {
    /// Names that are new or were found here.
    Lively,
    /// Names that nobody answered for a minute.
    Unanswered,
}

/// A Channel Access client with two rooms.
pub(super) trait Client {
    /// A monitored channel; dropping it ends the monitoring.
    type Channel;

    /// Begins to search and to monitor.
    fn create(
        &mut self,
        room: Room,
        name: &str,
        token: u64,
        settings: ChannelSettings,
    ) -> Result<Self::Channel, Error>;
    /// Sends what is buffered.
    fn flush(&mut self);
    /// Whether the channel is connected, though its entry may still be queued.
    fn connected(channel: &Self::Channel) -> bool;
    /// What the channel could not queue.
    fn losses(channel: &Self::Channel) -> Losses;
}

/// libca with one context a room.
pub(super) struct Libca {
    library: Library,
    settings: ContextSettings,
    sender: Sender,
    lively: Context,
    /// Made when it is needed.
    unanswered: Option<Context>,
}

impl Libca {
    /// With its first context, which writes the settings into the environment.
    pub(super) fn new(library: Library, settings: ContextSettings, sender: Sender) -> Result<Libca, Error> {
        let lively = Context::create(&library, &settings, sender.clone())?;
        Ok(Libca { library, settings, sender, lively, unanswered: None })
    }

    /// libca's words for a status.
    pub(super) fn status_text(&self, status: i32) -> String {
        self.library.status_text(status)
    }

    fn context(&mut self, room: Room) -> &Context {
        match room {
            Room::Lively => &self.lively,
            Room::Unanswered => self.unanswered.get_or_insert_with(|| {
                let made = Context::create(&self.library, &self.settings, self.sender.clone());
                made.unwrap_or_else(|error| {
                    tracing::warn!(%error, "no context of their own for unanswered names: they slow down others");
                    self.lively.clone()
                })
            }),
        }
    }
}

impl Client for Libca {
    type Channel = Channel;

    fn create(
        &mut self,
        room: Room,
        name: &str,
        token: u64,
        settings: ChannelSettings,
    ) -> Result<Channel, Error> {
        self.context(room).channel(name, token, settings)
    }

    fn flush(&mut self) {
        self.lively.flush();
        if let Some(context) = &self.unanswered {
            context.flush();
        }
    }

    fn connected(channel: &Channel) -> bool {
        channel.connected()
    }

    fn losses(channel: &Channel) -> Losses {
        channel.losses()
    }
}
