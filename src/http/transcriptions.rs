//! A request with audio in, its transcript in the format it asked for out: `/transcribe`, and what other routes share with it.

use std::fmt::Write;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::App;
use super::body::{self, Limits};
use super::caller::Caller;
use super::door::Permit;
use super::error::ApiError;
use super::form::Form;
use super::idempotency::{self, Asked, Claim};
use super::options::{self, Wanted};
use super::{form, jobs, models, observe, streamed, terms};
use crate::audio;
use crate::engine::EngineError;
use crate::format::{self, Rendered};
use crate::readiness;
use crate::transcriber::{Hearer, Sound, Terms, TranscribeError};
use crate::transcript::{Timing, Transcript};

/// The header that names the fields which mean nothing here.
pub(super) const IGNORED: &str = "x-verbatim-ignored";

/// `POST /transcribe`.
pub async fn transcribe(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    if jobs::is_asynchronous(request.headers()) {
        return jobs::submitted(app, request).await;
    }
    answer_to(app, request, Dialect::default()).await
}

/// How a route differs from `/transcribe`.
pub(super) struct Dialect {
    /// What it gives where the request says nothing.
    pub presumed: Wanted,
    /// What holds whatever the request says.
    pub last_word: fn(&mut Wanted),
}

impl Default for Dialect {
    fn default() -> Self {
        Dialect { presumed: Wanted::default(), last_word: |_| () }
    }
}

/// The whole of a request with audio.
pub(super) async fn answer_to(app: App, request: Request, dialect: Dialect) -> Result<Response, ApiError> {
    let Arrived { permit, terms, form, caller, name, route } = arrive(&app, request).await?;
    let mut wanted = options::judge_from(dialect.presumed, &form.fields)?;
    (dialect.last_word)(&mut wanted);
    check_model(&app, &wanted)?;
    caller.sent(&form.audio, &app.bench).await?;

    let sound = sound(form.audio.clone(), &wanted);
    let work = Work { app: app.clone(), caller: caller.clone(), sound, wanted, terms, permit };
    if work.wanted.stream {
        return streamed::answer(work).await;
    }
    let Some(name) = name else { return work.done().await };
    let claim = Claim::new(name, &caller, Asked { route, form }, &app.bench).await?;
    once(claim, work, &caller).await
}

/// A request that was let in, read to its end.
pub(super) struct Arrived {
    pub permit: Permit,
    pub terms: Terms,
    pub form: Form,
    pub caller: Caller,
    /// Its `Idempotency-Key`.
    name: Option<String>,
    route: String,
}

/// Who may come in is decided before the upload is read.
pub(super) async fn arrive(app: &App, request: Request) -> Result<Arrived, ApiError> {
    let received = Instant::now();
    let (parts, body) = request.into_parts();
    let caller = Caller::of(&parts.extensions);
    let limits = Limits::of(&app.settings);
    let entered = ready(app).and_then(|()| body::check_headers(&parts.headers, &limits)).and_then(|length| {
        let terms = caller.terms(terms::read(&parts.headers, received)?);
        let name = idempotency::read(&parts.headers)?;
        Ok((app.door.enter(&app.transcriber.load(), length)?, terms, name))
    });
    let (permit, terms, name) = match entered {
        Ok(entered) => entered,
        Err(refusal) => {
            body::linger(&parts.headers, body);
            return Err(refusal);
        }
    };
    let form = form::read(&parts.uri, &parts.headers, body, limits).await?;
    Ok(Arrived { permit, terms, form, caller, name, route: parts.uri.path().to_owned() })
}

pub(super) fn sound(upload: Bytes, wanted: &Wanted) -> Sound {
    match wanted.is_raw && !audio::is_file(&upload) {
        true => Sound::Raw(upload),
        false => Sound::Upload(upload),
    }
}

/// The work, unless somebody does it already. Each caller has a deadline of its own, and the work none but the server's.
async fn once(claim: Claim, mut work: Work, caller: &Caller) -> Result<Response, ApiError> {
    let (answers, deadline) = (work.app.answers.clone(), work.terms.deadline.take());
    let answer = answers.answer(claim, async move { work.done().await.into_response() });
    let answered = match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline.into(), answer).await,
        None => Ok(answer.await),
    };
    let response = answered.map_err(|_| TranscribeError::from(EngineError::Late))??;
    if let Some(Heard(audio)) = response.extensions().get().filter(|_| idempotency::is_replay(&response)) {
        caller.shown(*audio);
    }
    Ok(response)
}

/// An upload on its way to its answer.
pub(super) struct Work {
    pub app: App,
    pub caller: Caller,
    pub sound: Sound,
    pub wanted: Wanted,
    pub terms: Terms,
    pub permit: Permit,
}

/// How much audio an answer is about.
#[derive(Clone, Copy)]
struct Heard(Duration);

impl Work {
    async fn done(self) -> Result<Response, ApiError> {
        let wanted = self.wanted.clone();
        let transcript = self.transcript(None).await?;
        let rendered = format::render(&transcript, &wanted.layout);
        let mut response = respond(rendered, &transcript, &wanted);
        response.extensions_mut().insert(Heard(transcript.duration));
        Ok(response)
    }

    /// By the deadline of the request and of the server. Its place is free again afterwards.
    pub async fn transcript(self, hearer: Option<Hearer>) -> Result<Transcript, ApiError> {
        let Work { app, caller, sound, wanted, terms, permit } = self;
        let _permit = permit;
        let work = app.transcriber.transcribe_on(sound, &wanted.options, terms, hearer);
        let transcript = within(&app, terms, work).await?;
        observe::transcribed(&transcript);
        caller.heard(transcript.duration);
        Ok(transcript)
    }
}

/// The work, as long as somebody wants it and the server allows it.
pub(super) async fn within<T, E: Into<ApiError>>(
    app: &App,
    terms: Terms,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, ApiError> {
    let most = app.settings.request_timeout;
    let left = terms.deadline.map_or(most, |deadline| deadline.saturating_duration_since(Instant::now()));
    // Dropping the work takes its windows out of the queue and frees its slots.
    match tokio::time::timeout(left.min(most), work).await {
        Ok(done) => done.map_err(Into::into),
        Err(_) if left < most => Err(TranscribeError::from(EngineError::Late).into()),
        Err(_) => Err(ApiError::Timeout { seconds: most.as_secs_f64() }),
    }
}

/// Whether what is to be transcribed now may come.
pub(super) fn ready(app: &App) -> Result<(), ApiError> {
    if !app.has_model() {
        return Err(ApiError::NoModel);
    }
    started(app)
}

/// While draining, requests are still taken: balancers need a moment to hear of it.
pub(super) fn started(app: &App) -> Result<(), ApiError> {
    match app.readiness.state() {
        readiness::State::Starting(reasons) => {
            Err(ApiError::NotReady(format!("waiting for {}", reasons.join(", "))))
        }
        readiness::State::Ready | readiness::State::Draining => Ok(()),
    }
}

pub(super) fn check_model(app: &App, wanted: &Wanted) -> Result<(), ApiError> {
    wanted.model.as_ref().map_or(Ok(()), |asked| models::check(app, asked))
}

pub(super) fn respond(rendered: Rendered, transcript: &Transcript, wanted: &Wanted) -> Response {
    let mut response = rendered.body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(rendered.content_type));
    let mut say = |name, text: String| say(headers, name, &text);
    say("server-timing", server_timing(&transcript.receipt.timing));
    if !wanted.ignored.is_empty() {
        say(IGNORED, wanted.ignored.join(", "));
    }
    // Formats without room for these would otherwise pass a part off as the whole.
    if !transcript.dropped.is_empty() {
        say("x-verbatim-dropped", transcript.dropped.len().to_string());
    }
    if let Some(incomplete) = &transcript.incomplete {
        say("x-verbatim-incomplete", format!("at={:.3}; {}", incomplete.at.as_secs_f64(), incomplete.reason));
    }
    response
}

/// The text may hold what a client wrote, and not all of that can stand in a header.
pub(super) fn say(headers: &mut HeaderMap, name: &'static str, text: &str) {
    let plain: String =
        text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect();
    if let Ok(value) = HeaderValue::from_str(&plain) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// The receipt as browsers' developer tools draw it.
fn server_timing(timing: &Timing) -> String {
    let mut out = String::new();
    for (stage, time) in stages(timing).into_iter().chain([("total", timing.total)]) {
        let separator = if out.is_empty() { "" } else { ", " };
        let _ = write!(out, "{separator}{stage};dur={:.1}", time.as_secs_f64() * 1000.0);
    }
    out
}

/// In the order in which they happen.
pub(super) fn stages(timing: &Timing) -> [(&'static str, Duration); 7] {
    [
        ("decode", timing.decode),
        ("vad", timing.vad),
        ("mel", timing.mel),
        ("queue", timing.queue),
        ("encode", timing.encode),
        ("generate", timing.generate),
        ("align", timing.align),
    ]
}
