//! The demo model on speech it was never trained on: words, languages, times, translation and silence, end to end.
//!
//! The clips and their truth come from the synthesiser. The bounds are what the bundled export reaches, with a little room
//! (`MOST_*` below); a better export tightens them. The card (models/demo/README.md) has the figures over many more clips.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

#[path = "support/demo.rs"]
mod demo;
#[path = "support/speech.rs"]
mod speech;

use std::time::Duration;

use bytes::Bytes;
use speech::{recording, wav};
use verbatim::model::whisper::DtypeRequest;
use verbatim::transcriber::Settings;
use verbatim::transcript::{Options, Task, Transcript};

/// Share of words wrong in clips of one or two sentences.
const MOST_WRONG: f64 = 0.02;
/// The same in an MP3 of 75 s, whose windows are full of sentences.
const MOST_WRONG_LONG: f64 = 0.04;
/// The same in translations to English.
const MOST_WRONG_TRANSLATED: f64 = 0.05;

#[derive(serde::Deserialize)]
struct Clip {
    file: String,
    language: String,
    duration: f64,
    text: String,
    translation: String,
    segments: Vec<Span>,
}

#[derive(serde::Deserialize)]
struct Span {
    start: f64,
    end: f64,
}

fn clips() -> Vec<Clip> {
    serde_json::from_str(include_str!("fixtures/speech/truth.json")).unwrap()
}

fn bytes(clip: &Clip) -> Bytes {
    recording(&clip.file)
}

/// Words without case and punctuation, as word error rates are counted.
fn words(text: &str) -> Vec<String> {
    text.split_whitespace()
        .map(|word| {
            word.chars().filter(|c| c.is_alphanumeric() || *c == '\'').collect::<String>().to_lowercase()
        })
        .filter(|word| !word.is_empty())
        .collect()
}

/// Substitutions, insertions and deletions between two texts (Levenshtein over words), and the words of the truth.
fn word_errors(truth: &str, heard: &str) -> (usize, usize) {
    let (truth, heard) = (words(truth), words(heard));
    let mut row: Vec<usize> = (0..=heard.len()).collect();
    for (i, expected) in truth.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, word) in heard.iter().enumerate() {
            let substitution = diagonal + usize::from(expected != word);
            diagonal = row[j + 1];
            row[j + 1] = substitution.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    (row[heard.len()], truth.len())
}

#[derive(Default)]
struct Tally {
    errors: usize,
    words: usize,
    said: Vec<String>,
}

impl Tally {
    fn add(&mut self, file: &str, truth: &str, heard: &str) {
        let (errors, words) = word_errors(truth, heard);
        self.errors += errors;
        self.words += words;
        if errors > 0 {
            self.said.push(format!("{file}: {errors} of {words} wrong: {heard:?} for {truth:?}"));
        }
    }

    fn assert_below(&self, most: f64) {
        let rate = self.errors as f64 / self.words as f64;
        assert!(rate <= most, "{:.1} % of the words are wrong: {:#?}", rate * 100.0, self.said);
    }
}

#[test]
fn word_errors_are_counted_as_edits() {
    assert_eq!(word_errors("take two tablets", "Take two tablets."), (0, 3));
    assert_eq!(word_errors("take two tablets", "take too many tablets"), (2, 3));
    assert_eq!(word_errors("take two tablets", ""), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn unseen_sentences_are_understood_with_their_language_and_times() {
    let (transcriber, _worker) = demo::transcriber();
    let (mut short, mut long) = (Tally::default(), Tally::default());
    let mut edges = Vec::new();
    for clip in clips() {
        let transcript = transcriber.transcribe(bytes(&clip), &Options::default()).await.unwrap();
        let tally = if clip.duration <= 30.0 { &mut short } else { &mut long };
        tally.add(&clip.file, &clip.text, &transcript.text());
        assert_eq!(transcript.language.code, clip.language, "{}", clip.file);
        assert!((transcript.duration.as_secs_f64() - clip.duration).abs() < 0.06, "{}", clip.file);
        assert!(transcript.incomplete.is_none() && transcript.dropped.is_empty(), "{}", clip.file);
        assert_in_order(&transcript);
        if transcript.segments.len() == clip.segments.len() {
            for (found, truth) in transcript.segments.iter().zip(&clip.segments) {
                edges.push((found.start.as_secs_f64() - truth.start).abs());
                edges.push((found.end.as_secs_f64() - truth.end).abs());
            }
        } else {
            let (found, truth) = (transcript.segments.len(), clip.segments.len());
            eprintln!("{}: {found} segments for {truth}; their edges are not compared", clip.file);
        }
    }
    short.assert_below(MOST_WRONG);
    long.assert_below(MOST_WRONG_LONG);
    edges.sort_by(f64::total_cmp);
    assert!(edges.len() >= 8, "too few segments were found as they were spoken: {} edges", edges.len());
    let (median, most) = (edges[edges.len() / 2], edges[edges.len() * 9 / 10]);
    assert!(median <= 0.1, "segment edges are off by {median} s in the median");
    assert!(most <= 0.3, "a tenth of the segment edges is off by more than {most} s");
}

/// Share of words that may be wrong in `q8_0` and are not in f32, and by which their numbers may differ.
const MOST_WRONG_BY_ROUNDING: f64 = 0.003;
const MOST_WORDS_APART: f64 = 0.01;

#[tokio::test(flavor = "multi_thread")]
async fn weights_of_8_bits_are_understood_as_well() {
    let mut heard = Vec::new();
    for dtype in [DtypeRequest::F32, DtypeRequest::Q8] {
        let (transcriber, _worker) = demo::transcriber_in(dtype, &Settings::default());
        let (mut tally, mut said) = (Tally::default(), 0);
        for clip in clips() {
            let transcript = transcriber.transcribe(bytes(&clip), &Options::default()).await.unwrap();
            tally.add(&clip.file, &clip.text, &transcript.text());
            said += words(&transcript.text()).len();
        }
        heard.push((tally, said as f64));
    }
    let [(exact, exactly), (rounded, roundly)] = &heard[..] else { panic!("two of them") };
    let more = (rounded.errors as f64 - exact.errors as f64) / exact.words as f64;
    assert!(more <= MOST_WRONG_BY_ROUNDING, "{:?} and in f32 {:?}", rounded.said, exact.said);
    assert!((roundly / exactly - 1.0).abs() <= MOST_WORDS_APART, "{roundly} words and in f32 {exactly}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_context_hears_short_clips_as_well_and_changes_no_long_recording() {
    let settings = Settings { short_context_seconds: 20, ..Settings::default() };
    let (transcriber, _worker) = demo::transcriber_with(&settings);
    let (whole, _worker) = demo::transcriber();
    let mut tally = Tally::default();
    for clip in clips() {
        let options = Options::default();
        let short = transcriber.transcribe(bytes(&clip), &options).await.unwrap();
        let whole = whole.transcribe(bytes(&clip), &options).await.unwrap();
        if clip.duration > 20.0 {
            assert_eq!(short.text(), whole.text(), "{}", clip.file);
        } else {
            tally.add(&clip.file, &clip.text, &short.text());
        }
    }
    assert!(tally.words > 0);
    tally.assert_below(MOST_WRONG);
}

#[tokio::test(flavor = "multi_thread")]
async fn spanish_and_german_are_translated_to_english() {
    let (transcriber, _worker) = demo::transcriber();
    let mut tally = Tally::default();
    for clip in clips().into_iter().filter(|clip| clip.language != "en") {
        let options = Options { task: Task::Translate, ..Default::default() };
        let transcript = transcriber.transcribe(bytes(&clip), &options).await.unwrap();
        tally.add(&clip.file, &clip.translation, &transcript.text());
    }
    tally.assert_below(MOST_WRONG_TRANSLATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sentence_is_written_in_its_own_language_where_that_is_asked_for() {
    let (transcriber, _worker) = demo::transcriber();
    let said = [
        ("en", "Wake me up tomorrow at quarter past nine."),
        ("es", "Sofía compró arroz y pollo la semana pasada."),
        ("de", "Der Patient nimmt zwanzig Tropfen vor dem Frühstück."),
        ("en", "The bank is in the garden."),
    ];
    let mut options = Options::default();
    options.detection.per_window = true;
    let transcript = transcriber.transcribe(recording("mixed.flac"), &options).await.unwrap();
    let mut tally = Tally::default();
    tally.add("mixed.flac", &said.map(|(_, text)| text).join(" "), &transcript.text());
    tally.assert_below(MOST_WRONG_LONG);
    let heard: Vec<&str> = transcript.segments.iter().filter_map(|one| Some(one.language?.code)).collect();
    assert_eq!(heard, said.map(|(language, _)| language));
    assert_eq!(transcript.language.code, "en");
    let shares: f32 = transcript.languages.iter().map(|(_, share)| share).sum();
    assert!((shares - 1.0).abs() < 1e-3 && transcript.languages.len() > 2, "{:?}", transcript.languages);
    assert_in_order(&transcript);
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_noise_hum_and_tunes_give_no_text() {
    let (transcriber, _worker) = demo::transcriber();
    let seconds = |index: usize| index as f32 / 16_000.0;
    let mut state = 7u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * 0.3
    };
    let hum = |hertz: f32, time: f32| (std::f32::consts::TAU * hertz * time).sin();
    // A note of a scale every 0.4 s, with an overtone, each begun softly and dying away: plucked strings are another matter
    // (docs/speech.md).
    let melody = |time: f32| {
        let (note, since) = ((time / 0.4) as usize, time % 0.4);
        let pitch = 220.0 * 2f32.powf([0.0, 4.0, 7.0, 12.0, 9.0, 5.0, 2.0][note * 5 % 7] / 12.0);
        let level = (since * 25.0).min(1.0) * (-2.0 * since).exp() * 0.5;
        (hum(pitch, since) + 0.4 * hum(2.0 * pitch, since)) * level
    };
    const LEN: usize = 20 * 16_000;
    let sounds: [(&str, Vec<f32>); 5] = [
        ("silence", vec![0.0; LEN]),
        ("noise", (0..LEN).map(|_| noise()).collect()),
        // Half of it, so that it begins suddenly.
        ("a burst of noise", (0..LEN).map(|i| if i < LEN / 2 { 0.0 } else { noise() }).collect()),
        ("hum", (0..LEN).map(|i| (1..6).map(|k| hum(50.0 * k as f32, seconds(i)) * 0.1).sum()).collect()),
        ("a melody", (0..LEN).map(|i| melody(seconds(i))).collect()),
    ];
    for (name, samples) in sounds {
        let transcript = transcriber.transcribe(wav(&samples), &Options::default()).await.unwrap();
        assert_eq!(transcript.text(), "", "{name}");
        assert_eq!(transcript.duration, Duration::from_secs(20), "{name}");
    }
}

/// Segments lie within the file, in order, and none ends before it starts.
fn assert_in_order(transcript: &Transcript) {
    let mut earliest = Duration::ZERO;
    for segment in &transcript.segments {
        assert!(earliest <= segment.start && segment.start <= segment.end, "{segment:?}");
        assert!(segment.end <= transcript.duration, "{segment:?} in {:?}", transcript.duration);
        earliest = segment.end;
    }
}
