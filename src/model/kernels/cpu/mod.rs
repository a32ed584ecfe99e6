//! On the CPU: what a Whisper layer is made of, fused, in vector code of the widest kind that this processor has.
//!
//! `linear` (products over weights packed once), `attention` (an encoder's windows; nowhere 1500 x 1500 scores), `rows` (a
//! decoder's tokens over their slots), `norm`, `logits`. Below them `tile` (the one inner loop) and `ints` (the same of whole numbers).
//! All take and give slices; `values` is where they meet candle's tensors. The vectors are made in `crate::vector`.
//!
//! Each row of a batch is computed by itself, in the same order whoever is beside it: what a row gives never depends on the others.

mod attention;
mod ints;
mod linear;
mod logits;
mod norm;
mod rows;
mod tile;

use candle_core::{CpuStorage, Device, Result, Storage, Tensor, bail};

pub use attention::attend_windows;
pub use ints::rounded;
pub use linear::{After, Kept, Linear};
pub use logits::{exp_sum, has_nan, largest, share};
pub use norm::LayerNorm;
pub use rows::{Heard, attend_rows, scores};

/// What `read` makes of a dense f32 tensor's values.
fn values<R>(tensor: &Tensor, read: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    Ok(read(dense(&storage, layout.contiguous_offsets())?))
}

/// `range`: where in the storage a tensor lies, if it is in one piece.
fn dense(storage: &Storage, range: Option<(usize, usize)>) -> Result<&[f32]> {
    match (storage, range) {
        (Storage::Cpu(CpuStorage::F32(values)), Some((from, to))) => Ok(&values[from..to]),
        _ => bail!("the CPU kernels take dense f32 tensors of the CPU alone"),
    }
}

/// A tensor of new values.
fn tensor(values: Vec<f32>, rows: usize, width: usize) -> Result<Tensor> {
    Tensor::from_vec(values, (rows, width), &Device::Cpu)
}
