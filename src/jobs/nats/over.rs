//! Jobs that are over: ended, cancelled, told of and forgotten.

use std::time::Duration;

use async_nats::jetstream::AckKind;

use super::Desk;
use super::claim::{answer, delivery, next};
use super::records::{BUCKET_SUBJECTS, Key, Moment, Reserved, Told, bytes, read};
use super::streams::{HOOKS_SUBJECT, ITEMS, items_filter};
use crate::jobs::backend::{JobError, Token, Webhook};
use crate::jobs::job::{ItemState, now_ms};

/// A webhook whose job's end is not heard of here yet.
const SOON: Duration = Duration::from_millis(500);
/// So often; a job that is not known by then is no more.
const NEVER_WAS: i64 = 200;
const WORTH_SWEEPING: usize = 100;

impl Desk {
    /// Says that a job has ended, if it has: its webhook first, so that whoever dies in between has it told twice and not never.
    pub async fn finish(&self, id: &str) -> Result<(), JobError> {
        let due =
            self.ledger.see(|view| (view.is_over(id) && !view.has_end(id)).then(|| view.record(id).cloned()));
        let Some(record) = due.flatten() else { return Ok(()) };
        // Who cancels a job knows of it.
        let is_cancelled = self.ledger.see(|view| view.is_cancelled(id));
        if record.webhook.is_some() && !is_cancelled {
            let told = bytes(&Told { job: id.to_owned() });
            self.publish(HOOKS_SUBJECT, id, told).await?;
        }
        let key = Key::Ended(id.to_owned());
        if self.ledger.write(&key, Some(bytes(&Moment { ms: now_ms() })), Some(0)).await?.is_none() {
            self.ledger.refresh(&key).await?;
        }
        Ok(())
    }

    /// As `finish`. If it cannot be said now, it is said by whoever looks next.
    pub(super) async fn finish_later(&self, id: &str) {
        if let Err(error) = self.finish(id).await {
            tracing::debug!(%error, job = id, "a job's end is not said yet");
        }
    }

    pub async fn cancel(&self, id: &str) -> Result<(), JobError> {
        let (is_there, is_over) = self.ledger.see(|view| (view.record(id).is_some(), view.is_over(id)));
        if !is_there || is_over {
            return Ok(());
        }
        let waiting = self.waiting_of(id);
        let key = Key::Cancelled(id.to_owned());
        if self.ledger.write(&key, Some(bytes(&Moment { ms: now_ms() })), Some(0)).await?.is_none() {
            self.ledger.refresh(&key).await?;
        }
        self.sweep_queue(id, waiting).await;
        self.finish_later(id).await;
        Ok(())
    }

    /// Throws away what waits of a job. Only to save time, where there is time to save: what is left is dropped when it is claimed, and
    /// servers of 2.9 stumble over messages that they gave out and that are not there any more.
    async fn sweep_queue(&self, id: &str, waiting: usize) {
        if waiting < WORTH_SWEEPING {
            return;
        }
        let stream = self.ledger.context.get_stream_no_info(ITEMS).await;
        let swept = match stream {
            Ok(stream) => {
                stream.purge().filter(items_filter(id)).await.map(drop).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = swept {
            tracing::debug!(error, job = id, "a job's items stay in the queue until somebody claims them");
        }
    }

    /// How many of its items are not begun.
    fn waiting_of(&self, id: &str) -> usize {
        let summary = self.ledger.see(|view| view.summary(id));
        summary.map_or(0, |summary| summary.counts.of(ItemState::Queued))
    }

    pub async fn forget(&self, id: &str) -> Result<(), JobError> {
        let Some(record) = self.ledger.see(|view| view.record(id).cloned()) else { return Ok(()) };
        if let Some(hash) = record.request {
            self.forget_request(&Key::Request(record.owner, hash), id).await?;
        }
        let waiting = self.waiting_of(id);
        // From here on it is no job, for anybody; what is left is removed here, or by `tend` if this one dies.
        self.ledger.write(&Key::Job(id.to_owned()), None, None).await?;
        self.sweep_queue(id, waiting).await;
        self.sweep_states(id).await?;
        self.shelf.delete(id).await
    }

    /// Only if it is still this job's.
    async fn forget_request(&self, key: &Key, id: &str) -> Result<(), JobError> {
        let Some(entry) = self.ledger.read(key).await? else { return Ok(()) };
        let reserved = entry.value.as_deref().and_then(read::<Reserved>);
        match reserved.is_some_and(|reserved| reserved.job == id) {
            true => self.ledger.sweep(key.subject(), Some(entry.revision)).await,
            false => Ok(()),
        }
    }

    /// What is kept of a job but that it is gone: other processes are told by that alone.
    pub(super) async fn sweep_states(&self, id: &str) -> Result<(), JobError> {
        self.ledger.sweep(format!("{BUCKET_SUBJECTS}.i.{id}.>"), None).await?;
        self.ledger.sweep(Key::Cancelled(id.to_owned()).subject(), None).await?;
        self.ledger.sweep(Key::Ended(id.to_owned()).subject(), None).await
    }

    pub async fn due_webhook(&self) -> Result<Option<Webhook>, JobError> {
        self.ledger.online().await?;
        while let Some(message) = next(&self.hooks).await? {
            let (_, delivered) = delivery(&message);
            let Some(told) = read::<Told>(&message.payload) else {
                answer(&message, AckKind::Term).await;
                continue;
            };
            let (record, has_end, is_gone) = self.ledger.see(|view| {
                (view.record(&told.job).cloned(), view.has_end(&told.job), view.is_gone(&told.job))
            });
            let url = match record {
                Some(record) if has_end || delivered > NEVER_WAS => record.webhook,
                None if is_gone || delivered > NEVER_WAS => None,
                _ => {
                    answer(&message, AckKind::Nak(Some(SOON))).await;
                    continue;
                }
            };
            let Some(url) = url else {
                answer(&message, AckKind::Ack).await;
                continue;
            };
            let tries = u32::try_from(delivered - 1).unwrap_or_default();
            let token = Token::Message(std::sync::Arc::new(message));
            return Ok(Some(Webhook { job: told.job, url, tries, token }));
        }
        Ok(None)
    }

    pub async fn webhook_tried(&self, webhook: &Webhook, again: Option<Duration>) -> Result<(), JobError> {
        let Token::Message(message) = &webhook.token else { return Ok(()) };
        self.ledger.online().await?;
        let kind = again.map_or(AckKind::Ack, |wait| AckKind::Nak(Some(wait)));
        let answered = message.double_ack_with(kind).await;
        answered.map_err(|error| JobError::unavailable("the broker's webhooks", error))
    }
}
