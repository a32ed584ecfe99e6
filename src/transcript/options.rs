//! What one request asks for: plain values with the defaults of a request that asks for nothing special.

use std::time::Duration;

use super::{Language, Task};

/// Everything that a caller may choose about the text and its times. How the answer is written is `format`'s.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    pub task: Task,
    /// `None`: detect it.
    pub language: Option<Language>,
    pub detection: Detection,
    pub context: Context,
    pub long_form: LongForm,
    pub search: Search,
    pub fallback: Fallback,
    pub tokens: Tokens,
    pub speech: Speech,
    /// Whether every word gets its own times.
    pub words: bool,
    pub channels: Channels,
}

/// How the language is found where it is not given.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// The languages that it can be; empty: all that the model knows.
    pub among: Vec<Language>,
    /// Windows that are listened to at most; fewer where the first of them are sure.
    pub windows: usize,
    /// From here on a window's detection is sure.
    pub threshold: f32,
    /// Each window may have a language of its own, where its detection is sure of it.
    pub per_window: bool,
}

impl Default for Detection {
    fn default() -> Self {
        Detection { among: Vec::new(), windows: 4, threshold: 0.5, per_window: false }
    }
}

/// What the decoder is told before it hears anything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context {
    /// Text as if it had been said just before the audio; its last 223 tokens count.
    pub prompt: Option<String>,
    /// Text as if the first window began with it; the answer goes on from there.
    pub prefix: Option<String>,
    /// Words to expect in every window.
    pub keywords: Vec<String>,
}

/// How audio of more than one window is decoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LongForm {
    /// Windows cut in silence, each on its own, all at once.
    Independent {
        /// Longest audio of one window; at most 30 s.
        longest: Duration,
    },
    /// The reference's way: each window begins where the last one's text ended.
    Sequential {
        /// The text so far is the next window's prompt.
        condition_on_previous_text: bool,
        /// Text that took a higher temperature is no prompt for what follows.
        prompt_reset_on_temperature: f32,
    },
}

impl Default for LongForm {
    fn default() -> Self {
        LongForm::Independent { longest: Duration::from_secs(30) }
    }
}

/// How the likeliest text is looked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// Beams at temperature 0; 1 is greedy.
    pub beam_size: usize,
    /// Draws above temperature 0, of which the likeliest is taken.
    pub best_of: usize,
    /// Times `beam_size`: how many finished texts a beam search waits for.
    pub patience: f32,
    /// Google's length penalty, 0 to 1; `None`: the mean over the tokens.
    pub length_penalty: Option<f32>,
    /// The same seed gives the same text.
    pub seed: u64,
}

impl Search {
    /// The most beams or draws that can be asked for. Each takes a lane of the device's, and a server may have fewer
    /// (model.lanes).
    pub const WIDEST: usize = 16;
}

impl Default for Search {
    fn default() -> Self {
        Search { beam_size: 1, best_of: 1, patience: 1.0, length_penalty: None, seed: 0 }
    }
}

/// When a window is decoded again, hotter. `None` switches a test off.
#[derive(Clone, Debug, PartialEq)]
pub struct Fallback {
    /// One after the other until a text passes; one value alone is the fixed temperature.
    pub temperatures: Vec<f32>,
    /// Text that zlib packs better than this is a loop.
    pub compression_ratio_threshold: Option<f32>,
    /// Text of a lower mean log-probability is unlikely.
    pub logprob_threshold: Option<f32>,
    /// Above this nobody speaks, where the text is unlikely too.
    pub no_speech_threshold: Option<f32>,
}

impl Default for Fallback {
    fn default() -> Self {
        Fallback {
            temperatures: vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
            compression_ratio_threshold: Some(2.4),
            logprob_threshold: Some(-1.0),
            no_speech_threshold: Some(0.6),
        }
    }
}

/// Which tokens may come.
#[derive(Clone, Debug, PartialEq)]
pub struct Tokens {
    /// Never allowed, beside the special tokens that never are; -1 stands for the model's list of what nobody speaks.
    pub suppress: Vec<i64>,
    /// A text may not begin with a space alone or with its end.
    pub suppress_blank: bool,
    /// The first segment begins no later than this in its window; `None`: as the model has it.
    pub max_initial_timestamp: Option<Duration>,
    pub without_timestamps: bool,
}

impl Default for Tokens {
    fn default() -> Self {
        Tokens {
            suppress: vec![-1],
            suppress_blank: true,
            max_initial_timestamp: None,
            without_timestamps: false,
        }
    }
}

/// Voice activity detection: where somebody speaks. What lies between is not transcribed.
#[derive(Clone, Debug, PartialEq)]
pub struct Speech {
    /// `false`: all of the audio is transcribed.
    pub detect: bool,
    /// From 0 to 1: the higher, the less counts as speech.
    pub threshold: f32,
    /// Shorter sounds are no speech.
    pub shortest: Duration,
    /// Shorter pauses are part of the speech around them.
    pub min_silence: Duration,
    /// Kept before and after each stretch of speech.
    pub padding: Duration,
    /// Noise and tones that stay the same for a second may be speech too.
    pub keep_steady: bool,
}

impl Default for Speech {
    fn default() -> Self {
        Speech {
            detect: true,
            threshold: 0.5,
            shortest: Duration::from_millis(100),
            min_silence: Duration::from_millis(1000),
            padding: Duration::from_millis(400),
            keep_steady: false,
        }
    }
}

/// What becomes of several channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub enum Channels {
    /// Mixed into one.
    #[default]
    Mix,
    /// Each is transcribed as one speaker, and what they say is merged by time.
    Split,
}
