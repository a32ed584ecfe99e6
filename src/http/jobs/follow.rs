//! A job in; out, its results line by line as its items end, or its progress as events, until it has ended.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use http::{HeaderName, HeaderValue, header};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::PACE;
use super::answers::job_json;
use crate::http::error::ApiError;
use crate::jobs::{ItemId, ItemState, JobError, Jobs, Standing};

/// Results that are looked up at a time.
const BATCH: usize = 50;
/// Proxies cut what is silent for a minute, mostly.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// One item that has ended.
#[derive(Serialize)]
struct Line<'a> {
    item: usize,
    name: &'a str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Value>,
}

struct Following {
    jobs: Jobs,
    id: String,
    /// Items that were told.
    told: usize,
    waits: bool,
    end: CancellationToken,
    is_over: bool,
}

pub fn results(jobs: Jobs, id: String, skip: usize, waits: bool, end: CancellationToken) -> Response {
    let following = Following { jobs, id, told: skip, waits, end, is_over: false };
    let lines = stream::unfold(following, async |mut following| {
        let lines = match following.next().await {
            Ok(lines) => lines?,
            Err(error) => {
                // The status has gone out long ago. The client asks again, from where it is.
                following.is_over = true;
                format!("{}\n", ApiError::from(error).body()).into()
            }
        };
        Some((Ok::<Bytes, Infallible>(lines), following))
    });
    let mut response = Body::from_stream(lines).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    unbuffered(response)
}

/// nginx would gather what is told until its buffer is full.
fn unbuffered(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

impl Following {
    async fn next(&mut self) -> Result<Option<Bytes>, JobError> {
        while !self.is_over {
            let ended = self.jobs.backend.ended(&self.id, self.told, BATCH).await?;
            if !ended.is_empty() {
                let mut lines = Vec::new();
                for (item, standing) in &ended {
                    lines.extend(self.line(*item, standing).await?);
                }
                self.told += ended.len();
                return Ok(Some(lines.into()));
            }
            let summary = self.jobs.backend.summary(&self.id).await?;
            let all = summary.filter(|summary| !summary.is_cancelled && !summary.counts.is_over());
            if !self.waits || all.is_none() {
                // What ended between the two looks was not told yet; of a job that has ended nothing more comes.
                let last = self.jobs.backend.ended(&self.id, self.told, 1).await?;
                self.is_over = last.is_empty();
                continue;
            }
            tokio::select! {
                () = self.jobs.backend.changed(&self.id) => {}
                () = self.end.cancelled() => return Ok(None),
            }
        }
        Ok(None)
    }

    async fn line(&self, item: usize, standing: &Standing) -> Result<Vec<u8>, JobError> {
        let found = self.jobs.backend.items(&self.id, item, 1).await?;
        let name = found.into_iter().next().map(|(_, item, _)| item.name).unwrap_or_default();
        let json = match standing.state {
            ItemState::Done => self.jobs.blobs.result(&ItemId { job: self.id.clone(), item }).await?,
            _ => None,
        };
        let gone = crate::jobs::error("the result is gone", "server_error", "result_gone");
        let result = json.as_deref().and_then(|json| serde_json::from_slice::<&RawValue>(json).ok());
        let error = standing.error.as_ref();
        let error = if standing.state == ItemState::Done && result.is_none() { Some(&gone) } else { error };
        let line = Line { item, name: &name, state: standing.state.name(), result, error };
        let mut line = serde_json::to_vec(&line).expect("plain data serialises");
        line.push(b'\n');
        Ok(line)
    }
}

/// `progress` with the job as `GET /v1/jobs/{id}` has it, whenever that changes; `end` last.
pub fn events(jobs: Jobs, id: String, end: CancellationToken) -> Response {
    let events = stream::unfold(Some((jobs, id, String::new())), move |state| {
        let end = end.clone();
        async move {
            let (jobs, id, mut told) = state?;
            loop {
                let summary = match jobs.backend.summary(&id).await {
                    Ok(Some(summary)) => summary,
                    Ok(None) => return None,
                    Err(error) => {
                        let event = Event::default().event("error").data(ApiError::from(error).body());
                        return Some((Ok::<_, Infallible>(event), None));
                    }
                };
                let is_over = summary.is_cancelled || summary.counts.is_over();
                let now = serde_json::to_string(&job_json(&summary, None)).expect("plain structs serialise");
                if is_over {
                    return Some((Ok(Event::default().event("end").data(now)), None));
                }
                if now != told {
                    told.clone_from(&now);
                    let event = Event::default().event("progress").data(now);
                    return Some((Ok(event), Some((jobs, id, told))));
                }
                tokio::select! {
                    () = async { tokio::join!(jobs.backend.changed(&id), tokio::time::sleep(PACE)); } => {}
                    () = end.cancelled() => return None,
                }
            }
        }
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    unbuffered(Sse::new(events).keep_alive(keep_alive).into_response())
}
