//! The demo model behind the real engine: the same window gives the same tokens alone, in a crowd, and in any slot.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

use std::sync::Arc;
use std::time::Duration;

use verbatim::audio::{MelFilters, Pcm, SAMPLE_RATE};
use verbatim::decoding::{Hypothesis, Request, Rules, Sequence, Spoken};
use verbatim::engine::{Engine, Settings, Worker};
use verbatim::model::files::ModelFiles;
use verbatim::model::whisper::{DeviceRequest, LoadOptions, Whisper};
use verbatim::text::Tokenizer;
use verbatim::transcript::{Fallback, Search};

struct Demo {
    engine: Engine,
    worker: Worker,
    rules: Arc<Rules>,
    mel: MelFilters,
}

fn start(slots: usize, encode_batch: usize) -> Demo {
    start_with(slots, encode_batch, None)
}

fn start_with(slots: usize, encode_batch: usize, lanes: Option<usize>) -> Demo {
    let options = LoadOptions { device: DeviceRequest::Cpu, slots: Some(slots), lanes, ..Default::default() };
    let whisper = Whisper::load(&ModelFiles::Demo, &options).unwrap();
    let tokenizer = Tokenizer::from_json(&ModelFiles::Demo.require("tokenizer.json").unwrap()).unwrap();
    let rules = Arc::new(Rules::new(tokenizer.into(), whisper.generation(), whisper.info()));
    let mel = MelFilters::new(whisper.info().n_mels);
    let settings = Settings { encode_batch, ..Default::default() };
    let (engine, worker) = Engine::start(Box::new(whisper), settings);
    Demo { engine, worker, rules, mel }
}

impl Demo {
    fn sequence(&self, pcm: &Pcm, request: Request) -> Sequence {
        let mel = Arc::new(self.mel.log_mel(pcm.samples()));
        Sequence::new(self.rules.clone(), request, mel, pcm.duration())
    }
}

/// Twelve different windows: tones whose pitch wanders, of different lengths and loudness, which the model takes for
/// some speech or other. What it hears does not matter here, only that it always hears the same.
fn windows() -> Vec<(Pcm, Request)> {
    (0..12u32)
        .map(|index| {
            let seconds = 1 + index as usize % 7;
            let samples = (0..seconds * SAMPLE_RATE)
                .map(|at| {
                    let time = at as f32 / SAMPLE_RATE as f32;
                    let pitch = 110.0 + 37.0 * index as f32 + 60.0 * (time * (2.0 + index as f32)).sin();
                    let syllables = (time * 4.0 * std::f32::consts::PI).sin().max(0.0);
                    let harmonics =
                        (1..20).map(|n| (n as f32 * time * pitch * std::f32::consts::TAU).sin() / n as f32);
                    harmonics.sum::<f32>() * syllables * (0.02 + 0.02 * index as f32)
                })
                .collect();
            let request = Request {
                // Some detect their language, some sample, some do neither.
                language: match index % 3 {
                    0 => Spoken::Detect { among: Arc::default(), otherwise: None, threshold: 0.5 },
                    _ => Spoken::Known(Some(770)),
                },
                fallback: Fallback {
                    temperatures: vec![if index % 4 == 1 { 0.7 } else { 0.0 }],
                    ..Fallback::default()
                },
                search: Search {
                    seed: u64::from(index),
                    // Some search with beams, some draw three times.
                    beam_size: if index % 6 == 2 { 5 } else { 1 },
                    best_of: if index % 8 == 1 { 3 } else { 1 },
                    ..Search::default()
                },
                words: index % 2 == 0,
                ..Default::default()
            };
            (Pcm::from_16k_mono(samples), request)
        })
        .collect()
}

/// Log-probabilities may differ in their last digits, for matrix products add up in another order for another number
/// of rows; tokens may not.
fn assert_same(alone: &[Hypothesis], crowd: &[Hypothesis]) {
    for (index, (alone, crowd)) in alone.iter().zip(crowd).enumerate() {
        assert_eq!(alone.tokens, crowd.tokens, "window {index}");
        assert_eq!(alone.language, crowd.language, "window {index}");
        assert!((alone.avg_logprob - crowd.avg_logprob).abs() < 1e-3, "window {index}");
        assert!((alone.no_speech_prob - crowd.no_speech_prob).abs() < 1e-3, "window {index}");
        let scores = |hypothesis: &Hypothesis| {
            hypothesis.alignment.as_ref().map_or(Vec::new(), |aligned| aligned.alignment.scores.clone())
        };
        let (alone, crowd) = (scores(alone), scores(crowd));
        assert_eq!(alone.len(), crowd.len(), "window {index}");
        assert!(alone.iter().zip(&crowd).all(|(a, b)| (a - b).abs() < 1e-2), "window {index}: its alignment");
    }
}

async fn run(demo: &Demo, at_once: usize) -> Vec<Hypothesis> {
    use futures::{StreamExt, TryStreamExt, stream};
    let sequences: Vec<Sequence> =
        windows().into_iter().map(|(pcm, request)| demo.sequence(&pcm, request)).collect();
    let outcomes: Vec<_> = stream::iter(sequences)
        .map(|sequence| demo.engine.submit(sequence))
        .buffered(at_once)
        .try_collect()
        .await
        .unwrap();
    outcomes.into_iter().map(|outcome| outcome.hypothesis).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_answer_alone_or_in_a_crowd() {
    let alone = run(&start(1, 1), 1).await;
    assert!(alone.iter().any(|hypothesis| hypothesis.tokens.len() > 2), "the windows must give some text");
    assert!(alone.iter().any(|hypothesis| hypothesis.alignment.is_some()), "some texts must be aligned");
    // Five slots for twelve windows: slots are refilled while others go on.
    assert_same(&alone, &run(&start(5, 3), 12).await);
    assert_same(&alone, &run(&start(12, 12), 12).await);
    // Two beam searches do not fit into the lanes at once: one waits, and the others go on.
    assert_same(&alone, &run(&start_with(4, 2, Some(6)), 12).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_whose_caller_left_frees_its_slot() {
    let demo = start(1, 1);
    let (pcm, request) = windows().swap_remove(6);
    let left = tokio::time::timeout(
        Duration::from_millis(1),
        demo.engine.submit(demo.sequence(&pcm, request.clone())),
    );
    // Whether the first window had begun or not, the second is answered by the only slot.
    let _ = left.await;
    let outcome = demo.engine.submit(demo.sequence(&pcm, request)).await.unwrap();
    assert_eq!(outcome.batch_size, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_thread_ends_when_nobody_can_ask_any_more() {
    let Demo { engine, mut worker, .. } = start(1, 1);
    drop(engine);
    assert_eq!(worker.ended().await, Ok(()));
}
