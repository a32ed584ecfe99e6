//! What a caller asks for (`Options`) and what it gets (`Transcript`): plain values, no behaviour beyond their own facts.

mod options;

use std::time::Duration;

pub use options::{Channels, Context, Detection, Fallback, LongForm, Options, Search, Speech, Tokens};

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

/// The text of one upload, with its times and the receipt of how it was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Transcript {
    pub task: Task,
    pub language: Language,
    /// How sure the detection was; `None` where the caller named the language.
    pub language_probability: Option<f32>,
    /// What detection found, the likeliest first; empty where the caller named the language.
    pub languages: Vec<(Language, f32)>,
    /// Length of the decoded audio.
    pub duration: Duration,
    pub segments: Vec<Segment>,
    /// Every stretch whose text is withheld or missing, with the reason: nothing disappears silently.
    pub dropped: Vec<Dropped>,
    /// Windows that were decoded again, and what became of them.
    pub fallbacks: Vec<Retried>,
    /// The stretch of the file that each window covers, in the order of the file.
    pub windows: Vec<Span>,
    /// Sentences for the caller about what was asked for and could not be done as asked.
    pub warnings: Vec<String>,
    /// Whether words were asked for, so that none found is an empty list.
    pub words: bool,
    /// Set where the audio ended early or part of it could not be read.
    pub incomplete: Option<Incomplete>,
    pub receipt: Receipt,
}

impl Transcript {
    /// Whether nobody was found to speak.
    pub fn no_speech(&self) -> bool {
        self.text().is_empty()
    }

    /// The whole text, trimmed. Segments carry their own leading space.
    pub fn text(&self) -> String {
        let joined: String = self.segments.iter().map(|segment| segment.text.as_str()).collect();
        joined.trim().to_owned()
    }
}

/// A stretch of speech between two of Whisper's timestamps. Times count from the start of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segment {
    pub start: Duration,
    pub end: Duration,
    /// Where the window began from which this was decoded; the timestamps among `tokens` count from there.
    pub window_start: Duration,
    /// As decoded, with its leading space.
    pub text: String,
    pub tokens: Vec<u32>,
    /// The text token by token, as far as it was sampled here.
    pub uttered: Vec<Uttered>,
    pub temperature: f32,
    pub avg_logprob: f32,
    pub compression_ratio: f32,
    pub no_speech_prob: f32,
    /// What was spoken here; `None` for English-only models.
    pub language: Option<Language>,
    /// Counted from 0, where channels were transcribed apart.
    pub channel: Option<usize>,
    /// Why a reader should listen again; empty where nothing speaks against the text.
    pub risk: Vec<Risk>,
    /// Empty where they were not asked for.
    pub words: Vec<Word>,
}

/// A token of the text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Uttered {
    /// A character may be spread over several tokens.
    pub bytes: Vec<u8>,
    pub logprob: f32,
}

/// One word as it stands in the text, its leading space and punctuation included.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    pub start: Duration,
    pub end: Duration,
    pub text: String,
    /// Mean of its tokens' probabilities.
    pub probability: f32,
}

/// What speaks against a segment's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Risk {
    /// The model doubts that anybody speaks, or the detector of speech heard nobody.
    Silence,
    /// The text repeats itself.
    Loop,
    /// The text is unlikely.
    LowLogprob,
    /// The text stands in the prompt.
    PromptEcho,
    /// Another language than the file's.
    LanguageSwitch,
    /// Far fewer words than are spoken in that time.
    Omission,
}

impl Risk {
    pub const ALL: [Risk; 6] =
        [Risk::Silence, Risk::Loop, Risk::LowLogprob, Risk::PromptEcho, Risk::LanguageSwitch, Risk::Omission];

    pub fn name(self) -> &'static str {
        match self {
            Risk::Silence => "silence",
            Risk::Loop => "loop",
            Risk::LowLogprob => "low_logprob",
            Risk::PromptEcho => "prompt_echo",
            Risk::LanguageSwitch => "language_switch",
            Risk::Omission => "omission",
        }
    }
}

/// A stretch of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub start: Duration,
    pub end: Duration,
}

/// A window that was decoded more than once.
#[derive(Clone, Debug, PartialEq)]
pub struct Retried {
    pub span: Span,
    pub channel: Option<usize>,
    /// The temperature of the text that was taken.
    pub temperature: f32,
    /// Why each attempt that was not taken was given up, in order.
    pub reasons: Vec<Risk>,
}

/// A stretch of audio whose text is not in the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropped {
    pub start: Duration,
    pub end: Duration,
    pub channel: Option<usize>,
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
    /// The decoder said the same again and again; what it repeated is left out.
    Loop,
    /// The decoder said its prompt, and did not say it again without the prompt.
    PromptEcho,
}

impl DropReason {
    pub const ALL: [DropReason; 4] =
        [DropReason::NoSpeech, DropReason::TokenLimit, DropReason::Loop, DropReason::PromptEcho];

    pub fn name(self) -> &'static str {
        match self {
            DropReason::NoSpeech => "no_speech",
            DropReason::TokenLimit => "token_limit",
            DropReason::Loop => "loop",
            DropReason::PromptEcho => "prompt_echo",
        }
    }
}

/// The audio could not be read to the end that its container promises.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
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
    /// The largest batch that any window of this request was part of.
    pub batch_size_seen: usize,
    /// Tokens of prompt and keywords that each window read before its audio.
    pub prompt_tokens: usize,
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
