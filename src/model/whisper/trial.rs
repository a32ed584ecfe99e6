//! A device in; out, what it makes of the operations that a layer consists of, beside what the CPU makes of them.
//!
//! A GPU's kernels may be of another architecture than the card: then nothing fails, and the numbers are wrong.

use candle_core::{D, DType, Device, Result, Tensor};

use super::device::{DeviceError, DeviceRequest};
use crate::model::kernels::trial::{made_up, off};

/// A device that has computed something.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// `cpu`, `cuda:0`, `metal`.
    pub device: String,
    /// Where `auto` settled for the CPU: why.
    pub note: Option<String>,
    /// The largest difference from the CPU in f32, and in f16.
    pub off: [f64; 2],
    /// The CUDA of the toolkit that this build was made with: 12090 is 12.9.
    pub built_for: Option<u32>,
}

impl Trial {
    /// Whether rounding explains the differences.
    pub fn agrees(&self) -> bool {
        self.off[0] < 1e-2 && self.off[1] < 0.2
    }
}

#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error("the device was opened and failed at its first work: {0}")]
    Failed(#[from] candle_core::Error),
}

/// Opens the device and has it compute: products, GELU, softmax, layer norm.
pub fn trial(request: DeviceRequest) -> std::result::Result<Trial, TrialError> {
    let opened = request.open()?;
    let exact = layer(&Device::Cpu, DType::F32)?;
    let mut off_by = [0.0; 2];
    // Half precision on a CPU is nobody's way to run a model.
    let dtypes: &[DType] = if opened.device.is_cpu() { &[DType::F32] } else { &[DType::F32, DType::F16] };
    for (off_by, dtype) in off_by.iter_mut().zip(dtypes) {
        *off_by = off((layer(&opened.device, *dtype)?, exact.clone()))?;
    }
    Ok(Trial { device: opened.label, note: opened.note, off: off_by, built_for: built_for() })
}

/// A little of everything; values of a few units.
fn layer(device: &Device, dtype: DType) -> Result<Tensor> {
    let on = |tensor: Tensor| tensor.to_device(device)?.to_dtype(dtype);
    let (x, weight) = (on(made_up(96, 128, 1)?)?, on((made_up(64, 128, 2)? * 0.1)?)?);
    let inner = x.matmul(&weight.t()?)?.gelu_erf()?;
    let scores = candle_nn::ops::softmax(&inner.matmul(&inner.t()?)?, D::Minus1)?;
    let heard = scores.matmul(&inner)?;
    let (scale, bias) = (on(made_up(1, 64, 3)?.squeeze(0)?)?, on(made_up(1, 64, 4)?.squeeze(0)?)?);
    let norm = candle_nn::LayerNorm::new(scale, bias, 1e-5);
    let out = candle_nn::Module::forward(&norm, &heard)?;
    out.to_dtype(DType::F32)?.to_device(&Device::Cpu)
}

#[cfg(feature = "cuda")]
fn built_for() -> Option<u32> {
    Some(candle_core::cuda::cudarc::driver::sys::CUDA_VERSION)
}

#[cfg(not(feature = "cuda"))]
fn built_for() -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_agrees_with_itself() {
        let trial = trial(DeviceRequest::Cpu).unwrap();
        assert!(trial.agrees() && trial.device == "cpu", "{trial:?}");
    }

    #[test]
    fn half_precision_is_within_what_is_allowed() {
        let (exact, half) =
            (layer(&Device::Cpu, DType::F32).unwrap(), layer(&Device::Cpu, DType::F16).unwrap());
        let off = off((half, exact.clone())).unwrap();
        assert!(off < 0.2, "{off}");
        let values: Vec<f32> = exact.flatten_all().unwrap().to_vec1().unwrap();
        assert!(values.iter().any(|value| value.abs() > 0.5), "there is something to be wrong about");
    }
}
