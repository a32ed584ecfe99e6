//! A name in, what `tools/parity/record.py` recorded under it out; and the comparison of numbers.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use verbatim::model::Constraint;
use verbatim::text::Token;

/// `tests/fixtures/parity/NAME.json`, for a network with seeded weights.
#[derive(Debug, Deserialize)]
pub struct Shape {
    pub config: Value,
    pub generation_config: Value,
    pub preprocessor_config: Value,
    pub storage: Storage,
    pub nospeech: Token,
    pub encoder: Encoder,
    /// The ids whose logits were kept.
    pub watched: Vec<usize>,
    pub align: Align,
    pub cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
pub struct Storage {
    pub dtype: String,
    pub shards: usize,
}

/// Which places of the encodings were kept, and figures of the whole, by window.
#[derive(Debug, Deserialize)]
pub struct Encoder {
    pub positions: Vec<usize>,
    pub channels: Vec<usize>,
    pub mean: Vec<f64>,
    pub std: Vec<f64>,
}

#[derive(Debug, Deserialize)]
pub struct Align {
    pub case: usize,
    pub rows: Vec<usize>,
}

/// One greedy decode.
#[derive(Debug, Deserialize)]
pub struct Case {
    pub name: String,
    pub window: usize,
    pub prompt: Vec<Token>,
    constraint: Rule,
    pub tokens: Vec<Token>,
    pub logprobs: Vec<f32>,
}

#[derive(Debug, Deserialize)]
struct Rule {
    suppress: Vec<Token>,
    forbid: Vec<[Token; 2]>,
    timestamps_from: Option<Token>,
}

impl Case {
    pub fn constraint(&self) -> Constraint {
        Constraint {
            suppress: self.constraint.suppress.clone().into(),
            forbid: self.constraint.forbid.iter().map(|[start, end]| *start..*end).collect(),
            timestamps_from: self.constraint.timestamps_from,
        }
    }

    /// All that the decoder read: the prompt and every token but the last.
    pub fn read(&self) -> Vec<Token> {
        [&self.prompt[..], &self.tokens[..self.tokens.len() - 1]].concat()
    }
}

/// `tests/fixtures/parity/NAME.json`, for a model folder on real audio.
#[derive(Debug, Deserialize)]
pub struct Folder {
    /// Of `model.safetensors`: the recording is of these weights alone.
    pub weights_sha256: String,
    /// Which places of the log-mels and the encodings were kept.
    pub frames: Vec<usize>,
    pub positions: Vec<usize>,
    pub channels: Vec<usize>,
    pub clips: Vec<Clip>,
}

#[derive(Debug, Deserialize)]
pub struct Clip {
    /// In `tests/fixtures/speech`.
    pub file: String,
    pub text: String,
    pub prompt: Vec<Token>,
    pub tokens: Vec<Token>,
    pub logprobs: Vec<f32>,
    pub no_speech: f32,
}

/// The arrays beside a JSON file.
#[derive(Debug)]
pub struct Arrays(HashMap<String, (Vec<usize>, Vec<f32>)>);

impl Arrays {
    /// The rows of an array, over its last dimension.
    pub fn rows(&self, name: &str) -> Vec<&[f32]> {
        let (shape, values) = &self.0[name];
        values.chunks_exact(shape[shape.len() - 1]).collect()
    }

    pub fn values(&self, name: &str) -> &[f32] {
        &self.0[name].1
    }
}

pub fn read<T: DeserializeOwned>(name: &str) -> (T, Arrays) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity");
    let open = |path: PathBuf| fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let facts =
        serde_json::from_slice(&open(folder.join(format!("{name}.json")))).expect("record.py wrote it");
    let bytes = open(folder.join(format!("{name}.safetensors")));
    let tensors = SafeTensors::deserialize(&bytes).expect("record.py wrote it");
    let arrays = tensors.iter().map(|(name, view)| {
        let values = view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        (name.to_owned(), (view.shape().to_vec(), values))
    });
    (facts, Arrays(arrays.collect()))
}

/// The largest difference; panics where two numbers differ by more than `tolerance`.
pub fn close(what: &str, ours: impl IntoIterator<Item = f32>, theirs: &[f32], tolerance: f32) -> f32 {
    let ours: Vec<f32> = ours.into_iter().collect();
    assert_eq!(ours.len(), theirs.len(), "{what}: as many numbers as were recorded");
    let mut largest = 0f32;
    for (place, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        let difference = (ours - theirs).abs();
        // Written so that NaN fails.
        assert!(difference <= tolerance, "{what}, number {place}: {ours} where {theirs} was recorded");
        largest = largest.max(difference);
    }
    largest
}
