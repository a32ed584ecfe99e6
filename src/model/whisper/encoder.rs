//! Log-mel spectrograms in, audio features out: Whisper's encoder.

use candle_core::{Module, Result, Tensor};
use candle_nn::{Conv1d, Conv1dConfig, VarBuilder};

use super::attention::attend;
use super::config::Config;
use super::layers::{FeedForward, LayerNorm, Linear, Weights, merge_heads, split_heads};
use crate::model::kernels::Way;
use crate::model::kernels::cpu::{self, After};

#[derive(Debug)]
pub struct Encoder {
    convolutions: Convolutions,
    /// `[1500, d]`; sinusoids, stored in the checkpoint.
    positions: Tensor,
    layers: Vec<Layer>,
    norm: LayerNorm,
}

/// Two of them over three frames each, the second of which takes every other frame. Their weights are never rounded.
#[derive(Debug)]
enum Convolutions {
    Plain(Conv1d, Conv1d),
    /// As products over rows that lie over each other in memory: three frames, one after the other.
    Fast(cpu::Linear, cpu::Linear),
}

#[derive(Debug)]
struct Layer {
    norm: LayerNorm,
    /// Queries, keys and values in one product: `[3d, d]`.
    qkv: Linear,
    out: Linear,
    feed_forward: FeedForward,
    heads: usize,
    way: Way,
}

impl Encoder {
    /// `vb` stands at `encoder`.
    pub fn load(vb: &VarBuilder, config: &Config, way: Way) -> Result<Self> {
        let width = config.d_model;
        Ok(Encoder {
            convolutions: Convolutions::load(vb, config, way.fast)?,
            positions: vb.get((config.max_source_positions, width), "embed_positions.weight")?,
            layers: (0..config.encoder_layers)
                .map(|index| Layer::load(&vb.pp("layers").pp(index), config, way))
                .collect::<Result<_>>()?,
            norm: LayerNorm::load(&vb.pp("layer_norm"), width, way.fast)?,
        })
    }

    /// `mel`: `[batch, n_mels, frames]`, 3,000 of them or fewer -> `[batch * frames / 2, d]`, window after window.
    pub fn forward(&self, mel: &Tensor) -> Result<Tensor> {
        let batch = mel.dim(0)?;
        let positions = self.positions.narrow(0, 0, mel.dim(2)? / STRIDE)?;
        let mut x = self.convolutions.forward(mel, &positions)?;
        for layer in &self.layers {
            x = layer.forward(&x, batch)?;
        }
        self.norm.forward(&x)
    }
}

/// Frames that each convolution sees, and how far apart those of the second are.
const TAPS: usize = 3;
const STRIDE: usize = 2;

impl Convolutions {
    fn load(vb: &VarBuilder, config: &Config, fast: bool) -> Result<Self> {
        let width = config.d_model;
        let weights = |name, inputs| {
            let vb = vb.pp(name);
            Ok::<_, candle_core::Error>((vb.get((width, inputs, TAPS), "weight")?, vb.get(width, "bias")?))
        };
        let (first, second) = (weights("conv1", config.num_mel_bins)?, weights("conv2", width)?);
        if fast {
            let linear = |(weight, bias): (Tensor, Tensor)| {
                let weight = weight.transpose(1, 2)?.contiguous()?.flatten_from(1)?;
                cpu::Linear::new(&weight, Some(&bias), cpu::Kept::F32)
            };
            return Ok(Convolutions::Fast(linear(first)?, linear(second)?));
        }
        let conv = |(weight, bias), stride| {
            Conv1d::new(weight, Some(bias), Conv1dConfig { padding: 1, stride, ..Default::default() })
        };
        Ok(Convolutions::Plain(conv(first, 1), conv(second, STRIDE)))
    }

    /// `mel`: `[batch, n_mels, frames]` -> `[batch * frames / 2, d]`, `positions` added to every window.
    fn forward(&self, mel: &Tensor, positions: &Tensor) -> Result<Tensor> {
        match self {
            Convolutions::Plain(first, second) => {
                let x = first.forward(mel)?.gelu_erf()?;
                let x = second.forward(&x)?.gelu_erf()?;
                x.transpose(1, 2)?.broadcast_add(positions)?.contiguous()?.flatten(0, 1)
            }
            Convolutions::Fast(first, second) => {
                let window = |index| {
                    // A frame of silence before the first and after the last.
                    let mel = mel.get(index)?.t()?.pad_with_zeros(0, 1, 1)?.contiguous()?;
                    let (frames, n_mels) = (mel.dim(0)? + 1 - TAPS, mel.dim(1)?);
                    let x = first.over(&mel, (frames, n_mels), After::Gelu)?;
                    let x = x.pad_with_zeros(0, 1, 1)?.contiguous()?;
                    let (frames, width) = positions.dims2()?;
                    second.over(&x, (frames, STRIDE * width), After::GeluAdd(positions))
                };
                Tensor::cat(&(0..mel.dim(0)?).map(window).collect::<Result<Vec<_>>>()?, 0)
            }
        }
    }
}

impl Layer {
    fn load(vb: &VarBuilder, config: &Config, way: Way) -> Result<Self> {
        let width = config.d_model;
        let attention = vb.pp("self_attn");
        let qkv = Weights::fuse(&[
            Weights::load(&attention.pp("q_proj"), width, width)?,
            Weights::load_without_bias(&attention.pp("k_proj"), width, width)?,
            Weights::load(&attention.pp("v_proj"), width, width)?,
        ])?;
        Ok(Layer {
            norm: LayerNorm::load(&vb.pp("self_attn_layer_norm"), width, way.fast)?,
            qkv: qkv.linear(way)?,
            out: Weights::load(&attention.pp("out_proj"), width, width)?.linear(way)?,
            feed_forward: FeedForward::load(vb, width, config.encoder_ffn_dim, way)?,
            heads: config.encoder_attention_heads,
            way,
        })
    }

    /// `x`: `[batch * frames, d]`, same shape out.
    fn forward(&self, x: &Tensor, batch: usize) -> Result<Tensor> {
        let qkv = self.qkv.forward(&self.norm.forward(x)?)?;
        let attended = match self.way.fast {
            true => cpu::attend_windows(&qkv, batch, self.heads, self.way.kept)?,
            false => self.attend_plainly(&qkv, batch)?,
        };
        self.feed_forward.forward(&self.out.forward_add(&attended, x)?)
    }

    fn attend_plainly(&self, qkv: &Tensor, batch: usize) -> Result<Tensor> {
        let (rows, width) = qkv.dims2()?;
        let (frames, width) = (rows / batch, width / 3);
        let attended = (0..batch)
            .map(|window| {
                let part = |index| {
                    split_heads(
                        &qkv.narrow(0, window * frames, frames)?.narrow(1, index * width, width)?,
                        self.heads,
                    )
                };
                merge_heads(&attend(&part(0)?, &part(1)?, &part(2)?, None)?.values)
            })
            .collect::<Result<Vec<_>>>()?;
        Tensor::cat(&attended, 0)
    }
}
