//! Log-mel spectrograms in, audio features out: Whisper's encoder.

use candle_core::{Module, Result, Tensor};
use candle_nn::{Conv1d, Conv1dConfig, VarBuilder};

use super::attention::attend;
use super::config::Config;
use super::layers::{FeedForward, LayerNorm, Linear, Weights, merge_heads, split_heads};
use crate::model::kernels::cpu;

#[derive(Debug)]
pub struct Encoder {
    conv1: Conv1d,
    conv2: Conv1d,
    /// `[1500, d]`; sinusoids, stored in the checkpoint.
    positions: Tensor,
    layers: Vec<Layer>,
    norm: LayerNorm,
}

#[derive(Debug)]
struct Layer {
    norm: LayerNorm,
    /// Queries, keys and values in one product: `[3d, d]`.
    qkv: Linear,
    out: Linear,
    feed_forward: FeedForward,
    heads: usize,
    fast: bool,
}

impl Encoder {
    /// `vb` stands at `encoder`; `fast`: with our kernels.
    pub fn load(vb: &VarBuilder, config: &Config, fast: bool) -> Result<Self> {
        let width = config.d_model;
        let conv = |name, inputs, stride| {
            let vb = vb.pp(name);
            let config = Conv1dConfig { padding: 1, stride, ..Default::default() };
            Ok::<_, candle_core::Error>(Conv1d::new(
                vb.get((width, inputs, 3), "weight")?,
                Some(vb.get(width, "bias")?),
                config,
            ))
        };
        Ok(Encoder {
            conv1: conv("conv1", config.num_mel_bins, 1)?,
            conv2: conv("conv2", width, 2)?,
            positions: vb.get((config.max_source_positions, width), "embed_positions.weight")?,
            layers: (0..config.encoder_layers)
                .map(|index| Layer::load(&vb.pp("layers").pp(index), config, fast))
                .collect::<Result<_>>()?,
            norm: LayerNorm::load(&vb.pp("layer_norm"), width, fast)?,
        })
    }

    /// `mel`: `[batch, n_mels, 3000]` -> `[batch * 1500, d]`, window after window.
    pub fn forward(&self, mel: &Tensor) -> Result<Tensor> {
        let batch = mel.dim(0)?;
        let x = self.conv1.forward(mel)?.gelu_erf()?;
        let x = self.conv2.forward(&x)?.gelu_erf()?;
        let x = x.transpose(1, 2)?.broadcast_add(&self.positions)?;
        let (_, frames, width) = x.dims3()?;
        let mut x = x.contiguous()?.reshape((batch * frames, width))?;
        for layer in &self.layers {
            x = layer.forward(&x, batch)?;
        }
        self.norm.forward(&x)
    }
}

impl Layer {
    fn load(vb: &VarBuilder, config: &Config, fast: bool) -> Result<Self> {
        let width = config.d_model;
        let attention = vb.pp("self_attn");
        let qkv = Weights::fuse(&[
            Weights::load(&attention.pp("q_proj"), width, width)?,
            Weights::load_without_bias(&attention.pp("k_proj"), width, width)?,
            Weights::load(&attention.pp("v_proj"), width, width)?,
        ])?;
        Ok(Layer {
            norm: LayerNorm::load(&vb.pp("self_attn_layer_norm"), width, fast)?,
            qkv: qkv.linear(fast)?,
            out: Weights::load(&attention.pp("out_proj"), width, width)?.linear(fast)?,
            feed_forward: FeedForward::load(vb, width, config.encoder_ffn_dim, fast)?,
            heads: config.encoder_attention_heads,
            fast,
        })
    }

    /// `x`: `[batch * frames, d]`, same shape out.
    fn forward(&self, x: &Tensor, batch: usize) -> Result<Tensor> {
        let qkv = self.qkv.forward(&self.norm.forward(x)?)?;
        let attended = match self.fast {
            true => cpu::attend_windows(&qkv, batch, self.heads)?,
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
