//! Our own kernels, each beside the plain candle version that it must agree with.

pub mod cpu;

use candle_core::{DType, Device};

/// What a model is computed by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kernels {
    /// Ours where they are proven and there is what they need, else candle's.
    #[default]
    Auto,
    /// candle's own operations alone.
    Plain,
}

impl Kernels {
    /// Whether those of `cpu` are to be used.
    pub fn on_cpu(self, device: &Device, dtype: DType) -> bool {
        self == Kernels::Auto && device.is_cpu() && dtype == DType::F32 && cpu::is_fast()
    }
}
