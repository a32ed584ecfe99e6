//! `GET /v1/estimate`: so much audio in, how long it would take out.

use axum::Json;
use axum::extract::State;

use super::answers::{Estimate, speed};
use crate::http::App;
use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::jobs::ItemState;

#[derive(serde::Deserialize)]
pub struct Asked {
    audio_seconds: Option<f64>,
    /// So many files, each as long as `audio_seconds` says.
    files: Option<u32>,
}

pub async fn estimate(
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Json<Estimate>, ApiError> {
    let each = asked.audio_seconds.filter(|seconds| (0.0..=1e9).contains(seconds));
    let each = each.ok_or_else(|| {
        ApiError::param("audio_seconds", "audio_seconds says how much audio there is, in seconds")
    })?;
    let audio_seconds = each * f64::from(asked.files.unwrap_or(1).max(1));
    let jobs = app.office.open(&app).await?;
    let backlog = jobs.backend.backlog().await?;
    let queued_items = backlog.of(ItemState::Queued) + backlog.of(ItemState::Working);
    let speed = speed(&app);
    let seconds = speed.map(|speed| audio_seconds / speed);
    let behind = speed.map(|speed| queued_items as f64 * each / speed);
    Ok(Json(Estimate {
        object: "estimate",
        audio_seconds,
        audio_seconds_per_second: speed,
        queued_items,
        seconds,
        seconds_behind_queue: seconds.zip(behind).map(|(seconds, behind)| seconds + behind),
    }))
}
