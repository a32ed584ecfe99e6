//! What a client sees: every route on one screen, and what the handlers share.
//!
//! ```text
//! request --observe--> door --form--> options --transcriber--> format --> response
//!                        \--------\-------\----------\--error--> response
//! ```

mod bench;
mod body;
mod door;
mod error;
mod form;
mod gpu_info;
mod health;
mod layout;
mod observe;
pub mod options;
mod serve;
mod settings;
mod subtitles;
mod terms;
mod transcriptions;

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use http::{Method, Uri};
use tower_http::catch_panic::CatchPanicLayer;

use self::bench::Bench;
use self::door::Door;
use self::error::ApiError;
pub use self::serve::{Ended, serve};
pub use self::settings::Settings;
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
    bench: Bench,
    metrics: metrics::Handle,
    started: Instant,
}

impl App {
    pub fn new(transcriber: Transcriber, readiness: Readiness, gpu: Gpu, settings: Settings) -> App {
        App(Arc::new(Shared {
            door: Door::new(&settings),
            desk: Door::new(&settings),
            bench: Bench::default(),
            metrics: metrics::install(),
            started: Instant::now(),
            transcriber,
            readiness,
            gpu,
            settings,
        }))
    }

    /// See `Transcriber::warm_up`; health routes answer meanwhile.
    pub async fn warm_up(&self) -> Result<Duration, TranscribeError> {
        self.transcriber.warm_up().await
    }
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

pub fn router(app: App) -> Router {
    Router::new()
        .route("/", get(front))
        .route("/transcribe", post(transcriptions::transcribe))
        .route("/v1/subtitles", post(subtitles::subtitles))
        .route("/gpu-info", get(gpu_info::gpu_info))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/health", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(async |uri: Uri| ApiError::NotFound(uri.path().to_owned()))
        .method_not_allowed_fallback(async |method: Method| ApiError::MethodNotAllowed(method.to_string()))
        .layer(CatchPanicLayer::custom(observe::panicked))
        .layer(from_fn_with_state(app.clone(), observe::request))
        .with_state(app)
}

/// Until there is a page.
async fn front() -> &'static str {
    "Verbatim: speech to text.\n\n\
     POST /transcribe   audio as the form part 'file' or as the body: curl -F file=@speech.mp3 .../transcribe\n\
     POST /v1/subtitles  a stored verbose_json as srt, vtt or tsv: curl -F file=@speech.json .../v1/subtitles\n\
     GET  /gpu-info     the device and what is done with it; ?format=text for a terminal\n\
     GET  /livez  /readyz  /health  /metrics\n"
}
