//! A stored `verbose_json` in, its `Transcript` out: ours, and what OpenAI, faster-whisper, WhisperX and whisper.cpp write.

mod check;
mod segments;
mod shapes;
mod speakers;

use std::time::Duration;

use self::check::{MOST_SECONDS, span, time};
use self::shapes::{List, StoredDropped, StoredIncomplete, StoredRetried, StoredTiming, StoredTranscript};
use crate::format::UNDETERMINED;
use crate::transcript::{
    DropReason, Dropped, Incomplete, Language, Receipt, Retried, Risk, Span, Task, Timing, Transcript,
};

/// Objects and lists of one document, which is what bounds the memory that it takes beyond its own bytes.
const MOST_OBJECTS: usize = shapes::MOST;

/// `Display` is the sentence for who gave the document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoredError {
    /// With the line and column.
    #[error("the document is not the JSON of a transcript: {0}")]
    Json(String),
    #[error("the document has more than {MOST_OBJECTS} objects and lists; give it in parts")]
    TooLarge,
    #[error(
        "the document has neither segments nor words, so there are no times: give a verbose_json (the short json has none)"
    )]
    NoTimes,
    #[error("the document has a text, but its segments and words are empty")]
    NoSegments,
    #[error("{place} {what}")]
    At { place: String, what: String },
}

/// Only `segments` with `start`, `end` and `text` are needed, or `words`; figures that are missing are NaN, which JSON
/// writes as null. `language` finds a language by its code or name: which there are is not for this module to know.
pub fn parse(json: &[u8], language: impl Fn(&str) -> Option<Language>) -> Result<Transcript, StoredError> {
    if json.iter().filter(|byte| matches!(byte, b'{' | b'[')).count() > MOST_OBJECTS {
        return Err(StoredError::TooLarge);
    }
    let stored = read(json).map_err(|error| StoredError::Json(error.to_string()))?;
    Reader { language, warnings: Vec::new() }.transcript(stored)
}

/// Some keep the list of segments alone.
fn read(json: &[u8]) -> Result<StoredTranscript, serde_json::Error> {
    match json.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'[') => {
            let segments = serde_json::from_slice(json)?;
            Ok(StoredTranscript { segments: Some(segments), ..StoredTranscript::default() })
        }
        _ => serde_json::from_slice(json),
    }
}

struct Reader<F> {
    language: F,
    /// About what is not kept.
    warnings: Vec<String>,
}

impl<F: Fn(&str) -> Option<Language>> Reader<F> {
    fn transcript(mut self, stored: StoredTranscript) -> Result<Transcript, StoredError> {
        let words = stored.words.is_some() || has_words(&stored);
        let text = stored.text.as_deref().unwrap_or_default();
        let segments = match (stored.segments, stored.words) {
            (None, None) => return Err(StoredError::NoTimes),
            (Some(List(segments)), words) if !segments.is_empty() => self.segments(segments, words, text)?,
            (_, Some(List(words))) if !words.is_empty() => self.of_words(words, text)?,
            _ if text.trim().is_empty() => Vec::new(),
            _ => return Err(StoredError::NoSegments),
        };
        let last = segments.iter().map(|segment| segment.end).max().unwrap_or_default();
        let duration = match stored.duration {
            Some(_) => time(stored.duration, || "duration".to_owned())?,
            None => last,
        };
        let named = stored.language_code.or(stored.language).unwrap_or_default();
        let language = self.language(&named).unwrap_or(UNDETERMINED);
        let languages = stored.languages.0.into_iter().filter_map(|it| {
            let language = (self.language)(it.code.as_deref()?)?;
            Some((language, it.probability?))
        });
        let languages = languages.collect();
        let dropped = stored.dropped.0.into_iter().enumerate().map(dropped).collect::<Result<_, _>>()?;
        let fallbacks = stored.fallbacks.0.into_iter().enumerate().map(retried).collect::<Result<_, _>>()?;
        let windows = stored.windows_at.0.into_iter().enumerate();
        let windows = windows.map(|(index, it)| {
            let (start, end) = span(it.start, it.end, || format!("windows_at[{index}]"))?;
            Ok(Span { start, end })
        });
        let windows = windows.collect::<Result<_, _>>()?;
        let mut warnings = stored.warnings.0;
        warnings.append(&mut self.warnings);
        Ok(Transcript {
            task: match stored.task.as_deref() {
                Some("translate") => Task::Translate,
                _ => Task::Transcribe,
            },
            language,
            language_probability: stored.language_probability,
            languages,
            duration,
            segments,
            dropped,
            fallbacks,
            windows,
            warnings,
            words,
            incomplete: stored.incomplete.map(incomplete).transpose()?,
            receipt: Receipt {
                model: stored.model.unwrap_or_default(),
                device: stored.device.unwrap_or_default(),
                dtype: stored.dtype.unwrap_or_default(),
                timing: stored.timing.map(timing).unwrap_or_default(),
                batch_size_seen: stored.batch_size_seen.unwrap_or_default(),
                prompt_tokens: 0,
            },
        })
    }

    /// `None`, and a warning, where it is none of Whisper's.
    fn language(&mut self, named: &str) -> Option<Language> {
        let named = named.trim();
        if named.is_empty() || named == UNDETERMINED.code || named == UNDETERMINED.name {
            return None;
        }
        let found = (self.language)(named);
        if found.is_none() {
            self.warn(format!("the language '{named}' is none of Whisper's and was left out"));
        }
        found
    }

    /// Said once.
    fn warn(&mut self, warning: String) {
        const MOST: usize = 100;
        if self.warnings.len() < MOST && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

fn has_words(stored: &StoredTranscript) -> bool {
    let segments = stored.segments.iter().flat_map(|list| &list.0);
    segments.into_iter().any(|segment| segment.words.is_some())
}

fn dropped((index, it): (usize, StoredDropped)) -> Result<Dropped, StoredError> {
    let place = || format!("dropped[{index}]");
    let (start, end) = span(it.start, it.end, place)?;
    let named = it.reason.unwrap_or_default();
    let reason = DropReason::ALL.into_iter().find(|reason| reason.name() == named);
    let reason = reason.ok_or_else(|| {
        let known: Vec<&str> = DropReason::ALL.into_iter().map(DropReason::name).collect();
        let what = format!("is '{named}', which is none of {}", known.join(", "));
        StoredError::At { place: format!("{}.reason", place()), what }
    })?;
    Ok(Dropped { start, end, channel: it.channel, text: it.text.unwrap_or_default(), reason })
}

fn retried((index, it): (usize, StoredRetried)) -> Result<Retried, StoredError> {
    let (start, end) = span(it.start, it.end, || format!("fallbacks[{index}]"))?;
    Ok(Retried {
        span: Span { start, end },
        channel: it.channel,
        temperature: it.temperature.unwrap_or(f32::NAN),
        reasons: risks(&it.reasons.0),
    })
}

fn incomplete(it: StoredIncomplete) -> Result<Incomplete, StoredError> {
    let expected = it.expected.map(|_| time(it.expected, || "incomplete.expected".to_owned()));
    Ok(Incomplete {
        at: time(it.at, || "incomplete.at".to_owned())?,
        expected: expected.transpose()?,
        reason: it.reason.unwrap_or_default(),
    })
}

/// Others may have a field of this name with names of their own.
fn risks(names: &[String]) -> Vec<Risk> {
    let known = |name: &String| Risk::ALL.into_iter().find(|risk| risk.name() == name);
    names.iter().filter_map(known).collect()
}

fn timing(it: StoredTiming) -> Timing {
    let stage = |ms: f64| Duration::from_micros((ms.clamp(0.0, MOST_SECONDS * 1e3) * 1e3).round() as u64);
    Timing {
        decode: stage(it.decode_ms),
        vad: stage(it.vad_ms),
        mel: stage(it.mel_ms),
        queue: stage(it.queue_ms),
        encode: stage(it.encode_ms),
        generate: stage(it.generate_ms),
        align: stage(it.align_ms),
        total: stage(it.total_ms),
    }
}

#[cfg(test)]
mod tests;
