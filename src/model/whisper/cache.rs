//! Keys and values: what a decoder layer remembers of a window's audio (by slot) and of the tokens read so far (by lane).

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use candle_core::{DType, Device, Result, Tensor};

use super::config::Config;
use crate::model::{Capacity, Fork};

/// One layer's memory of one slot's audio: `[heads, 1500, head]`, projections of the encoder's output, written once per
/// window and shared by all lanes that listen to it.
#[derive(Debug)]
pub struct Audio {
    keys: Tensor,
    values: Tensor,
    /// How many positions of them are the window's.
    positions: AtomicUsize,
}

/// One layer's memory of one lane's tokens: `[heads, text_ctx, head]`, written in place; only the first `n` positions of a
/// row at `n` mean anything.
#[derive(Debug)]
pub struct Text {
    keys: Tensor,
    values: Tensor,
}

/// All slots and lanes of all layers, allocated once at start.
#[derive(Debug)]
pub struct Cache {
    layers: Vec<Layer>,
}

#[derive(Debug)]
pub struct Layer {
    pub slots: Vec<Audio>,
    pub lanes: Vec<Text>,
}

impl Cache {
    pub fn new(config: &Config, capacity: Capacity, dtype: DType, device: &Device) -> Result<Self> {
        let heads = config.decoder_attention_heads;
        let head = config.d_model / heads;
        let zeros = |positions| Tensor::zeros((heads, positions, head), dtype, device);
        let audio = || {
            let positions = config.max_source_positions;
            Ok(Audio { keys: zeros(positions)?, values: zeros(positions)?, positions: positions.into() })
        };
        let text = || {
            let positions = config.max_target_positions;
            Ok(Text { keys: zeros(positions)?, values: zeros(positions)? })
        };
        let layer = || {
            Ok(Layer {
                slots: (0..capacity.slots).map(|_| audio()).collect::<Result<_>>()?,
                lanes: (0..capacity.lanes).map(|_| text()).collect::<Result<_>>()?,
            })
        };
        Ok(Cache { layers: (0..config.decoder_layers).map(|_| layer()).collect::<Result<_>>()? })
    }

    pub fn layer(&self, index: usize) -> &Layer {
        &self.layers[index]
    }

    /// Copies memories of tokens between lanes, all at once: no copy sees what another one wrote.
    pub fn fork(&self, forks: &[Fork]) -> Result<()> {
        for layer in &self.layers {
            let mut taken = Vec::with_capacity(forks.len());
            for fork in forks {
                let from = &layer.lanes[fork.from.0];
                let read = |tensor: &Tensor| tensor.narrow(1, 0, fork.positions)?.force_contiguous();
                taken.push((&layer.lanes[fork.to.0], read(&from.keys)?, read(&from.values)?));
            }
            for (to, keys, values) in taken {
                to.keys.slice_set(&keys, 1, 0)?;
                to.values.slice_set(&values, 1, 0)?;
            }
        }
        Ok(())
    }

    /// Bytes of all slots and lanes.
    pub fn bytes(config: &Config, capacity: Capacity, dtype: DType) -> u64 {
        let positions =
            capacity.lanes * config.max_target_positions + capacity.slots * config.max_source_positions;
        (config.decoder_layers * 2 * positions * config.d_model * dtype.size_in_bytes()) as u64
    }
}

impl Text {
    /// All positions, whatever they mean.
    pub fn all(&self) -> (&Tensor, &Tensor) {
        (&self.keys, &self.values)
    }

    /// Appends `k`, `v` (`[heads, tokens, head]`) at `position` and gives back all keys and values up to there.
    pub fn extend(&self, k: &Tensor, v: &Tensor, position: usize) -> Result<(Tensor, Tensor)> {
        self.keys.slice_set(&k.to_dtype(self.keys.dtype())?, 1, position)?;
        self.values.slice_set(&v.to_dtype(self.values.dtype())?, 1, position)?;
        let end = position + k.dim(1)?;
        Ok((self.keys.narrow(1, 0, end)?, self.values.narrow(1, 0, end)?))
    }
}

impl Audio {
    /// Takes in the projections of a new window; `k`, `v`: `[heads, positions, head]`, 1,500 of them or fewer.
    pub fn set(&self, k: &Tensor, v: &Tensor) -> Result<()> {
        self.positions.store(k.dim(1)?, Relaxed);
        self.keys.slice_set(&k.to_dtype(self.keys.dtype())?, 1, 0)?;
        self.values.slice_set(&v.to_dtype(self.values.dtype())?, 1, 0)
    }

    /// All positions, and how many of them are the window's.
    pub fn all(&self) -> (&Tensor, &Tensor, usize) {
        (&self.keys, &self.values, self.positions.load(Relaxed))
    }

    /// Those of the window.
    pub fn heard(&self) -> Result<(Tensor, Tensor)> {
        let (keys, values, positions) = self.all();
        Ok((keys.narrow(1, 0, positions)?, values.narrow(1, 0, positions)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Lane;

    fn config() -> Config {
        Config {
            num_mel_bins: 80,
            d_model: 2,
            encoder_layers: 1,
            encoder_attention_heads: 1,
            encoder_ffn_dim: 1,
            decoder_layers: 1,
            decoder_attention_heads: 1,
            decoder_ffn_dim: 1,
            vocab_size: 10,
            max_source_positions: 3,
            max_target_positions: 4,
        }
    }

    #[test]
    fn lanes_change_places_without_reading_what_was_just_written() {
        let capacity = Capacity { slots: 1, lanes: 2 };
        let cache = Cache::new(&config(), capacity, DType::F32, &Device::Cpu).unwrap();
        let lanes = &cache.layer(0).lanes;
        let row = |value: f32| Tensor::full(value, (1, 1, 2), &Device::Cpu).unwrap();
        for (lane, value) in [(0, 1.0), (1, 5.0)] {
            lanes[lane].extend(&row(value), &row(-value), 0).unwrap();
        }
        let fork = |from, to| Fork { from: Lane(from), to: Lane(to), positions: 1 };
        cache.fork(&[fork(0, 1), fork(1, 0)]).unwrap();
        let second = |lane: usize| {
            let (keys, values) = lanes[lane].extend(&row(9.0), &row(9.0), 1).unwrap();
            let read = |tensor: Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            (read(keys), read(values))
        };
        assert_eq!(second(0), (vec![5., 5., 9., 9.], vec![-5., -5., 9., 9.]));
        assert_eq!(second(1), (vec![1., 1., 9., 9.], vec![-1., -1., 9., 9.]));
    }
}
