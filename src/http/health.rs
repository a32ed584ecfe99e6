//! `/livez`, `/readyz`, `/health`, `/metrics`: what platforms ask.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use serde_json::json;

use super::App;
use super::error::ApiError;
use crate::readiness;
use crate::telemetry::gpu::GpuReading;
use crate::telemetry::metrics;

/// 200 as long as the process can answer. Asks nothing of the device: restarting a busy process would not help it.
pub async fn live() -> Response {
    Json(json!({ "status": "alive" })).into_response()
}

/// 200 when work is welcome: the model is warm, nobody drains, and the device's thread shows life.
pub async fn ready(State(app): State<App>) -> Result<Response, ApiError> {
    match not_ready(&app) {
        Some(reason) => Err(ApiError::NotReady(reason)),
        None => Ok(Json(json!({ "status": "ready", "model": app.transcriber.model().name })).into_response()),
    }
}

pub async fn metrics(State(app): State<App>) -> Response {
    let load = app.transcriber.load();
    let model = app.transcriber.model();
    let labels = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("model", &model.name),
        ("device", &model.device),
        ("dtype", &model.dtype),
    ];
    metrics::BUILD.set(1.0, &labels);
    metrics::READY.set(if not_ready(&app).is_none() { 1.0 } else { 0.0 }, &[]);
    metrics::UPTIME.set(app.started.elapsed().as_secs_f64(), &[]);
    metrics::QUEUE_WINDOWS.set(load.queued_windows as f64, &[]);
    metrics::QUEUE_AUDIO.set(load.audio_seconds_ahead, &[]);
    metrics::SLOTS.set(load.slots as f64, &[]);
    metrics::SLOTS_BUSY.set(load.slots_busy as f64, &[]);
    metrics::HEARTBEAT_AGE.set(load.heartbeat_age_seconds, &[]);
    metrics::AUDIO.set_total(load.audio_seconds_done as u64, &[]);
    metrics::DEVICE_BUSY.set_total(load.busy_seconds as u64, &[]);
    if let Ok(reading) = app.gpu.read().await {
        for (index, gpu) in reading.gpus.iter().enumerate() {
            set_gpu(&index.to_string(), gpu);
        }
    }
    let text = app.metrics.render();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

fn set_gpu(index: &str, gpu: &GpuReading) {
    let labels = [("gpu", index)];
    let readings = [
        (&metrics::GPU_UTILIZATION, gpu.utilization_percent.map(|percent| f64::from(percent) / 100.0)),
        (&metrics::GPU_MEMORY_USED, gpu.memory.map(|memory| memory.used as f64)),
        (&metrics::GPU_MEMORY_TOTAL, gpu.memory.map(|memory| memory.total as f64)),
        (&metrics::GPU_TEMPERATURE, gpu.temperature_celsius.map(f64::from)),
        (&metrics::GPU_POWER, gpu.power_watts),
    ];
    for (gauge, value) in readings {
        if let Some(value) = value {
            gauge.set(value, &labels);
        }
    }
}

fn not_ready(app: &App) -> Option<String> {
    match app.readiness.state() {
        readiness::State::Starting(reasons) => return Some(format!("waiting for {}", reasons.join(", "))),
        readiness::State::Draining => return Some("shutting down".to_owned()),
        readiness::State::Ready => {}
    }
    let (age, most) =
        (app.transcriber.load().heartbeat_age_seconds, app.settings.heartbeat_timeout.as_secs_f64());
    (age > most).then(|| {
        format!(
            "the device has shown no sign of life for {age:.0} s (server.heartbeat_timeout_seconds is {most})"
        )
    })
}
