//! The backend of one machine: a SQLite database in, jobs and their items out, in the server's own process.
//!
//! Every call is one transaction, on the disk when it returns (WAL, `synchronous=FULL`). The database belongs to one process, so whatever
//! was worked on when it is opened is worked on by nobody.

mod intake;
mod look;
mod queue;
mod schema;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::watch;
use tokio::time::Instant;

use super::backend::{Backend, Claimed, Hold, JobError, LEASE, Lease, Submitted, Token, Webhook};
use super::job::{Counts, Item, Job, Standing, Summary, now_ms};

/// How often is looked for what comes back to the queue by time alone.
const ROUNDS: Duration = Duration::from_millis(500);

pub struct Embedded {
    database: Arc<Mutex<Connection>>,
    /// Goes up with every change.
    changes: watch::Sender<u64>,
    lease: Duration,
    max_queued: usize,
}

impl Embedded {
    /// `max_queued`: items that may wait.
    ///
    /// # Errors
    /// The folder cannot be used, or another process uses it.
    pub fn open(file: &Path, max_queued: usize) -> Result<Embedded, JobError> {
        let database = schema::open(file)?;
        Ok(Embedded {
            database: Arc::new(Mutex::new(database)),
            changes: watch::Sender::new(0),
            lease: LEASE,
            max_queued,
        })
    }

    /// Items belong to a silent worker for so long.
    pub fn with_lease(self, lease: Duration) -> Embedded {
        Embedded { lease, ..self }
    }

    fn lease_ms(&self) -> u64 {
        self.lease.as_millis() as u64
    }

    /// One transaction, off the threads that serve sockets.
    async fn read<T, F>(&self, work: F) -> Result<T, JobError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction) -> rusqlite::Result<T> + Send + 'static,
    {
        let database = self.database.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut database = database.lock().unwrap_or_else(PoisonError::into_inner);
            // Immediate: it is the only connection, and a transaction that becomes a writer later could be refused.
            let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        });
        let done = done.await.map_err(|error| JobError::unavailable("the database of jobs", error))?;
        done.map_err(|error: rusqlite::Error| JobError::unavailable("the database of jobs (jobs.dir)", error))
    }

    /// The same, of which whoever waits for a change is told.
    async fn write<T, F>(&self, work: F) -> Result<T, JobError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction) -> rusqlite::Result<T> + Send + 'static,
    {
        let done = self.read(work).await?;
        self.changes.send_modify(|changes| *changes += 1);
        Ok(done)
    }

    async fn next_change(&self, most: Duration) {
        let mut changes = self.changes.subscribe();
        // Over time is as good as a change.
        let _ = tokio::time::timeout(most, changes.changed()).await;
    }
}

#[async_trait]
impl Backend for Embedded {
    async fn submit(&self, job: &Job) -> Result<Submitted, JobError> {
        let (job, most) = (job.clone(), self.max_queued);
        match self.write(move |database| intake::submit(database, &job, most)).await? {
            intake::Taken::In(submitted) => Ok(submitted),
            intake::Taken::Full { waiting } => Err(JobError::Full { waiting, most }),
        }
    }

    async fn job(&self, id: &str) -> Result<Option<Job>, JobError> {
        let id = id.to_owned();
        self.read(move |database| look::job(database, &id)).await
    }

    async fn summary(&self, id: &str) -> Result<Option<Summary>, JobError> {
        let id = id.to_owned();
        self.read(move |database| look::summary(database, &id)).await
    }

    async fn items(
        &self,
        id: &str,
        from: usize,
        most: usize,
    ) -> Result<Vec<(usize, Item, Standing)>, JobError> {
        let id = id.to_owned();
        self.read(move |database| look::items(database, &id, from, most)).await
    }

    async fn ended(&self, id: &str, skip: usize, most: usize) -> Result<Vec<(usize, Standing)>, JobError> {
        let id = id.to_owned();
        self.read(move |database| look::ended(database, &id, skip, most)).await
    }

    async fn list(&self, owner: u64, before: Option<&str>, most: usize) -> Result<Vec<Summary>, JobError> {
        let before = before.map(str::to_owned);
        self.read(move |database| look::list(database, owner, before.as_deref(), most)).await
    }

    async fn cancel(&self, id: &str) -> Result<(), JobError> {
        let id = id.to_owned();
        self.write(move |database| queue::cancel(database, &id, now_ms())).await
    }

    async fn forget(&self, id: &str) -> Result<(), JobError> {
        let id = id.to_owned();
        self.write(move |database| queue::forget(database, &id)).await
    }

    async fn claim(&self, patience: Duration) -> Result<Option<Claimed>, JobError> {
        let until = Instant::now() + patience;
        let lease = self.lease_ms();
        loop {
            // Before the look: what comes after it is a change.
            let mut changes = self.changes.subscribe();
            let claimed = self.read(move |database| queue::claim(database, now_ms(), lease)).await?;
            if let Some(claimed) = claimed {
                self.changes.send_modify(|changes| *changes += 1);
                return Ok(Some(claimed));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let _ = tokio::time::timeout(left.min(ROUNDS), changes.changed()).await;
        }
    }

    async fn alive(&self, lease: &Lease, percent: u8) -> Result<Hold, JobError> {
        let (lease, lasts) = (number(lease), self.lease_ms());
        self.write(move |database| queue::alive(database, lease, percent, now_ms() + lasts)).await
    }

    async fn end(&self, lease: &Lease, standing: &Standing) -> Result<(), JobError> {
        let (lease, standing) = (number(lease), standing.clone());
        self.write(move |database| queue::end(database, lease, &standing, now_ms())).await
    }

    async fn back(&self, lease: &Lease, wait: Duration, counts: bool) -> Result<(), JobError> {
        let (lease, not_before) = (number(lease), now_ms() + wait.as_millis() as u64);
        self.write(move |database| queue::back(database, lease, not_before, counts)).await
    }

    async fn due_webhook(&self) -> Result<Option<Webhook>, JobError> {
        let lease = self.lease_ms();
        self.read(move |database| queue::due_webhook(database, now_ms(), lease)).await
    }

    async fn webhook_tried(&self, webhook: &Webhook, again: Option<Duration>) -> Result<(), JobError> {
        let job = webhook.job.clone();
        let next = again.map(|wait| now_ms() + wait.as_millis() as u64);
        self.read(move |database| queue::webhook_tried(database, &job, next)).await
    }

    async fn backlog(&self) -> Result<Counts, JobError> {
        self.read(look::backlog).await
    }

    async fn old(&self, before_ms: u64, most: usize) -> Result<Vec<String>, JobError> {
        self.read(move |database| look::old(database, before_ms, most)).await
    }

    async fn changed(&self, _: &str) {
        self.next_change(Duration::from_secs(1)).await;
    }
}

/// What `queue::claim` put into it.
fn number(lease: &Lease) -> i64 {
    match lease.token {
        Token::Number(number) => number,
        Token::Message(_) => 0,
    }
}
