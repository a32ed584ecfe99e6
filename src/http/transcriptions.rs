//! `POST /transcribe`: a request in, its transcript in the format it asked for out.

use std::fmt::Write;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, header};

use super::App;
use super::body::{self, Limits};
use super::error::ApiError;
use super::options::{self, Wanted};
use super::{form, observe, terms};
use crate::engine::EngineError;
use crate::format;
use crate::readiness;
use crate::transcriber::TranscribeError;
use crate::transcript::{Timing, Transcript};

pub async fn transcribe(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let received = Instant::now();
    let (parts, body) = request.into_parts();
    let limits = Limits::of(&app.settings);
    let entered =
        ready(&app).and_then(|()| body::check_headers(&parts.headers, &limits)).and_then(|length| {
            let terms = terms::read(&parts.headers, received)?;
            Ok((app.door.enter(&app.transcriber.load(), length)?, terms))
        });
    let (_permit, terms) = match entered {
        Ok(entered) => entered,
        Err(refusal) => {
            body::linger(&parts.headers, body);
            return Err(refusal);
        }
    };

    let form = form::read(&parts.uri, &parts.headers, body, limits).await?;
    let wanted = options::judge(&form.fields)?;
    check_model(&app, &wanted)?;

    let most = app.settings.request_timeout;
    let left = terms.deadline.map_or(most, |deadline| deadline.saturating_duration_since(Instant::now()));
    let work = app.transcriber.transcribe_on(form.audio, &wanted.options, terms);
    // Dropping the work takes its windows out of the queue and frees its slots.
    let transcript = match tokio::time::timeout(left.min(most), work).await {
        Ok(done) => done?,
        Err(_) if left < most => return Err(TranscribeError::from(EngineError::Late).into()),
        Err(_) => return Err(ApiError::Timeout { seconds: most.as_secs_f64() }),
    };
    observe::transcribed(&transcript);
    Ok(answer(&transcript, &wanted))
}

/// While draining, requests are still taken: balancers need a moment to hear of it.
fn ready(app: &App) -> Result<(), ApiError> {
    match app.readiness.state() {
        readiness::State::Starting(reasons) => {
            Err(ApiError::NotReady(format!("waiting for {}", reasons.join(", "))))
        }
        readiness::State::Ready | readiness::State::Draining => Ok(()),
    }
}

/// One model is loaded. `whisper-1` is what OpenAI's clients say without thinking.
fn check_model(app: &App, wanted: &Wanted) -> Result<(), ApiError> {
    let loaded = &app.transcriber.model().name;
    match &wanted.model {
        Some(asked) if asked != loaded && asked != "whisper-1" => {
            Err(ApiError::UnknownModel { asked: asked.clone(), loaded: loaded.clone() })
        }
        _ => Ok(()),
    }
}

fn answer(transcript: &Transcript, wanted: &Wanted) -> Response {
    let rendered = format::render(transcript, &wanted.layout);
    let mut response = rendered.body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(rendered.content_type));
    let mut say = |name: &'static str, text: String| {
        // The text may hold what a client wrote, and not all of that can stand in a header.
        let plain: String =
            text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect();
        if let Ok(value) = HeaderValue::from_str(&plain) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    say("server-timing", server_timing(&transcript.receipt.timing));
    if !wanted.ignored.is_empty() {
        say("x-verbatim-ignored", wanted.ignored.join(", "));
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
