//! `/v1/jobs`: files in, accepted for good; how far they are, and their transcripts as they are done, out.
//!
//! ```text
//! submit --intake--> blobs, backend        state, list --answers--> JSON
//! runner --scribe--> transcriber --> blobs --follow--> NDJSON, events
//! ```

mod answers;
mod estimate;
mod follow;
mod intake;
mod office;
mod scribe;
mod spool;

use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

pub use self::answers::{Estimate, ItemJson, JobJson, JobList};
use self::answers::{JobItems, job_json};
pub use self::estimate::estimate;
pub use self::office::Office;
use super::caller::Caller;
use super::error::ApiError;
use super::extract::{Path, Query};
use super::{App, body, idempotency, subtitles, transcriptions};
use crate::format::Format;
use crate::jobs::{Fields, ItemId, ItemState, JobError, Jobs, Submitted, Summary};

/// Jobs of one answer to `GET /v1/jobs`, and items of one to `GET /v1/jobs/{id}`, at most.
const MOST_JOBS: usize = 100;
const MOST_ITEMS: usize = 1_000;
/// Where nobody says how many.
const SOME_JOBS: usize = 20;
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// `POST /v1/jobs`.
pub async fn submit(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    submitted(app, request).await
}

/// Whether the caller would rather have an answer at once and the text later (RFC 7240).
pub fn is_asynchronous(headers: &HeaderMap) -> bool {
    let preferences = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let mut preferences = preferences.flat_map(|value| value.split([',', ';']));
    preferences.any(|preference| preference.trim().eq_ignore_ascii_case("respond-async"))
}

/// A job of whatever files the request has.
pub async fn submitted(app: App, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let caller = Caller::of(&parts.extensions);
    let entered = async {
        transcriptions::started(&app)?;
        if caller.is_private() {
            let message =
                "nothing that comes with this key may be kept (private), and jobs are; use /transcribe";
            return Err(ApiError::BadRequest { param: None, message: message.to_owned() });
        }
        let key = idempotency::read(&parts.headers)?;
        let jobs = app.office.open(&app).await?;
        let place = app.office.place().await?;
        // Before the upload: who finds no room need not send all of it to hear that.
        let waiting = jobs.backend.backlog().await?.of(ItemState::Queued);
        if waiting >= jobs.settings.max_queued_items {
            return Err(JobError::Full { waiting, most: jobs.settings.max_queued_items }.into());
        }
        Ok((jobs, key, place))
    };
    let (jobs, key, _place) = match entered.await {
        Ok(entered) => entered,
        Err(refusal) => {
            body::linger(&parts.headers, body);
            return Err(refusal);
        }
    };
    let was_preferred = is_asynchronous(&parts.headers);
    let job = match intake::take_in(&app, &jobs, &parts, body).await {
        Ok(job) => job.of(&caller, key),
        Err(failed) => {
            intake::undo(&jobs, &failed.id);
            return Err(failed.error);
        }
    };
    let submitted = jobs.backend.submit(&job).await;
    // Where nobody knows whether it has become a job, its files stay: the same request, made again, may find that it has.
    if !matches!(submitted, Ok(Submitted::New) | Err(JobError::Unavailable(_))) {
        intake::undo(&jobs, &job.id);
    }
    let id = match submitted? {
        Submitted::New => job.id,
        Submitted::Before(id) => id,
        Submitted::KeyReused => return Err(ApiError::KeyReused),
    };
    let summary = jobs.backend.summary(&id).await?.ok_or_else(|| absent(&id))?;
    let mut response = (StatusCode::ACCEPTED, Json(job_json(&summary, None))).into_response();
    let headers = response.headers_mut();
    if let Ok(place) = HeaderValue::from_str(&format!("/v1/jobs/{id}")) {
        headers.insert(header::LOCATION, place);
    }
    if was_preferred {
        headers.insert("preference-applied", HeaderValue::from_static("respond-async"));
    }
    Ok(response)
}

#[derive(Default, serde::Deserialize)]
pub struct Page {
    limit: Option<usize>,
    /// The last job of the page before.
    after: Option<String>,
}

/// `GET /v1/jobs`.
pub async fn list(
    State(app): State<App>,
    Query(page): Query<Page>,
    request: Request,
) -> Result<Json<JobList>, ApiError> {
    let owner = Caller::of(request.extensions()).number();
    let jobs = app.office.open(&app).await?;
    let most = page.limit.unwrap_or(SOME_JOBS).clamp(1, MOST_JOBS);
    // One more, to know whether there is one.
    let mut found = jobs.backend.list(owner, page.after.as_deref(), most + 1).await?;
    let has_more = found.len() > most;
    found.truncate(most);
    let data = found.iter().map(|summary| job_json(summary, None)).collect();
    Ok(Json(JobList { object: "list", data, has_more }))
}

#[derive(Default, serde::Deserialize)]
pub struct ItemPage {
    limit: Option<usize>,
    /// The first item of the page.
    from: Option<usize>,
}

/// `GET /v1/jobs/{id}`.
pub async fn state(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(page): Query<ItemPage>,
    request: Request,
) -> Result<Json<JobJson>, ApiError> {
    let (jobs, summary) = find(&app, Caller::of(request.extensions()).number(), &id).await?;
    let most = page.limit.unwrap_or(MOST_ITEMS).min(MOST_ITEMS);
    let mut found = jobs.backend.items(&id, page.from.unwrap_or(0), most + 1).await?;
    let has_more = found.len() > most;
    found.truncate(most);
    Ok(Json(job_json(&summary, Some(JobItems { found, has_more }))))
}

/// `DELETE /v1/jobs/{id}`: a job that has not ended is cancelled, one that has ended is forgotten.
pub async fn cancel(
    State(app): State<App>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (jobs, summary) = find(&app, Caller::of(request.extensions()).number(), &id).await?;
    if summary.is_cancelled || summary.counts.is_over() {
        jobs.forget(&id).await?;
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    jobs.backend.cancel(&id).await?;
    let summary = jobs.backend.summary(&id).await?.ok_or_else(|| absent(&id))?;
    Ok(Json(job_json(&summary, None)).into_response())
}

#[derive(Default, serde::Deserialize)]
pub struct Follow {
    /// Results that the caller has already.
    after: Option<usize>,
    /// Whether to wait for those that are not there yet.
    follow: Option<bool>,
}

/// `GET /v1/jobs/{id}/results`: a line of JSON for each item, as they end.
pub async fn results(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(asked): Query<Follow>,
    request: Request,
) -> Result<Response, ApiError> {
    let (jobs, _) = find(&app, Caller::of(request.extensions()).number(), &id).await?;
    Ok(follow::results(jobs, id, asked.after.unwrap_or(0), asked.follow.unwrap_or(true), app.office.end()))
}

/// `GET /v1/jobs/{id}/events`: how far it is, as server-sent events.
pub async fn events(
    State(app): State<App>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (jobs, _) = find(&app, Caller::of(request.extensions()).number(), &id).await?;
    Ok(follow::events(jobs, id, app.office.end()))
}

/// `GET /v1/jobs/{id}/items/{item}`: one transcript, in any format.
pub async fn item(
    State(app): State<App>,
    Path((id, item)): Path<(String, usize)>,
    Query(asked): Query<Fields>,
    request: Request,
) -> Result<Response, ApiError> {
    let (jobs, _) = find(&app, Caller::of(request.extensions()).number(), &id).await?;
    let found = jobs.backend.items(&id, item, 1).await?;
    let Some((_, _, standing)) = found.into_iter().find(|(at, ..)| *at == item) else {
        return Err(ApiError::JobNotFound(format!("the job '{id}' has no item {item}")));
    };
    let json = match standing.state {
        ItemState::Done => jobs.blobs.result(&ItemId { job: id.clone(), item }).await?,
        state => {
            let mut message = format!("item {item} of the job '{id}' is {}", state.name());
            if let Some(why) = standing.error.as_ref().and_then(|error| error["message"].as_str()) {
                message = format!("{message}: {why}");
            }
            return Err(ApiError::Conflict { code: "item_not_done", message, next: None });
        }
    };
    let json = json.ok_or_else(|| ApiError::Internal(format!("the result {item} of {id} is gone")))?;
    let (mut wanted, ignored) = subtitles::judge(&asked)?;
    if !asked.iter().any(|(name, _)| ["response_format", "output", "format"].contains(&name.as_str())) {
        wanted.format = Format::VerboseJson;
    }
    let rendered = app.bench.work(move || subtitles::render(&json, wanted)).await?;
    Ok(subtitles::answer(rendered, &ignored))
}

/// A job of the caller's own; of others' there is nothing to be known.
async fn find(app: &App, owner: u64, id: &str) -> Result<(Jobs, Summary), ApiError> {
    let jobs = app.office.open(app).await?;
    let summary = jobs.backend.summary(id).await?.filter(|summary| summary.owner == owner);
    Ok((jobs, summary.ok_or_else(|| absent(id))?))
}

fn absent(id: &str) -> ApiError {
    ApiError::JobNotFound(format!(
        "there is no job '{id}'; jobs are forgotten some days after their end (jobs.keep_seconds)"
    ))
}

/// How often whoever follows a job is told of changes at most.
const PACE: Duration = Duration::from_millis(200);
