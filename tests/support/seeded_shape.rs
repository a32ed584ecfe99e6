//! A recorded shape in; its model folder written and loaded, and our network's answers compared with the recorded ones.

use std::sync::Arc;

use candle_core::DType;
use tempfile::TempDir;
use verbatim::audio::LogMel;
use verbatim::model::files::ModelFiles;
use verbatim::model::kernels::Kernels;
use verbatim::model::whisper::{Config, DeviceRequest, LoadOptions, Whisper};
use verbatim::model::{AlignRow, Constraint, Lane, Model, Pick, Probe, Sample, Slot, Step};
use verbatim::text::Token;

use crate::random_weights;
use crate::recorded::{self, Arrays, Case, Shape, close};

/// Encodings have a deviation of 1. Float32 alone moves them by 3e-6 (`float32_noise` in the fixtures); the tanh GELU
/// moves them by 1e-3, as the test against candle-transformers prints, so this bound tells right from nearly right.
pub const ENCODER: f32 = 5e-5;
/// Logits have a deviation of 4 and a noise of 4e-5; the closest choice is won by 0.036.
pub const LOGITS: f32 = 5e-4;
/// Shares of attention, from 0 to 1.
const ATTENTION: f32 = 2e-5;

/// What was recorded, and the model folder that it was recorded of.
pub struct SeededShape {
    name: &'static str,
    pub facts: Shape,
    arrays: Arrays,
    pub mels: Vec<Arc<LogMel>>,
    pub folder: TempDir,
}

impl SeededShape {
    pub fn load(name: &'static str) -> Self {
        let (facts, arrays): (Shape, Arrays) = recorded::read(name);
        let config: Config = serde_json::from_value(facts.config.clone()).expect("our own configuration");
        let stored = match facts.storage.dtype.as_str() {
            "F16" => DType::F16,
            "BF16" => DType::BF16,
            _ => DType::F32,
        };
        let folder = TempDir::new().expect("a folder for the weights");
        let weights = random_weights::weights(&config, stored);
        random_weights::write_weights(folder.path(), &weights, facts.storage.shards);
        random_weights::write_json(folder.path(), "config.json", &facts.config);
        random_weights::write_json(folder.path(), "generation_config.json", &facts.generation_config);
        random_weights::write_json(folder.path(), "preprocessor_config.json", &facts.preprocessor_config);
        let windows = facts.encoder.mean.len();
        let mels = (0..windows).map(|window| Arc::new(random_weights::log_mel(config.num_mel_bins, window)));
        SeededShape { name, facts, arrays, mels: mels.collect(), folder }
    }

    pub fn open(&self, slots: usize, kernels: Kernels) -> Whisper {
        let files = ModelFiles::Folder(self.folder.path().to_owned());
        let options =
            LoadOptions { device: DeviceRequest::Cpu, slots: Some(slots), kernels, ..Default::default() };
        Whisper::load(&files, &options).expect("the folder is whole")
    }

    fn case(&self, index: usize) -> &Case {
        &self.facts.cases[index]
    }

    /// Encodes the windows of `(case, slot)`s in one batch.
    pub fn encode(&self, whisper: &mut Whisper, crowd: &[(usize, usize)]) {
        let window = |case: usize| self.mels[self.case(case).window].clone();
        let windows: Vec<_> = crowd.iter().map(|(case, slot)| (Slot(*slot), window(*case))).collect();
        whisper.encode(&windows).expect("the CPU encodes");
    }

    pub fn compare_encodings(&self, whisper: &Whisper, windows: &[usize]) {
        let facts = &self.facts.encoder;
        for window in windows {
            let encoding = whisper.encoder_output(&self.mels[*window]).expect("the CPU encodes");
            let width = encoding.len() / 1500;
            let kept = facts
                .positions
                .iter()
                .flat_map(|at| facts.channels.iter().map(move |channel| at * width + channel));
            let kept: Vec<f32> = kept.map(|place| encoding[place]).collect();
            let what = format!("{}, encoding {window}", self.name);
            let largest = close(&what, kept, self.arrays.values(&format!("encoder.{window}")), ENCODER);
            // The figures of the whole speak for the places that were not kept.
            let mean = encoding.iter().map(|value| f64::from(*value)).sum::<f64>() / encoding.len() as f64;
            let square = encoding.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>();
            let std = (square / encoding.len() as f64).sqrt();
            assert!((mean - facts.mean[*window]).abs() < 1e-6, "{what}: mean {mean}");
            assert!((std - facts.std[*window]).abs() < 1e-6, "{what}: deviation {std}");
            println!("{what}: {largest:.1e}");
        }
    }

    /// Teacher-forced, all rows of `(case, slot)` together. Each is fed in pieces of its own length (one token at a time, all
    /// at once, ...), so that rows of different lengths at different positions share a pass.
    pub fn compare_logits(&self, whisper: &mut Whisper, crowd: &[(usize, usize)]) {
        let mut largest = 0f32;
        let mut read = vec![0; crowd.len()];
        loop {
            let mut steps = Vec::new();
            let mut rows = Vec::new();
            for (row, (case, slot)) in crowd.iter().enumerate() {
                let tokens = self.case(*case).read();
                let piece = [1, self.case(*case).prompt.len(), 2, 5][*case].min(tokens.len() - read[row]);
                if piece > 0 {
                    steps.push(step(*slot, read[row], &tokens[read[row]..read[row] + piece]));
                    read[row] += piece;
                    rows.push((*case, read[row] - 1));
                }
            }
            if steps.is_empty() {
                break;
            }
            for ((case, position), logits) in
                rows.into_iter().zip(whisper.logits(&steps).expect("the CPU decodes"))
            {
                let what = format!("{}, {}, logits after {position}", self.name, self.case(case).name);
                let watched = self.facts.watched.iter().map(|id| logits[*id]);
                let recorded = self.arrays.rows(&format!("case.{case}.logits"))[position];
                largest = largest.max(close(&what, watched, recorded, LOGITS));
                let total = self.arrays.values(&format!("case.{case}.logsumexp"))[position];
                largest = largest.max(close(&what, [log_sum_exp(&logits)], &[total], LOGITS));
            }
        }
        println!("{}, logits of {} together: {largest:.1e}", self.name, crowd.len());
    }

    /// Greedy from the prompt, all rows of `(case, slot)` together, each under its own constraint.
    pub fn compare_tokens(&self, whisper: &mut Whisper, crowd: &[(usize, usize)]) {
        let mut sampled: Vec<Vec<Sample>> = vec![Vec::new(); crowd.len()];
        for _ in 0..self.case(0).tokens.len() {
            let next = |((case, slot), sampled): (&(usize, usize), &Vec<Sample>)| {
                let case = self.case(*case);
                let start =
                    case.prompt.iter().position(|token| *token == START).expect("a prompt has a start");
                let (position, tokens, probe) = match sampled.last() {
                    None => {
                        (0, case.prompt.clone(), Some(Probe { index: start, token: self.facts.nospeech }))
                    }
                    Some(last) => (case.prompt.len() + sampled.len() - 1, vec![last.choices[0].token], None),
                };
                Step { constraint: case.constraint(), probe, ..step(*slot, position, &tokens) }
            };
            let steps: Vec<Step> = crowd.iter().zip(&sampled).map(next).collect();
            for (row, sample) in whisper.step(&[], &steps).expect("the CPU decodes").into_iter().enumerate() {
                sampled[row].push(sample);
            }
        }
        for ((index, slot), sampled) in crowd.iter().zip(sampled) {
            let (case, what) =
                (self.case(*index), format!("{}, {} in slot {slot}", self.name, self.case(*index).name));
            let tokens: Vec<Token> = sampled.iter().map(|sample| sample.choices[0].token).collect();
            assert_eq!(tokens, case.tokens, "{what}");
            close(&what, sampled.iter().map(|sample| sample.choices[0].logprob), &case.logprobs, LOGITS);
            let start = case.prompt.iter().position(|token| *token == START).expect("a prompt has a start");
            let place = self.facts.watched.iter().position(|id| *id == self.facts.nospeech as usize);
            let logit =
                self.arrays.rows(&format!("case.{index}.logits"))[start][place.expect("it is watched")];
            let total = self.arrays.values(&format!("case.{index}.logsumexp"))[start];
            let probe = sampled[0].probe.expect("it was asked for").ln();
            close(&format!("{what}, probe"), [probe], &[logit - total], 2.0 * LOGITS);
        }
    }

    pub fn compare_attention(&self, whisper: &mut Whisper, slot: usize) {
        let case = self.case(self.facts.align.case);
        let tokens = [&case.prompt[..], &case.tokens[..]].concat();
        let (slot, lane, text_below) = (Slot(slot), Lane(slot), 50_257);
        let row = AlignRow { slot, lane, tokens: tokens.clone(), frames: 1500, text_below };
        let scores = whisper.align(&[row]).expect("the CPU aligns").remove(0);
        assert_eq!((scores.heads, scores.tokens, scores.frames), (2, tokens.len(), 1500));
        let rows = self.facts.align.rows.len();
        for (place, recorded) in self.arrays.rows("align").into_iter().enumerate() {
            let (head, row) = (place / rows, self.facts.align.rows[place % rows]);
            let scores = &scores.scores[(head * tokens.len() + row) * 1500..][..1500];
            let total = log_sum_exp(scores);
            let what = format!("{}, attention of head {head} at token {row}", self.name);
            let largest = close(&what, scores.iter().map(|score| (score - total).exp()), recorded, ATTENTION);
            println!("{what}: {largest:.1e}");
        }
    }
}

/// `<|startoftranscript|>`.
const START: Token = 50_258;

pub fn step(slot: usize, position: usize, tokens: &[Token]) -> Step {
    let (tokens, constraint) = (tokens.to_vec(), Constraint::default());
    let (slot, lane, pick) = (Slot(slot), Lane(slot), Pick::Likeliest(1));
    Step { slot, lane, position, tokens, constraint, pick, probe: None }
}

fn log_sum_exp(values: &[f32]) -> f32 {
    let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    largest + values.iter().map(|value| f64::from(value - largest).exp()).sum::<f64>().ln() as f32
}
