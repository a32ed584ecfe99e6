//! A reading of the GPUs, or the reason why there is none, in; a block that an operator can read out.

use std::fmt::Write;

use super::gpu::{GpuReading, Reading};

const GIB: f64 = (1u64 << 30) as f64;

/// Many lines, the first of which says the most important thing.
pub fn block(reading: &Result<Reading, String>) -> String {
    match reading {
        Err(reason) => format!("NO GPU: {reason}\n"),
        Ok(reading) if reading.gpus.is_empty() => {
            "NO GPU: the NVIDIA driver is there, but it sees no GPU\n".to_owned()
        }
        Ok(reading) => {
            let mut out = format!("{} GPU(s)", reading.gpus.len());
            push(&mut out, ", driver ", reading.driver_version.as_ref());
            push(&mut out, ", supports CUDA ", reading.cuda_version.as_ref());
            out.push('\n');
            for (index, gpu) in reading.gpus.iter().enumerate() {
                out.push_str(&one(index, gpu));
            }
            out
        }
    }
}

fn one(index: usize, gpu: &GpuReading) -> String {
    let mut out = format!("GPU {index}: {}", gpu.name.as_deref().unwrap_or("does not answer"));
    push(&mut out, ", compute capability ", gpu.compute_capability.as_ref());
    push(&mut out, ", ", gpu.uuid.as_ref());
    if let Some(memory) = gpu.memory {
        let [used, total, free] = [memory.used, memory.total, memory.free].map(|bytes| bytes as f64 / GIB);
        let _ = write!(out, "\n  memory       {used:.1} of {total:.1} GiB used, {free:.1} GiB free");
    }
    push(&mut out, "\n  utilisation  % ", gpu.utilization_percent);
    push(&mut out, "\n  temperature  C ", gpu.temperature_celsius);
    if let Some(watts) = gpu.power_watts {
        let _ = write!(out, "\n  power        W {watts:.0}");
        push(&mut out, " of ", gpu.power_limit_watts);
    }
    push(&mut out, "\n  SM clock     MHz ", gpu.sm_clock_mhz);
    push(&mut out, " of ", gpu.sm_clock_mhz.and(gpu.sm_clock_max_mhz));
    if let Some(reasons) = &gpu.throttle_reasons {
        let reasons = if reasons.is_empty() { "nothing".to_owned() } else { reasons.join(", ") };
        let _ = write!(out, "\n  held back by {reasons}");
    }
    if let Some(ecc) = gpu.ecc {
        let _ = write!(out, "\n  ECC          {}", if ecc.enabled { "on" } else { "off" });
        push(&mut out, ", corrected ", ecc.corrected);
        push(&mut out, ", UNCORRECTED ", ecc.uncorrected.filter(|errors| *errors > 0));
    }
    push(&mut out, "\n  PCIe         generation ", gpu.pcie_generation);
    push(&mut out, " x", gpu.pcie_generation.and(gpu.pcie_width));
    if let Some(processes) = &gpu.processes {
        let _ = write!(out, "\n  processes    {}", processes.len());
        for process in processes {
            let _ = write!(out, "; pid {}", process.pid);
            push(&mut out, " MiB ", process.used_bytes.map(|bytes| bytes >> 20));
        }
    }
    out.push('\n');
    out
}

/// What is not known is not mentioned.
fn push(out: &mut String, label: &str, value: Option<impl std::fmt::Display>) {
    if let Some(value) = value {
        let _ = write!(out, "{label}{value}");
    }
}

#[cfg(test)]
mod tests {
    use super::super::gpu::{Ecc, GpuProcess, Memory};
    use super::*;

    #[test]
    fn no_gpu_is_said_loudly_and_with_the_reason() {
        assert_eq!(block(&Err("no driver".to_owned())), "NO GPU: no driver\n");
        assert!(block(&Ok(Reading::default())).starts_with("NO GPU: the NVIDIA driver is there"));
    }

    #[test]
    fn a_gpu_that_tells_nothing_is_still_listed() {
        let reading = Reading { gpus: vec![GpuReading::default()], ..Reading::default() };
        assert_eq!(block(&Ok(reading)), "1 GPU(s)\nGPU 0: does not answer\n");
    }

    #[test]
    fn a_healthy_gpu_fits_a_screen() {
        let gpu = GpuReading {
            name: Some("NVIDIA H200".to_owned()),
            compute_capability: Some("9.0".to_owned()),
            memory: Some(Memory { total: 150 << 30, used: 3 << 30, free: 147 << 30 }),
            utilization_percent: Some(97),
            temperature_celsius: Some(41),
            power_watts: Some(612.4),
            power_limit_watts: Some(700.0),
            sm_clock_mhz: Some(1_965),
            sm_clock_max_mhz: Some(1_980),
            throttle_reasons: Some(vec!["at the power limit"]),
            ecc: Some(Ecc { enabled: true, corrected: Some(0), uncorrected: Some(0) }),
            pcie_generation: Some(5),
            pcie_width: Some(16),
            processes: Some(vec![GpuProcess { pid: 7, used_bytes: Some(3 << 30) }]),
            ..GpuReading::default()
        };
        let reading = Reading {
            driver_version: Some("575.57.08".to_owned()),
            cuda_version: Some("12.9".to_owned()),
            gpus: vec![gpu],
        };
        insta::assert_snapshot!(block(&Ok(reading)), @"");
    }
}
