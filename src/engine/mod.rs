//! Many windows in, one device: sequences are queued, batched over the model's slots, and answered one by one.

mod places;
mod queue;
mod scheduler;
mod stats;
mod turn;
mod warm_up;
mod watchdog;
mod worker;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use self::places::{Permit, Places};
pub use self::queue::Class;
use self::stats::Stats;
pub use self::warm_up::{Sizes, WarmUp, Warmed};
use self::worker::{Job, Order};
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
    /// A short silent window runs through everything when the device has been idle for so long, so that a failure is found before a
    /// caller finds it. 0: never. `None`: every minute on a GPU, never on a CPU, where there is no driver to fail and a window of a
    /// large model takes the whole machine for a minute.
    pub canary_seconds: Option<u64>,
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
            canary_seconds: None,
        }
    }
}

/// A handle on the device's thread; cheap to clone. The thread ends when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct Engine {
    orders: mpsc::UnboundedSender<Order>,
    /// Room to wait in, by class: each window in the queue holds a log-mel of a megabyte.
    interactive: Places,
    batch: Places,
    stats: Arc<Stats>,
    /// Cancelled when the device is lost while its thread cannot say so itself.
    lost: CancellationToken,
}

/// The right to wait for a slot. Dropping it gives it back.
#[derive(Debug)]
pub struct Place {
    engine: Engine,
    ticket: Ticket,
    permit: Permit,
}

/// A request that is here, of which windows are to come. Dropping it ends its claim to a share of the device.
#[derive(Debug)]
pub struct Attendance {
    engine: Engine,
    ticket: Ticket,
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
        let (orders, waiting) = mpsc::unbounded_channel();
        let (ended, end) = oneshot::channel();
        let stats = Arc::new(Stats::new(model.capacity().slots));
        let counted = stats.clone();
        let (interactive, batch) =
            (Places::new(settings.queue_windows / 2), Places::new(settings.queue_windows));
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
        (Engine { orders, interactive, batch, stats, lost }, worker)
    }

    /// From now on the request has its share of the device, also while it is being decoded: what it misses is made up for.
    pub fn attend(&self, ticket: Ticket) -> Attendance {
        self.places(ticket.class).attend(ticket);
        // An engine that has ended serves nobody: nothing is owed.
        let _ = self.orders.send(Order::Attend(ticket));
        Attendance { engine: self.clone(), ticket }
    }

    fn places(&self, class: Class) -> &Places {
        match class {
            Class::Interactive => &self.interactive,
            Class::Batch => &self.batch,
        }
    }

    /// A place in the queue, before the window's log-mel is made.
    pub async fn place(&self, ticket: Ticket) -> Result<Place, EngineError> {
        let places = self.places(ticket.class);
        let late = async {
            match ticket.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            permit = places.enter(ticket) => Ok(Place { engine: self.clone(), ticket, permit }),
            () = self.lost.cancelled() => Err(EngineError::Hung),
            () = late => Err(EngineError::Late),
        }
    }

    /// Waits for a place in the queue, then for the text. Dropping the future takes the window out of the queue,
    /// or frees its slot at the next step.
    pub async fn submit(&self, sequence: Sequence) -> Result<Outcome, EngineError> {
        self.place(Ticket::default()).await?.submit(sequence).await
    }

    /// Runs batches of every size, as `warm_up` says; whoever comes meanwhile waits. The batches are counted nowhere.
    pub async fn warm_up(&self, warm_up: WarmUp) -> Result<Warmed, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(Order::WarmUp(warm_up, reply)).map_err(|_| EngineError::Closed)?;
        tokio::select! {
            answer = answer => answer.unwrap_or_else(|_| Err(EngineError::Lost("its thread ended".to_owned()))),
            () = self.lost.cancelled() => Err(EngineError::Hung),
        }
    }

    pub fn load(&self) -> Load {
        Load { is_lost: self.lost.is_cancelled() || self.orders.is_closed(), ..self.stats.load() }
    }

    /// The latest of this process, also one that was got over.
    pub fn last_fault(&self) -> Option<Fault> {
        self.stats.fault()
    }
}

impl Place {
    /// Waits for the window's text. Dropping the future takes the window out of the queue, or frees its slot at the next step.
    pub async fn submit(self, sequence: Sequence) -> Result<Outcome, EngineError> {
        let Place { engine, ticket, permit } = self;
        let (reply, answer) = oneshot::channel();
        engine.stats.queued();
        let job = Job { sequence, ticket, submitted: Instant::now(), reply, _place: permit };
        if engine.orders.send(Order::Window(job)).is_err() {
            engine.stats.dequeued();
            return Err(EngineError::Closed);
        }
        tokio::select! {
            answer = answer => answer.unwrap_or_else(|_| Err(EngineError::Lost("its thread ended".to_owned()))),
            () = engine.lost.cancelled() => Err(EngineError::Hung),
        }
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        self.engine.places(self.ticket.class).leave(self.ticket);
        let _ = self.engine.orders.send(Order::Leave(self.ticket));
    }
}

impl Worker {
    /// Resolves when the device's thread has ended: `Ok` after the last handle was dropped, else why it died. Resolves too when
    /// the thread shows no life any more; whoever waits for a window has then been told.
    pub async fn ended(&mut self) -> Result<(), EngineError> {
        tokio::select! {
            end = &mut self.end => {
                end.unwrap_or_else(|_| {
                    let lost = EngineError::Lost("its thread panicked".to_owned());
                    self.stats.failed(&lost);
                    Err(lost)
                })
            }
            () = watchdog::hangs(&self.stats, self.hang_timeout) => {
                self.stats.failed(&EngineError::Hung);
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
    /// Whose request it is, where callers are known; 0: nobody's. Keys share the device alike.
    pub key: u64,
    /// From then on nobody wants the answer.
    pub deadline: Option<Instant>,
    /// Asked for by nobody, to see that the device works: counted nowhere.
    pub is_canary: bool,
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
    /// Audio that was accepted since the start; the transcriber's to know.
    pub audio_seconds_in: f64,
    /// Windows answered since the start.
    pub windows_done: u64,
    /// Audio transcribed since the start.
    pub audio_seconds_done: f64,
    /// Time the device's thread has spent in the model since the start.
    pub busy_seconds: f64,
    pub steps_done: u64,
    pub tokens_done: u64,
    /// Windows of one encoder pass and rows of one step at most: as set, or as learnt where the device had no room for more.
    pub most_windows: usize,
    pub most_rows: usize,
    /// Seconds since the device's thread last had something to do; 0 while it has.
    pub idle_seconds: f64,
    /// Seconds since the device's thread last finished something or found nothing to do.
    pub heartbeat_age_seconds: f64,
    /// Its thread has ended or is given up; the process is about to end.
    pub is_lost: bool,
}

/// What went wrong on the device, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub what: String,
    pub at: Instant,
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
