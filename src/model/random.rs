//! The name of a published size in; that size's files out, without a download: its `config.json`, and a tokenizer of invented words.
//!
//! The weights are drawn when the network is loaded (`whisper/draw.rs`). Such a model works exactly as hard as the real one and
//! says nothing: it is for benchmarks and load tests.

use serde_json::json;

use crate::text::tokenizer_json;

/// Before a size, on the command line and in the settings.
pub const PREFIX: &str = "random:";

/// A published Whisper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub name: &'static str,
    /// The real one.
    pub hub_id: &'static str,
    n_mels: usize,
    /// 64 for each attention head; a quarter of the inner layers.
    width: usize,
    encoder_layers: usize,
    decoder_layers: usize,
    vocab: usize,
}

/// Vocabulary of the English-only ones, of the others, and of those since large-v3 with one language more.
const ENGLISH: usize = 51_864;
const LANGUAGES_99: usize = 51_865;
const LANGUAGES_100: usize = 51_866;

/// As the `config.json` of each says.
pub const SIZES: &[Size] = &[
    size("tiny", "openai/whisper-tiny", 80, [384, 4, 4], LANGUAGES_99),
    size("tiny.en", "openai/whisper-tiny.en", 80, [384, 4, 4], ENGLISH),
    size("base", "openai/whisper-base", 80, [512, 6, 6], LANGUAGES_99),
    size("base.en", "openai/whisper-base.en", 80, [512, 6, 6], ENGLISH),
    size("small", "openai/whisper-small", 80, [768, 12, 12], LANGUAGES_99),
    size("small.en", "openai/whisper-small.en", 80, [768, 12, 12], ENGLISH),
    size("medium", "openai/whisper-medium", 80, [1024, 24, 24], LANGUAGES_99),
    size("medium.en", "openai/whisper-medium.en", 80, [1024, 24, 24], ENGLISH),
    size("large", "openai/whisper-large", 80, [1280, 32, 32], LANGUAGES_99),
    size("large-v2", "openai/whisper-large-v2", 80, [1280, 32, 32], LANGUAGES_99),
    size("large-v3", "openai/whisper-large-v3", 128, [1280, 32, 32], LANGUAGES_100),
    size("large-v3-turbo", "openai/whisper-large-v3-turbo", 128, [1280, 32, 4], LANGUAGES_100),
    size("distil-large-v3", "distil-whisper/distil-large-v3", 128, [1280, 32, 2], LANGUAGES_100),
];

const fn size(
    name: &'static str,
    hub_id: &'static str,
    n_mels: usize,
    [width, encoder_layers, decoder_layers]: [usize; 3],
    vocab: usize,
) -> Size {
    Size { name, hub_id, n_mels, width, encoder_layers, decoder_layers, vocab }
}

impl Size {
    pub fn named(name: &str) -> Option<Size> {
        SIZES.iter().copied().find(|size| size.name == name)
    }

    pub fn config_json(&self) -> String {
        let (heads, inner) = (self.width / 64, self.width * 4);
        json!({
            "model_type": "whisper",
            "num_mel_bins": self.n_mels,
            "d_model": self.width,
            "encoder_layers": self.encoder_layers,
            "encoder_attention_heads": heads,
            "encoder_ffn_dim": inner,
            "decoder_layers": self.decoder_layers,
            "decoder_attention_heads": heads,
            "decoder_ffn_dim": inner,
            "vocab_size": self.vocab,
            "max_source_positions": 1500,
            "max_target_positions": 448,
        })
        .to_string()
    }

    pub fn tokenizer_json(&self) -> String {
        // English-only models have tokens for languages too, and never read them.
        tokenizer_json(self.vocab, if self.vocab == LANGUAGES_100 { 100 } else { 99 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::whisper::Config;

    #[test]
    fn every_size_has_the_parameters_that_are_published() {
        // Millions, as the model cards and the hub count them.
        let published = [
            ("tiny", 37.8),
            ("tiny.en", 37.8),
            ("base", 72.6),
            ("base.en", 72.6),
            ("small", 241.7),
            ("small.en", 241.7),
            ("medium", 763.9),
            ("medium.en", 763.9),
            ("large", 1543.3),
            ("large-v2", 1543.3),
            ("large-v3", 1543.5),
            ("large-v3-turbo", 808.9),
            ("distil-large-v3", 756.4),
        ];
        assert_eq!(published.len(), SIZES.len());
        for (name, millions) in published {
            let config = Config::from_json(Size::named(name).unwrap().config_json().as_bytes()).unwrap();
            let counted = config.parameters() as f64 / 1e6;
            assert!((counted - millions).abs() < 0.06, "{name}: {counted} M, published {millions} M");
        }
    }
}
