//! Nothing in; how far our CPU kernels are from candle's plain operations on this very processor, out.
//!
//! The same comparisons as the tests of `cpu`, for a machine that no test has run on.

use candle_core::{D, DType, Device, Result, Tensor};

use super::Kept;
use super::cpu::{After, LayerNorm, Linear, attend_windows, rounded};

/// One kernel beside candle: the largest difference, and the largest that rounding explains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    pub what: &'static str,
    pub off: f64,
    pub bound: f64,
}

impl Agreement {
    /// What is no number agrees with nothing.
    pub fn holds(&self) -> bool {
        self.off < self.bound
    }
}

/// # Errors
/// Where candle itself fails.
pub fn on_cpu() -> std::result::Result<Vec<Agreement>, String> {
    agreements().map_err(|error| error.to_string())
}

fn agreements() -> Result<Vec<Agreement>> {
    Ok(vec![
        products(Kept::F32)?,
        products(Kept::Q8)?,
        Agreement { what: "layer norm", off: off(norms()?)?, bound: 1e-3 },
        Agreement { what: "attention", off: off(attention()?)?, bound: 1e-4 },
    ])
}

/// `[rows, width]` of numbers between -2 and 2 that look like none in particular; `seed` makes others.
pub fn made_up(rows: usize, width: usize, seed: usize) -> Result<Tensor> {
    let value = |at: usize| {
        let bits = (at as u32).wrapping_add(seed as u32 * 7_919).wrapping_mul(2_654_435_761);
        (bits ^ bits >> 15) as f32 / u32::MAX as f32 * 4.0 - 2.0
    };
    Tensor::from_vec((0..rows * width).map(value).collect::<Vec<f32>>(), (rows, width), &Device::Cpu)
}

/// The largest difference of two tensors.
pub fn off((one, other): (Tensor, Tensor)) -> Result<f64> {
    let differences = (one.to_dtype(DType::F64)? - other.to_dtype(DType::F64)?)?.abs()?;
    let differences: Vec<f64> = differences.flatten_all()?.to_vec1()?;
    Ok(differences.into_iter().fold(0.0, |most, off| if off > most || off.is_nan() { off } else { most }))
}

fn products(kept: Kept) -> Result<Agreement> {
    // Many rows and few go different ways.
    let (inputs, outputs) = (384, 200);
    let (weight, bias) = (made_up(outputs, inputs, 1)?, made_up(1, outputs, 2)?.squeeze(0)?);
    let linear = Linear::new(&weight, Some(&bias), kept)?;
    let weight = match kept {
        Kept::F32 => weight,
        Kept::Q8 => {
            let values = rounded(&weight.flatten_all()?.to_vec1::<f32>()?, inputs);
            Tensor::from_vec(values, (outputs, inputs), &Device::Cpu)?
        }
    };
    let mut worst: f64 = 0.0;
    for rows in [3, 130] {
        let x = made_up(rows, inputs, 3)?;
        let plain = x.matmul(&weight.t()?)?.broadcast_add(&bias)?.gelu_erf()?;
        let found = off((linear.forward(&x, After::Gelu)?, plain))?;
        worst = if found > worst || found.is_nan() { found } else { worst };
    }
    Ok(match kept {
        Kept::F32 => Agreement { what: "products", off: worst, bound: 2e-3 },
        // Inputs are rounded to 16 bits.
        Kept::Q8 => Agreement { what: "8-bit products", off: worst, bound: 3e-2 },
    })
}

fn norms() -> Result<(Tensor, Tensor)> {
    let (x, weight, bias) =
        (made_up(40, 384, 4)?, made_up(1, 384, 5)?.squeeze(0)?, made_up(1, 384, 6)?.squeeze(0)?);
    let ours = LayerNorm::new(&weight, &bias, 1e-5)?.forward(&x)?;
    let plain = candle_nn::Module::forward(&candle_nn::LayerNorm::new(weight, bias, 1e-5), &x)?;
    Ok((ours, plain))
}

fn attention() -> Result<(Tensor, Tensor)> {
    let (frames, heads, head) = (70, 2, 64);
    let width = heads * head;
    let qkv = made_up(frames, 3 * width, 7)?;
    let ours = attend_windows(&qkv, 1, heads, Kept::F32)?;
    let part = |at: usize| -> Result<Tensor> {
        let part = qkv.narrow(1, at * width, width)?.reshape((frames, heads, head))?;
        part.transpose(0, 1)?.contiguous()
    };
    let scores = (part(0)?.matmul(&part(1)?.t()?)? * (1.0 / (head as f64).sqrt()))?;
    let heard = candle_nn::ops::softmax(&scores, D::Minus1)?.matmul(&part(2)?)?;
    Ok((ours, heard.transpose(0, 1)?.contiguous()?.reshape((frames, width))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_agree_here_and_what_is_no_number_agrees_with_nothing() {
        let all = on_cpu().unwrap();
        assert!(all.iter().all(Agreement::holds), "{all:?}");
        assert!(all.iter().all(|one| one.off > 0.0), "they were compared with themselves: {all:?}");
        let lost = Tensor::new(&[f32::NAN], &Device::Cpu).unwrap();
        let off = off((lost, Tensor::new(&[0f32], &Device::Cpu).unwrap())).unwrap();
        assert!(!Agreement { what: "nothing", off, bound: 1.0 }.holds());
    }
}
