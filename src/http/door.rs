//! Requests in, permits out: who may come in is decided once, before the upload is read.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;
use crate::audio::WINDOW_SECONDS;
use crate::engine::Load;
use crate::telemetry::metrics::{Entered, INFLIGHT};

/// Counts the transcriptions under way.
#[derive(Clone, Debug)]
pub struct Door {
    places: Arc<Semaphore>,
    max_requests: usize,
}

/// A place, until dropped.
pub struct Permit {
    _place: OwnedSemaphorePermit,
    _counted: Entered,
}

impl Door {
    pub fn new(max_requests: usize) -> Self {
        Door { places: Arc::new(Semaphore::new(max_requests)), max_requests }
    }

    /// A place now, or when to come again.
    pub fn enter(&self, load: &Load) -> Result<Permit, ApiError> {
        Ok(Permit { _place: self.place(load)?, _counted: INFLIGHT.enter() })
    }

    /// The same for what is no transcription and is not counted as one.
    pub fn place(&self, load: &Load) -> Result<OwnedSemaphorePermit, ApiError> {
        let place = self.places.clone().try_acquire_owned();
        place.map_err(|_| ApiError::Busy { max_requests: self.max_requests, retry_after: retry_after(load) })
    }

    pub fn taken(&self) -> usize {
        self.max_requests - self.places.available_permits().min(self.max_requests)
    }
}

/// Seconds of audio that a second of the device's time turns into text, once something has been measured.
pub fn audio_seconds_per_second(load: &Load) -> Option<f64> {
    let speed = load.audio_seconds_done / load.busy_seconds;
    (load.windows_done > 0 && speed.is_finite() && speed > 0.0).then_some(speed)
}

/// Audio that waits or is being worked on, each window counted as full.
pub fn audio_seconds_ahead(load: &Load) -> f64 {
    ((load.queued_windows + load.slots_busy) * WINDOW_SECONDS) as f64
}

/// When what is ahead should be done, between 1 and 120 s: beyond that, OpenAI's clients give up instead of waiting.
fn retry_after(load: &Load) -> u64 {
    const UNMEASURED: f64 = 5.0;
    let wait = audio_seconds_per_second(load).map_or(UNMEASURED, |speed| audio_seconds_ahead(load) / speed);
    // A float becomes an integer by saturating, so nothing odd can get past the clamp.
    (wait.ceil() as u64).clamp(1, 120)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(queued_windows: usize, audio_seconds_done: f64, busy_seconds: f64) -> Load {
        Load { queued_windows, windows_done: 1, audio_seconds_done, busy_seconds, ..Load::default() }
    }

    #[test]
    fn the_wait_is_what_is_ahead_over_the_measured_speed() {
        assert_eq!(retry_after(&load(10, 600.0, 60.0)), 30);
        assert_eq!(retry_after(&load(0, 600.0, 60.0)), 1);
        assert_eq!(retry_after(&load(10_000, 600.0, 60.0)), 120);
    }

    #[test]
    fn without_a_measurement_the_wait_is_a_guess() {
        assert_eq!(retry_after(&Load::default()), 5);
        assert_eq!(retry_after(&load(10, 30.0, 0.0)), 5);
    }

    #[test]
    fn a_place_is_free_again_when_its_permit_is_dropped() {
        let door = Door::new(1);
        let permit = door.enter(&Load::default()).map_err(|_| ()).unwrap();
        assert_eq!(door.taken(), 1);
        let refused = door.enter(&Load::default());
        assert!(matches!(refused, Err(ApiError::Busy { max_requests: 1, retry_after: 5 })));
        drop(permit);
        assert!(door.enter(&Load::default()).is_ok());
    }
}
