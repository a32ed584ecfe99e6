//! What the operator asked for in, an opened device out, or the sentence that says what is missing.

use std::fmt;
use std::str::FromStr;

use candle_core::{DType, Device};

use crate::model::kernels::Kept;

/// `--device`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceRequest {
    /// The first GPU if there is one that works, else the CPU, saying so.
    #[default]
    Auto,
    Cpu,
    Cuda(usize),
    Metal,
}

/// `--dtype`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DtypeRequest {
    /// f32 on the CPU, f16 on a GPU.
    #[default]
    Auto,
    F32,
    F16,
    Bf16,
    /// Weights in whole numbers of 8 bits, all else in f32: on the CPU alone.
    Q8,
}

/// What a model is kept and computed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Precision {
    /// What is computed.
    pub numbers: DType,
    /// The weights of products.
    pub kept: Kept,
}

impl Precision {
    /// As `--dtype` has it.
    pub fn as_str(self) -> &'static str {
        match self.kept {
            Kept::F32 => self.numbers.as_str(),
            Kept::Q8 => "q8_0",
        }
    }
}

/// A device that answered.
#[derive(Clone, Debug)]
pub struct Opened {
    pub device: Device,
    /// `cpu`, `cuda:0`, `metal`.
    pub label: String,
    /// Where `auto` settled for the CPU: why.
    pub note: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    #[error(
        "{requested} was asked for, but this build of verbatim has no {feature} support; \
         build it with `--features {feature}`, or use --device auto or --device cpu"
    )]
    NotBuilt { requested: String, feature: &'static str },
    #[error(
        "{requested} was asked for, but it cannot be used: {reason}; use --device auto or --device cpu to go on without it"
    )]
    Unusable { requested: String, reason: String },
    #[error("--dtype {dtype} does not work on {device}: {reason}")]
    Dtype { dtype: &'static str, device: String, reason: &'static str },
}

impl DeviceRequest {
    pub fn open(self) -> Result<Opened, DeviceError> {
        match self {
            DeviceRequest::Cpu => Ok(cpu(None)),
            DeviceRequest::Cuda(ordinal) => open_cuda(ordinal),
            DeviceRequest::Metal => open_metal(),
            DeviceRequest::Auto if cfg!(feature = "metal") => open_metal().or_else(fall_back),
            DeviceRequest::Auto => open_cuda(0).or_else(fall_back),
        }
    }
}

fn fall_back(error: DeviceError) -> Result<Opened, DeviceError> {
    let reason = match error {
        DeviceError::NotBuilt { feature, .. } => format!("this build has no {feature} support"),
        DeviceError::Unusable { reason, .. } => reason,
        DeviceError::Dtype { reason, .. } => reason.to_owned(),
    };
    Ok(cpu(Some(reason)))
}

fn cpu(note: Option<String>) -> Opened {
    Opened { device: Device::Cpu, label: "cpu".to_owned(), note }
}

fn open_cuda(ordinal: usize) -> Result<Opened, DeviceError> {
    let label = format!("cuda:{ordinal}");
    if !cfg!(feature = "cuda") {
        return Err(DeviceError::NotBuilt { requested: label, feature: "cuda" });
    }
    // A stream of its own, driven by the engine's thread alone; the per-thread default stream would not be
    // synchronised with what the loading thread has started on it.
    match Device::new_cuda_with_stream(ordinal) {
        Ok(device) => Ok(Opened { device, label, note: None }),
        Err(error) => {
            Err(DeviceError::Unusable { requested: label, reason: explain_cuda(&error.to_string()) })
        }
    }
}

/// The driver's answer in words an operator can act on.
fn explain_cuda(error: &str) -> String {
    let advice = [
        ("NO_DEVICE", "the NVIDIA driver finds no GPU (in a container: start it with --gpus all)"),
        ("INVALID_DEVICE", "there is no GPU of that number"),
        (
            "UNSUPPORTED_PTX_VERSION",
            "the NVIDIA driver is older than the CUDA toolkit of this build; update the driver",
        ),
        (
            "INSUFFICIENT_DRIVER",
            "the NVIDIA driver is older than the CUDA toolkit of this build; update the driver",
        ),
        (
            "SYSTEM_DRIVER_MISMATCH",
            "the kernel module and libcuda are of different versions; restart the machine",
        ),
        ("OUT_OF_MEMORY", "the GPU's memory is taken by other processes"),
        ("SYSTEM_NOT_READY", "the GPU's fabric manager is not running"),
    ];
    match advice.iter().find(|(code, _)| error.contains(code)) {
        Some((code, sentence)) => format!("{sentence} (CUDA_ERROR_{code})"),
        None => error.to_owned(),
    }
}

fn open_metal() -> Result<Opened, DeviceError> {
    let label = "metal".to_owned();
    if !cfg!(feature = "metal") {
        return Err(DeviceError::NotBuilt { requested: label, feature: "metal" });
    }
    match Device::new_metal(0) {
        Ok(device) => Ok(Opened { device, label, note: None }),
        Err(error) => Err(DeviceError::Unusable { requested: label, reason: error.to_string() }),
    }
}

impl DtypeRequest {
    pub fn resolve(self, opened: &Opened) -> Result<Precision, DeviceError> {
        let kept = if self == DtypeRequest::Q8 { Kept::Q8 } else { Kept::F32 };
        Ok(Precision { numbers: self.numbers(opened)?, kept })
    }

    fn numbers(self, opened: &Opened) -> Result<DType, DeviceError> {
        let refuse = |dtype, reason| Err(DeviceError::Dtype { dtype, device: opened.label.clone(), reason });
        match (self, opened.device.is_cpu()) {
            (DtypeRequest::Auto | DtypeRequest::F32 | DtypeRequest::Q8, true) => Ok(DType::F32),
            (DtypeRequest::Q8, false) => refuse("q8_0", "it is for the CPU; use f16"),
            (DtypeRequest::F16, true) => refuse("f16", "half precision is slower there; use f32"),
            (DtypeRequest::Bf16, true) => refuse("bf16", "it has no matrix product for it; use f32"),
            (DtypeRequest::Auto | DtypeRequest::F16, false) => Ok(DType::F16),
            (DtypeRequest::F32, false) => Ok(DType::F32),
            (DtypeRequest::Bf16, false) => Ok(DType::BF16),
        }
    }
}

impl FromStr for DeviceRequest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(DeviceRequest::Auto),
            "cpu" => Ok(DeviceRequest::Cpu),
            "cuda" => Ok(DeviceRequest::Cuda(0)),
            "metal" => Ok(DeviceRequest::Metal),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|ordinal| ordinal.parse().ok())
                .map(DeviceRequest::Cuda)
                .ok_or_else(|| {
                    format!("{text:?} is not a device; it is one of auto, cpu, cuda, cuda:N, metal")
                }),
        }
    }
}

impl fmt::Display for DeviceRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceRequest::Auto => f.write_str("auto"),
            DeviceRequest::Cpu => f.write_str("cpu"),
            DeviceRequest::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
            DeviceRequest::Metal => f.write_str("metal"),
        }
    }
}

impl FromStr for DtypeRequest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(DtypeRequest::Auto),
            "f32" => Ok(DtypeRequest::F32),
            "f16" => Ok(DtypeRequest::F16),
            "bf16" => Ok(DtypeRequest::Bf16),
            "q8_0" => Ok(DtypeRequest::Q8),
            _ => Err(format!("{text:?} is not a dtype; it is one of auto, f32, f16, bf16, q8_0")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names_are_read_back_as_they_are_written() {
        for name in ["auto", "cpu", "cuda:0", "cuda:3", "metal"] {
            assert_eq!(name.parse::<DeviceRequest>().unwrap().to_string(), name);
        }
        assert_eq!("cuda".parse(), Ok(DeviceRequest::Cuda(0)));
        assert!("gpu".parse::<DeviceRequest>().is_err());
        assert!("cuda:x".parse::<DeviceRequest>().is_err());
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn cuda_without_support_is_an_error_and_auto_says_why_it_uses_the_cpu() {
        let error = DeviceRequest::Cuda(0).open().unwrap_err().to_string();
        assert!(error.contains("--features cuda"), "{error}");
        let opened = DeviceRequest::Auto.open().unwrap();
        assert_eq!(opened.label, "cpu");
        assert!(opened.note.is_some_and(|note| note.contains("cuda")));
    }

    #[test]
    fn the_drivers_answer_is_put_in_words() {
        assert!(explain_cuda("DriverError(CUDA_ERROR_NO_DEVICE, \"...\")").contains("--gpus all"));
        assert!(explain_cuda("CUDA_ERROR_UNSUPPORTED_PTX_VERSION").contains("driver"));
    }
}
