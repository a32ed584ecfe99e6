//! Jobs that have ended in, word of it to whoever asked for that out, again and again until somebody says that it has arrived.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::backend::{JobError, Webhook};
use super::job::{ItemState, Summary, now_ms};
use super::remote::Remote;
use super::service::Jobs;
use super::webhook;
use crate::telemetry::metrics;

/// How often is looked for those that are due.
const ROUNDS: Duration = Duration::from_secs(1);
/// Pause after the backend could not be asked.
const PAUSE: Duration = Duration::from_secs(5);

/// For ever.
pub async fn tell(jobs: &Jobs) {
    let remote = Arc::new(Remote::new(jobs.settings.allow_private_addresses));
    loop {
        let pause = match next(jobs, &remote).await {
            Ok(true) => continue,
            Ok(false) => ROUNDS,
            Err(error) => {
                tracing::warn!(%error, "webhooks wait");
                PAUSE
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Whether there was one.
async fn next(jobs: &Jobs, remote: &Arc<Remote>) -> Result<bool, JobError> {
    let Some(due) = jobs.backend.due_webhook().await? else { return Ok(false) };
    let Some(summary) = jobs.backend.summary(&due.job).await? else {
        jobs.backend.webhook_tried(&due, None).await?;
        return Ok(true);
    };
    let (again, outcome) = match post(jobs, remote, &due, &summary).await {
        Ok(()) => (None, "taken"),
        Err(problem) => {
            let again = webhook::wait(due.tries);
            let given_up = again.is_none();
            tracing::warn!(
                job = due.job,
                tries = due.tries + 1,
                problem,
                given_up,
                "a webhook was not taken"
            );
            (again, if given_up { "given_up" } else { "refused" })
        }
    };
    metrics::WEBHOOKS.add(1, &[("outcome", outcome)]);
    jobs.backend.webhook_tried(&due, again).await?;
    Ok(true)
}

/// Done when the other side says so, with a status of 2xx.
async fn post(jobs: &Jobs, remote: &Arc<Remote>, due: &Webhook, summary: &Summary) -> Result<(), String> {
    let body = body(summary);
    // The same for every try, so that the other side can tell that it has heard of it.
    let id = format!("evt_{}", due.job.trim_start_matches("job_"));
    let secret = jobs.settings.webhook_secret.as_ref().map(|secret| secret.reveal());
    let headers = webhook::headers(secret, &id, now_ms() / 1_000, &body);
    let (remote, url) = (remote.clone(), due.url.clone());
    let status = tokio::task::spawn_blocking(move || remote.post(&url, &headers, &body)).await;
    match status.map_err(|error| error.to_string())? {
        Ok(200..=299) => Ok(()),
        Ok(status) => Err(format!("it answered {status}")),
        Err(error) => Err(error.to_string()),
    }
}

/// As OpenAI's events are.
fn body(summary: &Summary) -> Vec<u8> {
    let counts = &summary.counts;
    let ended = summary.ended_ms.unwrap_or_else(now_ms);
    let event = json!({
        "object": "event",
        "id": format!("evt_{}", summary.id.trim_start_matches("job_")),
        "type": "job.ended",
        "created_at": ended / 1_000,
        "data": {
            "id": summary.id,
            "object": "job",
            "name": summary.name,
            "state": summary.state(),
            "counts": {
                "all": counts.all(),
                "done": counts.of(ItemState::Done),
                "failed": counts.of(ItemState::Failed),
                "cancelled": counts.of(ItemState::Cancelled),
            },
            "audio_seconds": counts.seconds,
        },
    });
    serde_json::to_vec(&event).expect("plain data serialises")
}
