//! `GET /v1/realtime`: a websocket in; a session that transcribes what is spoken into it, until either side ends it.
//!
//! ```text
//! socket --conversation--> Session (pure) --turns--> transcriber --answers--> outgoing --> socket
//! ```
//!
//! A session holds one place at the door as long as it lasts, so that none of its turns is refused later.

mod conversation;
mod ending;
mod outgoing;
mod settings;
mod turns;

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Extension, State, WebSocketUpgrade};
use axum::response::Response;
use http::HeaderMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

pub use self::settings::Settings;
use super::caller::Caller;
use super::door::Permit;
use super::error::ApiError;
use super::extract::Query;
use super::{App, models, transcriptions};
use crate::audio::SAMPLE_RATE;
use crate::live::realtime::{Config, Dialect, MOST_AUDIO_BYTES, Session};
use crate::telemetry::metrics::{Entered, REALTIME_SESSIONS};

/// Base64 takes four bytes for three; the rest is the event around it.
const MOST_MESSAGE_BYTES: usize = MOST_AUDIO_BYTES / 3 * 4 + (64 << 10);
/// The subprotocol of browsers, which cannot send headers. What else they offer there is a key, and not repeated.
const SUBPROTOCOL: &str = "realtime";

/// The sessions that are open, and how all of them are ended.
#[derive(Debug)]
pub struct Sessions {
    places: Arc<Semaphore>,
    most: usize,
    /// Each answers what was said so far, then says good-bye.
    ending: CancellationToken,
    /// Each ends at once.
    cut: CancellationToken,
}

/// A session's place among them, until dropped.
struct Place {
    _place: OwnedSemaphorePermit,
    _permit: Permit,
    _counted: Entered,
}

impl Sessions {
    pub fn new(settings: &Settings) -> Self {
        Sessions {
            places: Arc::new(Semaphore::new(settings.max_sessions)),
            most: settings.max_sessions,
            ending: CancellationToken::new(),
            cut: CancellationToken::new(),
        }
    }

    pub fn open(&self) -> usize {
        self.most - self.places.available_permits().min(self.most)
    }

    pub fn end(&self) {
        self.ending.cancel();
    }

    pub fn cut(&self) {
        self.cut.cancel();
    }

    /// Once none is open any more.
    pub async fn ended(&self) {
        let all = u32::try_from(self.most).unwrap_or(u32::MAX);
        // Never closed; and then none could be open.
        let _ = self.places.acquire_many(all).await;
    }
}

pub async fn realtime(
    State(app): State<App>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    caller: Option<Extension<Caller>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|rejection| ApiError::BadRequest {
        param: None,
        message: format!("/v1/realtime speaks websocket: {rejection}"),
    })?;
    if let Some(intent) = query.get("intent").filter(|intent| *intent != "transcription") {
        let message = format!("the intent may be 'transcription', not '{intent}'");
        return Err(ApiError::param("intent", message));
    }
    let model = query.get("model").unwrap_or(&app.transcriber.model().name).clone();
    models::check(&app, &model)?;
    let place = enter(&app)?;
    // The beta's header, or its twin among the subprotocols.
    let says = |name: &str, word: &str| {
        headers.get_all(name).iter().any(|value| value.to_str().is_ok_and(|value| value.contains(word)))
    };
    let beta =
        says("openai-beta", "realtime=v1") || says("sec-websocket-protocol", "openai-beta.realtime-v1");
    let dialect = if beta { Dialect::Beta } else { Dialect::Current };
    let id = uuid::Uuid::new_v4().simple().to_string();
    let most_uncommitted = app.settings.realtime.max_uncommitted;
    let session = Session::new(&id, Config::new(&model), dialect, most_uncommitted);
    let upgrade = upgrade
        .max_message_size(MOST_MESSAGE_BYTES)
        .max_frame_size(MOST_MESSAGE_BYTES)
        .protocols([SUBPROTOCOL]);
    let caller = caller.map_or_else(Caller::default, |Extension(caller)| caller);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let cut = app.realtime.cut.clone();
        tokio::select! {
            () = conversation::hold(app, socket, session, (id, caller)) => {}
            () = cut.cancelled() => {}
        }
        drop(place);
    }))
}

/// Decided once, before the upgrade.
fn enter(app: &App) -> Result<Place, ApiError> {
    transcriptions::ready(app)?;
    if app.realtime.ending.is_cancelled() {
        return Err(ApiError::NotReady("it is shutting down".to_owned()));
    }
    let settings = &app.settings.realtime;
    let audio = settings.max_uncommitted.max(settings.max_backlog);
    let bytes = audio.as_secs() * (SAMPLE_RATE * size_of::<f32>()) as u64;
    let permit = app.door.enter(&app.transcriber.load(), Some(bytes))?;
    let place = app.realtime.places.clone().try_acquire_owned().map_err(|_| ApiError::Busy {
        what: "realtime_sessions",
        full: format!("all {} sessions are taken (server.realtime.max_sessions)", app.realtime.most),
        retry_after: 30,
    })?;
    Ok(Place { _place: place, _permit: permit, _counted: REALTIME_SESSIONS.enter() })
}
