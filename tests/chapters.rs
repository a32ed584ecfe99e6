//! Long recordings in chapters, on the demo model: the text, times and accounts of the whole, whatever lies at a chapter's end.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

#[allow(dead_code, reason = "other tests have the usual settings")]
#[path = "support/demo.rs"]
mod demo;
#[path = "support/speech.rs"]
mod speech;

use std::time::Duration;

use demo::transcriber_with;
use speech::{recording, wav};
use tokio::sync::mpsc::unbounded_channel;
use verbatim::audio::SAMPLE_RATE;
use verbatim::text::language;
use verbatim::transcriber::{Settings, Terms, Transcriber};
use verbatim::transcript::{Options, Segment, Transcript};

/// Short enough for a test; the smallest that is worth anything is some minutes.
const CHAPTER: u64 = 40;

fn in_chapters(seconds: u64) -> Transcriber {
    transcriber_with(&Settings { chapter_seconds: seconds, ..Settings::default() }).0
}

fn english() -> Options {
    Options { language: Some(language::ENGLISH), ..Options::default() }
}

/// Every word with its place.
fn words(transcript: &Transcript) -> Vec<(String, f64, f64)> {
    let words = transcript.segments.iter().flat_map(|segment| &segment.words);
    words
        .map(|word| (word.text.trim().to_owned(), word.start.as_secs_f64(), word.end.as_secs_f64()))
        .collect()
}

fn texts(segments: &[Segment]) -> Vec<(Duration, Duration, &str)> {
    segments.iter().map(|segment| (segment.start, segment.end, segment.text.as_str())).collect()
}

#[tokio::test]
async fn chapters_have_the_words_of_the_whole_at_their_times() {
    // 75 s of sentences, 2 s of nothing, and the same again.
    let whole = in_chapters(0);
    let once = whole.decode(recording("english-long.mp3")).await.unwrap().pcm.into_samples();
    let upload = wav(&[&once[..], &[0.0; 2 * SAMPLE_RATE], &once[..]].concat());
    let options = Options { words: true, ..english() };
    let expected = whole.transcribe(upload.clone(), &options).await.unwrap();
    let transcriber = in_chapters(CHAPTER);
    let found = transcriber.transcribe(upload, &options).await.unwrap();
    assert_eq!((found.duration, &found.incomplete), (expected.duration, &None));

    // Windows follow each other without a hole, and none is longer than a chapter.
    assert!(found.windows.len() >= 5, "{:?}", found.windows);
    assert!(found.windows.windows(2).all(|pair| pair[0].end <= pair[1].start));
    assert!(
        found
            .segments
            .iter()
            .all(|segment| segment.window_start <= segment.start && segment.start < segment.end)
    );
    assert!(found.segments.windows(2).all(|pair| pair[0].start <= pair[1].start));

    // The same words but for one or two, each where it was.
    let (expected, found) = (words(&expected), words(&found));
    assert!(expected.len() > 200, "{}", expected.len());
    let matched = similar(&expected, &found);
    assert!(
        matched.len() * 100 >= expected.len().max(found.len()) * 98,
        "{} of {}",
        matched.len(),
        expected.len()
    );
    let off = matched.iter().filter(|(a, b)| (a.1 - b.1).abs() > 0.3 || (a.2 - b.2).abs() > 0.3).count();
    assert!(off * 50 <= matched.len(), "{off} of {} words are elsewhere", matched.len());
}

type Placed = (String, f64, f64);

/// Words that stand in both, in order: the longest common subsequence.
fn similar(a: &[Placed], b: &[Placed]) -> Vec<(Placed, Placed)> {
    let mut longest = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i][j] = match a[i].0 == b[j].0 {
                true => longest[i + 1][j + 1] + 1,
                false => longest[i + 1][j].max(longest[i][j + 1]),
            };
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < a.len() && j < b.len() {
        match () {
            () if a[i].0 == b[j].0 => {
                pairs.push((a[i].clone(), b[j].clone()));
                (i, j) = (i + 1, j + 1);
            }
            () if longest[i + 1][j] >= longest[i][j + 1] => i += 1,
            () => j += 1,
        }
    }
    pairs
}

#[tokio::test]
async fn whoever_reads_along_is_told_chapter_after_chapter_what_stands_in_the_answer() {
    let transcriber = in_chapters(CHAPTER);
    let (hearer, mut told) = unbounded_channel();
    let sound = recording("english-long.mp3").into();
    let answer = transcriber.transcribe_on(sound, &english(), Terms::default(), Some(hearer)).await.unwrap();
    let mut segments = Vec::new();
    while let Some(some) = told.recv().await {
        segments.extend(some);
    }
    assert!(answer.windows.len() >= 3);
    assert_eq!(texts(&segments), texts(&answer.segments));
}

#[tokio::test]
async fn a_language_is_found_in_the_first_chapter_that_has_one() {
    let transcriber = in_chapters(CHAPTER);
    let alone = transcriber.transcribe(recording("german.wav"), &Options::default()).await.unwrap();
    let german = transcriber.decode(recording("german.wav")).await.unwrap().pcm.into_samples();
    // Nobody speaks in the first two chapters, and in the third only at its end.
    let silence = vec![0.0; 100 * SAMPLE_RATE];
    let late = wav(&[&silence[..], &german, &silence[..10 * SAMPLE_RATE], &german].concat());
    let found = transcriber.transcribe(late.clone(), &Options::default()).await.unwrap();
    assert_eq!(found.language, alone.language);
    assert_eq!(found.language.code, "de");
    assert!(found.language_probability.unwrap() > 0.5);
    assert_eq!(found.text(), format!("{} {}", alone.text(), alone.text()));
    assert!(found.segments[0].start >= Duration::from_secs(100));
    let languages = transcriber.languages(late.into(), &Options::default(), Terms::default()).await.unwrap();
    assert_eq!(languages[0].0.code, "de");
    // Nobody at all.
    let nothing = transcriber.transcribe(wav(&silence), &Options::default()).await.unwrap();
    assert!(
        nothing.no_speech() && nothing.segments.is_empty() && nothing.duration == Duration::from_secs(100)
    );
}

#[tokio::test]
async fn files_and_samples_are_cut_alike_and_what_is_missing_is_told() {
    let transcriber = in_chapters(CHAPTER);
    let file = recording("english-long.mp3");
    let decoded = transcriber.decode(file.clone()).await.unwrap();
    let as_file = transcriber.transcribe(file.clone(), &english()).await.unwrap();
    let sound = verbatim::transcriber::Sound::Pcm(decoded.pcm);
    let as_samples = transcriber.transcribe_on(sound, &english(), Terms::default(), None).await.unwrap();
    assert_eq!(texts(&as_file.segments), texts(&as_samples.segments));
    assert_eq!(as_file.windows, as_samples.windows);

    let cut = file.slice(..file.len() * 4 / 5);
    let whole = in_chapters(0).transcribe(cut.clone(), &english()).await.unwrap();
    let chapters = transcriber.transcribe(cut, &english()).await.unwrap();
    assert!(whole.incomplete.is_some());
    assert_eq!(chapters.incomplete, whole.incomplete);
    assert_eq!(chapters.duration, whole.duration);
}
