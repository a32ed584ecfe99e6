//! A configuration in; reproducible weights, a model folder made of them, and log-mel windows out.
//!
//! Twin of `tools/parity/seeded.py`, number for number: a change here is a change there, and every fixture is recorded
//! anew. The reasons for the gains stand there.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use safetensors::{Dtype, View, serialize_to_file};
use serde_json::{Value, json};
use verbatim::audio::{LogMel, WINDOW_FRAMES};
use verbatim::model::whisper::Config;

/// One tensor of transformers' Whisper, decided by its name and shape alone. The numbers are made only when they are
/// written, one tensor at a time: large-v3's vocabulary alone is 265 MB.
#[derive(Clone, Debug)]
pub struct Weight {
    pub name: String,
    pub shape: Vec<usize>,
    stored: DType,
}

/// Every weight of the network, by the names of the hub's safetensors. The output matrix is the token embedding.
pub fn weights(config: &Config, stored: DType) -> Vec<Weight> {
    let width = config.d_model;
    let mut shapes: Vec<(String, Vec<usize>)> = Vec::new();
    let mut add = |name: String, shape: &[usize]| shapes.push((format!("model.{name}"), shape.to_vec()));
    let mut linear = |name: String, outputs: usize, inputs: usize| {
        add(format!("{name}.weight"), &[outputs, inputs]);
        if !name.ends_with("k_proj") {
            add(format!("{name}.bias"), &[outputs]);
        }
    };
    for (side, layers, inner, attentions) in [
        ("encoder", config.encoder_layers, config.encoder_ffn_dim, &["self_attn"][..]),
        ("decoder", config.decoder_layers, config.decoder_ffn_dim, &["self_attn", "encoder_attn"][..]),
    ] {
        for layer in 0..layers {
            let at = format!("{side}.layers.{layer}");
            for attention in attentions {
                for projection in ["q_proj", "k_proj", "v_proj", "out_proj"] {
                    linear(format!("{at}.{attention}.{projection}"), width, width);
                }
            }
            linear(format!("{at}.fc1"), inner, width);
            linear(format!("{at}.fc2"), width, inner);
        }
    }
    let norms_of = |side: &str, layers: usize, attentions: &[&str]| {
        let own = (0..layers).flat_map(|layer| {
            let norms =
                attentions.iter().map(|name| format!("{name}_layer_norm")).chain(["final_layer_norm".into()]);
            norms.map(move |norm| format!("{side}.layers.{layer}.{norm}")).collect::<Vec<_>>()
        });
        own.chain([format!("{side}.layer_norm")]).collect::<Vec<_>>()
    };
    let mut norms = norms_of("encoder", config.encoder_layers, &["self_attn"]);
    norms.extend(norms_of("decoder", config.decoder_layers, &["self_attn", "encoder_attn"]));
    for norm in norms {
        add(format!("{norm}.weight"), &[width]);
        add(format!("{norm}.bias"), &[width]);
    }
    for (conv, inputs) in [("conv1", config.num_mel_bins), ("conv2", width)] {
        add(format!("encoder.{conv}.weight"), &[width, inputs, 3]);
        add(format!("encoder.{conv}.bias"), &[width]);
    }
    add("encoder.embed_positions.weight".into(), &[config.max_source_positions, width]);
    add("decoder.embed_positions.weight".into(), &[config.max_target_positions, width]);
    add("decoder.embed_tokens.weight".into(), &[config.vocab_size, width]);
    shapes.into_iter().map(|(name, shape)| Weight { name, shape, stored }).collect()
}

impl Weight {
    pub fn values(&self) -> Vec<f32> {
        if self.name == "model.encoder.embed_positions.weight" {
            return sinusoids(self.shape[0], self.shape[1]);
        }
        let gain = gain(&self.name) as f32;
        let mut values = uniform(&self.name, self.shape.iter().product());
        let scaled: Box<dyn Fn(f32) -> f32 + Sync> = match self.shape[..] {
            [_] if self.name.ends_with("layer_norm.weight") => {
                Box::new(move |noise| gain * (1.0 + 0.1 * noise))
            }
            [_] => Box::new(|noise| 0.1 * noise),
            [_, ref inputs @ ..] => {
                let scale = ((3.0 / inputs.iter().product::<usize>() as f64).sqrt() * f64::from(gain)) as f32;
                Box::new(move |noise| scale * noise)
            }
            [] => unreachable!("no weight of Whisper is a scalar"),
        };
        values
            .par_chunks_mut(1 << 16)
            .for_each(|chunk| chunk.iter_mut().for_each(|value| *value = scaled(*value)));
        values
    }
}

impl View for Weight {
    fn dtype(&self) -> Dtype {
        self.stored.into()
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let tensor = Tensor::from_vec(self.values(), self.shape.clone(), &Device::Cpu);
        let tensor =
            tensor.and_then(|tensor| tensor.to_dtype(self.stored)).expect("the shape holds the values");
        Cow::Owned(View::data(&tensor).into_owned())
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.stored.size_in_bytes()
    }
}

/// Writes `weights` into `folder` as the hub has them: one file, or `shards` files and their index.
pub fn write_weights(folder: &Path, weights: &[Weight], shards: usize) {
    let per_shard = weights.len().div_ceil(shards);
    let mut weight_map = BTreeMap::new();
    for (index, part) in weights.chunks(per_shard).enumerate() {
        let file = match shards {
            1 => "model.safetensors".to_owned(),
            _ => format!("model-{:05}-of-{shards:05}.safetensors", index + 1),
        };
        weight_map.extend(part.iter().map(|weight| (weight.name.clone(), file.clone())));
        let named = part.iter().map(|weight| (weight.name.as_str(), weight.clone()));
        serialize_to_file(named, None, &folder.join(file)).expect("the folder can be written");
    }
    if shards > 1 {
        let total_size: usize = weights.iter().map(View::data_len).sum();
        let index = json!({ "metadata": { "total_size": total_size }, "weight_map": weight_map });
        write_json(folder, "model.safetensors.index.json", &index);
    }
}

pub fn write_json(folder: &Path, name: &str, value: &Value) {
    fs::write(folder.join(name), value.to_string()).expect("the folder can be written");
}

/// `[n_mels, 3000]` in log-mel's range: three gliding bands, a syllable beat, noise, silence after.
pub fn log_mel(n_mels: usize, window: usize) -> LogMel {
    let spoken = WINDOW_FRAMES - 700 * window % 2400;
    let noise = uniform(&format!("log-mel {window}"), n_mels * WINDOW_FRAMES);
    let value = |(place, noise): (usize, f32)| {
        let (mel, frame) = (place / WINDOW_FRAMES, place % WINDOW_FRAMES);
        if frame >= spoken {
            return -0.9;
        }
        let height = mel as f64 / n_mels as f64;
        let bands = (0..3).map(|band| {
            let (glide, band) = (triangle(frame + 37 * window, 190 + 66 * band), band as f64);
            let distance = (height - (0.15 + 0.3 * band + 0.12 * glide)) / (0.03 + 0.02 * band);
            (1.0 - 0.25 * band) / (1.0 + distance * distance)
        });
        let beat = 0.5 + 0.5 * triangle(frame + 11 * window, 26);
        (bands.sum::<f64>() * beat * 1.75 - 0.75 + 0.15 * f64::from(noise)) as f32
    };
    LogMel::new(n_mels, noise.into_iter().enumerate().map(value).collect())
}

/// A wave from 1 down to -1 and back, `period` frames long.
fn triangle(at: usize, period: usize) -> f64 {
    ((at % period) as f64 / period as f64 * 4.0 - 2.0).abs() - 1.0
}

fn gain(name: &str) -> f64 {
    let is_query_or_key = name.contains("q_proj") || name.contains("k_proj");
    match name {
        "model.decoder.layer_norm.weight" => 4.0,
        _ if name.starts_with("model.decoder.") => match name {
            _ if is_query_or_key => 2.5,
            _ if name.contains("encoder_attn.out_proj") => 0.7,
            _ if name.contains("fc2") => 2.0,
            _ => 1.0,
        },
        _ if is_query_or_key => 1.5,
        _ if name.contains(".conv") => 2.0,
        _ => 1.0,
    }
}

/// `[length, channels]`, sines then cosines; in f64, rounded once.
fn sinusoids(length: usize, channels: usize) -> Vec<f32> {
    let half = channels / 2;
    let step = 10_000f64.ln() / (half - 1) as f64;
    let angle = |place: usize, channel: usize| place as f64 * (-step * channel as f64).exp();
    (0..length)
        .flat_map(|place| {
            let sines = (0..half).map(move |channel| angle(place, channel).sin() as f32);
            sines.chain((0..half).map(move |channel| angle(place, channel).cos() as f32))
        })
        .collect()
}

/// Element `i` is the top 24 bits of splitmix64(FNV-1a(name) + i * golden) as a number in [-1, 1): exact in f32.
fn uniform(name: &str, count: usize) -> Vec<f32> {
    const CHUNK: usize = 1 << 16;
    let seed = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hashed, byte| {
        (hashed ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    });
    let mut values = vec![0f32; count];
    values.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, values)| {
        let mut state = seed.wrapping_add(((chunk * CHUNK) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        for value in values {
            let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            *value = ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0;
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        }
    });
    values
}
