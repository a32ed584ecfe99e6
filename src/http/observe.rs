//! What happened in; metrics and one access-log line out. Neither ever holds what was said.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tower_http::request_id::{MakeRequestId, MakeRequestUuid};
use tracing::{Instrument, Span};

use super::error::{ApiError, Outcome};
use super::guard::Signature;
use super::{App, transcriptions};
use crate::telemetry::{self, metrics};
use crate::transcript::Transcript;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Routes that transcribe, as they are counted.
const TRANSCRIBE: [&str; 4] = ["/transcribe", "/v1/audio/transcriptions", "/v1/audio/translations", "/asr"];
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
/// Asked every few seconds by machines; the log would hold little else.
const QUIET: [&str; 4] = ["/livez", "/readyz", "/health", "/metrics"];

/// Around every request: an id, the log line, the metrics, also where the client leaves before the answer.
pub async fn request(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let id = request_id(&request);
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let signature = Signature::default();
    request.extensions_mut().insert(signature.clone());
    let line = Line {
        id: id.to_str().unwrap_or_default().to_owned(),
        method: method(request.method()),
        route: request
            .extensions()
            .get::<MatchedPath>()
            .map_or("other".to_owned(), |path| path.as_str().to_owned()),
        model: app.transcriber.model().name.clone(),
        signature,
        started: Instant::now(),
        written: false,
        _active: metrics::HTTP_ACTIVE.enter(),
    };
    let span = line.span();
    telemetry::adopt(&span, request.headers());
    let mut response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    drop(span);
    let total = format!("total;dur={:.1}", line.started.elapsed().as_secs_f64() * 1e3);
    line.finished(&response);
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    if let Ok(total) = HeaderValue::from_str(&total) {
        // A transcription has told its stages already.
        headers.entry(SERVER_TIMING).or_insert(total);
    }
    response
}

/// The figures of one transcription.
pub fn transcribed(transcript: &Transcript) {
    let receipt = &transcript.receipt;
    for (stage, time) in transcriptions::stages(&receipt.timing) {
        metrics::STAGE.observe(time.as_secs_f64(), &[("stage", stage)]);
    }
    let seconds = transcript.duration.as_secs_f64();
    metrics::LENGTH.observe(seconds, &[]);
    if seconds > 0.0 {
        metrics::RTF.observe(receipt.timing.total.as_secs_f64() / seconds, &[]);
    }
    metrics::FALLBACKS.add(transcript.fallbacks.len() as u64, &[]);
    for dropped in &transcript.dropped {
        metrics::DROPPED.add(1, &[("reason", dropped.reason.name())]);
    }
}

/// For `CatchPanicLayer`: a bug of ours is an answer in the usual shape. The panic itself is in the log.
pub fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    ApiError::Internal(format!("a handler panicked: {text}")).into_response()
}

/// The client's own id where it is fit to be written into a log, else a new one.
fn request_id(request: &Request) -> HeaderValue {
    let fit =
        |id: &&HeaderValue| (1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic);
    if let Some(id) = given(request.headers()).filter(fit) {
        return id.clone();
    }
    let made = MakeRequestUuid.make_request_id(request);
    made.map_or_else(|| HeaderValue::from_static("none"), |id| id.header_value().clone())
}

fn given(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(REQUEST_ID)
}

/// Clients may invent methods; a metric's label may not grow with them.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}

/// Written once, at the latest when the request is dropped because its client has left.
struct Line {
    id: String,
    method: &'static str,
    route: String,
    model: String,
    signature: Signature,
    started: Instant,
    written: bool,
    _active: metrics::Entered,
}

impl Line {
    /// Around all that is done for the request, under OpenTelemetry's own names.
    fn span(&self) -> Span {
        if QUIET.contains(&self.route.as_str()) {
            return tracing::debug_span!("request", id = self.id);
        }
        tracing::info_span!(
            "request",
            id = self.id,
            otel.name = format!("{} {}", self.method, self.route),
            otel.kind = "server",
            http.request.method = self.method,
            http.route = self.route,
            http.response.status_code = tracing::field::Empty,
        )
    }

    fn finished(mut self, response: &Response) {
        let outcome = response.extensions().get::<Outcome>().cloned();
        let outcome = outcome.unwrap_or(Outcome::ok());
        self.write(response.status().as_u16(), &outcome);
    }

    fn write(&mut self, status: u16, outcome: &Outcome) {
        self.written = true;
        let seconds = self.started.elapsed().as_secs_f64();
        let (id, method, route) = (&self.id, self.method, &self.route);
        let labels = [("method", method), ("route", route.as_str()), ("status", &status.to_string())];
        metrics::HTTP_SECONDS.observe(seconds, &labels);
        if !QUIET.contains(&route.as_str()) {
            outcome.refused.iter().for_each(|reason| metrics::REFUSED.add(1, &[("reason", reason)]));
        }
        if TRANSCRIBE.contains(&route.as_str()) {
            let labels = [("endpoint", route.as_str()), ("model", &self.model), ("outcome", outcome.name)];
            metrics::REQUESTS.add(1, &labels);
        }
        let holder = self.signature.0.get();
        if holder.is_some_and(|holder| holder.entry.is_private) {
            // Messages quote what was asked. Its audit line says all that may be said.
            return;
        }
        let key = holder.map(|holder| holder.entry.label.as_str());
        let ms = (seconds * 1e4).round() / 10.0;
        let (outcome, error) = (outcome.name, outcome.message.as_str());
        match status {
            500.. => tracing::warn!(id, key, method, route, status, ms, outcome, error, "request"),
            400.. => tracing::info!(id, key, method, route, status, ms, outcome, error, "request"),
            _ if QUIET.contains(&route.as_str()) => {
                tracing::debug!(id, key, method, route, status, ms, "request")
            }
            _ => tracing::info!(id, key, method, route, status, ms, "request"),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.written {
            // nginx's number for a client that closed the connection; it is never sent.
            self.write(499, &Outcome::left());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_answered_in_the_usual_shape_and_keeps_its_text_to_itself() {
        let response = panicked(Box::new("the secret of line 7".to_owned()));
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()["x-should-retry"], "false");
        let outcome = response.extensions().get::<Outcome>().unwrap();
        assert_eq!((outcome.name, outcome.message.as_str()), ("internal", "internal error"));
    }

    #[test]
    fn only_ids_that_are_fit_for_a_log_are_kept() {
        let with = |id: &str| {
            let request = Request::builder().header(REQUEST_ID, id).body(axum::body::Body::empty()).unwrap();
            request_id(&request) == id
        };
        assert!(with("visit-7"));
        assert!(!with("two words") && !with("") && !with(&"x".repeat(129)));
    }
}
