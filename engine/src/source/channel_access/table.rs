//! Whose an entry of the queue is.

use super::client::Room;
use epics_ca::ChannelSettings;
use sample::{ChannelId, ChannelName};
use std::collections::HashMap;
use std::sync::Arc;

/// The number that a monitor's entries carry: a slot, and how often the slot was given out before. Entries
/// of an ended monitor may still be queued; their token is not the slot's present one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Token(pub(super) u64);

impl Token {
    fn of(slot: usize, generation: u32) -> Token {
        Token(u64::from(generation) << 32 | slot as u64 & 0xFFFF_FFFF)
    }

    fn slot(self) -> usize {
        (self.0 & 0xFFFF_FFFF) as usize
    }
}

/// The part of a monitor that is looked at for every entry.
#[derive(Debug)]
pub(super) struct Line {
    /// The channel.
    pub(super) channel: ChannelId,
    /// Values told as lost since the monitor was created.
    pub(super) lost: u64,
    /// Its server while connected.
    pub(super) host: Option<Arc<str>>,
    generation: u32,
    /// Whether it was connected since it was created.
    pub(super) found: bool,
}

/// The rest of a monitor.
#[derive(Debug)]
pub(super) struct Monitor<C> {
    /// What is searched for.
    pub(super) name: ChannelName,
    /// How it is monitored.
    pub(super) settings: ChannelSettings,
    /// Where it is searched.
    pub(super) room: Room,
    /// The library's end; `None` while it waits for its turn.
    pub(super) library: Option<C>,
}

/// All monitors by token, without hashing.
#[derive(Debug)]
pub(super) struct Table<C> {
    lines: Vec<Line>,
    monitors: Vec<Option<Monitor<C>>>,
    free: Vec<usize>,
    slots: HashMap<ChannelId, usize>,
}

impl<C> Table<C> {
    pub(super) fn new() -> Table<C> {
        Table { lines: Vec::new(), monitors: Vec::new(), free: Vec::new(), slots: HashMap::new() }
    }

    /// Enters a channel that is not there yet.
    pub(super) fn enter(&mut self, channel: ChannelId, monitor: Monitor<C>) -> Token {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.lines.push(Line { channel, lost: 0, host: None, generation: 0, found: false });
            self.monitors.push(None);
            self.lines.len() - 1
        });
        self.lines[slot].channel = channel;
        self.monitors[slot] = Some(monitor);
        self.slots.insert(channel, slot);
        self.token(slot)
    }

    /// Takes a channel out.
    pub(super) fn leave(&mut self, channel: ChannelId) -> Option<Monitor<C>> {
        let slot = self.slots.remove(&channel)?;
        self.turn(slot);
        self.free.push(slot);
        self.monitors[slot].take()
    }

    /// Gives a monitor a fresh token. Returns it with what the line was.
    pub(super) fn renew(&mut self, token: Token) -> Option<(Token, Line)> {
        self.line(token)?;
        let before = self.turn(token.slot());
        Some((self.token(token.slot()), before))
    }

    fn turn(&mut self, slot: usize) -> Line {
        let line = &mut self.lines[slot];
        let generation = line.generation.wrapping_add(1);
        let next = Line { channel: line.channel, lost: 0, host: None, generation, found: false };
        std::mem::replace(line, next)
    }

    fn token(&self, slot: usize) -> Token {
        Token::of(slot, self.lines[slot].generation)
    }

    /// The line of a present token.
    pub(super) fn line(&mut self, token: Token) -> Option<&mut Line> {
        self.lines.get_mut(token.slot()).filter(|line| Token::of(token.slot(), line.generation) == token)
    }

    /// The rest of a present token's monitor.
    pub(super) fn monitor(&mut self, token: Token) -> Option<&mut Monitor<C>> {
        self.line(token)?;
        self.monitors[token.slot()].as_mut()
    }

    /// Every monitor.
    pub(super) fn all(&mut self) -> impl Iterator<Item = (Token, &mut Line, &Monitor<C>)> {
        let pairs = self.lines.iter_mut().zip(&self.monitors).enumerate();
        pairs.filter_map(|(slot, (line, monitor))| {
            Some((Token::of(slot, line.generation), line, monitor.as_ref()?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn monitor(name: &str) -> Monitor<()> {
        let name = ChannelName::stored(name).unwrap();
        Monitor { name, settings: ChannelSettings::default(), room: Room::Lively, library: None }
    }

    proptest! {
        #[test]
        fn a_token_is_good_until_its_channel_leaves_or_is_renewed(
            steps in proptest::collection::vec((0u8..3, 0u64..5), 0..60),
        ) {
            let mut table = Table::new();
            let mut present: HashMap<u64, Token> = HashMap::new();
            let mut past = Vec::new();
            for (step, id) in steps {
                let token = present.get(&id).copied();
                match (step, token) {
                    (0, None) => { present.insert(id, table.enter(ChannelId(id), monitor(&format!("N{id}")))); }
                    (1, Some(token)) => {
                        let left = table.leave(ChannelId(id)).unwrap();
                        prop_assert_eq!(left.name.as_str(), format!("N{id}"));
                        present.remove(&id);
                        past.push(token);
                    }
                    (2, Some(token)) => {
                        let (fresh, before) = table.renew(token).unwrap();
                        prop_assert_eq!(before.channel, ChannelId(id));
                        present.insert(id, fresh);
                        past.push(token);
                    }
                    _ => {}
                }
                for (id, token) in &present {
                    prop_assert_eq!(table.line(*token).unwrap().channel, ChannelId(*id));
                    prop_assert_eq!(table.monitor(*token).unwrap().name.as_str(), format!("N{id}"));
                }
                for token in &past {
                    prop_assert!(table.line(*token).is_none());
                    prop_assert!(table.monitor(*token).is_none());
                    prop_assert!(table.renew(*token).is_none());
                }
                prop_assert_eq!(table.all().count(), present.len());
            }
            prop_assert!(table.line(Token(u64::MAX)).is_none());
        }
    }
}
