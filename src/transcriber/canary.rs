//! A silent window in, word of whether the service works out: before the first caller comes, and in idle hours.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::audio::{Pcm, SAMPLE_RATE, Timeline};
use crate::decoding::{Request, Spoken};
use crate::engine::{Sizes, Ticket, WarmUp};
use crate::telemetry::metrics;
use crate::transcript::{Fallback, Options};

use super::{Take, TranscribeError, Transcriber};

/// On a CPU larger batches are warmed as far as this allows: see `WarmUp::budget`.
const CPU_BUDGET: Duration = Duration::from_secs(2);

/// The latest canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    pub at: Instant,
    pub took: Duration,
    /// `None`: it came through.
    pub failed: Option<String>,
}

/// Where the latest canary is kept.
#[derive(Debug, Default)]
pub(super) struct Perch(Mutex<Option<Canary>>);

impl Transcriber {
    /// Runs the device at every batch size, and a window of silence through everything, so that the first caller does not wait for
    /// caches and kernels. Gives the time it took and the largest batches that were run.
    pub async fn warm_up(&self) -> Result<(Duration, Sizes), TranscribeError> {
        let started = Instant::now();
        self.decoder.check().await?;
        let specials = self.rules.specials();
        let with = WarmUp {
            mel: Arc::new(self.mel.log_mel(silence().samples())),
            tokens: vec![specials.start_of_transcript, specials.end_of_text, specials.end_of_text],
            text_below: specials.end_of_text,
            budget: (self.model.device == "cpu").then_some(CPU_BUDGET),
        };
        let warmed = self.engine.warm_up(with).await?;
        self.silent_window().await?;
        Ok((started.elapsed(), warmed.tried))
    }

    /// For ever: whenever the device has been idle for `every`, a canary.
    pub async fn canaries(&self, every: Duration) {
        loop {
            let idle = Duration::from_secs_f64(self.load().idle_seconds);
            if idle < every {
                tokio::time::sleep(every - idle).await;
                continue;
            }
            self.canary().await;
            tokio::time::sleep(every).await;
        }
    }

    pub fn last_canary(&self) -> Option<Canary> {
        self.perch.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An error of the device ends its thread, and a call that hangs is the watchdog's, as with anybody's window.
    async fn canary(&self) {
        let at = Instant::now();
        let failed = self.silent_window().await.err().map(|error| error.to_string());
        let took = at.elapsed();
        metrics::canary(failed.is_none(), took);
        match &failed {
            None => tracing::debug!(ms = took.as_millis() as u64, "the idle device works"),
            Some(error) => tracing::error!(error, "the idle device failed at a window of silence"),
        }
        *self.perch.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Canary { at, took, failed });
    }

    async fn silent_window(&self) -> Result<(), TranscribeError> {
        let pcm = Arc::new(silence());
        let timeline = Timeline::whole(&pcm);
        let Some(window) = timeline.slice(0..SAMPLE_RATE) else { return Ok(()) };
        let ticket = Ticket { request: self.next_request(), is_canary: true, ..Ticket::default() };
        let take = Take { pcm, timeline, ticket, ..Take::default() };
        let language = self.rules.specials().languages.first().map(|(_, token)| *token);
        let request = Request {
            language: Spoken::Known(language),
            // Once: what is made up over silence need not be made up better.
            fallback: Fallback { temperatures: vec![0.0], ..Fallback::default() },
            words: true,
            ..self.asked(&Options::default())?.request
        };
        self.window(&take, window, request).await.map(drop)
    }
}

fn silence() -> Pcm {
    Pcm::from_16k_mono(vec![0.0; SAMPLE_RATE])
}
