//! A job in, and it is the broker's for good, or nothing of it is left: what goes in first, and what is taken back.

use std::error::Error;
use std::time::Duration;

use async_nats::jetstream::context::{PublishAckFuture, PublishError};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, ErrorCode};
use futures::{StreamExt, TryStreamExt};

use super::Desk;
use super::records::{Kept, Key, Record, Reserved, Ticket, bytes, is_plain, read};
use super::streams::{ITEMS, items_subject};
use crate::jobs::backend::{JobError, Submitted};
use crate::jobs::job::{Job, Request, Sound, now_ms};

/// Messages that are on their way at once.
const BATCH: usize = 1_000;
/// States that are.
const STATES: usize = 64;
const LOOK: Duration = Duration::from_millis(100);

enum Reservation {
    Mine(u64),
    Before(String),
    KeyReused,
}

impl Desk {
    pub async fn submit(&self, job: &Job) -> Result<Submitted, JobError> {
        if !is_plain(&job.id) {
            let message = format!("{:?} cannot be the id of a job", job.id);
            return Err(JobError::Unavailable(message));
        }
        let reserved = match &job.request {
            None => None,
            Some(request) => match self.reserve(job, request).await? {
                Reservation::Mine(revision) => Some((Key::request(job.owner, request), revision)),
                Reservation::Before(id) => return Ok(Submitted::Before(id)),
                Reservation::KeyReused => return Ok(Submitted::KeyReused),
            },
        };
        let to_do = job.items.iter().filter(|item| !matches!(item.sound, Sound::Refused(_))).count();
        // Nothing of it is there yet but its key.
        if let Err(error) = self.has_room(to_do).await {
            self.release(reserved).await;
            return Err(error);
        }
        match self.hand_in(job).await {
            Ok(true) => {}
            Ok(false) => match &job.request {
                Some(request) => return self.overtaken(job, request).await,
                None => return Err(given_up(&job.id)),
            },
            Err(error) => match self.take_back(job).await? {
                true => {}
                false => {
                    self.release(reserved).await;
                    return Err(error);
                }
            },
        }
        // All its files may have been refused. If this fails, somebody else does it a moment later.
        if let Err(error) = self.finish(&job.id).await {
            tracing::debug!(%error, job = job.id, "a job without work could not be ended yet");
        }
        Ok(Submitted::New)
    }

    /// Somebody with the same key thought that this one had died. There is one job, and it is his.
    async fn overtaken(&self, job: &Job, request: &Request) -> Result<Submitted, JobError> {
        match self.reserve(job, request).await? {
            Reservation::Before(id) => Ok(Submitted::Before(id)),
            Reservation::KeyReused => Ok(Submitted::KeyReused),
            Reservation::Mine(revision) => {
                self.release(Some((Key::request(job.owner, request), revision))).await;
                Err(given_up(&job.id))
            }
        }
    }

    async fn reserve(&self, job: &Job, request: &Request) -> Result<Reservation, JobError> {
        let key = Key::request(job.owner, request);
        let mine = bytes(&Reserved { job: job.id.clone(), content: request.content.clone() });
        let mut revision = 0;
        loop {
            if let Some(revision) = self.ledger.write(&key, Some(mine.clone()), Some(revision)).await? {
                return Ok(Reservation::Mine(revision));
            }
            let Some(entry) = self.ledger.read(&key).await? else {
                revision = 0;
                continue;
            };
            revision = entry.revision;
            let Some(value) = entry.value else { continue };
            let Some(other) = read::<Reserved>(&value) else { return Ok(Reservation::KeyReused) };
            if other.job == job.id {
                return Ok(Reservation::Mine(revision));
            }
            if other.content != request.content {
                return Ok(Reservation::KeyReused);
            }
            if self.is_there(&other.job, entry.at_ms).await? {
                return Ok(Reservation::Before(other.job));
            }
        }
    }

    /// Whether a job that was begun at `since_ms` is handed in in the end. One that is not never will be afterwards.
    async fn is_there(&self, id: &str, since_ms: u64) -> Result<bool, JobError> {
        let key = Key::Job(id.to_owned());
        let until = since_ms + self.times.take_over.as_millis() as u64;
        loop {
            match self.ledger.read(&key).await? {
                Some(entry) => return Ok(entry.value.is_some()),
                None if now_ms() < until => tokio::time::sleep(LOOK).await,
                // Only one of the two can be the first to write here.
                None => {
                    if self.ledger.write(&key, None, Some(0)).await?.is_some() {
                        self.shelf.delete(id).await?;
                        return Ok(false);
                    }
                }
            }
        }
    }

    async fn has_room(&self, items: usize) -> Result<(), JobError> {
        let most = self.settings.max_queued_items;
        let waiting = self.waiting().await?;
        match waiting + items > most {
            true => Err(JobError::Full { waiting, most }),
            false => Ok(()),
        }
    }

    async fn waiting(&self) -> Result<usize, JobError> {
        self.ledger.online().await?;
        let stream = self.ledger.context.get_stream(ITEMS).await;
        let stream = stream.map_err(|error| JobError::unavailable("the broker's queue", error))?;
        Ok(usize::try_from(stream.cached_info().state.messages).unwrap_or(usize::MAX))
    }

    /// False: somebody has said that there is to be no such job.
    async fn hand_in(&self, job: &Job) -> Result<bool, JobError> {
        self.shelf.kept().put(job).await?;
        self.write_refused(job).await?;
        let all = job.items.iter().enumerate();
        let wanted = all.filter(|(_, item)| !matches!(item.sound, Sound::Refused(_)));
        self.enqueue(job, wanted.map(|(item, _)| item).collect()).await?;
        self.write_record(job).await
    }

    pub(super) async fn write_refused(&self, job: &Job) -> Result<(), JobError> {
        let now = now_ms();
        let refused = job.items.iter().enumerate().filter_map(|(item, what)| match &what.sound {
            Sound::Refused(error) => {
                Some((Key::Item(job.id.clone(), item), bytes(&Kept::refused(error, now))))
            }
            Sound::Kept { .. } | Sound::Url(_) => None,
        });
        let refused: Vec<_> = refused.collect();
        // Of one that is there already, nothing changes.
        let write = |(key, value)| async move { self.ledger.write(&key, Some(value), Some(0)).await };
        futures::stream::iter(refused)
            .map(write)
            .buffer_unordered(STATES)
            .try_for_each(|_| async { Ok(()) })
            .await
    }

    /// The last of all: from here on it is a job.
    pub(super) async fn write_record(&self, job: &Job) -> Result<bool, JobError> {
        let key = Key::Job(job.id.clone());
        if self.ledger.write(&key, Some(bytes(&Record::of(job))), Some(0)).await?.is_some() {
            return Ok(true);
        }
        // It may have been written, and the answer lost.
        self.ledger.refresh(&key).await?;
        Ok(self.ledger.see(|view| view.record(&job.id).is_some()))
    }

    pub(super) async fn enqueue(&self, job: &Job, items: Vec<usize>) -> Result<(), JobError> {
        self.ledger.online().await?;
        let subject = items_subject(job.priority, &job.id);
        let mut on_their_way: Vec<PublishAckFuture> = Vec::new();
        for item in items {
            let payload = bytes(&Ticket { job: job.id.clone(), item });
            let id = format!("{}.{item}", job.id);
            let message = PublishMessage::build().message_id(id).payload(payload.into());
            let sent = self.ledger.context.send_publish(subject.clone(), message).await;
            on_their_way.push(sent.map_err(|error| self.refusal(&error))?);
            if on_their_way.len() == BATCH {
                self.arrive(&mut on_their_way).await?;
            }
        }
        self.arrive(&mut on_their_way).await
    }

    async fn arrive(&self, on_their_way: &mut Vec<PublishAckFuture>) -> Result<(), JobError> {
        for ack in on_their_way.drain(..) {
            ack.await.map_err(|error| self.refusal(&error))?;
        }
        Ok(())
    }

    fn refusal(&self, error: &PublishError) -> JobError {
        let said = error.source().and_then(|source| source.downcast_ref::<jetstream::Error>());
        if said.is_some_and(|said| said.error_code() == ErrorCode::STREAM_STORE_FAILED) {
            let most = self.settings.max_queued_items;
            return JobError::Full { waiting: most, most };
        }
        JobError::unavailable("the broker did not take an item", error)
    }

    /// After a failure half-way. True: it is a job after all. If nobody answers, it may become one: that is for `reconcile` to find out.
    async fn take_back(&self, job: &Job) -> Result<bool, JobError> {
        let key = Key::Job(job.id.clone());
        if self.ledger.write(&key, None, Some(0)).await?.is_none() {
            self.ledger.refresh(&key).await?;
            return Ok(self.ledger.see(|view| view.record(&job.id).is_some()));
        }
        self.sweep_states(&job.id).await?;
        self.shelf.delete(&job.id).await?;
        Ok(false)
    }

    /// The key may be used again, for anything.
    async fn release(&self, reserved: Option<(Key, u64)>) {
        let Some((key, revision)) = reserved else { return };
        if let Err(error) = self.ledger.write(&key, None, Some(revision)).await {
            tracing::warn!(%error, "an Idempotency-Key could not be released");
        }
    }
}

fn given_up(id: &str) -> JobError {
    JobError::Unavailable(format!("the job {id} was given up before; it needs another id"))
}
