//! The pieces that encoder and decoder share: projections, layer norms and the feed-forward block, by weight name.
//!
//! Each in two ways: the plain one on candle's tensors, which is right everywhere, and that of our kernels.

use candle_core::{Result, Tensor};
use candle_nn::{Module, VarBuilder};

use crate::model::kernels::cpu::{self, After};
use crate::model::kernels::{Kept, Way};

/// Layer norms of every published Whisper use PyTorch's default.
const LAYER_NORM_EPSILON: f64 = 1e-5;

/// `y = x W^T + b`, weights `[out, in]` as stored.
#[derive(Debug)]
pub enum Linear {
    Plain { weight: Tensor, bias: Option<Tensor> },
    Packed(cpu::Linear),
}

/// Weights on their way into a `Linear`.
#[derive(Debug)]
pub struct Weights {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Weights {
    pub fn load(vb: &VarBuilder, inputs: usize, outputs: usize) -> Result<Self> {
        Ok(Weights { weight: vb.get((outputs, inputs), "weight")?, bias: Some(vb.get(outputs, "bias")?) })
    }

    /// Whisper's key projections have no bias.
    pub fn load_without_bias(vb: &VarBuilder, inputs: usize, outputs: usize) -> Result<Self> {
        Ok(Weights { weight: vb.get((outputs, inputs), "weight")?, bias: None })
    }

    /// Several projections of the same input as one product: `[out_0 + out_1 + ..., in]`. A missing bias is zero.
    pub fn fuse(parts: &[Weights]) -> Result<Self> {
        let weights: Vec<&Tensor> = parts.iter().map(|part| &part.weight).collect();
        let biases = parts
            .iter()
            .map(|part| match &part.bias {
                Some(bias) => Ok(bias.clone()),
                None => Tensor::zeros(part.weight.dim(0)?, part.weight.dtype(), part.weight.device()),
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Weights { weight: Tensor::cat(&weights, 0)?, bias: Some(Tensor::cat(&biases, 0)?) })
    }

    pub fn linear(self, way: Way) -> Result<Linear> {
        Ok(match (way.fast, way.kept) {
            (true, kept) => Linear::Packed(cpu::Linear::new(&self.weight, self.bias.as_ref(), kept)?),
            (false, Kept::F32) => Linear::Plain { weight: self.weight, bias: self.bias },
            (false, Kept::Q8) => Linear::Plain { weight: rounded(&self.weight)?, bias: self.bias },
        })
    }
}

/// As our kernels keep it, in f32.
fn rounded(weight: &Tensor) -> Result<Tensor> {
    let values: Vec<f32> = weight.flatten_all()?.to_vec1()?;
    Tensor::from_vec(cpu::rounded(&values, weight.dim(1)?), weight.dims(), weight.device())
}

impl Linear {
    /// `x`: `[rows, in]` -> `[rows, out]`.
    ///
    /// Two dimensions only: one dense product over all rows, whatever windows they belong to.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Linear::Packed(linear) => linear.forward(x, After::Nothing),
            Linear::Plain { weight, bias } => {
                let y = x.matmul(&weight.t()?)?;
                match bias {
                    Some(bias) => y.broadcast_add(bias),
                    None => Ok(y),
                }
            }
        }
    }

    /// `gelu(forward(x))`: the exact one (erf), as in PyTorch's `nn.GELU()`.
    pub fn forward_gelu(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Linear::Packed(linear) => linear.forward(x, After::Gelu),
            Linear::Plain { .. } => self.forward(x)?.gelu_erf(),
        }
    }

    /// `beside + forward(x)`.
    pub fn forward_add(&self, x: &Tensor, beside: &Tensor) -> Result<Tensor> {
        match self {
            Linear::Packed(linear) => linear.forward(x, After::Add(beside)),
            Linear::Plain { .. } => beside + self.forward(x)?,
        }
    }

    /// Rows of the weights, `[ids, in]`: where they are an embedding too.
    pub fn rows(&self, ids: Vec<u32>) -> Result<Tensor> {
        match self {
            Linear::Packed(linear) => linear.rows(&ids),
            Linear::Plain { weight, .. } => {
                let count = ids.len();
                weight.index_select(&Tensor::from_vec(ids, count, weight.device())?, 0)
            }
        }
    }
}

#[derive(Debug)]
pub enum LayerNorm {
    Plain(candle_nn::LayerNorm),
    Fused(cpu::LayerNorm),
}

impl LayerNorm {
    pub fn load(vb: &VarBuilder, width: usize, fast: bool) -> Result<Self> {
        let (weight, bias) = (vb.get(width, "weight")?, vb.get(width, "bias")?);
        Ok(match fast {
            true => LayerNorm::Fused(cpu::LayerNorm::new(&weight, &bias, LAYER_NORM_EPSILON)?),
            false => LayerNorm::Plain(candle_nn::LayerNorm::new(weight, bias, LAYER_NORM_EPSILON)),
        })
    }

    /// `x`: `[rows, width]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            LayerNorm::Plain(norm) => norm.forward(x),
            LayerNorm::Fused(norm) => norm.forward(x),
        }
    }
}

/// `x + fc2(gelu(fc1(norm(x))))`.
#[derive(Debug)]
pub struct FeedForward {
    norm: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}

impl FeedForward {
    pub fn load(vb: &VarBuilder, width: usize, inner: usize, way: Way) -> Result<Self> {
        Ok(FeedForward {
            norm: LayerNorm::load(&vb.pp("final_layer_norm"), width, way.fast)?,
            fc1: Weights::load(&vb.pp("fc1"), width, inner)?.linear(way)?,
            fc2: Weights::load(&vb.pp("fc2"), inner, width)?.linear(way)?,
        })
    }

    /// `x`: `[rows, width]`, same shape out.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.fc2.forward_add(&self.fc1.forward_gelu(&self.norm.forward(x)?)?, x)
    }
}

/// `[tokens, heads * head]` -> `[heads, tokens, head]`, dense.
pub fn split_heads(x: &Tensor, heads: usize) -> Result<Tensor> {
    let (tokens, width) = x.dims2()?;
    x.reshape((tokens, heads, width / heads))?.transpose(0, 1)?.contiguous()
}

/// `[heads, tokens, head]` -> `[tokens, heads * head]`, dense.
pub fn merge_heads(x: &Tensor) -> Result<Tensor> {
    let (heads, tokens, head) = x.dims3()?;
    x.transpose(0, 1)?.contiguous()?.reshape((tokens, heads * head))
}
