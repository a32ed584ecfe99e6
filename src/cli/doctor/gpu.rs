//! The NVIDIA driver, its CUDA and a device in; how far a model would come with them, out.

use std::path::Path;

use crate::model::whisper::{DeviceError, DeviceRequest, TrialError, trial};
use crate::telemetry::cuda::{self, CudaError};
use crate::telemetry::gpu::{Gpu, GpuReading, NO_DRIVER, Reading};

use super::case::{Case, wait};
use super::finding::Finding;

const INSTALL: &str = "install the NVIDIA driver and see that nvidia-smi answers; start a container with `--gpus all` and the NVIDIA container \
                       toolkit, or go without a GPU (--device cpu)";
const REPAIR: &str = "install the NVIDIA driver again or restart the machine, until nvidia-smi answers; or go without a GPU (--device cpu)";
const BUILD: &str = "take a build with `--features cuda` (the container image with CUDA, docs/gpu.md), or go without the GPU (--device cpu)";

/// What NVML says.
pub fn driver(case: &Case) -> Finding {
    let reading = match wait(async { Gpu::probe().read().await }) {
        Ok(reading) => reading,
        Err(error) => return Finding::fault(error, "see the check `open-files`"),
    };
    match reading {
        Err(reason) if reason == NO_DRIVER && !case.wants_gpu() => {
            Finding::skipped(format!("{reason}; the CPU is used"))
        }
        Err(reason) if reason == NO_DRIVER => Finding::fault(reason, INSTALL),
        Err(reason) => Finding::fault(reason, REPAIR),
        Ok(reading) if reading.gpus.is_empty() => {
            Finding::fault_if(case.wants_gpu(), "the driver is there, but it sees no GPU", INSTALL)
        }
        Ok(reading) => seen(&reading),
    }
}

fn seen(reading: &Reading) -> Finding {
    let cards: Vec<String> = reading.gpus.iter().map(card).collect();
    let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "unknown".to_owned());
    let found = format!(
        "driver {}, CUDA up to {}; {}",
        version(&reading.driver_version),
        version(&reading.cuda_version),
        cards.join("; ")
    );
    let is_lost = |gpu: &GpuReading| gpu.name.is_none() && gpu.memory.is_none();
    let has_errors = |gpu: &GpuReading| gpu.ecc.and_then(|ecc| ecc.uncorrected).unwrap_or(0) > 0;
    let is_hot = |reason: &&str| {
        reason.starts_with("too ") || reason.contains("hardware") || reason.contains("power brake")
    };
    let hot: Vec<&str> = reading
        .gpus
        .iter()
        .flat_map(|gpu| gpu.throttle_reasons.iter().flatten())
        .copied()
        .filter(is_hot)
        .collect();
    if reading.gpus.iter().any(is_lost) {
        let remedy =
            "restart the machine; if it comes back, the card or its power supply is failing (dmesg, Xid)";
        return Finding::fault(format!("{found}; a GPU does not answer"), remedy);
    }
    if reading.gpus.iter().any(has_errors) {
        let remedy =
            "restart the machine, and have the card replaced if it comes back (nvidia-smi -q -d ECC)";
        return Finding::warning(format!("{found}; memory errors that could not be corrected"), remedy);
    }
    if !hot.is_empty() {
        let remedy = "see to the machine's cooling and power (nvidia-smi -q -d PERFORMANCE)";
        return Finding::warning(format!("{found}; clocks are held back: {}", hot.join(", ")), remedy);
    }
    Finding::ok(found)
}

fn card(gpu: &GpuReading) -> String {
    let name = gpu.name.as_deref().unwrap_or("one that says nothing");
    let capability = gpu.compute_capability.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
    let memory =
        gpu.memory.map(|memory| format!(", {} of {} MiB free", memory.free >> 20, memory.total >> 20));
    let heat = gpu.temperature_celsius.map(|degrees| format!(", {degrees} C"));
    format!("{name}{capability}{}{}", memory.unwrap_or_default(), heat.unwrap_or_default())
}

/// Whether CUDA's own library starts; what it is good for is the next check's.
pub fn library(case: &Case) -> Finding {
    match cuda::look() {
        Err(error @ CudaError::Missing) if !case.wants_gpu() => {
            Finding::skipped(format!("{error}; the CPU is used"))
        }
        Err(error @ CudaError::Missing) => Finding::fault(error.to_string(), INSTALL),
        Err(error @ CudaError::Refused { code: 100 }) => {
            Finding::fault_if(case.wants_gpu(), error.to_string(), INSTALL)
        }
        Err(error) => Finding::fault(error.to_string(), REPAIR),
        Ok(driver) if driver.devices == 0 => {
            Finding::fault_if(case.wants_gpu(), "the driver's CUDA starts and counts no device", INSTALL)
        }
        Ok(driver) => Finding::ok(format!(
            "the driver runs CUDA up to {} and counts {} device(s)",
            cuda::version(driver.version),
            driver.devices
        )),
    }
}

/// A context, and arithmetic in it that is compared with the CPU's.
pub fn device(case: &Case) -> Finding {
    let request = case.device();
    if !cfg!(any(feature = "cuda", feature = "metal")) && request == DeviceRequest::Auto {
        return match has_card() {
            true => Finding::warning(
                "an NVIDIA GPU is here, but this build of verbatim has no CUDA support: the CPU is used",
                BUILD,
            ),
            false => {
                Finding::skipped("this build has no CUDA support and sees no NVIDIA GPU: the CPU is used")
            }
        };
    }
    if request == DeviceRequest::Cpu {
        return Finding::skipped("the CPU was asked for (model.device)");
    }
    match trial(request) {
        Err(TrialError::Device(DeviceError::NotBuilt { requested, feature })) => Finding::fault(
            format!("{requested} was asked for, and this build of verbatim has no {feature} support"),
            BUILD,
        ),
        Err(TrialError::Device(DeviceError::Unusable { requested, reason })) => {
            Finding::fault(format!("{requested} was asked for and cannot be used: {reason}"), INSTALL)
        }
        Err(error) => Finding::fault(error.to_string(), REPAIR),
        Ok(trial) if trial.note.is_some() => Finding::warning(
            format!("no GPU is used: {}", trial.note.unwrap_or_default()),
            format!("{INSTALL}, which then is no surprise"),
        ),
        Ok(trial) if !trial.agrees() => Finding::fault(
            format!(
                "{} computes wrongly: off by {:.1e} in f32 and {:.1e} in f16",
                trial.device, trial.off[0], trial.off[1]
            ),
            "build verbatim for this card's architecture (CUDA_COMPUTE_CAP and tools/nvcc-fat, docs/gpu.md); until then --device cpu",
        ),
        Ok(trial) => Finding::ok(format!(
            "{}: a context was created and its kernels agree with the CPU (off by {:.0e} in f32, {:.0e} in f16){}",
            trial.device,
            trial.off[0],
            trial.off[1],
            trial
                .built_for
                .map(|built| format!("; built for CUDA {}", cuda::version(built)))
                .unwrap_or_default()
        )),
    }
}

fn has_card() -> bool {
    ["/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg"].iter().any(|path| Path::new(path).exists())
}
