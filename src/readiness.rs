//! Who still holds the service back, in; whether it should be given work, out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A cheap handle. Ready once every latch has been dropped, and not ready again from `drain` on.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    held_for: Vec<&'static str>,
    draining: bool,
}

/// Holds readiness back until dropped.
#[derive(Debug)]
#[must_use = "a latch that is dropped at once holds nothing"]
pub struct Latch {
    readiness: Readiness,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Not all latches have been dropped: what the service still waits for.
    Starting(Vec<&'static str>),
    Ready,
    /// On its way out; new work should go elsewhere.
    Draining,
}

impl Readiness {
    /// `reason` is shown to operators: `model`, say.
    pub fn hold(&self, reason: &'static str) -> Latch {
        self.lock().held_for.push(reason);
        Latch { readiness: self.clone(), reason }
    }

    /// From now on not ready, for good.
    pub fn drain(&self) {
        self.lock().draining = true;
    }

    pub fn state(&self) -> State {
        let inner = self.lock();
        match (inner.draining, inner.held_for.is_empty()) {
            (true, _) => State::Draining,
            (false, false) => State::Starting(inner.held_for.clone()),
            (false, true) => State::Ready,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing under the lock can leave it half changed, so a poisoned one is as good as any.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Latch {
    fn drop(&mut self) {
        let mut inner = self.readiness.lock();
        if let Some(index) = inner.held_for.iter().position(|reason| *reason == self.reason) {
            inner.held_for.remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_the_last_latch_is_dropped() {
        let readiness = Readiness::default();
        let model = readiness.hold("model");
        let warm_up = readiness.hold("warm-up");
        assert_eq!(readiness.state(), State::Starting(vec!["model", "warm-up"]));
        drop(model);
        assert_eq!(readiness.state(), State::Starting(vec!["warm-up"]));
        drop(warm_up);
        assert_eq!(readiness.state(), State::Ready);
    }

    #[test]
    fn draining_wins_and_stays() {
        let readiness = Readiness::default();
        let latch = readiness.hold("model");
        readiness.drain();
        assert_eq!(readiness.state(), State::Draining);
        drop(latch);
        assert_eq!(readiness.state(), State::Draining);
    }
}
