//! An item's audio and fields in, its `verbose_json` out: what `/transcribe` does, for nobody who waits.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;

use crate::engine::EngineError;
use crate::format::{self, Format};
use crate::http::error::ApiError;
use crate::http::{App, observe, options, transcriptions};
use crate::jobs::{Failure, Fetch, Fields, Remote, Said, Scribe, Settings, Watch, error};
use crate::transcriber::{Progress, Terms, TranscribeError};

/// Writes with the server's own model.
pub struct Pen(pub App);

#[async_trait]
impl Scribe for Pen {
    async fn transcribe(
        &self,
        owner: u64,
        audio: Bytes,
        fields: &Fields,
        watch: &Watch,
    ) -> Result<Said, Failure> {
        let Pen(app) = self;
        let wanted = options::judge(fields).map_err(failure)?;
        transcriptions::check_model(app, &wanted).map_err(failure)?;
        let sound = transcriptions::sound(audio, &wanted);
        let progress = Progress::default();
        let watched = progress.clone();
        let _ = watch.set(Box::new(move || watched.share()));
        let terms = Terms { is_patient: true, key: owner, ..Terms::default() };
        let work = app.transcriber.transcribe_watched(sound, (&wanted.options, terms), None, &progress);
        let transcript = work.await.map_err(|error| failure(error.into()))?;
        observe::transcribed(&transcript);
        app.keys.heard(owner, transcript.duration);
        let mut layout = wanted.layout;
        layout.format = Format::VerboseJson;
        let json = format::render(&transcript, &layout).body.into();
        Ok(Said { json, seconds: transcript.duration.as_secs_f64() })
    }

    fn model(&self) -> String {
        let model = self.0.transcriber.model();
        format!("{} {}", model.name, model.dtype)
    }

    fn is_alive(&self) -> bool {
        let load = self.0.transcriber.load();
        let age = Duration::from_secs_f64(load.heartbeat_age_seconds.max(0.0));
        !load.is_lost && age < self.0.settings.heartbeat_timeout
    }
}

fn failure(error: ApiError) -> Failure {
    let is_ending = matches!(&error, ApiError::Transcribe(TranscribeError::Engine(EngineError::Closed)));
    match error.status() {
        _ if is_ending => Failure::Full,
        status if status.is_server_error() => Failure::Later(value(&error)),
        _ => Failure::Refused(value(&error)),
    }
}

/// OpenAI's `error` object.
pub fn value(error: &ApiError) -> Value {
    let body: Value = serde_json::from_str(&error.body()).expect("the body of an error is JSON");
    body["error"].clone()
}

/// Fetches by HTTP, by the rules of `jobs::Remote`.
pub struct Fetcher {
    allow: bool,
    remote: std::sync::Arc<Remote>,
    most: u64,
}

impl Fetcher {
    pub fn new(app: &App, settings: &Settings) -> Fetcher {
        Fetcher {
            allow: settings.allow_urls,
            remote: std::sync::Arc::new(Remote::new(settings.allow_private_addresses)),
            most: app.settings.max_body_bytes,
        }
    }
}

#[async_trait]
impl Fetch for Fetcher {
    async fn fetch(&self, url: &str) -> Result<Bytes, Failure> {
        if !self.allow {
            let message = "items of jobs may not be URLs here (jobs.allow_urls)";
            return Err(Failure::Refused(error(message, "invalid_request_error", "urls_not_allowed")));
        }
        let (remote, url, most) = (self.remote.clone(), url.to_owned(), self.most);
        let fetched = tokio::task::spawn_blocking(move || remote.get(&url, most)).await;
        let internal = |_| Failure::Later(error("internal error", "server_error", "internal"));
        fetched.map_err(internal)?.map_err(|problem| {
            let told = error(&problem.to_string(), "invalid_request_error", "url_not_fetched");
            if problem.is_permanent() { Failure::Refused(told) } else { Failure::Later(told) }
        })
    }
}
