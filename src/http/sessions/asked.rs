//! Fields as they were written in; what a session, a chunk or a finish asks for out, or the sentence about the field that is wrong.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::audio;
use crate::format::quoted;
use crate::http::error::ApiError;
use crate::http::options::{self, Wanted};
use crate::transcript::Channels;

pub type Fields = Vec<(String, String)>;

/// What a session is opened with.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The client's own, where it has one.
    pub id: Option<String>,
    /// Of chunks that say nothing else.
    pub chunks: Chunking,
    /// What was said of the text, as it was written, and judged.
    pub fields: Fields,
    pub wanted: Wanted,
    /// What was committed is told to the decoder when it goes on.
    pub live_prompt: bool,
}

/// How chunks come.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chunking {
    pub container: Container,
    /// Samples a second, of bare samples alone.
    pub rate: u32,
    /// What each chunk repeats of the one before.
    pub overlap: Duration,
}

impl Default for Chunking {
    fn default() -> Self {
        Chunking { container: Container::File, rate: audio::SAMPLE_RATE as u32, overlap: Duration::ZERO }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Container {
    /// Each chunk is a file of its own.
    File,
    /// Chunks are pieces of one file, as a browser's MediaRecorder gives them.
    Stream,
    /// Bare samples: 16 bits, little-endian, one channel.
    S16le,
}

/// One chunk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chunk {
    pub seq: u64,
    pub chunking: Chunking,
}

/// How a session is brought to its end.
#[derive(Clone, Debug)]
pub struct Finish {
    pub wanted: Wanted,
    pub allow_missing: bool,
    /// How many chunks the client has sent, where it says so.
    pub chunks: Option<u64>,
}

/// `id`: where the path names it.
pub fn opening(fields: Fields, id: Option<String>) -> Result<Opening, ApiError> {
    let mut chunks = Chunking::default();
    let (mut named, mut live_prompt) = (None, false);
    let mut rest = Fields::new();
    for (name, value) in fields {
        match name.as_str() {
            "id" => named = Some(value),
            "live_prompt" => live_prompt = flag("live_prompt", &value)?,
            _ if chunks.take(&name, &value)? => {}
            _ => rest.push((name, value)),
        }
    }
    let id = match (id, named) {
        (Some(path), Some(field)) if path != field => {
            return Err(ApiError::param("id", "the field 'id' is another than that of the path"));
        }
        (path, field) => path.or(field),
    };
    if let Some(id) = &id {
        check_id(id)?;
    }
    let wanted = judge(&rest)?;
    Ok(Opening { id, chunks, fields: rest, wanted, live_prompt })
}

/// And the fields that mean nothing here.
pub fn chunk(fields: &[(String, String)], otherwise: Chunking) -> Result<(Chunk, Vec<String>), ApiError> {
    let mut chunking = otherwise;
    let (mut seq, mut ignored) = (None, Vec::new());
    for (name, value) in fields {
        match name.as_str() {
            "seq" => seq = Some(whole("seq", value, 0..=u64::MAX >> 1)?),
            _ if chunking.take(name, value)? => {}
            _ => ignored.push(name.clone()),
        }
    }
    let seq = seq.ok_or_else(|| {
        ApiError::param("seq", "a chunk needs its number: ?seq=0 is the first, ?seq=1 the next")
    })?;
    Ok((Chunk { seq, chunking }, ignored))
}

/// What the session was opened with holds, where nothing else is said.
pub fn finish(opening: &Opening, fields: Fields) -> Result<Finish, ApiError> {
    let (mut allow_missing, mut chunks) = (false, None);
    let mut all = opening.fields.clone();
    for (name, value) in fields {
        match name.as_str() {
            "allow_missing" => allow_missing = flag("allow_missing", &value)?,
            "chunks" => chunks = Some(whole("chunks", &value, 0..=u64::MAX >> 1)?),
            _ => all.push((name, value)),
        }
    }
    Ok(Finish { wanted: judge(&all)?, allow_missing, chunks })
}

fn judge(fields: &[(String, String)]) -> Result<Wanted, ApiError> {
    let wanted = options::judge(fields)?;
    match wanted.options.channels {
        Channels::Mix => Ok(wanted),
        Channels::Split => Err(ApiError::param("channels", "a dictation is one channel: give mix")),
    }
}

/// It is part of a path, and of a file's name.
fn check_id(id: &str) -> Result<(), ApiError> {
    let fit = (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    match fit {
        true => Ok(()),
        false => Err(wrong("id", id, "1 to 64 letters, digits, '-' and '_'")),
    }
}

impl Chunking {
    /// `false`: the field is none of these.
    fn take(&mut self, name: &str, value: &str) -> Result<bool, ApiError> {
        match name {
            "format" => {
                self.container = match value {
                    "file" => Container::File,
                    "stream" => Container::Stream,
                    "s16le" => Container::S16le,
                    _ => return Err(wrong("format", value, "file, stream or s16le")),
                }
            }
            "rate" => self.rate = whole("rate", value, 4_000..=192_000)?,
            "overlap_ms" => self.overlap = Duration::from_millis(whole("overlap_ms", value, 0..=30_000)?),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn flag(param: &'static str, value: &str) -> Result<bool, ApiError> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" | "" => Ok(false),
        _ => Err(wrong(param, value, "true or false")),
    }
}

fn whole<T: FromStr + PartialOrd + Display>(
    param: &'static str,
    value: &str,
    range: RangeInclusive<T>,
) -> Result<T, ApiError> {
    let parsed = value.trim().parse().ok().filter(|number| range.contains(number));
    let allowed = || format!("a whole number from {} to {}", range.start(), range.end());
    parsed.ok_or_else(|| wrong(param, value, &allowed()))
}

fn wrong(param: &'static str, value: &str, allowed: &str) -> ApiError {
    ApiError::param(param, format!("'{param}' cannot be '{}': give {allowed}", quoted(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn a_chunk_takes_what_it_does_not_say_from_its_session() {
        let opened = opening(fields("language=en&format=s16le&rate=8000&overlap_ms=200"), None).unwrap();
        assert_eq!(opened.fields, fields("language=en"));
        let (plain, _) = chunk(&fields("seq=7"), opened.chunks).unwrap();
        assert_eq!((plain.seq, plain.chunking), (7, opened.chunks));
        let (other, ignored) = chunk(&fields("seq=8&format=file&colour=red"), opened.chunks).unwrap();
        assert_eq!((other.chunking.container, ignored), (Container::File, vec!["colour".to_owned()]));
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (given, param) in [
            ("id=../../etc", "id"),
            ("id=", "id"),
            ("format=docx", "format"),
            ("rate=16001k", "rate"),
            ("overlap_ms=-1", "overlap_ms"),
            ("channels=split", "channels"),
            ("language=klingon", "language"),
        ] {
            match opening(fields(given), None) {
                Err(ApiError::BadRequest { param: Some(named), .. }) => assert_eq!(named, param),
                other => panic!("{given}: {other:?}"),
            }
        }
        assert!(opening(fields("id=a"), Some("b".to_owned())).is_err());
        for given in ["", "seq=-1", "seq=one"] {
            assert!(chunk(&fields(given), Chunking::default()).is_err(), "{given}");
        }
    }

    #[test]
    fn a_finish_may_ask_for_another_format_than_its_session() {
        let opened = opening(fields("language=en&response_format=json"), None).unwrap();
        let plain = finish(&opened, Fields::new()).unwrap();
        assert_eq!(plain.wanted, opened.wanted);
        let other = finish(&opened, fields("response_format=srt&allow_missing=true&chunks=12")).unwrap();
        assert_eq!((other.allow_missing, other.chunks), (true, Some(12)));
        assert_ne!(other.wanted.layout, opened.wanted.layout);
        assert_eq!(other.wanted.options, opened.wanted.options);
    }
}
