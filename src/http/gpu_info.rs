//! `GET /gpu-info`: what the driver says of the GPU and what we do with it, as JSON or for a terminal.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{App, door};
use crate::engine::{Fault, Load};
use crate::model::ModelInfo;
use crate::telemetry::gpu::{Ecc, GpuProcess, GpuReading, Memory, Reading};
use crate::telemetry::gpu_block;
use crate::transcriber::Canary;

#[derive(Deserialize)]
pub struct Wanted {
    #[serde(default)]
    format: String,
}

pub async fn gpu_info(State(app): State<App>, wanted: Result<Query<Wanted>, QueryRejection>) -> Response {
    let reading = app.gpu.read().await;
    let (model, load) = (app.transcriber.model(), app.transcriber.load());
    let (fault, canary) = (app.transcriber.last_fault(), app.transcriber.last_canary());
    let requests = app.door.taken();
    let info = Info::of(&Facts { reading: &reading, model, load: &load, requests, fault, canary });
    // Whatever else the query says, an operator who asks this gets an answer.
    if wanted.is_ok_and(|wanted| wanted.format.eq_ignore_ascii_case("text")) {
        return (gpu_block(&reading) + &info.for_people()).into_response();
    }
    Json(info).into_response()
}

struct Facts<'a> {
    reading: &'a Result<Reading, String>,
    model: &'a ModelInfo,
    load: &'a Load,
    requests: usize,
    fault: Option<Fault>,
    canary: Option<Canary>,
}

/// The latest thing that went wrong on the device since the start; the log has all of them.
#[derive(Debug, Serialize, ToSchema)]
struct LastFault {
    what: String,
    seconds_ago: f64,
}

/// The latest silent window that ran on the idle device.
#[derive(Debug, Serialize, ToSchema)]
struct LastCanary {
    seconds_ago: f64,
    took_ms: f64,
    /// `null`: it came through.
    failed: Option<String>,
}

/// The first ten under the names that PyTorch services have made known. `null`: cannot be told.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GpuInfo)]
pub struct Info {
    /// The model is on a CUDA device. What the driver sees is `nvml_available` and `gpu_count`.
    cuda_available: bool,
    device: String,
    gpu_name: Option<String>,
    gpu_count: usize,
    gpu_memory_total_gb: Option<f64>,
    /// What we asked the device for: weights and caches.
    gpu_memory_allocated_gb: Option<f64>,
    /// What the driver counts for this process: the same, and CUDA's own context, kernels and workspace.
    gpu_memory_reserved_gb: Option<f64>,
    cuda_version: Option<String>,
    driver_version: Option<String>,
    compute_capability: Option<String>,

    nvml_available: bool,
    /// Whether the driver lists a process on this GPU that can only be ours.
    process_on_gpu: Option<bool>,
    gpu_uuid: Option<String>,
    gpu_memory: Option<Memory>,
    /// Memory that nobody uses yet.
    gpu_headroom_bytes: Option<u64>,
    gpu_utilization_percent: Option<u32>,
    gpu_memory_utilization_percent: Option<u32>,
    gpu_temperature_celsius: Option<u32>,
    gpu_power_watts: Option<f64>,
    gpu_power_limit_watts: Option<f64>,
    gpu_clock_mhz: Option<u32>,
    gpu_clock_max_mhz: Option<u32>,
    gpu_memory_clock_mhz: Option<u32>,
    gpu_throttle_reasons: Option<Vec<&'static str>>,
    gpu_ecc: Option<Ecc>,
    gpu_pcie_generation: Option<u32>,
    gpu_pcie_width: Option<u32>,
    gpu_processes: Option<Vec<GpuProcess>>,

    model: String,
    demo_model: bool,
    dtype: String,
    parameters: u64,
    weight_bytes: u64,
    kv_bytes: u64,
    /// What the driver counts for this process beyond weights and caches.
    workspace_bytes: Option<u64>,
    /// What was set aside for it when the slots were chosen.
    workspace_estimate_bytes: u64,
    slots: usize,
    slots_busy: usize,
    /// Rows of one decoder step with all beams and draws.
    lanes: usize,
    /// Rows of one decoder step at most: every slot.
    batch_limit: usize,
    /// The largest batches there is room for, as set or as learnt from a device that had no room for more.
    largest_safe_encode_batch: usize,
    largest_safe_step_rows: usize,
    queue_depth_windows: usize,
    queue_audio_seconds: f64,
    requests_in_flight: usize,
    windows_done: u64,
    tokens_done: u64,
    audio_seconds_done: f64,
    /// Measured since the start, over the time in which the device worked. `null` until something was transcribed.
    audio_seconds_per_second: Option<f64>,
    device_heartbeat_age_seconds: f64,
    device_idle_seconds: f64,
    /// `null`: none since the start.
    last_fault: Option<LastFault>,
    last_canary: Option<LastCanary>,
    /// Why there is no GPU, or that there is one and it is not used.
    note: Option<String>,
}

impl Info {
    fn of(facts: &Facts) -> Info {
        let Facts { reading, model, load, requests, .. } = *facts;
        let on_cuda = model.device.starts_with("cuda");
        let machine = reading.as_ref().ok();
        let gpu = machine.and_then(|machine| machine.of_device(&model.device)).cloned().unwrap_or_default();
        let process = on_cuda.then(|| own_process(&gpu)).flatten();
        let reserved = process.and_then(|process| process.used_bytes);
        let allocated = on_cuda.then_some(model.weight_bytes + model.kv_bytes);
        Info {
            cuda_available: on_cuda,
            device: model.device.clone(),
            gpu_name: gpu.name,
            gpu_count: machine.map_or(0, |machine| machine.gpus.len()),
            gpu_memory_total_gb: gpu.memory.map(|memory| gigabytes(memory.total)),
            gpu_memory_allocated_gb: allocated.map(gigabytes),
            gpu_memory_reserved_gb: reserved.map(gigabytes),
            cuda_version: machine.and_then(|machine| machine.cuda_version.clone()),
            driver_version: machine.and_then(|machine| machine.driver_version.clone()),
            compute_capability: gpu.compute_capability,
            nvml_available: machine.is_some(),
            process_on_gpu: gpu.processes.as_ref().map(|_| process.is_some()),
            gpu_uuid: gpu.uuid,
            gpu_memory: gpu.memory,
            gpu_headroom_bytes: gpu.memory.map(|memory| memory.free),
            gpu_utilization_percent: gpu.utilization_percent,
            gpu_memory_utilization_percent: gpu.memory_utilization_percent,
            gpu_temperature_celsius: gpu.temperature_celsius,
            gpu_power_watts: gpu.power_watts,
            gpu_power_limit_watts: gpu.power_limit_watts,
            gpu_clock_mhz: gpu.sm_clock_mhz,
            gpu_clock_max_mhz: gpu.sm_clock_max_mhz,
            gpu_memory_clock_mhz: gpu.memory_clock_mhz,
            gpu_throttle_reasons: gpu.throttle_reasons,
            gpu_ecc: gpu.ecc,
            gpu_pcie_generation: gpu.pcie_generation,
            gpu_pcie_width: gpu.pcie_width,
            gpu_processes: gpu.processes,
            model: model.name.clone(),
            demo_model: model.is_demo,
            dtype: model.dtype.clone(),
            parameters: model.parameters,
            weight_bytes: model.weight_bytes,
            kv_bytes: model.kv_bytes,
            workspace_bytes: reserved.zip(allocated).map(|(reserved, ours)| reserved.saturating_sub(ours)),
            workspace_estimate_bytes: model.workspace_bytes,
            lanes: model.lanes,
            largest_safe_encode_batch: load.most_windows,
            largest_safe_step_rows: load.most_rows,
            slots: load.slots,
            slots_busy: load.slots_busy,
            batch_limit: load.slots,
            queue_depth_windows: load.queued_windows,
            queue_audio_seconds: load.audio_seconds_ahead,
            requests_in_flight: requests,
            windows_done: load.windows_done,
            tokens_done: load.tokens_done,
            audio_seconds_done: load.audio_seconds_done,
            audio_seconds_per_second: door::audio_seconds_per_second(load),
            device_heartbeat_age_seconds: load.heartbeat_age_seconds,
            device_idle_seconds: load.idle_seconds,
            last_fault: facts.fault.as_ref().map(|fault| LastFault {
                what: fault.what.clone(),
                seconds_ago: fault.at.elapsed().as_secs_f64(),
            }),
            last_canary: facts.canary.as_ref().map(|canary| LastCanary {
                seconds_ago: canary.at.elapsed().as_secs_f64(),
                took_ms: canary.took.as_secs_f64() * 1e3,
                failed: canary.failed.clone(),
            }),
            note: note(reading, &model.device),
        }
    }

    fn for_people(&self) -> String {
        let speed = self.audio_seconds_per_second;
        let lines = [
            ("model", format!("{} ({} parameters, {})", self.model, self.parameters, self.dtype)),
            ("device", self.device.clone()),
            ("weights", format!("{} MiB", self.weight_bytes >> 20)),
            ("caches", format!("{} MiB for {} slots", self.kv_bytes >> 20, self.slots)),
            ("at work", format!("{} of {} slots", self.slots_busy, self.slots)),
            (
                "waiting",
                format!("{} windows; {} requests inside", self.queue_depth_windows, self.requests_in_flight),
            ),
            (
                "speed",
                speed
                    .map_or("not measured yet".to_owned(), |speed| format!("{speed:.1} s of audio a second")),
            ),
            ("heartbeat", format!("{:.1} s ago", self.device_heartbeat_age_seconds)),
            (
                "batches",
                format!(
                    "up to {} windows, {} rows a step",
                    self.largest_safe_encode_batch, self.largest_safe_step_rows
                ),
            ),
            ("canary", self.last_canary.as_ref().map(LastCanary::for_people).unwrap_or_default()),
            (
                "last fault",
                self.last_fault
                    .as_ref()
                    .map(|fault| format!("{:.0} s ago: {}", fault.seconds_ago, fault.what))
                    .unwrap_or_default(),
            ),
            ("note", self.note.clone().unwrap_or_default()),
        ];
        let told = lines.into_iter().filter(|(_, text)| !text.is_empty());
        told.map(|(name, text)| format!("{name:<10} {text}\n")).collect()
    }
}

impl LastCanary {
    fn for_people(&self) -> String {
        let how = self.failed.as_deref().unwrap_or("it works");
        format!("{:.0} s ago, {:.0} ms: {how}", self.seconds_ago, self.took_ms)
    }
}

/// The driver numbers processes as the host does. In a container our own number is another, but a process that is
/// alone on the GPU must be ours.
fn own_process(gpu: &GpuReading) -> Option<GpuProcess> {
    let processes = gpu.processes.as_deref()?;
    let by_number = processes.iter().find(|process| process.pid == std::process::id());
    match (by_number, processes) {
        (Some(process), _) | (None, [process]) => Some(*process),
        _ => None,
    }
}

fn note(reading: &Result<Reading, String>, device: &str) -> Option<String> {
    let built = if cfg!(feature = "cuda") { "" } else { "; this program was built without CUDA" };
    match (reading, device.starts_with("cuda")) {
        (Err(reason), true) => {
            Some(format!("the model is on {device}, but the GPU cannot be read: {reason}"))
        }
        (Err(reason), false) => Some(format!("no GPU is used: {reason}{built}")),
        (Ok(machine), false) if machine.gpus.is_empty() => {
            Some(format!("no GPU is used: the NVIDIA driver sees none{built}"))
        }
        (Ok(_), false) => Some(format!("there is a GPU, but the model is on {device}{built}")),
        (Ok(_), true) => None,
    }
}

/// PyTorch's gigabytes are gibibytes, and so are these. Two decimals.
fn gigabytes(bytes: u64) -> f64 {
    (bytes as f64 / f64::from(1u32 << 30) * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn h200() -> GpuReading {
        GpuReading {
            name: Some("NVIDIA H200".to_owned()),
            uuid: Some("GPU-1234".to_owned()),
            memory: Some(Memory { total: 140 << 30, used: 4 << 30, free: 136 << 30 }),
            processes: Some(vec![GpuProcess { pid: 1, used_bytes: Some(4 << 30) }]),
            ..GpuReading::default()
        }
    }

    fn info(reading: Result<Reading, String>, device: &str) -> Info {
        let model = ModelInfo {
            name: "demo".to_owned(),
            device: device.to_owned(),
            weight_bytes: 2 << 30,
            kv_bytes: 1 << 30,
            ..ModelInfo::default()
        };
        Info::of(&Facts {
            reading: &reading,
            model: &model,
            load: &Load::default(),
            requests: 0,
            fault: Some(Fault { what: "no room".to_owned(), at: Instant::now() }),
            canary: Some(Canary { at: Instant::now(), took: Duration::from_millis(7), failed: None }),
        })
    }

    #[test]
    fn without_a_gpu_it_says_so_and_why() {
        let info = info(Err("no driver".to_owned()), "cpu");
        assert!(!info.cuda_available && !info.nvml_available);
        assert_eq!((info.device.as_str(), info.gpu_count, info.gpu_name.clone()), ("cpu", 0, None));
        assert!(info.note.as_ref().unwrap().contains("no driver"));
        assert!(info.for_people().contains("no driver"));
    }

    #[test]
    fn on_a_gpu_memory_is_told_apart() {
        let info = info(Ok(Reading { gpus: vec![h200()], ..Reading::default() }), "cuda:0");
        assert!(info.cuda_available && info.process_on_gpu == Some(true) && info.note.is_none());
        assert_eq!(info.gpu_memory_total_gb, Some(140.0));
        assert_eq!(info.gpu_memory_allocated_gb, Some(3.0));
        assert_eq!(info.gpu_memory_reserved_gb, Some(4.0));
        assert_eq!(info.workspace_bytes, Some(1 << 30));
    }

    #[test]
    fn a_gpu_that_is_there_but_not_used_is_said() {
        let info = info(Ok(Reading { gpus: vec![h200()], ..Reading::default() }), "cpu");
        assert!(!info.cuda_available && info.nvml_available);
        assert!(info.note.unwrap().starts_with("there is a GPU, but the model is on cpu"));
    }

    #[test]
    fn the_last_fault_and_the_last_canary_are_told() {
        let info = info(Err("no driver".to_owned()), "cpu");
        assert_eq!(info.last_fault.as_ref().map(|fault| fault.what.as_str()), Some("no room"));
        assert!(info.last_canary.as_ref().is_some_and(|canary| canary.took_ms == 7.0));
        let text = info.for_people();
        assert!(text.contains("0 s ago: no room") && text.contains("7 ms: it works"), "{text}");
    }
}
