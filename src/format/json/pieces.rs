//! The parts of a `Transcript` in, the objects that stand for them in `verbose_json` out.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::format::{millis, seconds, speaker};
use crate::transcript::{
    Dropped, Incomplete, Language, Retried, Risk, Segment, Timing, Transcript, Uttered, Word,
};

/// The schema requires the first ten fields, and strict clients refuse an answer that lacks one.
#[derive(Serialize, ToSchema)]
#[schema(as = Segment)]
pub struct SegmentJson<'a> {
    id: usize,
    /// The log-mel frame (10 ms) of the file at which the segment's window begins.
    seek: u128,
    start: f64,
    end: f64,
    text: &'a str,
    tokens: &'a [u32],
    temperature: f32,
    avg_logprob: f32,
    compression_ratio: f32,
    no_speech_prob: f32,
    risk: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    speaker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<Vec<WordJson<'a>>>,
}

impl<'a> SegmentJson<'a> {
    pub fn of(id: usize, segment: &'a Segment, words: bool) -> Self {
        SegmentJson {
            id,
            seek: segment.window_start.as_millis() / 10,
            start: seconds(segment.start),
            end: seconds(segment.end),
            text: &segment.text,
            tokens: &segment.tokens,
            temperature: segment.temperature,
            avg_logprob: segment.avg_logprob,
            compression_ratio: segment.compression_ratio,
            no_speech_prob: segment.no_speech_prob,
            risk: names(&segment.risk),
            language: segment.language.map(|language| language.code),
            channel: segment.channel,
            speaker: segment.channel.map(speaker),
            words: words.then(|| segment.words.iter().map(WordJson::of).collect()),
        }
    }
}

/// OpenAI's segment of a diarised transcript: an object of its own, also as an event of a stream.
#[derive(Serialize, ToSchema)]
#[schema(as = DiarizedSegment)]
pub struct SaidJson<'a> {
    r#type: &'static str,
    id: String,
    start: f64,
    end: f64,
    text: &'a str,
    /// Empty where channels were not told apart.
    speaker: String,
}

impl<'a> SaidJson<'a> {
    pub fn of(id: usize, segment: &'a Segment) -> Self {
        SaidJson {
            r#type: "transcript.text.segment",
            id: format!("seg_{:03}", id + 1),
            start: seconds(segment.start),
            end: seconds(segment.end),
            text: segment.text.trim(),
            speaker: segment.channel.map(speaker).unwrap_or_default(),
        }
    }
}

/// A token of the text and how likely it was.
#[derive(Debug, Serialize, ToSchema)]
pub struct Logprob {
    /// Where a character is spread over several tokens, its parts cannot be shown here; `bytes` has them.
    token: String,
    logprob: f32,
    bytes: Vec<u8>,
}

impl Logprob {
    pub fn of(segments: &[Segment]) -> Vec<Self> {
        let tokens = segments.iter().flat_map(|segment| &segment.uttered);
        tokens
            .map(|Uttered { bytes, logprob }| Logprob {
                token: String::from_utf8_lossy(bytes).into_owned(),
                logprob: *logprob,
                bytes: bytes.clone(),
            })
            .collect()
    }
}

/// OpenAI's word, without the space before it and with the punctuation that is attached to it in the text.
#[derive(Serialize, ToSchema)]
#[schema(as = Word)]
pub struct WordJson<'a> {
    word: &'a str,
    start: f64,
    end: f64,
    probability: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    speaker: Option<String>,
}

impl<'a> WordJson<'a> {
    fn of(word: &'a Word) -> Self {
        WordJson {
            word: word.text.trim(),
            start: seconds(word.start),
            end: seconds(word.end),
            probability: word.probability,
            speaker: None,
        }
    }

    /// Outside of its segment a word says itself whose it is.
    pub fn flat(word: &'a Word, segment: &Segment) -> Self {
        WordJson { speaker: segment.channel.map(speaker), ..WordJson::of(word) }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = Language)]
pub struct LanguageJson {
    code: &'static str,
    name: &'static str,
    probability: f32,
}

impl LanguageJson {
    pub fn of((language, probability): &(Language, f32)) -> Self {
        LanguageJson { code: language.code, name: language.name, probability: *probability }
    }
}

#[derive(Serialize, ToSchema)]
pub struct Usage {
    r#type: &'static str,
    seconds: u64,
}

impl Usage {
    /// OpenAI bills whole seconds, rounded up.
    pub fn of(transcript: &Transcript) -> Self {
        Usage { r#type: "duration", seconds: millis(transcript.duration).div_ceil(1000) }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = Timing)]
pub struct TimingJson {
    decode_ms: f64,
    vad_ms: f64,
    mel_ms: f64,
    queue_ms: f64,
    encode_ms: f64,
    generate_ms: f64,
    align_ms: f64,
    total_ms: f64,
}

impl TimingJson {
    pub fn of(timing: &Timing) -> Self {
        TimingJson {
            decode_ms: milliseconds(timing.decode),
            vad_ms: milliseconds(timing.vad),
            mel_ms: milliseconds(timing.mel),
            queue_ms: milliseconds(timing.queue),
            encode_ms: milliseconds(timing.encode),
            generate_ms: milliseconds(timing.generate),
            align_ms: milliseconds(timing.align),
            total_ms: milliseconds(timing.total),
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = Span)]
pub struct SpanJson {
    start: f64,
    end: f64,
}

impl SpanJson {
    pub fn of(start: Duration, end: Duration) -> Self {
        SpanJson { start: seconds(start), end: seconds(end) }
    }
}

/// A window that was decoded again.
#[derive(Serialize, ToSchema)]
#[schema(as = Fallback)]
pub struct RetriedJson {
    #[serde(flatten)]
    span: SpanJson,
    temperature: f32,
    reasons: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<usize>,
}

impl RetriedJson {
    pub fn of(retried: &Retried) -> Self {
        RetriedJson {
            span: SpanJson::of(retried.span.start, retried.span.end),
            temperature: retried.temperature,
            reasons: names(&retried.reasons),
            channel: retried.channel,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = Dropped)]
pub struct DroppedJson<'a> {
    #[serde(flatten)]
    span: SpanJson,
    text: &'a str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<usize>,
}

impl<'a> DroppedJson<'a> {
    pub fn of(dropped: &'a Dropped) -> Self {
        DroppedJson {
            span: SpanJson::of(dropped.start, dropped.end),
            text: &dropped.text,
            reason: dropped.reason.name(),
            channel: dropped.channel,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = Incomplete)]
pub struct IncompleteJson<'a> {
    at: f64,
    expected: Option<f64>,
    reason: &'a str,
}

impl<'a> IncompleteJson<'a> {
    pub fn of(incomplete: &'a Incomplete) -> Self {
        IncompleteJson {
            at: seconds(incomplete.at),
            expected: incomplete.expected.map(seconds),
            reason: &incomplete.reason,
        }
    }
}

fn names(risks: &[Risk]) -> Vec<&'static str> {
    risks.iter().map(|risk| risk.name()).collect()
}

/// Stages can be far below a millisecond, so these keep three decimals.
fn milliseconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}
