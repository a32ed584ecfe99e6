//! Settings in, jobs out: the backend with its blobs, opened together, and what is done with both at once.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::backend::{Backend, JobError};
use super::blobs::{self, Blobs};
use super::embedded::Embedded;
use super::job::{ItemId, ItemState, Job, Standing, made_ms, now_ms};
use super::nats::{Manifests, Nats, Results};
use super::runner::said_seconds;
use super::settings::Settings;

/// How often jobs that have ended long ago are looked for.
const ROUNDS: Duration = Duration::from_secs(600);
const ROUNDS_A_DAY: u64 = 144;
/// No job takes so long to hand in.
const UNFINISHED: Duration = Duration::from_secs(2 * 86_400);
/// Jobs that are forgotten at a time.
const BATCH: usize = 100;

const DATABASE: &str = "jobs.db";

/// Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    pub backend: Arc<dyn Backend>,
    pub blobs: Blobs,
    pub settings: Arc<Settings>,
}

impl Jobs {
    /// Makes what is missing: a folder, a database, streams.
    ///
    /// # Errors
    /// Which setting cannot be used, and why.
    pub async fn open(settings: &Settings) -> Result<Jobs, JobError> {
        let settings = Arc::new(settings.clone());
        let (blobs, backend): (Blobs, Arc<dyn Backend>) = match settings.nats_url {
            Some(_) => {
                let blobs = Blobs::open(&settings, Path::new(""))?;
                let nats = Nats::open(&settings, Arc::new(blobs.clone())).await?;
                let again = nats.reconcile(&blobs).await?;
                if again > 0 {
                    tracing::warn!(
                        items = again,
                        "the broker did not know of these, and they are in its queue again"
                    );
                }
                (blobs, Arc::new(nats))
            }
            None => {
                let opened = settings.clone();
                let opened = tokio::task::spawn_blocking(move || open_folder(&opened)).await;
                let (blobs, embedded) = opened.map_err(|error| JobError::unavailable("jobs", error))??;
                (blobs, Arc::new(embedded))
            }
        };
        Ok(Jobs { backend, blobs, settings })
    }

    /// Whether there is something to go on with, so that it need not wait for the next request.
    pub fn are_there(settings: &Settings) -> bool {
        let folder = settings.folder();
        settings.enabled
            && (settings.nats_url.is_some() || folder.is_some_and(|it| it.join(DATABASE).exists()))
    }

    /// As if it had never been. Its blobs first: without its record nobody would look for them.
    pub async fn forget(&self, id: &str) -> Result<(), JobError> {
        self.blobs.forget(id).await?;
        self.backend.forget(id).await
    }

    /// Forgets jobs whose time is over, for ever.
    pub async fn tidy(&self) {
        for round in 0u64.. {
            // What costs a list of all that there is.
            let daily = round % ROUNDS_A_DAY == ROUNDS_A_DAY - 1;
            if let Err(error) = self.tidy_once(daily).await {
                tracing::warn!(%error, "old jobs are still there");
            }
            tokio::time::sleep(ROUNDS).await;
        }
    }

    async fn tidy_once(&self, daily: bool) -> Result<(), JobError> {
        let before = now_ms().saturating_sub(self.settings.keep_seconds.saturating_mul(1_000));
        if daily {
            self.blobs.forget_known(before).await?;
            self.forget_orphans().await?;
        }
        loop {
            let old = self.backend.old(before, BATCH).await?;
            if old.is_empty() {
                return Ok(());
            }
            for id in &old {
                self.forget(id).await?;
            }
            tracing::info!(jobs = old.len(), "forgotten, jobs.keep_seconds after their end");
        }
    }

    /// What is left of jobs that were never handed in to the end, because somebody died meanwhile.
    async fn forget_orphans(&self) -> Result<(), JobError> {
        let before = now_ms().saturating_sub(UNFINISHED.as_millis() as u64);
        for id in self.blobs.jobs().await? {
            let is_old = made_ms(&id).is_some_and(|made| made < before);
            // A job with a manifest that the broker does not know is one that the broker has lost.
            if is_old
                && self.backend.summary(&id).await?.is_none()
                && self.blobs.manifest(&id).await?.is_none()
            {
                tracing::info!(job = id, "forgotten: it was never handed in to the end");
                self.blobs.forget(&id).await?;
            }
        }
        Ok(())
    }
}

fn open_folder(settings: &Settings) -> Result<(Blobs, Embedded), JobError> {
    let nowhere = || JobError::Unavailable("there is no folder for jobs: set jobs.dir".to_owned());
    let folder = settings.folder().ok_or_else(nowhere)?;
    let failed = |error| JobError::unavailable(&format!("the folder {} (jobs.dir)", folder.display()), error);
    blobs::private(&folder).map_err(failed)?;
    let backend = Embedded::open(&folder.join(DATABASE), settings.max_queued_items)?;
    let blobs = Blobs::open(settings, &folder.join("blobs"))?;
    Ok((blobs, backend))
}

#[async_trait]
impl Manifests for Blobs {
    async fn put(&self, job: &Job) -> Result<(), JobError> {
        self.put_manifest(job).await
    }

    async fn get(&self, id: &str) -> Result<Option<Job>, JobError> {
        self.manifest(id).await
    }

    async fn delete(&self, id: &str) -> Result<(), JobError> {
        self.forget(id).await
    }

    async fn ids(&self) -> Result<Vec<String>, JobError> {
        self.jobs().await
    }
}

#[async_trait]
impl Results for Blobs {
    async fn has(&self, job: &str, item: usize) -> Result<Option<Standing>, JobError> {
        let json = self.result(&ItemId { job: job.to_owned(), item }).await?;
        Ok(json.map(|json| Standing {
            state: ItemState::Done,
            percent: 100,
            seconds: said_seconds(&json),
            ended_ms: Some(now_ms()),
            ..Standing::default()
        }))
    }
}
