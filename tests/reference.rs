//! The demo model beside OpenAI's own code on the same weights (recorded): greedy and beam search, prompts, suppression,
//! translation, languages; alone, and all cases in one crowd. How it was recorded: tools/parity/README.md.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

#[path = "support/demo.rs"]
mod demo;

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use serde::Deserialize;
use verbatim::text::language;
use verbatim::transcriber::Transcriber;
use verbatim::transcript::{Context, Fallback, Options, Search, Speech, Task, Tokens, Transcript};

#[derive(Deserialize)]
struct Recorded {
    languages: Vec<Detected>,
    windows: Vec<Case>,
    compression_ratios: Vec<Ratio>,
}

#[derive(Deserialize)]
struct Detected {
    file: String,
    probabilities: std::collections::BTreeMap<String, f32>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    file: String,
    options: Asked,
    tokens: Vec<u32>,
    avg_logprob: f32,
    no_speech_prob: f32,
    compression_ratio: f32,
    /// Whether the reference gives the same where its log-mel is moved by as much as two right ones may differ.
    stable: bool,
}

#[derive(Deserialize)]
struct Asked {
    task: String,
    language: Option<String>,
    beam_size: Option<usize>,
    patience: Option<f32>,
    length_penalty: Option<f32>,
    prompt: Option<String>,
    prefix: Option<String>,
    without_timestamps: bool,
    suppress_tokens: Option<Vec<i64>>,
    suppress_blank: bool,
    max_initial_timestamp: Option<f64>,
}

#[derive(Deserialize)]
struct Ratio {
    text: String,
    ratio: f32,
}

fn recorded() -> Recorded {
    serde_json::from_str(include_str!("fixtures/parity/decoding.json")).unwrap()
}

fn upload(file: &str) -> Bytes {
    let path = format!("{}/tests/fixtures/speech/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap().into()
}

impl Asked {
    /// One attempt that is taken whatever it gives: what is compared is the decoding, not the judgement on it.
    fn options(&self) -> Options {
        let off = Fallback {
            temperatures: vec![0.0],
            compression_ratio_threshold: None,
            logprob_threshold: None,
            no_speech_threshold: None,
        };
        Options {
            task: if self.task == "translate" { Task::Translate } else { Task::Transcribe },
            language: self.language.as_deref().map(|code| language::parse(code).unwrap()),
            context: Context {
                prompt: self.prompt.clone(),
                prefix: self.prefix.clone(),
                keywords: Vec::new(),
            },
            search: Search {
                beam_size: self.beam_size.unwrap_or(1),
                patience: self.patience.unwrap_or(1.0),
                length_penalty: self.length_penalty,
                ..Search::default()
            },
            fallback: off,
            tokens: Tokens {
                suppress: self.suppress_tokens.clone().unwrap_or_else(|| vec![-1]),
                suppress_blank: self.suppress_blank,
                max_initial_timestamp: self.max_initial_timestamp.map(Duration::from_secs_f64),
                without_timestamps: self.without_timestamps,
            },
            speech: Speech { detect: false, ..Speech::default() },
            ..Options::default()
        }
    }
}

async fn replay(transcriber: &Transcriber, case: &Case) -> Transcript {
    transcriber.transcribe(upload(&case.file), &case.options.options()).await.unwrap()
}

fn differences(case: &Case, heard: &Transcript) -> Vec<String> {
    let tokens: Vec<u32> = heard.segments.iter().flat_map(|segment| segment.tokens.clone()).collect();
    let mut found = Vec::new();
    if tokens != case.tokens {
        found.push(format!("{}: {tokens:?} where {:?} was recorded", case.name, case.tokens));
    } else if let Some(segment) = heard.segments.first() {
        let figures = [
            ("avg_logprob", segment.avg_logprob, case.avg_logprob, 2e-3),
            ("no_speech_prob", segment.no_speech_prob, case.no_speech_prob, 2e-3),
            ("compression_ratio", segment.compression_ratio, case.compression_ratio, 1e-4),
        ];
        for (name, ours, theirs, tolerance) in figures {
            if (ours - theirs).abs() > tolerance {
                found.push(format!("{}: {name} {ours} where {theirs} was recorded", case.name));
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_option_gives_the_references_tokens_alone_and_in_a_crowd() {
    let (transcriber, _worker) = demo::transcriber();
    let recorded = recorded();
    let cases: Vec<&Case> = recorded.windows.iter().filter(|case| case.stable).collect();
    assert!(cases.len() > 20, "{} cases", cases.len());
    // Every third one alone: with all of them in the crowd that is enough to tell the two apart.
    let mut alone = Vec::new();
    for case in cases.iter().step_by(3) {
        alone.push(replay(&transcriber, case).await);
    }
    let crowd = join_all(cases.iter().map(|case| replay(&transcriber, case))).await;
    assert!(crowd.iter().any(|transcript| transcript.receipt.batch_size_seen > 4), "there was no crowd");
    let mut found = Vec::new();
    for (case, crowd) in cases.iter().zip(&crowd) {
        found.extend(differences(case, crowd));
    }
    for ((case, crowd), alone) in cases.iter().zip(&crowd).step_by(3).zip(&alone) {
        let tokens = |transcript: &Transcript| -> Vec<Vec<u32>> {
            transcript.segments.iter().map(|segment| segment.tokens.clone()).collect()
        };
        if tokens(alone) != tokens(crowd) {
            found.push(format!("{}: another text in a crowd", case.name));
        }
    }
    assert!(found.is_empty(), "{} of {} cases:\n{}", found.len(), cases.len(), found.join("\n"));
    println!("{} cases, all as recorded, alone and in a crowd", cases.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn languages_are_as_probable_as_the_reference_has_them() {
    let (transcriber, _worker) = demo::transcriber();
    for detected in recorded().languages {
        let options = Options { speech: Speech { detect: false, ..Speech::default() }, ..Options::default() };
        let heard = transcriber.transcribe(upload(&detected.file), &options).await.unwrap();
        // Files of several windows are detected in their first one, as long as it is sure.
        for (language, probability) in &heard.languages {
            let theirs = detected.probabilities[language.code];
            assert!(
                (probability - theirs).abs() < 5e-3,
                "{}: {} {probability}, {theirs}",
                detected.file,
                language.code
            );
        }
        assert_eq!(heard.languages.len(), detected.probabilities.len(), "{}", detected.file);
    }
}

#[test]
fn text_packs_as_zlib_packs_it_elsewhere() {
    for Ratio { text, ratio } in recorded().compression_ratios {
        let ours = verbatim::decoding::compression_ratio(&text);
        assert!((ours - ratio).abs() < 1e-5, "{text:?}: {ours}, {ratio} recorded");
    }
}
