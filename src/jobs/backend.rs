//! What keeps jobs and hands their items to workers: one interface, whoever is behind it. tests/jobs.rs holds every backend to it.

use std::time::Duration;

use async_trait::async_trait;

use super::job::{Counts, Item, ItemId, Job, Standing, Summary};

/// Everything is durable when it returns. Callers are on an async runtime; nothing blocks it.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Takes a job in, once: of two with the same owner and `request.key`, the first. Its audio is in the blobs by now.
    async fn submit(&self, job: &Job) -> Result<Submitted, JobError>;

    /// The job as it was handed in.
    async fn job(&self, id: &str) -> Result<Option<Job>, JobError>;

    async fn summary(&self, id: &str) -> Result<Option<Summary>, JobError>;

    /// Items from number `from` on, at most `most`, with what has become of them.
    async fn items(
        &self,
        id: &str,
        from: usize,
        most: usize,
    ) -> Result<Vec<(usize, Item, Standing)>, JobError>;

    /// What ended after the first `skip` that did, in the order in which they ended, at most `most`: numbers of items.
    async fn ended(&self, id: &str, skip: usize, most: usize) -> Result<Vec<(usize, Standing)>, JobError>;

    /// Jobs of an owner, the newest first, at most `most`, those before the job `before`.
    async fn list(&self, owner: u64, before: Option<&str>, most: usize) -> Result<Vec<Summary>, JobError>;

    /// Nothing of it is begun any more. Items that are worked on are dropped at their worker's next sign of life.
    async fn cancel(&self, id: &str) -> Result<(), JobError>;

    /// As if it had never been. Blobs are the caller's to remove.
    async fn forget(&self, id: &str) -> Result<(), JobError>;

    /// The next item for a worker, or `None` after at most `patience`.
    async fn claim(&self, patience: Duration) -> Result<Option<Claimed>, JobError>;

    /// A sign of life of whoever works on it; without one for `LEASE` the item is given to somebody else.
    async fn alive(&self, lease: &Lease, percent: u8) -> Result<Hold, JobError>;

    /// It has ended: `standing.state` is final. Of an item that has ended already, or whose lease is lost, nothing changes.
    async fn end(&self, lease: &Lease, standing: &Standing) -> Result<(), JobError>;

    /// It goes back to the queue, not to be claimed before `wait` is over. `counts`: whether this delivery counts as a failed one.
    async fn back(&self, lease: &Lease, wait: Duration, counts: bool) -> Result<(), JobError>;

    /// Webhooks that are due; each is given out for `LEASE`.
    async fn due_webhook(&self) -> Result<Option<Webhook>, JobError>;

    /// It was delivered or given up (`None`), or is tried again after a while.
    async fn webhook_tried(&self, webhook: &Webhook, again: Option<Duration>) -> Result<(), JobError>;

    /// What waits, over all owners.
    async fn backlog(&self) -> Result<Counts, JobError>;

    /// Jobs that ended before `before_ms`, at most `most`: they are to be forgotten.
    async fn old(&self, before_ms: u64, most: usize) -> Result<Vec<String>, JobError>;

    /// Completes when something of the job may have changed, and now and then without a reason.
    async fn changed(&self, id: &str);
}

/// How long an item belongs to a worker that shows no sign of life.
pub const LEASE: Duration = Duration::from_secs(60);
/// How often a worker shows one.
pub const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submitted {
    New,
    /// The job that the same request made before.
    Before(String),
    /// The key was used for another request.
    KeyReused,
}

/// An item that is a worker's now.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub lease: Lease,
    pub owner: u64,
    pub fields: std::sync::Arc<super::job::Fields>,
    pub item: Item,
    /// How often somebody has begun it, this time included.
    pub deliveries: u32,
}

/// What a worker shows to say that an item is its own.
#[derive(Clone, Debug)]
pub struct Lease {
    pub id: ItemId,
    /// The backend's own.
    pub token: Token,
}

#[derive(Clone, Debug)]
pub enum Token {
    Number(i64),
    Message(std::sync::Arc<async_nats::jetstream::Message>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    Mine,
    /// The job is cancelled or gone, or somebody else has the item: the work is for nobody.
    Gone,
}

/// A job that has ended, and who is to hear of it.
#[derive(Clone, Debug)]
pub struct Webhook {
    pub job: String,
    pub url: String,
    /// How often it was tried before.
    pub tries: u32,
    pub token: Token,
}

/// Why a backend could not do what it was asked for.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JobError {
    /// The setting that says how many there may be.
    #[error("{waiting} files are waiting, and no more than {most} may (jobs.max_queued_items)")]
    Full { waiting: usize, most: usize },
    /// The database, the broker or the folder: it may be back later. The text is for the log and for whoever runs the server.
    #[error("{0}")]
    Unavailable(String),
}

impl JobError {
    pub fn unavailable(what: &str, error: impl std::fmt::Display) -> JobError {
        JobError::Unavailable(format!("{what}: {error}"))
    }
}
