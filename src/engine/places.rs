//! Room to wait in, bounded: who asks for a place in, a place out, in the order in which the queue itself would serve them.
//!
//! First come, first served would not do: whoever has a hundred recordings would hold every place, and the shares in the queue
//! behind it would be shares of what he has there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::Ticket;
use super::queue::Queue;

/// A cheap handle.
#[derive(Clone, Debug)]
pub struct Places(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    free: usize,
    waiting: Queue<oneshot::Sender<Permit>>,
}

/// One place; free again when dropped.
#[derive(Debug)]
pub struct Permit {
    /// `None`: the place has been handed on.
    places: Option<Places>,
}

impl Places {
    pub fn new(windows: usize) -> Self {
        Places(Arc::new(Mutex::new(Inner { free: windows.max(1), waiting: Queue::new() })))
    }

    /// Dropping the future gives the turn up.
    pub async fn enter(&self, ticket: Ticket) -> Permit {
        let (give, turn) = oneshot::channel();
        {
            let mut inner = self.lock();
            // Also where a place is free: who has had one is counted.
            inner.waiting.push(ticket, give);
            self.hand_out(&mut inner);
        }
        turn.await.expect("whoever waits for a place keeps the places, and with them the sender")
    }

    /// As `Queue::attend`.
    pub fn attend(&self, ticket: Ticket) {
        self.lock().waiting.attend(ticket);
    }

    pub fn leave(&self, ticket: Ticket) {
        self.lock().waiting.leave(ticket);
    }

    /// Free places to whoever is next.
    fn hand_out(&self, inner: &mut Inner) {
        if inner.free == 0 {
            return;
        }
        // Whoever has left may have no turn: it would count as one of its key's.
        inner.waiting.remove_if(|_, give| give.is_closed());
        while inner.free > 0 {
            let Some((_, give)) = inner.waiting.pop(|_| true) else { return };
            match give.send(Permit { places: Some(self.clone()) }) {
                Ok(()) => inner.free -= 1,
                // It left in this very moment. Its permit must not come back here, where the lock is held.
                Err(mut permit) => permit.places = None,
            }
        }
    }

    /// A place is free: the next one's, or nobody's.
    fn freed(&self) {
        let mut inner = self.lock();
        inner.free += 1;
        self.hand_out(&mut inner);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing under the lock can leave it half changed, so a poisoned one is as good as any.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(places) = self.places.take() {
            places.freed();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::stream::{FuturesUnordered, StreamExt};

    use super::*;

    fn ticket(key: u64, request: u64) -> Ticket {
        Ticket { key, request, ..Ticket::default() }
    }

    #[tokio::test]
    async fn there_are_so_many_places_and_no_more_and_a_dropped_one_is_the_next_ones() {
        let places = Places::new(2);
        let (first, _second) = (places.enter(ticket(0, 1)).await, places.enter(ticket(0, 2)).await);
        let mut third = Box::pin(places.enter(ticket(0, 3)));
        assert!((&mut third).now_or_never().is_none());
        drop(first);
        assert!(third.now_or_never().is_some());
        assert_eq!(places.lock().free, 1);
    }

    #[tokio::test]
    async fn whoever_has_left_takes_no_place_with_him() {
        let places = Places::new(1);
        let only = places.enter(ticket(0, 1)).await;
        let mut left = Box::pin(places.enter(ticket(0, 2)));
        assert!((&mut left).now_or_never().is_none());
        let mut told = Box::pin(places.enter(ticket(0, 3)));
        assert!((&mut told).now_or_never().is_none());
        drop(left);
        drop(only);
        // It was given the place, and never came to take it.
        drop(told);
        assert_eq!(places.lock().free, 1);
        assert!(places.enter(ticket(0, 4)).now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_key_with_one_request_gets_every_second_place_beside_a_key_with_a_hundred() {
        let places = Places::new(4);
        let mut held = Vec::new();
        for request in 0..4 {
            held.push(places.enter(ticket(1, request)).await);
        }
        let mut waiting = FuturesUnordered::new();
        for (key, request) in (0..100).map(|request| (1, request)).chain((0..16).map(|_| (2, 100))) {
            let entering = places.enter(ticket(key, request));
            waiting.push(async move { (key, entering.await) });
        }
        assert!(waiting.next().now_or_never().is_none());
        let mut served = Vec::new();
        for _ in 0..20 {
            drop(held.remove(0));
            let (key, permit) = waiting.next().await.unwrap();
            served.push(key);
            held.push(permit);
        }
        assert_eq!(served.iter().filter(|key| **key == 2).count(), 10, "{served:?}");
    }
}
