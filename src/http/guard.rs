//! In front of every route: a request in; the same with its caller known, or 401, 403 or 429 out.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::caller::{Caller, Visit};
use super::error::ApiError;
use super::keys::{self, Holder, Passed, Standing};
use super::{App, body};

/// What platforms ask every few seconds, and have no key for.
const OPEN: [&str; 3] = ["/livez", "/readyz", "/health"];
/// What goes on with a session that was opened before.
const BEGUN: [&str; 2] = ["/v1/sessions/{id}/chunks", "/v1/sessions/{id}/finish"];

/// Left in a request by the access log, so that it can tell whose request it was even when the client leaves.
#[derive(Clone, Default)]
pub struct Signature(pub Arc<OnceLock<Arc<Holder>>>);

pub async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Response {
    // Also where nobody looks at it: what is behind has no use for a secret.
    let secret = keys::take(request.headers_mut());
    if !app.keys.are_wanted() {
        return match foreign(&app, &request) {
            Some(origin) => refuse(ApiError::ForeignOrigin(origin), request),
            None => next.run(request).await,
        };
    }
    if is_open(&app, &request) {
        return next.run(request).await;
    }
    let holder = match secret.as_deref().map(|secret| (app.keys.holder(secret), secret)) {
        Some((Some(holder), _)) => holder,
        Some((None, secret)) => return refuse(ApiError::WrongKey(keys::masked(secret)), request),
        None => return refuse(ApiError::NoKey, request),
    };
    if let Some(Signature(signature)) = request.extensions().get() {
        let _ = signature.set(holder.clone());
    }
    let entered = match is_work(&request) {
        true if BEGUN.contains(&route(&request).as_str()) => holder.meter.go_on(Instant::now()),
        true => holder.meter.enter(Instant::now()),
        false => Ok(Passed { place: None, standing: None }),
    };
    let (place, standing, spent) = match entered {
        Ok(Passed { place, standing }) => (place, standing, None),
        Err(spent) => (None, spent.standing, Some(spent)),
    };
    let caller = Caller::from(Visit::new(holder, place, id(&request), route(&request)));
    let response = match spent {
        Some(spent) => refuse(
            ApiError::Quota { code: spent.code, message: spent.message, retry_after: whole(spent.wait) },
            request,
        ),
        None => {
            request.extensions_mut().insert(caller.clone());
            next.run(request).await
        }
    };
    let mut response = caller.answered(response);
    if let Some(standing) = standing {
        tell(standing, response.headers_mut());
    }
    response
}

/// The client may still be sending, and must be able to read why it is refused.
fn refuse(error: ApiError, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    body::linger(&parts.headers, body);
    error.into_response()
}

/// Only to be looked at: nothing is done for whoever has no key.
fn is_open(app: &App, request: &Request) -> bool {
    let path = request.uri().path();
    // `/` is the page, whose files lie in a folder of their own; of every other route, all that is below it is meant.
    let below = |open: &str| match open {
        "/" => path == "/" || path.starts_with("/page/"),
        _ => path.strip_prefix(open).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    };
    let only_looks =
        matches!(*request.method(), Method::GET | Method::HEAD) && !is_upgrade(request.headers());
    only_looks && (OPEN.contains(&path) || app.settings.open_routes.iter().any(|open| below(open)))
}

/// What a quota counts: everything but a look.
fn is_work(request: &Request) -> bool {
    !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
        || is_upgrade(request.headers())
}

fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(header::UPGRADE)
}

/// Browsers ask no preflight for a websocket. Without keys, any page that somebody on this machine opens could speak to us.
fn foreign(app: &App, request: &Request) -> Option<String> {
    let headers = request.headers();
    let origin = headers.get(header::ORIGIN).filter(|_| is_upgrade(headers))?.to_str().unwrap_or("?");
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let own = origin.split_once("://").is_some_and(|(_, of_page)| of_page.eq_ignore_ascii_case(host));
    let listed = app.settings.cors_origins.iter().any(|listed| listed == "*" || listed == origin);
    (!own && !listed).then(|| origin.chars().take(100).collect())
}

fn id(request: &Request) -> String {
    let id = request.headers().get(HeaderName::from_static("x-request-id"));
    id.and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned()
}

fn route(request: &Request) -> String {
    request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned()
}

/// As OpenAI's headers of these names.
fn tell(standing: Standing, headers: &mut HeaderMap) {
    let mut say = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    say("x-ratelimit-limit-requests", standing.limit.to_string());
    say("x-ratelimit-remaining-requests", standing.remaining.to_string());
    say("x-ratelimit-reset-requests", spoken(standing.reset));
}

/// `0s`, `120ms`, `7s`, `6m0s`.
fn spoken(time: Duration) -> String {
    match time.as_millis() {
        0 => "0s".to_owned(),
        millis @ 1..1_000 => format!("{millis}ms"),
        _ if whole(time) < 60 => format!("{}s", whole(time)),
        _ => format!("{}m{}s", whole(time) / 60, whole(time) % 60),
    }
}

fn whole(time: Duration) -> u64 {
    time.as_secs_f64().ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spoken_as_openai_does() {
        let spoken = |millis| spoken(Duration::from_millis(millis));
        assert_eq!(
            [spoken(0), spoken(120), spoken(1_000), spoken(6_500), spoken(59_500), spoken(360_000)],
            ["0s", "120ms", "1s", "7s", "1m0s", "6m0s"]
        );
    }
}
