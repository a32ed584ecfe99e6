//! Numbers of a property test in, transcripts of every shape out: for the tests of this room.

use std::time::Duration;

use proptest::prelude::*;

use crate::transcript::{
    DropReason, Dropped, Incomplete, Language, Receipt, Retried, Risk, Segment, Span, Task, Timing,
    Transcript, Word,
};

pub const ENGLISH: Language = Language { code: "en", name: "english" };
pub const GERMAN: Language = Language { code: "de", name: "german" };

/// What the tests know of languages.
pub fn language(text: &str) -> Option<Language> {
    [ENGLISH, GERMAN].into_iter().find(|language| language.code == text || language.name == text)
}

pub fn segment(start: u64, end: u64, text: &str) -> Segment {
    Segment {
        start: Duration::from_millis(start),
        end: Duration::from_millis(end),
        window_start: Duration::ZERO,
        text: text.to_owned(),
        tokens: vec![50_364, 440, 50_530],
        temperature: 0.2,
        avg_logprob: -0.25,
        compression_ratio: 1.5,
        no_speech_prob: 0.01,
        language: None,
        channel: None,
        risk: Vec::new(),
        words: Vec::new(),
        uttered: Vec::new(),
    }
}

pub fn word(start: u64, end: u64, text: &str) -> Word {
    let (start, end) = (Duration::from_millis(start), Duration::from_millis(end));
    Word { start, end, text: text.to_owned(), probability: 0.9 }
}

/// A segment whose words are said one after the other, each for as long as it is.
pub fn spoken(start: u64, text: &str) -> Segment {
    let mut at = start;
    let mut words = Vec::new();
    for piece in text.split_inclusive(' ') {
        let length = 60 * piece.len() as u64;
        words.push(word(at, at + length, &format!(" {}", piece.trim())));
        at += length + 20;
    }
    Segment { words, ..segment(start, at - 20, &format!(" {text}")) }
}

pub fn transcript(segments: Vec<Segment>) -> Transcript {
    Transcript {
        task: Task::Transcribe,
        language: ENGLISH,
        language_probability: Some(0.98),
        languages: Vec::new(),
        duration: segments.iter().map(|segment| segment.end).max().unwrap_or_default(),
        words: segments.iter().any(|segment| !segment.words.is_empty()),
        segments,
        dropped: Vec::new(),
        fallbacks: Vec::new(),
        windows: vec![Span::default()],
        warnings: Vec::new(),
        incomplete: None,
        receipt: Receipt {
            model: "demo".to_owned(),
            device: "cpu".to_owned(),
            dtype: "f32".to_owned(),
            timing: Timing {
                decode: Duration::from_micros(1_234),
                total: Duration::from_millis(847),
                ..Timing::default()
            },
            batch_size_seen: 1,
            prompt_tokens: 0,
        },
    }
}

/// Words of every kind: plain, long, empty, full-width, with marks, arrows, markup, punctuation alone.
fn any_word() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[a-zA-Z]{1,9}[,.!?]?",
        1 => "(and|but|und|y)",
        1 => "[a-z]{50,70}",
        1 => "[一-龥ぁ-んァ-ヶ]{1,30}[。、]?",
        1 => "[ก-ฮ][ะ-ฺเ-์]{0,3}",
        1 => ".{0,6}",
        1 => "(-->|<i>|&amp;|-{3,4}>|«|!|\"|\\[|\u{301})",
    ]
}

/// Words with a space before most of them.
fn any_text() -> impl Strategy<Value = Vec<String>> {
    let spaced = (any_word(), prop::bool::weighted(0.85));
    prop::collection::vec(
        spaced.prop_map(|(word, space)| if space { format!(" {word}") } else { word }),
        0..30,
    )
}

/// Words may be known, unknown, or not the text's; some have no duration, and so have some segments.
fn any_segment() -> impl Strategy<Value = Segment> {
    let times = (0..4_000_000u64, prop::collection::vec((0..900_000u64, 0..400_000u64), 30));
    (times, any_text(), 0..10u8, prop::option::weighted(0.3, 0..3usize), 0..4u8).prop_map(
        |((gap, lengths), texts, kind, channel, risk)| {
            let mut at = Duration::from_micros(gap);
            let start = at;
            let mut words = Vec::new();
            for (text, (length, pause)) in texts.iter().zip(lengths) {
                let length = Duration::from_micros(if length < 100_000 { 0 } else { length });
                let pause = Duration::from_micros(if pause < 350_000 { 0 } else { pause * 8 });
                words.push(Word { start: at, end: at + length, text: text.clone(), probability: 0.5 });
                at += length + pause;
            }
            if kind == 0 {
                words.pop();
            }
            if kind > 6 {
                words.clear();
            }
            Segment {
                start,
                end: at,
                text: texts.concat(),
                words,
                channel,
                language: (risk == 1).then_some(GERMAN),
                risk: Risk::ALL[..usize::from(risk)].to_vec(),
                ..segment(0, 0, "")
            }
        },
    )
}

/// Segments follow each other, with channels all over or none.
pub fn any_transcript() -> impl Strategy<Value = Transcript> {
    (prop::collection::vec(any_segment(), 0..6), any::<bool>(), any::<u32>()).prop_map(
        |(mut segments, split, seed)| {
            let mut last = Duration::ZERO;
            for segment in &mut segments {
                let shift = last;
                segment.start += shift;
                segment.end += shift;
                segment.window_start = shift;
                for word in &mut segment.words {
                    word.start += shift;
                    word.end += shift;
                }
                // Speakers may talk at once; one speaker's segments do not overlap.
                last = if split { segment.start } else { segment.end };
                segment.channel = segment.channel.filter(|_| split).or(split.then_some(0));
            }
            Transcript {
                languages: vec![(ENGLISH, 0.7), (GERMAN, 0.2)],
                fallbacks: vec![Retried {
                    span: Span { start: Duration::ZERO, end: Duration::from_micros(seed.into()) },
                    channel: None,
                    temperature: 0.4,
                    reasons: vec![Risk::Loop],
                }],
                dropped: vec![Dropped {
                    start: Duration::ZERO,
                    end: Duration::from_secs(1),
                    channel: split.then_some(1),
                    text: " Thanks.".to_owned(),
                    reason: DropReason::NoSpeech,
                }],
                warnings: vec!["a warning".to_owned()],
                incomplete: seed.is_multiple_of(2).then(|| Incomplete {
                    at: Duration::from_micros(seed.into()),
                    expected: None,
                    reason: "the file ends early".to_owned(),
                }),
                ..transcript(segments)
            }
        },
    )
}
