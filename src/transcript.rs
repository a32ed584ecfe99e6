//! What a caller asks for (`Options`) and what it gets (`Transcript`): plain values, no behaviour beyond their own facts.

use std::time::Duration;

/// Whisper's two tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Task {
    /// Text in the language that was spoken.
    #[default]
    Transcribe,
    /// Text in English.
    Translate,
}

impl Task {
    pub fn name(self) -> &'static str {
        match self {
            Task::Transcribe => "transcribe",
            Task::Translate => "translate",
        }
    }
}

/// One of Whisper's languages. Values are made by `text::language` alone, so a `Language` is always one that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Language {
    /// ISO 639-1 where there is one, as in Whisper's own table: `en`, `yue`.
    pub code: &'static str,
    /// Lower-case English name: `english`.
    pub name: &'static str,
}

/// What one request asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    pub task: Task,
    /// `None`: detect it.
    pub language: Option<Language>,
    /// Text given to the decoder as if it had been said just before the audio.
    pub prompt: Option<String>,
    /// 0 is greedy; above 0 the decoder samples.
    pub temperature: f32,
}

/// The text of one upload, with its times and the receipt of how it was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Transcript {
    pub task: Task,
    pub language: Language,
    /// How sure the detection was; `None` where the caller named the language.
    pub language_probability: Option<f32>,
    /// Length of the decoded audio.
    pub duration: Duration,
    pub segments: Vec<Segment>,
    /// Every stretch whose text is withheld or missing, with the reason: nothing disappears silently.
    pub dropped: Vec<Dropped>,
    /// Set where the audio ended early or part of it could not be read.
    pub incomplete: Option<Incomplete>,
    pub receipt: Receipt,
}

impl Transcript {
    /// The whole text, trimmed. Segments carry their own leading space.
    pub fn text(&self) -> String {
        let joined: String = self.segments.iter().map(|segment| segment.text.as_str()).collect();
        joined.trim().to_owned()
    }
}

/// A stretch of speech between two of Whisper's timestamps. Times count from the start of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    pub start: Duration,
    pub end: Duration,
    /// Where the window began from which this was decoded; the timestamps among `tokens` count from there.
    pub window_start: Duration,
    /// As decoded, with its leading space.
    pub text: String,
    pub tokens: Vec<u32>,
    pub temperature: f32,
    pub avg_logprob: f32,
    pub compression_ratio: f32,
    pub no_speech_prob: f32,
}

/// A stretch of audio whose text is not in the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropped {
    pub start: Duration,
    pub end: Duration,
    /// What was withheld; empty where it was never decoded.
    pub text: String,
    pub reason: DropReason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The model says nobody speaks there, and its text is unlikely.
    NoSpeech,
    /// The window held more text than the model can say in one window; what follows is missing.
    TokenLimit,
}

impl DropReason {
    pub fn name(self) -> &'static str {
        match self {
            DropReason::NoSpeech => "no_speech",
            DropReason::TokenLimit => "token_limit",
        }
    }
}

/// The audio could not be read to the end that its container promises.
#[derive(Clone, Debug, PartialEq)]
pub struct Incomplete {
    /// Where reading stopped, or where the unreadable stretch began.
    pub at: Duration,
    /// What the container announced, where it did.
    pub expected: Option<Duration>,
    /// One sentence for the caller.
    pub reason: String,
}

/// How the answer was made and where the time went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Receipt {
    pub model: String,
    pub device: String,
    pub dtype: String,
    pub timing: Timing,
    pub windows: usize,
    /// The largest batch that any window of this request was part of.
    pub batch_size_seen: usize,
    /// Windows decoded again at a higher temperature.
    pub fallbacks: usize,
}

/// Wall time per stage, summed over the windows of the request (so stages can add up to more than `total`).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timing {
    pub decode: Duration,
    pub vad: Duration,
    pub mel: Duration,
    pub queue: Duration,
    pub encode: Duration,
    pub generate: Duration,
    pub align: Duration,
    pub total: Duration,
}
