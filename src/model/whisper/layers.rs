//! The pieces that encoder and decoder share: projections, layer norms and the feed-forward block, by weight name.

use candle_core::{DType, Result, Tensor};
use candle_nn::{LayerNorm, Module, VarBuilder};

/// Layer norms of every published Whisper use PyTorch's default.
const LAYER_NORM_EPSILON: f64 = 1e-5;

/// `y = x W^T + b`, weights `[out, in]` as stored.
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    pub fn load(vb: &VarBuilder, inputs: usize, outputs: usize) -> Result<Self> {
        Ok(Linear { weight: vb.get((outputs, inputs), "weight")?, bias: Some(vb.get(outputs, "bias")?) })
    }

    /// Whisper's key projections have no bias.
    pub fn load_without_bias(vb: &VarBuilder, inputs: usize, outputs: usize) -> Result<Self> {
        Ok(Linear { weight: vb.get((outputs, inputs), "weight")?, bias: None })
    }

    /// Several projections of the same input as one product: `[out_0 + out_1 + ..., in]`. A missing bias is zero.
    pub fn fuse(parts: &[Linear]) -> Result<Self> {
        let weights: Vec<&Tensor> = parts.iter().map(|part| &part.weight).collect();
        let biases = parts
            .iter()
            .map(|part| match &part.bias {
                Some(bias) => Ok(bias.clone()),
                None => Tensor::zeros(part.weight.dim(0)?, part.weight.dtype(), part.weight.device()),
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Linear { weight: Tensor::cat(&weights, 0)?, bias: Some(Tensor::cat(&biases, 0)?) })
    }

    /// `x`: `[rows, in]` -> `[rows, out]`.
    ///
    /// Two dimensions only: one dense product over all rows, whatever windows they belong to.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = x.matmul(&self.weight.t()?)?;
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }
}

pub fn layer_norm(vb: &VarBuilder, width: usize) -> Result<LayerNorm> {
    Ok(LayerNorm::new(vb.get(width, "weight")?, vb.get(width, "bias")?, LAYER_NORM_EPSILON))
}

/// `x + fc2(gelu(fc1(norm(x))))`.
#[derive(Debug)]
pub struct FeedForward {
    norm: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}

impl FeedForward {
    pub fn load(vb: &VarBuilder, width: usize, inner: usize) -> Result<Self> {
        Ok(FeedForward {
            norm: layer_norm(&vb.pp("final_layer_norm"), width)?,
            fc1: Linear::load(&vb.pp("fc1"), width, inner)?,
            fc2: Linear::load(&vb.pp("fc2"), inner, width)?,
        })
    }

    /// `x`: `[rows, width]`, same shape out. GELU is the exact one (erf), as in PyTorch's `nn.GELU()`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let hidden = self.fc1.forward(&self.norm.forward(x)?)?.gelu_erf()?;
        x + self.fc2.forward(&hidden)?
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

/// The bytes that `parameters` weights take.
pub fn bytes_of(parameters: u64, dtype: DType) -> u64 {
    parameters * dtype.size_in_bytes() as u64
}
