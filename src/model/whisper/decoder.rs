//! Tokens and the audio of their slots in, hidden states and logits out: Whisper's decoder.

use candle_core::{D, DType, Result, Tensor};
use candle_nn::VarBuilder;

use super::attention::{attend, causal_mask};
use super::cache::{Audio, Cache, Text};
use super::config::Config;
use super::layers::{FeedForward, LayerNorm, Linear, Weights, merge_heads, split_heads};
use crate::model::kernels::Way;
use crate::model::kernels::cpu::{self, Heard};

/// One row of a pass: it hears `slot`, and `tokens[0]` stands at `position` of `lane`.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    pub slot: usize,
    pub lane: usize,
    pub position: usize,
    pub tokens: &'a [u32],
}

#[derive(Debug)]
pub struct Decoder {
    /// `[vocab, d]`: token embedding and output projection are one matrix.
    embedding: Linear,
    /// `[text_ctx, d]`, learned.
    positions: Tensor,
    layers: Vec<Layer>,
    norm: LayerNorm,
}

#[derive(Debug)]
struct Layer {
    self_norm: LayerNorm,
    /// `[3d, d]`.
    qkv: Linear,
    self_out: Linear,
    cross_norm: LayerNorm,
    cross_q: Linear,
    /// Keys and values of the audio: `[2d, d]`.
    cross_kv: Linear,
    cross_out: Linear,
    feed_forward: FeedForward,
    heads: usize,
    way: Way,
}

impl Decoder {
    /// `vb` stands at `decoder`.
    pub fn load(vb: &VarBuilder, config: &Config, way: Way) -> Result<Self> {
        let width = config.d_model;
        let embedding = Weights::load_without_bias(&vb.pp("embed_tokens"), width, config.vocab_size)?;
        Ok(Decoder {
            embedding: embedding.linear(way)?,
            positions: vb.get((config.max_target_positions, width), "embed_positions.weight")?,
            layers: (0..config.decoder_layers)
                .map(|index| Layer::load(&vb.pp("layers").pp(index), config, way))
                .collect::<Result<_>>()?,
            norm: LayerNorm::load(&vb.pp("layer_norm"), width, way.fast)?,
        })
    }

    /// Projects `features` (`[windows * 1500, d]`) into the slots, window after window.
    pub fn set_audio(&self, features: &Tensor, slots: &[usize], cache: &Cache) -> Result<()> {
        let (rows, width) = features.dims2()?;
        let frames = rows / slots.len();
        for (index, layer) in self.layers.iter().enumerate() {
            let kv = layer.cross_kv.forward(features)?;
            for (window, slot) in slots.iter().enumerate() {
                let kv = kv.narrow(0, window * frames, frames)?;
                let k = split_heads(&kv.narrow(1, 0, width)?, layer.heads)?;
                let v = split_heads(&kv.narrow(1, width, width)?, layer.heads)?;
                cache.layer(index).slots[*slot].set(&k, &v)?;
            }
        }
        Ok(())
    }

    /// Reads the rows' tokens into their slots; rows may differ in length. Gives `[sum of lengths, d]`, row after row.
    pub fn forward(&self, rows: &[Row], cache: &Cache) -> Result<Tensor> {
        self.run(rows, cache, None)
    }

    /// Like `forward`, keeping each row's scores over the audio (`[tokens, 1500]` each, f32) of some heads, in the order of
    /// `heads`.
    pub fn cross_scores(
        &self,
        rows: &[Row],
        cache: &Cache,
        heads: &[(usize, usize)],
    ) -> Result<(Tensor, Vec<Vec<Tensor>>)> {
        let mut watch = Watch { heads, kept: vec![vec![None; heads.len()]; rows.len()] };
        let hidden = self.run(rows, cache, Some(&mut watch))?;
        // `Generation::alignment_heads` lets only heads through that the network has.
        Ok((hidden, watch.kept.into_iter().map(|row| row.into_iter().flatten().collect()).collect()))
    }

    /// `hidden`: `[rows, d]` -> `[rows, vocab]` in f32.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.embedding.forward(hidden)?.to_dtype(DType::F32)
    }

    fn run(&self, rows: &[Row], cache: &Cache, mut watch: Option<&mut Watch>) -> Result<Tensor> {
        let mut x = self.embed(rows)?;
        for (index, layer) in self.layers.iter().enumerate() {
            x = layer.read_tokens(&x, rows, &cache.layer(index).lanes)?;
            x = layer.listen(&x, rows, &cache.layer(index).slots, (index, watch.as_deref_mut()))?;
            x = layer.feed_forward.forward(&x)?;
        }
        self.norm.forward(&x)
    }

    fn embed(&self, rows: &[Row]) -> Result<Tensor> {
        let device = self.positions.device();
        let ids: Vec<u32> = rows.iter().flat_map(|row| row.tokens).copied().collect();
        let places: Vec<u32> = rows
            .iter()
            .flat_map(|row| (row.position..row.position + row.tokens.len()).map(|place| place as u32))
            .collect();
        let count = ids.len();
        let tokens = self.embedding.rows(ids)?;
        let places = self.positions.index_select(&Tensor::from_vec(places, count, device)?, 0)?;
        tokens + places
    }
}

impl Layer {
    fn load(vb: &VarBuilder, config: &Config, way: Way) -> Result<Self> {
        let width = config.d_model;
        let (own, cross) = (vb.pp("self_attn"), vb.pp("encoder_attn"));
        let with_bias = |vb: &VarBuilder, name| Weights::load(&vb.pp(name), width, width);
        let keys = |vb: &VarBuilder| Weights::load_without_bias(&vb.pp("k_proj"), width, width);
        let qkv = Weights::fuse(&[with_bias(&own, "q_proj")?, keys(&own)?, with_bias(&own, "v_proj")?])?;
        let cross_kv = Weights::fuse(&[keys(&cross)?, with_bias(&cross, "v_proj")?])?;
        Ok(Layer {
            self_norm: LayerNorm::load(&vb.pp("self_attn_layer_norm"), width, way.fast)?,
            qkv: qkv.linear(way)?,
            self_out: with_bias(&own, "out_proj")?.linear(way)?,
            cross_norm: LayerNorm::load(&vb.pp("encoder_attn_layer_norm"), width, way.fast)?,
            cross_q: with_bias(&cross, "q_proj")?.linear(way)?,
            cross_kv: cross_kv.linear(way)?,
            cross_out: with_bias(&cross, "out_proj")?.linear(way)?,
            feed_forward: FeedForward::load(vb, width, config.decoder_ffn_dim, way)?,
            heads: config.decoder_attention_heads,
            way,
        })
    }

    /// Self-attention over the lane's tokens so far.
    fn read_tokens(&self, x: &Tensor, rows: &[Row], lanes: &[Text]) -> Result<Tensor> {
        let qkv = self.qkv.forward(&self.self_norm.forward(x)?)?;
        let attended = match self.way.fast {
            true => self.read_fast(&qkv, rows, lanes)?,
            false => self.read_plainly(&qkv, rows, lanes)?,
        };
        self.self_out.forward_add(&attended, x)
    }

    fn read_fast(&self, qkv: &Tensor, rows: &[Row], lanes: &[Text]) -> Result<Tensor> {
        let width = qkv.dim(D::Minus1)? / 3;
        let mut first = 0;
        for row in rows {
            let qkv = qkv.narrow(0, first, row.tokens.len())?;
            let part = |index| split_heads(&qkv.narrow(1, index * width, width)?, self.heads);
            lanes[row.lane].extend(&part(1)?, &part(2)?, row.position)?;
            first += row.tokens.len();
        }
        let heard = rows.iter().map(|row| {
            let (keys, values) = lanes[row.lane].all();
            let positions = row.position + 1;
            Heard { queries: row.tokens.len(), keys, values, positions, causal: true }
        });
        cpu::attend_rows(qkv, width, self.heads, &heard.collect::<Vec<_>>())
    }

    fn read_plainly(&self, qkv: &Tensor, rows: &[Row], lanes: &[Text]) -> Result<Tensor> {
        let width = qkv.dim(D::Minus1)? / 3;
        each_row(rows, |_, row, first| {
            let qkv = qkv.narrow(0, first, row.tokens.len())?;
            let part = |index| split_heads(&qkv.narrow(1, index * width, width)?, self.heads);
            let (k, v) = lanes[row.lane].extend(&part(1)?, &part(2)?, row.position)?;
            // A single token sees everything up to itself, which is all there is.
            let mask = match row.tokens.len() {
                1 => None,
                queries => Some(causal_mask(row.position, queries, &qkv)?),
            };
            merge_heads(&attend(&part(0)?, &k, &v, mask.as_ref())?.values)
        })
    }

    /// Cross-attention over the slot's audio, in the layer of that number.
    fn listen(&self, x: &Tensor, rows: &[Row], slots: &[Audio], watch: Watched) -> Result<Tensor> {
        let q = self.cross_q.forward(&self.cross_norm.forward(x)?)?;
        let attended = match self.way.fast {
            true => self.listen_fast(&q, rows, slots, watch)?,
            false => self.listen_plainly(&q, rows, slots, watch)?,
        };
        self.cross_out.forward_add(&attended, x)
    }

    fn listen_fast(
        &self,
        q: &Tensor,
        rows: &[Row],
        slots: &[Audio],
        (layer, watch): Watched,
    ) -> Result<Tensor> {
        let heard = rows.iter().map(|row| {
            let (keys, values, positions) = slots[row.slot].all();
            Heard { queries: row.tokens.len(), keys, values, positions, causal: false }
        });
        let (heard, width) = (heard.collect::<Vec<_>>(), q.dim(D::Minus1)?);
        if let Some(watch) = watch {
            let mut first = 0;
            for (row, heard) in heard.iter().enumerate() {
                let q = q.narrow(0, first, heard.queries)?;
                watch.keep(layer, row, |head| {
                    cpu::scores(&q, (head, self.heads), heard.keys, heard.positions)
                })?;
                first += heard.queries;
            }
        }
        cpu::attend_rows(q, width, self.heads, &heard)
    }

    fn listen_plainly(
        &self,
        q: &Tensor,
        rows: &[Row],
        slots: &[Audio],
        (layer, mut watch): Watched,
    ) -> Result<Tensor> {
        each_row(rows, |index, row, first| {
            let q = split_heads(&q.narrow(0, first, row.tokens.len())?, self.heads)?;
            let (keys, values) = slots[row.slot].heard()?;
            let attended = attend(&q, &keys, &values, None)?;
            if let Some(watch) = &mut watch {
                watch.keep(layer, index, |head| attended.scores.get(head)?.to_dtype(DType::F32))?;
            }
            merge_heads(&attended.values)
        })
    }
}

/// Scores over the audio that are to be kept, of each row those of `heads`, `(layer, head)`.
struct Watch<'a> {
    heads: &'a [(usize, usize)],
    kept: Vec<Vec<Option<Tensor>>>,
}

/// The number of a layer, and who watches it.
type Watched<'a, 'b> = (usize, Option<&'a mut Watch<'b>>);

impl Watch<'_> {
    /// `scores(head)`: `[tokens, 1500]`.
    fn keep(&mut self, layer: usize, row: usize, scores: impl Fn(usize) -> Result<Tensor>) -> Result<()> {
        for (kept, (of, head)) in self.kept[row].iter_mut().zip(self.heads) {
            if *of == layer {
                *kept = Some(scores(*head)?);
            }
        }
        Ok(())
    }
}

/// Runs `one(index, row, first)` for each row, `first` being its first place in the packed rows, and packs the results.
fn each_row(rows: &[Row], mut one: impl FnMut(usize, &Row, usize) -> Result<Tensor>) -> Result<Tensor> {
    let mut first = 0;
    let mut results = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        results.push(one(index, row, first)?);
        first += row.tokens.len();
    }
    Tensor::cat(&results, 0)
}
