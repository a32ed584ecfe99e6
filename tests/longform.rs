//! Whole recordings in the sequential mode, beside OpenAI's own `transcribe` and transformers' long-form generate on the same
//! weights (recorded): segments, tokens and times. How it was recorded: tools/parity/README.md.
//!
//! The reference pads the last window's log-mel with zeros, which are loud; it was recorded with silence there, as transformers
//! and we have it. Left out is what is not offered: `clip_timestamps`, `carry_initial_prompt`, `hallucination_silence_threshold`;
//! and windows that begin where the last word ended, as the reference's do when words are asked for: our text does not
//! depend on that.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

#[path = "support/demo.rs"]
mod demo;

use bytes::Bytes;
use serde::Deserialize;
use verbatim::text::language;
use verbatim::transcriber::Transcriber;
use verbatim::transcript::{Context, Fallback, LongForm, Options, Search, Speech, Transcript};

#[derive(Deserialize)]
struct Recorded {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    file: String,
    options: Option<Asked>,
    transformers_options: Option<Theirs>,
    segments: Vec<Expected>,
    stable: Option<bool>,
    #[serde(default)]
    attempts: Vec<Attempt>,
}

#[derive(Deserialize)]
struct Asked {
    language: Option<String>,
    temperature: Vec<f32>,
    beam_size: Option<usize>,
    condition_on_previous_text: bool,
    initial_prompt: Option<String>,
    carry_initial_prompt: bool,
    word_timestamps: bool,
    compression_ratio_threshold: Option<f32>,
    logprob_threshold: Option<f32>,
    no_speech_threshold: Option<f32>,
    hallucination_silence_threshold: Option<f32>,
    clip_timestamps: Vec<f64>,
    tail: String,
}

#[derive(Deserialize)]
struct Theirs {
    language: String,
    condition_on_prev_tokens: bool,
    #[serde(default)]
    num_beams: Option<usize>,
    #[serde(default)]
    logprob_threshold: Option<f32>,
    #[serde(default)]
    temperature: serde_json::Value,
}

#[derive(Deserialize)]
struct Attempt {
    temperature: f32,
}

#[derive(Deserialize)]
struct Expected {
    start: f64,
    end: f64,
    tokens: Vec<u32>,
    #[serde(default)]
    avg_logprob: Option<f32>,
}

impl Case {
    /// Texts that were drawn are of other random numbers than ours.
    fn is_drawn(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.temperature > 0.0)
    }

    fn options(&self) -> Option<Options> {
        let sequential = |condition_on_previous_text| LongForm::Sequential {
            condition_on_previous_text,
            prompt_reset_on_temperature: 0.5,
        };
        let search = |beams: Option<usize>| Search { beam_size: beams.unwrap_or(1), ..Search::default() };
        let plain = Options { speech: Speech { detect: false, ..Speech::default() }, ..Options::default() };
        if let Some(asked) = &self.options {
            let offered = asked.clip_timestamps == [0.0]
                && !asked.carry_initial_prompt
                && asked.hallucination_silence_threshold.is_none()
                && !asked.word_timestamps
                && asked.tail == "silence";
            return (offered && self.stable == Some(true) && !self.is_drawn()).then(|| Options {
                language: asked.language.as_deref().map(|code| language::parse(code).unwrap()),
                context: Context { prompt: asked.initial_prompt.clone(), ..Context::default() },
                long_form: sequential(asked.condition_on_previous_text),
                search: search(asked.beam_size),
                fallback: Fallback {
                    temperatures: asked.temperature.clone(),
                    compression_ratio_threshold: asked.compression_ratio_threshold,
                    logprob_threshold: asked.logprob_threshold,
                    no_speech_threshold: asked.no_speech_threshold,
                },
                ..plain
            });
        }
        let theirs = self.transformers_options.as_ref()?;
        // With a ladder their temperatures are drawn from; without thresholds nothing is judged.
        let plain_run = theirs.logprob_threshold.is_none() && !theirs.temperature.is_array();
        plain_run.then(|| Options {
            language: language::by_code(&theirs.language),
            long_form: sequential(theirs.condition_on_prev_tokens),
            search: search(theirs.num_beams),
            fallback: Fallback {
                temperatures: vec![0.0],
                compression_ratio_threshold: None,
                logprob_threshold: None,
                no_speech_threshold: None,
            },
            ..plain
        })
    }
}

fn upload(file: &str) -> Bytes {
    let path = format!("{}/tests/fixtures/speech/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap().into()
}

async fn hear(transcriber: &Transcriber, case: &Case) -> Option<Transcript> {
    let options = case.options()?;
    Some(transcriber.transcribe(upload(&case.file), &options).await.unwrap())
}

fn differences(case: &Case, heard: &Transcript, is_text: impl Fn(u32) -> bool) -> Vec<String> {
    let text =
        |tokens: &[u32]| -> Vec<u32> { tokens.iter().copied().filter(|token| is_text(*token)).collect() };
    let expected: Vec<&Expected> =
        case.segments.iter().filter(|segment| !text(&segment.tokens).is_empty()).collect();
    if heard.segments.len() != expected.len() {
        return vec![format!(
            "{}: {} segments where {} were recorded",
            case.name,
            heard.segments.len(),
            expected.len()
        )];
    }
    let mut found = Vec::new();
    for (ours, theirs) in heard.segments.iter().zip(expected) {
        if text(&ours.tokens) != text(&theirs.tokens) {
            found.push(format!("{}: {:?} where {:?} was recorded", case.name, ours.tokens, theirs.tokens));
        }
        let off = |ours: std::time::Duration, theirs: f64| (ours.as_secs_f64() - theirs).abs() > 0.021;
        // A lone segment begins at its timestamp in ours, with its window in theirs.
        let begins = !off(ours.start, theirs.start) || !off(ours.window_start, theirs.start);
        if !begins || off(ours.end, theirs.end) {
            found.push(format!(
                "{}: {:?}-{:?}, recorded {}-{}",
                case.name, ours.start, ours.end, theirs.start, theirs.end
            ));
        }
        if theirs.avg_logprob.is_some_and(|theirs| (theirs - ours.avg_logprob).abs() > 5e-3) {
            found.push(format!("{}: avg_logprob {} {:?}", case.name, ours.avg_logprob, theirs.avg_logprob));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_recordings_are_heard_as_the_reference_and_transformers_hear_them() {
    let (transcriber, _worker) = demo::transcriber();
    let recorded: Recorded = serde_json::from_str(include_str!("fixtures/parity/longform.json")).unwrap();
    // <|endoftext|> of the demo model.
    let is_text = |token: u32| token < 768;
    let (mut compared, mut found) = (0, Vec::new());
    let heard = futures::future::join_all(recorded.cases.iter().map(|case| hear(&transcriber, case))).await;
    for (case, heard) in recorded.cases.iter().zip(&heard) {
        if let Some(heard) = heard {
            compared += 1;
            found.extend(differences(case, heard, is_text));
        }
    }
    assert!(compared > 10, "{compared} cases");
    assert!(found.is_empty(), "{} in {compared} cases:\n{}", found.len(), found.join("\n"));
    println!("{compared} of {} recordings compared", recorded.cases.len());
}
