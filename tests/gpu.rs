//! Needs `--features cuda` and a real card: CUDA agrees with the CPU, and a batch with each of its rows alone.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]
#![cfg(feature = "cuda")]

use std::sync::Arc;

use verbatim::audio::LogMel;
use verbatim::model::files::ModelFiles;
use verbatim::model::whisper::{DeviceRequest, DtypeRequest, LoadOptions, Whisper};
use verbatim::model::{Constraint, Lane, Model, Pick, Slot, Step};

const SLOTS: usize = 8;
/// `<|startoftranscript|><|en|><|transcribe|><|0.00|>` of the demo model.
const PROMPT: [u32; 4] = [769, 770, 774, 779];

fn load(device: DeviceRequest, dtype: DtypeRequest) -> Whisper {
    let options = LoadOptions { device, dtype, slots: Some(SLOTS), ..Default::default() };
    Whisper::load(&ModelFiles::Demo, &options).unwrap()
}

/// A smooth pattern that differs from window to window.
fn log_mel(window: usize) -> Arc<LogMel> {
    let values = (0..80 * 3000)
        .map(|index| {
            let (bin, frame) = ((index / 3000) as f32, (index % 3000) as f32);
            (bin * 0.11 + window as f32).sin() * (frame * 0.013 * (1 + window) as f32).cos() * 0.8
        })
        .collect();
    Arc::new(LogMel::new(80, values))
}

fn step(slot: usize) -> Step {
    let constraint = Constraint::default();
    Step {
        slot: Slot(slot),
        lane: Lane(slot),
        position: 0,
        tokens: PROMPT.to_vec(),
        constraint,
        pick: Pick::Likeliest(1),
        probe: None,
    }
}

fn largest_difference(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(left, right)| (left - right).abs()).fold(0.0, f32::max)
}

/// Greedy tokens of `windows` decoded together, window `n` in slot `n`.
fn greedy(model: &mut Whisper, windows: &[usize], tokens: usize) -> Vec<Vec<u32>> {
    let batch: Vec<_> =
        windows.iter().enumerate().map(|(slot, window)| (Slot(slot), log_mel(*window))).collect();
    model.encode(&batch).unwrap();
    let mut steps: Vec<Step> = (0..windows.len()).map(step).collect();
    let mut said = vec![Vec::new(); windows.len()];
    for _ in 0..tokens {
        let samples = model.step(&[], &steps).unwrap();
        for ((step, sample), said) in steps.iter_mut().zip(samples).zip(&mut said) {
            step.position += step.tokens.len();
            step.tokens = vec![sample.choices[0].token];
            said.push(sample.choices[0].token);
        }
    }
    said
}

#[test]
fn cuda_in_f32_agrees_with_the_cpu() {
    let mut cpu = load(DeviceRequest::Cpu, DtypeRequest::F32);
    let mut cuda = load(DeviceRequest::Cuda(0), DtypeRequest::F32);
    let mel = log_mel(3);
    let difference =
        largest_difference(&cpu.encoder_output(&mel).unwrap(), &cuda.encoder_output(&mel).unwrap());
    assert!(difference < 2e-2, "encoder outputs differ by {difference}");
    for model in [&mut cpu, &mut cuda] {
        model.encode(&[(Slot(1), mel.clone())]).unwrap();
    }
    let difference =
        largest_difference(&cpu.logits(&[step(1)]).unwrap()[0], &cuda.logits(&[step(1)]).unwrap()[0]);
    assert!(difference < 5e-2, "logits differ by {difference}");
    assert_eq!(greedy(&mut cpu, &[0, 1, 2], 24), greedy(&mut cuda, &[0, 1, 2], 24));
}

#[test]
fn cuda_in_f16_stays_near_the_cpu() {
    let mut cpu = load(DeviceRequest::Cpu, DtypeRequest::F32);
    let mut cuda = load(DeviceRequest::Cuda(0), DtypeRequest::F16);
    let mel = log_mel(5);
    for model in [&mut cpu, &mut cuda] {
        model.encode(&[(Slot(0), mel.clone())]).unwrap();
    }
    let (exact, half) = (cpu.logits(&[step(0)]).unwrap(), cuda.logits(&[step(0)]).unwrap());
    let range = exact[0].iter().fold(0f32, |most, logit| most.max(logit.abs()));
    let difference = largest_difference(&exact[0], &half[0]);
    // 11 bits of mantissa through a few layers.
    assert!(difference < 0.02 * range.max(1.0), "logits of up to {range} differ by {difference}");
}

#[test]
fn on_cuda_a_batch_gives_what_each_row_gives_alone() {
    let mut cuda = load(DeviceRequest::Cuda(0), DtypeRequest::F16);
    let windows: Vec<usize> = (0..SLOTS).collect();
    let crowd = greedy(&mut cuda, &windows, 32);
    for window in windows {
        assert_eq!(greedy(&mut cuda, &[window], 32)[0], crowd[window], "window {window}");
    }
}
