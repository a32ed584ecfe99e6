//! Many windows in, one device: sequences are queued, batched over the model's slots, and answered one by one.

mod scheduler;
mod stats;
mod worker;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use self::stats::Stats;
use self::worker::Job;
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
pub struct Engine {
    jobs: mpsc::Sender<Job>,
    stats: Arc<Stats>,
}

/// The device's thread itself. Its end is the end of the process.
#[derive(Debug)]
pub struct Worker {
    end: oneshot::Receiver<Result<(), EngineError>>,
}

impl Engine {
    /// Starts the one thread that will ever touch `model`.
    pub fn start(model: Box<dyn Model>, settings: Settings) -> (Engine, Worker) {
        let (jobs, waiting) = mpsc::channel(settings.queue_windows.max(1));
        let (ended, end) = oneshot::channel();
        let stats = Arc::new(Stats::new(model.capacity().slots));
        let counted = stats.clone();
        let thread = std::thread::Builder::new().name("device".to_owned()).spawn(move || {
            // A panic unwinds past this send; the dropped sender then says so.
            let _ = ended.send(worker::run(model, &settings, waiting, &counted));
        });
        if let Err(error) = thread {
            // The closure is gone and with it the receiver: every submit answers `Closed`, and `ended` says lost.
            tracing::error!(%error, "the device thread could not be started");
        }
        (Engine { jobs, stats }, Worker { end })
    }

    /// Waits for a place in the queue, then for the text. Dropping the future takes the window out of the queue,
    /// or frees its slot at the next step.
    pub async fn submit(&self, sequence: Sequence) -> Result<Outcome, EngineError> {
        let submitted = Instant::now();
        let (reply, answer) = oneshot::channel();
        let place = self.jobs.reserve().await.map_err(|_| EngineError::Closed)?;
        self.stats.queued();
        place.send(Job { sequence, submitted, reply });
        answer.await.unwrap_or_else(|_| Err(EngineError::Lost("its thread ended".to_owned())))
    }

    pub fn load(&self) -> Load {
        self.stats.load()
    }
}

impl Worker {
    /// Resolves when the device's thread has ended: `Ok` after the last handle was dropped, else why it died.
    pub async fn ended(&mut self) -> Result<(), EngineError> {
        (&mut self.end).await.unwrap_or_else(|_| Err(EngineError::Lost("its thread panicked".to_owned())))
    }
}

/// A window's text and what it took.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub hypothesis: Hypothesis,
    pub queue: Duration,
    pub encode: Duration,
    pub generate: Duration,
    pub align: Duration,
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
    /// More beams or draws were asked for than the model has lanes.
    #[error("a search of {width} rows finds no room in the {lanes} that model.lanes allows")]
    TooWide { width: usize, lanes: usize },
}
