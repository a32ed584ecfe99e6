//! Jobs for many machines: a broker (NATS JetStream) and where manifests are kept in, `Backend` out.
//!
//! ```text
//! submit --manifest--> blobs
//!        --{job, item}--> queue --claim--> worker --state--> key-value store --watch--> a view in every process
//!        --record, last-->                                   key-value store
//! ```
//!
//! The broker hands items out, takes them back from workers that show no sign of life, and tells everybody every state. It is never the
//! only one who knows of a job: `reconcile` makes all of it anew from manifests and results.

mod claim;
mod known;
mod ledger;
mod manifests;
mod over;
mod reconcile;
mod records;
mod streams;
mod submit;
mod view;
mod watching;
mod work;

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::message::PublishMessage;
use async_trait::async_trait;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

pub use self::manifests::{Manifests, Results};
pub use self::streams::reach;

use self::ledger::Ledger;
use self::manifests::Shelf;
use self::streams::Queue;
use super::backend::{Backend, Claimed, Hold, JobError, LEASE, Lease, Submitted, Webhook};
use super::job::{Counts, Item, Job, Standing, Summary};
use super::settings::Settings;

/// What a test does not wait so long for.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// See `LEASE`.
    pub lease: Duration,
    /// A request that was made again waits so long for the first one to finish, before it is taken to have died half-way.
    pub take_over: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Times { lease: LEASE, take_over: Duration::from_secs(15) }
    }
}

/// For the broker to be there when the server starts.
const START: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_secs(1);
/// Who waits for a change is woken now and then without one.
const NOW_AND_THEN: Duration = Duration::from_secs(1);

pub struct Nats {
    desk: Arc<Desk>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

/// What all of this works with.
struct Desk {
    ledger: Arc<Ledger>,
    shelf: Shelf,
    /// The first goes first.
    items: Vec<Queue>,
    hooks: Queue,
    settings: Settings,
    times: Times,
    /// Counted up when the view is to be built up anew.
    afresh: watch::Sender<u64>,
}

impl Nats {
    pub async fn open(settings: &Settings, manifests: Arc<dyn Manifests>) -> Result<Nats, JobError> {
        Nats::open_with(settings, manifests, Times::default()).await
    }

    /// Returns when everything that the broker knows is known here.
    pub async fn open_with(
        settings: &Settings,
        manifests: Arc<dyn Manifests>,
        times: Times,
    ) -> Result<Nats, JobError> {
        let context = streams::connect(settings).await?;
        let until = tokio::time::Instant::now() + START;
        while let Err(error) = streams::make(&context, settings).await {
            if tokio::time::Instant::now() >= until {
                return Err(error);
            }
            tracing::warn!(%error, "the broker is not ready; trying again");
            tokio::time::sleep(AGAIN).await;
        }
        let (items, hooks) = streams::queues(&context, times.lease).await?;
        let ledger = Arc::new(Ledger::open(context).await?);
        let afresh = watch::Sender::new(0);
        let (ready, mut is_ready) = watch::channel(false);
        let following = tokio::spawn(watching::follow(ledger.clone(), afresh.subscribe(), ready));
        let following = AbortOnDropHandle::new(following);
        // The task ends only with this `Nats`, and says so before.
        is_ready
            .wait_for(|ready| *ready)
            .await
            .map_err(|error| JobError::unavailable("the broker", error))?;
        let shelf = Shelf::new(manifests);
        let desk = Desk { ledger, shelf, items, hooks, settings: settings.clone(), times, afresh };
        let desk = Arc::new(desk);
        let tending = AbortOnDropHandle::new(tokio::spawn(watching::tend(desk.clone())));
        Ok(Nats { desk, _tasks: [following, tending] })
    }

    /// Puts back what the broker has lost, or never had: of jobs whose manifests are there and that have not ended. The number of items that
    /// wait again. To be called when a process starts.
    pub async fn reconcile(&self, results: &dyn Results) -> Result<usize, JobError> {
        self.desk.reconcile(results).await
    }
}

impl Desk {
    /// Returns when the broker has it. Within ten minutes the same `id` is taken once.
    async fn publish(&self, subject: &str, id: &str, payload: Vec<u8>) -> Result<(), JobError> {
        self.ledger.online().await?;
        let message = PublishMessage::build().message_id(id).payload(payload.into());
        let sent = match self.ledger.context.send_publish(subject.to_owned(), message).await {
            Ok(ack) => ack.await.map(drop),
            Err(error) => Err(error),
        };
        sent.map_err(|error| JobError::unavailable("the broker did not take a message", error))
    }
}

#[async_trait]
impl Backend for Nats {
    async fn submit(&self, job: &Job) -> Result<Submitted, JobError> {
        self.desk.submit(job).await
    }

    async fn job(&self, id: &str) -> Result<Option<Job>, JobError> {
        if self.desk.ledger.see(|view| view.record(id).is_none()) {
            return Ok(None);
        }
        let manifest = self.desk.shelf.get(id).await?;
        Ok(manifest.map(|manifest| Arc::unwrap_or_clone(manifest.job)))
    }

    async fn summary(&self, id: &str) -> Result<Option<Summary>, JobError> {
        Ok(self.desk.ledger.see(|view| view.summary(id)))
    }

    async fn items(
        &self,
        id: &str,
        from: usize,
        most: usize,
    ) -> Result<Vec<(usize, Item, Standing)>, JobError> {
        if self.desk.ledger.see(|view| view.record(id).is_none()) {
            return Ok(Vec::new());
        }
        let Some(manifest) = self.desk.shelf.get(id).await? else { return Ok(Vec::new()) };
        let items = manifest.job.items.iter().enumerate().skip(from).take(most);
        Ok(self
            .desk
            .ledger
            .see(|view| items.map(|(item, what)| (item, what.clone(), view.standing(id, item))).collect()))
    }

    async fn ended(&self, id: &str, skip: usize, most: usize) -> Result<Vec<(usize, Standing)>, JobError> {
        Ok(self.desk.ledger.see(|view| view.ended(id, skip, most)))
    }

    async fn list(&self, owner: u64, before: Option<&str>, most: usize) -> Result<Vec<Summary>, JobError> {
        Ok(self.desk.ledger.see(|view| view.list(owner, before, most)))
    }

    async fn cancel(&self, id: &str) -> Result<(), JobError> {
        self.desk.cancel(id).await
    }

    async fn forget(&self, id: &str) -> Result<(), JobError> {
        self.desk.forget(id).await
    }

    async fn claim(&self, patience: Duration) -> Result<Option<Claimed>, JobError> {
        self.desk.claim(patience).await
    }

    async fn alive(&self, lease: &Lease, percent: u8) -> Result<Hold, JobError> {
        self.desk.alive(lease, percent).await
    }

    async fn end(&self, lease: &Lease, standing: &Standing) -> Result<(), JobError> {
        self.desk.end(lease, standing).await
    }

    async fn back(&self, lease: &Lease, wait: Duration, counts: bool) -> Result<(), JobError> {
        self.desk.back(lease, wait, counts).await
    }

    async fn due_webhook(&self) -> Result<Option<Webhook>, JobError> {
        self.desk.due_webhook().await
    }

    async fn webhook_tried(&self, webhook: &Webhook, again: Option<Duration>) -> Result<(), JobError> {
        self.desk.webhook_tried(webhook, again).await
    }

    async fn backlog(&self) -> Result<Counts, JobError> {
        Ok(self.desk.ledger.see(|view| view.backlog()))
    }

    async fn old(&self, before_ms: u64, most: usize) -> Result<Vec<String>, JobError> {
        Ok(self.desk.ledger.see(|view| view.old(before_ms, most)))
    }

    async fn changed(&self, id: &str) {
        let ledger = &self.desk.ledger;
        let mut floor = ledger.floor();
        let before = ledger.see(|view| view.version(id));
        let other = async {
            while floor.changed().await.is_ok() {
                if ledger.see(|view| view.version(id)) != before {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(NOW_AND_THEN, other).await;
    }
}
