//! `/livez`, `/readyz`, `/health`, `/metrics`: what platforms ask.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::error::ApiError;
use crate::readiness;
use crate::telemetry::gpu::GpuReading;
use crate::telemetry::metrics;

#[derive(Serialize, ToSchema)]
pub struct Alive {
    status: &'static str,
}

#[derive(Serialize, ToSchema)]
pub struct Ready {
    status: &'static str,
    model: String,
}

/// 200 as long as the process can answer. Asks nothing of the device: restarting a busy process would not help it.
pub async fn live() -> Json<Alive> {
    Json(Alive { status: "alive" })
}

/// 200 when work is welcome: the model is warm, nobody drains, the device's thread shows life, and the queue is short enough.
pub async fn ready(State(app): State<App>) -> Result<Json<Ready>, ApiError> {
    let reasons = not_ready(&app);
    if reasons.is_empty() {
        return Ok(Json(Ready { status: "ready", model: app.transcriber.model().name.clone() }));
    }
    Err(ApiError::NotReady(reasons.join("; ")))
}

pub async fn metrics(State(app): State<App>) -> Response {
    app.office.measure().await;
    let load = app.transcriber.load();
    let model = app.transcriber.model();
    let labels = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("model", &model.name),
        ("device", &model.device),
        ("dtype", &model.dtype),
    ];
    metrics::BUILD.set(1.0, &labels);
    metrics::READY.set(if not_ready(&app).is_empty() { 1.0 } else { 0.0 }, &[]);
    metrics::UPTIME.set(app.started.elapsed().as_secs_f64(), &[]);
    metrics::QUEUE_WINDOWS.set(load.queued_windows as f64, &[]);
    metrics::QUEUE_AUDIO.set(load.audio_seconds_ahead, &[]);
    metrics::SLOTS.set(load.slots as f64, &[]);
    metrics::SLOTS_BUSY.set(load.slots_busy as f64, &[]);
    metrics::HEARTBEAT_AGE.set(load.heartbeat_age_seconds, &[]);
    metrics::ENCODE_MOST.set(load.most_windows as f64, &[]);
    metrics::STEP_MOST.set(load.most_rows as f64, &[]);
    metrics::AUDIO_IN.set_total(load.audio_seconds_in as u64, &[]);
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
        (&metrics::GPU_POWER_LIMIT, gpu.power_limit_watts),
        (&metrics::GPU_CLOCK, gpu.sm_clock_mhz.map(|mhz| f64::from(mhz) * 1e6)),
        (&metrics::GPU_THROTTLED, gpu.is_throttled().map(|throttled| f64::from(u8::from(throttled)))),
    ];
    for (gauge, value) in readings {
        if let Some(value) = value {
            gauge.set(value, &labels);
        }
    }
    let ecc = gpu.ecc.unwrap_or_default();
    for (kind, count) in [("corrected", ecc.corrected), ("uncorrected", ecc.uncorrected)] {
        if let Some(count) = count {
            metrics::GPU_ECC.set_total(count, &[("gpu", index), ("kind", kind)]);
        }
    }
}

/// Every reason that there is.
fn not_ready(app: &App) -> Vec<String> {
    let load = app.transcriber.load();
    let (age, most) = (load.heartbeat_age_seconds, app.settings.heartbeat_timeout.as_secs_f64());
    let (waiting, mark) = (load.audio_seconds_ahead, app.settings.ready_mark());
    let state = match app.readiness.state() {
        readiness::State::Starting(reasons) => Some(format!("waiting for {}", reasons.join(", "))),
        readiness::State::Draining => Some("shutting down".to_owned()),
        readiness::State::Ready => None,
    };
    let lost = load.is_lost.then(|| "the device is lost; this process is about to end".to_owned());
    let silent = (age > most).then(|| {
        format!(
            "the device has shown no sign of life for {age:.0} s (server.heartbeat_timeout_seconds is {most})"
        )
    });
    let full = (waiting > mark as f64).then(|| {
        format!("{waiting:.0} s of audio are waiting (server.ready_max_queue_audio_seconds is {mark})")
    });
    [state, lost, silent, full].into_iter().flatten().collect()
}
