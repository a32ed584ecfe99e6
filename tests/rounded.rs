//! `--dtype q8_0`: our kernels against candle's operations over the same rounded weights, and both against f32.

#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

use std::sync::Arc;
use std::time::Duration;

use verbatim::audio::{Limits, LogMel, MelFilters, decode};
use verbatim::model::files::ModelFiles;
use verbatim::model::kernels::Kernels;
use verbatim::model::whisper::{DeviceRequest, DtypeRequest, LoadOptions, Whisper};
use verbatim::model::{AlignRow, Constraint, Lane, Model, Pick, Slot, Step};
use verbatim::text::Token;

/// Slots and lanes are as many.
fn open(dtype: DtypeRequest, kernels: Kernels, slots: usize) -> Whisper {
    let slots = Some(slots);
    let options = LoadOptions { device: DeviceRequest::Cpu, dtype, kernels, slots, ..Default::default() };
    Whisper::load(&ModelFiles::Demo, &options).unwrap()
}

fn listen(file: &str, n_mels: usize) -> Arc<LogMel> {
    let limits = Limits {
        max_duration: Duration::from_secs(120),
        max_decoded_bytes: 1 << 24,
        max_channels: 1,
        max_decode_time: Duration::from_secs(10),
    };
    let path = format!("{}/tests/fixtures/speech/{file}", env!("CARGO_MANIFEST_DIR"));
    let decoded = decode(std::fs::read(path).unwrap().into(), &limits).unwrap();
    Arc::new(MelFilters::new(n_mels).log_mel(decoded.pcm.samples()))
}

fn step(row: usize, tokens: &[Token]) -> Step {
    Step {
        slot: Slot(row),
        lane: Lane(row),
        position: 0,
        tokens: tokens.to_vec(),
        constraint: Constraint::default(),
        pick: Pick::Likeliest(1),
        probe: None,
    }
}

/// Root mean square of the differences over that of the values.
fn off(ours: &[f32], theirs: &[f32]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    let squares = |of: &mut dyn Iterator<Item = f32>| of.map(|x| f64::from(x) * f64::from(x)).sum::<f64>();
    let apart = squares(&mut ours.iter().zip(theirs).map(|(a, b)| a - b));
    (apart / squares(&mut theirs.iter().copied())).sqrt()
}

const TOKENS: [Token; 6] = [1, 40, 99, 7, 250, 3];

#[test]
fn our_kernels_give_what_candle_gives_of_the_same_weights() {
    let mut ours = open(DtypeRequest::Q8, Kernels::Own, 2);
    let mut plain = open(DtypeRequest::Q8, Kernels::Plain, 2);
    let mut exact = open(DtypeRequest::F32, Kernels::Plain, 2);
    assert_eq!(ours.info().dtype, "q8_0");
    assert!(ours.info().weight_bytes * 2 < exact.info().weight_bytes);
    assert_eq!(ours.info().kv_bytes * 2, exact.info().kv_bytes);
    let mel = listen("english.wav", ours.info().n_mels);
    let [encoded, plainly, exactly] =
        [&ours, &plain, &exact].map(|whisper| whisper.encoder_output(&mel).unwrap());
    let rounding = off(&plainly, &exactly);
    // What the kernels round beside the weights costs less than the weights' own rounding.
    assert!(off(&encoded, &plainly) < rounding && rounding < 0.03, "{rounding}: {}", off(&encoded, &plainly));
    let logits = |whisper: &mut Whisper| {
        whisper.encode(&[(Slot(0), mel.clone())]).unwrap();
        whisper.logits(&[step(0, &TOKENS)]).unwrap().remove(0)
    };
    let [told, plainly, exactly] = [&mut ours, &mut plain, &mut exact].map(logits);
    let rounding = off(&plainly, &exactly);
    assert!(off(&told, &plainly) < rounding && rounding < 0.03, "{rounding}: {}", off(&told, &plainly));

    let row =
        AlignRow { slot: Slot(0), lane: Lane(1), tokens: TOKENS.to_vec(), frames: 200, text_below: 300 };
    let [watched, plainly] =
        [&mut ours, &mut plain].map(|whisper| whisper.align(std::slice::from_ref(&row)).unwrap().remove(0));
    assert!(off(&watched.scores, &plainly.scores) < 0.03, "{}", off(&watched.scores, &plainly.scores));
    for (ours, plain) in watched.probabilities.iter().zip(&plainly.probabilities) {
        assert!((ours - plain).abs() < 0.03, "{ours} {plain}");
    }
}

#[test]
fn a_row_is_the_same_to_the_bit_alone_and_in_a_crowd() {
    let mut whisper = open(DtypeRequest::Q8, Kernels::Own, 3);
    let n_mels = whisper.info().n_mels;
    let mels = ["english.wav", "german.wav", "spanish.wav"].map(|file| listen(file, n_mels));
    let windows: Vec<_> = mels.iter().enumerate().map(|(slot, mel)| (Slot(slot), mel.clone())).collect();
    whisper.encode(&windows).unwrap();
    let crowd = whisper.logits(&[step(0, &TOKENS), step(1, &TOKENS[..2]), step(2, &TOKENS[..4])]).unwrap();
    for (index, tokens) in [&TOKENS[..], &TOKENS[..2], &TOKENS[..4]].into_iter().enumerate() {
        whisper.encode(&[(Slot(0), mels[index].clone())]).unwrap();
        assert_eq!(whisper.logits(&[step(0, tokens)]).unwrap()[0], crowd[index], "row {index}");
    }
}
