//! A `Transcript` in, OpenAI's `json` or `verbose_json` out, the latter with Verbatim's receipt.
//!
//! Shapes follow `CreateTranscriptionResponseJson` and `..VerboseJson` of openai/openai-openapi at f85dbe2.

use std::time::Duration;

use serde::Serialize;

use super::{millis, seconds};
use crate::transcript::{Dropped, Incomplete, Segment, Timing, Transcript};

pub(super) fn short(transcript: &Transcript) -> String {
    #[derive(Serialize)]
    struct Short<'a> {
        text: String,
        usage: Usage,
        /// Not OpenAI's: present only where the audio could not be read to its end.
        #[serde(skip_serializing_if = "Option::is_none")]
        incomplete: Option<IncompleteJson<'a>>,
    }
    to_json(&Short {
        text: transcript.text(),
        usage: Usage::of(transcript),
        incomplete: transcript.incomplete.as_ref().map(IncompleteJson::of),
    })
}

pub(super) fn verbose(transcript: &Transcript) -> String {
    let receipt = &transcript.receipt;
    to_json(&Verbose {
        task: transcript.task.name(),
        language: transcript.language.name,
        duration: seconds(transcript.duration),
        text: transcript.text(),
        segments: transcript.segments.iter().enumerate().map(SegmentJson::of).collect(),
        usage: Usage::of(transcript),
        language_code: transcript.language.code,
        language_probability: transcript.language_probability,
        model: &receipt.model,
        device: &receipt.device,
        dtype: &receipt.dtype,
        timing: TimingJson::of(&receipt.timing),
        rtf: real_time_factor(receipt.timing.total, transcript.duration),
        windows: transcript.windows.len(),
        batch_size_seen: receipt.batch_size_seen,
        fallbacks: transcript.fallbacks.len(),
        dropped: transcript.dropped.iter().map(DroppedJson::of).collect(),
        incomplete: transcript.incomplete.as_ref().map(IncompleteJson::of),
    })
}

#[derive(Serialize)]
struct Verbose<'a> {
    task: &'static str,
    language: &'static str,
    duration: f64,
    text: String,
    segments: Vec<SegmentJson<'a>>,
    usage: Usage,
    // From here on ours: typed OpenAI clients pass over what they do not know.
    language_code: &'static str,
    language_probability: Option<f32>,
    model: &'a str,
    device: &'a str,
    dtype: &'a str,
    timing: TimingJson,
    rtf: Option<f64>,
    windows: usize,
    batch_size_seen: usize,
    fallbacks: usize,
    dropped: Vec<DroppedJson<'a>>,
    incomplete: Option<IncompleteJson<'a>>,
}

/// The schema requires all ten fields, and strict clients refuse an answer that lacks one.
#[derive(Serialize)]
struct SegmentJson<'a> {
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
}

impl<'a> SegmentJson<'a> {
    fn of((id, segment): (usize, &'a Segment)) -> Self {
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
        }
    }
}

#[derive(Serialize)]
struct Usage {
    r#type: &'static str,
    seconds: u64,
}

impl Usage {
    /// OpenAI bills whole seconds, rounded up.
    fn of(transcript: &Transcript) -> Self {
        Usage { r#type: "duration", seconds: millis(transcript.duration).div_ceil(1000) }
    }
}

#[derive(Serialize)]
struct TimingJson {
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
    fn of(timing: &Timing) -> Self {
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

#[derive(Serialize)]
struct DroppedJson<'a> {
    start: f64,
    end: f64,
    text: &'a str,
    reason: &'static str,
}

impl<'a> DroppedJson<'a> {
    fn of(dropped: &'a Dropped) -> Self {
        DroppedJson {
            start: seconds(dropped.start),
            end: seconds(dropped.end),
            text: &dropped.text,
            reason: dropped.reason.name(),
        }
    }
}

#[derive(Serialize)]
struct IncompleteJson<'a> {
    at: f64,
    expected: Option<f64>,
    reason: &'a str,
}

impl<'a> IncompleteJson<'a> {
    fn of(incomplete: &'a Incomplete) -> Self {
        IncompleteJson {
            at: seconds(incomplete.at),
            expected: incomplete.expected.map(seconds),
            reason: &incomplete.reason,
        }
    }
}

/// Stages can be far below a millisecond, so these keep three decimals.
fn milliseconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

/// Seconds of work for a second of audio: below 1 is faster than real time. `None` where there was no audio.
fn real_time_factor(work: Duration, audio: Duration) -> Option<f64> {
    (!audio.is_zero()).then(|| {
        let exact = work.as_secs_f64() / audio.as_secs_f64();
        (exact * 1e6).round() / 1e6
    })
}

fn to_json(value: &impl Serialize) -> String {
    // Only maps with odd keys or a failing `Serialize` can fail, and these structs have neither.
    let mut body = serde_json::to_string(value).expect("plain structs serialise");
    body.push('\n');
    body
}
