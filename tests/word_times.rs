//! Where words begin and end, against the synthesiser's own events: the demo model hears the true text, and its attention is
//! followed as in a request. `cargo test --test word_times -- --nocapture` prints the figures.
//!
//! `WORD_TIMES_SPEECH` names another folder of recordings with a `truth.json` (tools/demo-model makes them), and
//! `WORD_TIMES_NOISE=20` adds white noise 20 dB below the speech.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use verbatim::audio::{Limits, MelFilters, Pcm, SAMPLE_RATE, Timeline, Window, decode};
use verbatim::model::files::ModelFiles;
use verbatim::model::whisper::{DeviceRequest, LoadOptions, Whisper};
use verbatim::model::{AlignRow, Alignment, Lane, Model, Slot};
use verbatim::text::{Token, Tokenizer, language};
use verbatim::timing::{Aligned, Place, give, quiet, text_tokens, token_frames, words};
use verbatim::transcript::Segment;

#[derive(serde::Deserialize)]
struct Clip {
    file: String,
    language: String,
    segments: Vec<Said>,
    words: Vec<Said>,
}

#[derive(serde::Deserialize)]
struct Said {
    start: f64,
    end: f64,
    #[serde(alias = "word")]
    text: String,
}

fn folder() -> PathBuf {
    std::env::var_os("WORD_TIMES_SPEECH").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/speech"),
        PathBuf::from,
    )
}

fn clips() -> Vec<Clip> {
    serde_json::from_slice(&std::fs::read(folder().join("truth.json")).unwrap()).unwrap()
}

fn listen(clip: &Clip) -> Pcm {
    let limits = Limits {
        max_duration: Duration::from_secs(600),
        max_decoded_bytes: 1 << 30,
        max_channels: 2,
        max_decode_time: Duration::from_secs(60),
    };
    let pcm = decode(std::fs::read(folder().join(&clip.file)).unwrap().into(), &limits).unwrap().pcm;
    let below: Option<f32> =
        std::env::var("WORD_TIMES_NOISE").ok().map(|db| db.parse().expect("a number of dB"));
    below.map_or(pcm.clone(), |below| in_noise(&pcm, below))
}

/// White noise so many dB below the mean of the recording.
fn in_noise(pcm: &Pcm, below: f32) -> Pcm {
    let power = pcm.samples().iter().map(|sample| sample * sample).sum::<f32>() / pcm.samples().len() as f32;
    // Evenly spread over -1..1, it has a third of its square.
    let loudness = (3.0 * power / 10f32.powf(below / 10.0)).sqrt();
    let mut state = 1u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    Pcm::from_16k_mono(pcm.samples().iter().map(|sample| sample + loudness * noise()).collect())
}

struct Aligner {
    whisper: Whisper,
    tokenizer: Tokenizer,
    mel: MelFilters,
}

impl Aligner {
    fn load() -> Self {
        let options = LoadOptions { device: DeviceRequest::Cpu, slots: Some(1), ..Default::default() };
        let whisper = Whisper::load(&ModelFiles::Demo, &options).unwrap();
        let tokenizer = Tokenizer::from_json(&ModelFiles::Demo.require("tokenizer.json").unwrap()).unwrap();
        let mel = MelFilters::new(whisper.info().n_mels);
        Aligner { whisper, tokenizer, mel }
    }

    fn prompt(&self, clip: &Clip) -> Vec<Token> {
        let specials = self.tokenizer.specials();
        let language = specials.language_token(language::by_code(&clip.language).unwrap()).unwrap();
        vec![specials.start_of_transcript, language, specials.transcribe, specials.no_timestamps]
    }

    fn align(&mut self, samples: &[f32], prompt: &[Token], segments: &[Segment]) -> Alignment {
        let mut tokens = prompt.to_vec();
        tokens.extend(text_tokens(segments, &self.tokenizer));
        let text_below = self.tokenizer.specials().end_of_text;
        tokens.push(text_below);
        self.whisper.encode(&[(Slot(0), Arc::new(self.mel.log_mel(samples)))]).unwrap();
        let frames = samples.len() / 320;
        let row = AlignRow { slot: Slot(0), lane: Lane(0), tokens, frames, text_below };
        self.whisper.align(&[row]).unwrap().remove(0)
    }

    fn segment(&self, text: &str, start: Duration, end: Duration) -> Segment {
        Segment {
            start,
            end,
            text: format!(" {text}"),
            tokens: self.tokenizer.encode(&format!(" {text}")),
            avg_logprob: -0.1,
            compression_ratio: 1.0,
            ..Segment::default()
        }
    }
}

#[derive(Default)]
struct Errors {
    starts: Vec<f64>,
    ends: Vec<f64>,
    worst: Vec<(f64, String)>,
}

impl Errors {
    fn add(&mut self, clip: &Clip, truth: &[&Said], segments: &[Segment]) {
        let found: Vec<_> = segments.iter().flat_map(|segment| &segment.words).collect();
        let texts = |words: &[&str]| words.iter().map(|word| word.trim().to_owned()).collect::<Vec<_>>();
        assert_eq!(
            texts(&found.iter().map(|word| word.text.as_str()).collect::<Vec<_>>()),
            texts(&truth.iter().map(|word| word.text.as_str()).collect::<Vec<_>>()),
            "{}",
            clip.file
        );
        for (found, truth) in found.iter().zip(truth) {
            let start = found.start.as_secs_f64() - truth.start;
            let end = found.end.as_secs_f64() - truth.end;
            self.starts.push(start);
            self.ends.push(end);
            let what = format!(
                "{} {:?} {:.2}-{:.2} found {:.2}-{:.2}",
                clip.file,
                truth.text,
                truth.start,
                truth.end,
                found.start.as_secs_f64(),
                found.end.as_secs_f64()
            );
            self.worst.push((start.abs().max(end.abs()), what));
        }
    }

    /// Median, 95th percentile and the share within 0.2 s, of all edges.
    fn report(&mut self, what: &str) -> (f64, f64) {
        let all = [&self.starts[..], &self.ends[..]].concat();
        for (name, edges) in [("starts", &self.starts), ("ends", &self.ends), ("edges", &all)] {
            let bias = edges.iter().sum::<f64>() / edges.len() as f64;
            let (median, high, within) = figures(edges);
            println!(
                "{what}: {name} {}: median {:.0} ms, p95 {:.0} ms, {:.1} % within 200 ms, bias {:+.0} ms",
                edges.len(),
                median * 1e3,
                high * 1e3,
                within * 100.0,
                bias * 1e3
            );
        }
        self.worst.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (off, word) in self.worst.iter().take(8) {
            println!("    {off:.2} {word}");
        }
        let (median, _, within) = figures(&all);
        (median, within)
    }
}

fn figures(errors: &[f64]) -> (f64, f64, f64) {
    let mut errors: Vec<f64> = errors.iter().map(|error| error.abs()).collect();
    errors.sort_by(f64::total_cmp);
    let within = errors.iter().filter(|error| **error <= 0.2).count() as f64 / errors.len() as f64;
    (errors[errors.len() / 2], errors[errors.len() * 95 / 100], within)
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// What was said within the window.
fn within<'a>(said: &'a [Said], window: &Window) -> Vec<&'a Said> {
    let holds = |said: &&Said| {
        let middle = seconds((said.start + said.end) / 2.0);
        (window.start()..window.end()).contains(&middle)
    };
    said.iter().filter(holds).collect()
}

#[test]
fn word_edges_lie_where_the_synthesiser_put_them() {
    let mut aligner = Aligner::load();
    let mut bare = Errors::default();
    let mut in_speech = Errors::default();
    let mut without = Errors::default();
    let mut with_timestamps = Errors::default();
    for clip in clips() {
        let pcm = listen(&clip);
        let language = language::by_code(&clip.language);
        let prompt = aligner.prompt(&clip);
        for window in Timeline::whole(&pcm).windows(&pcm, seconds(30.0)) {
            let truth = within(&clip.words, &window);
            let said = within(&clip.segments, &window);
            let segments: Vec<Segment> = said
                .iter()
                .map(|said| aligner.segment(&said.text, seconds(said.start), seconds(said.end)))
                .collect();
            let alignment = aligner.align(&window.samples(&pcm), &prompt, &segments);
            let speech: Vec<_> = said
                .iter()
                .map(|said| {
                    (said.start * SAMPLE_RATE as f64) as usize..(said.end * SAMPLE_RATE as f64) as usize
                })
                .collect();
            let calm = quiet(&window.samples(&pcm));
            let place = |mut segments: Vec<Segment>, (speech, quiet): (&[_], &[_]), errors: &mut Errors| {
                let heard =
                    Aligned { segments: &segments, alignment: Some(&alignment), prompt: prompt.len() };
                let found = words(heard, &aligner.tokenizer, language);
                give(&mut segments, found, Place { window: &window, speech, quiet });
                errors.add(&clip, &truth, &segments);
            };
            place(segments.clone(), (&[], &[]), &mut bare);
            place(segments.clone(), (&speech, &[]), &mut in_speech);
            place(segments, (&[], &calm), &mut with_timestamps);
            // One segment over everything, as a text without timestamps would be.
            let text: Vec<&str> = said.iter().map(|said| said.text.as_str()).collect();
            let whole = aligner.segment(&text.join(" "), window.start(), window.end());
            place(vec![whole], (&[], &calm), &mut without);
        }
    }
    bare.report("by attention and timestamps alone");
    in_speech.report("with the true spans of speech");
    without.report("with quiet stretches, without timestamps");
    let (median, within) = with_timestamps.report("with quiet stretches");
    assert!(median <= 0.06, "word edges are off by {median} s in the median");
    assert!(within >= 0.95, "only {within} of the word edges are within 0.2 s");
}

/// `cargo test --release --test word_times -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn what_the_times_of_a_full_window_take() {
    let (heads, tokens, frames) = (10, 120, 1500);
    let score = |at: usize| ((at.wrapping_mul(2_654_435_761) >> 7) % 1000) as f32 / 250.0;
    let scores = (0..heads * tokens * frames).map(score).collect();
    let alignment = Alignment { heads, tokens, frames, scores, probabilities: vec![0.5; tokens - 1] };
    let mut times = Vec::new();
    for _ in 0..20 {
        let started = std::time::Instant::now();
        assert_eq!(token_frames(&alignment, 4).map(|begins| begins.len()), Some(tokens - 4));
        times.push(started.elapsed());
    }
    times.sort();
    println!(
        "{heads} heads x {tokens} tokens x {frames} frames: {:?} in the median, {:?} at best",
        times[10], times[0]
    );
}
