//! Whisper on candle tensors: `impl Model`, and the loading of any OpenAI or distilled checkpoint.
//!
//! Follows openai/whisper model.py at c0d2f624; weight names are those of the hub's safetensors. Not built on
//! candle-transformers' Whisper, which has no self-attention cache, no slots and an approximate GELU.

mod align;
mod attention;
mod cache;
mod check;
mod config;
mod decoder;
mod device;
mod draw;
mod encoder;
mod footprint;
mod heads;
mod layers;
mod load;
mod room;
mod sample;
mod trial;

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

use self::cache::Cache;
use self::decoder::{Decoder, Row};
use self::encoder::Encoder;
use super::files::ModelFiles;
use super::kernels::Way;
use super::{AlignRow, Alignment, Capacity, Fork, Lane, Model, ModelError, ModelInfo, Sample, Slot, Step};
use crate::audio::{LogMel, WINDOW_FRAMES};
use crate::text::Token;

pub use check::Checked;
pub use config::{Config, Generation};
pub use device::{DeviceError, DeviceRequest, DtypeRequest};
pub use footprint::{Footprint, Form};
pub use load::{Forecast, LoadError, LoadOptions};
pub use trial::{Trial, TrialError, trial};

#[derive(Debug)]
pub struct Whisper {
    config: Config,
    generation: Generation,
    /// `(layer, head)` of the decoder.
    alignment_heads: Vec<(usize, usize)>,
    encoder: Encoder,
    decoder: Decoder,
    cache: Cache,
    device: Device,
    dtype: DType,
    way: Way,
    info: ModelInfo,
}

impl Whisper {
    pub fn load(files: &ModelFiles, options: &LoadOptions) -> Result<Self, LoadError> {
        load::load(files, options)
    }

    pub fn forecast(files: &ModelFiles, options: &LoadOptions) -> Result<Forecast, LoadError> {
        load::forecast(files, options)
    }

    /// What keeps these files from being loaded, without a device and without their weights.
    pub fn inspect(files: &ModelFiles) -> Result<Checked, LoadError> {
        check::check(files)
    }

    /// What most of the stored weights are, `F16` say, by their files' headers alone.
    pub fn stored_as(files: &ModelFiles) -> Result<String, LoadError> {
        check::kind(files)
    }

    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// What the checkpoint says about decoding.
    pub fn generation(&self) -> &Generation {
        &self.generation
    }

    /// Audio features of one window, `[1500, d]` row-major: for the parity tests.
    pub fn encoder_output(&self, mel: &LogMel) -> Result<Vec<f32>, ModelError> {
        let features = self.encoder.forward(&self.stack(&[mel])?)?;
        Ok(features.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
    }

    /// Logits after each row's last token, before any constraint: for the parity tests.
    pub fn logits(&mut self, steps: &[Step]) -> Result<Vec<Vec<f32>>, ModelError> {
        let ends: Vec<u32> = row_ends(steps);
        let hidden = self.read(steps)?;
        let last = hidden.index_select(&Tensor::new(ends, &self.device)?, 0)?;
        Ok(self.decoder.logits(&last)?.to_vec2()?)
    }

    /// `[windows, n_mels, frames]` in the model's dtype; all have the first one's context.
    fn stack(&self, mels: &[&LogMel]) -> Result<Tensor, ModelError> {
        let n_mels = self.config.num_mel_bins;
        let frames =
            mels.iter().map(|mel| 2 * mel.context).next().unwrap_or(WINDOW_FRAMES).min(WINDOW_FRAMES);
        let mut values = Vec::with_capacity(mels.len() * n_mels * frames);
        for mel in mels {
            if mel.n_mels != n_mels || mel.values.len() != n_mels * WINDOW_FRAMES {
                return Err(ModelError::Misuse(format!(
                    "a log-mel of {} bins for a model of {n_mels}",
                    mel.n_mels
                )));
            }
            let rows = mel.values.chunks_exact(WINDOW_FRAMES);
            rows.for_each(|row| values.extend_from_slice(&row[..frames]));
        }
        let shape = (mels.len(), n_mels, frames);
        Ok(Tensor::from_vec(values, shape, &self.device)?.to_dtype(self.dtype)?)
    }

    /// Hidden states of all tokens of all rows, `[sum of lengths, d]`.
    fn read(&self, steps: &[Step]) -> Result<Tensor, ModelError> {
        for step in steps {
            self.check((step.slot, step.lane), step.position, &step.tokens)?;
        }
        let rows: Vec<Row> = steps
            .iter()
            .map(|step| Row {
                slot: step.slot.0,
                lane: step.lane.0,
                position: step.position,
                tokens: &step.tokens,
            })
            .collect();
        Ok(self.decoder.forward(&rows, &self.cache)?)
    }

    fn check(&self, (slot, lane): (Slot, Lane), position: usize, tokens: &[Token]) -> Result<(), ModelError> {
        let fits = slot.0 < self.info.slots
            && lane.0 < self.info.lanes
            && !tokens.is_empty()
            && position + tokens.len() <= self.config.max_target_positions
            && tokens.iter().all(|token| (*token as usize) < self.config.vocab_size);
        match fits {
            true => Ok(()),
            false => Err(ModelError::Misuse(format!(
                "{} tokens at {position} of {lane:?} over {slot:?} do not fit",
                tokens.len()
            ))),
        }
    }
}

impl Model for Whisper {
    fn capacity(&self) -> Capacity {
        Capacity { slots: self.info.slots, lanes: self.info.lanes }
    }

    fn encode(&mut self, windows: &[(Slot, Arc<LogMel>)]) -> Result<(), ModelError> {
        if windows.is_empty() {
            return Ok(());
        }
        let slots: Vec<usize> = windows.iter().map(|(slot, _)| slot.0).collect();
        if slots.iter().any(|slot| *slot >= self.info.slots) {
            return Err(ModelError::Misuse(format!("slots {slots:?} of {}", self.info.slots)));
        }
        // Our kernels keep one window in the cache, where two would be in memory.
        let at_once = if self.way.fast { 1 } else { windows.len() };
        let alike = windows.chunk_by(|(_, one), (_, other)| one.context == other.context);
        for windows in alike.flat_map(|windows| windows.chunks(at_once)) {
            let mels: Vec<&LogMel> = windows.iter().map(|(_, mel)| mel.as_ref()).collect();
            let slots: Vec<usize> = windows.iter().map(|(slot, _)| slot.0).collect();
            let features = self.encoder.forward(&self.stack(&mels)?)?;
            self.decoder.set_audio(&features, &slots, &self.cache)?;
        }
        // Work on a GPU is only queued so far; an error must belong to this call, and so must the time it took.
        Ok(self.device.synchronize()?)
    }

    fn step(&mut self, forks: &[Fork], steps: &[Step]) -> Result<Vec<Sample>, ModelError> {
        for fork in forks {
            let known = fork.from.0 < self.info.lanes && fork.to.0 < self.info.lanes;
            if !known || fork.positions > self.config.max_target_positions {
                return Err(ModelError::Misuse(format!("{fork:?} of {} lanes", self.info.lanes)));
            }
        }
        self.cache.fork(forks)?;
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        let hidden = self.read(steps)?;
        // The last token of every row, then the probed tokens: one vocabulary product for all.
        let ends = row_ends(steps);
        let probed = steps.iter().zip(&ends).filter_map(|(step, end)| {
            step.probe.map(|probe| end + 1 - step.tokens.len() as u32 + probe.index as u32)
        });
        let wanted: Vec<u32> = ends.iter().copied().chain(probed).collect();
        let wanted = hidden.index_select(&Tensor::new(wanted, &self.device)?, 0)?;
        let vocab = self.config.vocab_size;
        let mut logits: Vec<f32> = self.decoder.logits(&wanted)?.flatten_all()?.to_vec1()?;
        let (last, probed) = logits.split_at_mut(steps.len() * vocab);
        let mut probed = probed.chunks_exact(vocab);
        let probes: Vec<_> =
            steps.iter().map(|step| step.probe.zip(step.probe.and_then(|_| probed.next()))).collect();
        let rows = last.par_chunks_exact_mut(vocab).zip(steps).zip(probes);
        rows.map(|((row, step), probe)| {
            let choices = sample::sample(row, step)?;
            let probe = probe.map(|(probe, row)| sample::probe(row, probe)).transpose()?;
            Ok(Sample { choices, probe })
        })
        .collect()
    }

    fn align(&mut self, rows: &[AlignRow]) -> Result<Vec<Alignment>, ModelError> {
        for row in rows {
            self.check((row.slot, row.lane), 0, &row.tokens)?;
        }
        let read = |row: &AlignRow| AlignRow {
            frames: row.frames.min(self.config.max_source_positions),
            ..row.clone()
        };
        let rows: Vec<AlignRow> = rows.iter().map(read).collect();
        Ok(align::align(&self.decoder, &self.cache, &self.alignment_heads, &rows)?)
    }
}

/// Place of each row's last token among the packed tokens of all rows.
fn row_ends(steps: &[Step]) -> Vec<u32> {
    steps
        .iter()
        .scan(0, |end, step| {
            *end += step.tokens.len() as u32;
            Some(*end - 1)
        })
        .collect()
}

/// Allocation failures are told apart from all others by the driver's words; candle has no type for them.
fn is_out_of_memory(error: &str) -> bool {
    let error = error.to_ascii_lowercase();
    error.contains("out_of_memory") || error.contains("out of memory") || error.contains("alloc_failed")
}

impl From<candle_core::Error> for ModelError {
    fn from(error: candle_core::Error) -> Self {
        let text = error.to_string();
        if is_out_of_memory(&text) { ModelError::OutOfMemory(text) } else { ModelError::Device(text) }
    }
}
