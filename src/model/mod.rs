//! What the engine may ask of a network, as plain data: no tensor, no device type, nothing to import from candle.
//!
//! A model owns a fixed number of slots and lanes. A slot holds one window's encoding (cross-attention keys and values), a
//! lane what the decoder has read so far (self-attention keys and values).

mod absent;
#[cfg(any(feature = "faults", debug_assertions))]
pub mod faults;
pub mod files;
pub mod header;
pub mod hub;
pub mod kernels;
pub mod random;
mod settings;
pub mod source;
pub mod whisper;

use std::ops::Range;
use std::sync::Arc;

use crate::audio::LogMel;
use crate::text::Token;

pub use absent::Absent;
pub use settings::{LocateError, Secret, Settings};
pub use whisper::Generation;

/// One place in the model's caches, numbered from 0 to `Model::slots() - 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub usize);

/// One memory of tokens read so far, numbered from 0 to `Capacity::lanes - 1`. A window that is searched with several
/// beams reads in several lanes over one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane(pub usize);

/// How much a model can hold at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Windows.
    pub slots: usize,
    /// Rows of one step, at least `slots`.
    pub lanes: usize,
}

/// The device's side of a transcription. Synchronous; called by one thread alone.
pub trait Model: Send {
    fn capacity(&self) -> Capacity;

    /// The warm-up is over: what follows is for callers.
    fn warmed(&mut self) {}

    /// Encodes each log-mel into its slot, whose former content is forgotten.
    fn encode(&mut self, windows: &[(Slot, Arc<LogMel>)]) -> Result<(), ModelError>;

    /// Copies memories as `forks` says, all at once; then feeds each row's tokens to the decoder and picks the next token
    /// of each, in the order given.
    fn step(&mut self, forks: &[Fork], steps: &[Step]) -> Result<Vec<Sample>, ModelError>;

    /// Cross-attention of the alignment heads over each row's tokens, teacher-forced from position 0.
    fn align(&mut self, rows: &[AlignRow]) -> Result<Vec<Alignment>, ModelError>;
}

/// `to` remembers from now on what `from` remembered of its first `positions` tokens before the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fork {
    pub from: Lane,
    pub to: Lane,
    pub positions: usize,
}

/// One row of a decoder step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Whose audio it hears.
    pub slot: Slot,
    /// Where it remembers what it has read.
    pub lane: Lane,
    /// Where `tokens[0]` stands. Whatever the lane had read from there on is forgotten, so 0 starts afresh.
    pub position: usize,
    pub tokens: Vec<Token>,
    pub constraint: Constraint,
    pub pick: Pick,
    pub probe: Option<Probe>,
}

/// How the next token is chosen from the constrained distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pick {
    /// The likeliest so many, the best first.
    Likeliest(usize),
    /// One, drawn from the distribution softened by `temperature`; the seed and the position decide it.
    Drawn { temperature: f32, seed: u64 },
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
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// As `Step::pick` asked: never empty, the best first, none of them ruled out.
    pub choices: Vec<Choice>,
    /// The answer to `Step::probe`.
    pub probe: Option<f32>,
}

/// A token that may come next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    pub token: Token,
    /// Log-probability under the constrained distribution at temperature 1.
    pub logprob: f32,
}

/// A text to be held against the audio of a slot. Its lane's memory is lost.
#[derive(Clone, Debug, PartialEq)]
pub struct AlignRow {
    pub slot: Slot,
    pub lane: Lane,
    /// The prompt, the text, and the end of text.
    pub tokens: Vec<Token>,
    /// Encoder frames (0.02 s) that hold audio: what is heard beyond is padding and left out.
    pub frames: usize,
    /// Probabilities are among the tokens below this one.
    pub text_below: Token,
}

/// How a text lies over the audio.
#[derive(Clone, Debug, PartialEq)]
pub struct Alignment {
    pub heads: usize,
    pub tokens: usize,
    pub frames: usize,
    /// `[heads, tokens, frames]`, row-major: scaled products of queries and keys before the softmax.
    pub scores: Vec<f32>,
    /// Of each token but the first: how probable it was among the text tokens, given those before it. `[tokens - 1]`.
    pub probabilities: Vec<f32>,
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
    /// As given on the command line: `demo`, `openai/whisper-tiny`, a folder, `random:tiny`.
    pub name: String,
    /// The bundled demo model, which understands only its own small vocabulary.
    pub is_demo: bool,
    /// `cpu`, `cuda:0`, `metal`.
    pub device: String,
    /// Where `--device auto` settled for the CPU: why.
    pub device_note: Option<String>,
    /// `f32`, `f16`, `bf16`, `q8_0`.
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
    /// What encoder passes, steps and alignments are thought to take beside.
    pub workspace_bytes: u64,
    pub slots: usize,
    /// Windows of one encoder pass at most, as set or as chosen for the device.
    pub encode_batch: usize,
    /// Rows of one decoder step: every beam and every draw takes one.
    pub lanes: usize,
}
