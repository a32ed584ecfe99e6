//! JSON in, the parts of a stored transcript as they were written out: nothing judged yet, and no list without an end.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Segments and words of one list. A day of quick speech has a third of it.
pub const MOST: usize = 1_000_000;
/// Names and sentences of one list.
const FEW: usize = 1_000;
/// A window has 448 at most.
const MOST_TOKENS: usize = 10_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct StoredTranscript {
    pub task: Option<String>,
    pub language: Option<String>,
    pub language_code: Option<String>,
    pub language_probability: Option<f32>,
    pub languages: List<StoredLanguage, FEW>,
    pub duration: Option<f64>,
    pub text: Option<String>,
    pub segments: Option<List<StoredSegment>>,
    pub words: Option<List<StoredWord>>,
    pub model: Option<String>,
    pub device: Option<String>,
    pub dtype: Option<String>,
    pub timing: Option<StoredTiming>,
    pub windows_at: List<StoredSpan>,
    pub batch_size_seen: Option<usize>,
    pub fallbacks: List<StoredRetried>,
    pub dropped: List<StoredDropped>,
    pub incomplete: Option<StoredIncomplete>,
    pub warnings: List<String, FEW>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct StoredSegment {
    pub seek: Option<u64>,
    pub start: Option<f64>,
    pub end: Option<f64>,
    pub text: Option<String>,
    pub tokens: List<u32, MOST_TOKENS>,
    pub temperature: Option<f32>,
    pub avg_logprob: Option<f32>,
    pub compression_ratio: Option<f32>,
    pub no_speech_prob: Option<f32>,
    pub language: Option<String>,
    pub channel: Option<usize>,
    pub speaker: Option<String>,
    pub risk: List<String, FEW>,
    pub words: Option<List<StoredWord>>,
}

/// `word` and `probability` are faster-whisper's names, `score` is WhisperX's, `text` and `confidence` are
/// whisper-timestamped's. WhisperX has words without times.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct StoredWord {
    pub word: Option<String>,
    pub text: Option<String>,
    pub start: Option<f64>,
    pub end: Option<f64>,
    pub probability: Option<f32>,
    pub score: Option<f32>,
    pub confidence: Option<f32>,
    pub speaker: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct StoredLanguage {
    pub code: Option<String>,
    pub probability: Option<f32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct StoredTiming {
    pub decode_ms: f64,
    pub vad_ms: f64,
    pub mel_ms: f64,
    pub queue_ms: f64,
    pub encode_ms: f64,
    pub generate_ms: f64,
    pub align_ms: f64,
    pub total_ms: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct StoredSpan {
    pub start: Option<f64>,
    pub end: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct StoredRetried {
    pub start: Option<f64>,
    pub end: Option<f64>,
    pub temperature: Option<f32>,
    pub reasons: List<String, FEW>,
    pub channel: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct StoredDropped {
    pub start: Option<f64>,
    pub end: Option<f64>,
    pub text: Option<String>,
    pub reason: Option<String>,
    pub channel: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct StoredIncomplete {
    pub at: Option<f64>,
    pub expected: Option<f64>,
    pub reason: Option<String>,
}

/// At most `LIMIT` items. What is no list is an empty one: others write a number or nothing where we have a list.
#[derive(Debug)]
pub struct List<T, const LIMIT: usize = MOST>(pub Vec<T>);

impl<T, const LIMIT: usize> Default for List<T, LIMIT> {
    fn default() -> Self {
        List(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const LIMIT: usize> Deserialize<'de> for List<T, LIMIT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Items::<T, LIMIT>(PhantomData))
    }
}

struct Items<T, const LIMIT: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const LIMIT: usize> Visitor<'de> for Items<T, LIMIT> {
    type Value = List<T, LIMIT>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            if list.len() == LIMIT {
                return Err(A::Error::custom(format!("a list has more than {LIMIT} items")));
            }
            list.push(item);
        }
        Ok(List(list))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(List::default())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(List::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(List::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(List::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(List::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(List::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(List::default())
    }
}
