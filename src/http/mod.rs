//! What a client sees: every route on one screen, and what the handlers share.
//!
//! ```text
//! request --observe--> guard --> door --form--> options --transcriber--> format --> response
//!                         \--------\--------\-------\----------\--error--> response
//! ```

mod asr;
mod bench;
mod body;
mod caller;
mod cors;
mod digest;
mod door;
mod error;
mod extract;
mod form;
#[doc(hidden)]
pub mod fuzzing;
mod gpu_info;
mod guard;
mod health;
mod idempotency;
mod jobs;
pub mod keys;
mod layout;
mod models;
mod observe;
mod openai;
pub mod openapi;
pub mod options;
mod page;
mod realtime;
mod serve;
mod sessions;
mod settings;
mod streamed;
mod subtitles;
mod terms;
mod transcriptions;

use std::io;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use http::{Method, Uri};
use tower_http::catch_panic::CatchPanicLayer;

use self::bench::Bench;
pub use self::digest::Digest;
use self::door::Door;
use self::error::ApiError;
use self::idempotency::Answers;
use self::jobs::Office;
use self::keys::Keys;
use self::realtime::Sessions as Live;
pub use self::serve::{Ended, serve};
use self::sessions::Sessions;
pub use self::sessions::Settings as SessionSettings;
pub use self::settings::Settings;
use crate::engine::Sizes;
use crate::jobs::{Jobs, Settings as JobSettings, Shift};
use crate::readiness::Readiness;
use crate::telemetry::gpu::Gpu;
use crate::telemetry::metrics;
use crate::transcriber::{TranscribeError, Transcriber};

/// What the handlers share; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Shared>);

pub struct Shared {
    transcriber: Transcriber,
    readiness: Readiness,
    gpu: Gpu,
    settings: Settings,
    door: Door,
    /// For what needs no device.
    desk: Door,
    realtime: Live,
    bench: Bench,
    sessions: Sessions,
    office: Office,
    keys: Keys,
    answers: Answers,
    metrics: metrics::Handle,
    started: Instant,
    /// Unix time.
    loaded_at: u64,
}

impl App {
    pub fn new(transcriber: Transcriber, readiness: Readiness, gpu: Gpu, settings: Settings) -> App {
        App(Arc::new(Shared {
            door: Door::new(&settings),
            desk: Door::new(&settings),
            realtime: Live::new(&settings.realtime),
            bench: Bench::default(),
            sessions: Sessions::in_memory(),
            office: Office::new(JobSettings { enabled: false, ..JobSettings::default() }, None),
            keys: Keys::new(&settings),
            answers: Answers::new(&settings),
            metrics: metrics::install(),
            started: Instant::now(),
            loaded_at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            transcriber,
            readiness,
            gpu,
            settings,
        }))
    }

    /// Dictations as the operator wants them. Before anybody else has the app.
    ///
    /// # Errors
    /// The folder of `sessions.dir` cannot be used.
    pub fn with_sessions(mut self, settings: SessionSettings) -> io::Result<App> {
        let shared = Arc::get_mut(&mut self.0).expect("an app is set up before it is shared");
        shared.sessions = Sessions::open(settings)?;
        Ok(self)
    }

    /// Batch jobs as the operator wants them; `shift`: how this process transcribes their items, if it does. Before anybody else has
    /// the app.
    pub fn with_jobs(mut self, settings: JobSettings, shift: Option<Shift>) -> App {
        let shared = Arc::get_mut(&mut self.0).expect("an app is set up before it is shared");
        shared.office = Office::new(settings, shift);
        self
    }

    /// Whether this process transcribes, or only takes work in for others.
    fn has_model(&self) -> bool {
        self.transcriber.model().slots > 0
    }

    /// Goes on with jobs that are there from before.
    pub async fn go_on(&self) {
        self.office.go_on(self).await;
    }

    /// The jobs themselves, which are worked on from now on.
    ///
    /// # Errors
    /// What is wrong with the settings, or with what they name.
    pub async fn jobs(&self) -> Result<Jobs, String> {
        self.office.open(self).await.map_err(|error| error.to_string())
    }

    /// Completes when work on jobs has ended by itself, for want of any.
    pub async fn jobs_idle(&self) {
        self.office.end().cancelled().await;
    }

    /// Gives back what is worked on for jobs, and lets go of whoever follows one.
    pub async fn close_jobs(&self) {
        self.office.close().await;
    }

    /// See `Transcriber::warm_up`; health routes answer meanwhile.
    pub async fn warm_up(&self) -> Result<(Duration, Sizes), TranscribeError> {
        let (took, sizes) = self.transcriber.warm_up().await?;
        metrics::WARM_UP.set(took.as_secs_f64(), &[]);
        Ok((took, sizes))
    }

    /// See `Transcriber::canaries`.
    pub async fn canaries(&self, every: Duration) {
        self.transcriber.canaries(every).await;
    }
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

pub fn router(app: App) -> Router {
    let cors = cors::layer(&app.settings.cors_origins);
    let router = Router::new()
        .route("/", get(page::front))
        .route("/transcribe", post(transcriptions::transcribe))
        .route("/v1/audio/transcriptions", post(openai::transcriptions))
        .route("/v1/audio/translations", post(openai::translations))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*model}", get(models::one))
        .route("/asr", post(asr::asr))
        .route("/detect-language", post(asr::detect_language))
        .route("/v1/realtime", get(realtime::realtime))
        .route("/v1/subtitles", post(subtitles::subtitles))
        .route("/v1/sessions", post(sessions::open))
        .route("/v1/sessions/{id}", get(sessions::state).put(sessions::open_as).delete(sessions::forget))
        .route("/v1/sessions/{id}/chunks", post(sessions::chunk))
        .route("/v1/sessions/{id}/finish", post(sessions::finish))
        .route("/v1/jobs", get(jobs::list).post(jobs::submit))
        .route("/v1/jobs/{id}", get(jobs::state).delete(jobs::cancel))
        .route("/v1/jobs/{id}/results", get(jobs::results))
        .route("/v1/jobs/{id}/events", get(jobs::events))
        .route("/v1/jobs/{id}/items/{item}", get(jobs::item))
        .route("/v1/estimate", get(jobs::estimate))
        .route("/gpu-info", get(gpu_info::gpu_info))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/health", get(health::ready))
        .route("/metrics", get(health::metrics))
        .merge(openapi::router())
        .merge(page::router())
        .fallback(async |uri: Uri| ApiError::NotFound(uri.path().to_owned()))
        .method_not_allowed_fallback(async |method: Method| ApiError::MethodNotAllowed(method.to_string()))
        .layer(CatchPanicLayer::custom(observe::panicked))
        .layer(from_fn_with_state(app.clone(), guard::guard));
    // Before the guard: a browser asks its question about a page without the page's key.
    let router = match cors {
        Some(cors) => router.layer(cors),
        None => router,
    };
    router.layer(from_fn_with_state(app.clone(), observe::request)).with_state(app)
}
