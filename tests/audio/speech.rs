//! Recordings of speech and of other sounds in; where somebody speaks out, held against what is known of them.

use std::ops::Range;
use std::time::{Duration, Instant};

use verbatim::audio::{Pcm, SAMPLE_RATE, Timeline, samples_in, speech};
use verbatim::transcript::Speech;

use super::{Dice, read};

/// One recording whose words are known.
pub(super) struct Told {
    pub(super) pcm: Pcm,
    pub(super) words: Vec<Range<usize>>,
    /// Sentences.
    pub(super) segments: Vec<Range<usize>>,
}

/// The recordings of `tests/fixtures/speech`.
pub(super) fn told() -> Vec<Told> {
    let folder = format!("{}/tests/fixtures/speech", env!("CARGO_MANIFEST_DIR"));
    let truth: serde_json::Value =
        serde_json::from_slice(&std::fs::read(format!("{folder}/truth.json")).unwrap()).unwrap();
    let spans = |list: &serde_json::Value| -> Vec<Range<usize>> {
        let at = |time: &serde_json::Value| (time.as_f64().unwrap() * SAMPLE_RATE as f64) as usize;
        list.as_array().unwrap().iter().map(|one| at(&one["start"])..at(&one["end"])).collect()
    };
    let tell = |file: &serde_json::Value| {
        let bytes = std::fs::read(format!("{folder}/{}", file["file"].as_str().unwrap())).unwrap();
        Told {
            pcm: read(bytes).unwrap().pcm,
            words: spans(&file["words"]),
            segments: spans(&file["segments"]),
        }
    };
    truth.as_array().unwrap().iter().map(tell).collect()
}

fn timeline(pcm: &Pcm) -> Timeline {
    let how = Speech::default();
    Timeline::of_speech(&speech(pcm, &how), pcm.samples().len(), &how)
}

/// Those of `words` that do not lie within one piece of `timeline`.
fn outside(words: &[Range<usize>], timeline: &Timeline) -> Vec<Range<usize>> {
    let inside = |word: &Range<usize>| {
        timeline.pieces().iter().any(|piece| piece.start <= word.start && word.end <= piece.end)
    };
    words.iter().filter(|word| !inside(word)).cloned().collect()
}

fn changed(pcm: &Pcm, change: impl FnMut(f32) -> f32) -> Pcm {
    Pcm::from_16k_mono(pcm.samples().iter().copied().map(change).collect())
}

#[test]
fn no_word_lies_outside_the_speech_loud_or_quiet_clean_or_in_noise() {
    let mut dice = Dice(5);
    for (number, told) in told().iter().enumerate() {
        let clean = timeline(&told.pcm);
        assert!(outside(&told.words, &clean).is_empty(), "recording {number}: {:?}", clean.pieces());
        let quiet = changed(&told.pcm, |sample| sample * 0.01);
        assert!(outside(&told.words, &timeline(&quiet)).is_empty(), "recording {number}, quiet");
        // White noise some 10 dB below the speech.
        let noisy = changed(&told.pcm, |sample| {
            (sample + ((dice.roll() >> 40) as f32 / (1 << 23) as f32 - 1.0) * 0.03).clamp(-1.0, 1.0)
        });
        assert!(outside(&told.words, &timeline(&noisy)).is_empty(), "recording {number}, in noise");
    }
}

#[test]
fn long_pauses_are_left_out() {
    let told = told();
    let long = &told[4];
    let timeline = timeline(&long.pcm);
    // 19 sentences with up to 2.4 s between them: what is left out is a part of the pauses.
    assert!(timeline.pieces().len() > 5, "{:?}", timeline.pieces());
    assert!(timeline.len() < long.pcm.samples().len());
}

#[test]
fn silence_and_steady_noise_hold_next_to_no_speech() {
    let mut dice = Dice(9);
    let minute = 60 * SAMPLE_RATE;
    for loud in [0.0, 0.0005, 0.01, 0.3] {
        let noise: Vec<f32> =
            (0..minute).map(|_| ((dice.roll() >> 40) as f32 / (1 << 23) as f32 - 1.0) * loud).collect();
        let heard: usize =
            speech(&Pcm::from_16k_mono(noise), &Speech::default()).iter().map(Range::len).sum();
        assert!(heard < minute / 50, "loudness {loud}: {heard} samples");
    }
}

/// What `tools/vad/measure.sh` runs: the table of docs/speech.md, from the sounds that `tools/vad/corpus.py` made.
#[test]
#[ignore = "needs the sounds of tools/vad/corpus.py in the folder VAD_CORPUS"]
fn speech_is_measured() {
    let folder = std::env::var("VAD_CORPUS").expect("VAD_CORPUS names a folder");
    let truth: serde_json::Value =
        serde_json::from_slice(&std::fs::read(format!("{folder}/truth.json")).unwrap()).unwrap();
    let threshold = std::env::var("VAD_THRESHOLD").ok().map(|text| text.parse().unwrap());
    let mut how = Speech::default();
    how.threshold = threshold.unwrap_or(how.threshold);
    let mut rows: Vec<(String, Figures)> = Vec::new();
    let (mut heard, mut took) = (Duration::ZERO, Duration::ZERO);
    for file in truth.as_array().unwrap() {
        let bytes = std::fs::read(format!("{folder}/{}", file["file"].as_str().unwrap())).unwrap();
        let sample = |pair: &[u8]| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32768.0;
        let pcm = Pcm::from_16k_mono(bytes.chunks_exact(2).map(sample).collect());
        let started = Instant::now();
        let spans = speech(&pcm, &how);
        took += started.elapsed();
        heard += pcm.duration();
        let time = |word: &serde_json::Value, at: usize| {
            samples_in(Duration::from_secs_f64(word[at].as_f64().unwrap()))
        };
        let words: Vec<_> =
            file["words"].as_array().unwrap().iter().map(|word| time(word, 1)..time(word, 2)).collect();
        let kind = file["kind"].as_str().unwrap().to_owned();
        if rows.iter().all(|(known, _)| *known != kind) {
            rows.push((kind.clone(), Figures::default()));
        }
        let row = rows.iter_mut().find(|(known, _)| *known == kind).unwrap();
        row.1.add(&words, &spans, pcm.samples().len(), &how);
    }
    println!("| Sound | Words | Missed | Cut into | Frame error | False speech |\n|---|--:|--:|--:|--:|--:|");
    for (kind, row) in rows {
        let percent =
            |part: usize, whole: usize| format!("{:.1} %", 100.0 * part as f64 / whole.max(1) as f64);
        let (error, false_speech) = (percent(row.wrong, row.frames), percent(row.false_frames, row.empty));
        println!("| {kind} | {} | {} | {} | {error} | {false_speech} |", row.words, row.missed, row.cut);
    }
    println!("\n{:.0} times real time on one core", heard.as_secs_f64() / took.as_secs_f64());
}

#[derive(Default)]
struct Figures {
    words: usize,
    /// Less than half of the word is within the padded speech; 20 ms or more of it are not.
    missed: usize,
    cut: usize,
    /// Frames of 10 ms; those in which speech and truth differ, pauses shorter than the least silence being speech.
    frames: usize,
    wrong: usize,
    /// Further from every word than the padding; those that are transcribed nevertheless.
    empty: usize,
    false_frames: usize,
}

impl Figures {
    fn add(&mut self, words: &[Range<usize>], spans: &[Range<usize>], len: usize, how: &Speech) {
        const FRAME: usize = SAMPLE_RATE / 100;
        let marked = |ranges: &[Range<usize>], padding: usize| {
            let mut marked = vec![false; len / FRAME + 1];
            for range in ranges {
                let (from, to) = (range.start.saturating_sub(padding), (range.end + padding).min(len));
                marked[from / FRAME..(to / FRAME).max(from / FRAME)].fill(true);
            }
            marked
        };
        let bridged = |ranges: &[Range<usize>]| {
            let mut bridged: Vec<Range<usize>> = Vec::new();
            for range in ranges {
                match bridged.last_mut() {
                    Some(last) if range.start < last.end + samples_in(how.min_silence) => {
                        last.end = range.end
                    }
                    _ => bridged.push(range.clone()),
                }
            }
            bridged
        };
        let (truth, spans) = (bridged(words), bridged(spans));
        let padding = samples_in(how.padding);
        let (said, near) = (marked(&truth, 0), marked(&truth, padding));
        let (heard, kept) = (marked(&spans, 0), marked(&spans, padding));
        for word in words {
            let frames = &kept[word.start / FRAME..(word.end / FRAME).min(kept.len())];
            let inside = frames.iter().filter(|kept| **kept).count();
            self.words += 1;
            self.missed += usize::from(2 * inside < frames.len());
            self.cut += usize::from(2 * inside >= frames.len() && inside + 2 < frames.len());
        }
        self.frames += said.len();
        self.wrong += said.iter().zip(&heard).filter(|(said, heard)| said != heard).count();
        self.empty += near.iter().filter(|near| !**near).count();
        self.false_frames += near.iter().zip(&kept).filter(|(near, kept)| !**near && **kept).count();
    }
}
