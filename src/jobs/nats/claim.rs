//! A worker's patience in, an item that is his now out; what nobody needs any more and what has killed too many workers goes no further.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{AckKind, Message};
use futures::StreamExt;
use serde_json::json;
use tokio::time::Instant;

use super::Desk;
use super::manifests::Manifest;
use super::records::{Dead, Kept, Key, Ticket, bytes, read};
use super::streams::{DEAD_SUBJECT, Queue};
use super::view::Look;
use crate::jobs::backend::{Claimed, JobError, Lease, Token};
use crate::jobs::job::{ItemId, ItemState, Standing, now_ms};
use crate::telemetry::metrics;

/// Who finds nothing looks again so often: what comes back from a worker that died is not announced.
const LOOK: Duration = Duration::from_secs(1);
/// So long is spent on messages that turn out to be nobody's.
const DROPPING: Duration = Duration::from_secs(1);
/// A broker that counts messages that are not due yet, or were thrown away, waits for them; not longer than this.
const NOTHING: Duration = Duration::from_millis(100);
/// For the queue's answer to be here. Servers of 2.9 do not always say that there was nothing.
const ANSWER: Duration = Duration::from_millis(400);
/// Of an item whose job is not handed in yet; it is twice as long each time.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// So often somebody asks for its job before it is taken to be of one that never was: some minutes.
const NEVER_WAS: i64 = 200;
/// Of a description that is not there.
const LOST: i64 = 20;
const RACES: usize = 10;

/// What is to be done with an item's message.
enum Turn {
    Yours(Manifest, u32),
    /// Nobody needs it.
    Drop,
    Later(Duration),
    Dead(&'static str, String),
}

impl Desk {
    /// Whoever gives up waiting before this returns may lose an item until its lease is over.
    pub async fn claim(&self, patience: Duration) -> Result<Option<Claimed>, JobError> {
        let until = Instant::now() + patience;
        let enough = until.max(Instant::now() + DROPPING);
        loop {
            // Before the queue is looked at, so that nothing that comes after it is missed.
            let mut work = self.ledger.work();
            self.ledger.online().await?;
            while let Some(message) = self.next_item().await? {
                if let Some(claimed) = self.take(Arc::new(message)).await? {
                    return Ok(Some(claimed));
                }
                if Instant::now() > enough {
                    return Ok(None);
                }
            }
            let now = Instant::now();
            if now >= until {
                return Ok(None);
            }
            let _ = tokio::time::timeout(LOOK.min(until - now), work.changed()).await;
        }
    }

    async fn next_item(&self) -> Result<Option<Message>, JobError> {
        for queue in &self.items {
            if let Some(message) = next(queue).await? {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    async fn take(&self, message: Arc<Message>) -> Result<Option<Claimed>, JobError> {
        let Some(ticket) = read::<Ticket>(&message.payload) else {
            answer(&message, AckKind::Term).await;
            return Ok(None);
        };
        let turn = self.turn(&ticket, &message).await;
        let turn = match turn {
            Ok(turn) => turn,
            Err(error) => {
                answer(&message, AckKind::Nak(Some(LOOK))).await;
                return Err(error);
            }
        };
        match turn {
            Turn::Yours(manifest, deliveries) => {
                let Some(item) = manifest.job.items.get(ticket.item).cloned() else {
                    answer(&message, AckKind::Term).await;
                    return Ok(None);
                };
                let id = ItemId { job: ticket.job, item: ticket.item };
                let lease = Lease { id, token: Token::Message(message) };
                let (owner, fields) = (manifest.job.owner, manifest.fields);
                return Ok(Some(Claimed { lease, owner, fields, item, deliveries }));
            }
            Turn::Drop => answer(&message, AckKind::Ack).await,
            Turn::Later(wait) => answer(&message, AckKind::Nak(Some(wait))).await,
            Turn::Dead(code, reason) => {
                if let Err(error) = self.give_up(&ticket, code, reason).await {
                    answer(&message, AckKind::Nak(Some(LOOK))).await;
                    return Err(error);
                }
                answer(&message, AckKind::Ack).await;
            }
        }
        Ok(None)
    }

    async fn turn(&self, ticket: &Ticket, message: &Message) -> Result<Turn, JobError> {
        let (by, delivered) = delivery(message);
        let most = self.settings.max_deliveries;
        let mut has_asked = false;
        for _ in 0..RACES {
            let (revision, kept) = match self.ledger.see(|view| view.look(&ticket.job, ticket.item)) {
                Look::Unknown if !has_asked => {
                    has_asked = true;
                    self.ledger.refresh(&Key::Job(ticket.job.clone())).await?;
                    continue;
                }
                Look::Unknown if delivered > NEVER_WAS => return Ok(Turn::Drop),
                Look::Unknown => {
                    let times = u32::try_from(delivered.clamp(1, 10)).unwrap_or(1) - 1;
                    return Ok(Turn::Later(LONGEST_WAIT.min(FIRST_WAIT * 2_u32.pow(times))));
                }
                Look::Gone | Look::Final => return Ok(Turn::Drop),
                Look::Open(revision, kept) => (revision, kept),
            };
            let Some(manifest) = self.shelf.get(&ticket.job).await? else {
                return Ok(match delivered > LOST {
                    true => Turn::Dead(
                        "lost",
                        "what is to be done with it is not in the store any more".to_owned(),
                    ),
                    false => Turn::Later(LONGEST_WAIT),
                });
            };
            if kept.by == by {
                // It was written, and the answer lost.
                return Ok(Turn::Yours(manifest, kept.standing.deliveries));
            }
            if kept.standing.deliveries >= most {
                let reason = format!(
                    "its worker ended or lost its device {most} times while it was at it (jobs.max_deliveries)"
                );
                return Ok(Turn::Dead("dead_letter", reason));
            }
            let deliveries = kept.standing.deliveries + 1;
            let standing = Standing { state: ItemState::Working, deliveries, ..Standing::default() };
            let key = Key::Item(ticket.job.clone(), ticket.item);
            let next = Kept { standing, by: by.clone() };
            match self.ledger.write(&key, Some(bytes(&next)), Some(revision)).await? {
                Some(_) => return Ok(Turn::Yours(manifest, deliveries)),
                None => self.ledger.refresh(&key).await?,
            }
        }
        Ok(Turn::Later(LOOK))
    }

    /// It has failed for good, and somebody may look at why.
    async fn give_up(&self, ticket: &Ticket, code: &str, reason: String) -> Result<(), JobError> {
        let dead = Dead { job: ticket.job.clone(), item: ticket.item, reason };
        self.publish(DEAD_SUBJECT, &format!("{}.{}.dead", dead.job, dead.item), bytes(&dead)).await?;
        let error = json!({ "message": dead.reason, "type": "server_error", "param": null, "code": code });
        let id = ItemId { job: ticket.job.clone(), item: ticket.item };
        tracing::warn!(job = id.job, item = id.item, reason = dead.reason, "an item is given up");
        metrics::DEAD_LETTERS.add(1, &[]);
        let changed = self.change(&id, |kept| {
            let standing = Standing {
                state: ItemState::Failed,
                error: Some(error.clone()),
                ended_ms: Some(now_ms()),
                ..kept.standing.clone()
            };
            Some(Kept { standing, by: String::new() })
        });
        changed.await?;
        self.finish_later(&id.job).await;
        Ok(())
    }
}

/// Which delivery this is: of all of its queue, and of its message. Two workers never have the same.
pub(super) fn delivery(message: &Message) -> (String, i64) {
    match message.info() {
        Ok(info) => (format!("{}.{}", info.stream_sequence, info.consumer_sequence), info.delivered),
        // Not from a queue: nothing that is kept is its own.
        Err(_) => ("?".to_owned(), 1),
    }
}

/// Unanswered, it comes again when its lease is over; so an answer that gets lost costs time and nothing else.
pub(super) async fn answer(message: &Message, kind: AckKind) {
    if let Err(error) = message.ack_with(kind).await {
        tracing::debug!(%error, "an answer to the queue was not sent");
    }
}

/// What waits in a queue now. No answer is an answer too: where there is no connection, somebody else has noticed.
pub(super) async fn next(queue: &Queue) -> Result<Option<Message>, JobError> {
    let fetched = tokio::time::timeout(NOTHING + ANSWER, async {
        let mut messages = queue.fetch().max_messages(1).expires(NOTHING).messages().await?;
        messages.next().await.transpose()
    });
    let Ok(fetched) = fetched.await else { return Ok(None) };
    fetched.map_err(|error| JobError::unavailable("the broker's queue", error))
}
