//! What the engine may ask of a network, as plain data: no tensor, no device type, nothing to import from candle.
//!
//! A model owns a fixed number of slots. A slot holds one window: its encoding (cross-attention keys and values)
//! and what its decoder has read so far (self-attention keys and values).

pub mod files;
pub mod hub;
pub mod kernels;
mod settings;
pub mod source;
pub mod whisper;

use std::ops::Range;
use std::sync::Arc;

use crate::audio::LogMel;
use crate::text::Token;

pub use settings::{LocateError, Secret, Settings};
pub use whisper::Generation;

/// One place in the model's caches, numbered from 0 to `Model::slots() - 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub usize);

/// The device's side of a transcription. Synchronous; called by one thread alone.
pub trait Model: Send {
    fn slots(&self) -> usize;

    /// Encodes each log-mel into its slot, whose former content is forgotten.
    fn encode(&mut self, windows: &[(Slot, Arc<LogMel>)]) -> Result<(), ModelError>;

    /// Feeds each row's tokens to the decoder and picks the next token of each, in the order given.
    fn step(&mut self, steps: &[Step]) -> Result<Vec<Sample>, ModelError>;

    /// Cross-attention of the alignment heads over `tokens`, teacher-forced from position 0.
    fn align(&mut self, rows: &[(Slot, Vec<Token>)]) -> Result<Vec<Attention>, ModelError>;
}

/// One row of a decoder step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub slot: Slot,
    /// Where `tokens[0]` stands. Whatever the slot's decoder had read from there on is forgotten, so 0 starts afresh.
    pub position: usize,
    pub tokens: Vec<Token>,
    pub constraint: Constraint,
    /// 0: the likeliest token. Above: sampled from the softened distribution.
    pub temperature: f32,
    /// Decides the sampled token together with the position; the same seed gives the same text.
    pub seed: u64,
    pub probe: Option<Probe>,
}

/// Asks for the probability of `token` after `tokens[index]`, before any constraint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    pub index: usize,
    pub token: Token,
}

/// Which tokens may not come next: policy made on the host, applied beside the logits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Constraint {
    /// Never allowed in this request; shared by all of its steps.
    pub suppress: Arc<[Token]>,
    /// Not allowed at this step.
    pub forbid: Vec<Range<Token>>,
    /// Timestamp tokens from here up. If together they are likelier than every text token, one of them must come.
    /// Follows `ApplyTimestampRules`, openai/whisper decoding.py at c0d2f624, lines 497-507.
    pub timestamps_from: Option<Token>,
}

/// What one row of a step gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    pub token: Token,
    /// Log-probability of `token` under the constrained distribution at temperature 1.
    pub logprob: f32,
    /// The answer to `Step::probe`.
    pub probe: Option<f32>,
}

/// Cross-attention weights of one row, averaged over nothing: `[heads, tokens, frames]`, row-major, raw scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    pub heads: usize,
    pub tokens: usize,
    pub frames: usize,
    pub values: Vec<f32>,
}

#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The device has no room; a smaller batch may work.
    #[error("the device is out of memory: {0}")]
    OutOfMemory(String),
    /// The device or the network failed; nothing more can be expected of this process.
    #[error("the device failed: {0}")]
    Device(String),
    /// The engine asked for something impossible: a bug of ours.
    #[error("the model was misused: {0}")]
    Misuse(String),
}

/// What is loaded, for people and for `/gpu-info`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelInfo {
    /// As given on the command line: `demo`, `openai/whisper-tiny`, a folder.
    pub name: String,
    /// The bundled demo model, which understands only its own small vocabulary.
    pub is_demo: bool,
    /// `cpu`, `cuda:0`, `metal`.
    pub device: String,
    /// Where `--device auto` settled for the CPU: why.
    pub device_note: Option<String>,
    /// `f32`, `f16`, `bf16`.
    pub dtype: String,
    pub n_mels: usize,
    pub vocab: usize,
    /// Positions of the decoder: 448.
    pub text_ctx: usize,
    pub multilingual: bool,
    pub parameters: u64,
    pub weight_bytes: u64,
    /// Self- and cross-attention caches of all slots.
    pub kv_bytes: u64,
    pub slots: usize,
}
