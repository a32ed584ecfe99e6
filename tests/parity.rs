//! Our network against transformers' Whisper (recorded) and candle-transformers' (run here): same weights, same answers.
//!
//! The fixtures and how they are made: tools/parity/README.md. The weights are made here, written as a model folder and
//! loaded through the front door. `cargo test --test parity -- --nocapture` prints the differences that were measured.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

#[path = "support/random_weights.rs"]
mod random_weights;
#[path = "support/recorded.rs"]
mod recorded;
#[path = "support/seeded_shape.rs"]
mod seeded_shape;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use candle_core::{DType, Device, Tensor};
use candle_transformers::models::whisper as theirs;
use recorded::{Arrays, Clip, Folder, close};
use seeded_shape::{ENCODER, LOGITS, SeededShape, step};
use sha2::{Digest, Sha256};
use verbatim::audio::{Limits, LogMel, MelFilters, decode};
use verbatim::decoding::Rules;
use verbatim::model::files::ModelFiles;
use verbatim::model::kernels::Kernels;
use verbatim::model::whisper::{DeviceRequest, LoadOptions, Whisper};
use verbatim::model::{Model, Probe, Sample, Slot, Step};
use verbatim::text::{Token, Tokenizer};

#[test]
fn tiny_equals_transformers_in_every_slot_and_in_any_crowd() {
    compare_tiny(Kernels::Plain);
}

#[test]
fn tiny_by_our_own_kernels_equals_transformers_in_every_slot_and_in_any_crowd() {
    compare_tiny(Kernels::Own);
}

fn compare_tiny(kernels: Kernels) {
    let shape = SeededShape::load("tiny");
    let mut whisper = shape.open(4, kernels);
    shape.compare_encodings(&whisper, &[0, 1]);
    // Every case has a slot of its own, not in order, and each is alone first.
    let slots = [3, 1, 0, 2];
    for (case, slot) in slots.into_iter().enumerate() {
        shape.encode(&mut whisper, &[(case, slot)]);
        shape.compare_logits(&mut whisper, &[(case, slot)]);
        shape.compare_tokens(&mut whisper, &[(case, slot)]);
    }
    let crowd: Vec<(usize, usize)> = slots.into_iter().enumerate().collect();
    shape.encode(&mut whisper, &crowd);
    shape.compare_logits(&mut whisper, &crowd);
    shape.compare_tokens(&mut whisper, &crowd);
    shape.compare_attention(&mut whisper, 3);
}

#[test]
fn large_v3_equals_transformers_from_f16_shards() {
    compare_large("large-v3");
}

#[test]
fn large_v3_turbo_equals_transformers_from_bf16() {
    compare_large("large-v3-turbo");
}

/// Two cases at a time: the second pair finds the slots as the first left them, and must not notice.
fn compare_large(name: &'static str) {
    let shape = SeededShape::load(name);
    let mut whisper = shape.open(2, Kernels::Auto);
    shape.compare_encodings(&whisper, &[1]);
    shape.encode(&mut whisper, &[(0, 1), (1, 0)]);
    shape.compare_logits(&mut whisper, &[(0, 1), (1, 0)]);
    shape.compare_tokens(&mut whisper, &[(0, 1), (1, 0)]);
    shape.compare_tokens(&mut whisper, &[(2, 1), (3, 0)]);
    shape.compare_attention(&mut whisper, 1);
}

/// A second opinion, from other hands: it would catch a mistake made alike in the recording and here.
///
/// candle-transformers approximates GELU by tanh, which is off by up to 5e-4 at each activation. Behind all of tiny's layers
/// that was measured to move the encodings by 1.0e-3 and the logits by 7.7e-3, of deviations 1 and 4; the bounds are
/// three times that.
#[test]
fn tiny_is_near_candle_transformers_with_its_approximate_gelu() {
    let shape = SeededShape::load("tiny");
    let mut whisper = shape.open(1, Kernels::Plain);
    let config: theirs::Config = serde_json::from_value(shape.facts.config.clone()).unwrap();
    let bytes = std::fs::read(shape.folder.path().join("model.safetensors")).unwrap();
    let vb = candle_nn::VarBuilder::from_buffered_safetensors(bytes, DType::F32, &Device::Cpu).unwrap();
    let mut other = theirs::model::Whisper::load(&vb, config).unwrap();

    let (case, mel) = (&shape.facts.cases[1], &shape.mels[1]);
    let input = Tensor::from_slice(&mel.values, (1, mel.n_mels, 3000), &Device::Cpu).unwrap();
    let encoding = other.encoder.forward(&input, true).unwrap();
    let tokens = case.read();
    let input = Tensor::new(&tokens[..], &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    let hidden = other.decoder.forward(&input, &encoding, true).unwrap();
    let logits = other.decoder.final_linear(&hidden).unwrap().squeeze(0).unwrap().to_vec2::<f32>().unwrap();
    let encoding = encoding.flatten_all().unwrap().to_vec1::<f32>().unwrap();

    let encoder = close("encoder", whisper.encoder_output(mel).unwrap(), &encoding, 3e-3);
    shape.encode(&mut whisper, &[(1, 0)]);
    let mut largest = 0f32;
    for (position, token) in tokens.iter().enumerate() {
        let ours = whisper.logits(&[step(0, position, &[*token])]).unwrap().remove(0);
        largest = largest.max(close(&format!("logits at {position}"), ours, &logits[position], 2.5e-2));
    }
    println!("tiny against candle-transformers: encoder {encoder:.1e}, logits {largest:.1e}");
}

/// The whole way from a WAV file to tokens, on weights that were trained: peaked attention and real choices.
#[test]
fn the_demo_model_says_what_transformers_says_under_the_timestamp_rules() {
    compare_demo(Kernels::Plain);
}

#[test]
fn the_demo_model_by_our_own_kernels_says_it_too() {
    compare_demo(Kernels::Own);
}

fn compare_demo(kernels: Kernels) {
    let house = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (facts, arrays): (Folder, Arrays) = recorded::read("demo");
    let weights = Sha256::digest(fs::read(house.join("models/demo/model.safetensors")).unwrap());
    let weights: String = weights.iter().map(|byte| format!("{byte:02x}")).collect();
    let advice = "models/demo has changed: run `python tools/parity/record.py --model models/demo`";
    assert_eq!(weights, facts.weights_sha256, "{advice}");

    let files = ModelFiles::Folder(house.join("models/demo"));
    let (device, slots) = (DeviceRequest::Cpu, Some(facts.clips.len()));
    let mut whisper =
        Whisper::load(&files, &LoadOptions { device, slots, kernels, ..Default::default() }).unwrap();
    let tokenizer = Tokenizer::from_json(&files.require("tokenizer.json").unwrap()).unwrap();
    let rules = Rules::new(tokenizer.into(), whisper.generation(), whisper.info());

    let mut windows = Vec::new();
    for (index, clip) in facts.clips.iter().enumerate() {
        let mel = listen(&house.join("tests/fixtures/speech").join(&clip.file), whisper.info().n_mels);
        let kept = (0..mel.n_mels).flat_map(|bin| facts.frames.iter().map(move |frame| bin * 3000 + frame));
        let recorded = arrays.values(&format!("clip.{index}.log_mel"));
        let mel_off =
            close(&format!("{}, log-mel", clip.file), kept.map(|at| mel.values[at]), recorded, 1e-4);
        let encoding = whisper.encoder_output(&mel).unwrap();
        let width = encoding.len() / 1500;
        let kept = facts
            .positions
            .iter()
            .flat_map(|at| facts.channels.iter().map(move |channel| at * width + channel));
        let recorded = arrays.values(&format!("clip.{index}.encoder"));
        // Wider than for seeded weights: the log-mel itself may differ by 1e-4.
        let encoder_off = close(&clip.file, kept.map(|at| encoding[at]), recorded, 4.0 * ENCODER);
        println!("{}: log-mel {mel_off:.1e}, encoding {encoder_off:.1e}", clip.file);
        windows.push((Slot(index), Arc::new(mel)));
    }
    whisper.encode(&windows).unwrap();
    compare_clips(&mut whisper, &facts, &rules);
}

/// All clips together, from the language on; a clip that has ended leaves the crowd.
fn compare_clips(whisper: &mut Whisper, facts: &Folder, rules: &Rules) {
    let specials = rules.specials();
    let policy = rules.policy(&Default::default()).expect("the defaults suit every model");
    let detect = |slot| Step {
        constraint: rules.only_languages(&[]),
        probe: Some(Probe { index: 0, token: specials.no_speech }),
        ..step(slot, 0, &[specials.start_of_transcript])
    };
    let first =
        whisper.step(&[], &(0..facts.clips.len()).map(detect).collect::<Vec<_>>()).expect("the CPU decodes");
    for (clip, sample) in facts.clips.iter().zip(&first) {
        assert_eq!(sample.choices[0].token, clip.prompt[1], "{}: the language", clip.file);
        close(&format!("{}, no speech", clip.file), sample.probe, &[clip.no_speech], 1e-4);
    }
    let mut sampled: Vec<Vec<Sample>> = vec![Vec::new(); facts.clips.len()];
    let tokens =
        |sampled: &[Sample]| -> Vec<Token> { sampled.iter().map(|sample| sample.choices[0].token).collect() };
    loop {
        let going = |clip: &Clip, said: &[Token]| {
            said.last() != Some(&specials.end_of_text) && said.len() < clip.tokens.len()
        };
        let mut steps = Vec::new();
        for (slot, clip) in facts.clips.iter().enumerate() {
            let said = tokens(&sampled[slot]);
            let read = [&clip.prompt[..], &said].concat();
            let position = if said.is_empty() { 0 } else { read.len() - 1 };
            if going(clip, &said) {
                steps.push(Step {
                    constraint: rules.constraint(&policy, &said),
                    ..step(slot, position, &read[position..])
                });
            }
        }
        if steps.is_empty() {
            break;
        }
        for (step, sample) in steps.iter().zip(whisper.step(&[], &steps).expect("the CPU decodes")) {
            sampled[step.slot.0].push(sample);
        }
    }
    for (clip, sampled) in facts.clips.iter().zip(&sampled) {
        assert_eq!(tokens(sampled), clip.tokens, "{}: {}", clip.file, clip.text);
        let logprobs = sampled.iter().map(|sample| sample.choices[0].logprob);
        let off = close(&format!("{}, log-probabilities", clip.file), logprobs, &clip.logprobs, LOGITS);
        println!("{}: {} tokens, log-probabilities {off:.1e}: {}", clip.file, clip.tokens.len(), clip.text);
    }
}

fn listen(path: &Path, n_mels: usize) -> LogMel {
    let limits = Limits {
        max_duration: Duration::from_secs(30),
        max_decoded_bytes: 1 << 22,
        max_channels: 1,
        max_decode_time: Duration::from_secs(10),
    };
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let decoded = decode(bytes.into(), &limits).expect("a WAV file of ours");
    MelFilters::new(n_mels).log_mel(decoded.pcm.samples())
}
