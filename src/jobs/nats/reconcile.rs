//! Manifests and results in; what the broker has lost of them is there again, and nothing that it has is there twice.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt};

use super::Desk;
use super::manifests::Results;
use super::records::{Kept, Key, Reserved, bytes};
use super::streams::ITEMS;
use super::view::Look;
use crate::jobs::backend::JobError;
use crate::jobs::job::{ItemId, ItemState, Job, Sound, Standing, now_ms};

/// Results that are asked for at once.
const QUESTIONS: usize = 32;

impl Desk {
    pub async fn reconcile(&self, results: &dyn Results) -> Result<usize, JobError> {
        let waiting = self.waiting_by_job().await?;
        let mut put_back = 0;
        for id in self.shelf.kept().ids().await? {
            put_back += self.reconcile_one(&id, &waiting, results).await?;
        }
        Ok(put_back)
    }

    /// How many messages the queue has of each job, those that are worked on included.
    async fn waiting_by_job(&self) -> Result<HashMap<String, usize>, JobError> {
        self.ledger.online().await?;
        let unavailable = |error: &dyn std::fmt::Display| JobError::unavailable("the broker's queue", error);
        let stream =
            self.ledger.context.get_stream_no_info(ITEMS).await.map_err(|error| unavailable(&error))?;
        let subjects = stream.info_with_subjects("verbatim.items.>").await;
        let mut subjects = subjects.map_err(|error| unavailable(&error))?;
        let mut waiting: HashMap<String, usize> = HashMap::new();
        while let Some((subject, messages)) =
            subjects.try_next().await.map_err(|error| unavailable(&error))?
        {
            if let Some((_, job)) = subject.rsplit_once('.') {
                *waiting.entry(job.to_owned()).or_default() += messages;
            }
        }
        Ok(waiting)
    }

    async fn reconcile_one(
        &self,
        id: &str,
        waiting: &HashMap<String, usize>,
        results: &dyn Results,
    ) -> Result<usize, JobError> {
        let (is_gone, is_over, summary) =
            self.ledger.see(|view| (view.is_gone(id), view.is_over(id), view.summary(id)));
        if is_gone {
            // Whoever removed it died half-way.
            self.shelf.delete(id).await?;
            return Ok(0);
        }
        let queued = waiting.get(id).copied().unwrap_or_default();
        let open = summary.as_ref().map(|summary| summary.counts.all() - summary.counts.ended());
        if is_over || open.is_some_and(|open| queued >= open) {
            return Ok(0);
        }
        let Some(job) = self.shelf.kept().get(id).await? else { return Ok(0) };
        let now = now_ms();
        if summary.is_none() {
            // It may be on its way in.
            if job.created_ms + self.times.take_over.as_millis() as u64 > now {
                return Ok(0);
            }
            self.write_refused(&job).await?;
            if !self.write_record(&job).await? {
                return Ok(0);
            }
            self.restore_request(&job).await?;
        }
        let put_back = self.put_back(&job, results).await?;
        self.finish_later(id).await;
        if put_back > 0 {
            tracing::info!(job = id, items = put_back, "items that the broker had lost wait again");
        }
        Ok(put_back)
    }

    async fn put_back(&self, job: &Job, results: &dyn Results) -> Result<usize, JobError> {
        let all = job.items.iter().enumerate();
        let wanted = all.filter(|(_, what)| !matches!(what.sound, Sound::Refused(_))).map(|(item, _)| item);
        let open = |item: &usize| {
            self.ledger.see(|view| matches!(view.look(&job.id, *item), Look::Open(..) | Look::Unknown))
        };
        let open: Vec<usize> = wanted.filter(open).collect();
        let ask = |item: usize| async move {
            let standing = results.has(&job.id, item).await?;
            Ok::<_, JobError>((item, standing))
        };
        let mut answers = futures::stream::iter(open).map(ask).buffered(QUESTIONS);
        let mut to_do = Vec::new();
        while let Some((item, standing)) = answers.try_next().await? {
            match standing {
                Some(standing) => self.restore(job, item, standing).await?,
                None => to_do.push(item),
            }
        }
        let count = to_do.len();
        self.enqueue(job, to_do).await?;
        Ok(count)
    }

    /// Its result is there; only nobody was told.
    async fn restore(&self, job: &Job, item: usize, standing: Standing) -> Result<(), JobError> {
        let state = match standing.state.is_final() {
            true => standing.state,
            false => ItemState::Done,
        };
        let standing =
            Standing { state, percent: 100, ended_ms: standing.ended_ms.or(Some(now_ms())), ..standing };
        let id = ItemId { job: job.id.clone(), item };
        self.change(&id, |_| Some(Kept { standing: standing.clone(), by: String::new() })).await.map(drop)
    }

    /// So that the request that made it makes no second one.
    async fn restore_request(&self, job: &Job) -> Result<(), JobError> {
        let Some(request) = &job.request else { return Ok(()) };
        let reserved = Reserved { job: job.id.clone(), content: request.content.clone() };
        let key = Key::request(job.owner, request);
        self.ledger.write(&key, Some(bytes(&reserved)), Some(0)).await.map(drop)
    }
}
