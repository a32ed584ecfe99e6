//! Requests in, permits out: who may come in is decided once, before the upload is read.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;
use super::settings::Settings;
use crate::engine::Load;
use crate::telemetry::metrics::{Entered, INFLIGHT};

/// Counts the transcriptions under way, the bytes of their uploads and the audio that is ahead.
#[derive(Clone, Debug)]
pub struct Door {
    places: Arc<Semaphore>,
    /// In units of `UNIT` bytes.
    memory: Arc<Semaphore>,
    max_requests: usize,
    max_bytes: u64,
    max_upload: u64,
    max_audio_seconds: u64,
}

/// A semaphore counts in 32 bits.
const UNIT: u64 = 1 << 10;

/// A place, until dropped.
pub struct Permit {
    _place: OwnedSemaphorePermit,
    _memory: OwnedSemaphorePermit,
    _counted: Entered,
}

impl Door {
    pub fn new(settings: &Settings) -> Self {
        let units = (settings.max_uploads_bytes / UNIT).clamp(1, u64::from(u32::MAX)) as usize;
        Door {
            places: Arc::new(Semaphore::new(settings.max_requests)),
            memory: Arc::new(Semaphore::new(units)),
            max_requests: settings.max_requests,
            max_bytes: settings.max_uploads_bytes,
            max_upload: settings.max_body_bytes,
            max_audio_seconds: settings.max_queue_audio_seconds,
        }
    }

    /// A place now, or when to come again. `length`: what the headers announce of the upload.
    pub fn enter(&self, load: &Load, length: Option<u64>) -> Result<Permit, ApiError> {
        let place = self.place(load)?;
        if load.audio_seconds_ahead > self.max_audio_seconds as f64 {
            let full = format!(
                "{:.0} s of audio are waiting, and no more than {} may (server.max_queue_audio_seconds)",
                load.audio_seconds_ahead, self.max_audio_seconds
            );
            return Err(ApiError::Busy { what: "queue_audio", full, retry_after: retry_after(load) });
        }
        // One upload may be larger than all that may be held; it then takes everything.
        let most = (self.max_bytes / UNIT).clamp(1, u64::from(u32::MAX));
        let units = length.unwrap_or(self.max_upload).div_ceil(UNIT).clamp(1, most) as u32;
        let memory = self.memory.clone().try_acquire_many_owned(units).map_err(|_| ApiError::Busy {
            what: "upload_bytes",
            full: format!(
                "uploads take {} bytes of memory already (server.max_uploads_bytes)",
                self.max_bytes
            ),
            retry_after: retry_after(load),
        })?;
        Ok(Permit { _place: place, _memory: memory, _counted: INFLIGHT.enter() })
    }

    /// The same for what is no transcription and is not counted as one.
    pub fn place(&self, load: &Load) -> Result<OwnedSemaphorePermit, ApiError> {
        let place = self.places.clone().try_acquire_owned();
        place.map_err(|_| ApiError::Busy {
            what: "requests",
            full: format!("all {} places are taken (server.max_requests)", self.max_requests),
            retry_after: retry_after(load),
        })
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

/// When what is ahead should be done, between 1 and 120 s: beyond that, OpenAI's clients give up instead of waiting.
fn retry_after(load: &Load) -> u64 {
    const UNMEASURED: f64 = 5.0;
    let wait = audio_seconds_per_second(load).map_or(UNMEASURED, |speed| load.audio_seconds_ahead / speed);
    // A float becomes an integer by saturating, so nothing odd can get past the clamp.
    (wait.ceil() as u64).clamp(1, 120)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(audio_seconds_ahead: f64, audio_seconds_done: f64, busy_seconds: f64) -> Load {
        Load { audio_seconds_ahead, windows_done: 1, audio_seconds_done, busy_seconds, ..Load::default() }
    }

    fn door(change: impl FnOnce(&mut Settings)) -> Door {
        let mut settings = Settings::default();
        change(&mut settings);
        Door::new(&settings)
    }

    fn refusal(entered: Result<Permit, ApiError>) -> String {
        match entered {
            Err(error @ ApiError::Busy { .. }) => error.to_string(),
            Err(error) => panic!("another refusal: {error}"),
            Ok(_) => panic!("it was let in"),
        }
    }

    #[test]
    fn the_wait_is_what_is_ahead_over_the_measured_speed() {
        assert_eq!(retry_after(&load(300.0, 600.0, 60.0)), 30);
        assert_eq!(retry_after(&load(0.0, 600.0, 60.0)), 1);
        assert_eq!(retry_after(&load(300_000.0, 600.0, 60.0)), 120);
    }

    #[test]
    fn without_a_measurement_the_wait_is_a_guess() {
        assert_eq!(retry_after(&Load::default()), 5);
        assert_eq!(retry_after(&load(300.0, 30.0, 0.0)), 5);
    }

    #[test]
    fn a_place_is_free_again_when_its_permit_is_dropped() {
        let door = door(|settings| settings.max_requests = 1);
        let permit = door.enter(&Load::default(), Some(1)).map_err(|_| ()).unwrap();
        assert_eq!(door.taken(), 1);
        let told = refusal(door.enter(&Load::default(), Some(1)));
        assert_eq!(told, "all 1 places are taken (server.max_requests); try again in 5 s");
        drop(permit);
        assert!(door.enter(&Load::default(), Some(1)).is_ok());
    }

    #[test]
    fn the_audio_ahead_is_bounded() {
        let door = door(|settings| settings.max_queue_audio_seconds = 3_600);
        assert!(door.enter(&load(3_600.0, 600.0, 6.0), Some(1)).is_ok());
        let told = refusal(door.enter(&load(3_601.0, 600.0, 6.0), Some(1)));
        assert!(told.contains("server.max_queue_audio_seconds") && told.ends_with("in 37 s"), "{told}");
        assert_eq!(door.taken(), 0);
    }

    #[test]
    fn uploads_are_counted_in_bytes_and_those_of_unknown_length_as_the_largest() {
        let door = door(|settings| {
            settings.max_uploads_bytes = 10 << 20;
            settings.max_body_bytes = 8 << 20;
        });
        let known = door.enter(&Load::default(), Some(3 << 20)).map_err(|_| ()).unwrap();
        assert!(refusal(door.enter(&Load::default(), None)).contains("server.max_uploads_bytes"));
        drop(known);
        let unknown = door.enter(&Load::default(), None).map_err(|_| ()).unwrap();
        assert!(door.enter(&Load::default(), Some(2 << 20)).is_ok());
        drop(unknown);
        // Larger than all there is room for: alone, it is let in.
        assert!(door.enter(&Load::default(), Some(64 << 20)).is_ok());
    }
}
