//! Our own kernels, each beside the plain candle version that it must agree with.

pub mod cpu;

use candle_core::{DType, Device};

/// What a model is computed by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kernels {
    /// Ours where they should be faster, else candle's. Never in a debug build, where candle is optimised and we are not.
    #[default]
    Auto,
    /// candle's own operations alone.
    Plain,
    /// Ours wherever there are some.
    Own,
}

impl Kernels {
    /// Whether those of `cpu` are to be used.
    pub fn on_cpu(self, device: &Device, dtype: DType) -> bool {
        let wanted = match self {
            Kernels::Auto => cpu::is_fast() && !cfg!(debug_assertions),
            Kernels::Plain => false,
            Kernels::Own => true,
        };
        wanted && device.is_cpu() && dtype == DType::F32
    }
}
