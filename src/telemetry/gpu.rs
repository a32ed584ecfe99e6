//! The GPU as NVML sees it: readings, or a sentence that says why there are none.
//!
//! NVML can hang with the driver, so it is called by one thread of its own, and whoever asks waits only so long.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{Clock, EccCounter, MemoryError, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml, cuda_driver_version_major, cuda_driver_version_minor};
use tokio::sync::oneshot;

/// How long whoever asks waits: far above the milliseconds that a healthy driver takes.
const PATIENCE: Duration = Duration::from_secs(3);
/// The first call loads the library and may wake the driver.
const FIRST_PATIENCE: Duration = Duration::from_secs(15);

/// Said where no driver was found, and nothing else: a machine without a GPU.
pub const NO_DRIVER: &str = "no NVIDIA driver was found: the library libnvidia-ml is missing (in a container, start it with GPU access)";

/// A cheap handle on the thread that talks to NVML.
#[derive(Clone, Debug)]
pub struct Gpu {
    ask: Result<SyncSender<oneshot::Sender<Reading>>, String>,
}

/// The whole machine at one moment. What NVML would not tell is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    pub driver_version: Option<String>,
    /// The newest CUDA that the driver supports: `12.9`.
    pub cuda_version: Option<String>,
    pub gpus: Vec<GpuReading>,
}

/// One GPU at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GpuReading {
    pub name: Option<String>,
    pub uuid: Option<String>,
    /// `9.0`.
    pub compute_capability: Option<String>,
    pub memory: Option<Memory>,
    pub utilization_percent: Option<u32>,
    pub memory_utilization_percent: Option<u32>,
    pub temperature_celsius: Option<u32>,
    pub power_watts: Option<f64>,
    pub power_limit_watts: Option<f64>,
    pub sm_clock_mhz: Option<u32>,
    pub sm_clock_max_mhz: Option<u32>,
    pub memory_clock_mhz: Option<u32>,
    /// Why the clocks are below what they could be, in words; empty when nothing holds them back.
    pub throttle_reasons: Option<Vec<&'static str>>,
    pub ecc: Option<Ecc>,
    pub pcie_generation: Option<u32>,
    pub pcie_width: Option<u32>,
    pub processes: Option<Vec<GpuProcess>>,
}

/// Device memory in bytes, over all processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[schema(as = GpuMemory)]
pub struct Memory {
    pub total: u64,
    pub used: u64,
    pub free: u64,
}

/// Error correction. Counts are those since the driver was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[schema(as = GpuEcc)]
pub struct Ecc {
    pub enabled: bool,
    pub corrected: Option<u64>,
    pub uncorrected: Option<u64>,
}

/// A process that computes on the GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct GpuProcess {
    /// As the host numbers it, which is not how a container does.
    pub pid: u32,
    pub used_bytes: Option<u64>,
}

/// What is always said of a GPU that nobody uses.
const IDLE: &str = "idle";

impl GpuReading {
    /// Whether the clocks are held back although there is work.
    pub fn is_throttled(&self) -> Option<bool> {
        self.throttle_reasons.as_ref().map(|reasons| reasons.iter().any(|reason| *reason != IDLE))
    }
}

impl Reading {
    /// The GPU that `device` is, else the first. CUDA counts only what `CUDA_VISIBLE_DEVICES` lets it see.
    pub fn of_device(&self, device: &str) -> Option<&GpuReading> {
        let ordinal: usize = device.strip_prefix("cuda:").and_then(|number| number.parse().ok()).unwrap_or(0);
        let visible = std::env::var("CUDA_VISIBLE_DEVICES").unwrap_or_default();
        let name = visible.split(',').map(str::trim).nth(ordinal).unwrap_or_default();
        self.visible_as(name).or_else(|| self.gpus.get(ordinal))
    }

    /// `name`: a number as the driver counts, or (the beginning of) a UUID.
    fn visible_as(&self, name: &str) -> Option<&GpuReading> {
        if let Ok(index) = name.parse::<usize>() {
            return self.gpus.get(index);
        }
        let has_uuid = |gpu: &&GpuReading| gpu.uuid.as_ref().is_some_and(|uuid| uuid.starts_with(name));
        self.gpus.iter().find(has_uuid).filter(|_| !name.is_empty())
    }
}

/// Bytes of a device's memory that nobody uses at this moment; `None`: it cannot be told, as of a part of a card (MIG).
pub fn free_memory(device: &str) -> Option<u64> {
    let is_part = std::env::var("CUDA_VISIBLE_DEVICES").is_ok_and(|visible| visible.contains("MIG-"));
    if !device.starts_with("cuda:") || is_part {
        return None;
    }
    let (tell, told) = sync_channel(1);
    let device = device.to_owned();
    let thread = std::thread::Builder::new().name("nvml-once".to_owned());
    thread
        .spawn(move || {
            let free = load().ok().and_then(|nvml| read(&nvml).of_device(&device)?.memory);
            // Nobody waits any more where that took too long.
            let _ = tell.send(free.map(|memory| memory.free));
        })
        .ok()?;
    told.recv_timeout(FIRST_PATIENCE).ok().flatten()
}

impl Gpu {
    /// Starts the thread and waits until NVML is there, or until it is clear why not.
    pub fn probe() -> Gpu {
        let (started, wait) = sync_channel(1);
        let (ask, asked) = sync_channel(1);
        let thread = std::thread::Builder::new().name("nvml".to_owned());
        let spawned = thread.spawn(move || match load() {
            Ok(nvml) => {
                // Nobody waits any more if loading took too long; then nobody will ask either.
                let _ = started.send(Ok(()));
                answer(&nvml, &asked);
            }
            Err(reason) => drop(started.send(Err(reason))),
        });
        let ready = match spawned {
            Ok(_) => wait.recv_timeout(FIRST_PATIENCE).unwrap_or_else(|_| Err(silent(FIRST_PATIENCE))),
            Err(error) => Err(format!("no thread could be started for NVML: {error}")),
        };
        Gpu { ask: ready.map(|()| ask) }
    }

    /// A machine without a GPU, for tests.
    pub fn absent(reason: impl Into<String>) -> Gpu {
        Gpu { ask: Err(reason.into()) }
    }

    /// The machine now, or one sentence that says why it cannot be read.
    pub async fn read(&self) -> Result<Reading, String> {
        let ask = self.ask.as_ref().map_err(Clone::clone)?;
        let (reply, answer) = oneshot::channel();
        // A full channel means that NVML has not answered the last question yet, and waiting here would be endless.
        ask.try_send(reply).map_err(|_| "NVML is still busy with an earlier question".to_owned())?;
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(reading)) => Ok(reading),
            Ok(Err(_)) => Err("the thread that talks to NVML has ended".to_owned()),
            Err(_) => Err(silent(PATIENCE)),
        }
    }
}

fn silent(patience: Duration) -> String {
    format!("NVML did not answer within {} s: the driver may hang", patience.as_secs())
}

fn load() -> Result<Nvml, String> {
    // Only the name with the version is there without development packages, as in every container.
    let versioned = Nvml::builder().lib_path("libnvidia-ml.so.1".as_ref()).init();
    let nvml = match versioned {
        Err(NvmlError::LibloadingError(error)) if is_missing(&error.to_string()) => Nvml::init(),
        other => other,
    };
    nvml.map_err(|error| match error {
        NvmlError::LibloadingError(error) if !is_missing(&error.to_string()) => {
            format!("the NVIDIA driver's library libnvidia-ml cannot be loaded: {error}")
        }
        NvmlError::LibloadingError(_) | NvmlError::LibraryNotFound => NO_DRIVER.to_owned(),
        NvmlError::DriverNotLoaded => "the NVIDIA driver is installed but not loaded".to_owned(),
        NvmlError::NoPermission => "the NVIDIA driver refuses access: no permission".to_owned(),
        other => format!("NVML could not be started: {other}"),
    })
}

/// What the loader says of a file that is not there, and not of one that it cannot use.
pub(super) fn is_missing(error: &str) -> bool {
    error.contains("No such file") || error.contains("no such file") || error.contains("image not found")
}

fn answer(nvml: &Nvml, asked: &Receiver<oneshot::Sender<Reading>>) {
    for reply in asked {
        // Whoever asked may have lost patience.
        let _ = reply.send(read(nvml));
    }
}

fn read(nvml: &Nvml) -> Reading {
    let version = |v| format!("{}.{}", cuda_driver_version_major(v), cuda_driver_version_minor(v));
    let count = nvml.device_count().unwrap_or(0);
    Reading {
        driver_version: nvml.sys_driver_version().ok(),
        cuda_version: nvml.sys_cuda_driver_version().ok().map(version),
        // A GPU that has fallen off the bus keeps its place, with nothing known about it.
        gpus: (0..count)
            .map(|index| nvml.device_by_index(index).map(|device| read_gpu(&device)).unwrap_or_default())
            .collect(),
    }
}

fn read_gpu(device: &Device) -> GpuReading {
    let utilization = device.utilization_rates().ok();
    let watts = |milliwatts: u32| f64::from(milliwatts) / 1000.0;
    GpuReading {
        name: device.name().ok(),
        uuid: device.uuid().ok(),
        compute_capability: device.cuda_compute_capability().ok().map(|c| format!("{}.{}", c.major, c.minor)),
        memory: device.memory_info().ok().map(|m| Memory { total: m.total, used: m.used, free: m.free }),
        utilization_percent: utilization.as_ref().map(|u| u.gpu),
        memory_utilization_percent: utilization.map(|u| u.memory),
        temperature_celsius: device.temperature(TemperatureSensor::Gpu).ok(),
        power_watts: device.power_usage().ok().map(watts),
        power_limit_watts: device.enforced_power_limit().ok().map(watts),
        sm_clock_mhz: device.clock_info(Clock::SM).ok(),
        sm_clock_max_mhz: device.max_clock_info(Clock::SM).ok(),
        memory_clock_mhz: device.clock_info(Clock::Memory).ok(),
        throttle_reasons: device.current_throttle_reasons().ok().map(in_words),
        ecc: device.is_ecc_enabled().ok().map(|state| Ecc {
            enabled: state.currently_enabled,
            corrected: device.total_ecc_errors(MemoryError::Corrected, EccCounter::Volatile).ok(),
            uncorrected: device.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile).ok(),
        }),
        pcie_generation: device.current_pcie_link_gen().ok(),
        pcie_width: device.current_pcie_link_width().ok(),
        processes: device.running_compute_processes().ok().map(|processes| {
            let used = |memory| match memory {
                UsedGpuMemory::Used(bytes) => Some(bytes),
                UsedGpuMemory::Unavailable => None,
            };
            let one = |p: nvml_wrapper::struct_wrappers::device::ProcessInfo| GpuProcess {
                pid: p.pid,
                used_bytes: used(p.used_gpu_memory),
            };
            processes.into_iter().map(one).collect()
        }),
    }
}

fn in_words(reasons: ThrottleReasons) -> Vec<&'static str> {
    let words = [
        (ThrottleReasons::GPU_IDLE, IDLE),
        (ThrottleReasons::APPLICATIONS_CLOCKS_SETTING, "clocks set by an administrator"),
        (ThrottleReasons::SW_POWER_CAP, "at the power limit"),
        (ThrottleReasons::HW_SLOWDOWN, "slowed by the hardware (heat or power)"),
        (ThrottleReasons::SYNC_BOOST, "held back by another GPU of its sync group"),
        (ThrottleReasons::SW_THERMAL_SLOWDOWN, "too warm (slowed by the driver)"),
        (ThrottleReasons::HW_THERMAL_SLOWDOWN, "too hot (slowed by the hardware)"),
        (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, "power brake from outside"),
        (ThrottleReasons::DISPLAY_CLOCK_SETTING, "display clock setting"),
    ];
    words.into_iter().filter(|(flag, _)| reasons.contains(*flag)).map(|(_, word)| word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttle_reasons_are_told_in_words() {
        assert_eq!(in_words(ThrottleReasons::empty()), Vec::<&str>::new());
        let hot = ThrottleReasons::SW_POWER_CAP | ThrottleReasons::HW_THERMAL_SLOWDOWN;
        assert_eq!(in_words(hot), ["at the power limit", "too hot (slowed by the hardware)"]);
        let throttled = |flags| {
            GpuReading { throttle_reasons: Some(in_words(flags)), ..GpuReading::default() }.is_throttled()
        };
        assert_eq!((throttled(hot), throttled(ThrottleReasons::GPU_IDLE)), (Some(true), Some(false)));
    }

    #[test]
    fn a_gpu_is_found_by_number_or_by_uuid() {
        let gpu = |uuid: &str| GpuReading { uuid: Some(uuid.to_owned()), ..GpuReading::default() };
        let machine = Reading { gpus: vec![gpu("GPU-1234"), gpu("GPU-9876")], ..Reading::default() };
        let uuid = |name| machine.visible_as(name).and_then(|gpu| gpu.uuid.clone());
        assert_eq!(uuid("1").as_deref(), Some("GPU-9876"));
        assert_eq!(uuid("GPU-12").as_deref(), Some("GPU-1234"));
        assert_eq!(uuid(""), None);
        assert_eq!(uuid("7"), None);
        assert_eq!(free_memory("cpu"), None);
    }

    #[tokio::test]
    async fn an_absent_gpu_says_why() {
        let gpu = Gpu::absent("no driver");
        assert_eq!(gpu.read().await, Err("no driver".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_hung_nvml_costs_a_sentence_and_not_the_request() {
        let (ask, _never_answered) = sync_channel(1);
        let gpu = Gpu { ask: Ok(ask) };
        assert!(gpu.read().await.unwrap_err().contains("did not answer"));
        assert!(gpu.read().await.unwrap_err().contains("still busy"));
    }
}
