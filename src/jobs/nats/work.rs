//! A worker's lease in; out: whether it is still his, and the state of his item as he says it is.

use std::time::Duration;

use async_nats::jetstream::{AckKind, Message};

use super::Desk;
use super::claim::{answer, delivery};
use super::records::{Kept, Key, bytes};
use super::view::Look;
use crate::jobs::backend::{Hold, JobError, Lease, Token};
use crate::jobs::job::{ItemId, ItemState, Standing, now_ms};

const RACES: usize = 10;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Changed {
    Yes,
    /// Nothing of it changes any more.
    Final,
    /// Somebody else has it.
    NotMine,
}

impl Desk {
    pub async fn alive(&self, lease: &Lease, percent: u8) -> Result<Hold, JobError> {
        let Some(message) = message(lease) else { return Ok(Hold::Gone) };
        let (by, _) = delivery(message);
        let is_mine = self.ledger.see(|view| match view.look(&lease.id.job, lease.id.item) {
            Look::Open(_, kept) => kept.by == by,
            // Not known is not gone: the view may be built up anew.
            Look::Unknown => true,
            Look::Gone | Look::Final => false,
        });
        if is_mine {
            // First of all: what follows may take its time.
            answer(message, AckKind::Progress).await;
        }
        let changed = self.change(&lease.id, |kept| {
            let standing = Standing { percent, ..kept.standing.clone() };
            (kept.by == by).then(|| Kept { standing, by: by.clone() })
        });
        match changed.await? {
            Changed::Yes => Ok(Hold::Mine),
            Changed::NotMine => Ok(Hold::Gone),
            Changed::Final => {
                answer(message, AckKind::Ack).await;
                Ok(Hold::Gone)
            }
        }
    }

    pub async fn end(&self, lease: &Lease, standing: &Standing) -> Result<(), JobError> {
        let Some(message) = message(lease) else { return Ok(()) };
        let (by, _) = delivery(message);
        let changed = self.change(&lease.id, |kept| {
            let standing = Standing {
                deliveries: kept.standing.deliveries,
                ended_ms: standing.ended_ms.or_else(|| Some(now_ms())),
                ..standing.clone()
            };
            (kept.by == by).then(|| Kept { standing, by: by.clone() })
        });
        if changed.await? == Changed::NotMine {
            return Ok(());
        }
        // What it is about is written: if this gets lost, it comes again and is dropped.
        if let Err(error) = message.double_ack().await {
            tracing::debug!(%error, "an item that has ended stays in the queue for a while");
        }
        self.finish_later(&lease.id.job).await;
        Ok(())
    }

    pub async fn back(&self, lease: &Lease, wait: Duration, counts: bool) -> Result<(), JobError> {
        let Some(message) = message(lease) else { return Ok(()) };
        let (by, _) = delivery(message);
        let changed = self.change(&lease.id, |kept| {
            let deliveries = kept.standing.deliveries.saturating_sub(u32::from(!counts));
            let standing = Standing { state: ItemState::Queued, deliveries, ..Standing::default() };
            (kept.by == by).then(|| Kept { standing, by: String::new() })
        });
        let kind = match changed.await? {
            Changed::Yes => AckKind::Nak(Some(wait)),
            Changed::Final => AckKind::Ack,
            Changed::NotMine => return Ok(()),
        };
        // Unheard, it comes back when its lease is over.
        if let Err(error) = message.double_ack_with(kind).await {
            tracing::debug!(%error, "an item comes back to the queue late");
        }
        Ok(())
    }

    /// Replaces the state of an item that has not ended by what `change` makes of it; `None`: it is not for this one to say.
    pub(super) async fn change(
        &self,
        id: &ItemId,
        change: impl Fn(&Kept) -> Option<Kept>,
    ) -> Result<Changed, JobError> {
        let key = Key::Item(id.job.clone(), id.item);
        let mut has_asked = false;
        for _ in 0..RACES {
            let (revision, kept) = match self.ledger.see(|view| view.look(&id.job, id.item)) {
                Look::Open(revision, kept) => (revision, kept),
                Look::Unknown if !has_asked => {
                    has_asked = true;
                    self.ledger.refresh(&Key::Job(id.job.clone())).await?;
                    continue;
                }
                Look::Unknown => {
                    return Err(JobError::Unavailable(format!("the job {} is not known", id.job)));
                }
                Look::Gone | Look::Final => return Ok(Changed::Final),
            };
            let Some(next) = change(&kept) else { return Ok(Changed::NotMine) };
            if next == kept || self.ledger.write(&key, Some(bytes(&next)), Some(revision)).await?.is_some() {
                return Ok(Changed::Yes);
            }
            self.ledger.refresh(&key).await?;
        }
        Err(JobError::Unavailable(format!("item {} of the job {} changes all the time", id.item, id.job)))
    }
}

fn message(lease: &Lease) -> Option<&Message> {
    match &lease.token {
        Token::Message(message) => Some(message),
        Token::Number(_) => None,
    }
}
