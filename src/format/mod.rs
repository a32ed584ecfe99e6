//! A `Transcript` in, the bytes of one response format out: pure.

mod align;
mod json;
mod layout;
pub mod stored;
mod subtitles;

use std::str::FromStr;
use std::time::Duration;

pub use self::json::stream::{self, ReadAlong};
pub use self::json::{Diarized, Logprob, SaidJson, Short, TimingJson, Verbose};
pub use self::layout::{Granularities, Layout, LayoutError, NamedBy, quoted};
pub use self::subtitles::SubtitleRules;
use crate::transcript::{Language, Transcript};

/// The forms in which a transcript can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenAI's short form: the text and what was used.
    Json,
    /// OpenAI's long form: segments with their figures, and our receipt.
    VerboseJson,
    /// OpenAI's form for who said what; speakers are told apart by their channels.
    DiarizedJson,
    /// The text alone.
    Text,
    /// SubRip subtitles.
    Srt,
    /// WebVTT subtitles.
    Vtt,
    /// openai/whisper's table: start and end in milliseconds, text.
    Tsv,
}

/// A transcript, ready to be sent or written to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    pub content_type: &'static str,
    pub body: String,
}

pub fn render(transcript: &Transcript, layout: &Layout) -> Rendered {
    let body = match layout.format {
        Format::Json => json::short(transcript, layout),
        Format::VerboseJson => json::verbose(transcript, layout),
        Format::DiarizedJson => json::diarized(transcript),
        Format::Text => format!("{}\n", transcript.text()),
        Format::Srt => subtitles::srt(transcript, layout),
        Format::Vtt => subtitles::vtt(transcript, layout),
        Format::Tsv => subtitles::tsv(transcript, layout),
    };
    Rendered { content_type: layout.format.content_type(), body }
}

impl Format {
    pub const ALL: [Format; 7] = [
        Format::Json,
        Format::VerboseJson,
        Format::DiarizedJson,
        Format::Text,
        Format::Srt,
        Format::Vtt,
        Format::Tsv,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::VerboseJson => "verbose_json",
            Format::DiarizedJson => "diarized_json",
            Format::Text => "text",
            Format::Srt => "srt",
            Format::Vtt => "vtt",
            Format::Tsv => "tsv",
        }
    }

    /// What a file of this format is called after the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Json | Format::VerboseJson | Format::DiarizedJson => "json",
            Format::Text => "txt",
            Format::Srt => "srt",
            Format::Vtt => "vtt",
            Format::Tsv => "tsv",
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Format::Json | Format::VerboseJson | Format::DiarizedJson => "application/json",
            Format::Text => "text/plain; charset=utf-8",
            Format::Srt => "application/x-subrip; charset=utf-8",
            Format::Vtt => "text/vtt; charset=utf-8",
            Format::Tsv => "text/tab-separated-values; charset=utf-8",
        }
    }
}

/// The text names no format; `Display` says which there are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a format: choose {known}", known = UnknownFormat::KNOWN)]
pub struct UnknownFormat(String);

impl UnknownFormat {
    /// What could have been meant.
    pub const KNOWN: &'static str = "json, verbose_json, diarized_json, text, srt, vtt or tsv";
}

impl FromStr for Format {
    type Err = UnknownFormat;

    /// Names in any case; `txt` is what whisper-asr-webservice calls `text`.
    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        let wanted = text.trim();
        if wanted.eq_ignore_ascii_case("txt") {
            return Ok(Format::Text);
        }
        Format::ALL
            .into_iter()
            .find(|format| format.name().eq_ignore_ascii_case(wanted))
            .ok_or_else(|| UnknownFormat(wanted.to_owned()))
    }
}

/// Whole milliseconds, half rounded up. Every format rounds through here, so that all agree and order is kept.
fn millis(time: Duration) -> u64 {
    u64::try_from((time.as_micros() + 500) / 1000).unwrap_or(u64::MAX)
}

/// Seconds as the nearest double to a whole number of milliseconds, which prints as `3.32` and not `3.3200000000000003`.
pub fn seconds(time: Duration) -> f64 {
    millis(time) as f64 / 1000.0
}

/// Of a stored transcript that does not say which language it is in; the code is ISO 639-2's.
const UNDETERMINED: Language = Language { code: "und", name: "undetermined" };

/// What the n-th channel's speaker is called: A to Z, then AA.
fn speaker(channel: usize) -> String {
    let letter = char::from(b'A' + (channel % 26) as u8);
    match channel / 26 {
        0 => letter.to_string(),
        more => format!("{}{letter}", speaker(more - 1)),
    }
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
