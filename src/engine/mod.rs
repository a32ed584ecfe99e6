//! Many windows in, one device: sequences are queued, batched over the model's slots, and answered one by one.

mod queue;
mod scheduler;
mod stats;
mod watchdog;
mod worker;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub use self::queue::Class;
use self::stats::Stats;
use self::worker::Job;
use crate::decoding::{Hypothesis, Sequence};
use crate::model::Model;

/// What the operator may set (`[engine]`).
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Windows of long recordings that may wait for a slot, over all requests; half as many again of the interactive. Windows
    /// beyond that wait before their log-mel is made, so that memory stays bounded.
    pub queue_windows: usize,
    /// Windows encoded together at most. 0: 8 on a GPU; on a CPU, where a batch costs as much as its windows one by one, 2.
    pub encode_batch: usize,
    /// Slots that long recordings leave to the interactive, so that these need not wait for one.
    pub interactive_slots: usize,
    /// Whether short recordings step without the long ones beside them, where both are in slots. `None`: on a CPU, where a step
    /// costs by the row; on a GPU it costs the same.
    pub interactive_alone: Option<bool>,
    /// How long an idle device waits for more windows to come after the first, in milliseconds.
    pub coalesce_ms: u64,
    /// The process ends when the device has shown no life for so long, so that the platform starts it anew. 0: never.
    pub hang_timeout_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            queue_windows: 256,
            encode_batch: 0,
            interactive_slots: 1,
            interactive_alone: None,
            coalesce_ms: 2,
            hang_timeout_seconds: 300,
        }
    }
}

/// A handle on the device's thread; cheap to clone. The thread ends when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct Engine {
    jobs: mpsc::UnboundedSender<Job>,
    places: Arc<Places>,
    stats: Arc<Stats>,
    /// Cancelled when the device is lost while its thread cannot say so itself.
    lost: CancellationToken,
}

/// Room to wait in, by class: each window in the queue holds a log-mel of a megabyte.
#[derive(Debug)]
struct Places {
    interactive: Arc<Semaphore>,
    batch: Arc<Semaphore>,
}

/// The right to wait for a slot. Dropping it gives it back.
#[derive(Debug)]
pub struct Place {
    engine: Engine,
    ticket: Ticket,
    permit: OwnedSemaphorePermit,
}

/// The device's thread itself. Its end is the end of the process.
#[derive(Debug)]
pub struct Worker {
    end: oneshot::Receiver<Result<(), EngineError>>,
    stats: Arc<Stats>,
    lost: CancellationToken,
    hang_timeout: Duration,
}

impl Engine {
    /// Starts the one thread that will ever touch `model`.
    pub fn start(model: Box<dyn Model>, settings: Settings) -> (Engine, Worker) {
        let (jobs, waiting) = mpsc::unbounded_channel();
        let (ended, end) = oneshot::channel();
        let stats = Arc::new(Stats::new(model.capacity().slots));
        let counted = stats.clone();
        let room = |windows: usize| Arc::new(Semaphore::new(windows.max(1)));
        let places = Arc::new(Places {
            interactive: room(settings.queue_windows / 2),
            batch: room(settings.queue_windows),
        });
        let hang_timeout = Duration::from_secs(settings.hang_timeout_seconds);
        let thread = std::thread::Builder::new().name("device".to_owned()).spawn(move || {
            // A panic unwinds past this send; the dropped sender then says so.
            let _ = ended.send(worker::run(model, &settings, waiting, &counted));
        });
        if let Err(error) = thread {
            // The closure is gone and with it the receiver: every submit answers `Closed`, and `ended` says lost.
            tracing::error!(%error, "the device thread could not be started");
        }
        let lost = CancellationToken::new();
        let worker = Worker { end, stats: stats.clone(), lost: lost.clone(), hang_timeout };
        (Engine { jobs, places, stats, lost }, worker)
    }

    /// A place in the queue, before the window's log-mel is made.
    pub async fn place(&self, ticket: Ticket) -> Result<Place, EngineError> {
        let places = match ticket.class {
            Class::Interactive => &self.places.interactive,
            Class::Batch => &self.places.batch,
        };
        let late = async {
            match ticket.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            permit = places.clone().acquire_owned() => {
                let permit = permit.map_err(|_| EngineError::Closed)?;
                Ok(Place { engine: self.clone(), ticket, permit })
            }
            () = self.lost.cancelled() => Err(EngineError::Hung),
            () = late => Err(EngineError::Late),
        }
    }

    /// Waits for a place in the queue, then for the text. Dropping the future takes the window out of the queue,
    /// or frees its slot at the next step.
    pub async fn submit(&self, sequence: Sequence) -> Result<Outcome, EngineError> {
        self.place(Ticket::default()).await?.submit(sequence).await
    }

    pub fn load(&self) -> Load {
        self.stats.load()
    }
}

impl Place {
    /// Waits for the window's text. Dropping the future takes the window out of the queue, or frees its slot at the next step.
    pub async fn submit(self, sequence: Sequence) -> Result<Outcome, EngineError> {
        let Place { engine, ticket, permit } = self;
        let (reply, answer) = oneshot::channel();
        engine.stats.queued();
        let job = Job { sequence, ticket, submitted: Instant::now(), reply, _place: permit };
        if engine.jobs.send(job).is_err() {
            engine.stats.dequeued();
            return Err(EngineError::Closed);
        }
        tokio::select! {
            answer = answer => answer.unwrap_or_else(|_| Err(EngineError::Lost("its thread ended".to_owned()))),
            () = engine.lost.cancelled() => Err(EngineError::Hung),
        }
    }
}

impl Worker {
    /// Resolves when the device's thread has ended: `Ok` after the last handle was dropped, else why it died. Resolves too when
    /// the thread shows no life any more; whoever waits for a window has then been told.
    pub async fn ended(&mut self) -> Result<(), EngineError> {
        tokio::select! {
            end = &mut self.end => {
                end.unwrap_or_else(|_| Err(EngineError::Lost("its thread panicked".to_owned())))
            }
            () = watchdog::hangs(&self.stats, self.hang_timeout) => {
                self.lost.cancel();
                Err(EngineError::Hung)
            }
        }
    }
}

/// Whose window it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticket {
    /// The same for all windows of a request.
    pub request: u64,
    pub class: Class,
    /// From then on nobody wants the answer.
    pub deadline: Option<Instant>,
}

impl Ticket {
    pub fn is_late(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
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
    /// Audio that was accepted and is not transcribed yet; the transcriber's to know.
    pub audio_seconds_ahead: f64,
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
    /// The same, seen from outside: its thread is stuck in a call that does not come back.
    #[error("the device worker has stopped: it has shown no life for engine.hang_timeout_seconds")]
    Hung,
    #[error("the engine is shutting down")]
    Closed,
    #[error("the deadline of the request has passed")]
    Late,
    /// The batch was halved down to one window and still did not fit.
    #[error("the device is out of memory: {0}")]
    OutOfMemory(String),
    /// More beams or draws were asked for than the model has lanes.
    #[error("a search of {width} rows finds no room in the {lanes} that model.lanes allows")]
    TooWide { width: usize, lanes: usize },
}
