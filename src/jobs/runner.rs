//! Items of jobs in, their results out: claims, transcribes, shows life, writes the result, and only then says that it is done.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt, OptionFuture};
use futures::stream::{FuturesUnordered, StreamExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backend::{Claimed, Hold, JobError, SIGN_OF_LIFE};
use super::job::{Fields, ItemId, ItemState, Sound, Standing};
use super::service::Jobs;
use crate::telemetry::metrics;

/// How long is listened for the next item before it is looked whether this should end.
const PATIENCE: Duration = Duration::from_secs(1);
/// Pause after the backend could not be asked.
const PAUSE: Duration = Duration::from_secs(2);
/// Between tries of an item that failed for no fault of its own; the last goes on for the others.
const WAITS: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120)];
/// How long a result that is there is tried to be told.
const TELLING: Duration = Duration::from_secs(300);

/// What turns audio into text. It is not for this module to know how.
#[async_trait]
pub trait Scribe: Send + Sync {
    /// `owner`: whose share of the device it takes.
    async fn transcribe(
        &self,
        owner: u64,
        audio: Bytes,
        fields: &Fields,
        watch: &Watch,
    ) -> Result<Said, Failure>;

    /// What decides about the text beside audio and fields: a model's name and version.
    fn model(&self) -> String;

    /// Whether the device shows life. Where it does not, nor does the worker, and its items go to others.
    fn is_alive(&self) -> bool;
}

/// How far an item is, from 0 to 1.
pub type Watch = std::sync::OnceLock<Box<dyn Fn() -> f64 + Send + Sync>>;

/// A transcript as it is kept.
#[derive(Clone, Debug)]
pub struct Said {
    /// A `verbose_json`.
    pub json: Bytes,
    pub seconds: f64,
}

/// Why there is none.
#[derive(Clone, Debug)]
pub enum Failure {
    /// The same audio would fail the same way: OpenAI's `error` object.
    Refused(Value),
    /// The device or a queue, which may do better another time.
    Later(Value),
    /// There was no room now; nothing was tried.
    Full,
}

/// Fetches what is at a URL.
#[async_trait]
pub trait Fetch: Send + Sync {
    async fn fetch(&self, url: &str) -> Result<Bytes, Failure>;
}

/// How work on items goes.
#[derive(Clone, Debug, Default)]
pub struct Shift {
    /// Items that are worked on at once.
    pub places: usize,
    /// Ends by itself when there has been nothing to do for so long.
    pub idle: Option<Duration>,
}

/// Works until `end`. What is worked on by then goes back to the queue.
pub async fn run(
    jobs: Jobs,
    scribe: Arc<dyn Scribe>,
    fetch: Arc<dyn Fetch>,
    shift: Shift,
    end: CancellationToken,
) {
    let worker = Worker { jobs, scribe, fetch, end };
    let mut busy = FuturesUnordered::new();
    // One for the process, and never given up half-way: an item may be its own by then without anybody knowing.
    let mut claim: Option<BoxFuture<Option<Claimed>>> = None;
    let mut worked = Instant::now();
    while !worker.end.is_cancelled() || claim.is_some() || !busy.is_empty() {
        if claim.is_none() && busy.len() < shift.places.max(1) && !worker.end.is_cancelled() {
            claim = Some(worker.claim().boxed());
        }
        let is_claiming = claim.is_some();
        let claimed = OptionFuture::from(claim.as_mut());
        tokio::select! {
            claimed = claimed, if is_claiming => {
                claim = None;
                busy.extend(claimed.flatten().map(|claimed| worker.item(claimed)));
            }
            Some(()) = busy.next(), if !busy.is_empty() => {}
        }
        if !busy.is_empty() {
            worked = Instant::now();
        }
        if shift.idle.is_some_and(|idle| worked.elapsed() >= idle) && !worker.end.is_cancelled() {
            tracing::info!(seconds = worked.elapsed().as_secs_f64(), "nothing to do; ending");
            worker.end.cancel();
        }
    }
}

struct Worker {
    jobs: Jobs,
    scribe: Arc<dyn Scribe>,
    fetch: Arc<dyn Fetch>,
    end: CancellationToken,
}

/// What became of an item that was claimed.
enum Became {
    Ended(Standing),
    Back {
        wait: Duration,
        counts: bool,
    },
    /// Nobody wants it any more.
    Gone,
}

impl Worker {
    /// An item, if there is one soon.
    async fn claim(&self) -> Option<Claimed> {
        // A device that hangs takes no more items than it has.
        let claimed = match self.scribe.is_alive() {
            true => self.jobs.backend.claim(PATIENCE).await,
            false => Err(JobError::Unavailable("the device shows no life".to_owned())),
        };
        if let Err(error) = &claimed {
            tracing::warn!(%error, "no item of a job can be had");
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = self.end.cancelled() => {}
            }
        }
        claimed.ok().flatten()
    }

    async fn item(&self, claimed: Claimed) {
        let (id, deliveries) = (claimed.lease.id.clone(), claimed.deliveries);
        // A panic is a fault of ours, and costs this delivery alone.
        let work = std::panic::AssertUnwindSafe(self.tried(&claimed)).catch_unwind();
        let became = tokio::select! {
            became = work => became.unwrap_or_else(|_| {
                tracing::error!(job = id.job, item = id.item, "a panic while an item was worked on");
                self.later(&claimed, error("internal error", "server_error", "internal"))
            }),
            () = self.end.cancelled() => Became::Back { wait: Duration::ZERO, counts: false },
        };
        let told = match became {
            Became::Gone => return,
            Became::Back { wait, counts } => self.jobs.backend.back(&claimed.lease, wait, counts).await,
            Became::Ended(standing) => {
                tracing::info!(
                    job = id.job,
                    item = id.item,
                    state = standing.state.name(),
                    deliveries,
                    "item of a job"
                );
                metrics::JOB_ITEMS.add(1, &[("state", standing.state.name())]);
                self.tell(&claimed, &standing).await
            }
        };
        if let Err(error) = told {
            // Its lease runs out, somebody does it again, and finds the result there.
            tracing::warn!(job = id.job, item = id.item, %error, "what became of an item could not be told");
        }
    }

    async fn tell(&self, claimed: &Claimed, standing: &Standing) -> Result<(), JobError> {
        self.persist(|| self.jobs.backend.end(&claimed.lease, standing)).await
    }

    /// Until it has worked, for a while: what was transcribed is worth some waiting for a broker that is just restarting.
    async fn persist<T, F>(&self, mut work: impl FnMut() -> F) -> Result<T, JobError>
    where
        F: Future<Output = Result<T, JobError>>,
    {
        let until = Instant::now() + TELLING;
        loop {
            match work().await {
                Ok(done) => return Ok(done),
                Err(error) if Instant::now() >= until || self.end.is_cancelled() => {
                    return Err(error);
                }
                Err(error) => {
                    tracing::warn!(%error, "trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn tried(&self, claimed: &Claimed) -> Became {
        let most = self.jobs.settings.max_deliveries;
        if claimed.deliveries > most {
            metrics::DEAD_LETTERS.add(1, &[]);
            return failed(dead(most));
        }
        let watch = Watch::new();
        let mut hold = std::pin::pin!(self.hold(claimed, &watch));
        tokio::select! {
            () = &mut hold => Became::Gone,
            done = self.transcribed(claimed, &watch) => match done {
                Ok(standing) => Became::Ended(standing),
                Err(Failure::Refused(error)) => failed(error),
                Err(Failure::Later(error)) => self.later(claimed, error),
                Err(Failure::Full) => Became::Back { wait: PAUSE, counts: false },
            },
        }
    }

    fn later(&self, claimed: &Claimed, error: Value) -> Became {
        let tried = claimed.deliveries.max(1);
        if tried >= self.jobs.settings.max_deliveries {
            return failed(error);
        }
        let wait = WAITS[(tried as usize - 1).min(WAITS.len() - 1)];
        Became::Back { wait, counts: true }
    }

    /// Completes when the item is nobody's business of ours any more.
    async fn hold(&self, claimed: &Claimed, watch: &Watch) {
        loop {
            tokio::time::sleep(SIGN_OF_LIFE).await;
            if !self.scribe.is_alive() {
                continue;
            }
            let percent = watch.get().map_or(0.0, |share| share() * 100.0).clamp(0.0, 99.0) as u8;
            match self.jobs.backend.alive(&claimed.lease, percent).await {
                Ok(Hold::Mine) => {}
                Ok(Hold::Gone) => return,
                Err(error) => tracing::warn!(%error, "a sign of life could not be given"),
            }
        }
    }

    async fn transcribed(&self, claimed: &Claimed, watch: &Watch) -> Result<Standing, Failure> {
        let id = &claimed.lease.id;
        let (audio, hash) = self.audio(claimed).await?;
        let digest = digest(&hash, &claimed.fields, &self.scribe.model());
        if let Some(said) = self.known(claimed, &digest).await {
            return self.kept(id, said, true).await;
        }
        let said = self.scribe.transcribe(claimed.owner, audio, &claimed.fields, watch).await?;
        let standing = self.kept(id, said, false).await?;
        // Only saves work.
        if let Err(error) = self.jobs.blobs.put_known(claimed.owner, &digest, id).await {
            tracing::warn!(%error, "a result cannot be found again under its digest");
        }
        Ok(standing)
    }

    /// Under its own name before anybody hears that it is there.
    async fn kept(&self, id: &ItemId, said: Said, is_duplicate: bool) -> Result<Standing, Failure> {
        let Said { json, seconds } = said;
        let put = self.persist(|| self.jobs.blobs.put_result(id, json.clone())).await;
        put.map_err(|error| later(&error))?;
        Ok(Standing {
            state: ItemState::Done,
            percent: 100,
            seconds: Some(seconds),
            is_duplicate,
            ..Standing::default()
        })
    }

    async fn audio(&self, claimed: &Claimed) -> Result<(Bytes, String), Failure> {
        match &claimed.item.sound {
            Sound::Kept { hash, .. } => {
                let found = self.jobs.blobs.audio(&claimed.lease.id.job, hash).await;
                let gone = || {
                    Failure::Refused(error("the audio of this item is gone", "server_error", "audio_gone"))
                };
                Ok((found.map_err(|error| later(&error))?.ok_or_else(gone)?, hash.clone()))
            }
            Sound::Url(url) => {
                let audio = self.fetch.fetch(url).await?;
                let hashed = audio.clone();
                let hash = tokio::task::spawn_blocking(move || hash(&hashed)).await;
                Ok((audio, hash.map_err(|error| later(&error))?))
            }
            Sound::Refused(error) => Err(Failure::Refused(error.clone())),
        }
    }

    /// What another item has said of the same audio, wanted in the same way.
    async fn known(&self, claimed: &Claimed, digest: &str) -> Option<Said> {
        let id = self.jobs.blobs.known(claimed.owner, digest).await.ok()??;
        let json = self.jobs.blobs.result(&id).await.ok()??;
        let seconds = said_seconds(&json)?;
        Some(Said { json, seconds })
    }
}

fn failed(error: Value) -> Became {
    Became::Ended(Standing { state: ItemState::Failed, error: Some(error), ..Standing::default() })
}

/// Length of the audio that a result is about.
pub fn said_seconds(json: &[u8]) -> Option<f64> {
    #[derive(serde::Deserialize)]
    struct Said {
        duration: f64,
    }
    serde_json::from_slice(json).ok().map(|said: Said| said.duration)
}

pub fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Two items with the same one have the same text.
fn digest(hash: &str, fields: &Fields, model: &str) -> String {
    let mut digest = Sha256::new();
    let fields = fields.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    for thing in [hash, model].into_iter().chain(fields) {
        digest.update((thing.len() as u64).to_le_bytes());
        digest.update(thing);
    }
    hex(&digest.finalize())
}

/// What is said of an item that took its workers with it, or never found a device that lived.
pub fn dead(tries: u32) -> Value {
    let message =
        format!("{tries} workers ended or lost their device while they were at it (jobs.max_deliveries)");
    error(&message, "server_error", "dead_letter")
}

/// OpenAI's `error` object.
pub fn error(message: &str, kind: &str, code: &str) -> Value {
    json!({ "message": message, "type": kind, "param": null, "code": code })
}

fn later(error: &impl std::fmt::Display) -> Failure {
    tracing::warn!(%error, "an item of a job is tried again");
    Failure::Later(self::error("the store of jobs could not be used", "server_error", "store_unavailable"))
}
