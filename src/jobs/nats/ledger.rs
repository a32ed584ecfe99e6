//! Keys and values in, revisions out: what the broker's key-value store is told and asked, and the view of all of it in memory.
//!
//! Only what the watch brings is applied, in the order of revisions; who has written something waits until it comes back that way. So
//! nobody who looks here sees what ended second before what ended first, and everybody finds what he wrote himself.

use std::sync::atomic::AtomicI64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::context::{Context, PublishErrorKind};
use async_nats::jetstream::kv::{Operation, Store};
use async_nats::jetstream::message::PublishMessage;
use tokio::sync::watch;

use super::records::{BUCKET, Key};
use super::view::View;
use crate::jobs::backend::JobError;
use crate::jobs::job::now_ms;

/// For an own write to come back. Afterwards it is applied without having come.
const COMES_BACK: Duration = Duration::from_secs(2);
/// For a lost connection to be there again before somebody is told that it is lost.
const OUTAGE: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(50);
const OPERATION: &str = "KV-Operation";

pub struct Ledger {
    pub context: Context,
    pub store: Store,
    views: Mutex<Views>,
    /// When what is heard was begun, in nanoseconds since 1970: another number, another memory.
    pub born: AtomicI64,
    /// The last revision that was applied.
    floor: watch::Sender<u64>,
    /// Counts up when there may be something to do.
    work: watch::Sender<u64>,
}

/// What is kept under a key.
pub struct Entry {
    /// `None`: it was removed.
    pub value: Option<Vec<u8>>,
    pub revision: u64,
    pub at_ms: u64,
}

#[derive(Default)]
struct Views {
    view: View,
    /// One that is built up from the beginning, while the other is looked at.
    fresh: Option<View>,
}

impl Ledger {
    pub async fn open(context: Context) -> Result<Ledger, JobError> {
        let store = context.get_key_value(BUCKET).await;
        let store = store.map_err(|error| JobError::unavailable("the broker's key-value store", error))?;
        Ok(Ledger {
            context,
            store,
            views: Mutex::default(),
            born: AtomicI64::new(0),
            floor: watch::Sender::new(0),
            work: watch::Sender::new(0),
        })
    }

    fn views(&self) -> MutexGuard<'_, Views> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn see<T>(&self, look: impl FnOnce(&View) -> T) -> T {
        look(&self.views().view)
    }

    pub fn drop_husk(&self, key: &Key) {
        self.views().view.drop_husk(key);
    }

    /// Changes with every revision.
    pub fn floor(&self) -> watch::Receiver<u64> {
        self.floor.subscribe()
    }

    /// Changes when something may wait that did not before.
    pub fn work(&self) -> watch::Receiver<u64> {
        self.work.subscribe()
    }

    pub fn begin_afresh(&self) {
        self.views().fresh = Some(View::default());
    }

    /// `floor`: what the new view has seen.
    pub fn end_afresh(&self, floor: u64) {
        let mut views = self.views();
        if let Some(fresh) = views.fresh.take() {
            views.view = fresh;
        }
        drop(views);
        self.floor.send_replace(floor);
        self.work.send_modify(|work| *work += 1);
    }

    fn apply(&self, key: &str, value: Option<&[u8]>, revision: u64, at_ms: u64) {
        let mut views = self.views();
        let is_work = views.view.apply(key, value, revision, at_ms);
        if let Some(fresh) = &mut views.fresh {
            fresh.apply(key, value, revision, at_ms);
        }
        drop(views);
        if is_work {
            self.work.send_modify(|work| *work += 1);
        }
    }

    /// What the watch brings.
    pub fn heard(&self, key: &str, value: Option<&[u8]>, revision: u64, at_ms: u64) {
        self.apply(key, value, revision, at_ms);
        if self.views().fresh.is_none() {
            self.floor.send_replace(revision);
        }
    }

    /// Fails after a moment if there is no connection: what is sent into an outage is done when it ends, and nobody expects it then.
    pub async fn online(&self) -> Result<(), JobError> {
        let client = self.context.client();
        let until = tokio::time::Instant::now() + OUTAGE;
        while client.connection_state() != State::Connected {
            if tokio::time::Instant::now() >= until {
                return Err(JobError::Unavailable("the broker (jobs.nats_url) cannot be reached".to_owned()));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Writes; `value`: `None` removes. `expect`: the revision that is replaced, 0: none was ever. `None`: somebody else was first.
    pub async fn write(
        &self,
        key: &Key,
        value: Option<Vec<u8>>,
        expect: Option<u64>,
    ) -> Result<Option<u64>, JobError> {
        self.online().await?;
        let mut message = PublishMessage::build().payload(value.clone().unwrap_or_default().into());
        if value.is_none() {
            message = message.header(OPERATION, "DEL");
        }
        if let Some(revision) = expect {
            message = message.expected_last_subject_sequence(revision);
        }
        let written = match self.context.send_publish(key.subject(), message).await {
            Ok(ack) => ack.await,
            Err(error) => Err(error),
        };
        match written {
            Ok(ack) => {
                self.reach(&key.to_string(), value.as_deref(), ack.sequence).await;
                Ok(Some(ack.sequence))
            }
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(None),
            Err(error) => Err(JobError::unavailable("the broker did not take a state", error)),
        }
    }

    /// The last that was written; a removed key has a revision too.
    pub async fn read(&self, key: &Key) -> Result<Option<Entry>, JobError> {
        self.online().await?;
        let entry = self.store.entry(key.to_string()).await;
        let entry = entry.map_err(|error| JobError::unavailable("the broker did not tell a state", error))?;
        Ok(entry.map(|entry| Entry {
            value: (entry.operation == Operation::Put).then(|| entry.value.to_vec()),
            revision: entry.revision,
            at_ms: u64::try_from(entry.created.unix_timestamp()).unwrap_or_default() * 1_000,
        }))
    }

    /// Sees to it that the view knows what is written of a key by now.
    pub async fn refresh(&self, key: &Key) -> Result<(), JobError> {
        if let Some(entry) = self.read(key).await? {
            self.reach(&key.to_string(), entry.value.as_deref(), entry.revision).await;
        }
        Ok(())
    }

    async fn reach(&self, key: &str, value: Option<&[u8]>, revision: u64) {
        let mut floor = self.floor();
        let reached = tokio::time::timeout(COMES_BACK, floor.wait_for(|floor| *floor >= revision)).await;
        if reached.is_err() {
            self.apply(key, value, revision, now_ms());
        }
    }

    /// Throws away what is kept of a key, up to a revision, without leaving a word.
    pub async fn sweep(&self, subject: String, until: Option<u64>) -> Result<(), JobError> {
        let purge = self.store.stream.purge().filter(subject);
        let swept = match until {
            Some(revision) => purge.sequence(revision + 1).await,
            None => purge.await,
        };
        swept.map(drop).map_err(|error| JobError::unavailable("the broker did not remove a state", error))
    }
}
