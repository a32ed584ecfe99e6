//! Keys and values of every slot: what a decoder layer remembers of a window's audio and of the tokens read so far.

use candle_core::{DType, Device, Result, Tensor};

use super::config::Config;

/// One layer's memory of one slot.
#[derive(Debug)]
pub struct SlotCache {
    /// `[heads, text_ctx, head]`, written in place; only the first `n` positions of a row at `n` mean anything.
    pub self_keys: Tensor,
    pub self_values: Tensor,
    /// `[heads, 1500, head]`: projections of the encoder's output, written once per window.
    pub cross_keys: Tensor,
    pub cross_values: Tensor,
}

/// All slots of all layers, allocated once at start.
#[derive(Debug)]
pub struct Cache {
    /// By layer, then slot.
    layers: Vec<Vec<SlotCache>>,
}

impl Cache {
    pub fn new(config: &Config, slots: usize, dtype: DType, device: &Device) -> Result<Self> {
        let heads = config.decoder_attention_heads;
        let head = config.d_model / heads;
        let own = || Tensor::zeros((heads, config.max_target_positions, head), dtype, device);
        let cross = || Tensor::zeros((heads, config.max_source_positions, head), dtype, device);
        let slot = || {
            Ok(SlotCache {
                self_keys: own()?,
                self_values: own()?,
                cross_keys: cross()?,
                cross_values: cross()?,
            })
        };
        let layers = (0..config.decoder_layers)
            .map(|_| (0..slots).map(|_| slot()).collect::<Result<Vec<_>>>())
            .collect::<Result<_>>()?;
        Ok(Cache { layers })
    }

    pub fn slot(&self, layer: usize, slot: usize) -> &SlotCache {
        &self.layers[layer][slot]
    }

    /// Bytes of `slots` slots.
    pub fn bytes(config: &Config, slots: usize, dtype: DType) -> u64 {
        let positions = config.max_target_positions + config.max_source_positions;
        (config.decoder_layers * slots * 2 * positions * config.d_model * dtype.size_in_bytes()) as u64
    }
}

impl SlotCache {
    /// Appends `k`, `v` (`[heads, tokens, head]`) at `position` and gives back all keys and values up to there.
    pub fn extend(&self, k: &Tensor, v: &Tensor, position: usize) -> Result<(Tensor, Tensor)> {
        self.self_keys.slice_set(k, 1, position)?;
        self.self_values.slice_set(v, 1, position)?;
        let end = position + k.dim(1)?;
        Ok((self.self_keys.narrow(1, 0, end)?, self.self_values.narrow(1, 0, end)?))
    }

    /// Takes in the projections of a new window; `k`, `v`: `[heads, 1500, head]`.
    pub fn set_audio(&self, k: &Tensor, v: &Tensor) -> Result<()> {
        self.cross_keys.slice_set(k, 1, 0)?;
        self.cross_values.slice_set(v, 1, 0)
    }
}
