//! A checkpoint's files in, a `Whisper` on its device out.

use candle_core::{DType, Device};
use candle_nn::VarBuilder;

use super::Whisper;
use super::cache::Cache;
use super::config::{Config, ConfigError, Generation};
use super::decoder::Decoder;
use super::device::{DeviceError, DeviceRequest, DtypeRequest, Opened};
use super::encoder::Encoder;
use super::layers::bytes_of;
use crate::model::files::{FilesError, ModelFiles, Weights};
use crate::model::{Capacity, ModelInfo};

/// How to load a model.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// What people call the model: the value of `--model`.
    pub name: String,
    pub device: DeviceRequest,
    pub dtype: DtypeRequest,
    /// Windows that can be decoded together; `None`: chosen by device and model size.
    pub slots: Option<usize>,
    /// Rows of one decoder step; `None`: room for each window and for one beam search.
    pub lanes: Option<usize>,
}

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error("{file} cannot be used: {error}")]
    Config { file: &'static str, error: ConfigError },
    #[error("the weights cannot be loaded: {0}")]
    Weights(String),
    #[error("the device has no room for the model: {0}")]
    OutOfMemory(String),
}

pub fn load(files: &ModelFiles, options: &LoadOptions) -> Result<Whisper, LoadError> {
    let config = Config::from_json(&files.require("config.json")?)
        .map_err(|error| LoadError::Config { file: "config.json", error })?;
    let generation = match files.read("generation_config.json")? {
        Some(json) => Generation::from_json(&json)
            .map_err(|error| LoadError::Config { file: "generation_config.json", error })?,
        None => Generation::default(),
    };
    let opened = options.device.open()?;
    let dtype = options.dtype.resolve(&opened)?;
    let slots = options.slots.unwrap_or_else(|| default_slots(&config, &opened.device)).max(1);
    let lanes = options.lanes.unwrap_or(slots + SPARE_LANES).max(slots);
    let capacity = Capacity { slots, lanes };
    let vb = open_weights(files.weights()?, dtype, &opened.device)?;
    // Some checkpoints were saved without the outer module.
    let vb = if vb.contains_tensor("model.encoder.conv1.weight") { vb.pp("model") } else { vb };
    let encoder = Encoder::load(&vb.pp("encoder"), &config).map_err(weights_error)?;
    let decoder = Decoder::load(&vb.pp("decoder"), &config).map_err(weights_error)?;
    let cache = Cache::new(&config, capacity, dtype, &opened.device).map_err(weights_error)?;
    let info =
        describe(files, options, &config, (&opened, dtype, capacity, generation.multilingual(&config)));
    Ok(Whisper {
        alignment_heads: generation.alignment_heads(&config),
        config,
        generation,
        encoder,
        decoder,
        cache,
        device: opened.device,
        dtype,
        info,
    })
}

fn open_weights(weights: Weights, dtype: DType, device: &Device) -> Result<VarBuilder<'static>, LoadError> {
    match weights {
        Weights::Bytes(bytes) => {
            VarBuilder::from_slice_safetensors(bytes, dtype, device).map_err(weights_error)
        }
        Weights::Paths(paths) => {
            // SAFETY: the files must not change while they are mapped. They are mapped only until the layers are
            // built, and model folders are written by nobody else then: the hub cache replaces files by renaming.
            #[allow(unsafe_code)]
            let vb = unsafe { VarBuilder::from_mmaped_safetensors(&paths, dtype, device) };
            vb.map_err(weights_error)
        }
    }
}

fn weights_error(error: candle_core::Error) -> LoadError {
    let text = error.to_string();
    if super::is_out_of_memory(&text) { LoadError::OutOfMemory(text) } else { LoadError::Weights(text) }
}

/// Lanes beyond one a slot: the widest search that is allowed finds room beside windows that are under way.
const SPARE_LANES: usize = 16;

/// Where nobody said: what common cards hold with room to spare, and on a CPU what keeps its caches warm.
fn default_slots(config: &Config, device: &Device) -> usize {
    match (device.is_cpu(), config.d_model) {
        (true, _) => 8,
        (_, ..=512) => 32,
        (_, ..=768) => 24,
        (_, ..=1024) => 16,
        _ => 8,
    }
}

type Settled<'a> = (&'a Opened, DType, Capacity, bool);

fn describe(files: &ModelFiles, options: &LoadOptions, config: &Config, settled: Settled) -> ModelInfo {
    let (opened, dtype, capacity, multilingual) = settled;
    ModelInfo {
        name: options.name.clone(),
        is_demo: *files == ModelFiles::Demo,
        device: opened.label.clone(),
        device_note: opened.note.clone(),
        dtype: dtype.as_str().to_owned(),
        n_mels: config.num_mel_bins,
        vocab: config.vocab_size,
        text_ctx: config.max_target_positions,
        multilingual,
        parameters: config.parameters(),
        weight_bytes: bytes_of(config.parameters(), dtype),
        kv_bytes: Cache::bytes(config, capacity, dtype),
        slots: capacity.slots,
        lanes: capacity.lanes,
    }
}
