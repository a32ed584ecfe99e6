//! `/v1/sessions`: the chunks of a dictation in, each once or again; text that stands, and what is to be sent again, out.
//!
//! ```text
//! chunk --intake--> take, on the disk where there is one --listen--> committed, tentative --answers--> JSON
//! ```

mod answers;
mod asked;
mod folder;
mod intake;
mod listen;
mod session;
mod settings;
mod store;

use std::time::Instant;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};

pub use self::answers::{Ended, Heard, Standing};
pub use self::settings::Settings;
use self::store::Created;
pub use self::store::Sessions;
use super::body::{self, Limits};
use super::caller::Caller;
use super::error::ApiError;
use super::extract::Path;
use super::{App, form, observe, terms, transcriptions};
use crate::format;

/// Options are small; what is larger is no opening and no finish.
const MOST_FIELDS: u64 = 256 << 10;

pub async fn open(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    opened(app, None, request).await
}

/// The same under a name that the client chose: what was open before stays as it is.
pub async fn open_as(
    State(app): State<App>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    opened(app, Some(id), request).await
}

async fn opened(app: App, id: Option<String>, request: Request) -> Result<Response, ApiError> {
    let caller = Caller::of(request.extensions());
    transcriptions::ready(&app)?;
    let _place = app.desk.place(&app.transcriber.load())?;
    let (parts, body) = request.into_parts();
    let limits = Limits::of(&app.settings).at_most(MOST_FIELDS);
    body::check_headers(&parts.headers, &limits)?;
    let fields = form::read_fields(&parts.uri, &parts.headers, body, limits).await?;
    let opening = asked::opening(fields, id)?;
    transcriptions::check_model(&app, &opening.wanted)?;
    let ignored = opening.wanted.ignored.clone();
    let (session, created) = app.sessions.create(&app.transcriber, caller.number(), opening).await?;
    let status = match created {
        Created::Now => StatusCode::CREATED,
        Created::Before => StatusCode::OK,
    };
    let standing = Json(Standing::of(&session, app.sessions.idle()));
    Ok(with_ignored((status, standing).into_response(), &ignored))
}

pub async fn state(
    State(app): State<App>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<Standing>, ApiError> {
    let owner = Caller::of(request.extensions()).number();
    let session = app.sessions.find(&app.transcriber, owner, &id).await?;
    Ok(Json(Standing::of(&session, app.sessions.idle())))
}

pub async fn forget(
    State(app): State<App>,
    Path(id): Path<String>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let owner = Caller::of(request.extensions()).number();
    let session = app.sessions.find(&app.transcriber, owner, &id).await?;
    app.sessions.forget(&session).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn chunk(
    State(app): State<App>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let received = Instant::now();
    let caller = Caller::of(request.extensions());
    let (parts, body) = request.into_parts();
    let limits = Limits::of(&app.settings);
    let entered = async {
        let length = entrance(&app, &parts, &limits)?;
        let terms = caller.terms(terms::read(&parts.headers, received)?);
        // Before the upload: who has no session need not send all of it to hear that.
        let session = app.sessions.find(&app.transcriber, caller.number(), &id).await?;
        Ok((app.door.enter(&app.transcriber.load(), length)?, terms, session))
    };
    let (_permit, terms, session) = match entered.await {
        Ok(entered) => entered,
        Err(refusal) => {
            body::linger(&parts.headers, body);
            return Err(refusal);
        }
    };
    let form = form::read(&parts.uri, &parts.headers, body, limits).await?;
    caller.sent(&form.audio, &app.bench).await?;
    let (chunk, ignored) = asked::chunk(&form.fields, session.opening.chunks)?;
    let settings = app.sessions.settings();
    let taken = intake::take_in(&app.transcriber, settings, &session, chunk, form.audio).await?;
    // A quota pays for a dictation as it comes, each chunk once, also where the text comes later.
    caller.heard(taken.audio);
    let hearing = listen::hear(&app.transcriber, &session, chunk.seq, terms);
    let timing = transcriptions::within(&app, terms, hearing).await?;
    let answer = Heard::of(&session, chunk, &taken, timing, app.sessions.idle());
    Ok(with_ignored(Json(answer).into_response(), &ignored))
}

pub async fn finish(
    State(app): State<App>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let received = Instant::now();
    let caller = Caller::of(request.extensions());
    let (parts, body) = request.into_parts();
    let limits = Limits::of(&app.settings).at_most(MOST_FIELDS);
    entrance(&app, &parts, &limits)?;
    let terms = caller.terms(terms::read(&parts.headers, received)?);
    let session = app.sessions.find(&app.transcriber, caller.number(), &id).await?;
    let _permit = app.door.enter(&app.transcriber.load(), Some(0))?;
    let fields = form::read_fields(&parts.uri, &parts.headers, body, limits).await?;
    let asked = asked::finish(&session.opening, fields)?;
    let work = listen::finish(&app.transcriber, &session, &asked, terms);
    let (transcript, finished) = transcriptions::within(&app, terms, work).await?;
    observe::transcribed(&transcript);
    // Its chunks have paid for it.
    caller.shown(transcript.duration);
    let rendered = format::render(&transcript, &asked.wanted.layout);
    let rendered = answers::finished(rendered, &session, &finished);
    let mut response = transcriptions::respond(rendered, &transcript, &asked.wanted);
    // For formats without room for the list; GET has it.
    let changes = HeaderValue::from(finished.difference().len());
    response.headers_mut().insert(HeaderName::from_static("x-verbatim-changes"), changes);
    Ok(response)
}

/// The length that the headers announce.
fn entrance(app: &App, parts: &Parts, limits: &Limits) -> Result<Option<u64>, ApiError> {
    transcriptions::ready(app)?;
    body::check_headers(&parts.headers, limits)
}

fn with_ignored(mut response: Response, ignored: &[String]) -> Response {
    if !ignored.is_empty() {
        transcriptions::say(response.headers_mut(), transcriptions::IGNORED, &ignored.join(", "));
    }
    response
}
