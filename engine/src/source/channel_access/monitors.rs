//! Which names are searched, when, in which context.

use super::client::{Client, Room};
use super::limits::{ENDING_PAUSE, ENDING_TIME, PATIENCE, SEARCH_PAUSE, SEARCHES_AT_ONCE};
use super::table::{Line, Monitor, Table, Token};
use crate::source::{Arrival, Sink};
use epics_ca::{ChannelSettings, Error};
use sample::{ChannelId, ChannelName, Timestamp};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// All monitors of a source. Libraries are called in [`Monitors::work`] only, a little each time.
pub(super) struct Monitors<C: Client> {
    client: C,
    table: Table<C::Channel>,
    /// Names whose search is to begin.
    waiting: VecDeque<Token>,
    /// Names searched in the lively room, with the time at which patience ends.
    watched: VecDeque<(Instant, Token)>,
    /// Monitors that are to end.
    ending: Vec<C::Channel>,
    /// When the next batch of searches may begin.
    next: Instant,
    searches: u64,
}

impl<C: Client> Monitors<C> {
    pub(super) fn new(client: C, now: Instant) -> Monitors<C> {
        Monitors {
            client,
            table: Table::new(),
            waiting: VecDeque::new(),
            watched: VecDeque::new(),
            ending: Vec::new(),
            next: now,
            searches: 0,
        }
    }

    /// The library.
    pub(super) fn client(&self) -> &C {
        &self.client
    }

    /// Names handed to the library so far, repetitions included.
    pub(super) fn searches(&self) -> u64 {
        self.searches
    }

    /// Whose an entry is; `None` for what an ended monitor left in the queue.
    pub(super) fn line(&mut self, token: u64) -> Option<&mut Line> {
        self.table.line(Token(token))
    }

    /// Name behind a token.
    pub(super) fn name(&mut self, token: u64) -> Option<ChannelName> {
        self.table.monitor(Token(token)).map(|monitor| monitor.name.clone())
    }

    /// Every channel with its name.
    pub(super) fn names(&mut self) -> impl Iterator<Item = (ChannelId, &ChannelName)> {
        self.table.all().map(|(_, line, monitor)| (line.channel, &monitor.name))
    }

    /// Begins with a channel; one that is there already begins anew.
    pub(super) fn add(&mut self, channel: ChannelId, name: &ChannelName, settings: ChannelSettings) {
        self.remove(channel);
        let monitor = Monitor { name: name.clone(), settings, room: Room::Lively, library: None };
        self.waiting.push_back(self.table.enter(channel, monitor));
    }

    /// Ends with a channel.
    pub(super) fn remove(&mut self, channel: ChannelId) {
        let library = self.table.leave(channel).and_then(|monitor| monitor.library);
        self.ending.extend(library);
    }

    /// Searches, ends and moves what is due; `failed` hears of names that the library refuses.
    pub(super) fn work(&mut self, now: Instant, mut failed: impl FnMut(&ChannelName, Error)) {
        self.end_some();
        if now < self.next {
            return;
        }
        self.move_unanswered(now);
        let mut searched = 0;
        while searched < SEARCHES_AT_ONCE
            && let Some(token) = self.waiting.pop_front()
        {
            let Some(monitor) = self.table.monitor(token) else { continue };
            searched += 1;
            match self.client.create(monitor.room, monitor.name.as_str(), token.0, monitor.settings) {
                Ok(library) => {
                    monitor.library = Some(library);
                    if monitor.room == Room::Lively {
                        self.watched.push_back((now + PATIENCE, token));
                    }
                }
                Err(error) => failed(&monitor.name, error),
            }
        }
        if searched > 0 {
            self.client.flush();
            self.searches += searched as u64;
            self.next = now + SEARCH_PAUSE;
        }
    }

    /// How long nothing is to be done, at most `longest`.
    pub(super) fn pause(&self, now: Instant, longest: Duration) -> Duration {
        let mut pause = longest;
        if !self.waiting.is_empty() {
            pause = pause.min(self.next.saturating_duration_since(now));
        }
        if !self.ending.is_empty() {
            pause = pause.min(ENDING_PAUSE);
        }
        pause
    }

    fn end_some(&mut self) {
        let began = Instant::now();
        while let Some(library) = self.ending.pop() {
            drop(library);
            if began.elapsed() >= ENDING_TIME {
                break;
            }
        }
    }

    fn move_unanswered(&mut self, now: Instant) {
        while let Some((_, token)) = self.watched.pop_front_if(|(until, _)| *until <= now) {
            let Some(found) = self.table.line(token).map(|line| line.found) else { continue };
            let Some(monitor) = self.table.monitor(token) else { continue };
            if !found && monitor.library.as_ref().is_some_and(|library| !C::connected(library)) {
                monitor.room = Room::Unanswered;
                self.renew(token);
            }
        }
    }

    /// Ends the monitor of `token` and begins it again. Returns what its line was.
    fn renew(&mut self, token: Token) -> Option<Line> {
        self.ending.extend(self.table.monitor(token)?.library.take());
        let (fresh, before) = self.table.renew(token)?;
        self.waiting.push_back(fresh);
        Some(before)
    }

    /// Asks every monitor what it lost. Lost values are told; one that lost a state begins anew, told as a
    /// disconnect because nobody knows how it fared. Returns how many values and how many monitors.
    pub(super) fn settle_losses(
        &mut self,
        now: Timestamp,
        last_heard: impl Fn(&str) -> Option<Timestamp>,
        sink: &mut dyn Sink,
    ) -> (u64, u64) {
        let mut values = 0;
        let mut stateless = Vec::new();
        for (token, line, monitor) in self.table.all() {
            let Some(losses) = monitor.library.as_ref().map(C::losses) else { continue };
            let count = losses.values.saturating_sub(line.lost);
            if count > 0 {
                line.lost = losses.values;
                values += count;
                sink.arrive(line.channel, now, &mut Arrival::Lost { count });
            }
            if losses.states > 0 {
                stateless.push(token);
            }
        }
        for token in &stateless {
            let before = self.renew(*token);
            if let Some(Line { channel, host: Some(host), .. }) = before {
                let last_heard = last_heard(&host).unwrap_or(now);
                sink.arrive(channel, now, &mut Arrival::Disconnected { last_heard });
            }
        }
        (values, stateless.len() as u64)
    }
}
