//! A checkpoint's `config.json` and `generation_config.json` in, checked dimensions and generation facts out.

use serde::Deserialize;

use super::heads;
use crate::text::Token;

/// Shape of the network, under the names of the hub's `config.json`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Config {
    pub num_mel_bins: usize,
    pub d_model: usize,
    pub encoder_layers: usize,
    pub encoder_attention_heads: usize,
    pub encoder_ffn_dim: usize,
    pub decoder_layers: usize,
    pub decoder_attention_heads: usize,
    pub decoder_ffn_dim: usize,
    pub vocab_size: usize,
    /// 1,500: a window's 3,000 frames, halved by the second convolution.
    pub max_source_positions: usize,
    /// 448.
    pub max_target_positions: usize,
}

/// What the checkpoint says about decoding. Every field may be missing.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub struct Generation {
    /// `[layer, head]` of the decoder whose cross-attention follows the audio.
    pub alignment_heads: Option<Vec<[usize; 2]>>,
    pub suppress_tokens: Option<Vec<Token>>,
    pub begin_suppress_tokens: Option<Vec<Token>>,
    pub is_multilingual: Option<bool>,
    /// In steps of 0.02 s: the first timestamp may not lie beyond. Absent or null: no bound.
    pub max_initial_timestamp_index: Option<u32>,
}

impl Config {
    pub fn from_json(json: &[u8]) -> Result<Self, ConfigError> {
        let config: Config = serde_json::from_slice(json).map_err(|error| ConfigError(error.to_string()))?;
        config.check()?;
        Ok(config)
    }

    /// Number of weights, the tied embedding counted once.
    pub fn parameters(&self) -> u64 {
        let d = self.d_model;
        // Four projections, keys without a bias; a norm has a weight and a bias.
        let (attention, norm) = (4 * d * d + 3 * d, 2 * d);
        let feed_forward = |inner: usize| 2 * d * inner + inner + d;
        let convolutions = 3 * self.num_mel_bins * d + d + 3 * d * d + d;
        let encoder = convolutions
            + self.max_source_positions * d
            + self.encoder_layers * (attention + 2 * norm + feed_forward(self.encoder_ffn_dim))
            + norm;
        let decoder = (self.vocab_size + self.max_target_positions) * d
            + self.decoder_layers * (2 * attention + 3 * norm + feed_forward(self.decoder_ffn_dim))
            + norm;
        (encoder + decoder) as u64
    }

    /// Those of them that stand in products, all of which may be rounded: no convolution is among them.
    pub fn in_products(&self) -> u64 {
        let d = self.d_model;
        let layer = |attentions: usize, inner: usize| attentions * 4 * d * d + 2 * d * inner;
        let encoder = self.encoder_layers * layer(1, self.encoder_ffn_dim);
        let decoder = self.decoder_layers * layer(2, self.decoder_ffn_dim) + self.vocab_size * d;
        (encoder + decoder) as u64
    }

    /// Refuses what the network cannot be built from, before a tensor of that size is asked for.
    fn check(&self) -> Result<(), ConfigError> {
        let bounds = [
            ("num_mel_bins", self.num_mel_bins, 1, 512),
            ("d_model", self.d_model, 1, 8192),
            ("encoder_layers", self.encoder_layers, 1, 256),
            ("encoder_attention_heads", self.encoder_attention_heads, 1, 256),
            ("encoder_ffn_dim", self.encoder_ffn_dim, 1, 65_536),
            ("decoder_layers", self.decoder_layers, 1, 256),
            ("decoder_attention_heads", self.decoder_attention_heads, 1, 256),
            ("decoder_ffn_dim", self.decoder_ffn_dim, 1, 65_536),
            // The 1,501 timestamps and the special tokens before them.
            ("vocab_size", self.vocab_size, 1_512, 1_000_000),
            ("max_source_positions", self.max_source_positions, 1_500, 1_500),
            ("max_target_positions", self.max_target_positions, 8, 8_192),
        ];
        for (name, value, least, most) in bounds {
            if !(least..=most).contains(&value) {
                return Err(ConfigError(format!("{name} is {value}; it must lie in {least}..={most}")));
            }
        }
        for heads in [self.encoder_attention_heads, self.decoder_attention_heads] {
            if !self.d_model.is_multiple_of(heads) {
                return Err(ConfigError(format!(
                    "d_model {} is not a multiple of {heads} heads",
                    self.d_model
                )));
            }
        }
        Ok(())
    }
}

impl Generation {
    pub fn from_json(json: &[u8]) -> Result<Self, ConfigError> {
        serde_json::from_slice(json).map_err(|error| ConfigError(error.to_string()))
    }

    /// `.en` checkpoints have 51,864 tokens; where the checkpoint does not say, that number does.
    pub fn multilingual(&self, config: &Config) -> bool {
        self.is_multilingual.unwrap_or(config.vocab_size != 51_864)
    }

    /// The checkpoint's own alignment heads; else those of OpenAI's checkpoint of exactly this shape; else every head of
    /// the upper half of the decoder, as the reference does for models it does not know (openai/whisper model.py at
    /// c0d2f624, lines 270-276). So it is for distilled models that name none.
    pub fn alignment_heads(&self, config: &Config) -> Vec<(usize, usize)> {
        let (layers, heads) = (config.decoder_layers, config.decoder_attention_heads);
        let given: Vec<(usize, usize)> = self
            .alignment_heads
            .iter()
            .flatten()
            .map(|[layer, head]| (*layer, *head))
            .filter(|(layer, head)| *layer < layers && *head < heads)
            .collect();
        if !given.is_empty() {
            return given;
        }
        if let Some(known) = heads::known(config) {
            return known.to_vec();
        }
        (layers / 2..layers).flat_map(|layer| (0..heads).map(move |head| (layer, head))).collect()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: &str = r#"{"num_mel_bins": 80, "d_model": 384, "encoder_layers": 4, "encoder_attention_heads": 6,
        "encoder_ffn_dim": 1536, "decoder_layers": 4, "decoder_attention_heads": 6, "decoder_ffn_dim": 1536,
        "vocab_size": 51865, "max_source_positions": 1500, "max_target_positions": 448, "model_type": "whisper"}"#;

    #[test]
    fn tiny_is_read_and_fields_of_no_use_are_passed_over() {
        let config = Config::from_json(TINY.as_bytes()).unwrap();
        assert_eq!((config.d_model, config.decoder_attention_heads), (384, 6));
        // As transformers counts openai/whisper-tiny.
        assert_eq!(config.parameters(), 37_760_640);
        // All but convolutions, positions, biases and norms.
        assert_eq!(config.parameters() - config.in_products(), 1_329_408);
    }

    #[test]
    fn an_impossible_shape_is_refused_by_name() {
        let forged = TINY.replace("\"d_model\": 384", "\"d_model\": 385");
        assert!(Config::from_json(forged.as_bytes()).unwrap_err().to_string().contains("d_model"));
        let forged = TINY.replace("\"vocab_size\": 51865", "\"vocab_size\": 4000000000");
        assert!(Config::from_json(forged.as_bytes()).unwrap_err().to_string().contains("vocab_size"));
    }

    #[test]
    fn alignment_heads_outside_the_network_are_left_out() {
        let config = Config::from_json(TINY.as_bytes()).unwrap();
        let generation = Generation::from_json(br#"{"alignment_heads": [[2, 2], [9, 0]]}"#).unwrap();
        assert_eq!(generation.alignment_heads(&config), [(2, 2)]);
    }

    #[test]
    fn a_checkpoint_that_names_no_alignment_heads_has_those_of_openais_of_its_shape() {
        let config = Config::from_json(TINY.as_bytes()).unwrap();
        let heads = Generation::default().alignment_heads(&config);
        assert_eq!(heads, [(2, 2), (3, 0), (3, 2), (3, 3), (3, 4), (3, 5)]);
        // A distilled one has fewer layers: no list fits, and the upper half of its decoder is asked.
        let distilled = TINY.replace("\"decoder_layers\": 4", "\"decoder_layers\": 2");
        let config = Config::from_json(distilled.as_bytes()).unwrap();
        let heads = Generation::default().alignment_heads(&config);
        assert_eq!(heads, [(1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (1, 5)]);
    }
}
