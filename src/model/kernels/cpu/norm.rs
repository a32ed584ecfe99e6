//! Rows in, the same with mean 0 and variance 1, scaled and moved, out.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::tile::PANEL;
use super::{tensor, values};
use crate::vector::for_each_level;
use crate::vector::total;

/// Fewer numbers are not worth another thread.
const FEW: usize = 32 << 10;

#[derive(Debug)]
pub struct LayerNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

impl LayerNorm {
    pub fn new(weight: &Tensor, bias: &Tensor, epsilon: f64) -> Result<Self> {
        let (weight, bias) = (values(weight, <[f32]>::to_vec)?, values(bias, <[f32]>::to_vec)?);
        Ok(LayerNorm { weight, bias, epsilon: epsilon as f32 })
    }

    /// `x`: `[rows, width]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (rows, width) = x.dims2()?;
        let mut out = values(x, <[f32]>::to_vec)?;
        match out.len() < FEW {
            true => norm_rows(self, &mut out),
            false => {
                let share = (FEW / width).max(1) * width;
                out.par_chunks_mut(share).for_each(|rows| norm_rows(self, rows));
            }
        }
        tensor(out, rows, width)
    }
}

for_each_level! {
    fn norm_rows(norm: &LayerNorm, rows: &mut [f32]) = norm_rows_of
}

#[inline(always)]
fn norm_rows_of<const M: usize>(norm: &LayerNorm, rows: &mut [f32]) {
    let width = norm.weight.len();
    for row in rows.chunks_exact_mut(width) {
        let mean = sum(row, |x| x) / width as f32;
        let variance = sum(row, |x| (x - mean) * (x - mean)) / width as f32;
        let scale = 1.0 / (variance + norm.epsilon).sqrt();
        for ((x, weight), bias) in row.iter_mut().zip(&norm.weight).zip(&norm.bias) {
            *x = ((*x - mean) * scale).mul_add(*weight, *bias);
        }
    }
}

#[inline(always)]
fn sum(row: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0; PANEL];
    let (chunks, rest) = row.as_chunks::<PANEL>();
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += of(*x);
        }
    }
    total(sums) + rest.iter().map(|x| of(*x)).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use candle_nn::Module;

    use super::*;

    #[test]
    fn rows_of_every_width_are_near_the_truth_and_so_are_candles() {
        for (rows, width) in [(1, 16), (3, 17), (200, 384), (7, 1280)] {
            let random = |rows| Tensor::randn(3f32, 2.0, (rows, width), &Device::Cpu).unwrap();
            let (x, weight, bias) =
                (random(rows), random(1).squeeze(0).unwrap(), random(1).squeeze(0).unwrap());
            let double = |tensor: &Tensor| tensor.to_dtype(candle_core::DType::F64).unwrap();
            let exact = {
                let x = double(&x);
                let x = x.broadcast_sub(&x.mean_keepdim(1).unwrap()).unwrap();
                let variance = x.sqr().unwrap().mean_keepdim(1).unwrap();
                let x = x.broadcast_div(&(variance + 1e-5).unwrap().sqrt().unwrap()).unwrap();
                let x = x.broadcast_mul(&double(&weight)).unwrap();
                x.broadcast_add(&double(&bias)).unwrap()
            };
            let off = |found: &Tensor| -> f64 {
                let off = (double(found) - &exact).unwrap().abs().unwrap();
                off.max_all().unwrap().to_scalar().unwrap()
            };
            let ours = LayerNorm::new(&weight, &bias, 1e-5).unwrap().forward(&x).unwrap();
            let plain = candle_nn::LayerNorm::new(weight, bias, 1e-5).forward(&x).unwrap();
            // Values are up to some tens.
            assert!(off(&ours) < 2e-5, "{rows} {width}: {} and candle {}", off(&ours), off(&plain));
            assert!(off(&plain) < 5e-4, "{rows} {width}: {}", off(&plain));
        }
    }
}
