//! Nothing in; the machine, the build and the hour that figures were taken on out, without which they say little.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::telemetry::gpu::Gpu;
use crate::telemetry::memory;

/// Stands above every report.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Head {
    pub verbatim: &'static str,
    /// `release`; figures of `debug` say nothing.
    pub build: &'static str,
    /// Of the build: `cuda`, `metal`.
    pub features: Vec<&'static str>,
    /// In UTC: `2026-08-01T12:00:00Z`.
    pub date: String,
    pub machine: Machine,
    /// That the arithmetic of a CPU is spread over.
    pub threads: usize,
}

#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Machine {
    pub system: String,
    pub cpu: String,
    /// That this process may use.
    pub cores: usize,
    /// Those of its instructions that matter to arithmetic.
    pub cpu_features: Vec<&'static str>,
    pub memory_available_bytes: Option<u64>,
    pub gpus: Vec<String>,
}

impl Head {
    /// Those who measure no device of this machine need not know its GPUs: asking takes a moment.
    pub fn read(gpus: Vec<String>) -> Head {
        let features = [("cuda", cfg!(feature = "cuda")), ("metal", cfg!(feature = "metal"))];
        Head {
            verbatim: env!("CARGO_PKG_VERSION"),
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
            features: features.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| *name).collect(),
            date: utc(SystemTime::now()),
            machine: Machine {
                system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
                cpu: cpu(),
                cores: std::thread::available_parallelism().map_or(1, usize::from),
                cpu_features: cpu_features(),
                memory_available_bytes: memory::available(),
                gpus,
            },
            threads: rayon::current_num_threads(),
        }
    }

    /// For people, a line each.
    pub fn lines(&self) -> Vec<String> {
        let Machine { system, cpu, cores, cpu_features, gpus, .. } = &self.machine;
        let mut lines = vec![
            format!(
                "verbatim {} ({}), {}",
                self.verbatim,
                [&[self.build][..], &self.features].concat().join(", "),
                self.date
            ),
            format!("{cpu}, {cores} cores, {} threads, {system}, {}", self.threads, cpu_features.join(" ")),
        ];
        lines.extend(gpus.iter().map(|gpu| format!("GPU: {gpu}")));
        lines
    }
}

/// Names of all GPUs that NVML knows; none where there is no driver.
pub async fn gpus() -> Vec<String> {
    let reading = Gpu::probe().read().await.unwrap_or_default();
    reading.gpus.into_iter().filter_map(|gpu| gpu.name).collect()
}

pub fn cpu() -> String {
    let table = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    model_name(&table).unwrap_or(std::env::consts::ARCH).to_owned()
}

fn model_name(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim())
}

#[cfg(target_arch = "x86_64")]
pub fn cpu_features() -> Vec<&'static str> {
    let known = [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bw", is_x86_feature_detected!("avx512bw")),
        ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
        ("avx512bf16", is_x86_feature_detected!("avx512bf16")),
    ];
    known.iter().filter(|(_, is_there)| *is_there).map(|(name, _)| *name).collect()
}

#[cfg(target_arch = "aarch64")]
pub fn cpu_features() -> Vec<&'static str> {
    use std::arch::is_aarch64_feature_detected as detected;
    let known = [("neon", detected!("neon")), ("dotprod", detected!("dotprod")), ("i8mm", detected!("i8mm"))];
    known.iter().filter(|(_, is_there)| *is_there).map(|(name, _)| *name).collect()
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub fn cpu_features() -> Vec<&'static str> {
    Vec::new()
}

/// ISO 8601, to the second. A clock before 1970 is taken for 1970.
pub fn utc(now: SystemTime) -> String {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (mut days, of_day) = (seconds / 86_400, seconds % 86_400);
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", days + 1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn seconds_since_1970_are_a_date() {
        let date = |seconds| utc(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(date(0), "1970-01-01T00:00:00Z");
        assert_eq!(date(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(date(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(date(1_785_585_600), "2026-08-01T12:00:00Z");
        assert_eq!(date(1_798_761_599), "2026-12-31T23:59:59Z");
    }

    #[test]
    fn the_kernels_table_names_the_cpu() {
        let table =
            "processor\t: 0\nmodel name\t: AMD EPYC 9B45\nflags\t\t: fpu\nmodel name\t: AMD EPYC 9B45\n";
        assert_eq!(model_name(table), Some("AMD EPYC 9B45"));
        assert_eq!(model_name("Hardware: a board\n"), None);
    }
}
