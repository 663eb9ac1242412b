//! Places of which no client can take all, with a queue for each that asks for too many.
//!
//! A client gets one more as long as those that it has are fewer than those that are free (times a factor). One
//! client alone gets half of them, two get a third each, and there is always one left for the next who comes.

use super::Client;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How places are shared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    /// Places in all.
    pub places: usize,
    /// A client has at most so many times as many as are free.
    pub factor: usize,
    /// Requests of one client that wait; one more is refused.
    pub waiting: usize,
    /// The longest that one waits.
    pub patience: Duration,
}

/// The places.
pub(crate) struct Places {
    share: Share,
    state: Mutex<State>,
    waiting: Gauge,
    refused: Counter,
}

#[derive(Default)]
struct State {
    taken: usize,
    by_client: HashMap<Client, usize>,
    /// Clients that wait, the next to be served first; none has an empty queue.
    queues: VecDeque<(Client, VecDeque<oneshot::Sender<Place>>)>,
}

/// A place that was taken, until it is dropped.
pub(crate) struct Place {
    /// `None` once it was given back.
    places: Option<Arc<Places>>,
    client: Client,
}

impl State {
    fn may_take(&self, share: &Share, client: Client) -> bool {
        let free = share.places.saturating_sub(self.taken);
        self.by_client.get(&client).copied().unwrap_or(0) < free.saturating_mul(share.factor)
    }

    fn take(&mut self, client: Client) {
        self.taken += 1;
        *self.by_client.entry(client).or_default() += 1;
    }

    fn give_back(&mut self, client: Client) {
        self.taken -= 1;
        if let Some(count) = self.by_client.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                self.by_client.remove(&client);
            }
        }
    }

    /// Forgets who does not wait any more.
    fn tidy(&mut self) {
        for (_, queue) in &mut self.queues {
            queue.retain(|waiter| !waiter.is_closed());
        }
        self.queues.retain(|(_, queue)| !queue.is_empty());
    }

    /// Takes a place for the next client that may have one; each in its turn.
    fn next(&mut self, share: &Share) -> Option<(Client, oneshot::Sender<Place>)> {
        let at = self.queues.iter().position(|(client, _)| self.may_take(share, *client))?;
        let (client, mut queue) = self.queues.remove(at)?;
        let waiter = queue.pop_front()?;
        if !queue.is_empty() {
            self.queues.push_back((client, queue));
        }
        self.take(client);
        Some((client, waiter))
    }
}

impl Places {
    /// All free. `waiting` and `refused` count.
    pub(crate) fn new(share: Share, waiting: Gauge, refused: Counter) -> Arc<Places> {
        Arc::new(Places { share, state: Mutex::default(), waiting, refused })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(self: &Arc<Places>, client: Client) -> Place {
        Place { places: Some(self.clone()), client }
    }

    /// A place for `client`, now or when its turn has come; `None` where too many wait already or it took too long.
    pub(crate) async fn take(self: &Arc<Places>, client: Client) -> Option<Place> {
        let given = {
            let mut state = self.state();
            state.tidy();
            if state.may_take(&self.share, client) {
                state.take(client);
                return Some(self.place(client));
            }
            let waiting = state.queues.iter().position(|(waiting, _)| *waiting == client);
            let full = waiting.map_or(0, |at| state.queues[at].1.len()) >= self.share.waiting;
            // Without places none will ever be given back.
            if full || state.taken == 0 {
                self.refused.inc();
                return None;
            }
            let (give, given) = oneshot::channel();
            match waiting {
                Some(at) => state.queues[at].1.push_back(give),
                None => state.queues.push_back((client, VecDeque::from([give]))),
            }
            given
        };
        self.waiting.inc();
        let waits = Waits(&self.waiting);
        let place = tokio::time::timeout(self.share.patience, given).await.ok().and_then(Result::ok);
        drop(waits);
        if place.is_none() {
            self.refused.inc();
        }
        place
    }

    /// Gives a client's place back, and those that are free to who waits for them.
    fn give_back(self: &Arc<Places>, client: Client) {
        self.state().give_back(client);
        loop {
            let mut state = self.state();
            let Some((client, waiter)) = state.next(&self.share) else { return };
            drop(state);
            // Who has gone meanwhile gives it back at once.
            if let Err(place) = waiter.send(self.place(client)) {
                place.forget();
            }
        }
    }
}

impl Place {
    /// Gives the place back without looking for who wants it.
    fn forget(mut self) {
        if let Some(places) = self.places.take() {
            places.state().give_back(self.client);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(places) = self.places.take() {
            places.give_back(self.client);
        }
    }
}

/// Counts who waits, also when that ends because the client has gone.
struct Waits<'a>(&'a Gauge);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn client(number: u8) -> Client {
        IpAddr::from(Ipv4Addr::new(127, 0, 0, number)).into()
    }

    fn places(places: usize, waiting: usize) -> Arc<Places> {
        let share = Share { places, factor: 1, waiting, patience: Duration::from_secs(60) };
        Places::new(share, Gauge::default(), Counter::default())
    }

    async fn take_all(places: &Arc<Places>, client: Client) -> Vec<Place> {
        let mut taken = Vec::new();
        while let Some(place) = places.take(client).await {
            taken.push(place);
        }
        taken
    }

    #[tokio::test]
    async fn there_is_always_a_place_for_the_next_client() {
        let places = places(64, 0);
        let mut all = Vec::new();
        for (number, share) in [(1, 32), (2, 16), (3, 8), (4, 4), (5, 2), (6, 1)] {
            let taken = take_all(&places, client(number)).await;
            assert_eq!(taken.len(), share, "client {number}");
            all.push(taken);
        }
        assert_eq!(places.state().taken, 63);
        drop(all);
        let state = places.state();
        assert_eq!((state.taken, state.by_client.len()), (0, 0));
    }

    #[tokio::test]
    async fn who_waits_gets_a_place_each_client_in_its_turn() {
        let places = places(2, 3);
        let first = places.take(client(1)).await.unwrap();
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let mut tasks = Vec::new();
        for (order, number) in [1, 1, 1, 2].into_iter().enumerate() {
            let (own, told) = (places.clone(), told.clone());
            tasks.push(tokio::spawn(async move {
                let place = own.take(client(number)).await;
                told.send(number).unwrap();
                tokio::task::yield_now().await;
                drop(place);
            }));
            while number == 1 && places.waiting.get() <= i64::try_from(order).unwrap() {
                tokio::task::yield_now().await;
            }
        }
        // One more than may wait.
        assert!(places.take(client(1)).await.is_none());
        assert_eq!(places.refused.get(), 1);
        // The other client is not behind those three.
        assert_eq!(heard.recv().await, Some(2));
        drop(first);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!((places.state().taken, places.waiting.get()), (0, 0));
    }

    #[tokio::test]
    async fn who_leaves_the_queue_costs_nobody_a_place() {
        let places = places(2, 3);
        let first = places.take(client(1)).await.unwrap();
        for _ in 0..10 {
            let waiting = tokio::time::timeout(Duration::from_millis(1), places.take(client(1))).await;
            assert!(waiting.is_err());
        }
        assert_eq!(places.waiting.get(), 0);
        drop(first);
        assert_eq!(places.state().taken, 0);
        assert!(places.take(client(1)).await.is_some());
    }

    #[tokio::test]
    async fn without_places_everybody_is_refused() {
        assert!(places(0, 9).take(client(1)).await.is_none());
    }
}
