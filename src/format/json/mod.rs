//! A `Transcript` in, OpenAI's `json` or `verbose_json` out, the latter with Verbatim's receipt.
//!
//! Shapes follow `CreateTranscriptionResponseJson` and `..VerboseJson` of openai/openai-openapi at f85dbe2.

mod pieces;
pub mod stream;

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use self::pieces::{
    DroppedJson, IncompleteJson, LanguageJson, RetriedJson, SegmentJson, SpanJson, Usage, WordJson,
};
pub use self::pieces::{Logprob, SaidJson, TimingJson};
use super::{Layout, NamedBy, millis, seconds};
use crate::transcript::{Span, Task, Transcript};

/// Languages less likely than this are noise to a reader, and so are those beyond the tenth.
const LEAST_LIKELY: f32 = 0.01;
const MOST_LANGUAGES: usize = 10;

/// `response_format=json`.
#[derive(Serialize, ToSchema)]
#[schema(as = Transcription)]
pub struct Short<'a> {
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<Vec<Logprob>>,
    usage: Usage,
    // From here on ours, and only where there is something to say.
    /// Nobody speaks.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    no_speech: bool,
    /// The audio ends before its file says that it should.
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete: Option<IncompleteJson<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    #[schema(required = false)]
    warnings: &'a [String],
}

/// `response_format=diarized_json`.
#[derive(Serialize, ToSchema)]
#[schema(as = TranscriptionDiarized)]
pub struct Diarized<'a> {
    task: &'static str,
    duration: f64,
    text: String,
    segments: Vec<SaidJson<'a>>,
    usage: Usage,
}

pub(super) fn short(transcript: &Transcript, layout: &Layout) -> String {
    to_json(&Short {
        text: transcript.text(),
        logprobs: layout.logprobs.then(|| Logprob::of(&transcript.segments)),
        usage: Usage::of(transcript),
        no_speech: transcript.no_speech(),
        incomplete: transcript.incomplete.as_ref().map(IncompleteJson::of),
        warnings: &transcript.warnings,
    })
}

pub(super) fn diarized(transcript: &Transcript) -> String {
    to_json(&Diarized {
        task: transcript.task.name(),
        duration: seconds(transcript.duration),
        text: transcript.text(),
        segments: transcript.segments.iter().enumerate().map(|(id, it)| SaidJson::of(id, it)).collect(),
        usage: Usage::of(transcript),
    })
}

pub(super) fn verbose(transcript: &Transcript, layout: &Layout) -> String {
    to_json(&Verbose::of(transcript, layout))
}

/// `response_format=verbose_json`: OpenAI's fields first, then our receipt.
#[derive(Serialize, ToSchema)]
#[schema(as = TranscriptionVerbose)]
pub struct Verbose<'a> {
    task: &'static str,
    language: &'static str,
    duration: f64,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    segments: Option<Vec<SegmentJson<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<Vec<WordJson<'a>>>,
    usage: Usage,
    // From here on ours: typed OpenAI clients pass over what they do not know.
    language_code: &'static str,
    language_probability: Option<f32>,
    languages: Vec<LanguageJson>,
    no_speech: bool,
    model: &'a str,
    device: &'a str,
    dtype: &'a str,
    timing: TimingJson,
    rtf: Option<f64>,
    windows: usize,
    windows_at: Vec<SpanJson>,
    batch_size_seen: usize,
    fallbacks: Vec<RetriedJson>,
    dropped: Vec<DroppedJson<'a>>,
    incomplete: Option<IncompleteJson<'a>>,
    warnings: &'a [String],
}

impl<'a> Verbose<'a> {
    fn of(transcript: &'a Transcript, layout: &Layout) -> Self {
        let receipt = &transcript.receipt;
        let words = layout.words() && transcript.words;
        let segments = transcript.segments.iter().enumerate();
        let spoken = transcript.segments.iter();
        let likely = transcript.languages.iter().filter(|(_, probability)| *probability >= LEAST_LIKELY);
        Verbose {
            task: transcript.task.name(),
            language: match (layout.language, transcript.task) {
                (NamedBy::Code, _) => transcript.language.code,
                (NamedBy::Written, Task::Translate) => "english",
                (NamedBy::Name | NamedBy::Written, _) => transcript.language.name,
            },
            duration: seconds(transcript.duration),
            text: transcript.text(),
            segments: layout
                .segments()
                .then(|| segments.map(|(id, it)| SegmentJson::of(id, it, words)).collect()),
            words: words.then(|| {
                spoken.flat_map(|it| it.words.iter().map(|word| WordJson::flat(word, it))).collect()
            }),
            usage: Usage::of(transcript),
            language_code: transcript.language.code,
            language_probability: transcript.language_probability,
            languages: likely.take(MOST_LANGUAGES).map(LanguageJson::of).collect(),
            no_speech: transcript.no_speech(),
            model: &receipt.model,
            device: &receipt.device,
            dtype: &receipt.dtype,
            timing: TimingJson::of(&receipt.timing),
            rtf: real_time_factor(receipt.timing.total, transcript.duration),
            windows: transcript.windows.len(),
            windows_at: transcript
                .windows
                .iter()
                .map(|Span { start, end }| SpanJson::of(*start, *end))
                .collect(),
            batch_size_seen: receipt.batch_size_seen,
            fallbacks: transcript.fallbacks.iter().map(RetriedJson::of).collect(),
            dropped: transcript.dropped.iter().map(DroppedJson::of).collect(),
            incomplete: transcript.incomplete.as_ref().map(IncompleteJson::of),
            warnings: &transcript.warnings,
        }
    }
}

/// Seconds of work for a second of audio: below 1 is faster than real time. `None` where there was no audio. From the
/// figures as they are printed, so that a stored answer gives the same.
fn real_time_factor(work: Duration, audio: Duration) -> Option<f64> {
    let audio = millis(audio) as f64 / 1e3;
    (audio > 0.0).then(|| (work.as_micros() as f64 / audio).round() / 1e6)
}

fn to_json(value: &impl Serialize) -> String {
    // Only maps with odd keys or a failing `Serialize` can fail, and these structs have neither.
    let mut body = serde_json::to_string(value).expect("plain structs serialise");
    body.push('\n');
    body
}
