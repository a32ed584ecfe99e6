//! The time that decoding one upload may take in; whether it has passed out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::audio::AudioError;

/// Copies are the same clock.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    begun: Instant,
    limit: Duration,
    /// Nanoseconds in which nothing was decoded, for whoever takes the samples had enough of them.
    waited: Arc<AtomicU64>,
}

impl Clock {
    pub fn start(limit: Duration) -> Self {
        Clock { begun: Instant::now(), limit, waited: Arc::default() }
    }

    pub fn is_over(&self) -> bool {
        let waited = Duration::from_nanos(self.waited.load(Relaxed));
        self.begun.elapsed() >= self.limit.saturating_add(waited)
    }

    /// # Errors
    /// `TooLarge` when the time is over.
    pub fn check(&self) -> Result<(), AudioError> {
        match self.is_over() {
            false => Ok(()),
            true => Err(took_too_long(self.limit)),
        }
    }

    /// Stands still while `work` is done.
    pub fn pause<R>(&self, work: impl FnOnce() -> R) -> R {
        let from = Instant::now();
        let done = work();
        let nanos = u64::try_from(from.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.waited.fetch_add(nanos, Relaxed);
        done
    }
}

pub(in crate::audio) fn took_too_long(limit: Duration) -> AudioError {
    let what = format!("the audio takes longer than {} seconds to decode", limit.as_secs_f64());
    AudioError::TooLarge { what, setting: "audio.max_decode_seconds" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_others_keep_it_waiting_does_not_count() {
        let clock = Clock::start(Duration::from_millis(50));
        clock.clone().pause(|| std::thread::sleep(Duration::from_millis(100)));
        assert!(!clock.is_over());
        std::thread::sleep(Duration::from_millis(100));
        assert!(clock.is_over() && clock.check().is_err());
        assert!(!Clock::start(Duration::MAX).is_over());
        assert!(Clock::start(Duration::ZERO).is_over());
    }
}
