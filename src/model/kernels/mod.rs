//! Our own kernels, each beside the plain candle version that it must agree with.

pub mod cpu;
pub mod trial;

use candle_core::{DType, Device};

pub use cpu::Kept;

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
    /// Whether those of `cpu` are to be used; `dtype`: of what is computed.
    pub fn on_cpu(self, device: &Device, dtype: DType) -> bool {
        let wanted = match self {
            Kernels::Auto => crate::vector::is_fast() && !cfg!(debug_assertions),
            Kernels::Plain => false,
            Kernels::Own => true,
        };
        wanted && device.is_cpu() && dtype == DType::F32
    }
}

/// How a model's layers are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// By our kernels.
    pub fast: bool,
    /// What the weights of their products are rounded to, also where candle computes with them.
    pub kept: Kept,
}
