//! Many windows in, one device: sequences are queued, batched over the model's slots, and answered one by one.

mod scheduler;
mod worker;

use std::time::Duration;

use crate::decoding::{Hypothesis, Sequence};
use crate::model::Model;

/// What the operator may set (`[engine]`).
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Windows that may wait for a slot, over all requests. A request whose windows find no room waits.
    pub queue_windows: usize,
    /// Windows encoded together at most.
    pub encode_batch: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { queue_windows: 256, encode_batch: 8 }
    }
}

/// A handle on the device's thread; cheap to clone. The thread ends when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct Engine {}

/// The device's thread itself. Its end is the end of the process.
#[derive(Debug)]
pub struct Worker {}

impl Engine {
    pub fn start(_model: Box<dyn Model>, _settings: Settings) -> (Engine, Worker) {
        (Engine {}, Worker {})
    }

    /// Waits for a place in the queue, then for the text. Dropping the future takes the window out of the queue,
    /// or frees its slot at the next step.
    pub async fn submit(&self, _sequence: Sequence) -> Result<Outcome, EngineError> {
        Err(EngineError::Closed)
    }

    pub fn load(&self) -> Load {
        Load::default()
    }
}

impl Worker {
    /// Resolves when the device's thread has ended: `Ok` after the last handle was dropped, else why it died.
    pub async fn ended(&mut self) -> Result<(), EngineError> {
        std::future::pending().await
    }
}

/// A window's text and what it took.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub hypothesis: Hypothesis,
    pub queue: Duration,
    pub encode: Duration,
    pub generate: Duration,
    /// Rows of the largest step that this window was part of.
    pub batch_size: usize,
}

/// The engine at this moment, for `/gpu-info` and the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    pub slots: usize,
    pub slots_busy: usize,
    pub queued_windows: usize,
    /// Windows answered since the start.
    pub windows_done: u64,
    /// Audio transcribed since the start.
    pub audio_seconds_done: f64,
    /// Time the device's thread has spent in the model since the start.
    pub busy_seconds: f64,
    pub steps_done: u64,
    pub tokens_done: u64,
    /// Seconds since the device's thread last finished something or found nothing to do.
    pub heartbeat_age_seconds: f64,
}

#[derive(Clone, Debug, thiserror::Error, PartialEq)]
pub enum EngineError {
    /// The device's thread is gone or going; the process is about to end.
    #[error("the device worker has stopped: {0}")]
    Lost(String),
    #[error("the engine is shutting down")]
    Closed,
    /// The batch was halved down to one window and still did not fit.
    #[error("the device is out of memory: {0}")]
    OutOfMemory(String),
}
