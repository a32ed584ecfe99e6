//! `GET /gpu-info`: what the driver says of the GPU and what we do with it, as JSON or for a terminal.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::{App, door};
use crate::engine::Load;
use crate::model::ModelInfo;
use crate::telemetry::gpu::{Ecc, GpuProcess, GpuReading, Memory, Reading};
use crate::telemetry::gpu_block;

#[derive(Deserialize)]
pub struct Wanted {
    #[serde(default)]
    format: String,
}

pub async fn gpu_info(State(app): State<App>, wanted: Result<Query<Wanted>, QueryRejection>) -> Response {
    let reading = app.gpu.read().await;
    let (model, load) = (app.transcriber.model(), app.transcriber.load());
    let info = Info::of(&Facts { reading: &reading, model, load: &load, requests: app.door.taken() });
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
}

/// The first ten under the names that PyTorch services have made known. `null`: cannot be told.
#[derive(Debug, Serialize)]
struct Info {
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
    slots: usize,
    slots_busy: usize,
    /// Rows of one decoder step at most: every slot.
    batch_limit: usize,
    queue_depth_windows: usize,
    queue_audio_seconds: f64,
    requests_in_flight: usize,
    windows_done: u64,
    tokens_done: u64,
    audio_seconds_done: f64,
    /// Measured since the start, over the time in which the device worked. `null` until something was transcribed.
    audio_seconds_per_second: Option<f64>,
    device_heartbeat_age_seconds: f64,
    /// Why there is no GPU, or that there is one and it is not used.
    note: Option<String>,
}

impl Info {
    fn of(facts: &Facts) -> Info {
        let Facts { reading, model, load, requests } = *facts;
        let on_cuda = model.device.starts_with("cuda");
        let machine = reading.as_ref().ok();
        let gpu = machine.and_then(|machine| ours(machine, &model.device)).cloned().unwrap_or_default();
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
            ("note", self.note.clone().unwrap_or_default()),
        ];
        let told = lines.into_iter().filter(|(_, text)| !text.is_empty());
        told.map(|(name, text)| format!("{name:<10} {text}\n")).collect()
    }
}

/// The GPU that the model is on, else the first. CUDA counts only what `CUDA_VISIBLE_DEVICES` lets it see.
fn ours<'a>(machine: &'a Reading, device: &str) -> Option<&'a GpuReading> {
    let ordinal: usize = device.strip_prefix("cuda:").and_then(|number| number.parse().ok()).unwrap_or(0);
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").unwrap_or_default();
    find_visible(machine, visible.split(',').map(str::trim).nth(ordinal).unwrap_or_default())
        .or_else(|| machine.gpus.get(ordinal))
}

/// `name`: a number as the driver counts, or (the beginning of) a UUID.
fn find_visible<'a>(machine: &'a Reading, name: &str) -> Option<&'a GpuReading> {
    if let Ok(index) = name.parse::<usize>() {
        return machine.gpus.get(index);
    }
    let has_uuid = |gpu: &&GpuReading| gpu.uuid.as_ref().is_some_and(|uuid| uuid.starts_with(name));
    machine.gpus.iter().find(has_uuid).filter(|_| !name.is_empty())
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
        Info::of(&Facts { reading: &reading, model: &model, load: &Load::default(), requests: 0 })
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
    fn the_gpu_is_found_by_number_or_by_uuid() {
        let other = GpuReading { uuid: Some("GPU-9876".to_owned()), ..GpuReading::default() };
        let machine = Reading { gpus: vec![h200(), other], ..Reading::default() };
        let uuid = |name| find_visible(&machine, name).and_then(|gpu| gpu.uuid.clone());
        assert_eq!(uuid("1").as_deref(), Some("GPU-9876"));
        assert_eq!(uuid("GPU-12").as_deref(), Some("GPU-1234"));
        assert_eq!(uuid(""), None);
        assert_eq!(uuid("7"), None);
    }
}
