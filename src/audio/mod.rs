//! Bytes of any supported container in, `Pcm`, `Window`s and `LogMel`s out; nothing here knows requests or models.
//!
//! ```text
//! bytes --decode--> Decoded { Pcm*, .. } --speech--> Timeline --windows--> Window* --log_mel--> LogMel
//! ```
//!
//! `decode` holds the story of one upload and `decode/` its parts: `source` and `mend` (bytes as the demuxers should see
//! them), `track` (which track, which decoder, guarded), `boxes`, `entry` and `edits` (what symphonia passes over in an MP4),
//! `opus` and `aac` (what it lacks), `ahead` (too long for any limit?), `foreign` (the names of what is not read), `mix` and `heard` (one
//! channel, 16 kHz, counted), `clock` (the time it may take), `promise` (the length that the container announced). `isolation` says where that happens.
//! What comes live has no container and no end: `feed` makes samples of it, `live_speech` tells where somebody speaks.

mod decode;
mod feed;
mod isolation;
mod kind;
mod live_speech;
mod mel;
mod raw;
mod resample;
mod settings;
mod speech;
mod steady;
mod timeline;
mod window;

use std::time::Duration;

pub use decode::{Apart, Decoded, Limits, Taker, decode, decode_channels, decode_in_parts};
pub use feed::{Encoding, Feed};
pub use isolation::{DecodeError, Decoder, Isolation, Part, Parts, Pending, Room, decode_worker};
pub use kind::kind;
pub use live_speech::LiveSpeech;
pub use mel::MelFilters;
pub use raw::{decode_raw, is_file};
pub use settings::Settings;
pub use speech::{FRAME, HYSTERESIS, LATENCY, WITHIN, speech};
pub use timeline::{Timeline, Window};
pub use window::quietest;

/// Whisper's sampling rate.
pub const SAMPLE_RATE: usize = 16_000;
/// Seconds of one window.
pub const WINDOW_SECONDS: usize = 30;
/// Samples of one window: 30 s x 16 kHz.
pub const WINDOW_SAMPLES: usize = WINDOW_SECONDS * SAMPLE_RATE;
/// Samples between two log-mel frames: 10 ms.
pub const HOP: usize = 160;
/// Frames of one window: 480,000 / 160.
pub const WINDOW_FRAMES: usize = WINDOW_SAMPLES / HOP;

/// Positions that the encoder makes of a window's frames, two of each.
pub const CONTEXT: usize = WINDOW_FRAMES / 2;
/// The least context that is short: 10 s.
const LEAST_CONTEXT: usize = 500;
/// Positions of silence after the sound: 2.56 s.
const AFTER: usize = 128;

/// What a client is told that it may send.
const FORMATS: &str = "wav, aiff, caf, flac, mp3, mp2, aac, ogg, opus, m4a/mp4/mov, webm/mkv";

/// Mono samples at 16 kHz, nominally in -1..=1. The type is the proof: only `decode` and tests make one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pcm {
    samples: Vec<f32>,
}

impl Pcm {
    /// The caller vouches that these are mono samples at 16 kHz.
    pub fn from_16k_mono(samples: Vec<f32>) -> Self {
        Pcm { samples }
    }

    pub fn samples(&self) -> &[f32] {
        &self.samples
    }

    pub fn into_samples(self) -> Vec<f32> {
        self.samples
    }

    pub fn duration(&self) -> Duration {
        duration_of(self.samples.len())
    }
}

/// Log-mel spectrogram of one window, padded to 30 s: `[n_mels, 3000]`, row-major, Whisper's normalisation.
#[derive(Clone, Debug, PartialEq)]
pub struct LogMel {
    pub n_mels: usize,
    pub values: Vec<f32>,
    /// Of the encoder's 1,500 positions those that are computed, the first so many: fewer where the rest is known to be silence.
    pub context: usize,
}

impl LogMel {
    /// All of which is heard.
    pub fn new(n_mels: usize, values: Vec<f32>) -> Self {
        LogMel { n_mels, values, context: CONTEXT }
    }

    /// With no more context than sound of so long a time needs: its own, what a model trained on whole windows wants of the silence
    /// after it, and never less than 10 s. Of less, checkpoints repeat themselves or stop early (whisper.cpp's and others' reports).
    pub fn short(self, time: Duration) -> Self {
        let needed = samples_in(time).div_ceil(2 * HOP) + AFTER;
        LogMel { context: needed.clamp(LEAST_CONTEXT, CONTEXT), ..self }
    }
}

/// The samples that begin within `time`.
pub fn samples_in(time: Duration) -> usize {
    (time.as_nanos() * SAMPLE_RATE as u128 / 1_000_000_000) as usize
}

/// Exact time of a number of samples: 16 kHz divides a second into 62.5 us, so nanoseconds hold it without rounding.
pub fn duration_of(samples: usize) -> Duration {
    Duration::from_nanos(samples as u64 * (1_000_000_000 / SAMPLE_RATE as u64))
}

/// Why an upload gives no audio. Every variant is the client's to mend; `Display` is the sentence it gets.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum AudioError {
    #[error("the upload is empty")]
    Empty,
    /// No container of ours was recognised in the bytes.
    #[error("the upload is not audio in a supported format ({FORMATS})")]
    UnknownFormat,
    /// The container was recognised, but there is no audio track that can be decoded.
    #[error("{0}")]
    Unsupported(String),
    /// The container or its audio is damaged before a single sample could be read.
    #[error("the audio is damaged and nothing of it could be decoded: {0}")]
    Damaged(String),
    /// The process that decoded it ended without an answer.
    #[error("the decoder gave up on the audio: {0}")]
    GaveUp(String),
    /// A limit was passed while decoding. `setting` is the key that changes it.
    #[error("{what} (limit set by {setting})")]
    TooLarge { what: String, setting: &'static str },
}

impl AudioError {
    /// What the metrics call it.
    fn reason(&self) -> &'static str {
        match self {
            AudioError::Empty => "empty",
            AudioError::UnknownFormat => "unknown_format",
            AudioError::Unsupported(_) => "unsupported",
            AudioError::Damaged(_) => "damaged",
            AudioError::GaveUp(_) => "gave_up",
            AudioError::TooLarge { .. } => "too_large",
        }
    }
}
