//! Sizes in, places in memory out: what all recordings may take together, first come first served.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A semaphore counts in 32 bits.
const UNIT: usize = 1 << 10;
/// Shorter recordings take 2 MB and are not counted: the number of requests bounds them, and a dictated sentence should
/// not wait for hours of audio to be done.
const SHORT: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
pub(super) struct Rooms {
    units: Arc<Semaphore>,
    all: u32,
}

/// Memory for the samples of one recording, until dropped.
#[derive(Debug)]
#[must_use = "room that is dropped at once is given to the next"]
pub struct Room {
    _units: Option<OwnedSemaphorePermit>,
}

impl Rooms {
    pub fn new(total: usize) -> Self {
        let all = units(total, u32::MAX);
        Rooms { units: Arc::new(Semaphore::new(all as usize)), all }
    }

    /// What is larger than everything takes everything.
    pub async fn take(&self, bytes: usize, length: Duration) -> Room {
        if length <= SHORT {
            return Room { _units: None };
        }
        let permit = self.units.clone().acquire_many_owned(units(bytes, self.all)).await;
        Room { _units: Some(permit.expect("nobody closes the semaphore")) }
    }
}

fn units(bytes: usize, most: u32) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    const LONG: Duration = Duration::from_secs(31);

    #[tokio::test]
    async fn what_finds_no_room_waits_its_turn_and_what_is_short_does_not() {
        let rooms = Rooms::new(10 << 20);
        let first = rooms.take(8 << 20, LONG).await;
        let mut second = Box::pin(rooms.take(4 << 20, LONG));
        assert!((&mut second).now_or_never().is_none());
        // There is room for this one, but it came later.
        let mut third = Box::pin(rooms.take(1 << 20, LONG));
        assert!((&mut third).now_or_never().is_none());
        assert!(rooms.take(1 << 20, SHORT).now_or_never().is_some());
        drop(first);
        let _second = second.await;
        let _third = third.await;
    }

    #[tokio::test]
    async fn what_is_larger_than_all_the_room_takes_all_of_it() {
        let rooms = Rooms::new(1 << 20);
        let large = rooms.take(1 << 30, LONG).await;
        let mut next = Box::pin(rooms.take(1, LONG));
        assert!((&mut next).now_or_never().is_none());
        drop(large);
        let _next = next.await;
    }
}
