//! The jobs of a server, opened when they are first asked for; who works on them, and how that ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::scribe::{Fetcher, Pen};
use crate::http::App;
use crate::http::error::ApiError;
use crate::jobs::{self, ItemState, JobError, Jobs, Settings, Shift};
use crate::telemetry::metrics;

/// Jobs that are taken in at once. Each holds a file in memory.
const PLACES: usize = 8;
/// How long one more waits for a place.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Office {
    settings: Settings,
    jobs: OnceCell<Jobs>,
    places: Arc<Semaphore>,
    end: CancellationToken,
    tasks: TaskTracker,
    /// `None`: this process only takes items in.
    shift: Option<Shift>,
}

impl Office {
    /// `shift`: whether this process works on items, and until when; how many at once, the settings say.
    pub fn new(settings: Settings, shift: Option<Shift>) -> Office {
        Office {
            settings,
            shift,
            jobs: OnceCell::new(),
            places: Arc::new(Semaphore::new(PLACES)),
            end: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Where there are none yet, a folder is made or the broker is asked, and the work begins.
    pub async fn open(&self, app: &App) -> Result<Jobs, ApiError> {
        if !self.settings.enabled {
            return Err(ApiError::NotOffered {
                param: "jobs".to_owned(),
                what: "batch jobs (jobs.enabled is false)",
            });
        }
        let opened = self.jobs.get_or_try_init(async || {
            let jobs = Jobs::open(&self.settings).await?;
            self.begin(app, &jobs);
            Ok::<_, JobError>(jobs)
        });
        Ok(opened.await?.clone())
    }

    /// Goes on with what is there from before, without waiting for a request.
    pub async fn go_on(&self, app: &App) {
        while Jobs::are_there(&self.settings) && !self.end.is_cancelled() {
            match self.open(app).await {
                Ok(_) => return,
                Err(error) => tracing::warn!(%error, "jobs cannot be gone on with yet"),
            }
            tokio::select! {
                () = tokio::time::sleep(PATIENCE) => {}
                () = self.end.cancelled() => {}
            }
        }
    }

    fn begin(&self, app: &App, jobs: &Jobs) {
        let end = self.end.clone();
        if let Some(shift) = &self.shift {
            let places = match self.settings.concurrency {
                0 => app.transcriber.model().slots + 1,
                places => places,
            };
            let shift = Shift { places, ..shift.clone() };
            let pen = Arc::new(Pen(app.clone()));
            let fetcher = Arc::new(Fetcher::new(app, &self.settings));
            self.tasks.spawn(jobs::run(jobs.clone(), pen, fetcher, shift, end.clone()));
        }
        let tidy = jobs.clone();
        let until = end.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = tidy.tidy() => {}
                () = until.cancelled() => {}
            }
        });
        let tell = jobs.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = jobs::tell(&tell) => {}
                () = end.cancelled() => {}
            }
        });
    }

    /// A place among those whose jobs are taken in.
    pub async fn place(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let place = tokio::time::timeout(PATIENCE, self.places.clone().acquire_owned()).await;
        let full = || ApiError::Busy {
            what: "job_uploads",
            full: format!("{PLACES} jobs are being taken in already"),
            retry_after: 5,
        };
        place.map_err(|_| full())?.map_err(|_| full())
    }

    /// Sets the gauges of what waits, where there are jobs.
    pub async fn measure(&self) {
        let Some(jobs) = self.jobs.get() else { return };
        // A broker that is away must not keep the other figures.
        let asked = tokio::time::timeout(Duration::from_secs(1), jobs.backend.backlog()).await;
        if let Ok(Ok(backlog)) = asked {
            metrics::JOB_QUEUE.set(backlog.of(ItemState::Queued) as f64, &[]);
            metrics::JOB_WORKING.set(backlog.of(ItemState::Working) as f64, &[]);
        }
    }

    /// Cancelled when the server ends: whoever follows a job is let go.
    pub fn end(&self) -> CancellationToken {
        self.end.clone()
    }

    /// Gives back what is worked on, so that it need not wait for a lease to run out.
    pub async fn close(&self) {
        self.end.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl From<JobError> for ApiError {
    fn from(error: JobError) -> ApiError {
        match error {
            JobError::Full { .. } => {
                ApiError::Busy { what: "job_items", full: error.to_string(), retry_after: 60 }
            }
            JobError::Unavailable(detail) => {
                tracing::error!(detail, "jobs cannot be kept");
                let full = "jobs cannot be kept at the moment; the log says why (jobs.dir, jobs.nats_url, jobs.store_url)";
                ApiError::Busy { what: "job_store", full: full.to_owned(), retry_after: 10 }
            }
        }
    }
}
